"""The answer to an incident: filled in from what is known, reviewed by name, and the one that applies."""

from __future__ import annotations

import httpx2
import pytest
from litestar import Litestar

from federation.domain.errors import PreconditionFailed
from federation.domain.visibility import itself
from federation.node import answers, exposure
from federation.node.node import Node
from tests.domain.builders import a_group, a_statement
from tests.exposure.deployments import CHALON, DIJON, a_vulnerability, bodies, running
from tests.nodes import introduce, publish
from tests.web.browser import shown
from tests.web.conftest import logged_in
from tests.web.forms import hidden, shown_fields

PAGE = "/fr/incidents/arnia/cve/answer"


@pytest.fixture
async def cve(arnia: Node, megalis: Node) -> Node:
    """An incident that affects one deployment of arnia's for sure, and one perhaps."""
    await introduce(arnia, megalis)
    await publish(arnia, "incident", "cve", a_vulnerability(title={"fr": "Faille grave"}))
    await publish(arnia, "deployment", "old", running("10.0.17", bodies(CHALON)))
    await publish(arnia, "deployment", "unsure", running(None, bodies(DIJON)))
    return arnia


async def stated(node: Node) -> dict[str, str | None]:
    """Affected or unknown deployments of the operator, with what it has stated about them."""
    exposed = await exposure.of_incident(node, "arnia", "cve", by=itself("arnia"))
    (own,) = (entry for entry in exposed.operators if entry.operator == "arnia")
    return {entry.id: entry.stated for entry in own.deployments}


async def answered(client: httpx2.AsyncClient, **fields: str) -> None:
    """Fill in the form, review and publish."""
    typed = shown_fields(await client.get(PAGE)) | fields
    review = await client.post(PAGE, data={**typed, "do": "review"})
    shown(review)
    done = await client.post(PAGE, data={**hidden(review), "do": "publish"})
    assert done.headers.get("location") == "/fr/incidents/arnia/cve?done=answered", done.text


async def test_the_form_proposes_what_the_versions_say(cve: Node, editor: httpx2.AsyncClient) -> None:
    page = await editor.get(PAGE)
    assert "Oui : déploiements touchés chez nous : 1. À vérifier en plus : 1." in shown(page)
    fields = shown_fields(page)
    assert fields["of.arnia/old"] == "known_affected"
    assert fields["of.arnia/unsure"] == "under_investigation"
    assert (fields["status"], fields["tlp"]) == ("", "GREEN")
    review = await editor.post(PAGE, data={**fields, "action.fr": "Mise à jour ce soir", "do": "review"})
    text = shown(review)
    assert "touché: arnia/old" in text
    assert "vérification en cours: arnia/unsure" in text
    assert "Megalis (megalis)" in text, "the readers are named"
    assert await stated(cve) == {"arnia/old": None, "arnia/unsure": None}, "nothing is published yet"
    done = await editor.post(PAGE, data={**hidden(review), "do": "publish"})
    assert done.status_code == 303
    assert await stated(cve) == {"arnia/old": "known_affected", "arnia/unsure": "under_investigation"}
    assert "Mise à jour ce soir" in shown(await editor.get("/fr/incidents/arnia/cve"))


async def test_the_last_answer_is_the_one_that_applies(cve: Node, editor: httpx2.AsyncClient) -> None:
    one_by_one = {"status": "", "of.arnia/old": "known_affected", "of.arnia/unsure": "fixed"}
    await answered(editor, **one_by_one)
    assert await stated(cve) == {"arnia/old": "known_affected"}
    await answered(editor, **{"status": "fixed", "of.arnia/old": ""})
    assert await stated(cve) == {}, "one answer for all takes the place of the others"
    (only,) = (await answers.own_statements(cve, "arnia/cve", by=itself("arnia"))).statements
    assert (only.content.status, only.content.deployments) == ("fixed", ())
    # By a program, and so newer than what the page has published.
    await publish(cve, "statement", "by-program", a_statement(incident="arnia/cve", status="known_affected"))
    assert set(await stated(cve)) == {"arnia/old", "arnia/unsure"}
    await answered(editor, status="fixed", **{"of.arnia/old": "", "of.arnia/unsure": ""})
    assert await stated(cve) == {}
    await publish(
        cve, "statement", "by-program-too",
        a_statement(incident="arnia/cve", status="known_affected", deployments=["arnia/old"]),
    )  # fmt: skip
    await answered(editor, status="", **{"of.arnia/old": "known_affected"})
    assert await stated(cve) == {"arnia/old": "known_affected"}, "the others stay answered"


