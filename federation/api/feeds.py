"""Feeds over HTTP: their heads, their entries after a cursor, and their digests."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.caller import Tokens
from federation.api.entries import entry_line, page_json
from federation.api.guard import caller_of, node_of
from federation.api.handlers import handles
from federation.api.operations import Answer, Operation, Right
from federation.api.parameters import AS_PEER, BUCKET, FEED_PAGE, IF_NONE_MATCH, NUMBERS, ORIGIN, PREFER_WAIT
from federation.api.requests import media_type_of, numbers_of, page_of, single_parameters, wait_of
from federation.api.responses import ETAG_HEADER, JSON, NDJSON, NO_STORE, answer, json_answer, tags
from federation.api.schemas import ENTRY
from federation.api.streams import CurrentCaller, current_caller, stream_answer
from federation.domain.checkpoint import Leaves, SignedDigests
from federation.domain.document import check_id
from federation.domain.errors import (
    CursorExpired,
    EpochChanged,
    Invalid,
    MissingScope,
    NotAcceptable,
    NotFound,
    Refused,
)
from federation.domain.feed import FeedName, Head
from federation.domain.values import OPERATOR_PATTERN
from federation.node import checkpoints, feeds
from federation.node.feeds import FeedPage
from federation.node.node import Node
from federation.node.notifier import FeedDelta

MAX_INLINE_ENTRIES = 100
"""Entries of a feed that are sent with the heads, at most."""
MAX_INLINE_BYTES = 262_144
"""Length of all such entries, at most."""
MAX_HEADS = 10_000
"""Heads in the states that are remembered, at most; a reader at an older state asks feed by feed."""
READER = Right("feeds.read", open=True)
FEED = "/v1/feeds/{origin:str}/{audience:str}"


class SentStates:
    """The last states that were sent to readers, by their tags.

    The entries after one of them are read as the caller of the request that names it: naming the tag of
    another caller shows nothing more.
    """

    def __init__(self) -> None:
        self._heads: dict[str, tuple[Head, ...]] = {}
        self._count = 0

    def keep(self, tag: str, heads: tuple[Head, ...]) -> None:
        self._count += len(heads) - len(self._heads.pop(tag, ()))
        self._heads[tag] = heads
        while self._count > MAX_HEADS:
            self._count -= len(self._heads.pop(next(iter(self._heads))))

    def find(self, tags: Iterable[str]) -> tuple[Head, ...] | None:
        return next((self._heads[tag] for tag in tags if tag in self._heads), None)


_HEADS = {"type": "object", "properties": {"feeds": {"type": "array", "items": Head}}}


@handles(
    Operation(
        act="heads",
        id="listFeeds",
        method="GET",
        path="/v1/feeds",
        right=READER,
        tag="feeds",
        parameters=(ORIGIN, AS_PEER, IF_NONE_MATCH, PREFER_WAIT),
        answers=(
            Answer(
                200,
                "The feeds. As NDJSON they are the first line; lines of news may follow.",
                {JSON: _HEADS, NDJSON: _HEADS},
                ETAG_HEADER,
            ),
            Answer(304, "No head has moved", {}, ETAG_HEADER),
        ),
        errors=(NotFound,),
    )
)
async def list_feeds(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List the feeds you may read, and what was signed of them. Wait for news with `Prefer: wait=25`.

    As NDJSON the list is the first line, and what is new since the state you hold follows it.
    """
    node = node_of(request)
    tokens: Tokens = request.app.state.tokens
    states: SentStates = request.app.state.states
    parameters = single_parameters(request, "origin", "as")
    caller = caller_of(request)
    origin, peer = parameters.get("origin"), parameters.get("as")
    for name, operator in parameters.items():
        if not re.fullmatch(OPERATOR_PATTERN, operator):
            raise Invalid("this is not an operator's id", pointer=f"?{name}")
    if peer is not None and not (caller.own and "node.admin" in caller.scopes):
        raise MissingScope("the token does not carry the scope node.admin")
    known = tags(request.headers.get("if-none-match"))
    # A caller without a token is answered at once: a wait occupies one of the connections there are.
    wait = wait_of(request) if caller.operator is not None else 0
    deadline = asyncio.get_running_loop().time() + wait
    lines = media_type_of(request, JSON, NDJSON) == NDJSON
    all_feeds = caller.operator is not None and origin is None and peer is None
    inline = lines and all_feeds
    previous = states.find(known) if inline and known else None
    since = None
    while True:
        state = node.notifier.state
        deltas: tuple[FeedDelta, ...] = ()
        if previous is not None and inline:
            heads, deltas = await feeds.deltas(
                node,
                previous,
                by=caller,
                max_entries=MAX_INLINE_ENTRIES,
                max_bytes=MAX_INLINE_BYTES,
                since=None if since is None else (since, state),
            )
            # From here on these heads are this caller's, in the groups that it was in then.
            since = state
        else:
            visible_to = caller if peer is None else await checkpoints.peer_viewer(node, peer)
            heads = await feeds.heads(node, by=visible_to, origin=origin)
        body = msgspec.json.encode({"feeds": heads})
        tag = hashlib.sha256(body).hexdigest()[:32]
        headers = {
            "etag": f'"{tag}"',
            "cache-control": "private, no-cache",
            "vary": "authorization, accept",
        }
        if wait:
            headers["preference-applied"] = f"wait={wait}"
        if all_feeds:
            states.keep(tag, heads)
        if known is None or tag not in known:
            if not lines:
                return answer(body, headers=headers)
            return answer(body + b"\n" + _inline_entries(deltas), media_type=NDJSON, headers=headers)
        previous = heads
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0 or node.stopping.is_set():
            return answer(b"", status=304, headers=headers)
        if origin is None:
            await node.notifier.wait_for(state.heads, left, of="heads")
        else:
            await node.notifier.wait_for(state.arrival, left)
        # Membership may be what changed, or whether the caller is a peer at all.
        caller = await (tokens.holder_again if inline else tokens.caller_again)(
            request.headers["authorization"]
        )


