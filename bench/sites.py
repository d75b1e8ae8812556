"""Nodes: real processes of `federation serve`, each over a real PostgreSQL of its own."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import msgspec

from bench.certificates import Certificate
from federation.domain.scopes import SCOPES
from federation.node import clients, invitations, peers
from federation.node.node import Node
from federation.postgres import server
from federation.server.local_node import node_of
from federation.settings.settings import Settings
from federation.store import schema
from federation.store.database import open_store

READY_SECONDS = 60.0
RESTS = 3
"""Seconds in which nothing is vacuumed, after which nothing will be."""
TOKEN_SECONDS = 200.0
"""A token is used for so long; it would hold for 300."""
SOCKETS = 4_096
"""Connections that one address may have: as many as there are."""
RATE = 1_000_000
"""Requests a second that one client may make: the limiter works as always, and stops nobody."""
QUOTA = 4_000_000
"""Records of a peer, and its entries within an hour: a first sync of a million and one is not paused."""


class Site:
    """One operator's node: its database, and its process while it runs."""

    def __init__(self, operator: str, dsn: str, port: int, log: Path) -> None:
        self.operator = operator
        self.dsn = dsn
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        self.pid = 0
        self.peers_certificate: Certificate | None = None
        """The certificate of peers, which the node trusts."""
        self._credentials: tuple[str, str] | None = None
        self._token = ("", 0.0)

    @property
    def settings(self) -> Settings:
        return Settings(
            operator=self.operator,
            url=self.url,
            name=f"{self.operator} (benchmark)",
            data_dir=self.log.parent,
            database_url=self.dsn,
            port=self.port,
            rate=RATE,
            rate_anonymous=RATE,
        )

    @asynccontextmanager
    async def serving(self, *, ready: bool = True, module: str = "federation.cli") -> AsyncIterator[None]:
        """The process of the node, until the block ends. ``module``: another program in place of ours."""
        environment = {name: value for name, value in os.environ.items() if "FEDERATION_" not in name}
        environment |= {
            "FEDERATION_OPERATOR": self.operator,
            "FEDERATION_URL": self.url,
            "FEDERATION_PORT": str(self.port),
            "FEDERATION_DATABASE_URL": self.dsn,
            "FEDERATION_QUOTA_RECORDS": str(QUOTA),
            "FEDERATION_QUOTA_ENTRIES": str(QUOTA),
            "FEDERATION_RATE": str(RATE),
            "FEDERATION_RATE_ANONYMOUS": str(RATE),
            # (All members of a crowd are at one address here.)
            "FEDERATION_SOCKETS_PER_ADDRESS": str(SOCKETS),
            "FEDERATION_SOCKETS": str(SOCKETS),
        }
        if self.peers_certificate is not None:
            environment["FEDERATION_CA_FILE"] = self.peers_certificate.path
        with self.log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", module, *(["serve"] if module == "federation.cli" else []),
                env=environment, stdout=output, stderr=output, stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        self.pid = process.pid
        try:
            if ready:
                await answering(f"{self.url}/health/ready", process, self.log)
            yield
        finally:
            self.pid = 0
            await ended(process)

    @asynccontextmanager
    async def here(self) -> AsyncIterator[Node]:
        """The node in this process, for what an administrator does."""
        async with open_store(self.dsn, connections=2) as store, node_of(self.settings, store) as node:
            yield node

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[Any]:
        """A connection to the node's database, to look at it."""
        connection = await asyncpg.connect(self.dsn)
        try:
            yield connection
        finally:
            await connection.close()

    async def token(self) -> str:
        """An access token of a client with every scope, got as an IT system gets it."""
        token, until = self._token
        if time.monotonic() < until:
            return token
        if self._credentials is None:
            async with self.here() as node:
                client_id, secret, _ = await clients.add_client(
                    node, f"bench-{secrets.token_hex(4)}", tuple(SCOPES)
                )
            self._credentials = client_id, secret
        async with httpx2.AsyncClient(trust_env=False) as client:
            answer = await client.post(
                f"{self.url}/oauth2/token",
                data={"grant_type": "client_credentials"},
                auth=self._credentials,
            )
        answer.raise_for_status()
        token = str(answer.json()["access_token"])
        self._token = token, time.monotonic() + TOKEN_SECONDS
        return token

    async def upload(self, bodies: Iterable[bytes]) -> float:
        """Publish deployments in bulk; seconds from the first byte sent to the last report received."""
        took = 0.0
        async with httpx2.AsyncClient(trust_env=False, timeout=600) as client:
            for body in bodies:
                headers = {
                    "authorization": f"Bearer {await self.token()}",
                    "content-type": "application/x-ndjson",
                }
                began = time.perf_counter()
                answer = await client.post(f"{self.url}/v1/deployments/bulk", content=body, headers=headers)
                took += time.perf_counter() - began
                answer.raise_for_status()
                last = msgspec.json.decode(answer.content.splitlines()[-1])
                if "summary" not in last or last["summary"]["refused"]:
                    raise AssertionError(f"an upload was not kept: {answer.text[-500:]}")
        return took

    async def empty(self) -> None:
        """Forget all records, those of others too, and how far feeds were taken; peers and keys stay."""
        async with self.looking() as connection:
            await connection.execute(
                "TRUNCATE records, withdrawals, rejected_entries, digests, copies;"
                "UPDATE node SET arrival = 0;"
                "DELETE FROM feeds WHERE origin <> (SELECT operator FROM node);"
                "UPDATE feeds SET head = 0, live = 0, retained_from = 0"
            )

    async def until_brought_in(self, *, seconds: float = 600.0) -> None:
        """Wait until the node is done with what it does after many records came: it is asked at rest."""
        async with self.here() as node, asyncio.timeout(seconds):
            while True:
                async with node.store.read() as tx:
                    if not (await tx.exposure.index_state()).lag:
                        return
                await asyncio.sleep(0.25)

    async def until_at_rest(self) -> None:
        """The same where very many records came: nothing vacuums after them, either."""
        async with self.looking() as connection:
            await connection.execute("VACUUM ANALYZE records")
            await self.until_brought_in()
            rests = 0
            while rests < RESTS:
                await asyncio.sleep(1.0)  # the node vacuums as well, when its records have stopped coming
                busy = await connection.fetchval("SELECT count(*) FROM pg_stat_progress_vacuum")
                rests = 0 if busy else rests + 1

    async def head(self, connection: Any) -> int:
        """Number of the last entry of the feed that deployments are in."""
        found = await connection.fetchval(
            "SELECT head FROM feeds WHERE origin = $1 AND audience = 'federation'", self.operator
        )
        return int(found or 0)

    def memory(self) -> dict[str, float]:
        """MB of memory of the process: now, and at most so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        return {name: int(found[field].split()[0]) / 1_024 for name, field in _MEMORY.items()}

    def processor(self) -> float:
        """Seconds of processor time that the process has used."""
        return processor_of(self.pid)


def processor_of(pid: int) -> float:
    """Seconds of processor time that the threads of a process have used, to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


