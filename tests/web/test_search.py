"""Search in everything that has a page, as far as its visitor may see."""

from __future__ import annotations

import httpx2

from federation.node.node import Node
from tests.api.http_client import put
from tests.domain.builders import a_practice, a_solution, an_incident, an_offer, an_operator
from tests.people.people import a_person, log_in
from tests.web.browser import links, shown
from tests.web.statements import counted


async def test_a_search_finds_records_of_every_type_by_their_words(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node
) -> None:
    for number in range(7):
        await put(own, f"solutions/s{number}", a_solution(name=f"Parapheur {number}"))
    await put(own, "practices/p", a_practice(title={"fr": "Déployer un parapheur"}))
    await put(own, "offers/o", an_offer(title={"fr": "Parapheur mutualisé"}))
    await put(own, "operators/arnia", an_operator(name="Parapheur et compagnie"))
    await put(own, "incidents/i", an_incident(title={"fr": "Parapheur en panne"}), tlp="GREEN")
    await put(own, "incidents/red", an_incident(title={"fr": "Parapheur attaqué"}), tlp="RED")
    with counted() as statements:
        answer = await visitor.get("/fr/search?q=parapheurs")
    text = shown(answer)
    assert len(statements) <= 8, str(statements)
    assert "Solutions (7)" in text
    assert text.count("Gestion de parc") == 5
    assert "/fr/solutions?q=parapheurs" in links(answer)
    for path in ("/fr/practices/arnia/p", "/fr/operators/arnia", "/fr/solutions/arnia/glpi"):
        assert path in links(answer)
    assert "en panne" not in text
    await log_in(arnia, visitor, await a_person(arnia))
    text = shown(await visitor.get("/fr/search?q=parapheurs"))
    assert "Parapheur en panne" in text
    assert "Incidents (1)" in text
    assert "attaqué" not in text


async def test_a_search_without_words_and_without_matches_has_a_way_on(visitor: httpx2.AsyncClient) -> None:
    shown(await visitor.get("/fr/search"))
    answer = await visitor.get("/fr/search?q=zzz")
    assert "Rien de ce que vous pouvez voir" in shown(answer)
    assert "/fr/commune" in links(answer)
    assert "pas de mot" in shown(await visitor.get("/fr/search?q=%3F"), 400)
    assert "200 caractères" in shown(await visitor.get(f"/fr/search?q={'x' * 201}"), 400)
