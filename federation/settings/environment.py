"""Read the settings from the environment, and refuse what is wrong by the name of the variable."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from federation.domain.alert import is_mailbox
from federation.domain.claim_rule import read_rules
from federation.domain.errors import CommandFailed
from federation.domain.quota import Quota
from federation.domain.values import OPERATOR_PATTERN
from federation.settings.files import check_authorities
from federation.settings.identity_provider import check_identity_provider
from federation.settings.mail_server import mail_server
from federation.settings.settings import RESERVED_SOCKETS, Network, Settings
from federation.settings.urls import HOST, base_url, check_database_url

MAX_CONTACT = 500
"""Characters of the security contact, at most."""
_QUOTA = Quota()


def read(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the environment. Raises Broken that names the variable at fault."""

    def text(name: str, otherwise: str | None = None) -> str:
        value = environment.get(f"FEDERATION_{name}", "").strip() or otherwise
        if value is None:
            raise CommandFailed(f"FEDERATION_{name} is not set; see `federation serve --help`")
        return value

    def number(name: str, otherwise: int, least: int, maximum: int) -> int:
        value = text(name, str(otherwise))
        if not (value.isascii() and value.isdigit() and least <= int(value) <= maximum):
            raise CommandFailed(
                f"FEDERATION_{name} is {value!r}; it must be a number from {least} to {maximum}"
            )
        return int(value)

    def flag(name: str) -> bool:
        value = text(name, "no")
        if value not in ("yes", "no"):
            raise CommandFailed(f"FEDERATION_{name} is {value!r}; it must be yes or no")
        return value == "yes"

    def network(value: str) -> Network:
        try:
            settings = ip_network(value.strip())
        except ValueError as error:
            raise CommandFailed(
                f"FEDERATION_PROXIES: {error}; name addresses, or networks as 10.0.0.0/8"
            ) from None
        if settings.prefixlen == 0:
            raise CommandFailed(
                f"FEDERATION_PROXIES: {settings} is everybody, and who is believed can be anybody"
            )
        return settings

    operator = text("OPERATOR")
    if not re.fullmatch(OPERATOR_PATTERN, operator):
        raise CommandFailed(
            f"FEDERATION_OPERATOR is {operator!r}; an operator's id has small letters, digits, dots, hyphens"
        )
    port = number("PORT", 8470, 1, 65_535)
    url = base_url(text("URL", f"http://127.0.0.1:{port}").rstrip("/"))
    level = text("LOG_LEVEL", "INFO").upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise CommandFailed(f"FEDERATION_LOG_LEVEL is {level!r}; it must be DEBUG, INFO, WARNING or ERROR")
    database = environment.get("FEDERATION_DATABASE_URL", "").strip() or None
    if database:
        check_database_url(database)

    def path(name: str) -> Path | None:
        value = environment.get(f"FEDERATION_{name}", "").strip()
        return Path(value).expanduser().absolute() if value else None

    proxies = environment.get("FEDERATION_PROXIES", "").strip()
    settings = Settings(
        operator=operator,
        url=url,
        name=text("NAME", operator),
        data_dir=Path(text("DATA_DIR", "federation-data")).expanduser().absolute(),
        database_url=database,
        host=text("HOST", "127.0.0.1"),
        port=port,
        connections=number("CONNECTIONS", 10, 4, 200),
        ca_file=path("CA_FILE"),
        log_level=level,
        smtp_url=environment.get("FEDERATION_SMTP_URL", "").strip() or None,
        smtp_password_file=path("SMTP_PASSWORD_FILE"),
        smtp_ca_file=path("SMTP_CA_FILE"),
        mail_from=environment.get("FEDERATION_MAIL_FROM", "").strip() or None,
        rate=number("RATE", 200, 0, 1_000_000),
        rate_anonymous=number("RATE_ANONYMOUS", 50, 0, 1_000_000),
        requests=number("REQUESTS", 384, 1, 60_000),
        requests_per_caller=number("REQUESTS_PER_CALLER", 128, 1, 60_000),
        waits=number("WAITS", 512, 1, 60_000),
        waits_per_caller=number("WAITS_PER_CALLER", 32, 1, 60_000),
        sockets=number("SOCKETS", 1_024, 128, 60_000),
        sockets_per_address=number("SOCKETS_PER_ADDRESS", 256, 1, 60_000),
        drain_seconds=number("DRAIN_SECONDS", 5, 0, 600),
        tombstones_days=number("TOMBSTONES_DAYS", 90, 1, 36_500),
        quota_records=number("QUOTA_RECORDS", _QUOTA.records, 1_000, 1_000_000_000),
        quota_mebibytes=number("QUOTA_MEBIBYTES", _QUOTA.mebibytes, 16, 1_000_000_000),
        quota_feeds=number("QUOTA_FEEDS", _QUOTA.feeds, 2, 100_000),
        quota_rejected=number("QUOTA_REJECTED", _QUOTA.rejected, 1, 1_000_000),
        quota_entries=number("QUOTA_ENTRIES", _QUOTA.entries, 1_000, 1_000_000_000),
        alerts_an_hour=number("ALERTS_AN_HOUR", 20, 1, 1_000_000),
        proxies=tuple(network(part) for part in proxies.split(",")) if proxies else (),
        time_zone=_time_zone(text("TIME_ZONE", "Europe/Paris")),
        texts_dir=path("TEXTS_DIR"),
        oidc_issuer=environment.get("FEDERATION_OIDC_ISSUER", "").strip() or None,
        oidc_client_id=environment.get("FEDERATION_OIDC_CLIENT_ID", "").strip() or None,
        oidc_secret_file=path("OIDC_SECRET_FILE"),
        oidc_scopes=" ".join(text("OIDC_SCOPES", "openid profile").split()),
        oidc_name=environment.get("FEDERATION_OIDC_NAME", "").strip() or None,
        oidc_rules=read_rules(environment.get("FEDERATION_OIDC_RULES", "")),
        oidc_private=flag("OIDC_PRIVATE"),
        demo_links=flag("DEMO_LINKS"),
        security_contact=_security_contact(environment),
    )
    if settings.requests + settings.waits + RESERVED_SOCKETS > settings.sockets:
        raise CommandFailed(
            f"FEDERATION_SOCKETS is {settings.sockets}; it must be at least FEDERATION_REQUESTS and"
            f" FEDERATION_WAITS together and {RESERVED_SOCKETS} more:"
            f" {settings.requests + settings.waits + RESERVED_SOCKETS}"
        )
    if settings.demo_links and not settings.url.startswith("http://"):
        raise CommandFailed(
            "FEDERATION_DEMO_LINKS is for the demonstration, at a plain http address of this machine"
        )
    if settings.ca_file is not None:
        check_authorities("FEDERATION_CA_FILE", settings.ca_file)
    mail_server(settings)
    check_identity_provider(settings)
    return settings


def _time_zone(name: str) -> str:
    """A name of the IANA database. Raises CommandFailed."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise CommandFailed(
            f"FEDERATION_TIME_ZONE is {name!r}; it must be a name of the IANA database, as Europe/Paris"
        ) from None
    return name


def _security_contact(environment: Mapping[str, str]) -> str | None:
    """The URL that reports of weaknesses go to (RFC 9116, 2.5.3). Raises CommandFailed."""
    contact = environment.get("FEDERATION_SECURITY_CONTACT", "").strip()
    if not contact:
        return None
    try:
        parts = urlsplit(contact)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    good = len(contact) <= MAX_CONTACT and all("!" <= char <= "~" for char in contact)
    if parts.scheme == "mailto":
        good = good and is_mailbox(parts.path)
    else:
        good = good and parts.scheme == "https" and bool(HOST.fullmatch(host)) and "@" not in contact
    if not good:
        raise CommandFailed(
            f"FEDERATION_SECURITY_CONTACT is {contact!r}; it must be as mailto:security@example.org or"
            " https://example.org/security"
        )
    return contact
