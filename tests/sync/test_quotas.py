"""A peer that would go beyond its quota is paused: nothing is half stored, and nothing of others waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from federation.domain.entry import EntryPage, FeedEntry
from federation.domain.errors import NotFound
from federation.domain.feed import Cursor, FeedName
from federation.domain.quota import MEBIBYTE, Quota, QuotaChange
from federation.domain.rejection_lines import MAX_LINES_AN_HOUR, RejectionLines
from federation.node import copies, copy_views, peer_views, quotas
from federation.node.node import Node
from federation.sync.follow import follow
from federation.sync.pull import pull
from tests.api.http_client import refused
from tests.audit.audit_trail import entries as audited
from tests.domain.builders import a_document, a_solution
from tests.exposure.commands import ran, said, told
from tests.nodes import a_token, browsing
from tests.store.stepwise_transactions import counts_are_true
from tests.sync.peers import EPOCH, PUBLIC, Told, a_head, an_entry, held, known_as, take

RECIA = FeedName("recia", "public")


@pytest.fixture
async def small(arnia: Node) -> Node:
    """Arnia, where a peer may have ten records, and which knows megalis."""
    arnia.quota = Quota(records=10)
    async with arnia.store.write() as tx:
        await tx.peers.add(known_as("megalis", "http://megalis.example.org"))
    return arnia


async def paused(node: Node) -> str | None:
    views = await copy_views.copies(node)
    return views[PUBLIC].beyond_quota if PUBLIC in views else None


async def cursor(look: Any) -> int:
    return int(await look.fetchval("SELECT head FROM feeds WHERE origin = 'megalis' AND audience = 'public'"))


async def test_as_many_records_as_are_allowed_are_stored(small: Node, look: Any) -> None:
    await take(small, *(an_entry(n) for n in range(1, 11)))
    assert len(await held(small)) == 10
    assert await paused(small) is None
    await counts_are_true(look)


async def test_a_batch_that_would_go_beyond_is_not_stored_at_all(small: Node, look: Any) -> None:
    await take(small, *(an_entry(n) for n in range(1, 9)))
    entries = [an_entry(n) for n in range(1, 12)]
    taken = await take(small, *entries)
    assert taken.paused
    assert len(await held(small)) == 8
    assert await cursor(look) == 8, "it begins again where it stopped"
    assert await paused(small) == "11 records, with tombstones; 10 are allowed"
    (view,) = (await peer_views.peers(small)).peers
    assert view.paused == "11 records, with tombstones; 10 are allowed"
    assert "beyond its quota" in (view.feeds[0].alarm or "")
    await counts_are_true(look)
    # Confirmed, it may have as many again, and nothing was lost.
    assert await copies.confirm_removals(small, "megalis") == ("public",)
    await take(small, *entries)
    assert len(await held(small)) == 11
    assert (await quotas.read_quota(small, "megalis")).own == {"records": 20}
    with pytest.raises(NotFound):
        await copies.confirm_removals(small, "megalis")
    events = [entry.event for entry in await audited(small)]
    assert events.count("quota.confirmed") == 1
    await take(small, *(an_entry(n) for n in range(1, 22)))
    assert await paused(small) == "21 records, with tombstones; 20 are allowed", "once is not for ever"


@pytest.mark.parametrize("slices", [1, 3, 500])
async def test_the_batches_before_it_are_stored(small: Node, look: Any, slices: int) -> None:
    """Whatever the way in which each was stored: the one ahead counts before it is committed."""
    source = Told(*(an_entry(n) for n in range(1, 31)), slices=slices)
    await pull(small, source.head, source)
    stored = 10 - 10 % slices
    assert len(await held(small)) == stored if slices < 30 else not await held(small)
    assert await paused(small) is not None
    await counts_are_true(look)


async def test_revisions_are_not_counted_twice_and_tombstones_are_counted(small: Node, look: Any) -> None:
    await take(small, *(an_entry(n) for n in range(1, 11)))
    revised = [an_entry(10 + n, a_document(key=f"k{n}", revision=2)) for n in range(1, 11)]
    await take(small, *revised)
    assert await paused(small) is None
    await take(small, *revised, an_entry(21, a_document(key="gone", content=None)))
    assert await paused(small) == "11 records, with tombstones; 10 are allowed"
    await counts_are_true(look)


async def test_what_is_withdrawn_makes_room(small: Node, look: Any) -> None:
    await take(small, *(an_entry(n) for n in range(1, 11)))
    away = an_entry(11, op="withdraw", key="k1", revision=2)
    await take(small, away)
    await take(small, away, an_entry(12))
    assert await paused(small) is None
    assert len(await held(small)) == 10
    await counts_are_true(look)


async def test_the_bytes_of_documents_are_bounded(small: Node, look: Any) -> None:
    small.quota = Quota(records=1_000, mebibytes=1)
    large = a_solution(description={"fr": "x" * 15_000})
    entries = [an_entry(n, a_document(key=f"k{n}", content=large)) for n in range(1, 81)]
    source = Told(*entries, slices=10)
    await pull(small, source.head, source)
    use = (await quotas.read_quota(small, "megalis")).use
    assert 0 < use.bytes <= MEBIBYTE
    assert use.bytes == await look.fetchval("SELECT sum(octet_length(document)) FROM records")
    assert await paused(small) == "2 mebibytes of documents; 1 are allowed"
    await counts_are_true(look)


async def test_all_feeds_of_a_peer_count_and_are_paused_together(small: Node, look: Any) -> None:
    green = FeedName("megalis", "federation")
    await take(small, *(an_entry(n) for n in range(1, 9)))
    documents = [a_document(key=f"g{n}", tlp="GREEN") for n in range(1, 4)]
    await take(small, *(an_entry(n, doc) for n, doc in enumerate(documents, 1)), name=green)
    views = await copy_views.copies(small)
    assert await paused(small) == "11 records, with tombstones; 10 are allowed"
    assert all(views[name].beyond_quota for name in views)
    await counts_are_true(look)


async def test_another_peer_goes_on(small: Node) -> None:
    await take(small, *(an_entry(n) for n in range(1, 12)))
    assert await paused(small) is not None
    await take(small, an_entry(1, a_document(key="r", origin="recia")), name=RECIA)
    assert await held(small, "recia") == {"r": 1}
    assert (await copy_views.copies(small))[RECIA].beyond_quota is None


async def test_feeds_are_bounded_and_each_empty_one_leaves_no_row(small: Node, look: Any) -> None:
    small.quota = Quota(feeds=2)
    peer = known_as("megalis", "http://megalis.example.org")
    for n in range(195):
        name = FeedName("megalis", f"group-{n}")
        result = await follow(small, peer, a_head(0, name=name), Told())  # type: ignore[arg-type]
        assert result.verified, "there is nothing to ask for"
        lie = Told()
        await follow(small, peer, a_head(5, name=name), lie)  # type: ignore[arg-type]
        assert lie.asked == [None]
    assert await look.fetchval("SELECT count(*) FROM feeds WHERE origin = 'megalis'") == 0
    for n in range(3):
        document = a_document(key=f"k{n}", tlp="AMBER", audience=f"g{n}")
        await take(small, an_entry(1, document), name=FeedName("megalis", f"g{n}"))
    feeds = await look.fetch("SELECT audience FROM feeds WHERE origin = 'megalis' ORDER BY audience")
    assert [row[0] for row in feeds] == ["g0", "g1"]
    views = await copy_views.copies(small)
    assert views[FeedName("megalis", "g0")].beyond_quota == "3 feeds; 2 are allowed"
    await quotas.change_quota(small, "megalis", QuotaChange(feeds=3))
    await take(
        small,
        an_entry(1, a_document(key="k2", tlp="AMBER", audience="g2")),
        name=FeedName("megalis", "g2"),
    )
    assert await held(small) == {"k0": 1, "k1": 1, "k2": 1}


async def test_rejected_entries_of_all_feeds_of_a_peer_are_bounded(small: Node, look: Any) -> None:
    small.quota = Quota(rejected=10)
    bad = [an_entry(n, hash="0" * 64) for n in range(1, 9)]
    await take(small, *bad)
    green = FeedName("megalis", "federation")
    more = [an_entry(n, a_document(key=f"g{n}", tlp="GREEN"), hash="0" * 64) for n in range(1, 4)]
    await take(small, *more[:2], name=green)
    assert await paused(small) is None
    await take(small, *more, name=green)
    assert await paused(small) == "11 rejected entries; 10 are allowed"
    assert await look.fetchval("SELECT count(*) FROM rejected_entries") == 10
    assert (
        await look.fetchval("SELECT head FROM feeds WHERE audience = 'federation' AND origin = 'megalis'")
        == 2
    )
    await quotas.change_quota(small, "megalis", QuotaChange(rejected=11))
    await take(small, *more, name=green)
    assert await look.fetchval("SELECT count(*) FROM rejected_entries") == 11


async def test_entries_within_an_hour_are_bounded(small: Node, look: Any) -> None:
    """A peer that revises one record without end stores little, and costs much."""
    small.quota = Quota(records=5, entries=10)
    now = datetime.now(UTC)
    small.clock = lambda: now
    revisions = [an_entry(n, a_document(key="k", revision=n)) for n in range(1, 31)]
    source = Told(*revisions[:20], slices=5)
    await pull(small, source.head, source)
    assert await held(small) == {"k": 10}
    assert await paused(small) == "15 entries within an hour; 10 are allowed"
    await copies.confirm_removals(small, "megalis")
    source = Told(*revisions[:20], slices=5)
    await pull(small, source.head, source)
    assert await held(small) == {"k": 20}, "a confirmed hour begins anew"
    now += timedelta(hours=1)
    source = Told(*revisions, slices=5)
    await pull(small, source.head, source)
    assert await held(small) == {"k": 30}
    assert await paused(small) is None


class Showing(Told):
    """A peer whose entries a test adds to."""

    async def changes(self, feed: FeedName, after: Cursor | None) -> AsyncIterator[EntryPage]:
        async for page in super().changes(feed, after):
            yield page


async def test_withdrawals_of_a_paused_peer_are_carried_out_and_read_once(small: Node, look: Any) -> None:
    await take(small, *(an_entry(n) for n in range(1, 9)))
    entries: list[FeedEntry] = [
        *(an_entry(n) for n in range(1, 12)),
        an_entry(12, op="withdraw", key="k1", revision=2),
    ]
    await take(small, *entries)
    assert await paused(small) is not None
    assert set(await held(small)) == {f"k{n}" for n in range(2, 9)}
    assert await cursor(look) == 8
    peer = known_as("megalis", "http://megalis.example.org")
    source = Showing(*entries, an_entry(13, op="withdraw", key="k2", revision=2))
    await follow(small, peer, source.head, source)  # type: ignore[arg-type]
    assert set(await held(small)) == {f"k{n}" for n in range(3, 9)}
    assert source.asked == [Cursor(EPOCH, 12)], "what was looked through is not looked through again"
    await counts_are_true(look)


async def test_a_higher_quota_goes_on_and_a_lower_one_pauses(small: Node) -> None:
    entries = [an_entry(n) for n in range(1, 21)]
    await take(small, *entries[:15])
    assert await paused(small) is not None
    quota = await quotas.change_quota(small, "megalis", QuotaChange(records=20))
    assert (quota.paused, quota.own, quota.bounds.records) == (None, {"records": 20}, 20)
    await take(small, *entries)
    assert len(await held(small)) == 20
    await quotas.change_quota(small, "megalis", QuotaChange(), reset=True)
    small.clock = lambda: datetime.now(UTC) + timedelta(seconds=11)
    await take(small, *entries, an_entry(21))
    assert await paused(small) == "21 records, with tombstones; 10 are allowed"


async def test_a_peer_that_another_process_let_go_on_is_read_anew(small: Node) -> None:
    await take(small, *(an_entry(n) for n in range(1, 12)))
    allowance = await quotas.read_allowance(small, "megalis")
    assert await quotas.paused_operators(small) == {"megalis"}
    assert allowance.paused
    assert not allowance.is_old(small.clock())
    async with small.store.write() as tx:
        await tx.quotas.resume("megalis")
    assert await quotas.paused_operators(small) == frozenset()
    assert allowance.is_old(small.clock())


def test_lines_about_rejected_entries_are_bounded_for_each_peer() -> None:
    lines, now = RejectionLines(), datetime.now(UTC)
    written = sum(
        lines.allows(FeedName("megalis", f"g{feed}"), reason, now)
        for feed in range(195)
        for reason in ("bad-hash", "unreadable")
        for _ in range(3)
    )
    assert written == MAX_LINES_AN_HOUR
    assert lines.allows(RECIA, "bad-hash", now), "another peer has lines of its own"
    assert lines.take_counts(now + timedelta(minutes=59)) == []
    counts = lines.take_counts(now + timedelta(hours=1))
    assert sum(count for _, _, count in counts) == 195 * 2 * 3 - MAX_LINES_AN_HOUR
    assert lines.allows(PUBLIC, "bad-hash", now + timedelta(hours=1))


# An administrator


async def test_an_administrator_reads_and_changes_a_quota_over_http(small: Node) -> None:
    await take(small, *(an_entry(n) for n in range(1, 12)))
    async with browsing(small) as client:
        admin = await a_token(small, client)
        reader = await a_token(small, client, "peers.read", name="reader")
        read = (await client.get("/v1/peers/megalis/quota", headers=reader)).json()
        assert read["bounds"]["records"] == 10
        assert read["use"]["records"] == 0, "the only batch was beyond"
        assert read["paused"] == "11 records, with tombstones; 10 are allowed"
        answer = await client.put("/v1/peers/megalis/quota", json={"records": 50}, headers=reader)
        assert refused(answer, 403, "missing-scope")
        answer = await client.put("/v1/peers/megalis/quota", json={"records": 50}, headers=admin)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["own"], answer.json()["paused"]) == ({"records": 50}, None)
        wrongs: tuple[Any, ...] = ({"records": 0}, {"recrods": 5}, [])
        for wrong in wrongs:
            answer = await client.put("/v1/peers/megalis/quota", json=wrong, headers=admin)
            assert refused(answer, 400, "invalid")
        assert refused(await client.get("/v1/peers/nobody/quota", headers=admin), 404, "not-found")
        await take(small, *(an_entry(n) for n in range(1, 12)))
        assert len(await held(small)) == 11
        await take(small, *(an_entry(n) for n in range(1, 53)))
        answer = await client.post("/v1/peers/megalis/confirm", headers=admin)
        assert answer.json() == {"operator": "megalis", "audiences": ["public"]}


async def test_an_administrator_reads_and_changes_a_quota_by_command(small: Node, dsn: str) -> None:
    await take(small, *(an_entry(n) for n in range(1, 12)))
    bounds = {"QUOTA_RECORDS": "1000"}
    text = await said(dsn, "peer", "quota", "megalis", **bounds)
    assert "0 of 1000 records, with tombstones" in text
    assert "paused: 11 records, with tombstones; 10 are allowed; federation peer confirm megalis" in text
    assert "its peer is beyond its quota" in await said(dsn, "peer", "list", **bounds)
    answer = await told(dsn, "peer", "quota", "megalis", "--records", "2000", **bounds)
    assert (answer["own"], answer["bounds"]["records"], answer["paused"]) == ({"records": 2000}, 2000, None)
    assert "(its own bound)" in await said(dsn, "peer", "quota", "megalis", **bounds)
    assert (await told(dsn, "peer", "quota", "megalis", "--reset", **bounds))["own"] == {}
    status, text = await ran(dsn, "peer", "quota", "nobody", **bounds)
    assert (status, "there is no peer nobody" in text) == (1, True)
