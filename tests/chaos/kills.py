"""Two nodes in processes of their own, one of which follows the other, and what is killed of them with -9.

After every kill all is compared: what was acknowledged is there, and the copy is the origin's, byte for byte.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from federation.demo.data import deployment
from federation.domain.content.deployment import Deployment
from federation.domain.draft import Draft, check_draft
from federation.domain.visibility import itself
from federation.node import records
from federation.postgres import server
from federation.server.local_node import node_of
from federation.settings.settings import Settings
from federation.store import schema
from federation.store.database import open_store
from tests.conftest import emptied
from tests.embedded.processes import postmaster, status
from tests.nodes import a_client, answers, free_port, peer_of
from tests.waiting import MAX_WAIT_SECONDS

ORIGIN, READER = "arnia", "megalis"
RECORDS = 2_000
"""What a first sync takes."""
WRITERS = 3
KEYS = 40
"""Keys that are written again and again."""
KINDS = ("reader in its first sync", "reader's database in its first sync", "origin in its first sync",
         "origin while it is written to", "origin's database while it is written to",
         "reader while its origin is written to")  # fmt: skip
WEIGHTS = (8, 1, 3, 9, 1.5, 7)

_ROWS = """
SELECT r.type, r.key, r.revision, r.seq, f.audience, r.retracted, r.hash, r.document,
    sha256(r.document) AS true
