"""A node killed with -9 during its first sync goes on where it was."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

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
from tests.conftest import Databases, emptied
from tests.nodes import a_node, answers, free_port, peer_of, served
from tests.store.stepwise_transactions import looking
from tests.waiting import MAX_WAIT_SECONDS

pytestmark = pytest.mark.long

RECORDS = 12_000
KILLS = 4


async def rows(dsn: str, origin: str) -> list[Any]:
    async with looking(dsn) as connection:
        found: list[Any] = await connection.fetch(
            "SELECT type, key, revision, hash, document FROM records"
            " WHERE origin = $1 AND type = 'deployment'",  # nodes publish memberships beside them
            origin,
        )
        return found


async def test_a_node_killed_during_its_first_sync_resumes_and_ends_complete(
    databases: Databases, tmp_path: Path
) -> None:
    shape: Any = Draft
    arnia_dsn = await emptied(await databases("arnia"))
    port = free_port()
    settings = Settings(
        operator="megalis", url=f"http://127.0.0.1:{port}", name="Megalis", data_dir=tmp_path, port=port
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FEDERATION_")} | {
        "FEDERATION_OPERATOR": "megalis",
        "FEDERATION_PORT": str(port),
        "FEDERATION_DATA_DIR": str(tmp_path),
    }
    async with served("arnia", arnia_dsn) as url, a_node("arnia", arnia_dsn, url=url) as arnia:
        for start in range(0, RECORDS, 2_000):
            drafts = {
                f"d{n:05}": check_draft({"content": deployment("arnia", n)["content"]}, shape[Deployment])
                for n in range(start, start + 2_000)
            }
            await records.upload(arnia, Deployment, drafts, by=itself("arnia"))
        async with server.running(tmp_path, exclusive=True) as dsn:
            await schema.migrate(dsn, "megalis")
            async with open_store(dsn, connections=2) as store, node_of(settings, store) as megalis:
                async with store.write() as tx:
                    await tx.peers.add(peer_of(arnia))
                async with arnia.store.write() as tx:
                    await tx.peers.add(peer_of(megalis))
        partial = 0
        for kill in range(KILLS + 1):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "federation.cli", "serve", env=environment,
                stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            try:
                await answers(f"{settings.url}/health/ready")
                async with (
                    server.running(tmp_path, exclusive=False) as dsn,
                    asyncio.timeout(MAX_WAIT_SECONDS),
                ):
                    wanted = RECORDS if kill == KILLS else min(RECORDS, (kill + 1) * 2_000)
                    while len(await rows(dsn, "arnia")) < wanted:
                        await asyncio.sleep(0.02)
                    held = len(await rows(dsn, "arnia"))
            finally:
                process.send_signal(signal.SIGKILL)
                await process.wait()
            partial += held < RECORDS
        assert partial >= 2, "no kill came during the sync: nothing was shown"
        async with server.running(tmp_path, exclusive=True) as dsn:
            here = await rows(dsn, "arnia")
            async with looking(dsn) as connection:
                arrived = [r[0] for r in await connection.fetch("SELECT arrived FROM records")]
                live = await connection.fetchval(
                    "SELECT (SELECT sum(live) FROM feeds WHERE origin = 'arnia')"
                    " - (SELECT count(*) FROM records WHERE origin = 'arnia' AND type = 'membership')"
                )
        there = await rows(arnia_dsn, "arnia")
    assert len(there) == RECORDS
    assert Counter(map(tuple, here)) == Counter(map(tuple, there))
    assert live == RECORDS
    assert len(set(arrived)) == len(arrived)