@handles(
    Operation(
        act="changes",
        id="readFeed",
        method="GET",
        path=f"{FEED}/changes",
        right=READER,
        tag="feeds",
        parameters=(NUMBERS, *FEED_PAGE),
        answers=(
            Answer(
                200,
                "Entries after the cursor, in order",
                {
                    JSON: {
                        "type": "object",
                        "properties": {
                            "entries": {"type": "array", "items": ENTRY},
                            "cursor": {"type": "string"},
                            "more": {"type": "boolean"},
                        },
                    },
                    NDJSON: ENTRY,
                },
            ),
        ),
        errors=(NotFound, NotAcceptable, EpochChanged, CursorExpired),
    )
)
async def read_feed(request: Request[Any, Any, Any], origin: str, audience: str) -> ASGIResponse:
    """Read a feed after a cursor: a JSON page, or NDJSON to its head."""
    node = node_of(request)
    check_id(origin, audience)
    name = FeedName(origin, audience)
    caller = caller_of(request)
    if "numbers" in request.query_params:
        numbers = numbers_of(single_parameters(request, "numbers")["numbers"])
        page = await feeds.entries_at(node, name, numbers, by=caller)
        body = b"".join(entry_line(row) + b"\n" for row in page.rows)
        return answer(body, media_type=NDJSON, headers={**NO_STORE, "federation-epoch": page.epoch})
    after, limit = page_of(request)
    media_type = media_type_of(request, JSON, NDJSON)
    page = await feeds.changes(node, name, after, by=caller, limit=limit)
    if media_type == NDJSON:
        headers = {**NO_STORE, "federation-epoch": page.epoch}
        return stream_answer(_lines(node, name, page, current_caller(request), limit), NDJSON, headers)
    entries = (entry_line(row) for row in page.rows)
    return answer(page_json(entries, page.cursor, more=page.more), headers=NO_STORE)


@handles(
    Operation(
        act="digests",
        id="getDigests",
        method="GET",
        path=f"{FEED}/digest",
        right=READER,
        tag="feeds",
        parameters=(BUCKET,),
        answers=(
            Answer(
                200,
                "The digests, or the leaves of one bucket",
                {JSON: {"anyOf": [SignedDigests, Leaves]}},
            ),
        ),
        errors=(NotFound,),
    )
)
async def read_digests(request: Request[Any, Any, Any], origin: str, audience: str) -> ASGIResponse:
    """Prove a feed: the digests of its 256 buckets, signed by the origin, or the leaves of one."""
    node = node_of(request)
    check_id(origin, audience)
    name, bucket = FeedName(origin, audience), single_parameters(request, "bucket").get("bucket")
    if bucket is None:
        return json_answer(await feeds.digests(node, name, by=caller_of(request)), headers=NO_STORE)
    if not re.fullmatch("[0-9a-f]{2}", bucket):
        raise Invalid("a bucket is two hexadecimal digits, 00 to ff", pointer="?bucket")
    return json_answer(
        await feeds.leaves(node, name, int(bucket, 16), by=caller_of(request)), headers=NO_STORE
    )


HANDLERS = (list_feeds, read_feed, read_digests)


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


async def _lines(
    node: Node, name: FeedName, page: FeedPage, caller: CurrentCaller, limit: int
) -> AsyncIterator[bytes]:
    """Pages of a feed as lines, to the head it has when the last page is read."""
    while True:
        if page.rows:
            yield b"".join(entry_line(row) + b"\n" for row in page.rows)
        if not page.more or node.stopping.is_set():
            return
        try:
            page = await feeds.changes(node, name, page.cursor, by=await caller(), limit=limit)
        except Refused:
            return  # the reader has whole lines up to here, and learns why when it asks again
