"""A crowd of members: each waits at the node, and has a feed that the node follows over TLS.

For each number of members: the time until all are followed, and the processor time that the node uses while
nothing changes. Then, of a node that follows none, the processor time of telling one record to all of them,
beside a bare application that sends the same bytes to as many (``bench/bare_waits.py``). At last, publishing
to one peer while a hundred others wait.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import msgspec

from bench.certificates import make_certificate
from bench.crowd import Plan
from bench.measuring import Figure, Goal, Series, percentile
from bench.run import Run
from bench.servers import process
from bench.sites import Site, free_port, introduce, processor_of, site
from bench.sync import EVERY, one_by_one
from federation.api.entries import entry_line

MEMBERS = (10, 66, 200, 400)
QUICK_MEMBERS = (10,)
WAITING = 100
"""Members that wait while one record after another is published."""
TOLD = 8
"""Records that are told to all, one after another; the first two are not counted."""
SETTLED = 1.5
"""Seconds after the last member has asked, in which the requests of all are read: they come at once, and what
reading them costs must not count as telling."""
SIGNED = 0.3
"""Seconds after a record in which it is signed."""
LEAST_SECONDS = 1e-4
"""Differences of processor time below this are noise, and count as this."""
PAUSE = 4.0
"""Seconds for which members do not ask again, so that answers and next requests are counted apart."""
IDLE_SECONDS = 20.0
QUICK_IDLE_SECONDS = 2.0
MAX_TELLING_RATIO = 2.0
"""Processor time of telling, as a multiple of the bare application's, at most."""
MAX_P99_RATIO = 3.0
"""The slowest hundredth with many waiting, as a multiple of that with none, at most."""


async def measure(run: Run) -> None:
    """All of this part."""
    sizes = QUICK_MEMBERS if run.quick else MEMBERS
    for many in sizes:
        await _looking_after(run, many)
    for many in sizes:
        await _telling(run, many)
    await _publishing(run, 10 if run.quick else WAITING)


async def _looking_after(run: Run, many: int) -> None:
    """The start of a node with so many peers, and its processor time while nothing changes."""
    directory = run.directory / f"waiting-{many}"
    async with site("arnia", directory) as arnia:
        plan = await _peers_of(arnia, many, directory, records=1, waits_at=arnia.url)
        async with crowd(plan, directory):
            run.tell(f"crowd: {many} members, start")
            run.noise.probe()
            began = time.perf_counter()
            async with arnia.serving(ready=False), arnia.looking() as here:
                async with asyncio.timeout(600):
                    while await here.fetchval("SELECT count(*) FROM peers WHERE contacted_at IS NULL"):
                        await asyncio.sleep(0.05)
                _add(run, f"{many} members followed, from the start of the process", "s",
                     time.perf_counter() - began)  # fmt: skip
                await _until_waiting(plan)
                seconds = QUICK_IDLE_SECONDS if run.quick else IDLE_SECONDS
                run.tell(f"crowd: {many} members, idle")
                before = arnia.processor()
                await asyncio.sleep(seconds)
                idle = (arnia.processor() - before) / seconds
                _add(run, f"processor time while {many} members wait and nothing changes", "% of a core",
                     max(idle * 100, 0.01))  # fmt: skip


async def _telling(run: Run, many: int) -> None:
    """One record told to so many members that wait, by a node that follows none and by a bare application."""
    directory = run.directory / f"telling-{many}"
    run.tell(f"crowd: telling {many} that wait")
    run.noise.probe()
    async with site("arnia", directory) as arnia:
        plan = await _peers_of(arnia, many, directory, waits_at=arnia.url, pause=PAUSE)
        async with crowd(plan, directory), arnia.serving(module="bench.answering_node"):
            node, answer = await _tell_by_node(arnia, plan)
    bare_port = free_port()
    bare = f"http://127.0.0.1:{bare_port}"
    async with process("bench.bare_waits", [str(bare_port)], f"{bare}/health", directory / "bare.log"):
        beside = Plan.of(many, free_port(), plan.certificate, waits_at=bare, pause=PAUSE)
        async with crowd(beside, directory):
            beside_node = await _tell_by_bare(bare, beside, bare_port, answer)
    goal = Goal(least_ratio=1 / MAX_TELLING_RATIO)
    for n, (work, bound) in enumerate(
        (
            (f"one record told to {many} waiting members, beside publishing it", goal),
            (f"the next request of {many} members, until they wait again", None),
        )
    ):
        run.add(
            Figure(
                part="crowd",
                work=f"{work}, processor time",
                unit="ms",
                better="less",
                node=Series("node", tuple(times[n] * 1_000 for times in node)),
                beside=(Series("bare ASGI, same bytes, no token", tuple(t[n] * 1_000 for t in beside_node)),),
                goal=bound,
            )
        )


