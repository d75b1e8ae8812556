"""Bulk uploads over HTTP: the operation of each type."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from federation.api.examples import DRAFTS, KEYS
from federation.api.handlers import handles
from federation.api.parameters import UPLOAD_PARAMETERS
from federation.api.upload_lines import (
    MAX_JSON_RECORDS,
    MAX_LINES,
    MAX_UPLOAD_BYTES,
    Declaration,
    RetractedLine,
)
from federation.api.upload_report import PlannedLine, RefusedLine, UploadEnd, UploadReport
from federation.api.uploads import answer_upload
from federation.domain.draft import KeyedDraft
from federation.domain.errors import Conflict, Invalid, NotAcceptable, PlanChanged
from federation.domain.record_content import Content
from federation.edge.answers import JSON, NDJSON
from federation.edge.operations import Answer, Body, Operation, Right


def upload_handler(kind: type[Content]) -> HTTPRouteHandler:
    """The bulk upload of one type."""
    names = kind.plural.capitalize()
    generic: Any = KeyedDraft
    keyed_draft = generic[kind]
    line = {"anyOf": [keyed_draft, RetractedLine, Declaration]}
    array = {"type": "array", "maxItems": MAX_JSON_RECORDS, "items": line}
    uploaded = {"key": KEYS[kind.type], **DRAFTS[kind.type]}

    @handles(
        Operation(
            act="upload",
            id=f"upload{names}",
            method="POST",
            path=f"/v1/{kind.plural}/bulk",
            right=Right(f"{kind.plural}.write", caller="own"),
            tag=kind.plural,
            description=(
                f"Publish or retract up to {MAX_LINES:,} {kind.plural}".replace(",", " ")
                + ", or replace a set of them. One draft with its key a line, or a line that retracts;"
                f" in JSON an array of at most {MAX_JSON_RECORDS}. The good lines are stored, unless a set is"
                " replaced: then all are, or none."
            ),
            bodies=(
                # JSON first: generators of clients take the first form, or the first that they know.
                Body(JSON, array, [uploaded]),
                Body(NDJSON, line, uploaded),
            ),
            max_bytes=MAX_UPLOAD_BYTES,
            parameters=UPLOAD_PARAMETERS,
            answers=(
                Answer(
                    200,
                    "A line for each record refused and, in a dry run, each other one; then the summary",
                    {JSON: UploadReport, NDJSON: {"anyOf": [RefusedLine, PlannedLine, UploadEnd]}},
                ),
            ),
            errors=(Invalid, NotAcceptable, Conflict, PlanChanged),
        )
    )
    async def upload(request: Request[Any, Any, Any]) -> ASGIResponse:
        return await answer_upload(kind, request)

    return upload
