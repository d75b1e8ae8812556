"""Scopes of tokens: one per type and verb, and a few for the node itself."""

from __future__ import annotations

from federation.domain.registry import TYPES

SCOPES: dict[str, str] = {
    **{
        f"{kind.plural}.{verb}": f"{does} {kind.plural}"
        for kind in TYPES.values()
        for verb, does in (("read", "Read"), ("write", "Publish, revise and retract"))
    },
    "exposure.read": "Ask who is affected: incidents, deployments and statements added up",
    "subscriptions.read": "See who is told of what, and what became of it",
    "subscriptions.write": "Have somebody told of events, by webhook or e-mail",
    "deadlines.read": "See the reporting deadlines",
    "deadlines.write": "Set and remove reporting deadlines",
    "sources.read": "See the sources of records and the reports of their runs",
    "sources.write": "Add, change, run and remove sources of records",
    "imports.write": "Import files; each type of record in them needs its own scope, too",
    "changes.read": "Follow everything this node holds, of every operator",
    "feeds.read": "Read the feeds of this node",
    "peers.read": "See the peers of this node and how their feeds are doing",
    "node.admin": "Administer the node",
}
"""Every scope, and the acts it allows a client."""

PEER_SCOPES = frozenset(
    {
        "feeds.read",
        "exposure.read",
        *(f"{kind.plural}.read" for kind in TYPES.values() if kind.type != "group"),
    }
)
"""Scopes of a peer's token. The records it may see are decided at each request, not here."""
