"""A hostile peer, over real HTTP against one real node: what can it leave there, and who suffers?

    python -m tests.hostile.peer
    python -m tests.hostile.peer --junk 60000 --records 20000

It announces feeds without end, sends entries that must be rejected, floods the node with incidents, and fills
it with junk. Meanwhile an honest peer publishes, and an administrator confirms once. Each bound is printed
with what the node has stored; exit 1 when one is broken.

The node runs in this process with its defaults, but for the quota of records and for the quiet minutes after
which a flood counts as over: they are seconds here.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import logging
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from federation.domain import alert
from federation.domain.alert import NewSubscription
from federation.domain.canonical import canonical
from federation.domain.rejection_lines import MAX_LINES_AN_HOUR
from federation.domain.values import as_instant
from federation.domain.visibility import itself
from federation.node import alert_scan, alerts, copies, peers, quotas
from federation.node.node import Node
from tests.domain.builders import a_document, a_solution, an_incident
from tests.nodes import a_node, introduce, publish, served
from tests.simulation.databases import cluster
from tests.store.stepwise_transactions import looking
from tests.sync.peers import EPOCH, Tiny, known_as, reply, tiny
from tests.waiting import until

HOSTILE, HONEST = "megalis", "recia"


class Sizes(NamedTuple):
    """How much the peer tries, and what it may."""

    feeds: int = 195
    rejected: int = 12_000
    rejected_quota: int = 10_000
    incidents: int = 3_000
    alerts_an_hour: int = 20
    junk: int = 60_000
    records: int = 20_000


class Finding(NamedTuple):
    """What the node has, and the bound that holds it."""

    what: str
    value: float
    bound: float
    holds: bool


class HostilePeer:
    """The feeds of the peer, as it shows them at this moment."""

    def __init__(self, server: Tiny) -> None:
        self._heads: dict[str, int] = {}
        self.lines: dict[str, list[bytes]] = {}
        server.answers["/v1/feeds/"] = self._changes
        server.answers["/v1/feeds"] = self._list
        # The longest beginning of a path comes first.
        server.answers = dict(sorted(server.answers.items(), key=lambda answer: -len(answer[0])))

    def show(self, audience: str, lines: list[bytes], *, head: int | None = None) -> None:
        self.lines[audience] = lines
        self._heads[audience] = len(lines) if head is None else head

    async def _list(self, writer: asyncio.StreamWriter, head: bytes) -> None:
        feeds = [
            {"origin": HOSTILE, "audience": a, "epoch": EPOCH, "seq": n, "retained_from": 0, "count": n}
            for a, n in self._heads.items()
        ]
        writer.write(reply(msgspec.json.encode({"feeds": feeds}), etag=f'"{time.monotonic_ns()}"'))

    async def _changes(self, writer: asyncio.StreamWriter, head: bytes) -> None:
        path = head.split(b" ", 2)[1].decode()
        audience = path.split("?")[0].split("/")[-2]
        after = re.search(r"after=[0-9a-f]{16}\.([0-9]+)", path)
        body = b"".join(self.lines.get(audience, [])[int(after[1]) if after else 0 :])
        writer.write(reply(body, media_type="application/x-ndjson", federation_epoch=EPOCH))


def lines_of(documents: Iterator[dict[str, Any]], *, bad: bool = False, begins: int = 1) -> list[bytes]:
    """The lines of a feed with these documents; ``bad``: with hashes of something else."""
    lines = []
    for seq, document in enumerate(documents, begins):
        raw = canonical(document)
        digest = "0" * 64 if bad else hashlib.sha256(raw).hexdigest()
        names = f'"type":"{document["type"]}","key":"{document["key"]}","revision":{document["revision"]}'
        entry = f'{{"seq":{seq},"op":"upsert",{names},"hash":"{digest}","document":'
        lines.append(entry.encode() + raw + b"}\n")
    return lines


class Webhook:
    """An administrator's webhook, which notes what comes."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: *([0-9]+)", head, re.IGNORECASE)
        body = await reader.readexactly(int(length[1]) if length else 0)
        self.taken.append(json.loads(body))
        writer.write(reply(status=204))
        await writer.drain()
        writer.close()

    def count(self, event: str, origin: str = HOSTILE) -> int:
        return sum(
            body["type"] == event and body["data"]["id"].partition("/")[0] == origin for body in self.taken
        )


@asynccontextmanager
async def webhook() -> AsyncIterator[Webhook]:
    taken = Webhook()
    server = await asyncio.start_server(taken.answer, "127.0.0.1", 0)
    taken.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    async with server:
        yield taken


