"""Checks of the demonstration: each asks the nodes, and names what is not so."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

import httpx2

from federation.client import Client, NotFound
from federation.demo.addresses import page_of_commune
from federation.demo.communes import example_commune
from federation.demo.cooperation import CONSULTATION, needs_in_all
from federation.demo.data import MEMBERS, OUTAGE
from federation.demo.loading import TYPE_OF_PLURAL
from federation.demo.nodes import Running
from federation.demo.offers import OFFERS
from federation.domain.errors import CommandFailed

OPEN_TO_COMMUNE = {
    "recia/offre-formation": 0,
    "recia/offre-visioconference": 4_800,
    "arnia/offre-parc-informatique": 15_000,
}
"""Offers that are open to the commune of the demonstration, and their price in the first year, in cents."""
AMOUNTS_SHOWN = ("48,00", "150,00")
"""The same prices as its page shows them."""


async def check_result(nodes: Sequence[Running], counts: dict[str, dict[str, int]]) -> None:
    """Assert the result: the same bytes at every node, and AMBER records only where they may be."""
    for plural, id_ in (
        ("solutions", "arnia/glpi"),
        ("deployments", "megalis/demo-000000"),
        ("incidents", OUTAGE),
        ("consultations", CONSULTATION),
    ):
        copies = [(node, await node.client.collection(TYPE_OF_PLURAL[plural]).get(id_)) for node in nodes]
        must(len({record.raw for _, record in copies}) == 1, f"{id_} has the same bytes at all four nodes")
        for node, record in copies:
            present = await node.client.collection(TYPE_OF_PLURAL[plural]).refresh(record)
            must(present is record, f"the ETag of {id_} at {node.operator} is the hash of its bytes")
    for plural in ("operators", "solutions", "deployments", "offers", "practices", "participations"):
        expected = sum(of_type.get(plural, 0) for of_type in counts.values())
        for node in nodes:
            page = await node.client.collection(TYPE_OF_PLURAL[plural]).list(total=True, limit=1)
            total = page.total or 0
            right = total == expected if page.total_is_exact else expected > total
            must(right, f"{node.operator} holds all {expected} {plural}")
    for node in nodes:
        entitled = node.operator in ("arnia", *MEMBERS["arnia"])
        must(
            await _shows(node.client.incidents.get("arnia/demo-security")) == entitled,
            f"the AMBER incident is seen as it may be at {node.operator}",
        )
        async with Client(node.address, trust_env=False) as nobody:
            must(
                not await _shows(nobody.deployments.get("arnia/demo-000000")),
                f"a GREEN record is hidden without a token at {node.operator}",
            )
        view = await node.client.peers()
        must(not view.rejected, f"{node.operator} rejected nothing")
        states = {feed.state for peer in view.peers for feed in peer.feeds}
        must(states == {"verified"}, f"every copy that {node.operator} holds is verified")


async def check_commune(nodes: Sequence[Running]) -> None:
    """Check that a small commune has prices at every node, and reasons where an offer is not for it."""
    commune = example_commune()
    must(commune.population < 300, f"{commune.name} has fewer than 300 inhabitants")
    for node in nodes:
        async with Client(node.address, trust_env=False) as nobody:
            answer = await nobody.request("GET", f"/v1/bodies/cog:{commune.cog}/offers")
        states: dict[str, dict[str, Any]] = {offer["id"]: offer for offer in answer["offers"]}
        for id_, cents in OPEN_TO_COMMUNE.items():
            price = states[id_]["first_year"].get("total_cents")
            must(states[id_]["state"] == "open", f"{id_} is open to {commune.name} at {node.operator}")
            must(price == cents, f"{id_} costs {cents} cents at {node.operator}, not {price}")
        closed = [offer for offer in states.values() if offer["state"] == "not-open"]
        must(len(closed) == len(OFFERS) - len(OPEN_TO_COMMUNE), f"all others are not open at {node.operator}")
        must(all(offer["reasons"] for offer in closed), f"each has its reason at {node.operator}")
        page = f"{node.address}{page_of_commune()}"
        async with httpx2.AsyncClient(trust_env=False) as browser:
            shown = (await browser.get(page)).text
        for amount in AMOUNTS_SHOWN:
            must(amount in shown.replace("\N{NARROW NO-BREAK SPACE}", " "), f"{amount} is on {page}")


async def check_needs(nodes: Sequence[Running]) -> None:
    """Check that the needs of all operators add up at every node."""
    for node in nodes:
        answer = await node.client.request("GET", f"/v1/consultations/{CONSULTATION}/needs")
        sums = {unit["unit"]: unit["quantity"] for unit in answer["units"]}
        must(
            sums == needs_in_all(), f"the needs add up to {needs_in_all()} at {node.operator}, not to {sums}"
        )


async def _shows(record: Awaitable[Any]) -> bool:
    """True when the caller may see the record."""
    try:
        await record
    except NotFound:
        return False
    return True


def must(so: bool, claim: str) -> None:
    """Raises CommandFailed that names the claim unless it holds."""
    if not so:
        raise CommandFailed(f"this should be so and is not: {claim}")