async def _peers_of(node: Site, many: int, directory: Path, **plan: Any) -> Plan:
    """A plan of so many peers, whom a node that does not run knows from now on."""
    node.peers_certificate = make_certificate(directory)
    async with node.serving():
        pass  # it makes the node's key
    made = Plan.of(many, free_port(), node.peers_certificate, **plan)
    await introduce_all(node, made)
    return made


Times = list[tuple[float, float]]
"""Seconds of processor time for each record: of telling it, and of the requests that follow."""


class Told(NamedTuple):
    """The answer that a member gets of the node, less what the server adds."""

    headers: dict[str, str]
    body: bytes


async def _tell_by_node(arnia: Site, plan: Plan) -> tuple[Times, Told]:
    """The processor times of the node; and the answer that a member gets.

    After all are answered nobody waits for ``PAUSE`` seconds. In that time another record is published, for
    as long a time: telling the first one is what it cost beyond the second one.
    """
    times: Times = []
    headers = {"authorization": f"Bearer {await arnia.token()}"}

    async def publish(key: str) -> None:
        answer = await client.put(f"/v1/solutions/arnia/{key}", json=_DRAFT)
        answer.raise_for_status()
        answers.append(answer.content)

    answers: list[bytes] = []
    async with httpx2.AsyncClient(base_url=arnia.url, headers=headers, trust_env=False) as client:
        await _until_waiting(plan)
        for number in range(TOLD):
            before, began = arnia.processor(), time.perf_counter()
            await publish(f"told-{number}")
            await _until_answered(plan)
            await asyncio.sleep(SIGNED)
            told, lasted = arnia.processor(), time.perf_counter() - began
            await publish(f"alone-{number}")
            await asyncio.sleep(max(began + 2 * lasted - time.perf_counter(), SIGNED))
            alone = arnia.processor()
            if time.perf_counter() - began > PAUSE:
                raise AssertionError("the machine is too slow: some ask again before their pause is measured")
            await _until_waiting(plan, after=max(began + PAUSE - time.perf_counter(), 0.0))
            telling = max(told - before - (alone - told), LEAST_SECONDS)
            times.append((telling, arnia.processor() - alone))
        # (It is answered at once, since it names a state that is none.)
        waiting = {"accept": "application/x-ndjson", "prefer": "wait=25", "if-none-match": '"0"'}
        heads = await client.get("/v1/feeds", headers=waiting)
    row = (TOLD, False, "solution", f"told-{TOLD - 1}", 1, bytes(32), answers[0])
    head = b'{"feed":"arnia/public","after":"%s"}' % (b"0" * 18)
    line = heads.content.partition(b"\n")[0]
    made_by_server = ("content-length", "date")
    named = {name: value for name, value in heads.headers.items() if name not in made_by_server}
    return times[2:], Told(named, b"\n".join([line, head, entry_line(row), b""]))


_DRAFT = {
    "content": {
        "name": "Told to all",
        "summary": {"en": "A record of the benchmark, which every waiting member is told of."},
        "kind": "software",
        "status": "stable",
        "licence": "AGPL-3.0-or-later",
        "themes": ["it-asset-management"],
    }
}


async def _tell_by_bare(url: str, plan: Plan, port: int, answer: Told) -> Times:
    """The processor times of the bare application for the same answer."""
    times: Times = []
    pid = await asyncio.to_thread(_listener, port)
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        await _until_waiting(plan)
        for number in range(TOLD):
            before, began = processor_of(pid), time.perf_counter()
            # (A different state each time, of the same length.)
            state = b"%s%c\n" % (answer.body[:-1], 48 + number)
            await client.post("/state", content=msgspec.json.encode(answer.headers) + b"\n" + state)
            await _until_answered(plan)
            await asyncio.sleep(SIGNED)
            told, lasted = processor_of(pid), time.perf_counter() - began
            await _until_waiting(plan, after=PAUSE - lasted)
            times.append((told - before, processor_of(pid) - told))
    return times[2:]


