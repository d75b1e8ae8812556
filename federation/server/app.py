"""The application: the parts put together around one node."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from litestar import Litestar, Request
from litestar.exceptions import HTTPException

from federation.api import (
    advisories,
    alerts,
    atom_feeds,
    bodies,
    calendars,
    change_log,
    consultations,
    csaf,
    dcat,
    deadlines,
    exposure,
    feeds,
    heads,
    imports,
    oauth,
    peers,
    receipts,
    records,
    software_catalog,
    source_events,
    sources,
    statuspage,
    themes,
    wellknown,
)
from federation.api.caller import Tokens
from federation.api.handlers import with_options
from federation.api.heads import SentStates
from federation.api.responses import answer_exception, answer_http_error, answer_refusal
from federation.domain.errors import Refused
from federation.edge import operations
from federation.edge.limits import Limits, Proxies
from federation.edge.shares import Bounds, Shares
from federation.node import checkpoints, epochs
from federation.node.bodies import prepare_register
from federation.node.node import Node
from federation.server import maintenance
from federation.server.connections import SPARE_SOCKETS, Connections
from federation.server.local_node import node_of
from federation.server.observed import ObservedApplication
from federation.server.registration import AllHandlers
from federation.settings.settings import Settings
from federation.store.database import open_store
from federation.sync.loop import Loop
from federation.telemetry import Metrics
from federation.web.error_pages import answer_no_page
from federation.web.language import language_of_path
from federation.web.rendering import compile_templates
from federation.web.site import PAGES

log = logging.getLogger("federation")

MODULES: tuple[Any, ...] = (
    records,
    advisories,
    alerts,
    atom_feeds,
    bodies,
    calendars,
    consultations,
    csaf,
    dcat,
    deadlines,
    exposure,
    heads,
    feeds,
    change_log,
    receipts,
    peers,
    oauth,
    sources,
    source_events,
    imports,
    statuspage,
    software_catalog,
    themes,
    wellknown,
)
"""The modules of the API; those of pages are in ``web/site.py``."""


def api(
    node: Node | None = None,
    metrics: Metrics | None = None,
    lifespan: Any = None,
    limits: Limits | None = None,
    shares: Shares | None = None,
) -> Litestar:
    """The HTTP edge. Without a node it can only describe itself, which is enough for its OpenAPI document.

    Without ``limits`` and ``shares`` every caller may ask without a limit.
    """
    metrics = metrics or Metrics()
    handlers = (handler for module in (*MODULES, *PAGES) for handler in module.HANDLERS)
    app = Litestar(
        route_handlers=[AllHandlers(with_options(handlers))],
        # Of requests that reach no operation; the others are answered in ``api/handlers.py`` and
        # ``web/pages.py``.
        exception_handlers={
            Refused: answer_refusal,
            HTTPException: _answer_http_error,
            Exception: answer_exception,
        },
        lifespan=[lifespan] if lifespan else [],
        openapi_config=None,
        request_max_body_size=None,  # body_of() and the bulk upload have bounds of their own
        logging_config=None,
    )
    operations.check(app)
    app.state.metrics = metrics
    app.state.limits = limits or Limits()
    app.state.shares = shares or Shares()
    app.state.states = SentStates()
    if node is not None:
        attach(app, node)
    return app


def _answer_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Any:
    """A page where people look for one, else a problem."""
    if language_of_path(request.scope["path"]) is not None:
        return answer_no_page(request, error)
    return answer_http_error(request, error)


def attach(app: Litestar, node: Node) -> None:
    """Give the HTTP edge its node."""
    app.state.node = node
    app.state.tokens = Tokens(node)


async def _prepare() -> None:
    """Do beside the event loop what the first visitors would wait for."""
    await asyncio.to_thread(compile_templates)
    await prepare_register()


def application(settings: Settings, dsn: str, *, sync: bool = True) -> ObservedApplication:
    """The ASGI application of one process of ``federation serve``."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(open_store(dsn, connections=settings.connections))
            node = await stack.enter_async_context(node_of(settings, store))
            attach(app, node)
            # A restored database is known as such, and signed, before anybody is answered.
            await epochs.detect_restore(node)
            await checkpoints.sign_checkpoints(node)
            await stack.enter_async_context(maintenance.running(node))
            await stack.enter_async_context(connections.watching())
            if sync:
                await stack.enter_async_context(Loop(node, metrics).running())
            preparing = asyncio.create_task(_prepare(), name="prepare pages and register")
            stack.callback(preparing.cancel)
            observed.on_drain = node.stop
            log.info("serving", extra={"operator": node.operator, "url": node.url})
            try:
                yield
            finally:
                node.stop()
        log.info("stopped", extra={"operator": settings.operator})

    limits = Limits(rate=settings.rate, anonymous=settings.rate_anonymous, proxies=settings.proxies)
    bounds = Bounds(
        settings.requests, settings.requests_per_caller, settings.waits, settings.waits_per_caller
    )
    connections = Connections(
        settings.port,
        total=settings.sockets,
        per_address=settings.sockets_per_address,
        spare=SPARE_SOCKETS,
        proxies=Proxies(settings.proxies),
        metrics=metrics,
    )
    https = settings.url.startswith("https://")
    app = api(metrics=metrics, lifespan=lifespan, limits=limits, shares=Shares(bounds, metrics))
    observed = ObservedApplication(app, metrics, https=https, connections=connections)
    return observed
