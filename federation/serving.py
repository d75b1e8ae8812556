"""One process of the node: its database, its API on granian, its sync loop; stopped by SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from federation.app import application
from federation.domain.errors import Broken
from federation.settings import Settings
from federation.store import embedded, schema

log = logging.getLogger("federation")

HEADER_MILLISECONDS = 10_000
"""A client must have sent its request's headers within this time."""
BACKLOG = 1_024
CONCURRENT = 512
"""Requests under way at once, at most; further ones wait in the backlog."""
DRAIN_SECONDS = 20.0
"""After SIGTERM, requests under way get so long to end."""


@asynccontextmanager
async def database(settings: Settings, *, exclusive: bool) -> AsyncIterator[str]:
    """The DSN of the node's database: the one that is named, or the node's own PostgreSQL."""
    if settings.database_url:
        yield settings.database_url
        return
    try:
        async with embedded.running(settings.data_dir, exclusive=exclusive) as dsn:
            yield dsn
    except embedded.EmbeddedError as error:
        raise Broken(str(error)) from error


async def serve(settings: Settings, *, migrate: bool = False) -> None:
    """Serve until SIGTERM or SIGINT. Raises Broken when the node cannot start."""
    refuse_taken_port(settings)
    async with database(settings, exclusive=True) as dsn:
        if migrate or await schema.is_new(dsn):
            await schema.migrate(dsn, settings.operator)
        await schema.check(dsn, settings.operator)
        app = application(settings, dsn)
        server = Server(
            app,
            address=settings.host,
            port=settings.port,
            interface=Interfaces.ASGI,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_MILLISECONDS),
            websockets=False,
            backlog=BACKLOG,
            backpressure=CONCURRENT,
            log_enabled=False,
        )
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        serving = asyncio.ensure_future(server.serve())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            stopping.cancel()
            await serving
            raise Broken("the API could not be started; the log says why")
        log.info("stopping", extra={"operator": settings.operator})
        await app.drain(DRAIN_SECONDS)
        server.stop()  # type: ignore[no-untyped-call]
        await serving


def refuse_taken_port(settings: Settings) -> None:
    """Raises Broken when another program listens where we would."""
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise Broken(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; "
                "stop what listens there or choose another FEDERATION_PORT"
            ) from None
