"""Settings, from the environment (``FEDERATION_*``) and the command line."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from federation.domain.alert import is_mailbox
from federation.domain.claim_rule import ClaimRule, read_rules
from federation.domain.errors import CommandFailed
from federation.domain.quota import Quota
from federation.domain.values import OPERATOR_PATTERN

Network = IPv4Network | IPv6Network
MAX_CONTACT = 500
"""Characters of the security contact, at most."""

RESERVED_SOCKETS = 64
"""Connections that requests and waits leave free: for health checks and administration."""
_QUOTA = Quota()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a node. Each member is read from the variable ``FEDERATION_`` and its name."""

    operator: str
    """Id of the operator, for ever: every record carries it."""
    url: str
    """Base URL at which others reach the node; issuer of its tokens."""
    name: str
    """The operator's name, for people."""
    data_dir: Path
    """Where the embedded PostgreSQL keeps its data, when no database is named."""
    database_url: str | None = None
    """``postgresql://…``; without it the node runs its own PostgreSQL."""
    host: str = "127.0.0.1"
    """Address the API listens on."""
    port: int = 8470
    """Port the API listens on."""
    connections: int = 10
    """Database connections of one process, at most."""
    ca_file: Path | None = None
    """Authorities (PEM) that certificates of peers and webhooks may be of, beside the system's."""
    log_level: str = "INFO"
    smtp_url: str | None = None
    """``smtps://user@host:465``: the mail server for alerts; without it none are sent by e-mail."""
    smtp_password_file: Path | None = None
    """File that holds the password of the URL's user, and nothing else."""
    smtp_ca_file: Path | None = None
    """Authorities (PEM) that the mail server's certificate is held against, instead of the system's."""
    mail_from: str | None = None
    """Mailbox that alerts are sent from."""
    rate: int = 200
    """Requests a second of one client or peer, at most; 0 for no limit."""
    rate_anonymous: int = 50
    """Requests a second of one address without a token, at most; 0 for no limit that goes by addresses."""
    requests: int = 384
    """Requests under way in one process, at most, beside those that wait."""
    requests_per_caller: int = 128
    """The same of one client, peer or address."""
    waits: int = 512
    """Requests that wait for changes, and open streams, of one process, at most."""
    waits_per_caller: int = 32
    """The same of one client or peer."""
    sockets: int = 1_024
    """Connections to the API of one process; beyond them, idle ones are closed."""
    sockets_per_address: int = 256
    """The same of one address that is no proxy."""
    drain_seconds: int = 5
    """Seconds that a process goes on serving after SIGTERM, while it reports that it is not ready."""
    tombstones_days: int = 90
    """Days that tombstones and withdrawals are kept: a peer that is away for longer compares everything."""
    quota_records: int = _QUOTA.records
    """Records of one peer that are stored, with tombstones, unless it has bounds of its own."""
    quota_mebibytes: int = _QUOTA.mebibytes
    """Mebibytes of their documents."""
    quota_feeds: int = _QUOTA.feeds
    """Feeds of one peer."""
    quota_rejected: int = _QUOTA.rejected
    """Rejected entries of one peer."""
    quota_entries: int = _QUOTA.entries
    """Entries of one peer within an hour."""
    alerts_an_hour: int = 20
    """Alerts of one origin that a subscription gets one by one within an hour; a digest has the others."""
    proxies: tuple[Network, ...] = ()
    """Where the proxies are whose ``X-Forwarded-For`` is believed."""
    time_zone: str = "Europe/Paris"
    """Time zone in which pages show moments, by its name in the IANA database."""
    texts_dir: Path | None = None
    """Directory with the operator's own texts of pages: ``accessibility.fr.md``, ``legal.fr.md``."""
    oidc_issuer: str | None = None
    """Issuer of the identity provider by which people log in (OpenID Connect); without it none is used."""
    oidc_client_id: str | None = None
    """Id of this node as a client of it."""
    oidc_secret_file: Path | None = None
    """File that holds the secret of that client, and nothing else."""
    oidc_scopes: str = "openid profile"
    """Scopes that are asked for, separated by spaces."""
    oidc_name: str | None = None
    """Name of the identity provider on the login page."""
    oidc_rules: tuple[ClaimRule, ...] = ()
    """Roles of people by a claim; without a rule only those are let in who were invited."""
    oidc_private: bool = False
    """The identity provider may be at an address that is not public."""
    demo_links: bool = False
    """Login links of the demonstration hold: at a plain http address of the loopback interface only."""
    security_contact: str | None = None
    """``mailto:`` or ``https:`` URL for reports of weaknesses, shown in ``/.well-known/security.txt``."""

    @property
    def quota(self) -> Quota:
        """The bounds of each peer that has none of its own."""
        return Quota(
            records=self.quota_records,
            mebibytes=self.quota_mebibytes,
            feeds=self.quota_feeds,
            rejected=self.quota_rejected,
            entries=self.quota_entries,
        )


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
    _check_identity_provider(settings)
    return settings


