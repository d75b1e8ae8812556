"""Several nodes in one process, and what may happen to them: one step after another, drawn from one seed."""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from unittest import mock

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey

import federation.domain.copy
from federation.domain.content.group import Group
from federation.domain.content.solution import Solution
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Forged, NotFound, Refused, StaleCursor
from federation.domain.peer import OwnKey
from federation.domain.visibility import FEDERATION, PRIVATE, PUBLIC, itself
from federation.node import checkpoints, copies, edits, epochs, key_rotation, retention
from federation.node import records as node_records
from federation.node.edits import Retract
from federation.node.keys import Keyring
from federation.node.node import Node
from federation.store.database import Store, Writing, open_store
from federation.sync import peer_client, repair
from federation.sync.follow import follow_relay
from federation.sync.peer_follower import PeerFollower, Shared
from federation.telemetry import Metrics
from tests.domain.builders import a_group, a_solution
from tests.nodes import introduce
from tests.simulation import faulty_network
from tests.simulation.databases import Database
from tests.simulation.faulty_network import Answer, Outside, Wire

BEGIN = datetime(2030, 1, 1, 6, tzinfo=UTC)
SKEW = 300
"""Seconds by which a clock may be wrong."""
KEYS = 14
"""Keys that an operator gives its records, so that they are revised, moved and retracted again and again."""
GROUPS = ("close", "near")
TLPS = ("CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED")
BRAKE = 6
"""Records that may be removed without being asked, here."""
CANARY = re.compile(rb"canary-[a-z]+-[0-9]+-end")
CRASH_POINTS = 14


class Crash(BaseException):
    """The process is gone. (Nothing may catch it on its way.)"""


class FusedStore(Store):
    """A store whose process can be made to die around its transactions."""

    fuse: int | None = None
    """Points that are left: two for each transaction, just before its commit and just after it."""

    @asynccontextmanager
    async def write(self, *, records: int = 0, locks: Iterable[int] = ()) -> AsyncIterator[Writing]:
        async with super().write(records=records, locks=locks) as tx:
            yield tx
            self._burn()
        self._burn()

    @asynccontextmanager
    async def autocommit(self, *, records: int = 0) -> AsyncIterator[Writing]:
        if records:
            self._burn()
        async with super().autocommit(records=records) as tx:
            yield tx
        if records:
            self._burn()

    def _burn(self) -> None:
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                self.fuse = None
                raise Crash


