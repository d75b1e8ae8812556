"""The state of the node and its copies: for metrics, health checks and the public descriptor."""

from __future__ import annotations

from typing import get_args

import msgspec

from federation.domain.copy import CopyStateName
from federation.domain.errors import Unavailable
from federation.domain.visibility import anonymous
from federation.node import copy_views
from federation.node.node import Node
from federation.telemetry import Metrics


async def metrics_page(node: Node, metrics: Metrics) -> bytes:
    """The metrics of this process and of the database, in the text format of Prometheus."""
    async with node.store.read() as tx:
        feeds, peers = await tx.feeds.all(), await tx.peers.all()
        waiting, parked = await tx.alerts.pending()
        not_understood = await tx.not_understood.by_origin()
    copies = await copy_views.copies(node)
    for gauge in (
        metrics.feed_head,
        metrics.feed_records,
        metrics.feed_lag,
        metrics.peer_failures,
        metrics.copy_state,
        metrics.copy_age,
        metrics.copy_paused,
        metrics.not_understood,
    ):
        gauge.clear()
    for feed in feeds:
        labels = (feed.origin, feed.audience)
        metrics.feed_head.labels(*labels).set(feed.head)
        metrics.feed_records.labels(*labels).set(feed.live)
        if feed.origin != node.operator:
            metrics.feed_lag.labels(*labels).set(max((feed.remote_head or 0) - feed.head, 0))
    for name, copy in copies.items():
        for state in get_args(CopyStateName):
            metrics.copy_state.labels(name.origin, name.audience, state).set(copy.state == state)
        if copy.age_seconds is not None:
            metrics.copy_age.labels(name.origin, name.audience).set(copy.age_seconds)
        metrics.copy_paused.labels(name.origin, name.audience).set(
            copy.paused is not None or copy.beyond_quota is not None
        )
    for (origin, type_), number in not_understood.items():
        metrics.not_understood.labels(origin, type_).set(number)
    for peer in peers:
        metrics.peer_failures.labels(peer.operator).set(peer.failures)
    metrics.alerts_pending.labels("waiting").set(waiting)
    metrics.alerts_pending.labels("parked").set(parked)
    return metrics.exposition()


async def check_ready(node: Node) -> None:
    """Raises Unavailable unless the database answers and the node is not stopping."""
    if node.stopping.is_set():
        raise Unavailable("the node is stopping")
    async with node.store.read() as tx:
        await tx.feeds.state()


async def public_contacts(node: Node) -> tuple[str | None, str | None]:
    """Contact and security contact of the operator, where its own record is CLEAR."""
    async with node.store.read() as tx:
        record = await tx.records.find(
            "operator", node.operator, node.operator, visible_to=anonymous(node.operator)
        )
    if record is None or record.retracted:
        return None, None
    content = msgspec.json.decode(record.document)["content"]
    return content["contact"], content["security_contact"]
