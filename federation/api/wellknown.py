"""The node itself: descriptor, OpenAPI document, documentation, problems, health, metrics."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from html import escape
from importlib.resources import files
from typing import Any, Literal

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.handlers import handles
from federation.api.openapi import document
from federation.api.problems import PROBLEMS
from federation.domain.document import MAX_DOCUMENT
from federation.domain.errors import NotFound, Unavailable
from federation.domain.feed import MAX_WAIT_SECONDS, PAGE_BYTES, PAGE_ENTRIES
from federation.domain.messages import Message
from federation.domain.registry import TYPES
from federation.domain.territories.bodies import BOUNDARIES, VERSION
from federation.edge.answers import JSON, NO_STORE, answer, json_answer
from federation.edge.operations import ADMINISTRATOR, ANYONE, UNCOUNTED, Answer, Operation
from federation.edge.requests import node_of
from federation.node import status

HTML = "text/html"
PAGE = (Answer(200, "A page", {HTML: {"type": "string"}}),)
TEXT = "text/plain"
CONTACT_EXPIRES = timedelta(days=180)
"""A reader of ``security.txt`` asks again after that time; RFC 9116, 2.5.5: less than a year."""
CONTACT_LANGUAGES = "en, fr"
PAGE_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "public, max-age=300",
}
ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "docs.js": "text/javascript",
}


class Descriptor(msgspec.Struct, frozen=True, omit_defaults=True):
    """The public description of a node, for nodes that would be its peers."""

    operator: str
    name: str
    url: str
    protocols: dict[str, str]
    """Base URL of each protocol version."""
    issuer: str
    token_endpoint: str
    jwks_uri: str
    types: tuple[str, ...]
    tombstones_kept_days: int
    """A peer that was away for longer gets 410 for its cursor, and compares its copy by digest."""
    limits: dict[str, int]
    register: dict[str, str]
    """The register of communes: version of its source, and year of its boundaries."""
    contact: str | None = None
    security_contact: str | None = None


class Health(msgspec.Struct, frozen=True):
    """The state of a process."""

    status: Literal["live", "ready"]


@handles(
    Operation(
        act="descriptor",
        id="getDescriptor",
        method="GET",
        path="/.well-known/federation",
        right=ANYONE,
        tag="node",
        answers=(Answer(200, "The node", {JSON: Descriptor}),),
    )
)
async def get_descriptor(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Read who runs this node, what it speaks and where."""
    node = node_of(request)
    contact, security_contact = await status.public_contacts(node)
    descriptor = Descriptor(
        operator=node.operator,
        name=node.name,
        url=node.url,
        protocols={"v1": f"{node.url}/v1"},
        issuer=node.url,
        token_endpoint=f"{node.url}/oauth2/token",
        jwks_uri=f"{node.url}/.well-known/jwks.json",
        types=tuple(name for name in TYPES if name != "group"),
        tombstones_kept_days=node.tombstones_days,
        limits={
            "document_bytes": MAX_DOCUMENT,
            "page_entries": PAGE_ENTRIES,
            "page_bytes": PAGE_BYTES,
            "wait_seconds": MAX_WAIT_SECONDS,
        },
        register={"version": VERSION, "boundaries": BOUNDARIES},
        contact=contact,
        security_contact=security_contact,
    )
    return json_answer(descriptor)