class Lines(logging.Handler):
    """Counts the lines of the log about the hostile peer."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.counts: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        about = str(getattr(record, "feed", getattr(record, "peer", "")))
        if about.partition("/")[0] == HOSTILE:
            self.counts[record.getMessage()] += 1


@contextmanager
def impatient() -> Iterator[Lines]:
    """A flood is over after two quiet seconds, and scans come as often; lines are counted."""
    quiet, scan = alert.FLOOD_QUIET, alert_scan.SCAN_SECONDS
    lines, logger = Lines(), logging.getLogger("federation")
    alert.FLOOD_QUIET, alert_scan.SCAN_SECONDS = timedelta(seconds=2), 1.0
    logger.addHandler(lines)
    try:
        yield lines
    finally:
        alert.FLOOD_QUIET, alert_scan.SCAN_SECONDS = quiet, scan
        logger.removeHandler(lines)


class Attack:
    """The attack, step by step; ``findings`` has what came of it."""

    def __init__(
        self, sizes: Sizes, node: Node, honest: Node, peer: HostilePeer, hook: Webhook, look: Any,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.sizes, self.node, self.honest, self.peer = sizes, node, honest, peer
        self.hook, self.look, self.say = hook, look, say
        self.findings: list[Finding] = []
        self._published = 0

    def at_most(self, what: str, value: float, bound: float) -> None:
        self._find(Finding(what, value, bound, value <= bound))

    def exactly(self, what: str, value: float, wanted: float) -> None:
        self._find(Finding(what, value, wanted, value == wanted))

    def _find(self, finding: Finding) -> None:
        self.findings.append(finding)
        verdict = "ok    " if finding.holds else "BROKEN"
        self.say(f"  {verdict} {finding.what}: {finding.value:,g} ({finding.bound:,g})")

    async def stored(self, table: str) -> int:
        of_feed = "feed IN (SELECT id FROM feeds WHERE origin = $1)"
        where = {"rejected_entries": of_feed, "copies": of_feed}.get(table, "origin = $1")
        return int(await self.look.fetchval(f"SELECT count(*) FROM {table} WHERE {where}", HOSTILE))

    async def paused(self) -> str | None:
        return (await quotas.read_quota(self.node, HOSTILE)).paused

    async def honest_record_arrives(self) -> None:
        """A record of the honest peer is here, whatever the hostile one does."""
        self._published += 1
        key, began = f"honest{self._published}", time.monotonic()
        await publish(self.honest, "solution", key, a_solution())
        query = "SELECT count(*) FROM records WHERE origin = $1 AND key = $2"

        async def arrived() -> bool:
            return bool(await self.look.fetchval(query, HONEST, key))

        await until(arrived)
        self.say(f"  ok     a record of the honest peer has come, after {time.monotonic() - began:.2f} s")

    async def announce_feeds(self) -> None:
        self.say(f"{self.sizes.feeds} announced feeds, most of them empty")
        for n in range(self.sizes.feeds):
            self.peer.show(f"group-{n}", [], head=5 * (n % 2))
        self.peer.show("public", lines_of(iter([a_document(key="first")])))

        async def first_came() -> bool:
            return await self.stored("records") == 1

        await until(first_came)
        await self.honest_record_arrives()
        self.at_most("rows of feeds", await self.stored("feeds"), 2)
        for n in range(self.sizes.feeds):
            self.peer.show(f"group-{n}", [], head=0)

    async def send_what_must_be_rejected(self) -> None:
        self.say(f"{self.sizes.rejected} entries that must be rejected")
        documents = (a_document(key=f"bad{n}", tlp="GREEN") for n in range(self.sizes.rejected))
        self.peer.show("federation", lines_of(documents, bad=True))
        self.say(f"  paused: {await until(self.paused)}")
        await self.honest_record_arrives()
        self.at_most("rejected entries", await self.stored("rejected_entries"), self.sizes.rejected_quota)

        async def alerted() -> bool:
            return self.hook.count("peer.paused") == 1

        await until(alerted)
        self.exactly("alerts that it is paused", self.hook.count("peer.paused"), 1)
        await copies.confirm_removals(self.node, HOSTILE)

        async def goes_on() -> bool:
            head = "SELECT head FROM feeds WHERE origin = $1 AND audience = 'federation'"
            return bool(await self.look.fetchval(head, HOSTILE) == self.sizes.rejected)

        await until(goes_on)
        self.at_most(
            "rejected entries once confirmed", await self.stored("rejected_entries"), self.sizes.rejected
        )

    async def flood_with_incidents(self) -> None:
        self.say(f"{self.sizes.incidents} incidents at once")
        now = as_instant(datetime.now(UTC).replace(microsecond=0))
        content = an_incident(affects=[{"solution": f"{HOSTILE}/first"}])
        documents = (
            a_document(key=f"i{n}", type="incident", content=content, created_at=now, updated_at=now)
            for n in range(self.sizes.incidents)
        )
        first = a_document(key="first")
        self.peer.show("public", lines_of(iter([first, *documents])))

        async def digested() -> bool:
            counted = sum(
                body["data"]["withheld"] for body in self.hook.taken if body["type"] == "alerts.withheld"
            )
            return bool(counted >= self.sizes.incidents - self.sizes.alerts_an_hour)

        await until(digested)
        await self.honest_record_arrives()
        sent = self.hook.count("incident.published")
        self.at_most("incidents that the webhook got one by one", sent, self.sizes.alerts_an_hour)
        withheld = [body["data"] for body in self.hook.taken if body["type"] == "alerts.withheld"]
        self.say(f"  {withheld[-1]['message']}")
        counted = sum(data["withheld"] for data in withheld)
        listed = await self.look.fetchval(
            "SELECT count(*) FROM alerts WHERE origin = $1 AND event = 'incident.published'", HOSTILE
        )
        self.exactly("incidents with an alert that is listed", listed, self.sizes.incidents)
        rejected = await self.look.fetchval(
            "SELECT count(*) FROM alerts WHERE origin = $1 AND withheld", HOSTILE
        )
        self.exactly("alerts that a digest counts", counted, rejected)
        self.at_most("calls of the webhook", len(self.hook.taken), self.sizes.alerts_an_hour * 3)

    async def fill_with_junk(self) -> None:
        self.say(f"{self.sizes.junk} junk records, and {self.sizes.records} are allowed")
        documents = (a_document(key=f"junk{n}", tlp="GREEN") for n in range(self.sizes.junk))
        began = time.monotonic()
        before = self.peer.lines["federation"]
        self.peer.show("federation", before + lines_of(documents, begins=len(before) + 1))
        self.say(f"  paused: {await until(self.paused)}, after {time.monotonic() - began:.1f} s")
        await self.honest_record_arrives()
        self.at_most("records", await self.stored("records"), self.sizes.records)
        use = (await quotas.read_quota(self.node, HOSTILE)).use
        self.exactly("records as counted", use.records, await self.stored("records"))

    async def withdraw_while_paused(self) -> None:
        self.say("a withdrawal of the paused peer")
        seq = len(self.peer.lines["public"]) + 1
        line = b'{"seq":%d,"op":"withdraw","type":"solution","key":"first","revision":2}\n' % seq
        self.peer.show("public", [*self.peer.lines["public"], line])
        query = "SELECT count(*) FROM records WHERE origin = $1 AND key = 'first'"

        async def gone() -> bool:
            return not await self.look.fetchval(query, HOSTILE)

        await until(gone)
        self.exactly("records left of it", await self.look.fetchval(query, HOSTILE), 0)

    async def goes(self) -> None:
        self.say("it goes: peer leave, peer forget")
        await peers.leave(self.node, HOSTILE)
        await peers.forget(self.node, HOSTILE)
        for table in ("records", "rejected_entries"):
            self.exactly(f"rows of {table}", await self.stored(table), 0)
        await self.honest_record_arrives()


async def attack(arnia: str, recia: str, sizes: Sizes, say: Callable[[str], None]) -> list[Finding]:
    """Attack a node over the database ``arnia``; ``recia`` is that of the honest peer."""
    async with AsyncExitStack() as stack:
        lines = stack.enter_context(impatient())
        hook = await stack.enter_async_context(webhook())
        server = await stack.enter_async_context(tiny())
        peer = HostilePeer(server)
        url = await stack.enter_async_context(
            served(
                "arnia", arnia, quota_records=sizes.records, quota_rejected=sizes.rejected_quota,
                alerts_an_hour=sizes.alerts_an_hour,
            )
        )  # fmt: skip
        theirs = await stack.enter_async_context(served(HONEST, recia))
        node = await stack.enter_async_context(a_node("arnia", arnia, url=url))
        honest = await stack.enter_async_context(a_node(HONEST, recia, url=theirs))
        node.quota = msgspec.structs.replace(node.quota, records=sizes.records, rejected=sizes.rejected_quota)
        wanted = NewSubscription(events=("incident.published", "peer.paused"), webhook=hook.url, private=True)
        await alerts.subscribe(node, wanted, by=itself(node.operator))
        await introduce(node, honest)
        async with node.store.write() as tx:
            await tx.peers.add(known_as(HOSTILE, server.url))
        look = await stack.enter_async_context(looking(arnia))
        world = Attack(sizes, node, honest, peer, hook, look, say)
        await world.announce_feeds()
        await world.send_what_must_be_rejected()
        await world.flood_with_incidents()
        await world.fill_with_junk()
        await world.withdraw_while_paused()
        await world.goes()
        say("the log")
        for message, number in lines.counts.most_common():
            say(f"  {number} × {message}")
        about = (
            lines.counts["entry rejected"] + lines.counts["entries rejected that are not listed one by one"]
        )
        world.at_most("lines about rejected entries", about, MAX_LINES_AN_HOUR)
        return world.findings


async def main(sizes: Sizes) -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hostile-") as directory:
        async with cluster(Path(directory) / "node", ("arnia", HONEST)) as databases:
            findings = await attack(
                databases["arnia"].dsn, databases[HONEST].dsn, sizes, lambda text: print(text, flush=True)
            )
    broken = [finding for finding in findings if not finding.holds]
    print(f"{len(findings)} bounds, {len(broken)} broken, {time.monotonic() - began:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.peer", description=__doc__)
    for name, default in Sizes()._asdict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    sys.exit(asyncio.run(main(Sizes(**vars(parser.parse_args())))))