class World:
    """The nodes, everything that happens to them, and how often what went wrong."""

    def __init__(self, databases: dict[str, Database], stores: dict[str, FusedStore], seed: int) -> None:
        self.databases, self.stores = databases, stores
        self.operators = tuple(databases)
        self.chance = random.Random(seed)
        self.now = BEGIN
        self.skew = dict.fromkeys(self.operators, 0)
        self.nodes: dict[str, Node] = {}
        self.counts: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.past: dict[str, list[Answer]] = {}
        self.canaries: Counter[str] = Counter()
        self.entitled: dict[bytes, set[str]] = {}
        """Who was ever meant to see a version, by the word that it alone has."""
        self.acknowledged: dict[str, dict[tuple[str, str], tuple[int, bytes]]] = {
            operator: {} for operator in self.operators
        }
        self.saved: dict[str, bool] = {}
        self.unnoticed: set[str] = set()
        """Who went back to a backup and does not know it."""
        self.log: list[str] = []

    def say(self, what: str) -> None:
        self.log.append(what)

    @property
    def faults(self) -> int:
        return self.counts.total()

    # Nodes

    async def begin(self) -> None:
        """New nodes that are peers of one another."""
        for operator, database in self.databases.items():
            await database.begin(self.mint_epoch())
            key = _key_of(operator)
            async with self.stores[operator].write() as tx:
                await tx.keys.add(OwnKey(jwk=key, use_from=BEGIN - timedelta(days=400)))
            await self.start(operator)
        await introduce(*self.nodes.values())
        for operator in self.operators:
            for group in GROUPS:
                await self.group(operator, group)
            await self.save(operator)

    def mint_epoch(self) -> str:
        return f"{self.chance.getrandbits(64):016x}"

    async def start(self, operator: str) -> Node:
        """A process of a node begins, as in ``app.py``; nothing in it runs of its own accord."""
        store = self.stores[operator]

        def clock() -> datetime:
            return self.now + timedelta(seconds=self.skew[operator])

        async with store.read() as tx:
            keys, state = await tx.keys.all(), await tx.feeds.state()
        node = Node(
            operator=operator,
            url=f"http://{operator}.test",
            name=operator.title(),
            store=store,
            keyring=Keyring(keys, clock),
            state=state,
            outside=Outside(operator, self.nodes),
            clock=clock,
        )
        self.nodes[operator] = node
        await epochs.detect_restore(node)
        await checkpoints.sign_checkpoints(node)
        return node

    # What an operator does

    def a_word(self, operator: str) -> str:
        self.canaries[operator] += 1
        return f"canary-{operator}-{self.canaries[operator]}-end"

    def draft(self, operator: str) -> Any:
        shape: Any = Draft
        tlp = self.chance.choice(TLPS)
        envelope = {"audience": self.chance.choice(GROUPS)} if tlp.startswith("AMBER") else {}
        content = a_solution(name=self.a_word(operator))
        return check_draft({"content": content, "tlp": tlp, **envelope}, shape[Solution])

    def key(self) -> str:
        return f"k{self.chance.randrange(KEYS):02}"

    async def publish(self, operator: str) -> None:
        key, draft = self.key(), self.draft(operator)
        await self.write(
            operator,
            f"publish {key} {draft.tlp}",
            lambda node: node_records.publish(node, Solution, draft, operator, key, by=itself(operator)),
        )

    async def bulk(self, operator: str) -> None:
        drafts = {self.key(): self.draft(operator) for _ in range(self.chance.randrange(2, 9))}
        await self.write(
            operator,
            f"bulk of {len(drafts)}",
            lambda node: node_records.upload(node, Solution, drafts, by=itself(operator)),
        )

    async def retract(self, operator: str) -> None:
        key = self.key()
        await self.write(
            operator,
            f"retract {key}",
            lambda node: node_records.retract(node, Solution, operator, key, by=itself(operator)),
        )

    async def retract_many(self, operator: str) -> None:
        keys = sorted({self.key() for _ in range(3 * KEYS)})

        def wish(key: str, held: Any) -> Retract:
            if held is None:
                raise NotFound(key)
            return Retract()

        await self.write(
            operator,
            "retract many",
            lambda node: edits.edit_many(node, Solution, keys, wish, by=itself(operator)),
        )

    async def move(self, operator: str) -> None:
        """Give a record another audience, and change nothing else of it."""
        key, tlp = self.key(), self.chance.choice(TLPS)
        audience = self.chance.choice(GROUPS) if tlp.startswith("AMBER") else None
        patch = {"tlp": tlp, "audience": audience, "content": {"name": self.a_word(operator)}}
        await self.write(
            operator,
            f"move {key} to {tlp} {audience or ''}",
            lambda node: node_records.patch(node, Solution, patch, operator, key, by=itself(operator)),
        )

    async def group(self, operator: str, name: str | None = None) -> None:
        name = name or self.chance.choice(GROUPS)
        others = [other for other in self.operators if other != operator]
        members = self.chance.sample(others, self.chance.randrange(len(others) + 1))
        shape: Any = Draft
        draft = check_draft({"content": a_group(name=name, members=members)}, shape[Group])
        await self.write(
            operator,
            f"group {name}: {' '.join(members)}",
            lambda node: node_records.publish(node, Group, draft, operator, name, by=itself(operator)),
        )

    async def disband(self, operator: str) -> None:
        name = self.chance.choice(GROUPS)
        await self.write(
            operator,
            f"disband {name}",
            lambda node: node_records.retract(node, Group, operator, name, by=itself(operator)),
        )

    async def write(self, operator: str, what: str, act: Callable[[Node], Awaitable[Any]]) -> None:
        self.say(f"{operator}: {what}")
        with suppress(Refused):
            await act(self.nodes[operator])
        await self.note(operator)

    async def note(self, operator: str) -> None:
        """What the operator holds of its own now is what it has been told is kept."""
        rows = await self.databases[operator].connection.fetch(
            "SELECT type, key, audience, revision, hash, retracted, document FROM records WHERE origin = $1",
            operator,
        )
        groups = {
            row["key"]: set(msgspec.json.decode(row["document"])["content"]["members"])
            for row in rows
            if row["type"] == "group" and not row["retracted"]
        }
        everybody = set(self.operators)
        for row in rows:
            self.acknowledged[operator][row["type"], row["key"]] = (row["revision"], row["hash"])
            may = {
                PUBLIC: everybody, FEDERATION: everybody, PRIVATE: set()
            }.get(row["audience"], groups.get(row["audience"], set()))  # fmt: skip
            for canary in CANARY.findall(row["document"]):
                self.entitled.setdefault(canary, {operator}).update(may)

    # What the nodes do

    async def prove(self, operator: str) -> None:
        self.say(f"{operator}: prove")
        await checkpoints.sign_checkpoints(self.nodes[operator])

    async def round(self, reader: str, origin: str, *, faulty: bool = True, nested: bool = False) -> None:
        """A node follows a peer, as its loop does after a head has moved."""
        node = self.nodes[reader]

        async def meanwhile() -> None:
            await self.publish(origin)
            if self.chance.random() < 0.5:
                await self.prove(origin)

        async def overtaking() -> None:
            await self.round(reader, origin, faulty=False, nested=True)

        source = Wire(
            self.nodes[origin], reader,
            chance=self.chance if faulty else None, counts=self.counts, past=self.past,
            meanwhile=meanwhile, overtaking=None if nested else overtaking,
        )  # fmt: skip
        result = "ok"
        try:
            async with node.store.read() as tx:
                peer = await tx.peers.find(origin)
            assert peer is not None
            heads = await source.heads()
            assert heads is not None
            follower = PeerFollower(Shared(node, _METRICS, openings=1), peer)
            known = await copies.followed_feeds(node, origin)
            await follower.follow_feeds(source, heads, {}, known, 0.0)
        except (Refused, StaleCursor) as error:
            result = f"{type(error).__name__}: {error}"
        self.say(f"{reader} < {origin}: {' '.join(source.spoiled)} {result}")

    async def relayed_round(self, reader: str, origin: str, relay: str, *, faulty: bool = True) -> None:
        """A node takes from a member what it holds of another one's feeds."""
        node = self.nodes[reader]
        source = Wire(
            self.nodes[relay], reader,
            chance=self.chance if faulty else None, kinds=faulty_network.LIES, counts=self.counts,
            past=self.past,
        )  # fmt: skip
        result = "ok"
        try:
            async with node.store.read() as tx:
                peers = {peer.operator: peer for peer in await tx.peers.all()}
            for head in await source.heads_of(origin):
                await follow_relay(node, peers[origin], peers[relay], head, source)
        except Forged as error:
            if relay not in str(error):
                raise AssertionError(f"the relay {relay} is not named: {error}") from error
            result = f"Forged: {error}"
        except (Refused, StaleCursor) as error:
            result = f"{type(error).__name__}: {error}"
        self.say(f"{reader} < {relay} of {origin}: {' '.join(source.spoiled)} {result}")

    # What goes wrong

    async def crashing(self, operator: str, what: Callable[[], Awaitable[None]]) -> None:
        """Do something, and let the node's process die in the midst of it, if it gets as far."""
        store = self.stores[operator]
        store.fuse = self.chance.randrange(CRASH_POINTS)
        try:
            await what()
        except Crash:
            self.counts["crash"] += 1
            self.say(f"{operator}: crashed")
        finally:
            store.fuse = None
        await self.start(operator)
        await self.note(operator)

    async def restart(self, operator: str) -> None:
        self.counts["restart"] += 1
        self.say(f"{operator}: restart")
        await self.start(operator)

    async def save(self, operator: str) -> None:
        self.say(f"{operator}: save")
        await self.databases[operator].save()

    async def restore(self, operator: str) -> None:
        """Go back to the backup; as often as not PostgreSQL does not show it."""
        noticed = self.chance.random() < 0.6
        self.counts["restore" if noticed else "restore unnoticed"] += 1
        self.say(f"{operator}: restore {'' if noticed else 'un'}noticed")
        await self.databases[operator].restore()
        self.acknowledged[operator].clear()
        if noticed:
            await self.databases[operator].moved()
            self.unnoticed.discard(operator)
        else:
            self.unnoticed.add(operator)
        await self.start(operator)
        await self.note(operator)

    async def set_clock(self, operator: str) -> None:
        self.counts["clock"] += 1
        self.skew[operator] = self.chance.randint(-SKEW, SKEW)
        self.say(f"{operator}: clock {self.skew[operator]:+} s")

    async def compact(self, operator: str) -> None:
        """Long time passes, and the node drops its tombstones."""
        self.counts["retention"] += 1
        self.now += timedelta(days=91)
        self.say(f"{operator}: 91 days later, drop tombstones")
        await retention.drop_expired_tombstones(self.nodes[operator])

    async def rotate(self, operator: str) -> None:
        self.counts["new key"] += 1
        self.say(f"{operator}: new key")
        with suppress(Refused):
            await key_rotation.rotate(
                self.nodes[operator], after=timedelta(seconds=self.chance.choice((1, 700)))
            )

    async def renew(self, operator: str) -> None:
        self.counts["new epoch"] += 1
        self.say(f"{operator}: new epoch")
        await epochs.begin_epoch(self.nodes[operator], "to see what happens")

    async def confirm(self, operator: str, origin: str) -> None:
        self.say(f"{operator}: confirm {origin}")
        with suppress(Refused):
            await copies.confirm_removals(self.nodes[operator], origin)

    # The schedule

    async def step(self) -> None:
        """Something happens."""
        chance = self.chance
        self.now += timedelta(seconds=chance.choice((1, 1, 5, 60, 700)))
        one, other, third = (*chance.sample(self.operators, min(3, len(self.operators))), "")[:3]
        what = chance.choices(_ACTS, _WEIGHTS)[0]
        self.done[what] += 1
        match what:
            case "round":
                await self.round(one, other)
            case "relayed" if third:
                await self.relayed_round(one, other, third)
            case "crashing round":
                await self.crashing(one, lambda: self.round(one, other))
            case "crashing write":
                act = chance.choice((self.publish, self.bulk, self.group, self.prove))
                await self.crashing(one, lambda: act(one))
            case "confirm":
                await self.confirm(one, other)
            case "relayed":
                pass
            case _:
                await getattr(self, what)(one)

    async def quiesce(self) -> None:
        """Nothing goes wrong any more, operators look after their nodes, and time passes."""
        self.say("quiet")
        self.skew = dict.fromkeys(self.operators, 0)
        self.now += timedelta(seconds=2 * SKEW)
        for operator in self.operators:
            await self.start(operator)
        for operator in sorted(self.unnoticed):
            found = await epochs.restore_check(self.nodes[operator])
            if not found.minted:
                await epochs.restore_check(self.nodes[operator], force=True)
        self.unnoticed.clear()

    async def settle(self) -> None:
        """Some minutes in which all goes well: every node follows every other one."""
        self.now += timedelta(minutes=11)
        for operator in self.operators:
            await checkpoints.sign_checkpoints(self.nodes[operator])
        for reader in self.operators:
            for origin in self.operators:
                if reader != origin:
                    await self.round(reader, origin, faulty=False)
                    await self.confirm(reader, origin)


