"""Pages that the law or courtesy asks for, and the addresses that all pages offer."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from litestar import Litestar

from federation.node.node import Node
from tests.api.http_client import put
from tests.domain.builders import an_operator
from tests.people.people import a_person, log_in
from tests.web.browser import links, shown
from tests.web.statements import counted


async def test_without_a_text_of_the_operator_the_law_is_kept(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    await put(own, "operators/arnia", an_operator())
    answer = await visitor.get("/fr/accessibility")
    text = shown(answer)
    assert "<h1>Accessibilité : non conforme</h1>" in answer.text
    assert "RGAA 4.1" in text
    assert "Défenseur des droits" in text
    assert "mailto:contact@arnia.example.org" in links(answer)
    with counted() as statements:
        text = shown(await visitor.get("/fr/legal"))
    assert len(statements) <= 8
    assert "n’a pas encore rédigé" in text
    assert "security@arnia.example.org" in text


async def test_a_text_of_the_operator_takes_the_place_of_ours(
    visitor: httpx2.AsyncClient, arnia: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arnia, "texts_dir", tmp_path)
    assert "n’a pas encore rédigé" in shown(await visitor.get("/fr/legal"))
    (tmp_path / "legal.fr.md").write_text("# Éditeur\n\nRégion <b>x</b>", encoding="utf-8")
    (tmp_path / "accessibility.en.md").write_text("Audit: 100 %", encoding="utf-8")
    answer = await visitor.get("/fr/legal")
    assert "<h3>Éditeur</h3>" in answer.text
    assert "&lt;b&gt;" in answer.text
    assert "n’a pas encore rédigé" not in shown(answer)
    answer = await visitor.get("/fr/accessibility")
    shown(answer)
    assert '<div lang="en"><p>Audit: 100 %</p>' in answer.text


async def test_help_explains_labels_and_names_whom_to_ask(visitor: httpx2.AsyncClient) -> None:
    for language, words in (("fr", "TLP:AMBER visible par"), ("en", "TLP:AMBER visible to")):
        assert words in shown(await visitor.get(f"/{language}/help"))


async def test_every_address_of_menu_foot_and_site_map_answers(
    app: Litestar, visitor: httpx2.AsyncClient, arnia: Node
) -> None:
    paths = {route.path for route in app.routes}
    missing = set()
    for role in (None, "administrator"):
        if role is not None:
            await log_in(arnia, visitor, await a_person(arnia, "Anne", role))
        for address in links(await visitor.get("/fr/site")):
            if address.startswith("#"):
                continue
            answer = await visitor.get(address)
            if address.partition("?")[0] not in paths:
                missing.add(address)
            elif address.startswith(("/fr", "/en")):
                shown(answer)
    assert not missing, f"no page has these addresses: {', '.join(sorted(missing))}"
