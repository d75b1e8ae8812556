"""Names of operators in the console, with the identifiers that commands take."""

from __future__ import annotations

from collections.abc import Iterable

from federation.node.operator_names import names_of
from federation.node.peer_views import PeersView
from federation.web.visit import Visit


async def name_operators(visit: Visit, view: PeersView, others: Iterable[str] = ()) -> None:
    """Read the names of all operators that a view of peers has, for the templates.

    They are those of their records, else those that peers give themselves.
    """
    operators = {*others, *view.excluded, *(entry.origin for entry in view.rejected)}
    for peer in view.peers:
        operators.add(peer.operator)
        operators.update(look_alike.operator for look_alike in peer.look_alikes)
        for feed in peer.feeds:
            operators.update((feed.via,) if feed.via else (), feed.excludes)
    of_records = await names_of(visit.node, operators, by=visit.caller)
    visit.operator_names = {peer.operator: peer.name for peer in view.peers if peer.name} | of_records