_METRICS = Metrics()
_STEPS = {
    "round": 40,
    "relayed": 8,
    "publish": 14,
    "bulk": 4,
    "move": 8,
    "retract": 6,
    "retract_many": 1,
    "group": 4,
    "disband": 0.5,
    "prove": 14,
    "crashing round": 8,
    "crashing write": 4,
    "restart": 1,
    "save": 2,
    "restore": 1.5,
    "set_clock": 2,
    "compact": 1,
    "rotate": 0.5,
    "renew": 0.5,
    "confirm": 2,
}
_ACTS, _WEIGHTS = list(_STEPS), list(_STEPS.values())


def _key_of(operator: str) -> dict[str, Any]:
    """The first key of an operator; the same in every simulation."""
    number = int.from_bytes(hashlib.sha256(operator.encode()).digest()[:31], "big")
    private = ec.derive_private_key(number, ec.SECP256R1())
    key = ECKey.import_key(cast(Any, private), {"use": "sig", "alg": "ES256"})
    return {**key.as_dict(private=True), "kid": key.thumbprint()}


@asynccontextmanager
async def a_world(
    databases: dict[str, Database], seed: int, operators: Sequence[str]
) -> AsyncIterator[World]:
    """The simulated nodes of these operators, new."""
    async with AsyncExitStack() as stack:
        stores = {}
        for operator in operators:
            store = await stack.enter_async_context(open_store(databases[operator].dsn, connections=4))
            stores[operator] = FusedStore(store._varied, store._fixed, store._dsn)
        world = World({operator: databases[operator] for operator in operators}, stores, seed)
        for patch in (
            mock.patch.object(repair, "RETRY_SECONDS", 0),
            mock.patch.object(peer_client, "BATCH_ENTRIES", 3),
            mock.patch.object(federation.domain.copy, "MAX_REMOVED", BRAKE),
            mock.patch.object(epochs, "mint_epoch", world.mint_epoch),
        ):
            stack.enter_context(patch)
        await world.begin()
        yield world
