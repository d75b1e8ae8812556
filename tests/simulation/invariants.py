"""What must hold of the simulated nodes, whatever has happened to them."""

from __future__ import annotations

import msgspec

from federation.domain.checkpoint import BUCKETS, bucket_digest, bucket_of, root_of
from federation.domain.visibility import FEDERATION, PUBLIC
from federation.node import peer_views, receipts
from tests.simulation.databases import Database
from tests.simulation.simulated_nodes import CANARY, World

_FEEDS = "SELECT id, audience, epoch, head, live, retained_from FROM feeds WHERE origin = $1"
_RECORDS = """
SELECT type, key, feed, seq, revision, tlp, audience, retracted, hash, document, sha256(document) AS really
FROM records WHERE origin = $1 ORDER BY type, key
"""

_OWING = """
SELECT audience, epoch, receipted FROM feeds JOIN copies ON copies.feed = feeds.id WHERE origin = $1
"""


async def always(world: World) -> list[str]:
    """What is wrong although anything may be under way: words where they never were to be seen."""
    wrong = []
    for operator, database in world.databases.items():
        for canary in sorted(set(CANARY.findall(await database.everything()))):
            if operator not in world.entitled.get(canary, ()) and f"-{operator}-" not in canary.decode():
                wrong.append(f"{operator} holds {canary.decode()}, which it was never to see")
    return wrong


async def at_rest(world: World) -> list[str]:
    """What is wrong when nothing is under way any more."""
    wrong = await always(world)
    words = {
        operator: set(CANARY.findall(await database.everything()))
        for operator, database in world.databases.items()
    }
    views = {operator: await peer_views.peers(node) for operator, node in world.nodes.items()}
    for origin in world.operators:
        wrong += await _kept(world, origin)
        there = await _held(world.databases[origin], origin)
        groups = {
            row["key"]: set(msgspec.json.decode(row["document"])["content"]["members"])
            for row in there.records
            if row["type"] == "group" and not row["retracted"]
        }
        live = {
            canary: row["audience"]
            for row in there.records
            if not row["retracted"]
            for canary in CANARY.findall(row["document"])
        }
        for audience, place in there.feeds.items():
            wrong += await _signed(world.databases[origin], origin, audience, place, there)
        for reader in world.operators:
            if reader == origin:
                continue
            may = {PUBLIC, FEDERATION} | {name for name, members in groups.items() if reader in members}
            here = await _held(world.databases[reader], origin)
            copies = {v.audience: v for p in views[reader].peers if p.operator == origin for v in p.feeds}
            for audience in sorted(there.feeds.keys() | here.feeds.keys()):
                name = f"{reader}'s copy of {origin}/{audience}"
                if audience not in here.feeds and there.is_empty_group(audience):
                    continue  # nothing is stored of it (decision 0029)
                if audience in may and audience in there.feeds:
                    wrong += [f"{name} {what}" for what in _differs(there, here, audience)]
                    copy = copies.get(audience)
                    if copy is None or copy.state != "verified":
                        wrong.append(
                            f"{name} is {copy.state if copy else 'not there'}: {copy.alarm if copy else ''}"
                        )
                elif any(row["feed"] == here.id_of(audience) for row in here.records):
                    wrong.append(f"{name} is held, and may not be")
            for row in here.records:
                if row["feed"] not in {place["id"] for place in here.feeds.values()}:
                    wrong.append(f"{reader} holds {origin}/{row['key']} in no feed of its origin")
            for found in sorted(words[reader]):
                if f"-{origin}-" in found.decode() and live.get(found) not in may:
                    wrong.append(f"{reader} holds {found.decode()}, which it may not (any more)")
        wrong += await _answered(world, origin)
    for reader in world.operators:
        view = views[reader]
        wrong += [
            f"{reader} has set aside {one.origin}/{one.audience} {one.type}/{one.key} {one.seq}: {one.reason}"
            for one in view.rejected
        ]
    return wrong


class _Held:
    """All that a database holds of an origin."""

    def __init__(self, feeds: list, records: list) -> None:  # type: ignore[type-arg]
        self.feeds = {row["audience"]: row for row in feeds if row["epoch"] is not None}
        self.records = records

    def id_of(self, audience: str) -> int | None:
        place = self.feeds.get(audience)
        return place["id"] if place else None

    def is_empty_group(self, audience: str) -> bool:
        """True for the feed of a group that has no record and no tombstone."""
        if audience in (PUBLIC, FEDERATION) or audience not in self.feeds:
            return False
        return not self.of(audience, self.feeds[audience]["retained_from"])

    def of(self, audience: str, retained_from: int) -> dict[tuple[str, str], tuple[object, ...]]:
        """What counts of a feed, by type and key."""
        feed = self.id_of(audience)
        return {
            (row["type"], row["key"]): tuple(row[2:][1:])
            for row in self.records
            if row["feed"] is not None and row["feed"] == feed
            and (not row["retracted"] or row["seq"] is None or row["seq"] > retained_from)
        }  # fmt: skip


