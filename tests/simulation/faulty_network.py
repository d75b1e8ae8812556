"""The network between simulated nodes: the client as it is, and answers that a fault may spoil on their way.

The client of ``sync/client.py`` reads and checks; only its requests do not leave the process. They are
answered by the node's own verbs in the bytes of the API.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from federation.api.entries import entry_line
from federation.api.requests import numbers_of
from federation.domain.alert import Letter
from federation.domain.canonical import canonical
from federation.domain.errors import Refused, Unreachable
from federation.domain.feed import Cursor, FeedName, Head
from federation.domain.peer import IntroducedPeer, Peer
from federation.edge.statuses import STATUS
from federation.node import feeds, receipts
from federation.node.node import Node
from federation.sync.peer_client import PeerSource
from federation.sync.peer_clock import PeerClock
from tests.nodes import as_peer

PAGE = 4
"""Entries that a stream reads from the database at once: small, so that it has several pages."""

FAULTS = (
    "delay", "cut", "truncate", "duplicate", "corrupt", "half-open", "lost", "omit", "reorder", "meanwhile",
    "overtaken",
)  # fmt: skip
"""What may befall an answer on its way from the origin itself."""
LIES = ("alter", "omit", "reorder", "replay", "corrupt", "cut")
"""What a relay may do to an answer."""
RARE = 0.35
"""How likely a fault is for each answer, while there are faults."""

Meanwhile = Callable[[], Awaitable[None]]


class Answer(NamedTuple):
    """What a node answers."""

    status: int
    body: bytes
    epoch: str = ""


async def answered(
    node: Node, reader: str, method: str, target: str, body: bytes | None, between: Meanwhile
) -> Answer:
    """What a node answers to a peer."""
    try:
        return await _answered(node, reader, method, target, body, between)
    except Refused as error:
        problem = {"type": f"urn:federation:problem:{error.code}", "code": error.code, "detail": error.detail}
        return Answer(STATUS[type(error)], msgspec.json.encode(problem))


async def _answered(
    node: Node, reader: str, method: str, target: str, body: bytes | None, between: Meanwhile
) -> Answer:
    parts = urlsplit(target)
    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
    caller = await as_peer(node, reader)
    if method == "POST":
        said = msgspec.json.decode(body or b"")
        if parts.path == "/v1/receipts":
            await receipts.accept_receipt(node, said["receipt"], by=caller)
        else:
            await receipts.accept_feedback(node, msgspec.convert(said, receipts.Feedback), by=caller)
        return Answer(204, b"")
    if parts.path == "/v1/feeds":
        heads = await feeds.heads(node, by=caller, origin=asked.get("origin"))
        return Answer(200, msgspec.json.encode({"feeds": heads}))
    _, _, _, origin, audience, what = parts.path.split("/")
    name = FeedName(origin, audience)
    if what == "digest":
        if bucket := asked.get("bucket"):
            return Answer(
                200, msgspec.json.encode(await feeds.leaves(node, name, int(bucket, 16), by=caller))
            )
        return Answer(200, msgspec.json.encode(await feeds.digests(node, name, by=caller)))
    if numbers := asked.get("numbers"):
        page = await feeds.entries_at(node, name, numbers_of(numbers), by=caller)
        return Answer(200, b"".join(entry_line(row) + b"\n" for row in page.rows), page.epoch)
    after = Cursor.parse(asked["after"]) if "after" in asked else None
    page = await feeds.changes(node, name, after, by=caller, limit=PAGE)
    epoch, lines = page.epoch, [entry_line(row) + b"\n" for row in page.rows]
    while page.more:
        await between()
        try:
            page = await feeds.changes(node, name, page.cursor, by=await as_peer(node, reader), limit=PAGE)
        except Refused:
            break  # whole lines up to here, as the API does
        lines += [entry_line(row) + b"\n" for row in page.rows]
    return Answer(200, b"".join(lines), epoch)


class Response:
    """An answer as the client sees it; it may break off."""

    def __init__(self, answer: Answer, ends: int | None) -> None:
        self.status_code = answer.status
        self.headers = {"federation-epoch": answer.epoch, "etag": '"1"'}
        self._body, self._ends = answer.body, ends

    async def aread(self) -> bytes:
        if self._ends is not None:
            raise Unreachable("the answer broke off")
        return self._body

    async def aiter_raw(self) -> AsyncIterator[bytes]:
        yield self._body[: self._ends]
        if self._ends is not None:
            raise Unreachable("the answer broke off")


class Wire(PeerSource):
    """One peer as another one reads it. Without ``chance`` nothing goes wrong."""

    def __init__(
        self,
        node: Node,
        reader: str,
        *,
        chance: random.Random | None = None,
        kinds: tuple[str, ...] = FAULTS,
        counts: Counter[str] | None = None,
        past: dict[str, list[Answer]] | None = None,
        meanwhile: Meanwhile | None = None,
        overtaking: Meanwhile | None = None,
    ) -> None:
        # (Not that of PeerSource: there is no HTTP client to make.)
        self._node, self._reader = node, reader
        self._chance, self._kinds = chance, kinds
        self._counts: Counter[str] = Counter() if counts is None else counts
        self._past: dict[str, list[Answer]] = {} if past is None else past
        self._meanwhile, self._overtaking = meanwhile, overtaking
        self._tag = None
        self.clock = PeerClock()
        self.answered = False
        self.spoiled: list[str] = []
        """Faults of this very source, in order."""

    async def close(self) -> None:
        pass

    @asynccontextmanager
    async def _request(  # type: ignore[override]
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        *,
        wait: float = 0.0,
        stream: bool = False,
        content: bytes | None = None,
    ) -> AsyncIterator[Response]:
        del headers, wait, stream
        kind = None
        if self._chance is not None and self._chance.random() < RARE:
            kind = self._chance.choice(self._kinds)
        if kind == "lost":
            self._count(kind)
            raise Unreachable("it cannot be reached")
        if kind == "overtaken" and self._overtaking is not None:
            self._count(kind)
            await self._overtaking()

        async def between() -> None:
            if kind == "meanwhile" and self._meanwhile is not None:
                self._count(kind)
                await self._meanwhile()

        answer = await answered(self._node, self._reader, method, path, content, between)
        if kind == "meanwhile" and kind not in self.spoiled and self._meanwhile is not None:
            self._count(kind)
            await self._meanwhile()
        if kind == "half-open":
            self._count(kind)
            raise Unreachable("it accepted the request, and nothing came")
        past = self._past.setdefault(f"{self._node.operator} {self._reader} {path}", [])
        ends: int | None = None
        if kind is not None and self._chance is not None and answer.status == 200:
            spoiled, ends = self._spoiled(kind, answer, past, self._chance)
            if spoiled != answer or ends is not None:
                self._count(kind)
            answer, was = spoiled, answer
        else:
            was = answer
        if was.status == 200 and "after=" not in path:
            past.append(was)
            del past[:-6]
        yield Response(answer, ends)

    def _count(self, kind: str) -> None:
        self._counts[kind] += 1
        self.spoiled.append(kind)

    @staticmethod
    def _spoiled(
        kind: str, answer: Answer, past: list[Answer], chance: random.Random
    ) -> tuple[Answer, int | None]:
        """The answer as the fault leaves it, and where it breaks off if it does."""
        body = answer.body
        lines = body.splitlines(keepends=True)
        match kind:
            case "delay" | "replay":
                return (chance.choice(past) if past else answer), None
            case "cut":
                return answer, chance.randrange(len(body) + 1)
            case "truncate" if len(lines) > 1 and chance.random() < 0.5:
                return answer._replace(body=b"".join(lines[: chance.randrange(len(lines))])), None
            case "truncate" if body:
                return answer._replace(body=body[: chance.randrange(len(body))]), None
            case "duplicate" if lines:
                start = chance.randrange(len(lines))
                stop = chance.randrange(start, len(lines)) + 1
                lines[stop:stop] = lines[start:stop]
            case "corrupt" if body:
                at = chance.randrange(len(body))
                return answer._replace(
                    body=body[:at] + bytes((body[at] ^ 1 << chance.randrange(7),)) + body[at + 1 :]
                ), None
            case "omit" if len(lines) > 1:
                del lines[chance.randrange(len(lines))]
            case "reorder" if len(lines) > 1:
                chance.shuffle(lines)
            case "omit" | "reorder" | "alter" if body:
                return answer._replace(body=_lied(kind, body, chance)), None
        return answer._replace(body=b"".join(lines)), None


def _lied(kind: str, body: bytes, chance: random.Random) -> bytes:
    """The answer of somebody who knows the protocol, and lies: in JSON that is as it should be."""
    try:
        said: Any = msgspec.json.decode(body.splitlines()[0])
    except msgspec.DecodeError:
        return body
    for member in ("feeds", "leaves", "buckets"):
        several = said.get(member)
        if not several:
            continue
        at = chance.randrange(len(several))
        match kind:
            case "omit":
                del several[at]
            case "reorder":
                chance.shuffle(several)
            case _ if member == "leaves":
                several[at] = re.sub(r"[0-9a-f]{64}", "0" * 64, several[at])
            case _ if member == "buckets":
                several[at] = "0" * 64
            case _:
                several[at]["seq"] += chance.choice((-1, 1, 1_000))
                several[at]["seq"] = max(0, several[at]["seq"])
        return msgspec.json.encode(said)
    if kind == "alter" and "document" in said:
        document = said["document"]
        if "content" in document:
            document["content"]["name"] = "forged"
        raw = canonical(document)
        said["hash"] = hashlib.sha256(raw).hexdigest()
        said["document"] = msgspec.Raw(raw)
        lines = body.splitlines(keepends=True)
        return b"".join([msgspec.json.encode(said) + b"\n", *lines[1:]])
    return body


class Outside:
    """Other nodes as a simulated node asks them."""

    def __init__(self, operator: str, nodes: dict[str, Node]) -> None:
        self._operator, self._nodes = operator, nodes

    def check_url(self, url: str, *, private: bool) -> str:
        del private
        return url

    async def introduce(self, url: str, *, private: bool) -> IntroducedPeer:
        del private
        node = next(node for node in self._nodes.values() if node.url == url)
        return IntroducedPeer(
            operator=node.operator, name=node.name, url=node.url, jwks=node.keyring.public()
        )

    async def register(self, url: str, secret: str, request: bytes, *, private: bool) -> bytes:
        raise Unreachable("nobody joins here")

    async def disconnect(self, peer: Peer) -> None:
        raise Unreachable("nobody leaves here")

    async def heads_at(self, peer: Peer, origin: str) -> tuple[Head, ...]:
        return await Wire(self._nodes[peer.operator], self._operator).heads_of(origin)

    def check_webhook(self, url: str, *, private: bool) -> None:
        raise Unreachable("nobody is called here")

    async def post_webhook(self, url: str, body: bytes, headers: dict[str, str], *, private: bool) -> int:
        raise Unreachable("nobody is called here")

    @property
    def sends_mail(self) -> bool:
        return False

    async def mail(self, letter: Letter) -> None:
        raise Unreachable("nobody is written to here")
