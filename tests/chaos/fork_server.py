"""A process that has imported everything and forks nodes: each is a process of its own, there in an instant.

    python -m tests.chaos.fork_server

Each line of its standard input is a node to start: ``{"operator": …, "dsn": …, "port": …}``. It answers with
the process's id. All of them end with it, whatever way it ends.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import msgspec
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from federation.api import openapi
from federation.server.app import api, application
from federation.settings.settings import Settings
from federation.sync import loop, peer_client

PR_SET_PDEATHSIG = 1


async def serve(operator: str, dsn: str, port: int) -> None:
    """A node as ``federation serve`` runs it, but for how long it waits between attempts."""
    setattr(loop, "back_off", lambda *_, **__: timedelta(seconds=0.1))  # noqa: B010 - it is imported there
    loop.PEER_LIST_SECONDS = 0.1
    peer_client.BATCH_ENTRIES = 200  # many transactions to be killed in
    settings = Settings(
        operator=operator,
        url=f"http://127.0.0.1:{port}",
        name=operator.title(),
        data_dir=Path("/nowhere"),
        port=port,
    )
    server = Server(
        application(msgspec.structs.replace(settings, rate=0, rate_anonymous=0), dsn),
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    await server.serve()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    # What is made once in a process is made here, before any of them begins.
    openapi.document(api(), "http://127.0.0.1")
    application(Settings(operator="warm", url="http://127.0.0.1", name="Warm", data_dir=Path("/nowhere")), "")
    gc.freeze()
    parent = os.getpid()
    for line in sys.stdin:
        pid = os.fork()
        if pid:
            print(pid, flush=True)
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        os.close(0)
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        asyncio.run(serve(**json.loads(line)))
        os._exit(0)


if __name__ == "__main__":
    main()
