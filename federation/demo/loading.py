"""The records of the demonstration, loaded through the API of each node, until all nodes have them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain, groupby
from typing import Any

import click

from federation.demo.cooperation import answering_drafts, shared_drafts
from federation.demo.data import GROUP, MEMBERS, drafts
from federation.demo.nodes import Running
from federation.domain.errors import CommandFailed
from federation.domain.registry import TYPES

TYPE_OF_PLURAL = {kind.plural: kind for kind in TYPES.values()}
CONVERGE_SECONDS = 300.0


async def load_and_converge(nodes: Sequence[Running], scale: int) -> dict[str, dict[str, int]]:
    """Load the records, so many deployments of each operator, and return their numbers by operator and type.

    Raises CommandFailed for a draft that is refused, and for nodes that do not come to have the same.
    """
    began = time.perf_counter()
    today = datetime.now(UTC)
    loaded = await _load_all(
        nodes, lambda operator: chain(drafts(operator, scale), shared_drafts(operator, today))
    )
    after_load = time.perf_counter() - began
    click.echo(f"Loaded {_total(loaded)} records through the API in {after_load:.1f} s.")
    deadline = began + CONVERGE_SECONDS
    await _converge(nodes, deadline)
    overall = time.perf_counter() - began
    click.echo(
        f"All four hold everything they may see {overall:.2f} s after the first upload began, "
        f"{max(overall - after_load, 0):.2f} s after the last one ended."
    )
    # About records of others, so after these have arrived.
    added = await _load_all(nodes, lambda operator: answering_drafts(operator, today))
    await _converge(nodes, deadline)
    click.echo(f"Each operator gave its needs and answered the others: {_total(added)} records more.")
    for operator, counts in added.items():
        loaded[operator] |= counts
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


async def _unverified_copies(nodes: Sequence[Running]) -> list[str]:
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


Drafts = Iterable[tuple[str, dict[str, Any]]]
"""Drafts with the collection of each; those of one collection follow each other."""


async def _load_all(
    nodes: Sequence[Running], drafts_of: Callable[[str], Drafts]
) -> dict[str, dict[str, int]]:
    counts = await asyncio.gather(*(_load(node, drafts_of(node.operator)) for node in nodes))
    return {node.operator: of_node for node, of_node in zip(nodes, counts, strict=True)}


async def _load(node: Running, drafts: Drafts) -> dict[str, int]:
    counts: dict[str, int] = {}
    for plural, of_type in groupby(drafts, key=lambda pair: pair[0]):
        report = await node.client.collection(TYPE_OF_PLURAL[plural]).upload(draft for _, draft in of_type)
        if report.refused:
            raise CommandFailed(f"{node.operator} refused demonstration data: {report.refusals[0]}")
        counts[plural] = counts.get(plural, 0) + report.created
    return counts


def _total(loaded: dict[str, dict[str, int]]) -> int:
    return sum(sum(counts.values()) for counts in loaded.values())


async def _converge(nodes: Sequence[Running], deadline: float) -> None:
    """Wait until each node has what it may have. Raises CommandFailed after the deadline."""
    while not await _has_converged(nodes):
        if time.perf_counter() > deadline:
            raise CommandFailed("the nodes did not converge; see `federation peer list`")
        await asyncio.sleep(0.02)


async def _has_converged(nodes: Sequence[Running]) -> bool:
    heads = {(feed.origin, feed.audience): feed.seq for node in nodes for feed in await node.client.feeds()}
    for node in nodes:
        view = await node.client.peers()
        pulled = {(peer.operator, feed.audience): feed.pulled for peer in view.peers for feed in peer.feeds}
        for (origin, audience), seq in heads.items():
            entitled = audience != GROUP or node.operator in MEMBERS.get(origin, ())
            if origin != node.operator and entitled and pulled.get((origin, audience)) != seq:
                return False
    return True
