"""Every process that is not a node: a PostgreSQL that replicates, applications to compare with."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from bench.certificates import Certificate
from bench.sites import answering, ended, free_port
from federation.postgres import programs
from federation.postgres.supervisor import SETTINGS
from federation.server.connections import SPARE_SOCKETS
from federation.server.serve import BACKLOG

_LOGICAL = {
    "wal_level": "logical",
    "max_wal_senders": "8",
    "max_replication_slots": "8",
    "max_logical_replication_workers": "4",
}
"""What logical replication needs; everything else is as in a node's own PostgreSQL."""


@asynccontextmanager
async def replicating(directory: Path) -> AsyncIterator[str]:
    """A PostgreSQL of the same programs and settings that can replicate; yields a superuser's DSN."""
    data = directory / "data"
    process = await asyncio.to_thread(_started, directory, data)
    try:
        dsn = f"postgresql://postgres@/postgres?host={data}&port=5432"
        async with asyncio.timeout(30):
            while True:
                try:
                    await (await asyncpg.connect(dsn)).close()
                    break
                except (OSError, asyncpg.PostgresError):
                    await asyncio.sleep(0.05)
        yield dsn
    finally:
        process.send_signal(signal.SIGINT)
        await asyncio.to_thread(process.wait)
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


def _started(directory: Path, data: Path) -> subprocess.Popen[bytes]:
    directory.mkdir(parents=True)
    binaries, uid, gid = programs.programs(data)
    os.chown(directory, uid, gid)
    account: dict[str, Any] = {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 else {}
    with (directory / "postgresql.log").open("wb") as log:
        initdb: list[str | Path] = [binaries / "initdb", "-D", data]
        initdb += ["--username=postgres", "--auth=trust", "--encoding=UTF8"]
        initdb += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        initdb += ["--locale=C", "--lc-ctype=C.UTF-8"]
        subprocess.run(initdb, check=True, cwd="/", stdout=log, stderr=subprocess.STDOUT, **account)
        # Nobody but the account and root comes to the socket: the directory is 0700.
        settings = {name: value for name, value, _ in SETTINGS} | _LOGICAL
        with (data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = {value}\n" for name, value in settings.items())
        return subprocess.Popen(
            [binaries / "postgres", "-D", data], cwd="/", stdout=log, stderr=subprocess.STDOUT, **account
        )


@asynccontextmanager
async def application(module: str, dsn: str, log: Path) -> AsyncIterator[str]:
    """One of the applications to compare with, in a process of its own; yields its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with process(module, [dsn, str(port)], f"{url}/health", log):
        yield url


@asynccontextmanager
async def process(
    module: str, arguments: list[str], url: str, log: Path, certificate: Certificate | None = None
) -> AsyncIterator[None]:
    """A module of ours as a process that answers at a URL."""
    with log.open("ab") as output:
        started = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *arguments, stdout=output, stderr=output
        )
    try:
        await answering(url, started, log, certificate)
        yield
    finally:
        await ended(started)


async def serve(app: Any, port: int, certificate: Certificate | None = None) -> None:
    """Serve an application as a node's is served: the same server, embedded in the same kind of loop.

    ``certificate``: for TLS, which a node leaves to the proxy before it.
    """
    server = Server(
        app,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        # Of many peers each waits on a connection of its own.
        backlog=BACKLOG,
        backpressure=1_024 + SPARE_SOCKETS,
        log_enabled=False,
        ssl_cert=None if certificate is None else Path(certificate.path),
        ssl_key=None if certificate is None else Path(certificate.key),
    )
    await server.serve()
