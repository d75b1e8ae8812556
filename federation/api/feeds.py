"""Feeds for peers, and the change log for the operator's own systems."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

import msgspec
from litestar import Controller, Request, get, post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse

from federation.api.caller import Tokens
from federation.api.guard import body_of, caller_of
from federation.api.responses import JSON, NDJSON, NO_STORE, answer, encoded, tags
from federation.domain.document import check_id
from federation.domain.draft import read_draft
from federation.domain.errors import Invalid, MissingScope, NotAcceptable, Refused
from federation.domain.feed import LONGEST_WAIT, PAGE_ENTRIES, Cursor, FeedName, Head
from federation.domain.node_state import NodeState
from federation.domain.values import OPERATOR_PATTERN
from federation.domain.visibility import Caller
from federation.node import checkpoints, feeds, receipts
from federation.node.feeds import FeedPage
from federation.node.node import Node
from federation.node.notifier import FeedDelta
from federation.node.receipts import Feedback

SSE = "text/event-stream"
NEWS = 100
"""Entries of a feed that are told with the heads, at most."""
NEWS_BYTES = 262_144
"""Bytes of all such entries, at most."""
MAX_HEADS = 10_000
"""Heads in the states that are remembered, at most: who is at an older one asks feed by feed."""
HEARTBEAT = 15.0
"""Seconds after which a silent stream of events says that it is there."""


class SentStates:
    """The last states that readers were told, by their tags.

    What is new since one of them is read as whoever asks now: to name another one's shows nothing more.
    """

    def __init__(self) -> None:
        self._heads: dict[str, tuple[Head, ...]] = {}
        self._many = 0

    def keep(self, tag: str, heads: tuple[Head, ...]) -> None:
        self._many += len(heads) - len(self._heads.pop(tag, ()))
        self._heads[tag] = heads
        while self._many > MAX_HEADS:
            self._many -= len(self._heads.pop(next(iter(self._heads))))

    def find(self, tags: Iterable[str]) -> tuple[Head, ...] | None:
        return next((self._heads[tag] for tag in tags if tag in self._heads), None)


class Feeds(Controller):
    """What peers pull from."""

    path = "/v1/feeds"

    @get("/", opt={"act": "heads"})
    async def heads(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """List the feeds you may read, and what was signed of them. Wait for news with `Prefer: wait=25`.

        As NDJSON the list is the first line, and what is new since the state you hold follows it.
        """
        node: Node = request.app.state.node
        tokens: Tokens = request.app.state.tokens
        states: SentStates = request.app.state.states
        asked = only(request, "origin", "as")
        caller = caller_of(request)
        origin, seen_as = asked.get("origin"), asked.get("as")
        for name, operator in asked.items():
            if not re.fullmatch(OPERATOR_PATTERN, operator):
                raise Invalid("this is not an operator's id", pointer=f"?{name}")
        if seen_as is not None and not (caller.own and "node.admin" in caller.scopes):
            raise MissingScope("the token does not carry the scope node.admin")
        known = tags(request.headers.get("if-none-match"))
        # Who has no token is answered at once: a wait holds one of the places for requests under way.
        wait = wait_of(request) if caller.operator is not None else 0
        deadline = asyncio.get_running_loop().time() + wait
        lines = wanted(request, JSON, NDJSON) == NDJSON
        whole = caller.operator is not None and origin is None and seen_as is None
        told = lines and whole
        held = states.find(known) if told and known else None
        shown: NodeState | None = None
        while True:
            seen = node.notifier.state
            news: tuple[FeedDelta, ...] = ()
            if held is not None and told:
                since = (shown, seen) if shown is not None else None
                heads, news = await feeds.deltas(
                    node, held, by=caller, max_entries=NEWS, max_bytes=NEWS_BYTES, since=since
                )
                # From here on it is this caller who holds them, in the groups that it was in then.
                shown = seen
            else:
                visible_to = caller if seen_as is None else await checkpoints.peer_viewer(node, seen_as)
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
            if whole:
                states.keep(tag, heads)
            if known is None or tag not in known:
                if not lines:
                    return answer(body, headers=headers)
                return answer(body + b"\n" + _told(news), media_type=NDJSON, headers=headers)
            held = heads
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or node.stopping.is_set():
                return answer(b"", status=304, headers=headers)
            if origin is None:
                await node.notifier.wait_for(seen.heads, left, of="heads")
            else:
                await node.notifier.wait_for(seen.arrival, left)
            # Membership may be what changed, or whether the caller is a peer at all.
            caller = await (tokens.whose if told else tokens.still)(request.headers["authorization"])

    @get("/{origin:str}/{audience:str}/changes", opt={"act": "changes"})
    async def changes(
        self, request: Request[Any, Any, Any], origin: FromPath[str], audience: FromPath[str]
    ) -> ASGIResponse:
        """Read a feed after a cursor: a JSON page, or NDJSON to its head."""
        node: Node = request.app.state.node
        check_id(origin, audience)
        name = FeedName(origin, audience)
        caller = caller_of(request)
        if "numbers" in request.query_params:
            numbers = numbers_of(only(request, "numbers")["numbers"])
            page = await feeds.entries_at(node, name, numbers, by=caller)
            body = b"".join(entry_line(row) + b"\n" for row in page.rows)
            return answer(body, media_type=NDJSON, headers={**NO_STORE, "federation-epoch": page.epoch})
        after, limit = paging(request)
        match wanted(request, JSON, NDJSON):
            case "application/x-ndjson":
                first = await feeds.changes(node, name, after, by=caller, limit=limit)
                headers = {**NO_STORE, "federation-epoch": first.epoch}
                return _streamed(_stream(node, name, first, again(request), limit), NDJSON, headers)
            case _:
                page = await feeds.changes(node, name, after, by=caller, limit=limit)
                parts = [
                    b'{"entries":[',
                    b",".join(entry_line(row) for row in page.rows),
                    b'],"cursor":"%s","more":%s}' % (str(page.cursor).encode(), _truth(page.more)),
                ]
                return answer(b"".join(parts), headers=NO_STORE)

    @get("/{origin:str}/{audience:str}/digest", opt={"act": "digests"})
    async def digests(
        self, request: Request[Any, Any, Any], origin: FromPath[str], audience: FromPath[str]
    ) -> ASGIResponse:
        """Prove a feed: the digests of its 256 buckets, signed by the origin, or the leaves of one."""
        node: Node = request.app.state.node
        check_id(origin, audience)
        name, bucket = FeedName(origin, audience), only(request, "bucket").get("bucket")
        if bucket is None:
            return encoded(await feeds.digests(node, name, by=caller_of(request)), headers=NO_STORE)
        if not re.fullmatch("[0-9a-f]{2}", bucket):
            raise Invalid("a bucket is two hexadecimal digits, 00 to ff", pointer="?bucket")
        return encoded(
            await feeds.leaves(node, name, int(bucket, 16), by=caller_of(request)), headers=NO_STORE
        )


class PeerAnswers(Controller):
    """What peers answer to this node's feeds."""

    @post("/v1/receipts", opt={"act": "receipt", "reads": (JSON,)}, status_code=200)
    async def receipt(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Confirm to this node, as its peer, that you have dropped what was withdrawn."""
        said = read_draft(await body_of(request), SignedReceipt)
        await receipts.accept_receipt(request.app.state.node, said.receipt, by=caller_of(request))
        return answer(b"", status=204, headers=NO_STORE)

    @post("/v1/feedback", opt={"act": "feedback", "reads": (JSON,)}, status_code=200)
    async def feedback(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Tell this node, as its peer, which entries of its feeds you could not take."""
        said = read_draft(await body_of(request), Feedback)
        await receipts.accept_feedback(request.app.state.node, said, by=caller_of(request))
        return answer(b"", status=204, headers=NO_STORE)

    @get("/v1/withdrawals", opt={"act": "withdrawals"})
    async def withdrawals(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """List what this node has taken back from its peers, and who has confirmed that it dropped it."""
        return encoded(await receipts.withdrawals(request.app.state.node), headers=NO_STORE)

    @get("/v1/feedback", opt={"act": "refused"})
    async def refused(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """List the entries of this node that its peers could not take, and why."""
        found = await receipts.feedback(request.app.state.node)
        return encoded({"refused": found}, headers=NO_STORE)


class ChangeLog(Controller):
    """Everything this node holds, for the operator's own systems."""

    @get("/v1/changes", opt={"act": "change_log"})
    async def change_log(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Follow everything the node holds, of every operator, in the order it arrived here."""
        node: Node = request.app.state.node
        after, limit = paging(request)
        caller = caller_of(request)
        match wanted(request, JSON, NDJSON, SSE):
            case "text/event-stream":
                if last := request.headers.get("last-event-id"):
                    after = Cursor.parse(last)
                await feeds.change_log(node, after, by=caller, limit=1)  # refuse before the stream begins
                headers = {**NO_STORE, "x-accel-buffering": "no"}
                return _streamed(_events(node, after, again(request)), SSE, headers)
            case "application/x-ndjson":
                await feeds.change_log(node, after, by=caller, limit=1)
                return _streamed(_change_log_lines(node, after, again(request), limit), NDJSON, NO_STORE)
            case _:
                rows, cursor, more = await feeds.change_log(node, after, by=caller, limit=limit)
                epoch = cursor.epoch
                parts = [
                    b'{"entries":[',
                    b",".join(change_line(row, epoch) for row in rows),
                    b'],"cursor":"%s","more":%s}' % (str(cursor).encode(), _truth(more)),
                ]
                return answer(b"".join(parts), headers=NO_STORE)


def _told(news: Iterable[FeedDelta]) -> bytes:
    """What is new, feed by feed, as far as there is room.

    It spares who follows us a question; who held another state than we think asks all the same.
    """
    parts: list[bytes] = []
    room = NEWS_BYTES
    for one in news:
        entries = b"".join(entry_line(row) + b"\n" for row in one.rows)
        if len(entries) <= room:
            room -= len(entries)
            feed, after = str(one.feed).encode(), str(one.after).encode()
            parts.append(b'{"feed":"%s","after":"%s"}\n' % (feed, after))
            parts.append(entries)
    return b"".join(parts)


Again = Callable[[], Awaitable[Caller]]
"""Who asked, as far as it holds by now: each page of a stream is seen by whoever the caller is then."""


def again(request: Request[Any, Any, Any]) -> Again:
    tokens: Tokens = request.app.state.tokens
    authorization = request.headers.get("authorization")
    first = caller_of(request)

    async def caller() -> Caller:
        return first if authorization is None else await tokens.still(authorization)

    return caller


def _streamed(lines: AsyncIterator[bytes], media_type: str, headers: Mapping[str, str]) -> ASGIResponse:
    return ASGIStreamingResponse(iterator=lines, media_type=media_type, headers=dict(headers))


async def _stream(
    node: Node, name: FeedName, page: FeedPage, caller: Again, limit: int
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


async def _change_log_lines(
    node: Node, after: Cursor | None, caller: Again, limit: int
) -> AsyncIterator[bytes]:
    more = True
    while more and not node.stopping.is_set():
        try:
            rows, after, more = await feeds.change_log(node, after, by=await caller(), limit=limit)
        except Refused:
            return  # whole lines up to here; the reader learns why when it asks again
        yield b"".join(change_line(row, after.epoch) + b"\n" for row in rows)


async def _events(node: Node, after: Cursor | None, caller: Again) -> AsyncIterator[bytes]:
    """Server-sent events; the id of each is the cursor to go on from.

    They end with the token they were asked for with: it expires, or is revoked.
    """
    yield b": the change log of this node\n\n"
    while not node.stopping.is_set():
        try:
            rows, after, more = await feeds.change_log(node, after, by=await caller(), limit=100)
        except Refused as error:
            yield b"event: refused\ndata: %s\n\n" % msgspec.json.encode({"code": error.code})
            return
        if rows:
            yield b"".join(
                b"id: %s.%d\nevent: %s\ndata: %s\n\n"
                % (after.epoch.encode(), row[0], _op(row[1]), change_line(row, after.epoch))
                for row in rows
            )
        if not more and not await node.notifier.wait_for(after.seq, HEARTBEAT):
            yield b": still here\n\n"


def entry_line(row: Any) -> bytes:
    """An entry on the wire: the stored bytes are embedded as they are."""
    seq, retracted, type_, key, revision, hash_, document = row
    start = b'{"seq":%d,"op":"%s","type":"%s","key":"%s","revision":%d' % (
        seq, _op(retracted), type_.encode(), key.encode(), revision,
    )  # fmt: skip
    if document is None:
        return start + b"}"
    return b'%s,"hash":"%s","document":%s}' % (start, hash_.hex().encode(), document)


def change_line(row: Any, epoch: str) -> bytes:
    """A change as the operator's own systems see it: with its origin, and the cursor after it."""
    arrived, retracted, origin, type_, key, revision, hash_, document = row
    start = b'{"cursor":"%s.%d","op":"%s","origin":"%s","type":"%s","key":"%s","revision":%d' % (
        epoch.encode(), arrived, _op(retracted), origin.encode(), type_.encode(), key.encode(), revision,
    )  # fmt: skip
    if document is None:
        return start + b"}"
    return b'%s,"hash":"%s","document":%s}' % (start, hash_.hex().encode(), document)


def _op(retracted: bool | None) -> bytes:
    if retracted is None:
        return b"withdraw"
    return b"delete" if retracted else b"upsert"


def _truth(value: bool) -> bytes:
    return b"true" if value else b"false"


class SignedReceipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a peer signs when it has dropped what was withdrawn."""

    receipt: str
    """A JWS of type ``federation-receipt+jwt``."""


def only(request: Request[Any, Any, Any], *names: str) -> dict[str, str]:
    """The query parameters, which are none but these. Raises Invalid."""
    parameters = request.query_params
    for name in parameters:
        if name not in names:
            raise Invalid(
                f"{name[:80]!r} cannot be asked here; {' and '.join(names)} can", pointer=f"?{name[:80]}"
            )
        if len(parameters.getall(name)) > 1:
            raise Invalid(f"{name} is there twice", pointer=f"?{name}")
    return {name: str(parameters[name]) for name in parameters}


def numbers_of(text: str) -> list[int]:
    """Numbers of entries, separated by commas. Raises Invalid."""
    if not re.fullmatch(r"[1-9][0-9]{0,15}(,[1-9][0-9]{0,15})*", text):
        raise Invalid("these are not numbers of entries, separated by commas", pointer="?numbers")
    return [int(number) for number in text.split(",")]


def wait_of(request: Request[Any, Any, Any]) -> int:
    """Seconds the caller prefers to wait (RFC 7240, 4.3), at most ``LONGEST_WAIT``."""
    for preference in request.headers.get("prefer", "").split(","):
        if found := re.fullmatch(r"\s*wait\s*=\s*([0-9]{1,6})\s*", preference):
            return min(int(found[1]), LONGEST_WAIT)
    return 0


def paging(request: Request[Any, Any, Any]) -> tuple[Cursor | None, int]:
    """``after`` and ``limit``. Raises Invalid for anything else."""
    parameters = only(request, "after", "limit")
    limit = parameters.get("limit", str(PAGE_ENTRIES))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 6 and 1 <= int(limit) <= PAGE_ENTRIES):
        raise Invalid(f"limit is a number from 1 to {PAGE_ENTRIES}", pointer="?limit")
    after = parameters.get("after")
    return Cursor.parse(after) if after else None, int(limit)


def wanted(request: Request[Any, Any, Any], *offered: str) -> str:
    """The form of the answer that ``Accept`` asks for; the first one offered when it does not matter."""
    best, found = 0.0, None
    for part in request.headers.get("accept", "*/*").split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((_weight(p) for p in parameters if p.startswith("q=")), 1.0)
        chosen = offered[0] if media_type in ("*/*", "application/*", "") else media_type
        if chosen in offered and weight > best:
            best, found = weight, chosen
    if found is not None:
        return found
    raise NotAcceptable(f"the answer can be given as {', '.join(offered)}")


def _weight(parameter: str) -> float:
    """RFC 9110, 12.4.2; what is no weight counts as none."""
    return float(parameter[2:]) if re.fullmatch(r"q=[01](\.[0-9]{0,3})?", parameter) else 0.0
