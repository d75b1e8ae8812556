"""Deployments, incidents and statements of several operators at one node, with real communes."""

from __future__ import annotations

import itertools
from typing import Any

from federation.domain.exposure.answers import IncidentExposure, OperatorExposure
from federation.domain.feed import Cursor, FeedName
from federation.domain.record import Record, tombstone
from federation.domain.registry import TYPES
from federation.domain.visibility import Caller, itself
from federation.node import exposure
from federation.node.node import Node
from tests.domain.builders import (
    NOW,
    a_deployment,
    a_document,
    a_record,
    a_solution,
    an_incident,
    received,
)
from tests.nodes import publish

GLPI = "arnia/glpi"
RANGE = "vers:generic/>=10.0.0|<10.0.18"
CHALON, MACON, DIJON, RENNES = "217100767", "217102706", "212102313", "213502388"


def bodies(*sirens: str) -> dict[str, Any]:
    """A list of communes by SIREN."""
    return {
        "kind": "list",
        "beneficiaries": [{"identifiers": [{"scheme": "0002", "value": siren}]} for siren in sirens],
    }


def running(
    version: str | None = "10.0.17", coverage: dict[str, Any] | None = None, **members: Any
) -> dict[str, Any]:
    """A deployment of GLPI that runs a version."""
    if version is not None:
        members.setdefault("version", version)
        members.setdefault("version_state", "exact")
    return a_deployment(solution=GLPI, coverage=coverage or bodies(CHALON), **members)


def a_vulnerability(**members: Any) -> dict[str, Any]:
    return an_incident(
        kind="vulnerability",
        **{
            "affects": [{"solution": GLPI, "range": RANGE, "fixed_in": ["10.0.18"]}],
            "aliases": ["CVE-2025-24799"],
            **members,
        },
    )


_sequence = itertools.count(1_000)


async def copy(
    node: Node, type_name: str, id_: str, content: dict[str, Any] | None, **envelope: Any
) -> Record:
    """A peer's record as a pull keeps it; without content its tombstone."""
    origin, _, key = id_.partition("/")
    revision = envelope.pop("revision", 1)
    record = a_record(
        content or (a_solution() if type_name == "solution" else running()),
        TYPES[type_name],
        origin=origin,
        key=key,
        revision=revision,
        **envelope,
    )
    if content is None:
        record = tombstone(record.document, updated_at=NOW)
    async with node.store.write() as tx:
        place = await tx.feeds.open(FeedName(origin, record.audience), None)
        number = next(_sequence)
        await tx.feeds.advance(place, Cursor("0" * 16, number), delta=1)
        await tx.pulled_records.upsert_in_place(origin, place.id, [(record, number)])
    return record


async def copy_unread(node: Node, type_name: str, id_: str, content: Any, **envelope: Any) -> Record:
    """A peer's record that this version does not understand, as a pull stores it."""
    origin, _, key = id_.partition("/")
    document = a_document(
        **{"type": type_name, "origin": origin, "key": key, "tlp": "GREEN", "content": content, **envelope}
    )
    record = received(document, type_name=type_name, origin=origin, key=key, revision=document["revision"])
    assert record.not_understood
    async with node.store.write() as tx:
        feed = await tx.feeds.open(FeedName(origin, record.audience), None)
        number = next(_sequence)
        await tx.feeds.advance(feed, Cursor("0" * 16, number), delta=1)
        await tx.pulled_records.upsert_in_place(origin, feed.id, [(record, number)])
    return record


async def told(
    node: Node, key: str = "cve", *, by: Caller | None = None, origin: str = "arnia"
) -> IncidentExposure:
    """The exposure of an incident, for the operator itself when nobody else is named."""
    return await exposure.of_incident(node, origin, key, by=by or itself(node.operator))


async def hits(node: Node, key: str = "cve", **asked: Any) -> dict[str, OperatorExposure]:
    """What it says of each operator."""
    return {one.operator: one for one in (await told(node, key, **asked)).operators}


async def cve(node: Node, **members: Any) -> None:
    await publish(node, "incident", "cve", a_vulnerability(**members))
