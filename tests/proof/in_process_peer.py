"""Peers in this process, which answer with the bytes that the API would send and as a test wants them to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from federation.api.entries import entry_line
from federation.domain.checkpoint import MAX_LEAVES, Leaves, SignedDigests
from federation.domain.entry import EntryPage, FeedEntry, RejectedEntry, read_entry, unreadable
from federation.domain.errors import Invalid
from federation.domain.feed import Cursor, FeedName, Head
from federation.node import checkpoints, copy_views, feeds, receipts
from federation.node.node import Node
from federation.node.receipts import Feedback, FeedbackEntry
from federation.sync.apply import PullResult
from federation.sync.follow import follow, follow_relay
from federation.sync.reports import send_reports
from tests.nodes import as_peer, introduce, peer_of


class Near:
    """A node as one of its peers reads it. A test makes one that lies by overriding what it answers."""

    def __init__(self, node: Node, reader: str, *, limit: int = 1_000) -> None:
        self.node, self.reader, self.limit = node, reader, limit
        self.asked: list[str] = []

    async def heads(self, origin: str | None = None) -> tuple[Head, ...]:
        return await feeds.heads(self.node, by=await as_peer(self.node, self.reader), origin=origin)

    async def changes(self, feed: FeedName, after: Cursor | None) -> AsyncIterator[EntryPage]:
        self.asked.append("changes")
        more = True
        while more:
            caller = await as_peer(self.node, self.reader)
            page = await feeds.changes(self.node, feed, after, by=caller, limit=self.limit)
            yield EntryPage(
                entries=tuple(self.entry(entry_line(row)) for row in page.rows),
                cursor=page.cursor,
                more=page.more,
            )
            after, more = page.cursor, page.more

    async def digests(self, feed: FeedName) -> SignedDigests:
        self.asked.append("proof")
        return await feeds.digests(self.node, feed, by=await as_peer(self.node, self.reader))

    async def leaves(self, feed: FeedName, bucket: int, max_leaves: int = MAX_LEAVES) -> Leaves:
        self.asked.append("leaves")
        return await feeds.leaves(self.node, feed, bucket, by=await as_peer(self.node, self.reader))

    async def entries_at(
        self, feed: FeedName, numbers: Sequence[int]
    ) -> tuple[FeedEntry | RejectedEntry, ...]:
        self.asked.append("numbered")
        page = await feeds.entries_at(self.node, feed, numbers, by=await as_peer(self.node, self.reader))
        return tuple(self.entry(entry_line(row)) for row in page.rows)

    async def receipt(self, jws: str) -> None:
        self.asked.append("receipt")
        await receipts.accept_receipt(self.node, jws, by=await as_peer(self.node, self.reader))

    async def feedback(self, audience: str, several: tuple[RejectedEntry, ...]) -> None:
        self.asked.append("feedback")
        said = Feedback(
            audience=audience,
            entries=tuple(msgspec.convert(msgspec.structs.asdict(one), FeedbackEntry) for one in several),
        )
        await receipts.accept_feedback(self.node, said, by=await as_peer(self.node, self.reader))

    @staticmethod
    def entry(line: bytes) -> FeedEntry | RejectedEntry:
        try:
            return read_entry(line)
        except Invalid as why:
            return unreadable(line, why)


async def round_of(reader: Node, origin: Node, source: Near | None = None) -> PullResult:
    """What the loop does when the origin's heads have moved: follow each feed, then answer."""
    source = source or Near(origin, reader.operator)
    total = PullResult()
    seen = await source.heads()
    async with reader.store.read() as tx:
        held = [p for p in await tx.feeds.all() if p.origin == origin.operator and p.epoch is not None]
    gone = [place for place in held if place.audience not in {head.audience for head in seen}]
    shown = [
        Head(
            origin=p.origin,
            audience=p.audience,
            epoch=p.epoch or "",
            seq=p.head + 1,
            retained_from=0,
            count=0,
        )
        for p in gone
    ]
    for head in (*seen, *shown):
        taken = await follow(reader, peer_of(origin), head, source)
        total.entries += taken.entries
        total.repaired += taken.repaired
        total.purged += taken.purged
        total.rejected += taken.rejected
    await send_reports(reader, peer_of(origin), source)
    return total


async def relayed_round(reader: Node, origin: Node, relay: Node, source: Near | None = None) -> PullResult:
    """What the loop does when the origin is down and another member is asked."""
    source = source or Near(relay, reader.operator)
    total = PullResult()
    for head in await source.heads(origin.operator):
        taken = await follow_relay(reader, peer_of(origin), peer_of(relay), head, source)
        total.repaired += taken.repaired
    return total


async def acquainted(*nodes: Node) -> None:
    """Peers of one another, whose feeds are signed."""
    await introduce(*nodes)
    for node in nodes:
        await checkpoints.sign_checkpoints(node)


async def state_of(reader: Node, origin: Node, audience: str = "public") -> str:
    copy = (await copy_views.copies(reader)).get(FeedName(origin.operator, audience))
    return copy.state if copy else "unverified"


async def sql(node: Node, statement: str, *arguments: Any) -> list[Any]:
    """What somebody with the database's password could do."""
    async with node.store.write() as tx:
        rows: list[Any] = await tx.feeds._session.connection.fetch(statement, *arguments)
    return rows


async def rows_of(node: Node, origin: str) -> set[Any]:
    """Every record of an origin that a node holds in a feed: bytes, number and all."""
    found = await sql(
        node,
        "SELECT r.type, r.key, r.revision, r.seq, f.audience, r.retracted, r.hash, r.document FROM records r"
        " JOIN feeds f ON f.id = r.feed WHERE r.origin = $1",
        origin,
    )
    return {tuple(row) for row in found}
