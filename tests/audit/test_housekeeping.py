"""What is done from time to time: checkpoints, counts, and an end in order."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import federation
from federation.domain.audit import ANONYMOUS, CHECKPOINT
from federation.node import audit
from federation.node.keys import verify_jwt
from federation.node.node import Node
from federation.server import maintenance
from federation.store.database import open_store
from tests.audit.audit_trail import entries, holds, noted, trail
from tests.nodes import a_node, served
from tests.waiting import MAX_WAIT_SECONDS, until

PROJECT = Path(__file__).parents[2]


async def test_a_checkpoint_says_what_the_last_entry_is_and_when(arnia: Node) -> None:
    await noted(arnia, 3)
    before = int(time.time())
    made = await audit.sign_audit_checkpoint(arnia)
    after = time.time()
    assert made is not None
    claims = verify_jwt(made.jws, arnia.keyring.public(), frozenset({CHECKPOINT}))
    rows = (await trail(arnia)).rows
    assert claims | {"iat": 0} == {"iss": "arnia", "n": 3, "hash": rows[-1].hash.hex(), "iat": 0}
    assert before <= claims["iat"] <= after
    assert (await holds(arnia, 3)).after_checkpoint == 0


async def test_nothing_new_makes_no_checkpoint(arnia: Node) -> None:
    assert await audit.sign_audit_checkpoint(arnia) is None
    await noted(arnia)
    first = await audit.sign_audit_checkpoint(arnia)
    assert await audit.sign_audit_checkpoint(arnia) == first
    assert (await trail(arnia)).checkpoints == [first]
    await noted(arnia)
    assert (await holds(arnia, 2)).after_checkpoint == 1


async def test_several_that_make_a_checkpoint_at_once_make_one(arnia: Node, dsn: str) -> None:
    await noted(arnia, 5)
    async with a_node("arnia", dsn) as other:
        await asyncio.gather(*(audit.sign_audit_checkpoint(node) for node in (arnia, other) * 5))
    assert [one.n for one in (await trail(arnia)).checkpoints] == [5]
    assert (await holds(arnia, 5)).checkpoints == 1


async def test_a_checkpoint_while_others_write_covers_what_is_committed(arnia: Node) -> None:
    writing = asyncio.gather(noted(arnia, 40), noted(arnia, 40))
    while not writing.done():
        await audit.sign_audit_checkpoint(arnia)
        await asyncio.sleep(0.002)
    await writing
    assert (await holds(arnia, 80)).checkpoints > 1


async def test_the_chores_are_done_from_time_to_time(
    arnia: Node, look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FLUSH_SECONDS", "FORGET_SECONDS", "CHECKPOINT_SECONDS"):
        monkeypatch.setattr(maintenance, name, 0.02)
    async with arnia.store.write() as tx:
        await tx.tokens.use_assertion(b"old", arnia.clock() - timedelta(seconds=1))
    async with maintenance.running(arnia):
        arnia.refusals.count("list", "unauthenticated", ANONYMOUS)

        async def done() -> bool:
            async with arnia.store.read() as tx:
                last, signed = await tx.audit.last(), await tx.audit.last_checkpoint()
            counted = await entries(arnia, "access.refused")
            kept = await look.fetchval("SELECT count(*) FROM assertions")
            return bool(counted) and signed is not None and signed.n == last[0] and not kept

        await until(done)


async def test_a_chore_that_fails_is_done_again_and_stops_no_other(
    arnia: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failed = 0

    async def fails(_: Node) -> None:
        nonlocal failed
        failed += 1
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(maintenance, "CHECKPOINT_SECONDS", 0.02)
    monkeypatch.setattr(maintenance, "FORGET_SECONDS", 0.02)
    monkeypatch.setattr(maintenance, "_drop_old_tokens", fails)
    async with maintenance.running(arnia):

        async def signed() -> bool:
            return failed > 2 and bool((await trail(arnia)).checkpoints)

        await until(signed)
    assert "housekeeping failed" in caplog.text


async def test_a_trail_that_was_altered_is_logged_as_an_error(
    arnia: Node, look: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await noted(arnia)
    await look.execute("UPDATE audit SET hash = 'x'")
    monkeypatch.setattr(maintenance, "CHECKPOINT_SECONDS", 0.02)
    async with maintenance.running(arnia):

        async def said() -> bool:
            return "the audit trail has been altered" in caplog.text

        await until(said)
    levels = {record.levelno for record in caplog.records if "altered" in record.message}
    assert levels == {logging.ERROR}
    assert (await trail(arnia)).checkpoints == []


async def test_a_process_that_ends_in_order_notes_it_and_signs_everything(dsn: str) -> None:
    async with served("arnia", dsn, sync=False) as url:
        import httpx2

        async with httpx2.AsyncClient(trust_env=False) as client:
            for _ in range(30):
                assert (await client.get(f"{url}/v1/peers")).status_code == 401
    async with a_node("arnia", dsn) as node:
        found = await entries(node)
        assert [entry.event for entry in found] == ["node.started", "access.refused", "node.stopped"]
        assert found[0].actor == "node"
        assert found[0].subject == "arnia"
        assert found[0].detail == {"url": url, "version": federation.__version__, "key": node.keyring.kid}
        assert found[1].detail["count"] == 30
        assert (await holds(node, 3)).after_checkpoint == 0


async def test_a_database_that_is_gone_does_not_hold_up_the_end(
    arnia: Node, monkeypatch: pytest.MonkeyPatch, look: Any
) -> None:
    from federation.store.audit import _LOCK

    monkeypatch.setattr(maintenance, "SHUTDOWN_SECONDS", 0.2)
    async with asyncio.timeout(MAX_WAIT_SECONDS), look.transaction(), maintenance.running(arnia):
        await look.execute(_LOCK)
    assert [entry.event for entry in await entries(arnia)] == ["node.started"]


# Several processes, one of which is killed


async def a_writer(dsn: str, name: str) -> asyncio.subprocess.Process:
    """A process that notes as fast as it can, and signs now and then."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.audit.writer_process", dsn, name,
        cwd=PROJECT, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )  # fmt: skip


async def said(process: asyncio.subprocess.Process) -> int:
    """The number of transactions that the process said it has committed, next."""
    assert process.stdout is not None
    return int(await process.stdout.readline())


async def test_several_processes_write_one_chain_and_a_killed_one_breaks_nothing(dsn: str) -> None:
    async with open_store(dsn):
        writers = [await a_writer(dsn, f"w{n}") for n in range(3)]
        committed = {}
        try:
            for n, writer in enumerate(writers):
                committed[n] = await said(writer)
            for n in (0, 1):
                for _ in range(20):
                    committed[n] = await said(writers[n])
                writers[n].kill()
                await writers[n].wait()
            for _ in range(20):
                committed[2] = await said(writers[2])
            writers[2].terminate()
            await writers[2].wait()
        finally:
            for writer in writers:
                if writer.returncode is None:
                    writer.kill()
                    await writer.wait()
    async with a_node("arnia", dsn) as node:
        found = await entries(node)
        verdict = await holds(node, len(found))
        assert verdict.checkpoints > 1
        for n, last in committed.items():
            mine = [entry.detail["i"] for entry in found if entry.subject == f"w{n}"]
            assert mine == sorted(mine), "each process's are in its order"
            assert len(mine) % 2 == 0, "a transaction's two are there or neither is"
            assert len(mine) >= 2 * last, "what was said to be kept is"
        await noted(node)
        await audit.sign_audit_checkpoint(node)
        assert (await holds(node, len(found) + 1)).after_checkpoint == 0