_MEMORY = {"now": "VmRSS", "most": "VmHWM"}


@asynccontextmanager
async def site(operator: str, directory: Path) -> AsyncIterator[Site]:
    """A node's place: PostgreSQL from the embedded supervisor with the schema in it, and a port."""
    home = directory / operator
    home.mkdir(parents=True, exist_ok=True)
    async with server.running(home, exclusive=True) as dsn:
        await schema.migrate(dsn, operator)
        yield Site(operator, dsn, free_port(), home / "node.log")


async def introduce(one: Site, two: Site) -> None:
    """Make two nodes that serve peers of each other, by an invitation and a compared code."""
    async with one.here() as first, two.here() as second:
        invitation = await invitations.invite(second, "benchmark", private=True)
        found = await invitations.join(first, invitation, private=True)
        code = peers.code_of(first, found)
        await peers.activate(first, two.operator, code=code)
        await peers.activate(second, one.operator, code=code)


async def until_verified(origin: Site, head: int, reader: Any, *, seconds: float = 600.0) -> None:
    """Wait until a copy of an origin's feed is known to be what the origin signed, up to a number at least.

    ``reader``: a connection to the database of the copy.
    """
    verified = (
        "SELECT verified_seq FROM copies JOIN feeds ON feeds.id = feed"
        " WHERE origin = $1 AND audience = 'federation' AND compared = 'verified'"
    )
    async with asyncio.timeout(seconds):
        while (await reader.fetchval(verified, origin.operator) or 0) < head:
            await asyncio.sleep(0.002)


async def until_held(origin: Site, head: int, reader: Any, *, seconds: float = 600.0) -> None:
    """Wait until a copy holds everything of an origin's feed up to a number, each entry verified."""
    async with asyncio.timeout(seconds):
        while await origin.head(reader) < head:
            await asyncio.sleep(0.002)


async def answering(
    url: str, process: asyncio.subprocess.Process, log: Path, certificate: Certificate | None = None
) -> None:
    """Wait until a URL answers 200. Raises AssertionError with the end of its log when it does not."""
    with suppress(TimeoutError):
        verify = certificate.trust if certificate is not None else True
        async with (
            asyncio.timeout(READY_SECONDS),
            httpx2.AsyncClient(trust_env=False, verify=verify) as client,
        ):
            while process.returncode is None:
                with suppress(httpx2.HTTPError):
                    if (await client.get(url)).status_code == 200:
                        return
                await asyncio.sleep(0.02)
    said = await asyncio.to_thread(log.read_text, errors="replace")
    raise AssertionError(f"{url} does not answer:\n{said[-2_000:]}")


async def ended(process: asyncio.subprocess.Process) -> None:
    """Have a process end, politely at first."""
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
