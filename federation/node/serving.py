"""The deployments that serve a body already, as far as the caller may see them."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from federation.domain.offers.answers import Asked, ServingDeployment
from federation.domain.offers.eligibility import territory_state
from federation.domain.territories.identity import names_of_body
from federation.domain.territories.public_bodies import TERRITORY, containing_codes
from federation.domain.visibility import Caller
from federation.store.database import Reading
from federation.store.together import Together

NOT_SERVING = ("planned", "retired")
"""Statuses of deployments that serve nobody yet, or nobody any more."""


async def serving_deployments(
    tx: Reading, asked: Asked, solutions: Collection[str], *, by: Caller
) -> tuple[ServingDeployment, ...]:
    """Deployments that list the body; and those of these solutions that are for a territory it is in."""
    body = asked.body
    names = () if body.id.startswith(f"{TERRITORY}:") else names_of_body(body.id)
    async with Together(tx) as reads:
        by_body = reads.start(reads.tx.offers.serving_body(names, visible_to=by))
        by_territory = reads.start(
            reads.tx.offers.serving_territories(containing_codes(body), sorted(solutions), visible_to=by)
        )
    found = (_serving(asked, *row) for row in (*by_body.result(), *by_territory.result()))
    return tuple(dict.fromkeys(deployment for deployment in found if deployment is not None))


class _Coverage(msgspec.Struct):
    kind: str
    territory: tuple[str, ...] = ()


class _Content(msgspec.Struct):
    solution: str
    status: str
    coverage: _Coverage


class _Record(msgspec.Struct):
    """The part of a deployment that an answer needs; its list may have ten thousand bodies."""

    content: _Content


_record = msgspec.json.Decoder(_Record)


def _serving(asked: Asked, origin: str, key: str, document: bytes) -> ServingDeployment | None:
    """A deployment that serves the body; None for one that has ended, or that is for another place."""
    content = _record.decode(document).content
    if content.status in NOT_SERVING:
        return None
    by_territory = content.coverage.kind == "territory"
    if by_territory and territory_state(asked.location, content.coverage.territory) != "open":
        return None
    return ServingDeployment(
        id=f"{origin}/{key}",
        solution=content.solution,
        status=content.status,
        by="territory" if by_territory else "list",
    )
