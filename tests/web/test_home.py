"""The first page: what is new, what is down, what closes soon, when operators meet."""

from __future__ import annotations

import httpx2

from tests.api.http_client import put
from tests.domain.builders import a_solution, an_incident
from tests.web.browser import links, shown
from tests.web.statements import counted


async def test_every_part_of_the_first_page_says_so_when_it_is_empty(visitor: httpx2.AsyncClient) -> None:
    answer = await visitor.get("/fr")
    text = shown(answer)
    for words in ("Aucune panne que vous", "Aucun achat groupé", "Aucune réunion", "Rien n’a encore été"):
        assert words in text
    assert "Accessibilité : non conforme" in text
    assert "/fr/accessibility" in links(answer)


async def test_the_first_page_shows_what_its_visitor_may_see(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    await put(own, "solutions/glpi", a_solution())
    await put(own, "solutions/green", a_solution(name="Caché"), tlp="GREEN")
    await put(own, "incidents/down", an_incident(title={"fr": "ENT en panne"}), tlp="CLEAR")
    await put(own, "incidents/hidden", an_incident(title={"fr": "Panne cachée"}), tlp="GREEN")
    with counted() as statements:
        answer = await visitor.get("/fr")
    text = shown(answer)
    assert len(statements) <= 8, str(statements)
    assert "GLPI" in text
    assert "ENT en panne" in text
    assert "Cach" not in text
    assert "cachée" not in text
    assert "/fr/solutions/arnia/glpi" in links(answer)
    assert "/fr/incidents/arnia/down" in links(answer)
