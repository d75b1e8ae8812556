"""The deployments that serve a body already, as far as the caller may see them."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

import msgspec

from federation.domain.content.deployment import Area, Deployment
from federation.domain.document import Document
from federation.domain.offers.answers import Asked, ServingDeployment
from federation.domain.offers.eligibility import territory_state
from federation.domain.territories.identity import names_of_body
from federation.domain.territories.public_bodies import TERRITORY, containing_codes
from federation.domain.visibility import Caller
from federation.store.database import Reading

NOT_SERVING = ("planned", "retired")
"""Statuses of deployments that serve nobody yet, or nobody any more."""


async def serving_deployments(
    tx: Reading, asked: Asked, solutions: Collection[str], *, by: Caller
) -> tuple[ServingDeployment, ...]:
    """Deployments that list the body; and those of these solutions that are for a territory it is in."""
    body = asked.body
    rows = await tx.offers.serving(
        () if body.id.startswith(f"{TERRITORY}:") else names_of_body(body.id),
        containing_codes(body),
        sorted(solutions),
        visible_to=by,
    )
    found = (_serving(asked, *row) for row in rows)
    return tuple(dict.fromkeys(deployment for deployment in found if deployment is not None))


def _serving(asked: Asked, origin: str, key: str, document: bytes) -> ServingDeployment | None:
    """A deployment that serves the body; None for one that has ended, or that is for another place."""
    content = _decoder().decode(document).content
    if content is None or content.status in NOT_SERVING:
        return None
    by_territory = isinstance(content.coverage, Area)
    if isinstance(content.coverage, Area) and (
        territory_state(asked.location, content.coverage.territory) != "open"
    ):
        return None
    return ServingDeployment(
        id=f"{origin}/{key}",
        solution=content.solution,
        status=content.status,
        by="territory" if by_territory else "list",
    )


@cache
def _decoder() -> msgspec.json.Decoder[Document[Deployment]]:
    return msgspec.json.Decoder(Document[Deployment])
