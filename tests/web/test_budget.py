"""Statements to the database that each page takes: three at most for a list, and eight for any other."""

from __future__ import annotations

import pytest
from litestar import Litestar

from federation.node.node import Node
from tests.browser.addresses import pages
from tests.domain.builders import (
    a_contribution,
    a_meeting,
    a_practice,
    a_solution,
    a_statement,
    an_incident,
    an_offer,
    an_operator,
)
from tests.exposure.deployments import CHALON, DIJON, MACON, a_vulnerability, bodies, copy, running
from tests.nodes import introduce, publish
from tests.people.people import a_person, log_in
from tests.purchasing.records import a_consultation, a_participation, a_purchase
from tests.web.browser import browsing
from tests.web.statements import counted

MAX_OF_LIST, MAX_OF_PAGE = 3, 8
LISTS = (
    "/consultations", "/deployments", "/incidents", "/meetings", "/operators", "/practices", "/purchases",
    "/solutions",
)  # fmt: skip
REPOSITORY = "https://github.com/glpi-project/glpi"
OF_TYPE = {
    "consultations": "arnia/postes-2026",
    "deployments": "arnia/old",
    "incidents": "arnia/cve",
    "meetings": "arnia/one",
    "practices": "arnia/move",
    "purchases": "arnia/postes",
    "solutions": "arnia/glpi",
}
VALUES = {
    "operator": "megalis", "person": "nobody", "act": "suspend", "invitation": "none", "secret": "none",
    "body_id": "cog:71076", "type_name": "incident", "key": "cve", "source": "none", "number": "1",
    "id_": "none",
}  # fmt: skip
"""Values of the parameters of other paths. A page of something that is not there keeps the budget, too."""


@pytest.fixture
async def full(arnia: Node, megalis: Node) -> Node:
    """A node with a record of each type: solutions that identifiers link, incidents that share an alias."""
    await introduce(arnia, megalis)
    await publish(arnia, "operator", "arnia", an_operator())
    await copy(arnia, "operator", "megalis/megalis", an_operator(name="Mégalis Bretagne"), tlp="GREEN")
    releases = [{"version": "10.0.17", "eol_at": "2020-01-01"}]
    await publish(
        arnia, "solution", "glpi", a_solution(repository=REPOSITORY, releases=releases), tlp="CLEAR"
    )
    await copy(arnia, "solution", "megalis/parc", a_solution(repository=REPOSITORY), tlp="GREEN")
    await copy(
        arnia, "solution", "recia/parc",
        a_solution(packages=[{"purl": "pkg:composer/glpi/glpi"}]), tlp="GREEN", same_as=[REPOSITORY],
    )  # fmt: skip
    for key, version, place in (
        ("old", "10.0.17", CHALON),
        ("new", "10.0.18", DIJON),
        ("unsure", None, MACON),
    ):
        await publish(arnia, "deployment", key, running(version, bodies(place)))
    await copy(
        arnia, "deployment", "megalis/parc",
        {**running("10.0.17", bodies(DIJON)), "solution": "megalis/parc"}, tlp="GREEN",
    )  # fmt: skip
    named = [
        {
            "solution": "arnia/glpi",
            "range": "vers:generic/<10.0.18",
            "deployments": ["arnia/unsure", "recia/x"],
        }
    ]
    await publish(arnia, "incident", "cve", a_vulnerability(affects=named), tlp="CLEAR")
    await copy(arnia, "incident", "megalis/cve", a_vulnerability(), tlp="GREEN")
    await publish(arnia, "incident", "leak", an_incident(kind="security"), tlp="GREEN")
    fixed = a_statement(incident="megalis/cve", status="fixed", deployments=["megalis/parc"])
    await copy(arnia, "statement", "megalis/cve", fixed, tlp="GREEN")
    part = a_statement(incident="arnia/cve", status="fixed", deployments=["arnia/old"])
    await publish(arnia, "statement", "cve", part)
    await publish(arnia, "offer", "glpi", an_offer(), tlp="CLEAR")
    await publish(arnia, "practice", "move", a_practice(), tlp="CLEAR")
    tasks = [{"key": "plan", "text": {"fr": "Publier"}, "owner": "megalis", "due": "2026-01-31"}]
    meeting = a_meeting(tasks=tasks, attending=["arnia", "megalis", "recia"])
    await publish(arnia, "meeting", "one", meeting)
    await publish(arnia, "purchase", "postes", a_purchase(), tlp="CLEAR")
    await publish(arnia, "consultation", "postes-2026", a_consultation(), tlp="CLEAR")
    await publish(arnia, "participation", "own", a_participation(40))
    await copy(arnia, "participation", "megalis/p", a_participation(1_212), tlp="GREEN")
    for number, (type_name, id_) in enumerate(
        (("practice", "arnia/move"), ("meeting", "arnia/one"), ("consultation", "arnia/postes-2026"))
    ):
        comment = a_contribution(about={"type": type_name, "id": id_})
        await publish(arnia, "contribution", f"c{number}", comment)
    return arnia


def address(page: str) -> str:
    """An address of a page."""
    kind = page.split("/")[1]
    if "{origin:str}/{key:str}" in page:
        page = page.replace("{origin:str}/{key:str}", OF_TYPE[kind])
    for name, value in VALUES.items():
        page = page.replace(f"{{{name}:str}}", value).replace(f"{{{name}:int}}", value)
    assert "{" not in page, f"give {page} a value"
    return f"/fr{page if page != '/' else ''}{'?q=glpi' if page in ('/search', '/commune') else ''}"


@pytest.mark.parametrize("role", ["nobody", "reader", "editor", "administrator"])
async def test_no_page_takes_more_statements_than_its_budget(app: Litestar, full: Node, role: str) -> None:
    async with browsing(app) as client:
        if role != "nobody":
            await log_in(full, client, await a_person(full, role, role))
        beyond = {}
        for page in pages():
            path = address(page)
            await client.get(path)  # counts what has arrived
            with counted() as statements:
                answer = await client.get(path)
            assert answer.status_code < 500, path
            if len(statements) > (MAX_OF_LIST if page in LISTS else MAX_OF_PAGE):
                beyond[path] = [len(statements), *(" ".join(text.split())[:160] for text in statements)]
    assert not beyond, "\n".join(str(line) for found in beyond.items() for line in found)
