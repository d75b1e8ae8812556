"""Heads of feeds over HTTP: where each feed ends, and the entries since the state that a caller names.

1. A caller that names no state gets the heads as they are in the database.
2. A caller that names a state and waits is compared with the last snapshot of the own feeds
   (``node/feed_snapshots.py``), which is read once for all that wait, before they run.
3. Where its state is the snapshot before that one, it gets the entries in between with the heads. The answer
   is encoded once for all callers in the same groups.
4. Where it has missed a snapshot, the entries after its state are read once for all that are at the same one.
   Where it does not wait, they are read for it alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.caller import Tokens
from federation.api.documents import ENTRY
from federation.api.entries import entry_line
from federation.api.handlers import handles
from federation.api.parameters import AS_PEER, IF_NONE_MATCH, ORIGIN, PREFER_WAIT
from federation.api.requests import media_type_of, wait_of
from federation.domain.errors import Invalid, MissingScope, NotFound
from federation.domain.feed import Head
from federation.domain.values import OPERATOR_PATTERN
from federation.edge.answers import ETAG_HEADER, JSON, NDJSON, answer, tags
from federation.edge.operations import Answer, Operation, Right
from federation.edge.query_parameters import parameters_of
from federation.edge.requests import caller_of, node_of
from federation.node import checkpoints, feeds
from federation.node.feed_snapshots import MAX_INLINE_BYTES, FeedDelta, FeedView
from federation.node.tokens import fingerprint_of

MAX_HEADS = 10_000
"""Heads in the states that are remembered, at most; a reader at an older state asks feed by feed."""
MAX_ENCODED = 64
"""Encoded answers that are remembered, at most: one for each set of groups that callers wait with."""
READER = Right("feeds.read", open=True)


class EncodedHeads:
    """Heads as they are sent, with the entries before them."""

    def __init__(self, heads: tuple[Head, ...], deltas: Iterable[FeedDelta] = ()) -> None:
        self.heads = heads
        self.body = msgspec.json.encode({"feeds": heads})
        self.tag = hashlib.sha256(self.body).hexdigest()[:32]
        self._deltas = deltas
        self._answers: dict[tuple[int, bool], ASGIResponse] = {}

    def answer(self, wait: int, *, lines: bool) -> ASGIResponse:
        """The answer to a caller that would have waited so many seconds: JSON, or lines with entries."""
        if (made := self._answers.get((wait, lines))) is None:
            headers = _headers(self.tag, wait)
            if lines:
                body = self.body + b"\n" + _inline_entries(self._deltas)
                made = answer(body, media_type=NDJSON, headers=headers)
            else:
                made = answer(self.body, headers=headers)
            self._answers[wait, lines] = made
        return made


class SentStates:
    """The last states that were sent to readers, by their tags; and the last answers, by what they show.

    The entries after a state are read as the caller of the request that names it: naming the tag of another
    caller shows nothing more.
    """

    def __init__(self) -> None:
        self._heads: dict[str, tuple[Head, ...]] = {}
        self._count = 0
        self._encoded: dict[int, tuple[FeedView, EncodedHeads]] = {}

    def keep(self, tag: str, heads: tuple[Head, ...]) -> None:
        self._count += len(heads) - len(self._heads.pop(tag, ()))
        self._heads[tag] = heads
        while self._count > MAX_HEADS:
            self._count -= len(self._heads.pop(next(iter(self._heads))))

    def find(self, tags: Iterable[str]) -> tuple[Head, ...] | None:
        return next((self._heads[tag] for tag in tags if tag in self._heads), None)

    def encode(self, view: FeedView) -> EncodedHeads:
        """A view as it is sent, encoded once while it is among the last ``MAX_ENCODED``."""
        # (The view is stored beside its answer: an id is of one object as long as that lives.)
        if (stored := self._encoded.get(id(view))) is not None:
            return stored[1]
        encoded = EncodedHeads(view.heads, view.deltas)
        self._encoded[id(view)] = view, encoded
        while len(self._encoded) > MAX_ENCODED:
            self._encoded.pop(next(iter(self._encoded)))
        self.keep(encoded.tag, view.heads)
        return encoded


class FeedHeads(msgspec.Struct, frozen=True):
    """The feeds that the caller may read."""

    feeds: tuple[Head, ...]


class InlineEntries(msgspec.Struct, frozen=True):
    """A line before entries: their feed, and the cursor that they come after."""

    feed: str
    after: str


@handles(
    Operation(
        act="heads",
        id="listFeeds",
        method="GET",
        path="/v1/feeds",
        right=READER,
        tag="feeds",
        parameters=(ORIGIN, AS_PEER, IF_NONE_MATCH, PREFER_WAIT),
        waits=True,
        answers=(
            Answer(
                200,
                "The feeds. As NDJSON they are the first line; entries may follow.",
                {JSON: FeedHeads, NDJSON: {"oneOf": [FeedHeads, InlineEntries, ENTRY]}},
                ETAG_HEADER,
            ),
            Answer(304, "No head has moved", {}, ETAG_HEADER),
        ),
        errors=(NotFound,),
        reads_groups=True,
    )
)
async def list_feeds(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List the feeds you may read, and what was signed of them. Wait for a change with `Prefer: wait=25`.

    As NDJSON the list is the first line. The entries since the state that you name and wait at follow it.
    """
    node = node_of(request)
    tokens: Tokens = request.app.state.tokens
    states: SentStates = request.app.state.states
    parameters = parameters_of(request)
    caller = caller_of(request)
    origin, peer = parameters.get("origin"), parameters.get("as")
    for name, operator in parameters.items():
        if not re.fullmatch(OPERATOR_PATTERN, operator):
            raise Invalid("this is not an operator's id", pointer=f"?{name}", fault="pattern")
    if peer is not None and not (caller.own and "node.admin" in caller.scopes):
        raise MissingScope("the token does not carry the scope {scope}", scope="node.admin")
    known = tags(request.headers.get("if-none-match"))
    # A caller without a token is answered at once: a wait occupies one of the connections there are.
    wait = wait_of(request) if caller.operator is not None else 0
    lines = media_type_of(request, JSON, NDJSON) == NDJSON
    if caller.operator is not None and known and lines and not parameters:
        return await _since_state(request, known, wait)
    deadline = asyncio.get_running_loop().time() + wait
    while True:
        state = node.notifier.state
        # The groups of a peer may be what has changed, or whether it is a peer at all.
        caller = await tokens.with_groups(caller)
        visible_to = caller if peer is None else await checkpoints.peer_viewer(node, peer)
        encoded = EncodedHeads(await feeds.heads(node, by=visible_to, origin=origin))
        if caller.operator is not None and not parameters:
            states.keep(encoded.tag, encoded.heads)
        if known is None or encoded.tag not in known:
            return encoded.answer(wait, lines=lines)
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0 or node.stopping.is_set():
            return _unchanged(encoded, wait)
        if origin is None:
            await node.notifier.wait_for(state.heads, left, of="heads")
        else:
            await node.notifier.wait_for(state.arrival, left)
        caller = await tokens.holder_again(request.headers["authorization"])


