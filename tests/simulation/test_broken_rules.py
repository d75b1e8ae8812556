"""Each rule that copies rest on is broken once on purpose: what is checked here sees it, and else holds."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
import pytest

from federation.domain.checkpoint import SignedCheckpoint
from federation.domain.content.solution import Solution
from federation.domain.draft import Draft, check_draft
from federation.domain.entry import EntryPage, FeedEntry, verify
from federation.domain.feed import Cursor, FeedName
from federation.domain.visibility import itself
from federation.node import checkpoints, copies, copy_views, edits, records
from federation.node import feeds as node_feeds
from federation.node.edits import Retract
from federation.node.node import Node
from federation.store import feeds
from federation.store.entries import EntriesReader
from federation.store.pulled_records import PulledRecordsWriter
from federation.store.record_writes import RecordsWriter
from federation.sync import apply, peer_follower, pull, repair
from tests.domain.builders import a_document, a_solution
from tests.nodes import publish
from tests.proof.in_process_peer import Near, acquainted, round_of, rows_of, sql
from tests.simulation.databases import Database, cluster
from tests.simulation.simulation_run import OPERATORS, Wrong, run
from tests.store.stepwise_transactions import begun
from tests.sync.peers import an_entry, held, reasons, take

pytestmark = pytest.mark.long

PUBLIC = FeedName("arnia", "public")
Broken = pytest.MonkeyPatch
Check = Callable[[Node, Node], Awaitable[None]]


class Rule(NamedTuple):
    """What sees that a rule is broken, and how it is broken."""

    check: Check
    broken: Callable[[Broken, Node], None]


# An older revision never takes the place of a newer one


async def an_older_revision_is_set_aside(arnia: Node, megalis: Node) -> None:
    await take(arnia, an_entry(1, a_document(key="k", revision=2)))
    await take(
        arnia, an_entry(1, a_document(key="k", revision=2)), an_entry(2, a_document(key="k", revision=1))
    )
    assert await held(arnia) == {"k": 2}
    assert await reasons(arnia) == {"k": "regressing-revision"}


def everything_supersedes(broken: Broken, node: Node) -> None:
    broken.setattr(copies, "supersedes", lambda new, old: True)
    broken.setattr(apply, "supersedes", lambda new, old: True)
    broken.setattr(repair, "supersedes", lambda new, old: True)


# A feed is read from just after the cursor


async def entries_alone_bring_a_copy_to_its_head(arnia: Node, megalis: Node) -> None:
    await publish(arnia, "solution", "a", a_solution())
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    for key in ("b", "c", "d"):
        await publish(arnia, "solution", key, a_solution())
    await checkpoints.sign_checkpoints(arnia)
    source = Near(arnia, "megalis")
    taken = await round_of(megalis, arnia, source)
    assert await rows_of(megalis, "arnia") == await rows_of(arnia, "arnia")
    assert source.asked == ["changes"], "nothing was left for a repair"
    assert (taken.entries, taken.repaired) == (3, 0)


def the_cursor_is_one_further(broken: Broken, node: Node) -> None:
    page = EntriesReader.page

    async def skipping(self: EntriesReader, place: Any, after: Cursor | None, limit: int) -> Any:
        return await page(self, place, after and Cursor(after.epoch, after.seq + 1), limit)

    broken.setattr(EntriesReader, "page", skipping)


# The bytes that came have the hash that the entry names


async def bytes_without_their_hash_are_set_aside(arnia: Node, megalis: Node) -> None:
    await take(arnia, an_entry(1, hash="0" * 64), an_entry(2))
    assert await held(arnia) == {"k2": 1}
    assert await reasons(arnia) == {"k1": "bad-hash"}


def no_hash_is_checked(broken: Broken, node: Node) -> None:
    def trusting(entry: FeedEntry, feed: FeedName) -> Any:
        true = hashlib.sha256(bytes(entry.document)).hexdigest()
        return verify(msgspec.structs.replace(entry, hash=true), feed)

    broken.setattr(pull, "verify", trusting)


# What is withdrawn is purged


async def what_is_withdrawn_is_gone_at_once(arnia: Node, megalis: Node) -> None:
    await publish(arnia, "solution", "a", a_solution(name="canary"))
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    assert await sql(megalis, "SELECT FROM records WHERE convert_from(document, 'UTF8') LIKE '%canary%'")
    await publish(arnia, "solution", "a", a_solution(name="canary"), tlp="RED")
    await checkpoints.sign_checkpoints(arnia)
    taken = await round_of(megalis, arnia)
    assert not await sql(megalis, "SELECT FROM records WHERE convert_from(document, 'UTF8') LIKE '%canary%'")
    assert taken.repaired == 0, "it goes by its withdrawal, not by a repair that comes later"


def nothing_is_purged(broken: Broken, node: Node) -> None:
    async def keeping(self: PulledRecordsWriter, feed: int, gone: Any) -> int:
        return 0

    broken.setattr(PulledRecordsWriter, "purge", keeping)


# A copy that differs is repaired


class Omitting(Near):
    """Leaves out a record."""

    async def changes(self, feed: FeedName, after: Cursor | None) -> AsyncIterator[EntryPage]:
        async for page in super().changes(feed, after):
            yield msgspec.structs.replace(page, entries=tuple(e for e in page.entries if e.key != "b"))


async def what_was_left_out_is_noticed_and_fetched(arnia: Node, megalis: Node) -> None:
    for key in ("a", "b", "c"):
        await publish(arnia, "solution", key, a_solution())
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia, Omitting(arnia, "megalis"))
    assert await rows_of(megalis, "arnia") == await rows_of(arnia, "arnia")
    assert (await copy_views.copies(megalis))[PUBLIC].state == "verified"


def nothing_is_repaired(broken: Broken, node: Node) -> None:
    async def skipping(self: repair.Repair) -> SignedCheckpoint:
        return (await self._read_digests())[0]

    broken.setattr(repair.Repair, "run", skipping)


# Many removals wait for an administrator


async def many_removals_wait(arnia: Node, megalis: Node) -> None:
    shape: Any = Draft
    drafts = {f"k{n:03}": check_draft({"content": a_solution()}, shape[Solution]) for n in range(130)}
    await records.upload(arnia, Solution, drafts, by=itself("arnia"))
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    await edits.edit_many(arnia, Solution, sorted(drafts), lambda *_: Retract(), by=itself("arnia"))
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    assert len(await held(megalis, "arnia")) == 130
    assert (await copy_views.copies(megalis))[PUBLIC].paused


def nothing_brakes(broken: Broken, node: Node) -> None:
    broken.setattr(apply, "needs_confirmation", lambda removed, live: False)
    broken.setattr(repair, "needs_confirmation", lambda removed, live: False)


# Numbers are given at commit


async def no_number_appears_behind_a_reader(arnia: Node, megalis: Node) -> None:
    """One write begins before another one and commits after it; a reader comes in between."""
    await acquainted(arnia, megalis)
    slow = await begun(arnia.store)
    shape: Any = Draft
    draft = check_draft({"content": a_solution()}, shape[Solution])
    await slow.tx.records.stored_revisions("solution", "arnia", ["slow"])
    await publish(arnia, "solution", "quick", a_solution())
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    await edits._apply(
        arnia, slow.tx, Solution, ["slow"], lambda *_: draft, itself("arnia"), dry_run=False, step=None
    )
    await slow.commit()
    await checkpoints.sign_checkpoints(arnia)
    source = Near(arnia, "megalis")
    await round_of(megalis, arnia, source)
    assert set(await held(megalis, "arnia")) == {"quick", "slow"}
    assert source.asked == ["changes"], "the reader's cursor missed nothing"


def numbers_are_given_when_a_write_begins(broken: Broken, node: Node) -> None:
    held_before = RecordsWriter.stored_revisions
    numbers: dict[str, int] = {}

    async def reserving(self: RecordsWriter, type_name: str, origin: str, keys: Any) -> Any:
        for key in keys:
            if key not in numbers:
                async with node.store.write() as tx:
                    numbers[key] = await tx.records._session.connection.fetchval(
                        "UPDATE feeds SET head = head + 1, live = live + 1"
                        " WHERE origin = $1 AND audience = 'public' RETURNING head",
                        origin,
                    )
        return await held_before(self, type_name, origin, keys)

    async def placing(self: RecordsWriter, origin: str, kept: Any, leaving: Any = ()) -> None:
        for record, feed, _ in kept:
            await PulledRecordsWriter(self._session).upsert_in_place(
                origin, feed, [(record, numbers[record.key])]
            )

    broken.setattr(RecordsWriter, "stored_revisions", reserving)
    broken.setattr(RecordsWriter, "upsert", placing)


RULES = {
    "supersedes is always true": Rule(an_older_revision_is_set_aside, everything_supersedes),
    "the cursor is off by one": Rule(entries_alone_bring_a_copy_to_its_head, the_cursor_is_one_further),
    "the hash is not checked": Rule(bytes_without_their_hash_are_set_aside, no_hash_is_checked),
    "a withdrawal is not purged": Rule(what_is_withdrawn_is_gone_at_once, nothing_is_purged),
    "a repair is skipped": Rule(what_was_left_out_is_noticed_and_fetched, nothing_is_repaired),
    "the brake is removed": Rule(many_removals_wait, nothing_brakes),
    "numbers are not given at commit": Rule(
        no_number_appears_behind_a_reader, numbers_are_given_when_a_write_begins
    ),
}


@pytest.mark.parametrize("rule", RULES)
async def test_what_is_checked_holds(rule: str, arnia: Node, megalis: Node) -> None:
    await RULES[rule].check(arnia, megalis)


@pytest.mark.parametrize("rule", RULES)
async def test_a_rule_that_is_broken_is_caught(
    rule: str, arnia: Node, megalis: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        RULES[rule].broken(broken, arnia)
        with pytest.raises(AssertionError):
            await RULES[rule].check(arnia, megalis)


# What the simulation sees


@pytest.fixture(scope="module")
async def databases_simulated(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Database]]:
    async with cluster(tmp_path_factory.mktemp("simulated"), OPERATORS[:3]) as found:
        yield found


def a_purge_keeps_everything(broken: Broken) -> None:
    async def keeping(node: Node, name: FeedName) -> int:
        return 0

    broken.setattr(copies, "purge", keeping)


def a_peer_sees_what_is_not_for_it(broken: Broken) -> None:
    for room in (feeds, node_feeds):
        broken.setattr(room, "may_see", lambda origin, audience, caller: True)


def receipts_are_not_sent(broken: Broken) -> None:
    async def silent(node: Node, origin: Any, source: Any) -> None:
        pass

    broken.setattr(peer_follower, "send_reports", silent)


def a_repair_does_nothing(broken: Broken) -> None:
    async def skipping(self: repair.Repair) -> SignedCheckpoint:
        return (await self._read_digests())[0]

    broken.setattr(repair.Repair, "run", skipping)


async def several(databases: dict[str, Database]) -> None:
    """Simulations, one of which comes to where it matters, in whatever order things happen."""
    for seed in (3, 12, 18):
        await run(databases, seed, 60)


@pytest.mark.parametrize(
    ("breaking", "seen"),
    [
        (a_purge_keeps_everything, "may not"),
        (a_peer_sees_what_is_not_for_it, "never to see"),
        (receipts_are_not_sent, "owes a receipt"),
        (a_repair_does_nothing, "differs in"),
    ],
)
async def test_the_simulation_sees_it(
    databases_simulated: dict[str, Database],
    monkeypatch: pytest.MonkeyPatch,
    breaking: Callable[[Broken], None],
    seen: str,
) -> None:
    logging.disable(logging.CRITICAL)
    try:
        with monkeypatch.context() as broken:
            breaking(broken)
            with pytest.raises(Wrong, match=seen):
                await several(databases_simulated)
    finally:
        logging.disable(logging.NOTSET)
