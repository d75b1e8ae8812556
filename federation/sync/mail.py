"""Alerts by e-mail, through the operator's own mail server."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import unquote, urlsplit

from federation.domain.errors import Broken, Unreachable

SECONDS = 30.0
"""A mail server that says nothing for so long is given up."""


class Mailer:
    """Sends through one server: ``smtps://`` (TLS from the start) or ``smtp://`` (STARTTLS).

    ``smtp+plain://`` has neither, for a server on the loopback interface.
    """

    def __init__(self, url: str, sender: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Broken("FEDERATION_SMTP_URL cannot be read as a URL") from None
        if parts.scheme not in ("smtp", "smtps", "smtp+plain") or not parts.hostname:
            raise Broken("FEDERATION_SMTP_URL must be as smtps://user:password@mail.example.org:465")
        if parts.scheme == "smtp+plain" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise Broken("FEDERATION_SMTP_URL is smtp+plain, which is for the loopback interface only")
        self._scheme, self._host = parts.scheme, parts.hostname
        self._port = port or {"smtps": 465, "smtp": 587}.get(parts.scheme, 25)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._sender = sender

    async def send(self, to: str, subject: str, text: str) -> None:
        """Raises Unreachable when the server does not take it."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, to, " ".join(subject.split())[:200]
        message["Date"], message["Message-ID"] = (
            formatdate(),
            make_msgid(domain=self._sender.rpartition("@")[2]),
        )
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence is an answer to it
        message.set_content(text)
        try:
            await asyncio.to_thread(self._send, message)
        except (OSError, smtplib.SMTPException) as error:
            raise Unreachable(f"the mail server did not take it: {type(error).__name__}") from None

    def _send(self, message: EmailMessage) -> None:
        trust = ssl.create_default_context()
        if self._scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self._host, self._port, timeout=SECONDS, context=trust)
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=SECONDS)
        with server:
            if self._scheme == "smtp":
                server.starttls(context=trust)
            if self._user:
                server.login(self._user, self._password)
            server.send_message(message)
