"""A node to be attacked: behind a real HTTP server, without rate limits, and all that it logs is kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2

from federation.domain.peer import PeerState
from federation.node.node import Node
from federation.server import serve
from federation.server.app import application
from federation.settings.settings import Settings
from federation.telemetry import JsonLines
from tests.attack.forged_tokens import ASSERTION, Party
from tests.nodes import NO_TLS, answers, free_port
from tests.waiting import MAX_WAIT_SECONDS

GRANT = {"grant_type": "client_credentials"}
HTTP_CLIENTS = ("httpx2", "httpcore2", "asyncio")
"""Who logs here and is not the node."""


class Logged(logging.Handler):
    """Every line that a node has written, at every level."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.failed: list[str] = []
        """What was answered with 5xx."""
        self.answered: list[tuple[str, int]] = []
        """Path and status of each answer."""
        self.named = ""
        """What such an answer may say in its line, where a test is about one."""
        self._format = JsonLines()

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(HTTP_CLIENTS):
            return
        line = self._format.format(record)
        self.lines.append(line)
        if record.name == "federation.requests":
            path, status = getattr(record, "path", ""), getattr(record, "status", 0)
            self.answered.append((path, status))
            if status >= 500:
                self.failed.append(line)

    @property
    def only_refusals(self) -> bool:
        """Whether nothing at all went well, of what was asked."""
        asked = [status for path, status in self.answered if not path.startswith("/health")]
        return bool(asked) and min(asked) >= 300


@contextmanager
def logged() -> Iterator[Logged]:
    """Keep what is logged while the block lasts, whatever the level is otherwise."""
    root = logging.getLogger()
    handler, level = Logged(), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


class Running:
    """A node that serves at ``at`` and is known as ``url``."""

    def __init__(self, url: str, at: str, node: Node, client: httpx2.AsyncClient) -> None:
        self.url, self.at, self.node, self.client = url, at, node, client
        self.endpoint = f"{url}/oauth2/token"

    async def knows(self, party: Party, state: PeerState = "active", *, private: bool = True) -> Party:
        """Let it know a peer, as if it had joined."""
        async with self.node.store.write() as tx:
            await tx.peers.add(party.known(state, private=private))
        return party

    async def token_answer(
        self,
        party: Party,
        assertion: str | None = None,
        proof: str | tuple[str, ...] | None = None,
        **form: str,
    ) -> httpx2.Response:
        """Ask for a peer's token."""
        assertion = party.assertion(self.url) if assertion is None else assertion
        proof = party.proof("POST", self.endpoint) if proof is None else proof
        said = {**GRANT, "client_assertion_type": ASSERTION, "client_assertion": assertion, **form}
        return await self.client.post("/oauth2/token", data=said, headers=proofs_of(proof))

    async def token(self, party: Party) -> str:
        got = await self.token_answer(party)
        assert got.status_code == 200, got.text
        token: str = got.json()["access_token"]
        return token

    async def ask(
        self,
        path: str,
        token: str | None = None,
        party: Party | None = None,
        *,
        method: str = "GET",
        scheme: str | None = None,
        proof: str | tuple[str, ...] | None = None,
        **said: Any,
    ) -> httpx2.Response:
        """Ask with a token: a peer's with a new proof, or an own client's."""
        headers: list[tuple[str, str]] = []
        if token is not None:
            headers.append(("authorization", f"{scheme or ('DPoP' if party else 'Bearer')} {token}"))
        if proof is None and party is not None and token is not None:
            proof = party.proof(method, f"{self.url}{path.split('?')[0]}", token)
        headers += proofs_of(proof or ())
        return await self.client.request(method, path, headers=headers, **said)

    async def client_token(self, credentials: tuple[str, str], *scopes: str) -> str:
        """A token of one of the operator's own clients."""
        form = {**GRANT, **({"scope": " ".join(scopes)} if scopes else {})}
        got = await self.client.post("/oauth2/token", data=form, auth=credentials)
        assert got.status_code == 200, got.text
        token: str = got.json()["access_token"]
        return token

    async def join(self, body: Any, secret: str | None, **said: Any) -> httpx2.Response:
        headers = {} if secret is None else {"authorization": f"Bearer {secret}"}
        return await self.client.post("/v1/join", json=body, headers={**headers, **said})

    async def state_of(self, operator: str) -> str | None:
        async with self.node.store.read() as tx:
            peer = await tx.peers.find(operator)
        return peer.state if peer else None


def proofs_of(proof: str | tuple[str, ...]) -> list[tuple[str, str]]:
    return [("dpop", one) for one in ((proof,) if isinstance(proof, str) else proof)]


@asynccontextmanager
async def running(
    operator: str, dsn: str, *, url: str | None = None, sync: bool = False, rate: int = 0
) -> AsyncIterator[Running]:
    """A node that serves; with ``url`` another process of the node that is known by that URL."""
    port = free_port()
    at = f"http://127.0.0.1:{port}"
    settings = Settings(
        operator=operator, url=url or at, name=operator.title(), data_dir=Path("/nowhere"), port=port,
        rate=rate, rate_anonymous=rate, connections=10,
    )  # fmt: skip
    app = application(settings, dsn, sync=sync)
    server = serve.listening_server(app, settings)
    under_way = asyncio.ensure_future(server.serve())
    try:
        await answers(f"{at}/health/ready")
        async with httpx2.AsyncClient(
            base_url=at, verify=NO_TLS, trust_env=False, timeout=MAX_WAIT_SECONDS
        ) as client:
            yield Running(url or at, at, app._app.state.node, client)
    finally:
        await app.drain(5)
        server.stop()  # type: ignore[no-untyped-call]
        await under_way
