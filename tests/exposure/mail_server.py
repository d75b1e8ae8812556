"""A mail server for tests: a real one, which takes or refuses what the test says, and keeps what it took."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

USER, PASSWORD = "federation@example.org", "a pass%wörd"


class Postbox:
    """What arrived at a mail server, and how it answers."""

    def __init__(self) -> None:
        self.answers: dict[str, list[str]] = {}
        """By command (``MAIL``, ``RCPT``, ``DATA``), what it answers in turn; then it takes everything."""
        self.letters: list[EmailMessage] = []
        """What was taken."""
        self.seen: list[EmailMessage] = []
        """What was offered, taken or not."""
        self.envelopes: list[tuple[str, tuple[str, ...]]] = []
        self.logins: list[tuple[str, str, bool]] = []
        """User, password, and whether over TLS."""
        self.password = PASSWORD
        self.goodbyes = 0
        self.port = 0

    def _answer(self, command: str) -> str | None:
        several = self.answers.get(command)
        return several.pop(0) if several else None

    # What aiosmtpd calls

    async def handle_MAIL(
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if (answer := self._answer("MAIL")) is not None:
            return answer
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if (answer := self._answer("RCPT")) is not None:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:
        letter: Any = message_from_bytes(envelope.content, policy=default)
        self.seen.append(letter)
        answer = self._answer("DATA")
        if answer == "hang":
            await asyncio.sleep(3_600)
        if answer is None or answer == "cut":
            self.letters.append(letter)
            self.envelopes.append((envelope.mail_from, tuple(envelope.rcpt_tos)))
        if answer == "cut":  # taken, and gone before anybody says goodbye
            server.transport.write(b"250 OK\r\n")
            server.transport.close()
        return answer or "250 OK"

    async def handle_QUIT(self, _server: Any, _session: Any, _envelope: Any) -> str:
        self.goodbyes += 1
        return "221 Bye"

    def authenticate(
        self, server: Any, _session: Any, _envelope: Any, _mechanism: str, said: Any
    ) -> AuthResult:
        assert isinstance(said, LoginPassword)
        user, password = said.login.decode(), said.password.decode()
        self.logins.append((user, password, server.transport.get_extra_info("sslcontext") is not None))
        return AuthResult(success=(user, password) == (USER, self.password), handled=False)


@asynccontextmanager
async def mail_server(
    box: Postbox | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
    login: bool = False,
    port: int = 0,
) -> AsyncIterator[Postbox]:
    """A mail server on the loopback interface, while the block lasts."""
    found = box or Postbox()

    def protocol() -> SMTP:
        return SMTP(
            found, hostname="mail.test", tls_context=starttls, require_starttls=starttls is not None,
            authenticator=found.authenticate,
            # Over implicit TLS aiosmtpd does not know that there is any.
            auth_required=login and tls is None, auth_require_tls=tls is None,
            loop=asyncio.get_running_loop(),
        )  # fmt: skip

    async with _listening(protocol, port, tls) as found.port:
        yield found


@asynccontextmanager
async def _listening(
    protocol: Callable[[], asyncio.Protocol], port: int, tls: ssl.SSLContext | None
) -> AsyncIterator[int]:
    opened: list[Any] = []

    def noted() -> asyncio.Protocol:
        one = protocol()
        opened.append(one)
        return one

    server = await asyncio.get_running_loop().create_server(noted, "127.0.0.1", port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for one in opened:
            if one.transport is not None:
                one.transport.close()
            if one._handler_coroutine is not None:
                one._handler_coroutine.cancel()
        await asyncio.sleep(0)
