"""What the tests of the API ask with, and how they look at what was answered and at what was left behind."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import asyncpg
import httpx2

from federation.domain.alert import Letter
from federation.domain.errors import Unreachable
from federation.domain.feed import Head
from federation.domain.peer import IntroducedPeer, Peer
from federation.domain.registry import TYPES
from federation.edge.operations import Operation, table
from federation.node.node import Node
from federation.server.app import api
from tests.nodes import NO_TLS, a_client, a_node, served
from tests.waiting import MAX_WAIT_SECONDS

JSON = {"content-type": "application/json"}
PATCH = {"content-type": "application/merge-patch+json"}
NDJSON = {"content-type": "application/x-ndjson"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def refused(answer: httpx2.Response, status: int, code: str, *, pointer: str | None = None) -> dict[str, Any]:
    """The problem of an answer that must be one (RFC 9457)."""
    assert answer.status_code == status, (answer.status_code, answer.text[:500])
    assert answer.headers["content-type"].startswith("application/problem+json")
    told: dict[str, Any] = answer.json()
    assert (told["type"], told["code"]) == (f"urn:federation:problem:{code}", code), told
    assert told["status"] == status
    assert told["title"]
    if pointer is not None:
        assert [fault["pointer"] for fault in told["errors"]] == [pointer], told
    return told


def fine(answer: httpx2.Response, *statuses: int) -> Any:
    """The JSON of an answer that is none of the refusals; None without a body."""
    assert answer.status_code in (statuses or (200, 201, 204)), (answer.status_code, answer.text[:500])
    return answer.json() if answer.content else None


async def put(client: httpx2.AsyncClient, name: str, content: Any, **envelope: Any) -> httpx2.Response:
    """Publish ``plural/key`` of arnia's."""
    plural, key = name.split("/", 1)
    headers = envelope.pop("headers", {})
    body = {"content": content, **envelope}
    return await client.put(f"/v1/{plural}/arnia/{key}", json=body, headers=headers)


async def patch(client: httpx2.AsyncClient, name: str, change: Any, **headers: str) -> httpx2.Response:
    plural, key = name.split("/", 1)
    return await client.patch(
        f"/v1/{plural}/arnia/{key}",
        content=json.dumps(change).encode(),
        headers={**PATCH, **{name.replace("_", "-"): value for name, value in headers.items()}},
    )


