"""``federation body``: bodies and their offers on the terminal."""

from __future__ import annotations

import json

from federation.node.node import Node
from tests.exposure.commands import ran
from tests.nodes import publish
from tests.offers.tariffs import AMF_32, CDG_38, an_offer


async def test_a_body_is_found_and_its_offers_are_listed(arnia: Node, dsn: str) -> None:
    status, text = await ran(dsn, "body", "find", "saint-denis 93")
    assert (status, text.split("\t")[0]) == (0, "cog:93066")
    _, text = await ran(dsn, "body", "find", "annecy le vieux", "--json")
    assert json.loads(text)["bodies"][0]["body"]["id"] == "cog:74010"

    await publish(arnia, "offer", "amf", an_offer(tariff=AMF_32), tlp="CLEAR")
    await publish(arnia, "offer", "cdg", an_offer(tariff=CDG_38), tlp="RED")
    status, text = await ran(dsn, "body", "offers", "cog:32010")
    assert status == 0
    lines = text.splitlines()
    assert lines[0] == "Arrouède (commune): 2 open, 0 unknown, 0 not open, 0 for other territories"
    assert lines[1].startswith("arnia/amf\topen\t48.00 EUR VAT excluded\t48.00 EUR VAT excluded\t")
    assert lines[2].startswith("arnia/cdg\topen\t52.00 EUR VAT excluded\t36.00 EUR VAT excluded\t")
    _, text = await ran(dsn, "body", "offers", "cog:32010", "--public", "--json")
    assert [offer["id"] for offer in json.loads(text)["offers"]] == ["arnia/amf"]


async def test_a_body_beyond_the_register_needs_its_kind_and_numbers(arnia: Node, dsn: str) -> None:
    await publish(arnia, "offer", "cdg", an_offer(tariff=CDG_38), tlp="CLEAR")
    status, text = await ran(dsn, "body", "offers", "0002:130025265")
    assert status == 1
    assert "kind is needed" in text
    _, text = await ran(dsn, "body", "offers", "0002:130025265", "--kind", "school")
    assert "unknown: needs the number of agents" in text
    assert "these would settle more: --agents" in text
    _, text = await ran(dsn, "body", "offers", "0002:130025265", "--kind", "school", "--agents", "49")
    assert "227.00 EUR VAT excluded" in text
