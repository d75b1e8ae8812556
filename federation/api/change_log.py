"""The change log: everything this node has, in the order it arrived, for the operator's own systems."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.documents import CHANGE, CHANGE_PAGE
from federation.api.entries import change_line, op_of, page_json
from federation.api.handlers import handles
from federation.api.parameters import FEED_PAGE, LAST_EVENT_ID
from federation.api.requests import media_type_of, page_of
from federation.api.streams import CurrentCaller, current_caller, stream_answer
from federation.domain.errors import EpochChanged, NotAcceptable, Refused
from federation.domain.feed import Cursor
from federation.edge.answers import JSON, NDJSON, NO_STORE, answer
from federation.edge.operations import Answer, Operation, Right
from federation.edge.requests import caller_of, node_of
from federation.node import feeds
from federation.node.node import Node

SSE = "text/event-stream"
HEARTBEAT_SECONDS = 15.0
"""Time after which a stream of events without an event sends a comment line."""
EVENTS_PER_READ = 100
EVENT_STREAM = (
    "Events without an end (HTML, 9.2). `event` is `upsert`, `delete` or `withdraw`; `id` is the cursor to go"
    " on from, in `Last-Event-ID`; `data` is one line, a `Change` as JSON. A last event `refused`, whose"
    ' `data` is `{"code": "…"}`, says why the stream ends: the token has expired, for example. Lines that'
    " begin with a colon keep the connection open."
)
_EVENT = (
    'id: 6d1f0c2b9a8e7f35.42\nevent: withdraw\ndata: {"cursor":"6d1f0c2b9a8e7f35.42","op":"withdraw",'
    '"origin":"megalis","type":"solution","key":"glpi","revision":3}\n\n'
)


@handles(
    Operation(
        act="change_log",
        id="followChanges",
        method="GET",
        path="/v1/changes",
        right=Right("changes.read"),
        tag="feeds",
        parameters=(*FEED_PAGE, LAST_EVENT_ID),
        waits=True,
        answers=(
            Answer(
                200,
                "Entries after the cursor, in order",
                {
                    JSON: CHANGE_PAGE,
                    NDJSON: CHANGE,
                    SSE: {"type": "string", "description": EVENT_STREAM, "examples": [_EVENT]},
                },
            ),
        ),
        errors=(NotAcceptable, EpochChanged),
    )
)
async def follow_changes(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Follow everything the node holds, of every operator, in the order it arrived here."""
    node = node_of(request)
    after, limit = page_of(request)
    caller = caller_of(request)
    media_type = media_type_of(request, JSON, NDJSON, SSE)
    if media_type == SSE:
        if last := request.headers.get("last-event-id"):
            after = Cursor.parse(last)
        await feeds.change_log(node, after, by=caller, limit=1)  # refuse before the stream begins
        headers = {**NO_STORE, "x-accel-buffering": "no"}
        return stream_answer(_events(node, after, current_caller(request)), SSE, headers)
    if media_type == NDJSON:
        await feeds.change_log(node, after, by=caller, limit=1)
        return stream_answer(_lines(node, after, current_caller(request), limit), NDJSON, NO_STORE)
    rows, cursor, more = await feeds.change_log(node, after, by=caller, limit=limit)
    entries = (change_line(row, cursor.epoch) for row in rows)
    return answer(page_json(entries, cursor, more=more), headers=NO_STORE)


HANDLERS = (follow_changes,)


async def _lines(node: Node, after: Cursor | None, caller: CurrentCaller, limit: int) -> AsyncIterator[bytes]:
    more = True
    while more and not node.stopping.is_set():
        try:
            rows, after, more = await feeds.change_log(node, after, by=await caller(), limit=limit)
        except Refused:
            return  # whole lines up to here; the reader learns why when it asks again
        yield b"".join(change_line(row, after.epoch) + b"\n" for row in rows)


async def _events(node: Node, after: Cursor | None, caller: CurrentCaller) -> AsyncIterator[bytes]:
    """Server-sent events; the id of each is the cursor to go on from.

    They end with the token they were asked for with: it expires, or is revoked.
    """
    yield b": the change log of this node\n\n"
    while not node.stopping.is_set():
        try:
            rows, after, more = await feeds.change_log(node, after, by=await caller(), limit=EVENTS_PER_READ)
        except Refused as error:
            yield b"event: refused\ndata: %s\n\n" % msgspec.json.encode({"code": error.code})
            return
        if rows:
            yield b"".join(
                b"id: %s.%d\nevent: %s\ndata: %s\n\n"
                % (after.epoch.encode(), row[0], op_of(row[1]), change_line(row, after.epoch))
                for row in rows
            )
        if not more and not await node.notifier.wait_for(after.seq, HEARTBEAT_SECONDS):
            yield b": still here\n\n"
