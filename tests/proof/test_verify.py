"""The command that compares everything, from the stored bytes up; and the loop that repairs what it found."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest

from federation.domain.feed import FeedName
from federation.node import copy_views
from federation.node.node import Node
from federation.sync.verify import verify_all
from tests.conftest import Databases, emptied
from tests.domain.builders import a_solution
from tests.nodes import a_node, introduce, publish, served
from tests.proof.in_process_peer import rows_of, sql
from tests.waiting import until

pytestmark = pytest.mark.long

PUBLIC = FeedName("arnia", "public")


class Two:
    """Arnia and megalis, served."""

    arnia: Node
    megalis: Node
    dsn: str
    url: str


@pytest.fixture
async def two(databases: Databases) -> AsyncIterator[Two]:
    found = Two()
    async with AsyncExitStack() as stack:
        for operator in ("arnia", "megalis"):
            dsn = await emptied(await databases(operator))
            url = await stack.enter_async_context(served(operator, dsn))
            setattr(found, operator, await stack.enter_async_context(a_node(operator, dsn, url=url)))
            found.dsn, found.url = dsn, url
        await introduce(found.arnia, found.megalis)
        for n in range(20):
            await publish(found.arnia, "solution", f"k{n:02}", a_solution())
        await until(lambda: verified(found.megalis, 20))
        yield found


async def verified(node: Node, seq: int) -> bool:
    copy = (await copy_views.copies(node)).get(PUBLIC)
    return copy is not None and (copy.state, copy.verified_seq) == ("verified", seq)


async def test_copies_and_own_feeds_that_are_right_are_equal(two: Two) -> None:
    named: list[str] = []
    found = {one.feed: one for one in await verify_all(two.megalis, report=named.append)}
    assert set(found) == {f"{o}/{a}" for o in ("arnia", "megalis") for a in ("public", "federation")}
    assert set(named) == set(found)
    assert {one.result for one in found.values()} == {"equal"}, found
    assert found["arnia/public"].records == 20
    assert {one.feed for one in await verify_all(two.megalis, "arnia")} == {
        "arnia/public",
        "arnia/federation",
    }


async def test_what_differs_is_named_and_then_repaired(two: Two) -> None:
    right = await rows_of(two.arnia, "arnia")
    await sql(two.megalis, "UPDATE records SET document = document || ' ' WHERE key = 'k03'")
    await sql(two.megalis, "UPDATE records SET revision = 0, hash = sha256('x') WHERE key = 'k04'")
    await sql(two.megalis, "DELETE FROM records WHERE key = 'k05'")
    await sql(two.megalis, "UPDATE records SET key = 'zz' WHERE key = 'k06'")
    (public,) = [one for one in await verify_all(two.megalis, "arnia") if one.feed == "arnia/public"]
    assert public.result == "different"
    assert {(one.key, one.what) for one in public.differences} == {
        ("k03", "bytes changed"), ("k04", "bytes changed"), ("k04", "another revision"), ("k05", "missing"),
        ("k06", "missing"), ("zz", "not theirs"),
    }  # fmt: skip
    await publish(two.arnia, "solution", "new", a_solution())
    await until(lambda: verified(two.megalis, 21))
    assert {row for row in await rows_of(two.megalis, "arnia") if row[1] != "new"} == right


async def test_the_command_exits_1_and_names_the_records(two: Two) -> None:
    async def verify(*more: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "federation.cli", "verify", *more,
            env={"PATH": "/usr/bin:/bin", "FEDERATION_OPERATOR": "megalis", "FEDERATION_URL": two.url,
                 "FEDERATION_DATABASE_URL": two.dsn},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode() or err.decode()

    code, said = await verify()
    assert (code, said.count("equal")) == (0, 4), said
    await sql(two.megalis, "DELETE FROM records WHERE key = 'k05'")
    code, said = await verify("arnia")
    assert code == 1, said
    assert "solution k05: missing" in said
    code, said = await verify("arnia", "--json")
    told: Any = msgspec.json.decode(said)
    assert code in (0, 1)
    assert {feed["feed"] for feed in told["feeds"]} == {"arnia/public", "arnia/federation"}
