"""Pages of solutions: what is shared, who runs it, and whether it is sound."""

from __future__ import annotations

import csv
import io

import httpx2

from federation.node.node import Node
from tests.api.http_client import put
from tests.domain.builders import a_deployment, a_solution, an_incident, an_offer
from tests.nodes import publish
from tests.people.people import a_person, log_in
from tests.web.browser import links, shown
from tests.web.statements import counted


async def test_the_list_has_filters_and_their_words(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    await put(own, "solutions/glpi", a_solution())
    await put(own, "solutions/ent", a_solution(name="ENT", themes=["education"]))
    await put(own, "solutions/secret", a_solution(name="Secret"), tlp="GREEN")
    text = shown(await visitor.get("/fr/solutions"))
    assert "2 résultats" in text
    assert "GLPI" in text
    assert "Secret" not in text
    answer = await visitor.get("/fr/solutions?theme=education")
    text = shown(answer)
    assert "<title>Solutions – Thème\N{NO-BREAK SPACE}: éducation" in answer.text
    assert "1 résultat" in text
    assert "GLPI" not in text
    assert "Rien ne correspond" in shown(await visitor.get("/fr/solutions?licence=MIT"))


async def test_a_bad_filter_is_shown_beside_its_field(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    await put(own, "solutions/glpi", a_solution())
    answer = await visitor.get("/fr/solutions?status=odd&q=x&utm_source=letter")
    text = shown(answer, 400)
    assert "1 point à corriger" in text
    assert 'aria-invalid="true"' in answer.text
    assert 'id="fault-status"' in answer.text
    assert 'value="x"' in answer.text
    assert "GLPI" not in text, "a list without the filter is not what was asked for"
    shown(await visitor.get("/fr/solutions?after=odd"), 400)
    shown(await visitor.get("/fr/solutions?q=x&utm_source=letter"))


async def test_pages_follow_by_key(visitor: httpx2.AsyncClient, arnia: Node) -> None:
    for number in range(55):
        await publish(arnia, "solution", f"s{number:02}", a_solution(name=f"S{number:02}"), tlp="CLEAR")
    with counted() as statements:
        first = await visitor.get("/fr/solutions?theme=it-asset-management")
    assert len(statements) <= 3, str(statements)
    text = shown(first)
    assert "55 résultats" in text
    assert len(first.content) <= 45_000
    following = next(link for link in links(first) if "after=" in link)
    text = shown(await visitor.get(following))
    assert "page 2" in text
    assert "Thème" in text
    assert "Première page" in text
    assert text.count("S0") == 5


async def test_a_list_is_a_file(visitor: httpx2.AsyncClient, own: httpx2.AsyncClient) -> None:
    await put(own, "solutions/glpi", a_solution(name="=HYPERLINK(1)"))
    await put(own, "solutions/secret", a_solution(name="Secret"), tlp="GREEN")
    answer = await visitor.get("/fr/solutions.csv?licence=GPL-3.0-or-later")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="solutions.csv"'
    head, *rows = csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""))
    assert head[0] == "Nom"
    assert [row[0] for row in rows] == ["'=HYPERLINK(1)"]
    shown(await visitor.get("/fr/solutions.csv?status=odd"), 400)


async def test_a_solution_shows_who_runs_it_as_far_as_its_visitor_may_see(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node
) -> None:
    await put(own, "solutions/glpi", a_solution(releases=[{"version": "10.0.17"}]))
    covers = {"kind": "list", "beneficiaries": [{"identifiers": [{"scheme": "cog", "value": "71076"}]}]}
    await put(own, "deployments/one", a_deployment(coverage=covers, version="10.0.17"), tlp="CLEAR")
    await put(own, "deployments/two", a_deployment(version="9.9"))
    await visitor.get("/fr/solutions/arnia/glpi")  # counts what has arrived
    with counted() as statements:
        answer = await visitor.get("/fr/solutions/arnia/glpi")
    text = shown(answer)
    assert len(statements) <= 8, str(statements)
    assert "1 déploiement, 1 organisme," in text
    assert "10.0.17 (1)" in text
    assert "9.9" not in text
    assert "cela ne veut pas dire qu’il n’y en a pas" in text
    assert "Publiée par l’opérateur de ce site." in text
    assert 'type="application/json" href="/v1/solutions/arnia/glpi"' in answer.text
    await log_in(arnia, visitor, await a_person(arnia))
    text = shown(await visitor.get("/fr/solutions/arnia/glpi"))
    assert "2 déploiements" in text
    assert "9.9 (1)" in text


async def test_open_incidents_are_shown_as_far_as_visible(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    await put(own, "solutions/glpi", a_solution())
    await put(own, "incidents/public", an_incident(title={"fr": "GLPI en panne"}), tlp="CLEAR")
    await put(own, "incidents/green", an_incident(title={"fr": "Faille secrète"}), tlp="GREEN")
    text = shown(await visitor.get("/fr/solutions/arnia/glpi"))
    assert "1 incident en cours" in text
    assert "GLPI en panne" in text
    assert "secrète" not in text


async def test_the_same_software_of_others_is_linked(
    visitor: httpx2.AsyncClient, arnia: Node, own: httpx2.AsyncClient
) -> None:
    repository = "https://github.com/glpi-project/glpi"
    await put(own, "solutions/glpi", a_solution(repository=repository))
    await put(own, "solutions/glpi-2", a_solution(repository=repository))
    answer = await visitor.get("/fr/solutions/arnia/glpi")
    shown(answer)
    assert "/fr/solutions/arnia/glpi-2" in links(answer)


async def test_a_record_that_was_retracted_meanwhile_has_its_page(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    await put(own, "solutions/glpi", a_solution())
    await put(
        own, "solutions/new", a_solution(name="New"), same_as=["http://arnia.test/v1/solutions/arnia/glpi"]
    )
    shown(await visitor.get("/fr/solutions/arnia/glpi"))
    assert (await own.delete("/v1/solutions/arnia/glpi")).status_code == 204
    answer = await visitor.get("/fr/solutions/arnia/glpi")
    text = shown(answer, 410)
    assert "Cette fiche a été retirée" in text
    assert "/fr/operators/arnia" in links(answer)
    assert "/fr/solutions?origin=arnia" in links(answer)
    assert "/fr/solutions/arnia/new" in links(answer)
    shown(await visitor.get("/fr/solutions/arnia/never"), 404)


async def test_offers_are_shown_with_their_price_in_words(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    await put(own, "solutions/glpi", a_solution())
    part = {"label": {"fr": "Adhésion"}, "when": "yearly", "basis": "inhabitant", "micros": 166_000}
    tariff = {"currency": "EUR", "vat": "excluded", "parts": [part]}
    await put(own, "offers/glpi", an_offer(pricing="tariff", tariff=tariff, valid_until="2020-01-01"))
    await put(own, "offers/hidden", an_offer(title={"fr": "Offre cachée"}), tlp="GREEN")
    text = shown(await visitor.get("/fr/solutions/arnia/glpi"))
    assert "Adhésion – 0,166 EUR par habitant, chaque année" in text
    assert "Plus ouverte" in text
    assert "cachée" not in text
