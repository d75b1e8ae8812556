"""Records over HTTP: the same operations for every type, and one more for deployments and incidents each."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from federation.api.answer_links import FROM_BODY, FROM_PATH, page_links, record_links
from federation.api.bulk import upload_handler
from federation.api.documents import page_of, patch_of, result_of
from federation.api.examples import DRAFTS, PATCHES, UPDATE
from federation.api.handlers import handles
from federation.api.idempotency import keyed_request
from federation.api.parameters import (
    DRY_RUN,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    PREFER_PROVENANCE,
    list_parameters,
)
from federation.api.record_tables import table_handler
from federation.api.requests import preconditions_of
from federation.api.responses import record_answer, write_answer
from federation.api.software_catalog import publiccode_answer
from federation.domain.canonical import decode_json
from federation.domain.content.deployment import Deployment, NewVersion
from federation.domain.content.incident import Incident, NewUpdate
from federation.domain.content.solution import Solution
from federation.domain.document import Document
from federation.domain.draft import Draft, read_draft
from federation.domain.errors import (
    Conflict,
    Invalid,
    NotFound,
    PreconditionFailed,
    Retracted,
)
from federation.domain.formats.publiccode_export import MEDIA_TYPE as PUBLICCODE
from federation.domain.query import MAX_TOTAL, read_query
from federation.domain.record_content import Content
from federation.domain.registry import TYPES
from federation.edge.answers import (
    ETAG_HEADER,
    JSON,
    MERGE_PATCH,
    NO_STORE,
    REVALIDATE,
    answer,
    etag,
    json_answer,
    preferences_of,
    tags,
)
from federation.edge.operations import Answer, Body, Operation, Right
from federation.edge.query_parameters import is_true, pairs_of
from federation.edge.requests import body_of, caller_of, node_of
from federation.node import copy_views, deployments, records, search
from federation.node.edits import WriteResult
from federation.node.node import Node
from federation.node.previews import DryRun, Preview
from federation.node.software_catalog import ENDING

RECORD = "{origin:str}/{key:str}"
LINK = (
    "`next`: the next page (RFC 8288). In an order in which a revised record moves,"
    " `urn:federation:rel:walk`: this list by `id`, the order in which it is read to its end."
)
"""The description of the header ``Link``."""
WALK = "urn:federation:rel:walk"
"""The relation of a list to itself in the order in which it is read to its end (RFC 8288, 2.1.2)."""
CHANGING = (Invalid, NotFound, Conflict, Retracted, PreconditionFailed)
"""Errors of a change of a record that must be there."""


class _Origin(msgspec.Struct):
    """The member of a document that names its origin."""

    origin: str


_origin = msgspec.json.Decoder(_Origin)


def _revision_answer(kind: type[Content]) -> Answer:
    return Answer(
        200,
        "Revised, or unchanged; with `dry_run`, what would change at other operators",
        {JSON: result_of(kind)},
        {"ETag": {**ETAG_HEADER["ETag"], "required": False}},
        record_links(kind, FROM_PATH),
    )


def _creation_answer(kind: type[Content], parameters: dict[str, str]) -> Answer:
    location = {
        "description": "Where the record is.",
        "required": True,
        "schema": {"type": "string", "format": "uri"},
    }
    headers = {**ETAG_HEADER, "Location": location}
    return Answer(201, "Published", {JSON: _of(Document, kind)}, headers, record_links(kind, parameters))


def _of(generic: Any, kind: type[Content]) -> Any:
    return generic[kind]


def collection(kind: type[Content]) -> tuple[HTTPRouteHandler, ...]:
    """The operations on records of one type."""
    name, names = kind.__name__, kind.plural.capitalize()
    path = f"/v1/{kind.plural}"
    of_record = f"{path}/{RECORD}"
    reader, writer = Right(f"{kind.plural}.read", open=True), Right(f"{kind.plural}.write")
    document, draft_type = _of(Document, kind), _of(Draft, kind)
    example = DRAFTS[kind.type]
    draft_body = Body(JSON, draft_type, example)
    revised = _revision_answer(kind)
    previewed = Answer(200, "What would change at other operators (`dry_run`)", {JSON: Preview})
    files = {PUBLICCODE: {"type": "string"}} if kind is Solution else {}
    as_file = f" With `{ENDING}` after the key: as a publiccode.yml 0.7." if files else ""

    @handles(
        Operation(
            act="list",
            id=f"list{names}",
            method="GET",
            path=path,
            right=reader,
            tag=kind.plural,
            description=(
                f"List {kind.plural}: filter, search, sort, page by page. For spreadsheets: `{path}.csv`,"
                " `.xlsx` and `.ods`."
            ),
            parameters=(*list_parameters(kind), PREFER_PROVENANCE),
            answers=(
                Answer(
                    200,
                    "A page",
                    {JSON: page_of(kind)},
                    {"Link": {"description": LINK, "schema": {"type": "string"}}},
                    page_links(kind),
                ),
            ),
        )
    )
    async def list_records(request: Request[Any, Any, Any]) -> ASGIResponse:
        return await _page(request, kind)

    @handles(
        Operation(
            act="get",
            id=f"get{name}",
            method="GET",
            path=of_record,
            right=reader,
            tag=kind.plural,
            description=f"Get one {kind.type}, as its operator wrote it down.{as_file}",
            parameters=(IF_NONE_MATCH, IF_MODIFIED_SINCE),
            answers=(
                Answer(200, "The record", {JSON: document, **files}, ETAG_HEADER),
                Answer(304, "You have it", {}, ETAG_HEADER),
            ),
            errors=(NotFound, Retracted),
        )
    )
    async def get_record(request: Request[Any, Any, Any], origin: str, key: str) -> ASGIResponse:
        node = node_of(request)
        try:
            record = await records.find(node, kind, origin, key, by=caller_of(request))
        except (Invalid, NotFound):
            if not (files and key.endswith(ENDING)):  # a key may end so, too: the record goes first
                raise
            return await publiccode_answer(request, node, origin, key)
        if record.retracted:
            raise Retracted(
                "{kind} {origin}/{key} has been retracted by {origin}", kind=kind.type, origin=origin, key=key
            )
        headers = request.headers
        return record_answer(record, tags(headers.get("if-none-match")), headers.get("if-modified-since"))

    @handles(
        Operation(
            act="publish",
            id=f"publish{name}",
            method="PUT",
            path=of_record,
            right=writer,
            tag=kind.plural,
            description=(
                f"Publish a {kind.type} under a key of yours, or revise it."
                " The same content again changes nothing."
            ),
            bodies=(draft_body,),
            parameters=(DRY_RUN, IF_MATCH, IF_NONE_MATCH),
            answers=(revised, _creation_answer(kind, FROM_PATH)),
            errors=(Invalid, Conflict, PreconditionFailed),
        )
    )
    async def publish(request: Request[Any, Any, Any], origin: str, key: str) -> ASGIResponse:
        node, dry_run = node_of(request), is_true(request, "dry_run")
        records.check_origin(node, origin, key)
        draft = read_draft(await body_of(request), draft_type)
        result = records.publish(
            node,
            kind,
            draft,
            origin,
            key,
            by=caller_of(request),
            preconditions=preconditions_of(request),
            dry_run=dry_run,
        )
        return await _write_answer(node, kind, result, dry_run=dry_run)

    @handles(
        Operation(
            act="publish_new",
            id=f"publishNew{name}",
            method="POST",
            path=path,
            right=writer,
            tag=kind.plural,
            description=f"Publish a {kind.type} under a key that the node mints (UUIDv7).",
            bodies=(draft_body,),
            parameters=(DRY_RUN,),
            answers=(previewed, _creation_answer(kind, FROM_BODY)),
            errors=(Invalid, Conflict),
            takes_key=True,
        )
    )
    async def publish_new(request: Request[Any, Any, Any]) -> ASGIResponse:
        node, dry_run = node_of(request), is_true(request, "dry_run")
        draft = read_draft(await body_of(request), draft_type)
        result = records.publish_new(
            node,
            kind,
            draft,
            by=caller_of(request),
            dry_run=dry_run,
            step=keyed_request(request, partial(_result_answer, node, kind)),
        )
        return await _write_answer(node, kind, result, dry_run=dry_run)

    @handles(
        Operation(
            act="patch",
            id=f"patch{name}",
            method="PATCH",
            path=of_record,
            right=writer,
            tag=kind.plural,
            description=f"Revise members of a {kind.type} by JSON Merge Patch (RFC 7396).",
            bodies=(Body(MERGE_PATCH, patch_of(kind), PATCHES.get(kind.type, {"content": {}})),),
            parameters=(DRY_RUN, IF_MATCH, IF_NONE_MATCH),
            answers=(revised,),
            errors=CHANGING,
        )
    )
    async def patch(request: Request[Any, Any, Any], origin: str, key: str) -> ASGIResponse:
        node, dry_run = node_of(request), is_true(request, "dry_run")
        records.check_origin(node, origin, key)
        change = decode_json(await body_of(request))
        if not isinstance(change, dict):
            raise Invalid("a merge patch of a record is a JSON object", pointer="")
        result = records.patch(
            node,
            kind,
            change,
            origin,
            key,
            by=caller_of(request),
            preconditions=preconditions_of(request),
            dry_run=dry_run,
        )
        return await _write_answer(node, kind, result, dry_run=dry_run)

    @handles(
        Operation(
            act="retract",
            id=f"retract{name}",
            method="DELETE",
            path=of_record,
            right=writer,
            tag=kind.plural,
            description=f"Retract a {kind.type}: a tombstone takes its place, at every peer.",
            parameters=(DRY_RUN, IF_MATCH),
            answers=(previewed, Answer(204, "Retracted", {}, ETAG_HEADER)),
            errors=(NotFound, Conflict, PreconditionFailed),
        )
    )
    async def retract(request: Request[Any, Any, Any], origin: str, key: str) -> ASGIResponse:
        dry_run = is_true(request, "dry_run")
        try:
            result = await records.retract(
                node_of(request),
                kind,
                origin,
                key,
                by=caller_of(request),
                preconditions=preconditions_of(request),
                dry_run=dry_run,
            )
        except DryRun as run:
            return json_answer(run.preview, headers=NO_STORE)
        if dry_run:
            return json_answer(Preview.nothing(), headers=NO_STORE)
        return answer(b"", status=204, headers={"etag": etag(result.hash), **NO_STORE})

    return (
        list_records,
        table_handler(kind),
        get_record,
        publish,
        publish_new,
        patch,
        retract,
        upload_handler(kind),
    )


@handles(
    Operation(
        act="set_version",
        id="setDeploymentVersion",
        method="POST",
        path=f"/v1/{Deployment.plural}/{RECORD}/version",
        right=Right(f"{Deployment.plural}.write"),
        tag=Deployment.plural,
        bodies=(Body(JSON, NewVersion, {"version": "10.0.18"}),),
        parameters=(DRY_RUN, IF_MATCH, IF_NONE_MATCH),
        answers=(_revision_answer(Deployment),),
        errors=CHANGING,
        takes_key=True,
    )
)
async def set_version(request: Request[Any, Any, Any], origin: str, key: str) -> ASGIResponse:
    """Tell which version a deployment of yours runs now: for a probe or a CI job, after an update."""
    node, dry_run = node_of(request), is_true(request, "dry_run")
    records.check_origin(node, origin, key)
    version = read_draft(await body_of(request), NewVersion)
    result = deployments.set_version(
        node,
        version,
        origin,
        key,
        by=caller_of(request),
        preconditions=preconditions_of(request),
        dry_run=dry_run,
        step=keyed_request(request, partial(_result_answer, node, Deployment)),
    )
    return await _write_answer(node, Deployment, result, dry_run=dry_run)


@handles(
    Operation(
        act="append_update",
        id="appendIncidentUpdate",
        method="POST",
        path=f"/v1/{Incident.plural}/{RECORD}/updates",
        right=Right(f"{Incident.plural}.write"),
        tag=Incident.plural,
        bodies=(Body(JSON, NewUpdate, UPDATE),),
        parameters=(DRY_RUN, IF_MATCH, IF_NONE_MATCH),
        answers=(_revision_answer(Incident),),
        errors=CHANGING,
        takes_key=True,
    )
)
async def append_update(request: Request[Any, Any, Any], origin: str, key: str) -> ASGIResponse:
    """Append a line to the timeline of an incident, and move its status; the same line twice counts once."""
    node, dry_run = node_of(request), is_true(request, "dry_run")
    records.check_origin(node, origin, key)
    update = read_draft(await body_of(request), NewUpdate)
    result = records.append_update(
        node,
        update,
        origin,
        key,
        by=caller_of(request),
        preconditions=preconditions_of(request),
        dry_run=dry_run,
        step=keyed_request(request, partial(_result_answer, node, Incident)),
    )
    return await _write_answer(node, Incident, result, dry_run=dry_run)


HANDLERS = (
    *(handler for kind in TYPES.values() for handler in collection(kind)),
    set_version,
    append_update,
)


async def _page(request: Request[Any, Any, Any], kind: type[Content]) -> ASGIResponse:
    node, pairs = node_of(request), pairs_of(request)
    query = read_query(kind, pairs)
    found = await search.search(node, query, by=caller_of(request))
    documents, after, total, sort, not_understood = found.listed
    parts = [b'{"items":[', b",".join(documents), b"]"]
    headers = dict(REVALIDATE)
    links = []
    if after is not None:
        following = _list_url(node, kind, pairs, ("after", "total"), ("after", str(after)))
        links.append(f'<{following}>; rel="next"')
        parts += [b',"next":', msgspec.json.encode(following)]
        if query.sort != "id":
            # A record that is revised meanwhile moves in this order, perhaps to a page that was read before.
            walk = _list_url(node, kind, pairs, ("after", "total", "sort"), ("sort", "id"))
            links.append(f'<{walk}>; rel="{WALK}"')
    if links:
        headers["link"] = ", ".join(links)
    if not_understood:
        parts.append(b',"not_understood":%d' % not_understood)
    if query.words is not None:
        parts += [b',"sort":', msgspec.json.encode(sort)]
    if found.suggestion is not None:
        parts += [b',"suggestion":', msgspec.json.encode(found.suggestion)]
    if "provenance" in preferences_of(request):
        headers["preference-applied"] = "provenance"
        origins = {_origin.decode(document).origin for document in documents}
        parts += [
            b',"provenance":',
            msgspec.json.encode(await copy_views.provenance(node, origins, by=caller_of(request))),
        ]
    if total is not None:
        parts.append(b',"total":%d,"total_is_exact":%s' % (
            min(total, MAX_TOTAL), b"true" if total <= MAX_TOTAL else b"false"
        ))  # fmt: skip
    return answer(b"".join([*parts, b"}"]), headers=headers)


def _list_url(
    node: Node,
    kind: type[Content],
    pairs: list[tuple[str, str]],
    without: tuple[str, ...],
    also: tuple[str, str],
) -> str:
    """The URL of a list with other parameters."""
    repeated = [pair for pair in pairs if pair[0] not in without]
    return f"{node.url}/v1/{kind.plural}?{urlencode([*repeated, also])}"


async def _write_answer(
    node: Node, kind: type[Content], writing: Awaitable[WriteResult], *, dry_run: bool = False
) -> ASGIResponse:
    """The answer to a write, or the preview of one."""
    try:
        result = await writing
    except DryRun as run:
        return json_answer(run.preview, headers=NO_STORE)
    return _result_answer(node, kind, result, dry_run=dry_run)


def _result_answer(
    node: Node, kind: type[Content], result: WriteResult, *, dry_run: bool = False
) -> ASGIResponse:
    location = f"{node.url}/v1/{kind.plural}/{node.operator}/{result.key}"
    return write_answer(result, location, dry_run=dry_run)