@handles(
    Operation(
        act="security-contact",
        id="getSecurityContact",
        method="GET",
        path="/.well-known/security.txt",
        right=ANYONE,
        tag="node",
        answers=(Answer(200, "The contact (RFC 9116)", {"text/plain": {"type": "string"}}),),
        errors=(NotFound,),
    )
)
async def get_security_contact(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Read how to report a weakness of this node (RFC 9116)."""
    node = node_of(request)
    if node.security_contact is None:
        raise NotFound("this node names no security contact: FEDERATION_SECURITY_CONTACT is not set")
    lines: tuple[str, ...] = (
        f"Contact: {node.security_contact}",
        f"Expires: {node.clock() + CONTACT_EXPIRES:%Y-%m-%dT%H:%M:%SZ}",
        f"Canonical: {node.url}/.well-known/security.txt",
        f"Preferred-Languages: {CONTACT_LANGUAGES}",
    )
    if node.url.startswith("https://"):  # CSAF 2.0, 7.1.8: no other address may stand there
        lines = (*lines, f"CSAF: {node.url}/.well-known/csaf/provider-metadata.json")
    return answer("".join(f"{line}\n" for line in lines).encode(), media_type=TEXT, headers=NO_STORE)


@handles(
    Operation(
        act="openapi",
        id="getOpenapi",
        method="GET",
        path="/v1/openapi.json",
        right=ANYONE,
        tag="feeds",
        answers=(Answer(200, "The document", {JSON: {"type": "object"}}),),
    )
)
async def get_openapi(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Get this document."""
    state = request.app.state
    if (
        state.get("openapi") is None
    ):  # it takes a tenth of a second: not when a node starts, and beside others
        described = await asyncio.to_thread(document, request.app, state.node.url)
        state.openapi = msgspec.json.encode(described)
    return answer(state.openapi)


@handles(
    Operation(
        act="docs",
        id="getDocs",
        method="GET",
        path="/docs",
        right=ANYONE,
        tag="node",
        answers=PAGE,
    )
)
async def get_docs(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Read and try the API in a browser. The page loads nothing from another host."""
    return answer(_DOCS, media_type=HTML, headers=PAGE_HEADERS)


@handles(Operation(act="asset", id="", method="GET", path="/assets/{name:str}", right=ANYONE, tag="node"))
async def get_asset(request: Request[Any, Any, Any], name: str) -> ASGIResponse:
    """Get a script or style of the documentation."""
    if name not in ASSETS:
        raise NotFound("there is no such path here")
    body = files("federation.api").joinpath("assets", name).read_bytes()
    return answer(
        body,
        media_type=ASSETS[name],
        headers={"cache-control": "public, max-age=86400", "x-content-type-options": "nosniff"},
    )


@handles(
    Operation(
        act="problem",
        id="getProblem",
        method="GET",
        path="/problems/{code:str}",
        right=ANYONE,
        tag="node",
        answers=PAGE,
        errors=(NotFound,),
    )
)
async def get_problem(request: Request[Any, Any, Any], code: str) -> ASGIResponse:
    """Read what a problem means and what can be done."""
    problem = PROBLEMS.get(code)
    if problem is None:
        raise NotFound("there is no such problem")
    french = escape(Message(problem.title).to_text("fr"))
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(problem.title)}</title>'
        f'<h1>{escape(problem.title)}</h1><p lang="fr">{french}</p>'
        f"<p><code>{escape(code)}</code>, HTTP status {problem.status}</p>"
        f"<p>{escape(problem.meaning)}</p><p>{escape(problem.remedy)}</p></html>"
    )
    return answer(page.encode(), media_type=HTML, headers=PAGE_HEADERS)


@handles(
    Operation(
        act="live",
        id="getLiveness",
        method="GET",
        path="/health/live",
        right=UNCOUNTED,
        tag="node",
        answers=(Answer(200, "It does", {JSON: Health}),),
    )
)
async def get_liveness(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Ask whether the process answers."""
    return json_answer(Health("live"), headers=NO_STORE)


@handles(
    Operation(
        act="ready",
        id="getReadiness",
        method="GET",
        path="/health/ready",
        right=UNCOUNTED,
        tag="node",
        answers=(Answer(200, "It can", {JSON: Health}),),
        errors=(Unavailable,),
    )
)
async def get_readiness(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Ask whether the node can do its work: its database answers and it is not stopping."""
    await status.check_ready(node_of(request))
    return json_answer(Health("ready"), headers=NO_STORE)


@handles(
    Operation(
        act="metrics",
        id="getMetrics",
        method="GET",
        path="/metrics",
        right=ADMINISTRATOR,
        tag="node",
        answers=(Answer(200, "Metrics", {"text/plain": {"type": "string"}}),),
    )
)
async def get_metrics(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Get metrics of this process, for Prometheus (whose scraper has an `oauth2` setting)."""
    page = await status.metrics_page(node_of(request), request.app.state.metrics)
    return answer(page, media_type="text/plain; version=0.0.4; charset=utf-8", headers=NO_STORE)


HANDLERS = (
    get_descriptor,
    get_security_contact,
    get_openapi,
    get_docs,
    get_asset,
    get_problem,
    get_liveness,
    get_readiness,
    get_metrics,
)


_DOCS = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Federation node: API</title>
<link rel="stylesheet" href="/assets/swagger-ui.css">
<div id="api">The API is described in <a href="/v1/openapi.json">/v1/openapi.json</a>.</div>
<script src="/assets/swagger-ui-bundle.js"></script>
<script src="/assets/docs.js"></script>
</html>
"""