FROM records r JOIN feeds f ON f.id = r.feed WHERE r.origin = $1
"""
_PLACES = """
SELECT f.audience, f.epoch, f.head, f.live, d.seq, d.count, d.buckets, c.compared, c.verified_seq
FROM feeds f LEFT JOIN digests d ON d.feed = f.id LEFT JOIN copies c ON c.feed = f.id WHERE f.origin = $1
"""


class Chaos:
    """The nodes, their databases, and what has been acknowledged."""

    def __init__(self, warm: asyncio.subprocess.Process, seed: int) -> None:
        self._warm = warm
        self.chance = random.Random(seed)
        self.directories: dict[str, Path] = {}
        self.dsns: dict[str, str] = {}
        self.ports: dict[str, int] = {}
        self.pids: dict[str, int] = {}
        self.secret = ("", "")
        self.acknowledged: dict[str, tuple[int, str]] = {}
        """Revision and hash of what was written over HTTP, by key."""
        self.counts: Counter[str] = Counter()

    def url(self, operator: str) -> str:
        return f"http://127.0.0.1:{self.ports[operator]}"

    # Processes

    async def start(self, operator: str) -> None:
        assert self._warm.stdin
        assert self._warm.stdout
        said = {"operator": operator, "dsn": self.dsns[operator], "port": self.ports[operator]}
        self._warm.stdin.write(json.dumps(said).encode() + b"\n")
        self.pids[operator] = int(await self._warm.stdout.readline())

    async def kill(self, operator: str) -> None:
        """Kill a node's process, and wait until it is gone."""
        pid = self.pids.pop(operator)
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            while status(pid):
                await asyncio.sleep(0.002)

    def kill_database(self, operator: str) -> None:
        """Kill a postmaster. Its keeper starts another one."""
        os.kill(postmaster(self.directories[operator]), signal.SIGKILL)

    # Databases

    async def ask(self, operator: str, statement: str, *arguments: Any) -> list[Any]:
        """Ask a node's database, from beside; again while it comes back."""
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            while True:
                with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    connection = await asyncpg.connect(self.dsns[operator], timeout=5)
                    try:
                        found: list[Any] = await connection.fetch(statement, *arguments)
                        return found
                    finally:
                        connection.terminate()
                await asyncio.sleep(0.02)

    async def taken(self) -> int:
        """How many records the reader has."""
        rows = await self.ask(READER, "SELECT count(*) FROM records WHERE origin = $1", ORIGIN)
        return int(rows[0][0])

    async def forget_all(self) -> None:
        """The reader begins anew: it knows its peer, and nothing else."""
        peers = await self.ask(READER, "SELECT * FROM peers")
        keys = await self.ask(READER, "SELECT * FROM keys")
        await emptied(self.dsns[READER])
        for table, rows in (("peers", peers), ("keys", keys)):
            for row in rows:
                places = ", ".join(f"${n + 1}" for n in range(len(row)))
                await self.ask(READER, f"INSERT INTO {table} VALUES ({places})", *row.values())

    # Writing

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Callable[[], int]]:
        """Write to the origin while the block lasts; yields how many writes were acknowledged by now."""
        written = 0

        async def write(client: httpx2.AsyncClient, chance: random.Random, mine: range) -> None:
            nonlocal written
            while True:
                key = f"w{chance.choice(mine)}"
                content = deployment(ORIGIN, chance.randrange(1_000_000))["content"]
                tlp = chance.choice(("CLEAR", "GREEN", "GREEN"))
                try:
                    answer = await client.put(
                        f"/v1/deployments/{ORIGIN}/{key}", json={"tlp": tlp, "content": content}
                    )
                except httpx2.HTTPError:
                    await asyncio.sleep(0.02)
                    continue
                if answer.status_code in (200, 201):
                    said = answer.json()
                    self.acknowledged[key] = (said["revision"], hashlib.sha256(answer.content).hexdigest())
                    written += 1
                else:
                    assert answer.status_code == 503, answer.text
                    await asyncio.sleep(0.02)

        basic = base64.b64encode(":".join(self.secret).encode()).decode()
        async with httpx2.AsyncClient(base_url=self.url(ORIGIN), trust_env=False, timeout=10) as client:
            async with asyncio.timeout(MAX_WAIT_SECONDS):
                while True:
                    with suppress(httpx2.HTTPError):
                        got = await client.post(
                            "/oauth2/token",
                            data={"grant_type": "client_credentials"},
                            headers={"authorization": f"Basic {basic}"},
                        )
                        if got.status_code == 200:
                            break
                    await asyncio.sleep(0.02)
            client.headers["authorization"] = f"Bearer {got.json()['access_token']}"
            each = KEYS // WRITERS
            tasks = [
                asyncio.create_task(
                    write(client, random.Random(self.chance.random()), range(n * each, (n + 1) * each))
                )
                for n in range(WRITERS)
            ]
            try:
                yield lambda: written
            finally:
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
                for error in ended:
                    if error is not None and not isinstance(error, asyncio.CancelledError):
                        raise error

    # One kill

    async def one(self, kind: str | None = None) -> None:
        """Kill something in the midst of something, and compare everything afterwards."""
        kind = kind or self.chance.choices(KINDS, WEIGHTS)[0]
        self.counts[kind] += 1
        whom = ORIGIN if kind.startswith("origin") else READER
        if kind.endswith("in its first sync"):
            await self.kill(READER)
            await self.forget_all()
            await self.start(READER)
            until = self.chance.randrange(RECORDS // 2)
            async with asyncio.timeout(MAX_WAIT_SECONDS):
                while await self.taken() < until:
                    await asyncio.sleep(0.005)
            await self._end(kind, whom)
        else:
            async with self.writing() as written:
                enough = self.chance.randrange(1, 40)
                async with asyncio.timeout(MAX_WAIT_SECONDS):
                    while written() < enough:
                        await asyncio.sleep(0.002)
                await self._end(kind, whom)
                before = written()
                async with asyncio.timeout(MAX_WAIT_SECONDS):
                    while written() < before + 3:  # it takes writes again
                        await asyncio.sleep(0.005)
        await self.compare()

    async def _end(self, kind: str, whom: str) -> None:
        await asyncio.sleep(self.chance.random() * 0.03)
        if "database" in kind:
            self.kill_database(whom)
        else:
            await self.kill(whom)
            await self.start(whom)

    # Everything

    async def compare(self) -> None:
        """Wait until the copy is verified at the origin's head, then compare all of it."""
        rows = await self.ask(ORIGIN, "SELECT key, revision, hash FROM records WHERE key LIKE 'w%'")
        held = {row["key"]: (row["revision"], row["hash"].hex()) for row in rows}
        for key, (revision, hash_) in sorted(self.acknowledged.items()):
            assert key in held, f"{key} was acknowledged, and is lost"
            assert held[key][0] >= revision, f"{key} went back from {revision} to {held[key][0]}"
            assert held[key][0] > revision or held[key][1] == hash_, f"{key} is not what was acknowledged"
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            while not await self.verified():
                await asyncio.sleep(0.02)
        there, here = await self.ask(ORIGIN, _ROWS, ORIGIN), await self.ask(READER, _ROWS, ORIGIN)
        assert len(there) >= RECORDS
        assert Counter(map(tuple, here)) == Counter(map(tuple, there))
        assert all(row["hash"] == row["true"] for row in here)

    async def verified(self) -> bool:
        """Whether each feed is held to its head, and was found equal there."""
        there = {row["audience"]: row for row in await self.ask(ORIGIN, _PLACES, ORIGIN)}
        here = {row["audience"]: row for row in await self.ask(READER, _PLACES, ORIGIN)}
        return all(
            (copy := here.get(audience)) is not None
            and (copy["epoch"], copy["head"], copy["live"], copy["buckets"])
            == (feed["epoch"], feed["head"], feed["live"], feed["buckets"])
            and (copy["compared"], copy["verified_seq"], copy["seq"])
            == ("verified", feed["head"], feed["head"])
            for audience, feed in there.items()
        )


@asynccontextmanager
async def chaos(directory: Path, seed: int) -> AsyncIterator[Chaos]:
    """Two nodes that run, with what there is to take."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FEDERATION_")}
    async with AsyncExitStack() as stack:
        log = stack.enter_context((directory / "nodes.log").open("ab"))
        warm = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.chaos.fork_server",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
            env=environment,
        )  # fmt: skip
        stack.push_async_callback(_ended, warm)
        found = Chaos(warm, seed)
        nodes = {}
        async with AsyncExitStack() as opening:
            for operator in (ORIGIN, READER):
                found.directories[operator] = directory / operator
                found.dsns[operator] = await stack.enter_async_context(
                    server.running(found.directories[operator], exclusive=True)
                )
                await schema.migrate(found.dsns[operator], operator)
                found.ports[operator] = free_port()
                settings = Settings(
                    operator=operator, url=found.url(operator), name=operator.title(), data_dir=directory
                )
                store = await opening.enter_async_context(open_store(found.dsns[operator], connections=2))
                nodes[operator] = await opening.enter_async_context(node_of(settings, store))
            origin, reader = nodes[ORIGIN], nodes[READER]
            for one, other in ((origin, reader), (reader, origin)):
                async with one.store.write() as tx:
                    await tx.peers.add(peer_of(other))
            found.secret = await a_client(origin)
            shape: Any = Draft
            drafts = {
                f"d{n:05}": check_draft({"content": deployment(ORIGIN, n)["content"]}, shape[Deployment])
                for n in range(RECORDS)
            }
            await records.upload(origin, Deployment, drafts, by=itself(ORIGIN))
        for operator in (ORIGIN, READER):
            await found.start(operator)
            await answers(f"{found.url(operator)}/health/ready")
        await found.compare()
        yield found


async def _ended(warm: asyncio.subprocess.Process) -> None:
    assert warm.stdin
    warm.stdin.close()
    with suppress(ProcessLookupError):
        warm.kill()
    await warm.wait()
