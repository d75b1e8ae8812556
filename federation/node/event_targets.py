"""Deployments that events of monitoring name, as their outages show them."""

from __future__ import annotations

from typing import Any

import msgspec

from federation.domain.content.deployment import Deployment
from federation.domain.content.solution import Solution
from federation.domain.errors import Invalid, NotFound, Refused
from federation.domain.feed import printable
from federation.domain.record import draft_of
from federation.domain.record_content import Content
from federation.domain.sources.outages import EventOptions, Labelled, label_of_outage
from federation.domain.stored import StoredRecord
from federation.domain.visibility import is_wider, itself
from federation.node import records
from federation.node.node import Node


class EventSource(msgspec.Struct, frozen=True):
    """A source of events: its name, its options, and the label of its outages."""

    name: str
    options: EventOptions = EventOptions()
    label: Labelled = Labelled()
    """Without one, that of other outages of this node. It is never wider than that of an AMBER or RED
    deployment."""


class EventTarget(msgspec.Struct, frozen=True):
    """The deployment of an event, as its outage shows it."""

    id: str
    name: str
    label: Labelled


async def find_own(node: Node, kind: type[Content], origin: str, key: str) -> StoredRecord:
    """A record that this node has, whoever may see it. Raises NotFound."""
    return await records.find(node, kind, origin, key, by=itself(node.operator))


async def find_target(node: Node, source: EventSource, named: str) -> EventTarget | Refused:
    """The deployment of this node that a label names, else the reason that it is none. None is guessed."""
    options = source.options
    if not named:
        return Invalid(
            "the event has no label {label}, which names a deployment of this node",
            label=options.deployment_label,
        )
    origin, slash, key = named.partition("/")
    if not slash:
        origin, key = node.operator, named
    if origin != node.operator:
        return Invalid(
            "{deployment} is a deployment of another operator; the label {label} names one of {own}",
            deployment=printable(named, 120),
            label=options.deployment_label,
            own=node.operator,
        )
    try:
        stored: StoredRecord | None = await find_own(node, Deployment, origin, key)
    except (NotFound, Invalid):
        stored = None
    if stored is None or stored.retracted:
        return Invalid(
            "there is no deployment {deployment} at this node, which the label {label} names",
            deployment=printable(named, 120),
            label=options.deployment_label,
        )
    draft = draft_of(stored.document)
    if draft["content"].get("status") == "retired":
        return Invalid("the deployment {deployment} is retired", deployment=printable(named, 120))
    own = Labelled(draft["tlp"], draft.get("audience"))
    label = label_of_outage(source.label, own)
    return EventTarget(f"{origin}/{key}", await _name(node, draft, key, label), label)


async def _name(node: Node, deployment: dict[str, Any], key: str, label: Labelled) -> str:
    """The deployment as readers of its outage may know it: with the name of a solution that they may see."""
    origin, _, solution_key = deployment["content"]["solution"].partition("/")
    try:
        stored = await find_own(node, Solution, origin, solution_key)
    except (NotFound, Invalid):
        return key
    if stored.retracted:
        return key
    solution = draft_of(stored.document)
    is_of_group = solution["tlp"] in ("AMBER", "AMBER+STRICT")
    is_same_group = origin == node.operator and solution.get("audience") == label.audience
    hidden = is_wider(label.tlp or "CLEAR", solution["tlp"]) or (
        is_of_group and label.tlp != "RED" and not is_same_group
    )
    name = solution["content"].get("name")
    return key if hidden or not isinstance(name, str) else f"{name} ({key})"
