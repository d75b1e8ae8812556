"""Feeds over HTTP: their entries after a cursor, and their digests."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.documents import ENTRY, ENTRY_PAGE
from federation.api.entries import entry_line, page_json
from federation.api.handlers import handles
from federation.api.parameters import BUCKET, FEED_PAGE, NUMBERS
from federation.api.requests import media_type_of, numbers_of, page_of
from federation.api.streams import CurrentCaller, current_caller, stream_answer
from federation.domain.checkpoint import Leaves, SignedDigests
from federation.domain.document import check_id
from federation.domain.errors import (
    CursorExpired,
    EpochChanged,
    Invalid,
    NotAcceptable,
    NotFound,
    Refused,
)
from federation.domain.feed import FeedName
from federation.edge.answers import JSON, NDJSON, NO_STORE, answer, json_answer
from federation.edge.operations import Answer, Operation, Right
from federation.edge.query_parameters import parameters_of
from federation.edge.requests import caller_of, node_of
from federation.node import feeds
from federation.node.feeds import FeedPage
from federation.node.node import Node

MAX_HEADS = 10_000
"""Heads in the states that are remembered, at most; a reader at an older state asks feed by feed."""
READER = Right("feeds.read", open=True)
FEED = "/v1/feeds/{origin:str}/{audience:str}"


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
                    JSON: ENTRY_PAGE,
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
    parameters = parameters_of(request)
    if "numbers" in parameters:
        if len(parameters) > 1:
            raise Invalid("numbers is asked for alone", pointer="?numbers", fault="unknown-parameter")
        numbers = numbers_of(parameters["numbers"])
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
    name, bucket = FeedName(origin, audience), parameters_of(request).get("bucket")
    if bucket is None:
        return json_answer(await feeds.digests(node, name, by=caller_of(request)), headers=NO_STORE)
    if not re.fullmatch("[0-9a-f]{2}", bucket):
        raise Invalid("a bucket is two hexadecimal digits, 00 to ff", pointer="?bucket", fault="pattern")
    return json_answer(
        await feeds.leaves(node, name, int(bucket, 16), by=caller_of(request)), headers=NO_STORE
    )


HANDLERS = (read_feed, read_digests)


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