def _listener(port: int) -> int:
    """The process that listens at a port of this machine."""
    wanted = f":{port:04X}"
    inode = next(
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()
        if line.split()[1].endswith(wanted) and line.split()[3] == "0A"
    )
    for process_ in Path("/proc").iterdir():
        if process_.name.isdigit():
            try:
                targets = [os.readlink(link) for link in (process_ / "fd").iterdir()]
            except OSError:
                continue
            if f"socket:[{inode}]" in targets:
                return int(process_.name)
    raise AssertionError(f"nobody listens at port {port}")


async def _until_answered(plan: Plan) -> None:
    """Wait until no member waits: all have been answered, and nobody has come back."""
    async with asyncio.timeout(PAUSE), _asking(plan) as client:
        while int((await client.get("/waiting")).text):
            await asyncio.sleep(0.02)


async def _until_waiting(plan: Plan, *, after: float = 0.0) -> None:
    """Wait until every member waits; so many seconds at least."""
    await asyncio.sleep(after)
    async with asyncio.timeout(120), _asking(plan) as client:
        while int((await client.get("/waiting")).text) < len(plan.members):
            await asyncio.sleep(0.1)
    await asyncio.sleep(SETTLED)


def _asking(plan: Plan) -> httpx2.AsyncClient:
    """A client that asks a crowd how many of it wait."""
    return httpx2.AsyncClient(base_url=plan.url, trust_env=False, verify=plan.certificate.trust)


async def _publishing(run: Run, many: int) -> None:
    """One record at a time to one peer, with others waiting and without, in turns."""
    directory = run.directory / "publishing"
    async with AsyncExitStack() as stack:
        arnia = await stack.enter_async_context(site("arnia", directory))
        megalis = await stack.enter_async_context(site("megalis", directory))
        certificate = arnia.peers_certificate = make_certificate(directory)
        await stack.enter_async_context(arnia.serving())
        await stack.enter_async_context(megalis.serving())
        await introduce(arnia, megalis)
        here = await stack.enter_async_context(megalis.looking())
        series: dict[int, list[list[float]]] = {0: [], many: []}
        first = 20_000_000
        for turn in run.turns():
            for waiting in (0, many):
                run.tell(f"crowd: publishing with {waiting} that wait, turn {turn}")
                plan = Plan.of(waiting, free_port(), certificate, waits_at=arnia.url if waiting else None)
                await introduce_all(arnia, plan)
                async with crowd(plan, directory):
                    await _until_waiting(plan)
                    run.noise.probe()
                    # So seldom that all have been answered, and wait again, before the next one.
                    every = max(EVERY, many * 0.005)
                    series[waiting].append(await one_by_one(run, arnia, here, first, every=every, most=100))
                    first += 1_000_000
                async with arnia.looking() as connection:
                    await connection.execute("DELETE FROM peers WHERE operator LIKE 'peer-%'")
    for share in (0.50, 0.99):
        alone, beside = (tuple(percentile(took, share) for took in series[n]) for n in (0, many))
        run.add(
            Figure(
                part="crowd",
                work=f"publish at one node, readable at the other, {many} others wait, p{share * 100:.0f}",
                unit="ms",
                better="less",
                node=Series("node", beside),
                beside=(Series("the same with none waiting", alone),),
                goal=Goal(least_ratio=1 / MAX_P99_RATIO) if share == 0.99 else None,
            )
        )


async def introduce_all(node: Site, plan: Plan) -> None:
    """Make the members of a plan peers of a node, without a handshake."""
    async with node.here() as here, here.store.write() as tx:
        for peer in plan.peers():
            await tx.peers.add(peer)


@asynccontextmanager
async def crowd(plan: Plan, directory: Path) -> AsyncIterator[None]:
    """The members of a plan, in a process of their own."""
    path = directory / f"crowd-{plan.port}.json"
    path.write_bytes(msgspec.json.encode(plan))
    log = directory / "crowd.log"
    async with process("bench.crowd", [str(path)], f"{plan.url}/health", log, plan.certificate):
        yield


def _add(run: Run, work: str, unit: str, found: float) -> None:
    run.add(Figure(part="crowd", work=work, unit=unit, better="less", node=Series("node", (found,))))
