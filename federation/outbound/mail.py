"""Alerts by e-mail, handed over to the operator's own mail server (RFC 5321, RFC 6409).

The server is the administrator's choice, of the environment and of nothing that comes over HTTP, so it may be
at an address that is not public. What it may cost is bounded: the time of an attempt as a whole, and by the
library the size of each reply.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime

import aiosmtplib

from federation.domain.alert import Letter
from federation.domain.errors import CommandFailed, Unreachable
from federation.domain.feed import printable
from federation.settings.files import read_password
from federation.settings.mail_server import MailServer
from federation.settings.urls import is_loopback

REPLY_SECONDS = 30.0
"""Seconds after which a mail server that says nothing is given up."""
SEND_SECONDS = 90.0
"""Seconds within which it must have taken a message, from the connection on."""
QUIT_SECONDS = 5.0
"""Seconds to take leave of it. What it has taken is taken, whatever comes of this."""
SENDER_REFUSALS = frozenset({530, 534, 535, 538})
"""Refusals of who we are (RFC 4954): an administrator will mend that, and then the same message is taken."""


class Mailer:
    """Sends through one server, with a connection for each message: alerts are few and far between."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._domain = server.sender.rpartition("@")[2]
        self._trust: ssl.SSLContext | None = None
        if server.security != "none":
            self._trust = ssl.create_default_context(cafile=server.ca_file)
            self._trust.hostname_checks_common_name = False  # RFC 9525: a subject is no host name

    async def send(self, letter: Letter) -> None:
        """Raises Unreachable when the server does not take it; ``final`` when it said that it never will."""
        where = self._server
        server = aiosmtplib.SMTP(
            hostname=where.host,
            port=where.port,
            use_tls=where.security == "tls",
            # Never left to what the server offers: who is in between could take the offer out (RFC 3207, 6).
            start_tls=where.security == "starttls",
            tls_context=self._trust,
            local_hostname=self._domain,
            timeout=REPLY_SECONDS,
        )
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._open(server)
                await server.send_message(self._message(letter), sender=where.sender, recipients=[letter.to])
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            server.close()
            raise _refusal(error) from None
        except BaseException:
            server.close()
            raise
        with suppress(aiosmtplib.SMTPException, OSError):
            async with asyncio.timeout(QUIT_SECONDS):
                await server.quit()
        server.close()

    async def _open(self, server: aiosmtplib.SMTP) -> None:
        """Raises what the library does, and Unreachable."""
        await server.connect()
        if self._server.security == "none":
            address = (server.get_transport_info("peername") or ("",))[0]
            if not is_loopback(address):
                raise Unreachable(
                    f"{self._server.host} is {address}, and mail without TLS stays on this machine"
                )
        if self._server.user:
            await server.login(self._server.user, self._password())

    def _password(self) -> str:
        if self._server.password_file is None:
            return self._server.password
        try:
            return read_password(self._server.password_file)
        except CommandFailed as error:
            raise Unreachable(str(error)) from None

    def _message(self, letter: Letter) -> EmailMessage:
        message = EmailMessage(WIRE)
        message["From"] = Address(addr_spec=self._server.sender)
        message["To"] = Address(addr_spec=letter.to)
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(letter.at)
        message["Message-ID"] = f"<{letter.id}@{self._domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence is an answer to it
        message.set_content(letter.text, cte="7bit" if letter.text.isascii() else "quoted-printable")
        return message


def _refusal(error: Exception) -> Unreachable:
    """The error for an administrator, bounded, without any text of a login."""
    if isinstance(error.__cause__, ssl.SSLCertVerificationError):
        error = error.__cause__
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            return Unreachable(f"the mail server does not let us in: {error.code}")
        case aiosmtplib.SMTPRecipientsRefused(recipients=[aiosmtplib.SMTPRecipientRefused() as one, *_]):
            return _of_message(one)
        case aiosmtplib.SMTPSenderRefused() | aiosmtplib.SMTPDataError():
            return _of_message(error)
        case aiosmtplib.SMTPResponseException():
            return Unreachable(f"the mail server is not ready: {error.code} {printable(error.message, 200)}")
        case TimeoutError():
            return Unreachable("the mail server did not answer in time")
        case ssl.SSLCertVerificationError():
            return Unreachable(f"the mail server's certificate does not hold: {error.verify_message[:200]}")
    return Unreachable(
        f"the mail server cannot be used: {printable(str(error) or type(error).__name__, 200)}"
    )


def _of_message(error: aiosmtplib.SMTPResponseException) -> Unreachable:
    """A refusal of this message: 5xx is for good, 4xx for now (RFC 5321, 4.2.1)."""
    return Unreachable(
        f"the mail server refused it: {error.code} {printable(error.message, 200)}",
        final=500 <= error.code < 600 and error.code not in SENDER_REFUSALS,
    )
