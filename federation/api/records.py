"""Collections of records: one controller a type, all with the same verbs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

import msgspec
from litestar import Controller, Request, Router, delete, get, patch, post, put, route
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from federation.api.guard import body_of, caller_of, pieces
from federation.api.responses import (
    JSON,
    MERGE_PATCH,
    NDJSON,
    NO_STORE,
    REVALIDATE,
    STATUS,
    answer,
    encoded,
    etag,
    preferences_of,
    stored,
    tags,
    written,
)
from federation.domain.canonical import decode_json
from federation.domain.content.deployment import Deployment, NewVersion
from federation.domain.content.group import Group
from federation.domain.content.incident import Incident, NewUpdate
from federation.domain.content.operator import Operator
from federation.domain.content.solution import Solution
from federation.domain.content.statement import Statement
from federation.domain.draft import Draft, KeyedDraft, read_draft
from federation.domain.errors import Forbidden, Invalid, Refused, Retracted, TooLarge, TooSlow
from federation.domain.feed import Lines
from federation.domain.query import MAX_TOTAL, read_query
from federation.domain.values import Content
from federation.domain.visibility import Caller
from federation.node import copies, deployments, records
from federation.node.edits import WriteResult
from federation.node.node import Node
from federation.node.previews import DryRun, Preview
from federation.node.records import Preconditions

BULK_LINES = 100_000
"""Records of one upload, at most."""
BULK_BYTES = 512 * 1_048_576
"""Bytes of one upload, at most."""
BULK_LINE = 1_048_576
"""Bytes of one line, at most."""
BATCH = 1_000
"""Records kept in one transaction."""
AT_ONCE = 50
"""Lines read before others have a turn."""
BATCH_BYTES = 8 * 1_048_576


class Collection(Controller):
    """What can be done with records of one type."""

    kind: ClassVar[type[Content]]

    def __init__(self, owner: Router) -> None:
        # The guard and the OpenAPI document see a handler by its options.
        self.opt = {"kind": self.kind}
        super().__init__(owner)

    @get("/", opt={"act": "list"})
    async def list_records(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """List {plural}: filter, search, sort, page by page."""
        return await some_records(request, self.kind)

    @get("/{origin:str}/{key:str}", opt={"act": "get"})
    async def get_record(
        self, request: Request[Any, Any, Any], origin: FromPath[str], key: FromPath[str]
    ) -> ASGIResponse:
        """Get one {type}, as its operator wrote it down."""
        known = request.headers.get("if-none-match")
        return await one_record(_node(request), self.kind, origin, key, by=caller_of(request), known=known)

    @put("/{origin:str}/{key:str}", opt={"act": "publish", "reads": (JSON,)})
    async def publish(
        self, request: Request[Any, Any, Any], origin: FromPath[str], key: FromPath[str]
    ) -> ASGIResponse:
        """Publish a {type} under a key of yours, or revise it. The same content again changes nothing."""
        return await publish_one(request, self.kind, origin, key)

    @post("/", opt={"act": "publish_new", "reads": (JSON,)})
    async def publish_new(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Publish a {type} under a key that the node mints (UUIDv7)."""
        node, dry_run = _node(request), dry_run_of(request)
        shape: Any = Draft
        draft = read_draft(await body_of(request), shape[self.kind])
        outcome = records.publish_new(node, self.kind, draft, by=caller_of(request), dry_run=dry_run)
        return await _written(node, self.kind, outcome, dry_run=dry_run)

    @patch("/{origin:str}/{key:str}", opt={"act": "patch", "reads": (MERGE_PATCH,)})
    async def patch(
        self, request: Request[Any, Any, Any], origin: FromPath[str], key: FromPath[str]
    ) -> ASGIResponse:
        """Revise members of a {type} by JSON Merge Patch (RFC 7396)."""
        node, dry_run = _node(request), dry_run_of(request)
        records.check_origin(node, origin, key)
        change = decode_json(await body_of(request))
        if not isinstance(change, dict):
            raise Invalid("a merge patch of a record is a JSON object", pointer="")
        outcome = records.patch(
            node,
            self.kind,
            change,
            origin,
            key,
            by=caller_of(request),
            preconditions=_preconditions(request),
            dry_run=dry_run,
        )
        return await _written(node, self.kind, outcome, dry_run=dry_run)

    @delete("/{origin:str}/{key:str}", opt={"act": "retract"}, status_code=200)
    async def retract(
        self, request: Request[Any, Any, Any], origin: FromPath[str], key: FromPath[str]
    ) -> ASGIResponse:
        """Retract a {type}: a tombstone takes its place, at every peer."""
        dry_run = dry_run_of(request)
        try:
            outcome = await records.retract(
                _node(request),
                self.kind,
                origin,
                key,
                by=caller_of(request),
                preconditions=_preconditions(request),
                dry_run=dry_run,
            )
        except DryRun as run:
            return encoded(run.preview, headers=NO_STORE)
        if dry_run:
            return encoded(Preview.nothing(), headers=NO_STORE)
        return answer(b"", status=204, headers={"etag": etag(outcome.hash), **NO_STORE})

    # Litestar's own answer names the methods of the first handler of a path only, and it is made unless
    # there is one already: handlers are taken in the order of their names, so this one must come first.
    @route(["/", "/{origin:str}/{key:str}"], http_method="OPTIONS", opt={"act": "options"})
    async def allowed(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Tell which methods the path takes."""
        path = request.scope["path_template"]
        allowed = {m for r in request.app.routes if r.path_format == path for m in getattr(r, "methods", ())}
        return answer(b"", status=204, headers={"allow": ", ".join(sorted(allowed))})

    @post("/bulk", opt={"act": "upload", "reads": (NDJSON,), "limit": BULK_BYTES}, status_code=200)
    async def upload(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Publish up to 100 000 {plural}: one draft with its key a line; the good ones are kept."""
        if not caller_of(request).own:
            raise Forbidden("only the operator's own clients publish here")
        # The report begins when the upload has ended: a client that reads nothing before it has sent
        # everything would otherwise wait for us, and we for it.
        report = [line async for line in Upload(_node(request), self.kind, request).lines()]
        return answer(b"".join(report), media_type=NDJSON, headers=NO_STORE)


class Solutions(Collection):
    path = "/v1/solutions"
    kind = Solution


class Deployments(Collection):
    path = "/v1/deployments"
    kind = Deployment

    @post("/{origin:str}/{key:str}/version", opt={"act": "set_version", "reads": (JSON,)}, status_code=200)
    async def set_version(
        self, request: Request[Any, Any, Any], origin: FromPath[str], key: FromPath[str]
    ) -> ASGIResponse:
        """Tell which version a deployment of yours runs now: for a probe or a CI job, after an update."""
        node = _node(request)
        records.check_origin(node, origin, key)
        found = read_draft(await body_of(request), NewVersion)
        outcome = deployments.set_version(
            node, found, origin, key, by=caller_of(request), preconditions=_preconditions(request)
        )
        return await _written(node, self.kind, outcome)


class Incidents(Collection):
    path = "/v1/incidents"
    kind = Incident

    @post("/{origin:str}/{key:str}/updates", opt={"act": "append_update", "reads": (JSON,)})
    async def append_update(
        self, request: Request[Any, Any, Any], origin: FromPath[str], key: FromPath[str]
    ) -> ASGIResponse:
        """Append a line to the timeline of an incident, and move its status."""
        node = _node(request)
        records.check_origin(node, origin, key)
        update = read_draft(await body_of(request), NewUpdate)
        outcome = records.append_update(
            node, update, origin, key, by=caller_of(request), preconditions=_preconditions(request)
        )
        return await _written(node, self.kind, outcome)


class Statements(Collection):
    path = "/v1/statements"
    kind = Statement


class Operators(Collection):
    path = "/v1/operators"
    kind = Operator


class Groups(Collection):
    path = "/v1/groups"
    kind = Group


COLLECTIONS: tuple[type[Collection], ...] = (
    Solutions,
    Deployments,
    Incidents,
    Statements,
    Operators,
    Groups,
)


class RefusedLine(msgspec.Struct, omit_defaults=True):
    """A line of the report of an upload: a record that was not kept."""

    line: int
    """Counted from 1."""
    status: int
    title: str
    detail: str
    key: str | None = None
    pointer: str | None = None


class CutShort(Exception):
    """An upload cannot go on, for a reason that is not in its lines: the report ends without a summary."""


class UploadSummary(msgspec.Struct):
    """The last line of the report. Without it the upload was cut short, and is to be repeated."""

    received: int = 0
    created: int = 0
    revised: int = 0
    unchanged: int = 0
    refused: int = 0


class Upload:
    """An upload under way: reads lines, keeps them batch by batch, reports what it refuses.

    Each batch is a transaction of its own, so a broken connection loses nothing that was kept, and a
    repeated upload finds it unchanged. When a batch cannot be kept as a whole, each of its lines is
    reported and the upload ends there. While the database keeps one batch, the next one is read.
    """

    def __init__(self, node: Node, kind: type[Content], request: Request[Any, Any, Any]) -> None:
        self._node = node
        self._kind = kind
        self._request = request
        shape: Any = KeyedDraft
        self._shape = shape[kind]
        self._summary = UploadSummary()
        self._batch: dict[str, tuple[int, Draft[Any]]] = {}
        self._lines: dict[str, int] = {}
        self._bytes = 0
        self._keeping: tuple[asyncio.Task[dict[str, WriteResult | Refused]], dict[str, int]] | None = None

    async def lines(self) -> AsyncIterator[bytes]:
        """The report, line by line."""
        try:
            async for told in self._reported():
                yield told
        except CutShort:
            return
        finally:
            if self._keeping is not None:
                # The connection broke, or the process is to end: what is being kept is kept or not.
                self._keeping[0].cancel()
                await asyncio.gather(self._keeping[0], return_exceptions=True)
        yield msgspec.json.encode({"summary": self._summary}) + b"\n"

    async def _reported(self) -> AsyncIterator[bytes]:
        try:
            async for number, line in self._incoming():
                self._summary.received = number
                refusal = self._read(number, line)
                if refusal is not None:
                    yield self._refuse(refusal)
                if number % AT_ONCE == 0:
                    await asyncio.sleep(0)  # what the database answers meanwhile is not to wait for a batch
                if len(self._batch) >= BATCH or self._bytes >= BATCH_BYTES:
                    async for told in self._kept():
                        yield told
                    self._keep()
        except (TooLarge, TooSlow) as error:
            # What is good before the line at fault is kept.
            async for told in self._all_kept():
                yield told
            yield self._refuse(_refusal(self._summary.received + 1, error))
            if isinstance(error, TooSlow):
                raise CutShort from None
        else:
            async for told in self._all_kept():
                yield told

    async def _incoming(self) -> AsyncIterator[tuple[int, bytes | None]]:
        """Number and bytes of each line that is not blank; None for one that is too long to be kept."""
        lines, number, size = Lines(), 0, 0
        async for chunk in pieces(self._request):
            size += len(chunk)
            # Lines that end before the bound are read, however the body was cut on its way.
            for line in lines.cut(chunk[: len(chunk) - max(size - BULK_BYTES, 0)]):
                number += 1
                if line.strip():
                    yield self._counted(number), line
            if size > BULK_BYTES:
                raise TooLarge(f"the upload is longer than {BULK_BYTES} bytes; send the rest in another one")
            if lines.rest > BULK_LINE:
                number += 1
                yield self._counted(number), None
                lines.skip()
        if (rest := lines.end()).strip():
            yield self._counted(number + 1), rest

    @staticmethod
    def _counted(number: int) -> int:
        if number > BULK_LINES:
            raise TooLarge(f"an upload has at most {BULK_LINES} lines; send the rest in another one")
        return number

    def _read(self, number: int, line: bytes | None) -> RefusedLine | None:
        key = None
        try:
            if line is None or len(line) > BULK_LINE:
                raise TooLarge(f"the line is longer than {BULK_LINE} bytes")
            keyed = read_draft(line, self._shape)
            key = keyed.key
            if key in self._lines:
                raise Invalid(f"the key {key} is in line {self._lines[key]} already", pointer="/key")
        except Refused as error:
            return _refusal(number, error, key)
        self._batch[key] = (number, keyed)
        self._lines[key] = number
        self._bytes += len(line)
        return None

    def _keep(self) -> None:
        """Begin to keep what has been read."""
        batch, self._batch, self._bytes = self._batch, {}, 0
        if batch:
            drafts = {key: draft for key, (_, draft) in batch.items()}
            keeping = records.upload(self._node, self._kind, drafts, by=caller_of(self._request))
            numbers = {key: number for key, (number, _) in batch.items()}
            self._keeping = asyncio.create_task(keeping, name="upload"), numbers

    async def _all_kept(self) -> AsyncIterator[bytes]:
        """The report of everything that has been read."""
        async for told in self._kept():
            yield told
        self._keep()
        async for told in self._kept():
            yield told

    async def _kept(self) -> AsyncIterator[bytes]:
        """The report of the batch that is being kept, when that has ended."""
        if self._keeping is None:
            return
        keeping, numbers = self._keeping
        try:
            outcomes = await keeping
        except Refused as error:
            for key, number in numbers.items():
                yield self._refuse(_refusal(number, error, key))
            raise CutShort from None
        finally:
            self._keeping = None
        for key, outcome in outcomes.items():
            if isinstance(outcome, Refused):
                yield self._refuse(_refusal(numbers[key], outcome, key))
            elif not outcome.changed:
                self._summary.unchanged += 1
            elif outcome.created:
                self._summary.created += 1
            else:
                self._summary.revised += 1

    def _refuse(self, refusal: RefusedLine) -> bytes:
        self._summary.refused += 1
        return msgspec.json.encode(refusal) + b"\n"


def dry_run_of(request: Request[Any, Any, Any]) -> bool:
    """Whether the caller only asks what a change would do (``?dry_run=true``). Raises Invalid."""
    for name in request.query_params:
        if name != "dry_run":
            raise Invalid(f"{name[:80]!r} cannot be asked here; dry_run can", pointer=f"?{name[:80]}")
    said = request.query_params.getall("dry_run", ["false"])
    if said not in (["true"], ["false"]):
        raise Invalid("dry_run is true or false", pointer="?dry_run")
    return said == ["true"]


def _refusal(line: int, error: Refused, key: str | None = None) -> RefusedLine:
    return RefusedLine(
        line=line, status=STATUS[type(error)], title=error.title, detail=error.detail, key=key,
        pointer=error.pointer,
    )  # fmt: skip


async def some_records(request: Request[Any, Any, Any], kind: type[Content]) -> ASGIResponse:
    """The answer to a GET of a list, whose caller was admitted."""
    node, asked = _node(request), _asked(request)
    documents, place, total = await records.collect(node, read_query(kind, asked), by=caller_of(request))
    parts = [b'{"items":[', b",".join(documents), b"]"]
    headers = dict(REVALIDATE)
    if place is not None:
        same = [pair for pair in asked if pair[0] not in ("after", "total")]
        following = f"{node.url}/v1/{kind.plural}?{urlencode([*same, ('after', str(place))])}"
        headers["link"] = f'<{following}>; rel="next"'
        parts += [b',"next":', msgspec.json.encode(following)]
    if "provenance" in preferences_of(request):
        headers["preference-applied"] = "provenance"
        parts += [
            b',"provenance":',
            msgspec.json.encode(await copies.provenance(node, by=caller_of(request))),
        ]
    if total is not None:
        parts.append(b',"total":%d,"total_is_exact":%s' % (
            min(total, MAX_TOTAL), b"true" if total <= MAX_TOTAL else b"false"
        ))  # fmt: skip
    return answer(b"".join([*parts, b"}"]), headers=headers)


async def one_record(
    node: Node, kind: type[Content], origin: str, key: str, *, by: Caller, known: str | None
) -> ASGIResponse:
    """The answer to a GET of one record; ``known``: its ``If-None-Match``. Raises NotFound, Retracted."""
    found = await records.find(node, kind, origin, key, by=by)
    if found.retracted:
        raise Retracted(f"{kind.type} {origin}/{key} has been retracted by {origin}")
    return stored(found, tags(known))


async def publish_one(
    request: Request[Any, Any, Any], kind: type[Content], origin: str, key: str
) -> ASGIResponse:
    """The answer to a PUT of one record, whose caller was admitted."""
    node, dry_run = _node(request), dry_run_of(request)
    records.check_origin(node, origin, key)
    shape: Any = Draft
    draft = read_draft(await body_of(request), shape[kind])
    outcome = records.publish(
        node,
        kind,
        draft,
        origin,
        key,
        by=caller_of(request),
        preconditions=_preconditions(request),
        dry_run=dry_run,
    )
    return await _written(node, kind, outcome, dry_run=dry_run)


async def _written(
    node: Node, kind: type[Content], writing: Awaitable[WriteResult], *, dry_run: bool = False
) -> ASGIResponse:
    """The answer to a write, or to the question what it would do."""
    try:
        outcome = await writing
    except DryRun as run:
        return encoded(run.preview, headers=NO_STORE)
    location = f"{node.url}/v1/{kind.plural}/{node.operator}/{outcome.key}"
    return written(outcome, location, dry_run=dry_run)


def _node(request: Request[Any, Any, Any]) -> Node:
    node: Node = request.app.state.node
    return node


def _asked(request: Request[Any, Any, Any]) -> list[tuple[str, str]]:
    """The query parameters, in order. Raises Invalid for what is not UTF-8."""
    try:
        return parse_qsl(
            request.scope["query_string"].decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=100,
        )
    except (UnicodeDecodeError, ValueError):
        raise Invalid(
            "the query string cannot be read: UTF-8, percent-encoded, at most 100 members"
        ) from None


def _preconditions(request: Request[Any, Any, Any]) -> Preconditions:
    headers = request.headers
    return Preconditions(tags(headers.get("if-match"), strong=True), tags(headers.get("if-none-match")))
