"""The mail server that settings name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from federation.domain.alert import is_mailbox
from federation.domain.errors import CommandFailed
from federation.settings.files import check_authorities, read_password
from federation.settings.settings import Settings
from federation.settings.urls import HOST, is_loopback


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
    if parts.scheme not in _SECURITY or not HOST.fullmatch(host) or port == 0:
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
