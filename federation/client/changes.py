"""The change log of a node, followed across restarts, broken connections and new tokens.

Read pages until there are no more → wait for events → where the connection ends, connect again after the
last change that was handed over. The cursor of a change is what a program stores together with the change:
it goes on from there, after a crash of its own as after a restart of the node, and misses nothing. A
change may come twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx2
import msgspec

from federation.client.errors import (
    ConnectionFailed,
    CursorRefused,
    RequestRefused,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnexpectedAnswer,
    of_code,
)
from federation.client.record_view import RecordView
from federation.client.sender import JSON, Sender, backoff, decode
from federation.domain.record_content import Content
from federation.domain.registry import known_type

log = logging.getLogger("federation.client")

PAGE_CHANGES = 1_000
"""Changes of a page; a node gives no more."""
SILENCE_SECONDS = 45.0
"""Time without a byte after which a stream counts as broken: a node sends a line every 15 seconds."""
MAX_EVENT_BYTES = 8 * 1_048_576
"""Bytes of an event, at most: a document has a mebibyte."""
MAX_REFUSED_TOKENS = 3
"""New tokens in a row that are refused before a follower gives up."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a record at the node, of any operator."""

    cursor: str
    """The position after this change: store it together with what you make of the change."""
    op: str
    """``upsert``: store the document; ``delete``: its operator has retracted it; ``withdraw``: drop the copy,
    if its revision is lower than ``revision``."""
    origin: str
    type: str
    key: str
    revision: int
    hash: str | None = None
    document: msgspec.Raw = msgspec.Raw()
    snapshot: bool = False
    """True while the log is read from the beginning: a record that does not come in it is gone."""

    @property
    def id(self) -> str:
        """``origin/key``."""
        return f"{self.origin}/{self.key}"

    @property
    def record(self) -> RecordView[Any] | None:
        """The record, read as its type when asked; None without a document."""
        raw = bytes(self.document)
        return RecordView(raw, known_type(self.type) or Content) if raw else None


class SnapshotEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a reading from the beginning: records that were not in it are gone. Store this cursor."""

    cursor: str


class _ChangePage(msgspec.Struct, kw_only=True):
    entries: tuple[Change, ...]
    cursor: str
    more: bool


_change = msgspec.json.Decoder(Change)


async def changes_until_now(sender: Sender, after: str | None) -> AsyncIterator[Change]:
    """Every change after a cursor, up to the present. Raises ClientError."""
    more = True
    while more:
        page = await _read_page(sender, after)
        for change in page.entries:
            yield _checked(change)
        after, more = page.cursor, page.more


async def follow(
    sender: Sender, after: str | None, *, restart: bool = False
) -> AsyncIterator[Change | SnapshotEnd]:
    """Every change after a cursor, and each further one when it happens; it ends only by an error.

    Without a node that answers it waits, and asks again. Raises CursorRefused; with ``restart`` the log is
    read from the beginning instead, and a SnapshotEnd says where that ends. Raises Forbidden,
    TokenRefused.
    """
    failures, at_head = 0, math.inf
    snapshot = restart and after is None
    clock = asyncio.get_running_loop().time
    while True:
        try:
            async with aclosing(_read_on(sender, after, snapshot=snapshot)) as changes:
                async for change in changes:
                    # A break while a snapshot is read: it goes on, it does not begin again.
                    after = change.cursor
                    if isinstance(change, Change):
                        failures = 0
                        yield change
                        continue
                    at_head = clock()
                    if snapshot:
                        snapshot = False
                        yield SnapshotEnd(cursor=change.cursor)
        except CursorRefused as error:
            if not restart:
                raise
            log.warning("the changes are read from the beginning: %s", error)
            after, snapshot = None, True
        except (
            ConnectionFailed,
            Unavailable,
            TooManyRequests,
            Unauthenticated,
            httpx2.TransportError,
        ) as error:
            failures = 1 if clock() - at_head > SILENCE_SECONDS else failures + 1
            if isinstance(error, Unauthenticated) and failures > MAX_REFUSED_TOKENS:
                raise
            asked = error.retry_after if isinstance(error, RequestRefused) else None
            wait = max(backoff(failures), asked or 0.0)
            log.info("waiting for changes again after %.1f s: %s", wait, error or type(error).__name__)
            await asyncio.sleep(wait)
        at_head = math.inf


class _Position(msgspec.Struct, frozen=True):
    """The end of the log has been reached, at this cursor."""

    cursor: str


async def _read_on(
    sender: Sender, after: str | None, *, snapshot: bool
) -> AsyncGenerator[Change | _Position, None]:
    """Changes by pages up to the present, then by events until the token of the stream ends."""
    more = True
    while more:
        page = await _read_page(sender, after)
        for change in page.entries:
            yield _checked(change, snapshot=snapshot)
        after, more = page.cursor, page.more
    yield _Position(page.cursor)
    headers = {"accept": "text/event-stream", "last-event-id": page.cursor, "cache-control": "no-store"}
    timeout = httpx2.Timeout(SILENCE_SECONDS, connect=10.0)
    async with sender.stream("/v1/changes", headers=headers, timeout=timeout) as response:
        async for event in httpx2.EventSource(response, MAX_EVENT_BYTES):
            if event.event == "refused":
                error = _refusal(event.data)
                if isinstance(error, Unauthenticated):
                    return  # each stream ends with its token: the next one has a new one
                raise error
            yield _checked(_read_change(event.data))
    # The node is stopping, or the proxy has ended the stream: as if the connection had broken.
    raise ConnectionFailed("the stream of events has ended")


async def _read_page(sender: Sender, after: str | None) -> _ChangePage:
    parameters = (("limit", str(PAGE_CHANGES)), *((("after", after),) if after else ()))
    answer = await sender.send("GET", "/v1/changes", parameters=parameters, headers={"accept": JSON})
    return decode(_ChangePage, answer)


def _read_change(data: str) -> Change:
    try:
        return _change.decode(data.encode())
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UnexpectedAnswer(f"a change cannot be read: {error}") from error


def _checked(change: Change, *, snapshot: bool = False) -> Change:
    """The change, if its document is what its hash names. Raises UnexpectedAnswer."""
    raw = bytes(change.document)
    if raw and change.hash is not None and hashlib.sha256(raw).hexdigest() != change.hash:
        raise UnexpectedAnswer(
            f"the document of {change.type} {change.id} does not have the hash of its change"
        )
    return change if change.snapshot == snapshot else msgspec.structs.replace(change, snapshot=snapshot)


def _refusal(data: str) -> RequestRefused:
    """The error of the event by which a node ends a stream."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        value = {}
    code = str(value.get("code", "")) if isinstance(value, dict) else ""
    status = {
        "unauthenticated": 401, "epoch-changed": 409, "cursor-expired": 410, "cursor-in-future": 400,
        "unavailable": 503, "too-many-requests": 429,
    }.get(code, 403)  # fmt: skip
    return of_code(code or "refused", status, detail="the node has ended the stream of events")
