"""A node in a process of its own, which a test may kill, and its operator's client."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import httpx2

from tests.nodes import a_client, a_node, another_token, answers, free_port
from tests.store.stepwise_transactions import looking
from tests.waiting import MAX_WAIT_SECONDS


@asynccontextmanager
async def started_node(operator: str, dsn: str) -> AsyncIterator[tuple[int, httpx2.AsyncClient]]:
    """The id of the process, and a client of the node's own operator with every scope."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FEDERATION_")}
    warm = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.fork_server",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=environment,
    )  # fmt: skip
    assert warm.stdin
    assert warm.stdout
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    try:
        warm.stdin.write(b'{"operator": "%s", "dsn": "%s", "port": %d}\n' % (
            operator.encode(), dsn.encode(), port
        ))  # fmt: skip
        pid = int(await warm.stdout.readline())
        await answers(f"{url}/health/ready")
        credentials = ("client-killed", "secret-of-killed")
        async with a_node(operator, dsn, url=url) as node:
            with suppress(asyncpg.UniqueViolationError):
                credentials = await a_client(node, name="killed")
        async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=MAX_WAIT_SECONDS) as client:
            client.headers.update(await another_token(client, credentials))
            yield pid, client
    finally:
        warm.stdin.close()
        with suppress(ProcessLookupError):
            warm.kill()
        await warm.wait()


async def stuck(dsn: str, statement: str) -> None:
    """Wait until a statement like this one waits for a lock."""
    async with looking(dsn) as look, asyncio.timeout(MAX_WAIT_SECONDS):
        while not await look.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND state = 'active'"
            " AND query LIKE $1 AND pid <> pg_backend_pid()",
            statement,
        ):
            await asyncio.sleep(0.01)
