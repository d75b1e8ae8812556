"""The application: the rooms put together around one node."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from litestar import Litestar
from litestar.exceptions import HTTPException

from federation.api.advisories import Advisories
from federation.api.alerts import Alerts, Deadlines
from federation.api.caller import Tokens
from federation.api.direct import Direct
from federation.api.exposure import Exposure
from federation.api.feeds import ChangeLog, Feeds, PeerAnswers, SentStates
from federation.api.guard import check_rights, guard
from federation.api.limits import Limits
from federation.api.oauth import OAuth
from federation.api.peers import Peers
from federation.api.records import COLLECTIONS
from federation.api.responses import on_bug, on_http_error, on_refused
from federation.api.wellknown import WellKnown
from federation.domain.errors import Refused
from federation.domain.peer import OwnKey
from federation.node import checkpoints, epochs
from federation.node.keys import Keyring, mint_private_key
from federation.node.node import Node
from federation.outbound.mail import Mailer
from federation.server import maintenance
from federation.server.observed import ObservedApplication
from federation.settings import Settings, mail_server
from federation.store.database import Store, open_store
from federation.sync.loop import Loop
from federation.sync.peer_client import Network
from federation.telemetry import Metrics

log = logging.getLogger("federation")


@asynccontextmanager
async def node_of(settings: Settings, store: Store) -> AsyncIterator[Node]:
    """The node over an open store; its watch runs while the block lasts."""
    async with store.write() as tx:
        keys = await tx.keys.all()
        if not keys:
            await tx.keys.lock()
            keys = await tx.keys.all()
        if not keys:
            keys = [OwnKey(jwk=mint_private_key(), use_from=datetime.now(UTC))]
            await tx.keys.add(keys[0])
        state = await tx.feeds.state()
    keyring = Keyring(keys)
    node = Node(
        operator=settings.operator,
        url=settings.url,
        name=settings.name,
        store=store,
        keyring=keyring,
        state=state,
        outside=Network(settings.operator, keyring, _mailer(settings)),
        tombstones_days=settings.tombstones_days,
    )
    async with node.notifier.running():
        yield node


def _mailer(settings: Settings) -> Mailer | None:
    server = mail_server(settings)
    return Mailer(server) if server else None


def api(
    node: Node | None = None,
    metrics: Metrics | None = None,
    lifespan: Any = None,
    limits: Limits | None = None,
) -> Litestar:
    """The HTTP edge. Without a node it can only describe itself, which is enough for its OpenAPI document.

    Without ``limits`` everybody may ask as often as they like.
    """
    metrics = metrics or Metrics()
    app = Litestar(
        route_handlers=[
            *COLLECTIONS,
            Advisories,
            Alerts,
            Deadlines,
            Exposure,
            Feeds,
            ChangeLog,
            PeerAnswers,
            Peers,
            OAuth,
            WellKnown,
        ],
        guards=[guard],
        exception_handlers={Refused: on_refused, HTTPException: on_http_error, Exception: on_bug},
        lifespan=[lifespan] if lifespan else [],
        openapi_config=None,
        request_max_body_size=None,  # body_of() and the bulk upload have bounds of their own
        logging_config=None,
    )
    check_rights(app)
    app.state.metrics = metrics
    app.state.limits = limits or Limits()
    app.state.states = SentStates()
    if node is not None:
        attach(app, node)
    return app


def attach(app: Litestar, node: Node) -> None:
    """Give the HTTP edge its node."""
    app.state.node = node
    app.state.tokens = Tokens(node)


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
            if sync:
                await stack.enter_async_context(Loop(node, metrics).running())
            observed.on_drain = node.stop
            log.info("serving", extra={"operator": node.operator, "url": node.url})
            try:
                yield
            finally:
                node.stop()
        log.info("stopped", extra={"operator": settings.operator})

    limits = Limits(rate=settings.rate, anonymous=settings.rate_anonymous, proxies=settings.proxies)
    https = settings.url.startswith("https://")
    app = Direct(api(metrics=metrics, lifespan=lifespan, limits=limits))
    observed = ObservedApplication(app, metrics, https=https)
    return observed
