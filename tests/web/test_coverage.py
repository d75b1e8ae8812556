"""Coverage: table and map, as far as their visitor may see."""

from __future__ import annotations

import csv
import gzip
import io

import httpx2

from federation.domain.content.deployment import Area
from federation.domain.exposure.by_departement import shares
from federation.domain.exposure.coverage import resolve, tally
from federation.node.node import Node
from federation.store.body_sets import covering
from tests.api.http_client import put
from tests.domain.builders import a_deployment
from tests.people.people import a_person, log_in
from tests.web.browser import shown
from tests.web.statements import counted

SAONE_ET_LOIRE = {"kind": "territory", "territory": ["71"]}
PARIS = {"kind": "territory", "territory": ["75"]}
CHALON = {"kind": "list", "beneficiaries": [{"identifiers": [{"scheme": "cog", "value": "71076"}]}]}


def test_the_shares_of_all_départements_are_the_whole() -> None:
    tokens = covering(resolve(Area(territory=("FR-BFC", "75"))).tokens).tokens
    found, whole = shares(tokens), tally(tokens)
    assert sum(share.communes for share in found) == whole.communes
    assert sum(share.epci for share in found) == whole.epci
    assert sum(share.inhabitants for share in found) == whole.inhabitants
    assert {share.code: share.percent for share in found if share.percent}["71"] == 100


async def test_a_deployment_is_in_its_row_and_on_the_map(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node
) -> None:
    await put(own, "deployments/one", a_deployment(coverage=CHALON), tlp="CLEAR")
    await put(own, "deployments/green", a_deployment(coverage=SAONE_ET_LOIRE))
    await put(own, "deployments/red", a_deployment(coverage=PARIS), tlp="RED")
    await visitor.get("/fr/coverage")  # counts what has arrived
    with counted() as statements:
        answer = await visitor.get("/fr/coverage")
    text = shown(answer)
    assert len(statements) <= 8, str(statements)
    assert "1 déploiement, 1 organisme" in text
    assert "Saône-et-Loire (71)1 / 5" in text
    assert "<title>Saône-et-Loire 8 %</title>" in answer.text
    assert "La Réunion (974)0 / 24" in text
    assert answer.text.count("<path ") == 96
    assert len(answer.content) <= 75_000
    assert len(gzip.compress(answer.content)) <= 16_000
    assert 'class="c1"' in answer.text
    assert 'class="c4"' not in answer.text.split("</ul>")[-1]
    await log_in(arnia, visitor, await a_person(arnia))
    answer = await visitor.get("/fr/coverage")
    assert "2 déploiements" in shown(answer)
    assert "<title>Saône-et-Loire 100 %</title>" in answer.text
    assert "<title>Paris 0 %</title>" in answer.text


async def test_coverage_is_narrowed_to_a_solution_and_an_operator(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    await put(own, "deployments/one", a_deployment(coverage=CHALON), tlp="CLEAR")
    for query, number in (
        ("solution=arnia/glpi", "1 déploiement,"),
        ("operator=arnia&solution=arnia/glpi", "1 déploiement,"),
        ("solution=arnia/other", "0 déploiement,"),
        ("operator=recia", "0 déploiement,"),
    ):
        assert number in shown(await visitor.get(f"/fr/coverage?{query}"))
    answer = await visitor.get("/fr/coverage?solution=glpi")
    assert "Ce n’est pas un identifiant" in shown(answer, 400)
    assert 'value="glpi"' in answer.text


async def test_the_table_is_a_file(visitor: httpx2.AsyncClient, own: httpx2.AsyncClient) -> None:
    await put(own, "deployments/one", a_deployment(coverage=CHALON), tlp="CLEAR")
    answer = await visitor.get("/fr/coverage.csv")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    row = next(row for row in rows if row[1] == "71")
    assert row[0] == "Saône-et-Loire"
    assert row[2] == "1"
    assert len(rows) > 101
