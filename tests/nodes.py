"""Nodes for tests: in this process, behind an HTTP client or a real HTTP server, or as real processes."""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from litestar import Litestar

from federation.domain.draft import Draft, check_draft
from federation.domain.entry import EntryPage, FeedEntry
from federation.domain.feed import Cursor, FeedName
from federation.domain.peer import Peer
from federation.domain.registry import TYPES
from federation.domain.scopes import SCOPES
from federation.domain.visibility import Caller, itself
from federation.edge.limits import Limits
from federation.node import exclusions, exposure_index, feeds, records
from federation.node.edits import WriteResult
from federation.node.keys import DPoPSigner
from federation.node.node import Node
from federation.server.app import api, application, attach
from federation.server.local_node import node_of
from federation.server.observed import ObservedApplication
from federation.settings.settings import Settings
from federation.telemetry import Metrics
from tests.stores import spare_store
from tests.waiting import MAX_WAIT_SECONDS

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody: nothing here is behind TLS, and to read the authorities of the system takes 20 ms."""


@asynccontextmanager
async def a_node(
    operator: str,
    dsn: str,
    *,
    url: str | None = None,
    clock: Callable[[], datetime] | None = None,
) -> AsyncIterator[Node]:
    """A node over a database whose schema is up to date. Its exposure index is refreshed on request."""
    settings = Settings(
        operator=operator,
        url=url or f"http://{operator}.test",
        name=operator.title(),
        data_dir=Path("/nowhere"),
    )
    async with (
        spare_store(dsn) as store,
        node_of(settings, store) as node,
        exposure_index.running(node, seconds=None),
    ):
        if clock is not None:
            node.clock = clock
        yield node


SPARE_APPS: list[Litestar] = []
"""Applications that no test uses now: to make one takes 0.1 s."""


@contextmanager
def app_of(node: Node, limits: Limits | None = None) -> Iterator[Litestar]:
    """The HTTP application of a node, with no memory of the node it had before."""
    app = SPARE_APPS.pop() if SPARE_APPS else api()
    attach(app, node)
    app.state.limits = limits or Limits()
    app.state.states = type(app.state.states)()
    try:
        yield app
    finally:
        SPARE_APPS.append(app)


@asynccontextmanager
async def browsing(node: Node) -> AsyncIterator[httpx2.AsyncClient]:
    """An HTTP client of the node's application, without a network. (Streams come whole.)"""
    with app_of(node) as app:
        transport = httpx2.ASGITransport(app=ObservedApplication(app, Metrics()), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=node.url, auth=Proving()) as client:
            yield client


class Proving(httpx2.Auth):
    """Adds the DPoP proof that a peer's request needs, and leaves all others alone."""

    requires_request_body = True

    def __init__(self) -> None:
        self.prover = DPoPSigner()

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response]:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        url = str(request.url).split("?")[0]
        if "dpop" not in request.headers:
            if scheme.lower() == "dpop":
                request.headers["dpop"] = self.prover.proof(request.method, url, token)
            elif request.url.path == "/oauth2/token" and b"client_assertion" in request.content:
                request.headers["dpop"] = self.prover.proof(request.method, url)
        yield request


async def a_client(node: Node, *scopes: str, name: str = "erp") -> tuple[str, str]:
    """Id and secret of a client of the node's own operator; with every scope if none is named."""
    client_id, secret = f"client-{name}", f"secret-of-{name}"
    async with node.store.write() as tx:
        await tx.clients.add(
            client_id, name, hashlib.sha256(secret.encode()).digest(), scopes or tuple(SCOPES)
        )
    return client_id, secret


async def a_token(node: Node, client: httpx2.AsyncClient, *scopes: str, name: str = "erp") -> dict[str, str]:
    """The Authorization header of a new client with these scopes, got at the token endpoint."""
    return await another_token(client, await a_client(node, *scopes, name=name))


async def another_token(client: httpx2.AsyncClient, credentials: tuple[str, str]) -> dict[str, str]:
    """The Authorization header of a client that is known, got at the token endpoint: it holds for minutes."""
    answer = await client.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=credentials)
    assert answer.status_code == 200, answer.text
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


async def introduce(*nodes: Node) -> None:
    """Make these nodes peers of one another."""
    for node in nodes:
        for other in nodes:
            if other is not node:
                async with node.store.write() as tx:
                    await tx.peers.add(peer_of(other))


def peer_of(node: Node) -> Peer:
    """What another node stores of this one."""
    return Peer(
        operator=node.operator,
        url=node.url,
        name=node.name,
        state="active",
        keys=node.keyring.public(),
        thumbprint=node.keyring.kid,
        added_at=datetime.now(UTC),
        private=True,
    )


async def as_peer(node: Node, operator: str) -> Caller:
    """The caller that a peer is at a node, with the groups it is in and the origins that exclude it now."""
    return await exclusions.peer_caller(node, Caller(node=node.operator, operator=operator, client=operator))


async def publish(
    node: Node, type_name: str, key: str, content: dict[str, Any], **envelope: Any
) -> WriteResult:
    """Publish a record as the node's own operator."""
    shape: Any = Draft
    kind = TYPES[type_name]
    draft = check_draft({"content": content, **envelope}, shape[kind])
    return await records.publish(node, kind, draft, node.operator, key, by=itself(node.operator))


class InMemory:
    """The feeds of a node in this process, as a peer reads them: a ``Source`` without a network."""

    def __init__(self, node: Node, reader: str, *, limit: int = 1_000) -> None:
        self._node = node
        self._reader = reader
        self._limit = limit

    async def changes(self, feed: FeedName, after: Cursor | None) -> AsyncIterator[EntryPage]:
        from federation.api.entries import entry_line
        from federation.sync.peer_client import PeerSource

        more = True
        while more:
            caller = await as_peer(self._node, self._reader)
            page = await feeds.changes(self._node, feed, after, by=caller, limit=self._limit)
            entries: tuple[FeedEntry, ...] = tuple(PeerSource._entry(entry_line(row)) for row in page.rows)
            yield EntryPage(entries=entries, cursor=page.cursor, more=page.more)
            after, more = page.cursor, page.more


@asynccontextmanager
async def served(
    operator: str,
    dsn: str,
    *,
    sync: bool = True,
    known_as: str | None = None,
    limits: bool = True,
    **changes: Any,
) -> AsyncIterator[str]:
    """A node behind a real HTTP server in this process; yields where it listens.

    ``known_as``: the node's URL, when this is one more process of it. Without ``limits`` every request of
    any rate is answered. ``changes``: other settings.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = Settings(
        operator=operator, url=known_as or url, name=operator.title(), data_dir=Path("/nowhere"), port=port
    )
    if not limits:
        settings = msgspec.structs.replace(settings, rate=0, rate_anonymous=0)
    settings = msgspec.structs.replace(settings, **changes)
    app = application(settings, dsn, sync=sync)
    server = Server(
        app,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    serving = asyncio.ensure_future(server.serve())
    try:
        await answers(f"{url}/health/ready")
        yield url
    finally:
        await app.drain(5)
        server.stop()  # type: ignore[no-untyped-call]
        await serving


async def answers(url: str, *, seconds: float = MAX_WAIT_SECONDS) -> None:
    """Wait until a URL answers 200."""
    async with asyncio.timeout(seconds), httpx2.AsyncClient(verify=NO_TLS, trust_env=False) as client:
        while True:
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx2.HTTPError:
                pass
            await asyncio.sleep(0.01)


def free_port() -> int:
    """A port of this machine that nobody listens on.

    Not one of those that the system gives to outgoing connections: one of them could take it meanwhile.
    """
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
