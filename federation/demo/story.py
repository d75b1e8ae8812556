"""The demonstration: four operators' nodes on one machine, told with the figures of this very run."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import click
import msgspec

from federation.client import Client, NotFound
from federation.demo.catalogue import OPERATORS
from federation.demo.data import GROUP, MEMBERS, NAMES, drafts
from federation.demo.exposed import tell_exposure
from federation.domain.content.incident import Incident
from federation.domain.errors import CommandFailed
from federation.domain.registry import TYPES
from federation.node import clients, invitations, peers
from federation.server.local_node import database, node_of
from federation.settings import Settings
from federation.store.database import open_store

_TYPES = {kind.plural: kind for kind in TYPES.values()}
READY_SECONDS = 60.0
CONVERGE_SECONDS = 300.0
SCOPES = ("solutions", "deployments", "incidents", "statements", "operators", "groups", "subscriptions")


class Running:
    """One node of the demonstration, as its operator's IT system sees it."""

    def __init__(self, settings: Settings, process: asyncio.subprocess.Process, log: Path) -> None:
        self.settings = settings
        self.process = process
        self.log = log
        self.credentials = ("", "")
        self.client = Client(settings.url, trust_env=False)
        """Without a token, until the administrator has made a client."""

    @property
    def operator(self) -> str:
        return self.settings.operator

    async def use(self, client_id: str, secret: str) -> None:
        """Call the node as this client from now on."""
        await self.client.aclose()
        self.credentials = (client_id, secret)
        self.client = Client(self.settings.url, client_id, secret, trust_env=False)


async def tell(*, check: bool, scale: int, port: int) -> None:
    """Run the demonstration; with ``check`` assert it and stop. Raises Broken when something is not so."""
    began = time.perf_counter()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    ports = range(port, port + len(NAMES))
    for node in ports:
        _refuse_taken(node)
    story = asyncio.ensure_future(_story(check, scale, list(ports), began, stop))
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait((story, stopped), return_when=asyncio.FIRST_COMPLETED)
    if not story.done():
        story.cancel()
    stopped.cancel()
    with suppress(asyncio.CancelledError):
        await story
    click.echo("The four nodes are stopped, and their data is removed.")


async def _story(check: bool, scale: int, ports: list[int], began: float, stop: asyncio.Event) -> None:
    async with AsyncExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="federation-demo-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        click.echo("Starting four nodes, each with a PostgreSQL of its own...")
        nodes = [
            await stack.enter_async_context(_start_nodes(name, number, directory))
            for name, number in zip(NAMES, ports, strict=True)
        ]
        await asyncio.gather(*(_ready(node) for node in nodes))
        click.echo(f"  ready after {time.perf_counter() - began:.1f} s")
        await _introduce(nodes)
        click.echo("  each joined the others with an invitation, and both sides compared the codes")

        counts = await _load_and_converge(nodes, scale)
        delays = await _publish_and_read(nodes)
        await _show(nodes, counts, delays)
        await _assert(nodes, counts)
        await tell_exposure(nodes)
        click.echo(
            f"\nEverything above was checked against the nodes, {time.perf_counter() - began:.1f} s in all."
        )
        if not check:
            _invite(nodes)
            await stop.wait()


@asynccontextmanager
async def _start_nodes(name: str, port: int, directory: Path) -> AsyncIterator[Running]:
    full_name = next(e.content["name"] for e in OPERATORS if e.origin == name)
    settings = Settings(
        operator=name,
        url=f"http://127.0.0.1:{port}",
        name=f"{full_name} (demonstration)",
        data_dir=directory / name,
        port=port,
    )
    log = directory / f"{name}.log"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FEDERATION_")}
    environment |= {
        "FEDERATION_OPERATOR": name,
        "FEDERATION_NAME": settings.name,
        "FEDERATION_URL": settings.url,
        "FEDERATION_PORT": str(port),
        "FEDERATION_DATA_DIR": str(settings.data_dir),
    }
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "federation.cli", "serve",
            env=environment, stdout=output, stderr=output, stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us: we stop the nodes in order
        )  # fmt: skip
    node = Running(settings, process, log)
    try:
        yield node
    finally:
        await node.client.aclose()
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 30)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _ready(node: Running) -> None:
    deadline = time.perf_counter() + READY_SECONDS
    while time.perf_counter() < deadline:
        if node.process.returncode is not None:
            break
        if await node.client.is_ready():
            return
        await asyncio.sleep(0.05)
    tail = node.log.read_text(errors="replace")[-2_000:]
    raise CommandFailed(f"the node of {node.operator} did not start; its log ends with:\n{tail}")


