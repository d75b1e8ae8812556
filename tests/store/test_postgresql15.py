"""The oldest PostgreSQL that is supported does it all, too: the system's own, in a private cluster."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from federation.domain.content.solution import Solution
from federation.domain.feed import FeedName
from federation.domain.query import read_query
from federation.domain.visibility import anonymous, itself
from federation.node import feeds, records
from federation.node.node import Node
from federation.store import schema
from federation.store.tables import metadata
from tests.conftest import emptied
from tests.domain.builders import a_group, a_solution
from tests.nodes import InMemory, a_node, publish
from tests.store.stepwise_transactions import arrivals, counts_are_true, feed_id, looking, numbers
from tests.store.test_schema import differences
from tests.stores import close_spare
from tests.waiting import MAX_WAIT_SECONDS

BINARIES = Path("/usr/lib/postgresql/15/bin")


def account() -> str | None:
    """Who runs the cluster: never root. None if there is nobody."""
    if os.geteuid():
        return pwd.getpwuid(os.geteuid()).pw_name
    with suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return None


if not (BINARIES / "initdb").exists():
    pytest.skip(f"{BINARIES} is not installed", allow_module_level=True)
if account() is None or sys.platform == "win32":
    pytest.skip("there is no account to run PostgreSQL as", allow_module_level=True)


@pytest.fixture(scope="module")
async def fifteen() -> AsyncIterator[str]:
    """A migrated database of PostgreSQL 15, on a Unix socket in a directory of its own."""
    home = Path(tempfile.mkdtemp(prefix="pg15-"))
    who: dict[str, Any] = {"user": account(), "group": None, "cwd": "/"} if not os.geteuid() else {}
    if who:
        entry = pwd.getpwnam(who["user"])
        who |= {"group": entry.pw_gid, "extra_groups": []}
        os.chown(home, entry.pw_uid, entry.pw_gid)
    data = home / "data"
    subprocess.run(
        [BINARIES / "initdb", "-D", data, "-U", "federation", "-A", "trust", "-E", "UTF8", "--locale=C"],
        check=True, capture_output=True, **who,
    )  # fmt: skip
    log = (home / "log").open("wb")
    server = subprocess.Popen(
        [BINARIES / "postgres", "-D", data, "-k", home, "-c", "listen_addresses=", "-c", "fsync=off"],
        stdout=log, stderr=log, **who,
    )  # fmt: skip
    dsn = f"postgresql://federation@/postgres?host={home}"
    try:
        from tests.store.stepwise_transactions import until

        async def ready() -> bool:
            with suppress(OSError, Exception):
                async with looking(dsn):
                    return True
            return False

        await until(ready)
        await schema.migrate(dsn, "recia")
        yield dsn
    finally:
        await close_spare(dsn)
        server.terminate()
        server.wait(MAX_WAIT_SECONDS)
        log.close()
        shutil.rmtree(home)


@pytest.fixture
async def recia(fifteen: str) -> AsyncIterator[Node]:
    async with a_node("recia", await emptied(fifteen)) as node:
        yield node


async def test_it_is_fifteen_and_has_exactly_our_tables(fifteen: str) -> None:
    async with looking(fifteen) as look:
        assert (await look.fetchval("SHOW server_version")).startswith("15.")
    assert await differences(fifteen, metadata) == []
    await schema.check(fifteen, "recia")


async def test_records_are_kept_moved_found_and_searched(recia: Node, fifteen: str) -> None:
    await publish(recia, "group", "rssi", a_group(members=["arnia"]))
    for n, envelope in enumerate(
        ({}, {"tlp": "GREEN"}, {"tlp": "AMBER", "audience": "rssi"}, {"tlp": "CLEAR"})
    ):
        await publish(
            recia, "solution", "glpi", a_solution(name=f"n{n}", summary={"fr": "Les écoles"}), **envelope
        )
    documents, _, total = await records.collect(
        recia,
        read_query(Solution, [("q", "ecole"), ("theme", "it-asset-management"), ("total", "true")]),
        by=anonymous("recia"),
    )
    assert (len(documents), total) == (1, 1)
    async with looking(fifteen) as look:
        assert await numbers(look, await feed_id(recia)) == [3]
        assert await arrivals(look) == [1, 6, 7, 8]
        await counts_are_true(look)


async def test_a_feed_is_taken_by_and_from_it(recia: Node, arnia: Node) -> None:
    from federation.sync.pull import pull

    for source, target in ((recia, arnia), (arnia, recia)):
        outcome = await publish(source, "solution", "glpi", a_solution())
        (head,) = [h for h in await feeds.heads(source, by=itself(source.operator)) if h.audience == "public"]
        assert head.name == FeedName(source.operator, "public")
        await pull(target, head, InMemory(source, target.operator))
        found = await records.find(target, Solution, source.operator, "glpi", by=itself(target.operator))
        assert (found.document, found.hash) == (outcome.document, outcome.hash)
