"""The first page of the console: is the node well, and what needs an administrator."""

from __future__ import annotations

from typing import NamedTuple

from litestar.response.base import ASGIResponse

from federation.edge.operations import ADMINISTRATOR
from federation.node import alerts, peer_views, sources
from federation.node.peer_views import PeersView, PeerView
from federation.web.admin.operator_names import name_operators
from federation.web.language import screen_text as t
from federation.web.pages import page
from federation.web.visit import Visit

FAILING = 3
"""Attempts in a row that fail before a peer is named: a single one is a restart."""


class Task(NamedTuple):
    """Something that needs an administrator: of whom, what, why, and the page for it."""

    subject: str
    text: str
    """A text of a screen."""
    path: str
    reason: str = ""
    """A message of the node, in English."""


@page("/admin", act="page_admin", right=ADMINISTRATOR)
async def overview(visit: Visit) -> ASGIResponse:
    """Show what needs an administrator, and where each thing is administered."""
    view = await peer_views.peers(visit.node)
    parked = await alerts.list_alerts(visit.node, by=visit.caller, parked=True)
    await name_operators(visit, view)
    tasks = [task for peer in view.peers for task in _tasks_of(peer, visit.operator_with_id(peer.operator))]
    if parked:
        tasks.append(Task(str(len(parked)), t("alerts could not be delivered"), "/admin/alerts"))
    for source in await sources.failing(visit.node):
        path = f"/admin/sources/{source.name}"
        tasks.append(Task(source.name, t("is a source that cannot be read"), path, source.reason or ""))
    if view.rejected:
        tasks.append(Task(str(len(view.rejected)), t("entries of peers were rejected"), "/admin/rejected"))
    return visit.page(
        "admin/overview.html",
        tasks=tasks,
        active=_count(view, "active"),
        pending=_count(view, "pending"),
        suspended=_count(view, "suspended"),
        kid=visit.node.keyring.kid,
    )


def _count(view: PeersView, state: str) -> int:
    return sum(peer.state == state for peer in view.peers)


def _tasks_of(peer: PeerView, name: str) -> list[Task]:
    path = f"/admin/peers/{peer.operator}"
    tasks = []
    if peer.state == "pending":
        tasks.append(Task(name, t("waits for you and its administrator to compare the codes"), path))
    if peer.state == "active" and peer.failures >= FAILING:
        tasks.append(Task(name, t("does not answer"), path, peer.failure or ""))
    if peer.paused is not None:
        tasks.append(
            Task(
                name,
                t("is paused: it waits for you to confirm it"),
                path,
                peer.paused,
            )
        )
    for feed in peer.feeds:
        if feed.paused is not None:
            tasks.append(Task(name, t("removes many records, when you confirm it"), path, feed.paused))
        elif feed.alarm is not None and peer.state == "active":
            tasks.append(Task(name, t("has a copy here that needs a look"), path, feed.alarm))
    if peer.clock_difference is not None:
        tasks.append(Task(name, t("has another time than this node"), path, f"{peer.clock_difference} s"))
    return tasks


HANDLERS = (overview,)