async def _held(database: Database, origin: str) -> _Held:
    connection = database.connection
    return _Held(await connection.fetch(_FEEDS, origin), await connection.fetch(_RECORDS, origin))


def _differs(there: _Held, here: _Held, audience: str) -> list[str]:
    """How a copy differs from the feed: number, count, and every record byte for byte."""
    theirs, ours = there.feeds[audience], here.feeds.get(audience)
    if ours is None:
        return ["is not there"]
    wrong = [
        f"has {column} {ours[column]}, not {theirs[column]}"
        for column in ("epoch", "head", "live", "retained_from")
        if ours[column] != theirs[column]
    ]
    signed, held = (side.of(audience, theirs["retained_from"]) for side in (there, here))
    for name in sorted(signed.keys() | held.keys()):
        if signed.get(name) != held.get(name):
            wrong.append(
                f"differs in {'/'.join(name)}: {_short(held.get(name))}, not {_short(signed.get(name))}"
            )
    return wrong


def _short(row: tuple[object, ...] | None) -> str:
    return " ".join(str(value) for value in row[:5]) if row else "nothing"


async def _kept(world: World, origin: str) -> list[str]:
    """Nothing that was acknowledged is lost, doubled or of another revision at its own node."""
    rows = await world.databases[origin].connection.fetch(
        "SELECT type, key, revision, hash, retracted FROM records WHERE origin = $1", origin
    )
    found = {(row["type"], row["key"]): (row["revision"], row["hash"]) for row in rows}
    return [
        f"{origin} has lost {'/'.join(name)} at revision {revision}"
        for name, (revision, hash_) in world.acknowledged[origin].items()
        if found.get(name) != (revision, hash_) and name in found
    ]


async def _signed(database: Database, origin: str, audience: str, place, there: _Held) -> list[str]:  # type: ignore[no-untyped-def]
    """The digest that the origin keeps, step by step, is that of what it holds, made from the beginning."""
    buckets: list[list[str]] = [[] for _ in range(BUCKETS)]
    live = 0
    for row in there.records:
        if row["feed"] != place["id"]:
            continue
        live += not row["retracted"]
        if row["really"] != row["hash"]:
            return [f"{origin}/{audience}: the bytes of {row['key']} are not those of its hash"]
        if not row["retracted"] or row["seq"] > place["retained_from"]:
            op = "delete" if row["retracted"] else "upsert"
            buckets[bucket_of(row["type"], row["key"])].append(
                f"{row['type']}/{row['key']} {row['revision']} {op} {row['hash'].hex()} {row['seq']}"
            )
    digest = await database.connection.fetchrow("SELECT * FROM digests WHERE feed = $1", place["id"])
    wrong = []
    if live != place["live"]:
        wrong.append(f"{origin}/{audience} is said to have {place['live']} records, and has {live}")
    if digest is None or digest["checkpoint"] is None:
        return [*wrong, f"{origin}/{audience} is not signed"]
    if root_of(digest["buckets"]) != root_of(b"".join(map(bucket_digest, buckets))):
        wrong.append(f"{origin}/{audience}: the digest kept is not that of what is held")
    return wrong


async def _answered(world: World, origin: str) -> list[str]:
    """Everybody who holds a feed has confirmed every withdrawal of it, and nobody owes a receipt.

    (Who was let in and taken out before it ever looked has nothing to confirm, and cannot know.)
    """
    view = await receipts.withdrawals(world.nodes[origin])
    holding: dict[str, set[str]] = {}
    wrong = []
    for reader in world.operators:
        if reader == origin:
            continue
        rows = await world.databases[reader].connection.fetch(_OWING, origin)
        holding[reader] = {row["audience"] for row in rows if row["epoch"] is not None}
        wrong += [
            f"{reader} owes a receipt for {origin}/{row['audience']}" for row in rows if not row["receipted"]
        ]
    for one in view.withdrawals:
        late = [reader for reader in one.outstanding if one.audience in holding[reader]]
        if late:
            wrong.append(
                f"{origin}/{one.audience}: the withdrawal {one.seq} of {one.key} is not confirmed by {late}"
            )
    wrong += [
        f"{origin}/{one.audience}: {one.operator} has left, and holds it"
        for one in view.departures
        if one.confirmed_at is None and one.audience in holding[one.operator]
    ]
    return wrong