def ndjson(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def lines(answer: httpx2.Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.text.splitlines()]


async def upload(
    client: httpx2.AsyncClient, body: bytes | AsyncIterator[bytes], plural: str = "solutions"
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The lines of the report and its summary."""
    answer = await client.post(f"/v1/{plural}/bulk", content=body, headers=NDJSON)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    *told, last = lines(answer)
    return told, last["summary"]


async def left_behind(node: Node) -> tuple[Any, ...]:
    """Everything that a request could have changed, as numbers."""
    async with node.store.read() as tx:
        state = await tx.feeds.state()
        feeds = await tx.feeds.all()
        connection = tx.records._session.connection
        rows = await connection.fetch(
            "SELECT count(*), coalesce(sum(revision), 0) FROM records"
            " UNION ALL SELECT count(*), 0 FROM withdrawals"
            " UNION ALL SELECT count(*), 0 FROM rejected_entries"
        )
    return (
        state.arrival,
        *(tuple(row) for row in rows),
        *((feed.audience, feed.head, feed.live) for feed in feeds),
    )


async def executed(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


class NextDoor:
    """An ``Outside`` without a network: the nodes that are in this process, and who asks each over HTTP."""

    def __init__(self, *nodes: Node, asking: httpx2.AsyncClient) -> None:
        self.nodes = {node.url: node for node in nodes}
        self.asking = asking
        self.down = False
        """Whether nobody can be reached."""
        self.posted: list[tuple[bytes, dict[str, str]]] = []
        """Bodies and headers of webhooks."""

    def check_url(self, url: str, *, private: bool) -> str:
        return url

    async def introduce(self, url: str, *, private: bool) -> IntroducedPeer:
        node = self.nodes.get(url)
        if node is None or self.down:
            raise Unreachable(f"{url} does not answer")
        return IntroducedPeer(operator=node.operator, name=node.name, url=url, jwks=node.keyring.public())

    async def register(self, url: str, secret: str, request: bytes, *, private: bool) -> bytes:
        headers = {**JSON, "authorization": f"Bearer {secret}"}
        answer = await self.asking.post(f"{url}/v1/join", content=request, headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.content

    sends_mail = False

    def check_webhook(self, url: str, *, private: bool) -> None:
        if not url.startswith("https://"):
            raise Unreachable("a webhook is https")

    async def post_webhook(self, url: str, body: bytes, headers: dict[str, str], *, private: bool) -> int:
        self.posted.append((body, headers))
        return 204

    async def mail(self, letter: Letter) -> None:
        raise Unreachable("this node sends no e-mail")

    async def disconnect(self, peer: Peer) -> None:
        await self.introduce(peer.url, private=peer.private)

    async def heads_at(self, peer: Peer, origin: str) -> tuple[Head, ...]:
        await self.introduce(peer.url, private=peer.private)
        return ()


def resolved(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """A part of the OpenAPI document: itself, or the component that it refers to."""
    if "$ref" not in part:
        return part
    _, _, kind, name = part["$ref"].split("/")
    component: dict[str, Any] = document["components"][kind][name]
    return component


class Case:
    """One operation of the API, with a path that can be asked for."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.method: str = operation.method
        self.template = operation.path
        self.act = operation.act
        self.reads = operation.media_types
        self.right = operation.right
        plural = operation.path.split("/")[2] if operation.path.startswith("/v1/") else ""
        self.kind = next((kind for kind in TYPES.values() if kind.plural == plural), None)
        """The type whose records the operation is on, if it is on records."""

    @property
    def path(self) -> str:
        """With the parameters filled in."""
        parts = {
            "{origin:str}": "arnia",
            "{key:str}": "one",
            "{audience:str}": "public",
            "{form:str}": "cve",
            "{body_id:str}": "cog:71076",
            "{id:str}": "none",
            "{file:str}": "none.json",
            "{feed_file:str}": "incidents.atom",
            "{label:str}": "white",
            "{source:str}": "shelf",
            "{number:str}": "1",
        }
        path = self.template
        for part, value in parts.items():
            path = path.replace(part, value)
        return path

    def __repr__(self) -> str:
        return f"{self.method} {self.template}"


@cache
def operations() -> tuple[Case, ...]:
    """Every operation of programs, in one order; a new one is among them by itself.

    Pages for people have other answers, and tests of their own (``tests/web``).
    """
    listed = (operation for operation in table(api()) if operation.id or operation.tag != "pages")
    return tuple(Case(operation) for operation in listed if operation.method != "OPTIONS")


@asynccontextmanager
async def on_the_wire(dsn: str) -> AsyncIterator[tuple[Node, httpx2.AsyncClient]]:
    """Arnia behind a real HTTP server: another process's node on its database, and its own client."""
    async with (
        served("arnia", dsn, sync=False) as url,
        a_node("arnia", dsn, url=url) as node,
        httpx2.AsyncClient(base_url=url, verify=NO_TLS, trust_env=False, timeout=MAX_WAIT_SECONDS) as client,
    ):
        credentials = await a_client(node)
        got = await client.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=credentials)
        client.headers["authorization"] = f"Bearer {got.json()['access_token']}"
        yield node, client


class Stopwatch:
    """Seconds that a block took, and how many of them this process has worked, whoever else is at work."""

    seconds = 0.0
    worked = 0.0

    def __enter__(self) -> Stopwatch:
        self._began, self._idle = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._began
        self.worked = time.process_time() - self._idle