async def _since_state(request: Request[Any, Any, Any], known: frozenset[str], wait: int) -> ASGIResponse:
    """The heads, and the entries since a state that the caller knows; if it waits, once there are some."""
    node, caller = node_of(request), caller_of(request)
    tokens: Tokens = request.app.state.tokens
    states: SentStates = request.app.state.states
    snapshots = node.feed_snapshots
    previous = states.find(known)
    if not wait:  # as it is in the database now, whatever other processes have written
        view = (await snapshots.after(previous or ())).view(caller)
        encoded = EncodedHeads(view.heads, view.deltas)
        states.keep(encoded.tag, encoded.heads)
        return encoded.answer(0, lines=True) if encoded.tag not in known else _unchanged(encoded, 0)
    now = asyncio.get_running_loop().time
    deadline = now() + wait
    token = request.headers["authorization"].partition(" ")[2]
    fingerprint = fingerprint_of(token)
    snapshot = await snapshots.since(node.notifier.state)
    while True:
        view = snapshot.view(caller)
        encoded = states.encode(view)
        if encoded.tag not in known and previous != view.before:
            # The caller has missed a snapshot.
            view = (await snapshots.missed(previous or (), node.notifier.state)).view(caller)
            encoded = states.encode(view)
        if encoded.tag not in known:
            return encoded.answer(wait, lines=True)
        previous = view.heads
        if now() >= deadline or node.stopping.is_set():
            return _unchanged(encoded, wait)
        later = await snapshots.later_than(snapshot, deadline)
        caller = (await tokens.holder(token, fingerprint)).caller
        snapshot = later or await snapshots.since(node.notifier.state)


HANDLERS = (list_feeds,)


def _unchanged(encoded: EncodedHeads, wait: int) -> ASGIResponse:
    return answer(b"", status=304, headers=_headers(encoded.tag, wait))


def _headers(tag: str, wait: int) -> dict[str, str]:
    headers = {"etag": f'"{tag}"', "cache-control": "private, no-cache", "vary": "authorization, accept"}
    if wait:
        headers["preference-applied"] = f"wait={wait}"
    return headers


def _inline_entries(deltas: Iterable[FeedDelta]) -> bytes:
    """The entries of each changed feed, as far as there is room.

    They save the reader a request; a reader at another state than its tag says asks all the same.
    """
    parts: list[bytes] = []
    room = MAX_INLINE_BYTES
    for delta in deltas:
        entries = b"".join(entry_line(row) + b"\n" for row in delta.rows)
        if len(entries) <= room:
            room -= len(entries)
            feed, after = str(delta.feed).encode(), str(delta.after).encode()
            parts.append(b'{"feed":"%s","after":"%s"}\n' % (feed, after))
            parts.append(entries)
    return b"".join(parts)
