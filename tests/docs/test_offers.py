"""The offer of the how-to is published as it stands, and costs what the page says."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import msgspec
import pytest

from federation.domain.content.offer import Offer
from federation.domain.draft import Draft, read_draft
from federation.domain.offers.quote import PricedBody, quote
from federation.node.node import Node
from tests.api.http_client import JSON, fine
from tests.docs.blocks import DOCS
from tests.nodes import a_token, browsing

PAGE = (DOCS / "how-to/publish-an-offer.md").read_text()
BODY = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0].encode()
ROWS = re.findall(r"^\| (\w+) of (\w+) inhabitants \| ([\w.]+) \| ([\w.]+) \|$", PAGE, re.MULTILINE)


def test_the_page_has_prices() -> None:
    assert len(ROWS) == 6


@pytest.mark.parametrize(("kind", "inhabitants", "first", "following"), ROWS)
def test_the_prices_of_the_page_are_those_of_the_offer(
    kind: str, inhabitants: str, first: str, following: str
) -> None:
    shape: Any = Draft
    offer: Offer = read_draft(BODY, shape[Offer]).content
    population = None if inhabitants == "unknown" else int(inhabitants)
    body = msgspec.convert({"kind": kind, "population": population}, PricedBody)
    for year, price in ((1, first), (2, following)):
        cents = quote(offer, body, year).total_cents
        assert (f"{cents / 100:.2f}" if cents is not None else "unknown") == price


async def test_the_offer_of_the_page_is_published(arnia: Node) -> None:
    async with browsing(arnia) as anyone:
        token = await a_token(arnia, anyone, "offers.read", "offers.write")
        path = "/v1/offers/arnia/glpi-mutualise"
        preview = await anyone.put(f"{path}?dry_run=true", content=BODY, headers={**JSON, **token})
        assert fine(preview, 200)["dry_run"]
        made: httpx2.Response = await anyone.put(path, content=BODY, headers={**JSON, **token})
        assert fine(made, 201)["tlp"] == "CLEAR"
        assert fine(await anyone.get(path), 200)["content"]["trial_months"] == 3
