"""Advisories in, over HTTP: one JSON document, or one a line."""

from __future__ import annotations

from typing import Any

from litestar import Controller, Request, post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from federation.api.guard import body_of, caller_of
from federation.api.responses import JSON, NDJSON, NO_STORE, encoded
from federation.domain.canonical import decode_json
from federation.domain.errors import Forbidden, Invalid, NotFound, TooLarge
from federation.domain.formats import READERS
from federation.domain.formats.advisory import MAX_ADVISORY_BYTES
from federation.node import advisories
from federation.node.node import Node

MOST_LINES = 1_000
"""Advisories of one upload, at most."""
ASKED = ("dry_run", "solution")


class Advisories(Controller):
    """Advisories of others, published as incidents of one's own."""

    @post(
        "/v1/advisories/{form:str}",
        opt={"act": "import_advisories", "reads": (JSON, NDJSON), "limit": MAX_ADVISORY_BYTES},
        status_code=200,
    )
    async def import_advisories(self, request: Request[Any, Any, Any], form: FromPath[str]) -> ASGIResponse:
        """Publish or revise the incidents of CVE records, OSV advisories or CSAF documents; report each."""
        node: Node = request.app.state.node
        if form not in READERS:
            raise NotFound(f"{form[:40]} is not a form of advisories; {', '.join(READERS)} are")
        if not caller_of(request).own:
            raise Forbidden("only the operator's own clients publish here")
        dry_run, solutions = _asked(request)
        body = await body_of(request, MAX_ADVISORY_BYTES)
        media_type = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
        if media_type == NDJSON:
            parts = [(n, line) for n, line in enumerate(body.splitlines(), 1) if line.strip()]
            if len(parts) > MOST_LINES:
                raise TooLarge(f"an upload has at most {MOST_LINES} advisories; send the rest in another one")
        else:
            if not isinstance(decode_json(body), dict):
                raise Invalid("the body must be a JSON object")
            parts = [(1, body)]
        known = await advisories.catalogue(node, solutions)
        lines = []
        for number, raw in parts:
            lines += await advisories.import_advisory(
                node, form, raw, known, source=f"line {number}", by=caller_of(request), dry_run=dry_run
            )
        return encoded(advisories.report(lines, dry_run=dry_run), headers=NO_STORE)


def _asked(request: Request[Any, Any, Any]) -> tuple[bool, tuple[str, ...]]:
    asked = list(request.query_params.multi_items())
    for name, value in asked:
        if name not in ASKED:
            raise Invalid(
                f"{name[:80]!r} cannot be asked here; {', '.join(ASKED)} can", pointer=f"?{name[:80]}"
            )
        if name == "dry_run" and value not in ("true", "false"):
            raise Invalid("dry_run is true or false", pointer="?dry_run")
    solutions = tuple(value for name, value in asked if name == "solution")
    if len(solutions) > 50:
        raise Invalid("more than 50 solutions are named", pointer="?solution")
    return ("dry_run", "true") in asked, solutions
