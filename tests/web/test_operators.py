"""Pages of operators: who they are, whom to call, what they run."""

from __future__ import annotations

import httpx2

from federation.node.node import Node
from tests.api.http_client import put
from tests.domain.builders import a_deployment, a_solution, an_operator
from tests.people.people import a_person, log_in
from tests.web.browser import links, shown
from tests.web.statements import counted


async def test_operators_are_listed_with_whom_to_call(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    await put(own, "operators/arnia", an_operator())
    with counted() as statements:
        answer = await visitor.get("/fr/operators?territory=71")
    text = shown(answer)
    assert len(statements) <= 3, str(statements)
    assert "Bourgogne-Franche-Comté" in text
    assert "mailto:security@arnia.example.org" in links(answer)
    assert "1 résultat" in text
    assert "Rien ne correspond" in shown(await visitor.get("/fr/operators?territory=75"))
    assert "1 point à corriger" in shown(await visitor.get("/fr/operators?territory=99"), 400)
    assert b"L'ARNia" in (await visitor.get("/fr/operators.csv")).content


async def test_an_operator_shows_what_it_runs_as_far_as_its_visitor_may_see(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    await put(own, "operators/arnia", an_operator())
    await put(own, "solutions/glpi", a_solution())
    await put(own, "deployments/one", a_deployment(), tlp="CLEAR")
    await put(own, "deployments/two", a_deployment(solution="arnia/hidden"))
    await visitor.get("/fr/operators/arnia")  # counts what has arrived
    with counted() as statements:
        answer = await visitor.get("/fr/operators/arnia")
    text = shown(answer)
    assert len(statements) <= 8, str(statements)
    assert text.index("Qui appeler") < text.index("security@arnia.example.org")
    assert "412 organismes non nommés" in text
    assert "hidden" not in text
    assert "/fr/status/arnia" in links(answer)
    shown(await visitor.get("/fr/operators/nobody"), 404)


async def test_an_operator_that_is_for_members_is_not_shown_to_others(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node
) -> None:
    await put(own, "operators/arnia", an_operator(), tlp="GREEN")
    shown(await visitor.get("/fr/operators/arnia"), 404)
    assert "Aucun opérateur ne s’est encore présenté" in shown(await visitor.get("/fr/operators"))
    await log_in(arnia, visitor, await a_person(arnia))
    assert "L'ARNia" in shown(await visitor.get("/fr/operators"))
    assert "les membres de la fédération" in shown(await visitor.get("/fr/operators/arnia"))
