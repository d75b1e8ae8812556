"""Import of advisories over HTTP: one JSON document, or one a line."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.examples import ADVISORY
from federation.api.guard import body_of, caller_of, node_of
from federation.api.handlers import handles
from federation.api.operations import Answer, Body, Operation, Parameter, Right
from federation.api.parameters import several
from federation.api.responses import JSON, NDJSON, NO_STORE, json_answer
from federation.domain.canonical import decode_json
from federation.domain.errors import Invalid, NotFound, TooLarge
from federation.domain.formats import READERS
from federation.domain.formats.advisory import MAX_ADVISORY_BYTES
from federation.node import advisories
from federation.node.advisories import ImportReport

MAX_LINES = 1_000
"""Advisories of one upload, at most."""
MAX_SOLUTIONS = 50
"""Solutions that one upload names, at most."""
PARAMETERS = ("dry_run", "solution")


@handles(
    Operation(
        act="import_advisories",
        id="importAdvisories",
        method="POST",
        path="/v1/advisories/{form:str}",
        right=Right("incidents.write", caller="own"),
        tag="incidents",
        bodies=(Body(JSON, {"type": "object"}, ADVISORY), Body(NDJSON, {"type": "object"}, ADVISORY)),
        max_bytes=MAX_ADVISORY_BYTES,
        parameters=(
            Parameter("dry_run", {"schema": {"enum": ["true", "false"]}}),
            several(
                "solution",
                {"type": "string"},
                "What the advisories are about (origin/key), when it is not to be found out.",
            ),
        ),
        answers=(Answer(200, "What became of each", {JSON: ImportReport}),),
        errors=(Invalid, NotFound),
    )
)
async def import_advisories(request: Request[Any, Any, Any], form: str) -> ASGIResponse:
    """Publish or revise the incidents of CVE records, OSV advisories or CSAF documents; report each."""
    node = node_of(request)
    if form not in READERS:
        raise NotFound(f"{form[:40]} is not a form of advisories; {', '.join(READERS)} are")
    dry_run, solutions = _parameters(request)
    body = await body_of(request, MAX_ADVISORY_BYTES)
    media_type = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if media_type == NDJSON:
        parts = [(n, line) for n, line in enumerate(body.splitlines(), 1) if line.strip()]
        if len(parts) > MAX_LINES:
            raise TooLarge(f"an upload has at most {MAX_LINES} advisories; send the rest in another one")
    else:
        if not isinstance(decode_json(body), dict):
            raise Invalid("the body must be a JSON object")
        parts = [(1, body)]
    catalogue = await advisories.catalogue(node, solutions)
    lines = []
    for number, raw in parts:
        lines += await advisories.import_advisory(
            node, form, raw, catalogue, source=f"line {number}", by=caller_of(request), dry_run=dry_run
        )
    return json_answer(advisories.report(lines, dry_run=dry_run), headers=NO_STORE)


HANDLERS = (import_advisories,)


def _parameters(request: Request[Any, Any, Any]) -> tuple[bool, tuple[str, ...]]:
    """``dry_run``, and the solutions that are named. Raises Invalid."""
    pairs = list(request.query_params.multi_items())
    for name, value in pairs:
        if name not in PARAMETERS:
            raise Invalid(
                f"{name[:80]!r} cannot be asked here; {', '.join(PARAMETERS)} can", pointer=f"?{name[:80]}"
            )
        if name == "dry_run" and value not in ("true", "false"):
            raise Invalid("dry_run is true or false", pointer="?dry_run")
    solutions = tuple(value for name, value in pairs if name == "solution")
    if len(solutions) > MAX_SOLUTIONS:
        raise Invalid(f"more than {MAX_SOLUTIONS} solutions are named", pointer="?solution")
    return ("dry_run", "true") in pairs, solutions
