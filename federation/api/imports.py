"""Imports of files over HTTP: one file, as one of a source or on its own."""

from __future__ import annotations

from typing import Any, get_args

from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.handlers import handles
from federation.domain.canonical import decode_json
from federation.domain.errors import Conflict, Invalid, NotFound, PlanChanged
from federation.domain.sources.kinds import KINDS
from federation.domain.sources.report import RunReport
from federation.domain.sources.source import SOURCE_PATTERN
from federation.domain.upload import DIGEST_PATTERN
from federation.domain.values import GROUP_PATTERN
from federation.domain.visibility import TLPS, Tlp
from federation.edge.answers import JSON, NO_STORE, json_answer
from federation.edge.operations import Answer, Body, Operation, Parameter, Right
from federation.edge.query_parameters import parameters_of
from federation.edge.requests import body_of, caller_of, node_of
from federation.node import imports
from federation.node.imports import FileImport

MAX_IMPORT_BYTES = 20 * 1_048_576
"""Bytes of an uploaded file, at most; the quota of its source may be smaller."""
MAX_OPTIONS_CHARACTERS = 1_500
"""Characters of options in a query, which has 8 192 bytes at most, each é as six of them."""
BYTES = "application/octet-stream"


def _query(name: str, description: str, schema: dict[str, Any]) -> Parameter:
    return Parameter(name, {"description": description, "schema": schema})


@handles(
    Operation(
        act="import_file",
        id="importFile",
        method="POST",
        path="/v1/imports",
        right=Right("imports.write", caller="own"),
        tag="sources",
        bodies=(Body(BYTES, {"type": "string", "format": "binary"}),),
        max_bytes=MAX_IMPORT_BYTES,
        parameters=(
            _query("as", "The kind of the file, where no source is named.", {"enum": list(KINDS)}),
            _query(
                "source",
                "The source that the file is of. What it no longer has is marked as disappeared.",
                {"type": "string", "pattern": SOURCE_PATTERN},
            ),
            _query(
                "options",
                "Options of the kind, as JSON: the meaning of columns, for example; instead of the source's."
                " A source may have longer ones.",
                {"type": "string", "maxLength": MAX_OPTIONS_CHARACTERS},
            ),
            _query(
                "tlp",
                "The label of new records, never wider than that of the source.",
                {"enum": list(TLPS)},
            ),
            _query(
                "audience",
                "For AMBER and AMBER+STRICT: the group that may see them.",
                {"type": "string", "pattern": GROUP_PATTERN},
            ),
            _query(
                "dry_run", "Store nothing, and report what would become of each record.", {"type": "boolean"}
            ),
            _query(
                "replace",
                "Retract records of the source that the file no longer has; with the digest of a dry run.",
                {"type": "boolean"},
            ),
            _query(
                "digest",
                "Digest of the dry run with `replace`: nothing is changed if it would be something else.",
                {"type": "string", "pattern": DIGEST_PATTERN},
            ),
        ),
        answers=(Answer(200, "The report", {JSON: RunReport}),),
        errors=(Invalid, NotFound, Conflict, PlanChanged),
    )
)
async def import_file(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Import a file: its records are published or revised, what a person changed since stays. Report each."""
    given = parameters_of(request)
    file = FileImport(
        source=given.get("source"),
        kind=given.get("as"),
        options=_options(given.get("options")),
        tlp=_label(given.get("tlp")),
        audience=given.get("audience"),
        dry_run=given.get("dry_run") == "true",
        replaces=given.get("replace") == "true",
        digest=given.get("digest"),
    )
    raw = await body_of(request, MAX_IMPORT_BYTES)
    report = await imports.import_file(node_of(request), raw, file, by=caller_of(request))
    return json_answer(report, headers=NO_STORE)


def _options(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = decode_json(text.encode())
    except Invalid as error:
        raise Invalid(error.message, pointer="?options") from None
    if not isinstance(value, dict):
        raise Invalid("options is a JSON object", pointer="?options", fault="wrong-type")
    return value


def _label(text: str | None) -> Tlp | None:
    return next((label for label in get_args(Tlp) if label == text), None)


HANDLERS = (import_file,)
