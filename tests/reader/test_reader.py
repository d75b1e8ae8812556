"""A reader in another language, written from the protocol's pages, reads from real nodes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from federation.node import checkpoints, epochs, invitations, key_rotation, peers, receipts, retention
from federation.node.node import Node
from tests.conftest import Databases, emptied
from tests.domain.builders import a_solution
from tests.nodes import a_node, introduce, publish, served
from tests.proof.in_process_peer import round_of, rows_of, sql
from tests.proof.test_digests import retract
from tests.proof.test_retention import days
from tests.reader.conformance_reader import CONFORMANCE, ROOT, Reader, node_program
from tests.waiting import until

pytestmark = pytest.mark.long


class Nodes:
    """Arnia and megalis behind real HTTP servers; ``down`` stops that of arnia."""

    arnia: Node
    megalis: Node
    down: AsyncExitStack


@pytest.fixture
async def nodes(databases: Databases) -> AsyncIterator[Nodes]:
    found = Nodes()
    async with AsyncExitStack() as stack:
        found.down = await stack.enter_async_context(AsyncExitStack())
        for operator in ("arnia", "megalis"):
            dsn = await emptied(await databases(operator))
            serving = found.down if operator == "arnia" else stack
            url = await serving.enter_async_context(served(operator, dsn, limits=False))
            setattr(found, operator, await stack.enter_async_context(a_node(operator, dsn, url=url)))
        yield found


@pytest.fixture
async def reader(tmp_path: Path) -> Reader:
    node_program()
    return Reader(tmp_path / "reader")


async def a_group(node: Node, key: str, *members: str) -> None:
    await publish(node, "group", key, {"name": key, "members": list(members)})


async def read_by(reader: Reader) -> set[Any]:
    """The records of arnia that the reader stores, but for memberships: a node publishes these meanwhile."""
    return {row for row in await reader.rows("arnia") if row[0] != "membership"}


async def published_by(node: Node) -> set[Any]:
    """The records that a node has in its feeds, but for memberships."""
    return {row for row in await rows_of(node, node.operator) if row[0] != "membership"}


async def test_it_joins_follows_and_verifies_every_feed_that_it_may_read(
    nodes: Nodes, reader: Reader
) -> None:
    arnia = nodes.arnia
    await publish(arnia, "solution", "clear", a_solution(name="Élégant 漢字 😀"))
    await publish(arnia, "solution", "green", a_solution(), tlp="GREEN")
    await a_group(arnia, "rssi", "reader")
    await publish(arnia, "solution", "amber", a_solution(), tlp="AMBER", audience="rssi")
    await publish(arnia, "solution", "red", a_solution(), tlp="RED")
    await publish(arnia, "solution", "gone", a_solution())
    await retract(arnia, "gone")
    await reader.join(arnia)
    await reader.until_verified(arnia, "public", "federation", "rssi")
    stored = await published_by(arnia)
    assert {row[1] for row in stored} >= {"clear", "green", "amber", "gone"}
    assert await read_by(reader) == stored
    assert not any(
        feed["rejected"] or feed["not_understood"] for feed in (await reader.feeds("arnia")).values()
    )
    # A move between feeds, a revision, and a record that is new.
    await publish(arnia, "solution", "clear", a_solution(), tlp="GREEN")
    await publish(arnia, "solution", "green", a_solution(name="Other"), tlp="GREEN")
    await publish(arnia, "solution", "new", a_solution())
    await reader.until_verified(arnia, "public", "federation", "rssi")
    assert await read_by(reader) == await published_by(arnia)


async def test_what_was_damaged_on_its_disk_is_fetched_again(nodes: Nodes, reader: Reader) -> None:
    for n in range(5):
        await publish(nodes.arnia, "solution", f"k{n}", a_solution())
    await reader.join(nodes.arnia)
    await reader.until_verified(nodes.arnia, "public")
    damaged = reader.record("arnia", "k3")
    damaged["bytes"] = damaged["bytes"].replace("GLPI", "GLPJ")
    gone = ["records", "solution/k2", None]
    reader.write("arnia", ["records", "solution/k3", damaged], gone)
    (found, _) = await reader.run("verify", code=1)
    assert found["id"] == "solution/k3"
    await reader.until_verified(nodes.arnia, "public")
    assert await read_by(reader) == await published_by(nodes.arnia)
    # Half a line at the end of the journal was never written.
    with (reader.directory / "copies" / "arnia.jsonl").open("ab") as journal:
        journal.write(b'0123456789abcdef [["records","solution/k1",null]')
    await reader.until_verified(nodes.arnia, "public")
    assert await read_by(reader) == await published_by(nodes.arnia)


async def test_a_withdrawal_is_carried_out_and_confirmed_and_what_it_rejects_is_reported(
    nodes: Nodes, reader: Reader
) -> None:
    arnia = nodes.arnia
    for key in ("secret", "t"):
        await publish(arnia, "solution", key, a_solution())
    await reader.join(arnia)
    await reader.until_verified(arnia, "public")
    await publish(arnia, "solution", "secret", a_solution(), tlp="RED")
    await reader.until_verified(arnia, "public")
    assert reader.record("arnia", "secret") == {} or not any(
        record["key"] == "secret" for record in await reader.run("records", "arnia")
    )
    (withdrawn,) = (await receipts.withdrawals(arnia)).withdrawals
    assert (withdrawn.key, withdrawn.confirmed) == ("secret", ("reader",))
    # A record that the reader has at a higher revision than arnia sends: it must reject it, and say so.
    reader.write("arnia", ["records", "solution/t", {**reader.record("arnia", "t"), "revision": 9}])
    await publish(arnia, "solution", "t", a_solution(name="Other"))
    await reader.until_verified(arnia, "public", state="diverged")
    feedback = [(entry.operator, entry.key, entry.reason) for entry in await receipts.feedback(arnia)]
    assert feedback == [("reader", "t", "regressing-revision")]


async def test_it_drops_the_feed_of_a_group_that_it_was_removed_from_and_nothing_when_it_is_suspended(
    nodes: Nodes, reader: Reader
) -> None:
    arnia = nodes.arnia
    await a_group(arnia, "rssi", "reader")
    await publish(arnia, "solution", "amber", a_solution(), tlp="AMBER", audience="rssi")
    await publish(arnia, "solution", "clear", a_solution())
    await reader.join(arnia)
    await reader.until_verified(arnia, "public", "rssi")
    await a_group(arnia, "rssi")
    await reader.round()
    assert "rssi" not in await reader.feeds("arnia")
    assert {row[1] for row in await reader.rows("arnia") if row[0] == "solution"} == {"clear"}

    async def confirmed() -> bool:
        found = (await receipts.withdrawals(arnia)).departures
        return [(left.operator, left.confirmed_at is not None) for left in found] == [("reader", True)]

    await until(confirmed)
    await peers.suspend(arnia, "reader", local=True)

    async def refused() -> bool:
        await reader.round()
        (peer,) = await reader.run("list")
        return bool(peer["refused"])

    await until(refused)
    assert {row[1] for row in await reader.rows("arnia") if row[0] == "solution"} == {"clear"}
    await peers.resume(arnia, "reader")
    await reader.until_verified(arnia, "public")


async def test_a_new_epoch_and_a_cursor_that_has_expired_are_repaired(nodes: Nodes, reader: Reader) -> None:
    arnia = nodes.arnia
    for n in range(6):
        await publish(arnia, "solution", f"k{n}", a_solution())
    await reader.join(arnia)
    await reader.until_verified(arnia, "public")
    epoch = await epochs.begin_epoch(arnia, "promoted")
    await reader.until_verified(arnia, "public")
    assert (await reader.feeds("arnia"))["public"]["epoch"] == epoch
    # Another epoch, in which a record is at another state than the reader read.
    ahead = {**reader.record("arnia", "k1"), "revision": 7, "hash": "0" * 64}
    reader.write("arnia", ["records", "solution/k1", ahead])
    await epochs.begin_epoch(arnia, "restored")
    await reader.until_verified(arnia, "public")
    assert await read_by(reader) == await published_by(arnia)
    # The reader is away for longer than deletions are stored.
    await retract(arnia, "k0")
    await publish(arnia, "solution", "k1", a_solution(), tlp="RED")
    await sql(arnia, "UPDATE withdrawals SET at = at - interval '100 days'")
    days(arnia, 100)
    await retention.drop_expired_tombstones(arnia)
    days(arnia, -100)
    await checkpoints.sign_checkpoints(arnia)
    await reader.until_verified(arnia, "public")
    assert {row[1] for row in await reader.rows("arnia") if row[0] == "solution"} == {"k2", "k3", "k4", "k5"}


async def test_it_stores_nothing_of_an_origin_whose_database_went_back(nodes: Nodes, reader: Reader) -> None:
    arnia = nodes.arnia
    await publish(arnia, "solution", "s", a_solution())
    await reader.join(arnia)
    await reader.until_verified(arnia, "public")
    before = [row for row in await reader.rows("arnia") if row[0] == "solution"]
    copy = (await reader.feeds("arnia"))["public"]
    feed = {"epoch": copy["epoch"], "seq": 99, "retainedFrom": 0, "verified": None, "except": [], "seenAt": 0}
    reader.write("arnia", ["feeds", "public", feed])
    await publish(arnia, "solution", "t", a_solution())
    await reader.round()
    # (Its membership comes with another feed, at any time.)
    assert [row for row in await reader.rows("arnia") if row[0] == "solution"] == before
    assert len(before) == 1
    assert "went back" in (await reader.feeds("arnia"))["public"]["alarm"]


async def test_it_follows_the_succession_of_keys_and_no_key_that_nobody_endorsed(
    nodes: Nodes, reader: Reader
) -> None:
    arnia = nodes.arnia
    await publish(arnia, "solution", "s", a_solution())
    await reader.join(arnia)
    await reader.until_verified(arnia, "public")

    def forget_reading() -> None:
        path = reader.directory / "peers" / "arnia.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "keysReadAt": 0}))

    for n in range(2):
        key = await key_rotation.rotate(arnia, after=timedelta(0))
        await publish(arnia, "solution", "s", a_solution(name=f"Revision {n}"))
        forget_reading()
        await reader.until_verified(arnia, "public")

        async def knows(kid: str = key.jwk["kid"]) -> bool:
            forget_reading()
            await reader.round()
            (peer,) = await reader.run("list")
            return kid in peer["keys"]

        await until(knows)  # (The old key may have signed the last number.)
    await key_rotation.replace_key(arnia)
    await publish(arnia, "solution", "s", a_solution(name="By whom?"))
    await checkpoints.sign_checkpoints(arnia)
    forget_reading()
    before = await reader.rows("arnia")
    failed = [event for event in await reader.round() if event["event"] == "failed"]
    assert failed
    assert await reader.rows("arnia") == before


async def test_it_reads_from_another_member_while_the_origin_is_down_and_believes_the_origin_alone(
    nodes: Nodes, reader: Reader, tmp_path: Path
) -> None:
    arnia, megalis = nodes.arnia, nodes.megalis
    for n in range(12):
        await publish(arnia, "solution", f"k{n}", a_solution(), tlp="GREEN" if n % 2 else "CLEAR")
    await introduce(arnia, megalis)
    await reader.join(arnia, megalis)
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    await nodes.down.aclose()
    liar = Reader(tmp_path / "second")
    liar.directory.mkdir()
    for name in ("reader.json", "peers"):
        subprocess.run(["cp", "-r", str(reader.directory / name), str(liar.directory / name)], check=True)  # noqa: S607
    await reader.until_verified(arnia, "public", "federation")
    assert {feed["via"] for feed in (await reader.feeds("arnia")).values()} == {"megalis"}
    assert await read_by(reader) == await published_by(arnia)
    # A relay that alters a record is named, and nothing of it is stored.
    await sql(
        megalis,
        "UPDATE records SET document ="
        " convert_to(replace(convert_from(document, 'UTF8'), 'GLPI', 'GLPJ'), 'UTF8') WHERE origin = 'arnia'",
    )
    events = await liar.round()
    assert any(event["peer"] == "megalis" for event in events if event["event"] == "failed")
    assert await liar.rows("arnia") == set()


async def test_many_removals_await_a_confirmation(nodes: Nodes, reader: Reader) -> None:
    arnia = nodes.arnia
    for n in range(130):
        await publish(arnia, "solution", f"k{n:03}", a_solution())
    await reader.join(arnia)
    await reader.until_verified(arnia, "public")
    for n in range(120):
        await retract(arnia, f"k{n:03}")
    await reader.round()
    feed = (await reader.feeds("arnia"))["public"]
    assert feed["paused"]
    assert feed["count"] == 30  # the hundred before the bound was reached are stored
    await reader.run("confirm", "arnia", "public")
    await reader.until_verified(arnia, "public")
    assert (await reader.feeds("arnia"))["public"]["count"] == 10


async def test_an_invitation_that_was_altered_or_used_joins_nothing(nodes: Nodes, reader: Reader) -> None:
    await reader.run("init", "--operator", "reader", "--name", "A reader", "--url", reader.url)
    invitation = str(await invitations.invite(nodes.arnia, "", private=True))
    other = str(await invitations.invite(nodes.megalis, "", private=True))
    assert "not public" in await reader.fails("join", invitation)
    assert "no invitation" in await reader.fails("join", invitation[:-30], "--private")
    assert await reader.run("list") == []
    async with reader.serving():
        (found,) = await reader.run("join", invitation, "--private")
        assert "differs" in await reader.fails("activate", "arnia", "--code", "0000 0000 0000 0000")
        await peers.activate(nodes.arnia, "reader", code=found["code"])
        await reader.run("activate", "arnia", "--code", found["code"])
        assert await reader.fails("join", invitation, "--private")
        await reader.run("join", other, "--private")


@pytest.mark.usefixtures("reader")
def test_its_own_tests_pass() -> None:
    files = sorted(str(path) for path in CONFORMANCE.glob("*.test.mjs"))
    command = [node_program(), "--test", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout
