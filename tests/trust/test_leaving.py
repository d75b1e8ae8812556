"""What a peer leaves behind goes when it goes: table by table, after `leave`, `forget` and three months."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from federation.domain.alert import NewSubscription
from federation.domain.entry import RejectedEntry
from federation.domain.errors import StaleCursor
from federation.domain.feed import Cursor, FeedName
from federation.domain.quota import Quota, QuotaChange
from federation.domain.visibility import itself
from federation.node import alert_scan, alerts, copies, peers, quotas, retention
from federation.node.node import Node
from tests.conftest import Databases
from tests.domain.builders import a_document, a_record, a_solution
from tests.exposure.test_alerts import Receiver
from tests.nodes import publish
from tests.store.stepwise_transactions import looking
from tests.sync.peers import EPOCH, an_entry, held, known_as, take

OF_FEED = "JOIN feeds AS f ON f.id = feed WHERE f.origin = 'megalis' ORDER BY 1"
TABLES = {
    "feeds": "SELECT audience FROM feeds WHERE origin = 'megalis' ORDER BY 1",
    "copies": f"SELECT f.audience FROM copies {OF_FEED}",
    "digests": f"SELECT f.audience FROM digests {OF_FEED}",
    "records": "SELECT key FROM records WHERE origin = 'megalis' ORDER BY 1",
    "withdrawals": f"SELECT key FROM withdrawals {OF_FEED}",
    "rejected_entries": "SELECT key FROM rejected_entries ORDER BY 1",
    "receipts": "SELECT operator FROM receipts",
    "departures": "SELECT operator FROM departures",
    "feedback": "SELECT operator FROM feedback",
    "peers": "SELECT state FROM peers",
    "paused": "SELECT beyond_quota FROM copies WHERE paused IS NOT NULL OR beyond_quota IS NOT NULL",
    "alerts": "SELECT subject FROM alerts WHERE delivered_at IS NULL ORDER BY 1",
}
"""What is stored about megalis, or came of it."""


async def remains(look: Any) -> dict[str, list[str]]:
    rows = {table: [row[0] for row in await look.fetch(query)] for table, query in TABLES.items()}
    return {table: values for table, values in rows.items() if values}


@pytest.fixture
async def known(arnia: Node) -> Node:
    """Arnia, with everything that a peer can leave here."""
    arnia._outside = Receiver()
    arnia.quota = Quota(records=3)
    peer = known_as("megalis", "http://megalis.example.org")
    async with arnia.store.write() as tx:
        await tx.peers.add(peer)
    wanted = NewSubscription(
        events=("record.rejected", "peer.paused"), webhook="https://itsm.example.org/hook"
    )
    await alerts.subscribe(arnia, wanted, by=itself("arnia"))
    await publish(arnia, "group", "g", {"name": "g", "members": ["megalis"]})
    await publish(arnia, "solution", "ours", a_solution(), tlp="AMBER", audience="g")
    await take(arnia, an_entry(1), an_entry(2, hash="0" * 64))
    green = a_document(key="green", tlp="GREEN")
    await take(arnia, an_entry(1, green), name=FeedName("megalis", "federation"))
    amber = a_document(key="amber", tlp="AMBER", audience="rssi")
    await take(arnia, an_entry(1, amber), name=FeedName("megalis", "rssi"))
    bad = an_entry(1, a_document(key="bad", tlp="AMBER", audience="empty"), hash="0" * 64)
    await take(arnia, bad, name=FeedName("megalis", "empty"))
    await take(arnia, an_entry(1), an_entry(2, hash="0" * 64), an_entry(3))
    async with arnia.store.write() as tx:
        own = await tx.feeds.find(FeedName("arnia", "g"))
        assert own is not None
        await tx.receipts.store("arnia", "g", "megalis", epoch="e", seq=1, purged=False, jws="a.b.c")
        await tx.receipts.note_departure("arnia", "g", ["megalis"])
        entry = RejectedEntry(seq=1, type="solution", key="ours", revision=1, reason="bad-hash", detail="")
        await tx.receipts.store_feedback("megalis", own.id, [entry])
    await alert_scan.add_alerts(arnia)
    return arnia


async def own_audiences(node: Node) -> set[str]:
    async with node.store.read() as tx:
        return {feed.audience for feed in await tx.feeds.all() if feed.origin == node.operator}


async def test_what_a_peer_leaves_behind_goes_when_it_goes(known: Node, dsn: str) -> None:
    feeds = ["empty", "federation", "public", "rssi"]
    own = await own_audiences(known)
    assert "g" in own
    async with looking(dsn) as look:
        assert await remains(look) == {
            "feeds": feeds,
            "copies": feeds,
            "records": ["amber", "green", "k1"],
            "rejected_entries": ["bad", "k2"],
            "receipts": ["megalis"],
            "departures": ["megalis"],
            "feedback": ["megalis"],
            "peers": ["active"],
            "paused": ["records"] * 4,
            "alerts": ["megalis", "megalis/bad", "megalis/k2"],
        }
        await peers.leave(known, "megalis")
        gone = {
            "feeds": ["federation", "public", "rssi"],
            "copies": ["federation", "public", "rssi"],
            "digests": ["federation", "rssi"],
            "records": ["k1"],
            "withdrawals": ["amber", "green"],
            "peers": ["left"],
        }
        assert await remains(look) == gone, "public records, and what the change log has to report"
        recia = FeedName("recia", "rssi")
        async with known.store.write() as tx:
            await tx.peers.add(known_as("recia", "http://recia.example.org"))
        theirs = a_document(origin="recia", key="theirs", tlp="AMBER", audience="rssi")
        await take(known, an_entry(1, theirs), name=recia)
        await peers.purge_left_peers(known)
        assert await held(known, "recia") == {"theirs": 1}, "a peer that stays keeps what it shared"
        await look.execute("DELETE FROM peers WHERE operator = 'recia'")
        async with known.store.write() as tx:
            await tx.copies.purge(*(feed for feed in await tx.feeds.all() if feed.origin == "recia"))
            await tx.remains.drop("recia")
        assert await remains(look) == gone
        assert await held(known) == {"k1": 1}
        await peers.forget(known, "megalis")
        everything = ["federation", "public", "rssi"]
        assert await remains(look) == {
            "feeds": everything,
            "copies": everything,
            "digests": everything,
            "withdrawals": ["amber", "green", "k1"],
        }, "only what the change log has to report"
        known.clock = lambda: datetime.now(UTC) + timedelta(days=91)
        await retention.drop_expired_tombstones(known)
        assert await remains(look) == {}
    assert await own_audiences(known) == own, "our own stay"
    async with known.store.read() as tx:
        assert {feed.origin for feed in await tx.feeds.all()} == {"arnia"}


async def test_a_feed_that_its_origin_shows_no_more_goes_once_its_receipt_is_sent(
    known: Node, dsn: str
) -> None:
    name = FeedName("megalis", "rssi")
    await copies.purge(known, name)
    later: Callable[[], datetime] = lambda: datetime.now(UTC) + timedelta(days=91)  # noqa: E731 - a clock
    known.clock = later
    async with looking(dsn) as look:
        await retention.drop_expired_tombstones(known)
        assert "rssi" in (await remains(look))["feeds"], "its origin has not got our receipt"
        await look.execute("UPDATE copies SET receipted = true")
        await retention.drop_expired_tombstones(known)
        left = await remains(look)
        assert left["feeds"] == left["copies"] == ["empty", "federation", "public"]
    amber = a_document(key="amber", tlp="AMBER", audience="rssi")
    await quotas.change_quota(known, "megalis", QuotaChange(records=5))
    await take(known, an_entry(1, amber), name=name)
    assert "amber" in await held(known), "shown again, it is pulled again"


async def test_a_batch_that_comes_for_a_feed_that_has_gone_stores_nothing(
    known: Node, databases: Databases, dsn: str
) -> None:
    """The records of a feed have no foreign key: a batch that was under way finds no feed to move on."""
    async with known.store.read() as tx:
        feed = await tx.feeds.find(FeedName("megalis", "empty"))
    assert feed is not None
    await peers.leave(known, "megalis")
    record = a_record(a_solution(), origin="megalis", key="late")
    with pytest.raises(StaleCursor):
        await copies.store_new_records(
            known,
            feed.name,
            feed.id,
            at=feed.cursor,
            to=Cursor(EPOCH, 5),
            records=[(record, 5)],
            on_send=lambda: None,
        )
    assert await held(known) == {"k1": 1}