def _check_identity_provider(settings: Settings) -> None:
    """Raises CommandFailed that names the variable at fault, for half of an identity provider too."""
    issuer = settings.oidc_issuer
    if issuer is None:
        for name in ("oidc_client_id", "oidc_secret_file", "oidc_name", "oidc_rules"):
            if getattr(settings, name):
                raise CommandFailed(f"FEDERATION_{name.upper()} is set, and FEDERATION_OIDC_ISSUER is not")
        return
    try:
        parts = urlsplit(issuer)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    plain = parts.scheme == "http" and is_loopback(host)
    if (
        not (parts.scheme == "https" or plain)
        or not _HOST.fullmatch(host)
        or parts.query
        or parts.fragment
        or "@" in issuer
    ):
        raise CommandFailed(
            f"FEDERATION_OIDC_ISSUER is {issuer.rpartition('@')[2]!r}; it must be the https URL of its"
            " issuer, as its discovery document names it"
        )
    if settings.oidc_client_id is None or settings.oidc_secret_file is None:
        raise CommandFailed(
            "FEDERATION_OIDC_ISSUER needs FEDERATION_OIDC_CLIENT_ID and FEDERATION_OIDC_SECRET_FILE beside it"
        )
    if "openid" not in settings.oidc_scopes.split(" "):
        raise CommandFailed("FEDERATION_OIDC_SCOPES must have openid among its scopes")
    read_password(settings.oidc_secret_file, variable="FEDERATION_OIDC_SECRET_FILE")


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
        good = good and parts.scheme == "https" and bool(_HOST.fullmatch(host)) and "@" not in contact
    if not good:
        raise CommandFailed(
            f"FEDERATION_SECURITY_CONTACT is {contact!r}; it must be as mailto:security@example.org or"
            " https://example.org/security"
        )
    return contact


def check_authorities(name: str, file: Path) -> None:
    """Raises CommandFailed, which names the variable, unless the file holds certificates (PEM)."""
    try:
        ssl.create_default_context(cafile=file)
    except ssl.SSLError:
        raise CommandFailed(f"{name} holds no certificate that can be read (PEM)") from None
    except OSError as error:
        raise CommandFailed(f"{name} cannot be read: {error.strerror}") from None


def base_url(url: str) -> str:
    """The URL at which others reach the node. Raises Broken that names the variable.

    Plain http is for the loopback interface: tokens and records go over it. Behind a proxy the URL is the
    public one, which is https, whatever the proxy speaks with the node.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    wrong = CommandFailed(
        # Nothing of what was set is told where it may hold a password.
        f"FEDERATION_URL is {url.rpartition('@')[2]!r}; it must be the node's base URL, such as"
        " https://node.example.org, with no user, query or fragment"
    )
    if not _HOST.fullmatch(host) or port == 0:
        raise wrong
    if parts.scheme not in ("http", "https") or parts.query or parts.fragment or "@" in url:
        raise wrong
    # (An empty port is allowed by RFC 3986 and taken in different ways by those who read it.)
    if parts.netloc.endswith(":") or any(char.isspace() or char in "\\?#" for char in url):
        raise wrong
    if parts.scheme == "http" and not is_loopback(host):
        raise CommandFailed(
            f"FEDERATION_URL is {url!r}; plain http is for the loopback interface only. Behind a proxy that"
            f" terminates TLS, set the public URL: https://{parts.netloc}"
        )
    return url


_HOST = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|[0-9a-f:.]*:[0-9a-f:.]*")


def is_loopback(host: str) -> bool:
    """Return True for a host that is this machine: by its address, as ``localhost``, or by a name under it.

    Names under ``localhost`` are of this machine for everybody (RFC 6761, 6.3).
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


_CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": (
        "any", "primary", "standby", "read-write", "read-only", "prefer-standby",
    ),
}  # fmt: skip
"""Parameters of a database's URL that have a few values (libpq's words, as asyncpg reads them)."""


def check_database_url(url: str) -> None:
    """Raises Broken that names the variable, and tells nothing of a password."""

    def wrong(reason: str) -> CommandFailed:
        return CommandFailed(
            f"FEDERATION_DATABASE_URL {reason}; it must be as postgresql://user:password@host:5432/database"
        )

    if not url.startswith(("postgresql://", "postgres://")):
        raise wrong("does not begin with postgresql://")
    try:
        parts = urlsplit(url)
        security = parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        raise wrong("cannot be read as a URL") from None
    # Several hosts may be named, each with a port; in brackets when they are IPv6 addresses.
    places = [re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::(.*))?", p) for p in _hosts(parts.netloc)]
    if None in places:
        raise wrong("names a host that cannot be read (a password is percent-encoded)")
    ports = [place[2] for place in places if place and place[2] is not None]
    ports += [port for values in security.get("port", ()) for port in values.split(",")]
    for port in ports:
        if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65_535):
            raise wrong("names a port that is no number from 1 to 65535")
    for name, choices in _CHOICES.items():
        for value in security.get(name, ()):
            if value not in choices:
                raise wrong(f"has a {name} that is none of {', '.join(choices)}")