async def _introduce(nodes: list[Running]) -> None:
    """Each administrator adds a client for the IT system, and the three peers."""
    async with AsyncExitStack() as stack:
        host = {}
        for node in nodes:
            dsn = await stack.enter_async_context(database(node.settings, exclusive=False))
            store = await stack.enter_async_context(open_store(dsn, connections=2))
            host[node.operator] = await stack.enter_async_context(node_of(node.settings, store))
        for node in nodes:
            scopes = tuple(f"{plural}.{verb}" for plural in SCOPES for verb in ("read", "write"))
            client_id, secret, _ = await clients.add_client(
                host[node.operator],
                "demonstration",
                # (node.admin: the webhook of the story is on this machine.)
                (*scopes, "exposure.read", "feeds.read", "changes.read", "peers.read", "node.admin"),
            )
            await node.use(client_id, secret)
        # Each pair joins as the tutorial says; who would phone in life compares the codes here.
        for number, node in enumerate(nodes):
            for neighbour in nodes[:number]:
                guest, two = host[node.operator], host[neighbour.operator]
                invitation = await invitations.invite(two, f"demonstration: {node.operator}", private=True)
                result = await invitations.join(guest, invitation, private=True)
                code = peers.code_of(guest, result)
                await peers.activate(guest, neighbour.operator, code=code)
                await peers.activate(two, node.operator, code=code)
    deadline = time.perf_counter() + READY_SECONDS
    while time.perf_counter() < deadline:
        views = [await node.client.peers() for node in nodes]
        if all(peer.contacted_at and not peer.failures for view in views for peer in view.peers):
            return
        await asyncio.sleep(0.1)
    raise CommandFailed("the nodes did not reach each other")


async def _load_and_converge(nodes: list[Running], scale: int) -> dict[str, dict[str, int]]:
    began = time.perf_counter()
    loaded = dict(
        zip(
            [node.operator for node in nodes],
            await asyncio.gather(*(_load(node, scale) for node in nodes)),
            strict=True,
        )
    )
    after_load = time.perf_counter() - began
    total = sum(sum(counts.values()) for counts in loaded.values())
    click.echo(f"Loaded {total} records through the API in {after_load:.1f} s.")
    deadline = began + CONVERGE_SECONDS
    while not await _has_converged(nodes):
        if time.perf_counter() > deadline:
            raise CommandFailed("the nodes did not converge; see `federation peer list`")
        await asyncio.sleep(0.02)
    overall = time.perf_counter() - began
    click.echo(
        f"All four hold everything they may see {overall:.2f} s after the first upload began, "
        f"{max(overall - after_load, 0):.2f} s after the last one ended."
    )
    while copies := await _unverified_copies(nodes):
        if time.perf_counter() > deadline:
            raise CommandFailed(
                f"these copies were not verified: {', '.join(copies)}; see `federation peer list`"
            )
        await asyncio.sleep(0.02)
    click.echo(
        f"Every copy is verified against what its origin signed {time.perf_counter() - began:.2f} s after the"
        " first upload began."
    )
    return loaded


async def _unverified_copies(nodes: list[Running]) -> list[str]:
    """Copies that were not found equal, as they are now, to what their origin signed."""
    result = []
    for node in nodes:
        for peer in (await node.client.peers()).peers:
            result += [
                f"{peer.operator}/{feed.audience} at {node.operator}"
                for feed in peer.feeds
                if feed.state != "verified" or feed.verified_seq != feed.pulled
            ]
    return result


