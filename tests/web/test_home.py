"""The first page: what is new, what is down, what closes soon, when operators meet."""

from __future__ import annotations

import httpx2

from federation.node.node import Node
from tests.api.http_client import put
from tests.domain.builders import a_consultation, a_meeting, a_practice, a_solution, an_incident
from tests.people.people import a_person, log_in
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


async def test_what_closes_and_when_operators_meet_is_in_the_order_of_time(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node
) -> None:
    for year in ("2150", "2120", "2020"):
        moment = f"{year}-04-02T08:00:00Z"
        title = {"fr": f"Besoins {year}"}
        await put(own, f"consultations/c{year}", a_consultation(title=title, needs_until=moment))
        await put(own, f"meetings/m{year}", a_meeting(title={"fr": f"Réunion {year}"}, starts_at=moment))
    await put(own, "practices/guide", a_practice())
    with counted() as statements:
        answer = await visitor.get("/fr")
    text = shown(answer)
    assert len(statements) <= 8, str(statements)
    assert text.index("Besoins 2120") < text.index("Besoins 2150")
    assert "Besoins 2020" not in text
    assert "Réunion 21" not in text
    assert "Migration" in text
    await log_in(arnia, visitor, await a_person(arnia))
    text = shown(await visitor.get("/fr"))
    assert text.index("Réunion 2120") < text.index("Réunion 2150")
    assert "Réunion 2020" not in text