def _hosts(netloc: str) -> list[str]:
    return netloc.rpartition("@")[2].split(",")


# The mail server


class MailServer(msgspec.Struct, frozen=True, kw_only=True):
    """The mail server for alerts, and its credentials."""

    host: str
    port: int
    security: Literal["tls", "starttls", "none"]
    """TLS from the start (RFC 8314), STARTTLS which must succeed (RFC 3207), or neither."""
    user: str = ""
    password: str = ""
    password_file: Path | None = None
    """Read at each login: a password that is changed there needs no restart."""
    ca_file: Path | None = None
    sender: str


_SECURITY: dict[str, tuple[Literal["tls", "starttls", "none"], int]] = {
    "smtps": ("tls", 465),
    "smtp": ("starttls", 587),
    "smtp+plain": ("none", 25),
}
_LIKE = "it must be as smtps://user@mail.example.org:465"
MAX_PASSWORD_BYTES = 1_024
"""Bytes of a password file, at most."""


def mail_server(settings: Settings) -> MailServer | None:
    """The mail server that settings name. Raises Broken for half of one, and names the variable.

    No message tells anything of the URL, which may hold a password.
    """
    if settings.smtp_url is None:
        for name in ("smtp_password_file", "smtp_ca_file", "mail_from"):
            if getattr(settings, name) is not None:
                raise CommandFailed(
                    f"FEDERATION_{name.upper()} is set, and FEDERATION_SMTP_URL is not: {_LIKE}"
                )
        return None
    try:
        parts = urlsplit(settings.smtp_url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise CommandFailed(f"FEDERATION_SMTP_URL cannot be read as a URL; {_LIKE}") from None
    if parts.scheme not in _SECURITY or not _HOST.fullmatch(host) or port == 0:
        raise CommandFailed(f"FEDERATION_SMTP_URL names no mail server; {_LIKE}, or smtp:// with STARTTLS")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise CommandFailed(
            f"FEDERATION_SMTP_URL has more than a server in it (%-encode a password); {_LIKE}"
        )
    security, usual = _SECURITY[parts.scheme]
    if security == "none" and not is_loopback(host):
        raise CommandFailed("FEDERATION_SMTP_URL is smtp+plain, which is for the loopback interface only")
    if security == "none" and settings.smtp_ca_file is not None:
        raise CommandFailed(
            "FEDERATION_SMTP_CA_FILE is set, and the server of FEDERATION_SMTP_URL is without TLS"
        )
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if password and settings.smtp_password_file is not None:
        raise CommandFailed(
            "FEDERATION_SMTP_PASSWORD_FILE is set, and FEDERATION_SMTP_URL has a password already"
        )
    if not user and (password or settings.smtp_password_file is not None):
        raise CommandFailed("FEDERATION_SMTP_URL has no user for the password")
    if user and not (password or settings.smtp_password_file is not None):
        raise CommandFailed("FEDERATION_SMTP_PASSWORD_FILE is not set, and FEDERATION_SMTP_URL names a user")
    if settings.mail_from is None or not is_mailbox(settings.mail_from):
        raise CommandFailed(
            "FEDERATION_MAIL_FROM must be the mailbox that alerts are sent from: federation@example.org"
        )
    if settings.smtp_password_file is not None:
        read_password(settings.smtp_password_file)
    if settings.smtp_ca_file is not None:
        check_authorities("FEDERATION_SMTP_CA_FILE", settings.smtp_ca_file)
    return MailServer(
        host=host,
        port=port or usual,
        security=security,
        user=user,
        password=password,
        password_file=settings.smtp_password_file,
        ca_file=settings.smtp_ca_file,
        sender=settings.mail_from,
    )


def read_password(file: Path, variable: str = "FEDERATION_SMTP_PASSWORD_FILE") -> str:
    """The password that a file holds: one line. Raises Broken that tells nothing of it."""
    try:
        with file.open("rb") as opened:
            reason = opened.read(MAX_PASSWORD_BYTES + 1).decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise CommandFailed(f"{variable} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        reason = ""
    if not reason or len(reason) > MAX_PASSWORD_BYTES or not reason.isprintable():
        raise CommandFailed(f"{variable} must hold a password, in one line")
    return reason