async def _load(node: Running, scale: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    # The drafts of one collection follow each other.
    for plural, of_type in itertools.groupby(drafts(node.operator, scale), key=lambda pair: pair[0]):
        report = await node.client.collection(_TYPES[plural]).upload(draft for _, draft in of_type)
        if report.refused:
            raise CommandFailed(f"{node.operator} refused demonstration data: {report.refusals[0]}")
        counts[plural] = counts.get(plural, 0) + report.created
    return counts


async def _has_converged(nodes: list[Running]) -> bool:
    heads = {(feed.origin, feed.audience): feed.seq for node in nodes for feed in await node.client.feeds()}
    for node in nodes:
        view = await node.client.peers()
        pulled = {(peer.operator, feed.audience): feed.pulled for peer in view.peers for feed in peer.feeds}
        for (origin, audience), seq in heads.items():
            entitled = audience != GROUP or node.operator in MEMBERS.get(origin, ())
            if origin != node.operator and entitled and pulled.get((origin, audience)) != seq:
                return False
    return True


OUTAGE = "arnia/demo-outage"
INCIDENT = {
    "title": {
        "fr": "Démonstration : messagerie indisponible",
        "en": "Demonstration: messaging is unavailable",
    },
    "summary": {
        "fr": "Panne inventée pour la démonstration.",
        "en": "An outage invented for the demonstration.",
    },
    "kind": "outage",
    "status": "investigating",
    "severity": "high",
    "started_at": "2026-11-23T08:00:00Z",
    "affects": [{"deployments": ["arnia/demo-000001"]}],
}


async def _publish_and_read(nodes: list[Running]) -> dict[str, float]:
    """Publish an incident at arnia and read it at the three others: milliseconds from request to read."""
    arnia, peers_of = nodes[0], nodes[1:]
    incident = msgspec.convert(INCIDENT, Incident)

    async def until_read(node: Running, began: float) -> float:
        while time.perf_counter() - began < 30:
            with suppress(NotFound):
                await node.client.incidents.get(OUTAGE)
                return (time.perf_counter() - began) * 1000
            await asyncio.sleep(0.01)
        raise CommandFailed(f"the incident did not reach {node.operator} within 30 s")

    began = time.perf_counter()
    reading = [asyncio.ensure_future(until_read(node, began)) for node in peers_of]
    await arnia.client.incidents.publish(OUTAGE, incident)
    return dict(zip([node.operator for node in peers_of], await asyncio.gather(*reading), strict=True))


async def _show(nodes: list[Running], counts: dict[str, dict[str, int]], delays: dict[str, float]) -> None:
    click.echo("\nPublished, by operator:")
    for operator, of_type in counts.items():
        listed = ", ".join(f"{number} {plural}" for plural, number in of_type.items())
        click.echo(f"  {operator:<11} {listed}")
    click.echo("\nAn incident was published at arnia and read, after its request began:")
    for operator, milliseconds in delays.items():
        click.echo(f"  at {operator:<11} {milliseconds:6.1f} ms")
    exposed = await nodes[1].client.deployments.list(
        solution="arnia/glpi", version="10.0.17", total=True, limit=1
    )
    click.echo(
        f"\nCVE-2025-24799 concerns GLPI before 10.0.18. Megalis lists {exposed.total} deployments "
        "of 10.0.17, of all four operators (invented ones)."
    )


async def _assert(nodes: list[Running], counts: dict[str, dict[str, int]]) -> None:
    """Assert the result: the same bytes at every node, and AMBER records only where they may be."""
    for plural, id_ in (
        ("solutions", "arnia/glpi"),
        ("deployments", "megalis/demo-000000"),
        ("incidents", OUTAGE),
    ):
        copies = [(node, await node.client.collection(_TYPES[plural]).get(id_)) for node in nodes]
        _must(len({record.raw for _, record in copies}) == 1, f"{id_} has the same bytes at all four nodes")
        for node, record in copies:
            present = await node.client.collection(_TYPES[plural]).refresh(record)
            _must(present is record, f"the ETag of {id_} at {node.operator} is the hash of its bytes")
    for plural in ("operators", "solutions", "deployments"):
        expected = sum(of_type.get(plural, 0) for of_type in counts.values())
        for node in nodes:
            page = await node.client.collection(_TYPES[plural]).list(total=True, limit=1)
            total = page.total or 0
            right = total == expected if page.total_is_exact else expected > total
            _must(right, f"{node.operator} holds all {expected} {plural}")
    for node in nodes:
        entitled = node.operator in ("arnia", *MEMBERS["arnia"])
        _must(
            await _shows(node.client.incidents.get("arnia/demo-security")) == entitled,
            f"the AMBER incident is seen as it may be at {node.operator}",
        )
        async with Client(node.settings.url, trust_env=False) as nobody:
            _must(
                not await _shows(nobody.deployments.get("arnia/demo-000000")),
                f"a GREEN record is hidden without a token at {node.operator}",
            )
        view = await node.client.peers()
        _must(not view.rejected, f"{node.operator} rejected nothing")
        states = {feed.state for peer in view.peers for feed in peer.feeds}
        _must(states == {"verified"}, f"every copy that {node.operator} holds is verified")


async def _shows(record: Awaitable[Any]) -> bool:
    """True when the caller may see the record."""
    try:
        await record
    except NotFound:
        return False
    return True


def _must(so: bool, claim: str) -> None:
    if not so:
        raise CommandFailed(f"this should be so and is not: {claim}")


def _invite(nodes: list[Running]) -> None:
    arnia, megalis = nodes[0], nodes[1]
    click.echo("\nThe nodes stay up until Ctrl-C:")
    for node in nodes:
        click.echo(f"  {node.operator:<11} {node.settings.url}/docs")
    base, peer = arnia.settings.url, megalis.settings.url
    client_id, secret = arnia.credentials
    click.echo(
        f"""
Try, in another terminal:

  curl -s '{peer}/v1/solutions?q=supervision'

  TOKEN=$(curl -s -u '{client_id}:{secret}' -d grant_type=client_credentials {base}/oauth2/token |
      sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')

  curl -s -H "Authorization: Bearer $TOKEN" '{base}/v1/incidents?severity=critical'

  curl -s -X PUT -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
       -d '{{"content":{{"name":"Mon outil","summary":{{"fr":"Essai"}},"kind":"software",
             "status":"beta","licence":"MIT","themes":["ai"]}}}}' \\
       {base}/v1/solutions/arnia/mon-outil
  curl -s {peer}/v1/solutions/arnia/mon-outil

  curl -sN -H "Authorization: Bearer $TOKEN" -H 'Accept: text/event-stream' '{base}/v1/changes'

The token holds for five minutes; then get another one with its line.
"""
    )


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise CommandFailed(f"port {port} is taken; choose others: make demo PORT=...") from None
