"""One process of the node: its database, its API on granian, its sync loop; stopped by SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.net import SocketSpec  # type: ignore[attr-defined]
from granian.server.embed import Server

from federation.domain.errors import CommandFailed
from federation.domain.exposure.coverage import read_register
from federation.server.app import application
from federation.server.connections import SPARE_SOCKETS
from federation.server.local_node import database
from federation.settings.settings import Settings
from federation.store import schema

log = logging.getLogger("federation")

HEADER_MILLISECONDS = 10_000
"""A client must have sent its request's headers within this time."""
HEADER_BYTES = 65_536
"""Length of the headers of a request, at most, and of what the server reads ahead of a connection."""
BACKLOG = 1_024
SPARE_FILES = 512
"""Open files beside the connections: those of the database and of other nodes."""
STALL_SECONDS = 30
"""A client that takes nothing of its answer for so long has its connection ended."""
LOOK_SECONDS = 0.5
"""How often the process looks whether it was asked to stop, in case the wake-up was lost."""
FINISH_SECONDS = 20.0
"""After ``FEDERATION_DRAIN_SECONDS``, requests under way get so long to end."""


async def serve(settings: Settings, *, migrate: bool = False) -> None:
    """Serve until SIGTERM or SIGINT. Raises CommandFailed when the node cannot start."""
    refuse_taken_port(settings)
    allow_files(settings.sockets + SPARE_SOCKETS + SPARE_FILES)
    async with database(settings, exclusive=True) as dsn:
        if migrate or await schema.is_new(dsn):
            await schema.migrate(dsn, settings.operator)
        await schema.check(dsn, settings.operator)
        app = application(settings, dsn)
        read_register()  # before anybody could wait for it
        collect_less()
        server = listening_server(app, settings)
        stop = StopSignal()
        serving = asyncio.ensure_future(server.serve())
        while not (serving.done() or stop.asked):
            await asyncio.wait((serving, stop.woken), timeout=LOOK_SECONDS)
        if serving.done():
            await serving
            raise CommandFailed("the API could not be started; the log says why")
        log.info("stopping", extra={"operator": settings.operator})
        app.close_connections()
        if settings.database_url:
            # Other processes of this node may run: the proxy learns that this one is not ready, and what it
            # sends until then is answered.
            await stop.asked_again(settings.drain_seconds)
        await app.drain(FINISH_SECONDS)
        server.stop()  # type: ignore[no-untyped-call]
        await serving


def listening_server(app: Any, settings: Settings) -> ListeningServer:
    """The HTTP server of a node, with its bounds."""
    return ListeningServer(
        app,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MILLISECONDS, max_buffer_size=HEADER_BYTES),
        websockets=False,
        backlog=BACKLOG,
        backpressure=settings.sockets + SPARE_SOCKETS,
        log_enabled=False,
    )


class ListeningServer(Server):
    """granian, on a socket whose connections end when nobody takes what is sent.

    A reader that does not read would hold its place and the memory of its answer for ever: what is sent is
    out of our hands, and granian has no bound for it. The system has one, which each connection gets from
    the socket that it came by (``TCP_USER_TIMEOUT``, tcp(7); of Linux).
    """

    def _init_shared_socket(self) -> None:
        holder = SocketSpec(self.bind_addr, self.bind_port, self.backlog).build()
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            with socket.socket(fileno=os.dup(holder.get_fd())) as listening:
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALL_SECONDS * 1_000)
        self._ssp, self._shd = None, holder  # type: ignore[assignment]


class StopSignal:
    """Records that the process was asked to end, by SIGTERM or SIGINT.

    asyncio learns of a signal by a byte that the system writes into a pipe. When many connections close
    at once the pipe can be full, and the byte is lost with the signal. Python's own handler is run all the
    same: it notes the signal, and who looks at ``asked`` now and then misses none.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.asked = False
        self.number = 0
        """Signals that have come."""
        self.interrupted = False
        """Whether one was SIGINT: somebody at a terminal waits for the end."""
        self.woken: asyncio.Future[None] = loop.create_future()
        """Done at once when the wake-up is not lost."""
        self.woken_again: asyncio.Future[None] = loop.create_future()
        """The same of the second signal."""
        for number in (signal.SIGTERM, signal.SIGINT):
            # asyncio's part first: it has the process woken by a signal, and puts things back in the end.
            loop.add_signal_handler(number, self._wake)
            signal.signal(number, self._ask)
        # A full pipe is no news: it wakes the loop as well as the byte that has no room in it.
        signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)

    async def asked_again(self, seconds: float) -> None:
        """Return after so many seconds; at a second signal or Ctrl-C before: somebody wants the end now."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0 and self.number < 2 and not self.interrupted:
            await asyncio.wait((self.woken_again,), timeout=min(LOOK_SECONDS, left))
            if self.woken_again.done():
                return

    def _ask(self, number: int, *_: object) -> None:
        self.asked = True
        self.number += 1
        self.interrupted |= number == signal.SIGINT

    def _wake(self) -> None:
        self.asked = True
        woken = self.woken_again if self.woken.done() else self.woken
        if not woken.done():
            woken.set_result(None)


def collect_less() -> None:
    """Have Python look for cycles less often, and never among what is there for as long as the process is.

    Each record that comes is a dozen objects and no cycle: looking for some took a fifth of a first sync.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def allow_files(files: int) -> None:
    """Have as many open files as the connections need: the usual limit of 1 024 is one that can be raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    if needed < files:
        log.warning(
            "the system allows fewer open files than FEDERATION_SOCKETS needs",
            extra={"allowed": needed, "needed": files},
        )


def refuse_taken_port(settings: Settings) -> None:
    """Raises CommandFailed when another program listens where we would."""
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise CommandFailed(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; "
                "stop what listens there or choose another FEDERATION_PORT"
            ) from None
