"""Import of advisories over HTTP: one JSON document, or one a line."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, get_args

from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.examples import ADVISORY
from federation.api.handlers import handles
from federation.api.parameters import DRY_RUN, several
from federation.domain.canonical import decode_json
from federation.domain.errors import Invalid, NotFound, TooLarge
from federation.domain.formats.advisory import MAX_ADVISORY_BYTES
from federation.domain.formats.readers import READERS
from federation.domain.values import GROUP_PATTERN, ID_PATTERN
from federation.domain.visibility import TLPS, Tlp
from federation.edge.answers import JSON, NDJSON, NO_STORE, json_answer
from federation.edge.operations import Answer, Body, Operation, Parameter, Right
from federation.edge.query_parameters import pairs_of
from federation.edge.requests import body_of, caller_of, node_of
from federation.node import advisories
from federation.node.advisories import ImportReport

MAX_LINES = 1_000
"""Advisories of one upload, at most."""
MAX_SOLUTIONS = 50
"""Solutions that one upload names, at most."""


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
            DRY_RUN,
            several(
                "solution",
                {"type": "string", "pattern": ID_PATTERN},
                "What the advisories are about (origin/key), when it is not to be found out.",
                MAX_SOLUTIONS,
            ),
            Parameter(
                "tlp",
                {
                    "schema": {"enum": list(TLPS)},
                    "description": "Label of new incidents, never wider than that of the advisory;"
                    " without it that of the advisory, or GREEN.",
                },
            ),
            Parameter(
                "audience",
                {
                    "schema": {"type": "string", "pattern": GROUP_PATTERN},
                    "description": "For AMBER and AMBER+STRICT: the group that may see new incidents.",
                },
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
        raise NotFound(
            "{form} is not a form of advisories; {forms} are", form=form[:40], forms=", ".join(READERS)
        )
    options = _options(request)
    body = await body_of(request, MAX_ADVISORY_BYTES)
    media_type = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if media_type == NDJSON:
        parts = [(n, line) for n, line in enumerate(body.splitlines(), 1) if line.strip()]
        if len(parts) > MAX_LINES:
            raise TooLarge(
                "an upload has at most {maximum} advisories; send the rest in another one", maximum=MAX_LINES
            )
    else:
        if not isinstance(decode_json(body), dict):
            raise Invalid("the body must be a JSON object")
        parts = [(1, body)]
    catalogue = await advisories.catalogue(node, options.solutions)
    lines = []
    for number, raw in parts:
        lines += await advisories.import_advisory(
            node,
            form,
            raw,
            catalogue,
            source=f"line {number}",
            by=caller_of(request),
            tlp=options.tlp,
            audience=options.audience,
            dry_run=options.dry_run,
        )
    return json_answer(advisories.report(lines, dry_run=options.dry_run), headers=NO_STORE)


HANDLERS = (import_advisories,)


class Options(NamedTuple):
    """The query parameters of an import."""

    dry_run: bool
    solutions: tuple[str, ...]
    tlp: Tlp | None
    audience: str | None


def _options(request: Request[Any, Any, Any]) -> Options:
    """The query parameters. Raises Invalid."""
    pairs = pairs_of(request)
    solutions = tuple(value for name, value in pairs if name == "solution")
    if len(solutions) > MAX_SOLUTIONS:
        raise Invalid(
            "more than {maximum} solutions are named",
            pointer="?solution",
            fault="too-many",
            maximum=MAX_SOLUTIONS,
        )
    given = dict(pairs)
    tlp = next((label for label in get_args(Tlp) if label == given.get("tlp")), None)
    audience = given.get("audience")
    if audience is not None and not re.fullmatch(GROUP_PATTERN, audience):
        raise Invalid("audience is the name of a group", pointer="?audience", fault="pattern")
    return Options(given.get("dry_run") == "true", solutions, tlp, audience)
