"""Hundreds of members, one node with default settings: `python -m tests.hostile.crowd`.

1. All of them are followed, while every probe of the node is answered.
2. A second process takes its half, and gives it back when it ends.
3. Nothing is short, no peer is blamed for it, and nobody is asked for copies.

The members are in this process, on the loopback interface. Exit code 1 where something of this does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from federation.postgres import server
from federation.store import schema
from tests.hostile.members import Members, befriend, members
from tests.nodes import NO_TLS, a_node, answers, free_port

PROJECT = Path(__file__).parents[2]
MAX_SECONDS = 300.0
"""For each step: it ends a broken program, and no slow machine reaches it."""
SHARE_SECONDS = 60.0
"""Within which a second process has its half."""
IDLE_SECONDS = 30.0
LOCKS = """
SELECT a.pid, count(*) AS number FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.mode = 'ExclusiveLock'
    AND a.application_name = 'federation tasks'
GROUP BY a.pid ORDER BY number
"""

MEMBERS = 399
"""Members of the crowd, besides the node: four hundred in all."""


class Serving:
    """One process of the node."""

    def __init__(self, process: Any, url: str, log: Path) -> None:
        self.process, self.url, self.log = process, url, log

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            await self.process.wait()


@asynccontextmanager
async def serving(
    dsn: str,
    directory: Path,
    name: str,
    *,
    port: int | None = None,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Serving]:
    """A process of the node, until the block ends; with default settings, but for the named ones."""
    port = port or free_port()
    log = directory / f"{name}.log"
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "FEDERATION_OPERATOR": "arnia",
        "FEDERATION_PORT": str(port),
        "FEDERATION_DATABASE_URL": dsn,
        **(settings or {}),
    }
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "federation.cli", "serve",
            env=environment, cwd=directory, stderr=output,
        )  # fmt: skip
    started = Serving(process, f"http://127.0.0.1:{port}", log)
    try:
        await answers(f"{started.url}/health/ready", seconds=MAX_SECONDS)
        yield started
    finally:
        await started.stop()


class Probes:
    """Asks a node again and again whether it is ready."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.failed, self.slowest, self.number = 0, 0.0, 0

    async def __aenter__(self) -> Probes:
        self._task = asyncio.create_task(self._ask())
        return self

    async def _ask(self) -> None:
        async with httpx2.AsyncClient(verify=NO_TLS, trust_env=False, timeout=10) as client:
            while True:
                began = time.monotonic()
                try:
                    ready = (await client.get(f"{self._url}/health/ready")).status_code == 200
                except httpx2.HTTPError:
                    ready = False
                self.failed += not ready
                self.number += 1
                self.slowest = max(self.slowest, time.monotonic() - began)
                await asyncio.sleep(0.1)

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def seconds_until(true: Callable[[], Awaitable[bool]]) -> float:
    """The seconds until this is true. Raises TimeoutError."""
    began = time.monotonic()
    async with asyncio.timeout(MAX_SECONDS):
        while not await true():
            await asyncio.sleep(0.1)
    return time.monotonic() - began


async def run(number: int) -> list[str]:
    """What does not hold."""
    wrong: list[str] = []
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crowd-")))
        dsn = await stack.enter_async_context(server.running(directory / "postgresql", exclusive=True))
        await schema.migrate(dsn, "arnia")
        crowd: Members = await stack.enter_async_context(members())
        async with a_node("arnia", dsn) as node:
            await befriend(node, crowd.peers(number))
        look = await asyncpg.connect(dsn)
        stack.push_async_callback(look.close)

        async def all_wait() -> bool:
            return sum(min(waits, 1) for waits in crowd.waiting.values()) == number

        async def shares() -> list[int]:
            return [row["number"] for row in await look.fetch(LOCKS)]

        first = await stack.enter_async_context(serving(dsn, directory, "first"))
        async with Probes(first.url) as probes:
            print(f"{number} members are followed after {await seconds_until(all_wait):.1f} s", flush=True)
            print(f"opened at a time: {crowd.max_opening} at most", flush=True)
            async with serving(dsn, directory, "second") as second:

                async def halves() -> bool:
                    return sum(s := await shares()) == number and len(s) == 2 and s[1] - s[0] <= 1

                took = await seconds_until(halves)
                print(f"a second process has its half after {took:.1f} s: {await shares()}", flush=True)
                if took > SHARE_SECONDS:
                    wrong.append(f"the second process has its half after {took:.0f} s")
                await seconds_until(all_wait)
                lines = second.lines()

            async def one_has_all() -> bool:
                return await shares() == [number] and await all_wait()

            print(
                f"it has gone, and all are followed after {await seconds_until(one_has_all):.1f} s",
                flush=True,
            )
            before = first.cpu_seconds()
            await asyncio.sleep(IDLE_SECONDS)
            used = first.cpu_seconds() - before
            print(f"idle: {used / IDLE_SECONDS:.1%} of a core", flush=True)
        print(f"probes: {probes.number}, failed {probes.failed}, slowest {probes.slowest:.2f} s", flush=True)
        lines += first.lines()
        failures = await look.fetchval(
            "SELECT count(*) FROM peers WHERE failures > 0 OR contacted_at IS NULL"
        )
    short = [line for line in lines if "connection" in str(line.get("reason", ""))]
    if short:
        wrong.append(f"{len(short)} times something was short: {short[0]}")
    if failures:
        wrong.append(f"{failures} members are noted as failing or never reached")
    if crowd.relayed:
        wrong.append(f"{len(crowd.relayed)} members were asked for copies")
    if probes.failed:
        wrong.append(f"{probes.failed} probes were not answered")
    return wrong


async def main(number: int = MEMBERS) -> bool:
    """Run it with so many members; print what does not hold. True if everything does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4 * number + 256:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4 * number + 256, hard), hard))
    wrong = await run(number)
    for reason in wrong:
        print(f"wrong: {reason}")
    return not wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--members", type=int, default=MEMBERS)
    sys.exit(0 if asyncio.run(main(parser.parse_args().members)) else 1)
