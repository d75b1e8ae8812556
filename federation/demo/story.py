"""The demonstration: four operators' nodes on one machine, told with the figures of this very run."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import click
import msgspec

from federation.client import NotFound
from federation.demo.addresses import show_addresses
from federation.demo.checks import check_commune, check_needs, check_result
from federation.demo.data import OUTAGE, OUTAGE_CONTENT
from federation.demo.exposed import tell_exposure
from federation.demo.loading import load_and_converge
from federation.demo.nodes import Running, introduce, refuse_taken_ports, running_nodes
from federation.demo.sources import tell_sources
from federation.domain.content.incident import Incident
from federation.domain.errors import CommandFailed


async def tell(*, check: bool, scale: int, port: int) -> None:
    """Run the demonstration; with ``check`` assert it and stop. Raises Broken when something is not so."""
    began = time.perf_counter()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    refuse_taken_ports(port)
    story = asyncio.ensure_future(_story(check, scale, port, began, stop))
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait((story, stopped), return_when=asyncio.FIRST_COMPLETED)
    if not story.done():
        story.cancel()
    stopped.cancel()
    with suppress(asyncio.CancelledError):
        await story
    click.echo("The four nodes are stopped, and their data is removed.")


async def _story(check: bool, scale: int, port: int, began: float, stop: asyncio.Event) -> None:
    async with AsyncExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="federation-demo-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        click.echo("Starting four nodes, each with a PostgreSQL of its own...")
        nodes = await stack.enter_async_context(running_nodes(directory, port))
        click.echo(f"  ready after {time.perf_counter() - began:.1f} s")
        await introduce(nodes)
        click.echo("  each joined the others with an invitation, and both sides compared the codes")

        counts = await load_and_converge(nodes, scale)
        delays = await publish_outage(nodes)
        await _show(nodes, counts, delays)
        await check_result(nodes, counts)
        await check_commune(nodes)
        await check_needs(nodes)
        await tell_exposure(nodes)
        await tell_sources(nodes)
        click.echo(
            f"\nEverything above was checked against the nodes, {time.perf_counter() - began:.1f} s in all."
        )
        if not check:
            await show_addresses(nodes)
            await stop.wait()


async def publish_outage(nodes: Sequence[Running]) -> dict[str, float]:
    """Publish an incident at arnia and read it at the three others: milliseconds from request to read."""
    arnia, peers_of = nodes[0], nodes[1:]
    incident = msgspec.convert(OUTAGE_CONTENT, Incident)

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


async def _show(
    nodes: Sequence[Running], counts: dict[str, dict[str, int]], delays: dict[str, float]
) -> None:
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
