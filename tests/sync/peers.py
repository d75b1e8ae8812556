"""Peers that behave as a test wants: entries made by hand, and a tiny HTTP server that says anything."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import msgspec

from federation.domain.canonical import canonical
from federation.domain.entry import EntryPage, FeedEntry
from federation.domain.feed import Cursor, FeedName, Head
from federation.domain.peer import Peer
from federation.node import peer_views
from federation.node.node import Node
from federation.sync.apply import PullResult
from federation.sync.pull import pull
from tests.domain.builders import a_document

EPOCH = "00000000000000aa"
PUBLIC = FeedName("megalis", "public")

Answer = bytes | Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]


def an_entry(
    seq: int, document: dict[str, Any] | bytes | None = None, /, *, op: str | None = None, **said: Any
) -> FeedEntry:
    """An entry of megalis's feed. It says of the document what is true, unless told to say otherwise."""
    if op == "withdraw":
        return msgspec.convert({"seq": seq, "op": op, "type": "solution", "revision": 1, **said}, FeedEntry)
    document = a_document(key=f"k{seq}") if document is None else document
    raw = document if isinstance(document, bytes) else canonical(document)
    members = {} if isinstance(document, bytes) else document
    true: dict[str, Any] = {
        "type": members.get("type", "solution"),
        "key": members.get("key", f"k{seq}"),
        "revision": members.get("revision", 1),
        "hash": hashlib.sha256(raw).hexdigest(),
    }
    kind: Any = op or ("upsert" if "content" in members or isinstance(document, bytes) else "delete")
    return FeedEntry(seq=seq, op=kind, document=msgspec.Raw(raw), **{**true, **said})


class Told:
    """A feed as the test tells it: a ``Source`` of entries made by hand."""

    def __init__(self, *entries: FeedEntry, epoch: str = EPOCH, slices: int = 500) -> None:
        self.entries, self.epoch, self.slices = entries, epoch, slices
        self.asked: list[Cursor | None] = []

    async def changes(self, feed: FeedName, after: Cursor | None) -> AsyncIterator[EntryPage]:
        self.asked.append(after)
        left = [entry for entry in self.entries if after is None or entry.seq > after.seq]
        for start in range(0, len(left), self.slices):
            some = tuple(left[start : start + self.slices])
            yield EntryPage(
                entries=some,
                cursor=Cursor(self.epoch, some[-1].seq),
                more=start + self.slices < len(left),
            )

    @property
    def head(self) -> Head:
        return a_head(self.entries[-1].seq if self.entries else 0, epoch=self.epoch)


def a_head(seq: int, *, epoch: str = EPOCH, name: FeedName = PUBLIC) -> Head:
    return Head(origin=name.origin, audience=name.audience, epoch=epoch, seq=seq, retained_from=0, count=seq)


async def take(node: Node, *entries: FeedEntry, name: FeedName = PUBLIC, epoch: str = EPOCH) -> PullResult:
    """Let a node take these entries of a feed."""
    source = Told(*entries, epoch=epoch)
    return await pull(node, a_head(entries[-1].seq if entries else 0, name=name, epoch=epoch), source)


def reply(
    body: bytes = b"", *, status: int = 200, media_type: str = "application/json", **headers: str
) -> bytes:
    """The bytes of an HTTP answer."""
    lines = [f"HTTP/1.1 {status} Said", f"content-type: {media_type}", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "connection: close", "", ""]).encode() + body


TOKEN = reply(msgspec.json.encode({"access_token": "t", "token_type": "DPoP", "expires_in": 300}))


def heads_of(*heads: Head) -> bytes:
    return reply(msgspec.json.encode({"feeds": heads}), etag='"1"')


def stream(*lines: bytes, epoch: str = EPOCH) -> bytes:
    body = b"".join(lines)
    return reply(body, media_type="application/x-ndjson", federation_epoch=epoch)


def line(entry: FeedEntry) -> bytes:
    return msgspec.json.encode(entry) + b"\n"


class Tiny:
    """An HTTP server of a few lines. ``answers`` is by the beginning of the path; bytes, or what writes."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, Answer] = {"/oauth2/token": TOKEN}
        self.asked: list[str] = []
        self.written = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            self.asked.append(path)
            answer = next((a for begin, a in self.answers.items() if path.startswith(begin)), None)
            if answer is None:
                answer = reply(status=404)
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await answer(writer, head)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def tiny(**answers: Answer) -> AsyncIterator[Tiny]:
    """A tiny server; answers by name: ``token``, ``feeds`` (the heads) and ``changes``."""
    peer = Tiny()
    paths = {"token": "/oauth2/token", "changes": "/v1/feeds/", "feeds": "/v1/feeds"}
    for name in ("token", "changes", "feeds"):
        if name in answers:
            peer.answers[paths[name]] = answers[name]
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        running.add(task)
        try:
            await peer._serve(reader, writer)
        finally:
            running.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield peer
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def known_as(operator: str, url: str) -> Peer:
    """A peer that is known by nothing but its address."""
    return Peer(
        operator=operator,
        url=url,
        name=operator,
        state="active",
        keys={"keys": []},
        thumbprint="none",
        added_at=datetime.now(UTC),
        private=True,
    )


async def reasons(node: Node) -> dict[str, str]:
    """What was set aside: key and reason."""
    return {one.key: one.reason for one in (await peer_views.peers(node)).rejected}


async def held(node: Node, origin: str = "megalis") -> dict[str, int]:
    """Key and revision of every live record held of an origin."""
    async with node.store.read() as tx:
        rows = await tx.feeds._session.connection.fetch(
            "SELECT key, revision FROM records WHERE origin = $1 AND NOT retracted ORDER BY key", origin
        )
    return {row["key"]: row["revision"] for row in rows}
