"""What the node says of itself: descriptor, OpenAPI, documentation, problems, health, metrics."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from typing import Any

import msgspec
from litestar import Controller, Request, get
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from federation.api.openapi import document
from federation.api.problems import PROBLEMS
from federation.api.responses import NO_STORE, answer, encoded
from federation.domain.document import MAX_DOCUMENT
from federation.domain.errors import NotFound, Unavailable
from federation.domain.feed import LONGEST_WAIT, PAGE_BYTES, PAGE_ENTRIES
from federation.domain.registry import TYPES
from federation.domain.visibility import anonymous
from federation.node import status
from federation.node.node import Node

HTML = "text/html"
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
    """What a node says of itself to who would be its peer."""

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
    """Who was away for longer gets 410 for its cursor, and compares what it holds by digest."""
    limits: dict[str, int]
    contact: str | None = None
    security_contact: str | None = None


class WellKnown(Controller):
    """Answered to everybody."""

    @get("/.well-known/federation", opt={"act": "descriptor"})
    async def descriptor(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Read who runs this node, what it speaks and where."""
        node: Node = request.app.state.node
        contact = security_contact = None
        async with node.store.read() as tx:
            # The descriptor is read without a token: what everybody may see of the operator, and no more.
            own = await tx.records.find(
                "operator", node.operator, node.operator, visible_to=anonymous(node.operator)
            )
        if own is not None and not own.retracted:
            content = msgspec.json.decode(own.document)["content"]
            contact, security_contact = content["contact"], content["security_contact"]
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
                "wait_seconds": LONGEST_WAIT,
            },
            contact=contact,
            security_contact=security_contact,
        )
        return encoded(descriptor)

    @get("/v1/openapi.json", opt={"act": "openapi"})
    async def openapi(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Get this document."""
        state = request.app.state
        if state.get("openapi") is None:  # it takes a tenth of a second: not when a node starts
            state.openapi = msgspec.json.encode(document(request.app, state.node.url))
        return answer(state.openapi)

    @get(["/", "/docs"], opt={"act": "docs"})
    async def docs(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Read and try the API in a browser. The page loads nothing from another host."""
        return answer(_DOCS, media_type=HTML, headers=PAGE_HEADERS)

    @get("/assets/{name:str}", opt={"act": "asset"})
    async def asset(self, request: Request[Any, Any, Any], name: FromPath[str]) -> ASGIResponse:
        if name not in ASSETS:
            raise NotFound("there is no such path here")
        body = files("federation.api").joinpath("assets", name).read_bytes()
        return answer(
            body,
            media_type=ASSETS[name],
            headers={"cache-control": "public, max-age=86400", "x-content-type-options": "nosniff"},
        )

    @get("/problems/{code:str}", opt={"act": "problem"})
    async def problem(self, request: Request[Any, Any, Any], code: FromPath[str]) -> ASGIResponse:
        """Read what a problem means and what can be done."""
        found = PROBLEMS.get(code)
        if found is None:
            raise NotFound("there is no such problem")
        page = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(found.title)}</title>'
            f"<h1>{escape(found.title)}</h1><p><code>{escape(code)}</code>, HTTP status {found.status}</p>"
            f"<p>{escape(found.meaning)}</p><p>{escape(found.remedy)}</p></html>"
        )
        return answer(page.encode(), media_type=HTML, headers=PAGE_HEADERS)

    @get("/health/live", opt={"act": "live"})
    async def live(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Ask whether the process answers."""
        return encoded({"status": "live"}, headers=NO_STORE)

    @get("/health/ready", opt={"act": "ready"})
    async def ready(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Ask whether the node can do its work: its database answers and it is not stopping."""
        node: Node = request.app.state.node
        if node.stopping.is_set():
            raise Unavailable("the node is stopping")
        async with node.store.read() as tx:
            await tx.feeds.state()
        return encoded({"status": "ready"}, headers=NO_STORE)

    @get("/metrics", opt={"act": "metrics"})
    async def metrics(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Get metrics of this process, for Prometheus (whose scraper has an `oauth2` setting)."""
        page = await status.metrics_page(request.app.state.node, request.app.state.metrics)
        return answer(page, media_type="text/plain; version=0.0.4; charset=utf-8", headers=NO_STORE)


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