async def test_not_affected_needs_a_reason_and_only_that(cve: Node, editor: httpx2.AsyncClient) -> None:
    fields = shown_fields(await editor.get(PAGE))
    typed = {**fields, "of.arnia/old": "known_not_affected", "action.fr": "Déjà protégé", "do": "publish"}
    refused = await editor.post(PAGE, data=typed)
    assert "Dites pourquoi ce n’est pas touché" in shown(refused, 400)
    assert "Déjà protégé" in refused.text
    wrong = {**fields, "justification": "component_not_present", "do": "publish"}
    assert "Seulement avec la réponse" in shown(await editor.post(PAGE, data=wrong), 400)
    empty = {**fields, "of.arnia/old": "", "do": "publish"}
    assert "Choisissez une réponse pour lui" in shown(await editor.post(PAGE, data=empty), 400)
    assert await stated(cve) == {"arnia/old": None, "arnia/unsure": None}
    reason = "inline_mitigations_already_exist"
    await answered(editor, justification=reason, **{"of.arnia/old": "known_not_affected"})
    assert await stated(cve) == {"arnia/unsure": "under_investigation"}


async def test_an_answer_of_a_colleague_meanwhile_is_shown_and_not_replaced(
    cve: Node, editor: httpx2.AsyncClient
) -> None:
    fields = {**shown_fields(await editor.get(PAGE)), "action.fr": "Ma réponse"}
    await publish(
        cve, "statement", "theirs",
        a_statement(incident="arnia/cve", status="fixed", action={"fr": "Réponse du collègue"}),
    )  # fmt: skip
    late = await editor.post(PAGE, data={**fields, "do": "publish"})
    text = shown(late, 412)
    assert "Quelqu’un de chez nous a répondu entre-temps" in text
    assert "Réponse du collègue" in text
    assert "Ma réponse" in late.text
    assert await stated(cve) == {}
    again = await editor.post(PAGE, data={**shown_fields(late), "status": "known_affected", "do": "publish"})
    assert again.status_code == 303
    assert set(await stated(cve)) == {"arnia/old", "arnia/unsure"}


async def test_an_answer_in_between_undoes_all_of_it(cve: Node) -> None:
    by = itself("arnia")
    before = await answers.own_statements(cve, "arnia/cve", by=by)
    parts = [
        answers.Part({"status": "fixed", "deployments": ["arnia/old"]}),
        answers.Part({"status": "known_affected", "deployments": ["arnia/unsure"]}),
    ]
    drafts = answers.drafts("arnia/cve", parts, "GREEN", None)
    await publish(cve, "statement", "theirs", a_statement(incident="arnia/cve", status="known_affected"))
    with pytest.raises(PreconditionFailed):
        await answers.publish_answer(cve, "arnia/cve", drafts, state=before.state, newest=None, by=by)
    assert set((await stated(cve)).values()) == {"known_affected"}
    now = await answers.own_statements(cve, "arnia/cve", by=by)
    await answers.publish_answer(cve, "arnia/cve", drafts, state=now.state, newest="theirs", by=by)
    assert await stated(cve) == {"arnia/unsure": "known_affected"}


async def test_an_answer_is_never_wider_than_its_incident(
    cve: Node, app: Litestar, editor: httpx2.AsyncClient
) -> None:
    await publish(cve, "group", "close", a_group(members=["megalis"]))
    await publish(
        cve, "incident", "cve", a_vulnerability(title={"fr": "Canari"}), tlp="AMBER", audience="close"
    )
    shown(await editor.get(PAGE), 404)
    async with logged_in(app, cve, "editor", "arnia/close") as trusted:
        fields = shown_fields(await trusted.get(PAGE))
        assert (fields["tlp"], fields["audience"]) == ("AMBER", "close")
        wide = {**fields, "tlp": "GREEN", "audience": "", "do": "publish"}
        assert "Choisissez qui peut voir la réponse." in shown(await trusted.post(PAGE, data=wide), 400)
        await answered(trusted)
    assert set((await stated(cve)).values()) == {"known_affected", "under_investigation"}


async def test_a_reader_does_not_answer(cve: Node, member: httpx2.AsyncClient) -> None:
    shown(await member.get(PAGE), 403)
    shown(await member.post(PAGE, data={"status": "fixed", "tlp": "GREEN", "do": "publish"}), 403)
    assert await stated(cve) == {"arnia/old": None, "arnia/unsure": None}
