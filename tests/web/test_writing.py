"""Writing: refused input stays, readers are named before publication, nobody's change is lost."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from litestar import Litestar

from federation.domain.content.solution import Solution
from federation.domain.registry import TYPES
from federation.domain.visibility import itself
from federation.node import default_labels, records, sessions
from federation.node.node import Node
from tests.domain.builders import a_group, a_solution, an_incident
from tests.nodes import introduce, publish
from tests.people.people import a_person, log_in
from tests.web.browser import SAME_ORIGIN, browsing, shown
from tests.web.conftest import logged_in
from tests.web.forms import hidden, shown_fields

SOLUTION = {
    "name": "GLPI",
    "summary.fr": "Gestion de parc",
    "kind": "software",
    "status": "stable",
    "licence": "GPL-3.0-or-later",
    "themes": "it-asset-management\r\nhelp-desk",
    "revision": "",
}


async def stored(node: Node, kind: str, key: str) -> dict[str, Any]:
    found = await records.find(node, TYPES[kind], node.operator, key, by=itself(node.operator))
    return json.loads(found.document)  # type: ignore[no-any-return]


async def test_a_new_record_is_reviewed_with_its_readers_and_published_once(
    arnia: Node, megalis: Node, editor: httpx2.AsyncClient
) -> None:
    await introduce(arnia, megalis)
    assert "Nom" in shown(await editor.get("/fr/write/solution"))
    review = await editor.post(
        "/fr/write/solution", data={**SOLUTION, "key": "glpi", "tlp": "GREEN", "do": "review"}
    )
    text = shown(review)
    assert "1 autre opérateur la voit : Megalis (megalis)" in text
    assert "Rien n’est encore publié." in text
    with pytest.raises(Exception, match="glpi"):
        await stored(arnia, "solution", "glpi")
    for _ in range(2):  # (a second click changes nothing and is no fault)
        done = await editor.post("/fr/write/solution", data={**hidden(review), "do": "publish"})
        assert (done.status_code, done.headers["location"]) == (
            303,
            "/fr/solutions/arnia/glpi?done=published",
        )
    document = await stored(arnia, "solution", "glpi")
    assert (document["revision"], document["tlp"]) == (1, "GREEN")
    assert document["content"]["themes"] == ["it-asset-management", "help-desk"]
    other = await editor.post(
        "/fr/write/solution", data={**SOLUTION, "name": "Autre", "key": "glpi", "do": "review"}
    )
    assert "Il y a déjà une fiche de ce nom." in shown(other, 400)


async def test_what_is_refused_stays_typed_with_the_faults_beside_their_fields(
    arnia: Node, editor: httpx2.AsyncClient
) -> None:
    answer = await editor.post(
        "/fr/write/solution",
        data={
            **SOLUTION,
            "name": "<b>x</b>",
            "licence": "nonsense-9",
            "themes": "",
            "kind": "",
            "do": "review",
        },
    )
    text = shown(answer, 400)
    assert "3 points à corriger" in text
    for name in ("licence", "themes", "kind"):
        assert f'id="fault-{name}"' in answer.text, name
    assert 'value="&lt;b&gt;x&lt;/b&gt;"' in answer.text
    assert 'value="nonsense-9"' in answer.text


async def test_a_row_is_added_without_a_script(arnia: Node, editor: httpx2.AsyncClient) -> None:
    first = await editor.get("/fr/write/incident")
    assert 'name="affects.0.solution"' in first.text
    assert 'name="remediations.0.text.fr"' not in first.text
    more = await editor.post(
        "/fr/write/incident", data={"revision": "", "title.fr": "Panne", "do": "add:remediations"}
    )
    shown(more)
    assert 'name="remediations.0.text.fr"' in more.text
    assert 'value="Panne"' in more.text


async def test_a_change_made_meanwhile_is_shown_beside_what_was_typed(
    arnia: Node, editor: httpx2.AsyncClient
) -> None:
    await publish(arnia, "solution", "glpi", a_solution())
    page = await editor.get("/fr/write/solution/glpi")
    fields = shown_fields(page)
    assert fields["name"] == "GLPI"
    await publish(arnia, "solution", "glpi", a_solution(summary={"fr": "Gestion de parc et de tickets"}))
    late = await editor.post("/fr/write/solution/glpi", data={**fields, "name": "Mon nom", "do": "publish"})
    text = shown(late, 412)
    assert "Quelqu’un a modifié cette fiche entre-temps" in text
    assert "Gestion de parc et de tickets" in text
    assert (await stored(arnia, "solution", "glpi"))["content"]["name"] == "GLPI"
    again = {**shown_fields(late), "summary.fr": "Gestion de parc et de tickets", "do": "publish"}
    assert again["name"] == "Mon nom"
    assert (await editor.post("/fr/write/solution/glpi", data=again)).status_code == 303
    content = (await stored(arnia, "solution", "glpi"))["content"]
    assert (content["name"], content["summary"]) == ("Mon nom", {"fr": "Gestion de parc et de tickets"})


async def test_a_record_that_was_retracted_meanwhile_keeps_what_was_typed(
    arnia: Node, editor: httpx2.AsyncClient
) -> None:
    await publish(arnia, "solution", "glpi", a_solution())
    fields = shown_fields(await editor.get("/fr/write/solution/glpi"))
    await records.retract(arnia, Solution, "arnia", "glpi", by=itself("arnia"))
    answer = await editor.post("/fr/write/solution/glpi", data={**fields, "name": "Mon nom", "do": "review"})
    text = shown(answer, 410)
    assert "Cette fiche a été retirée" in text
    assert "Mon nom" in text


async def test_a_session_that_has_ended_keeps_what_was_typed(arnia: Node, app: Litestar) -> None:
    person = await a_person(arnia, "Anne", "editor")
    async with browsing(app) as client:
        await log_in(arnia, client, person)
        client.headers.update(SAME_ORIGIN)
        await sessions.end_all(arnia, person.id)
        answer = await client.post("/fr/write/solution", data={**SOLUTION, "name": "Mon nom", "do": "review"})
        assert "Votre session est terminée" in shown(answer, 401)
        assert 'value="Mon nom"' in answer.text
        await log_in(arnia, client, person)
        assert "Rien n’est encore publié." in shown(
            await client.post("/fr/write/solution", data=hidden(answer))
        )


async def test_a_label_never_becomes_wider_without_a_tick(
    arnia: Node, megalis: Node, administrator: httpx2.AsyncClient
) -> None:
    await introduce(arnia, megalis)
    await publish(arnia, "solution", "glpi", a_solution(), tlp="RED")
    page = await administrator.get("/fr/write/solution/glpi")
    fields = shown_fields(page)
    assert fields["tlp"] == "RED", "the form has the label that the record has"
    fields["tlp"] = "GREEN"
    review = await administrator.post("/fr/write/solution/glpi", data={**fields, "do": "review"})
    assert "Ils ne la voient pas encore, et la verront : megalis" in shown(review)
    refused = await administrator.post("/fr/write/solution/glpi", data={**hidden(review), "do": "publish"})
    assert "Cochez cette case" in shown(refused, 400)
    assert (await stored(arnia, "solution", "glpi"))["tlp"] == "RED"
    done = await administrator.post(
        "/fr/write/solution/glpi", data={**hidden(review), "widen": "yes", "do": "publish"}
    )
    assert done.status_code == 303
    assert (await stored(arnia, "solution", "glpi"))["tlp"] == "GREEN"


async def test_a_ceiling_bounds_what_is_offered_and_written(
    arnia: Node, app: Litestar, editor: httpx2.AsyncClient
) -> None:
    await publish(arnia, "group", "close", a_group(members=["megalis"]))
    await publish(arnia, "solution", "secret", a_solution(), tlp="AMBER", audience="close")
    page = await editor.get("/fr/write/solution")
    assert "TLP:AMBER" not in page.text
    assert "close" not in page.text
    forged = await editor.post(
        "/fr/write/solution", data={**SOLUTION, "tlp": "AMBER", "audience": "close", "do": "publish"}
    )
    shown(forged, 400)
    shown(await editor.get("/fr/write/solution/secret"), 404)
    async with logged_in(app, arnia, "editor", "arnia/close") as trusted:
        assert 'value="close"' in (await trusted.get("/fr/write/solution")).text
        assert "GLPI" in shown(await trusted.get("/fr/write/solution/secret"))
        review = await trusted.post(
            "/fr/write/solution", data={**SOLUTION, "tlp": "AMBER", "audience": "close", "do": "review"}
        )
        assert "megalis" in shown(review), "a member of the group that is no peer is named, too"


async def test_a_reader_writes_nothing_and_nobody_does_from_another_site(
    arnia: Node, member: httpx2.AsyncClient, editor: httpx2.AsyncClient
) -> None:
    assert "Votre rôle ne le permet pas" in shown(await member.get("/fr/write/solution"), 403)
    shown(await member.post("/fr/write/solution", data=SOLUTION), 403)
    elsewhere = {"sec-fetch-site": "cross-site"}
    shown(await editor.post("/fr/write/solution", data={**SOLUTION, "do": "publish"}, headers=elsewhere), 403)
    shown(await editor.get("/fr/write/nothing"), 404)


async def test_retracting_names_those_who_have_it_and_has_the_state_that_was_shown(
    arnia: Node, megalis: Node, editor: httpx2.AsyncClient
) -> None:
    await introduce(arnia, megalis)
    await publish(arnia, "solution", "glpi", a_solution(), tlp="GREEN")
    page = await editor.get("/fr/write/solution/glpi/retract")
    assert "Megalis (megalis)" in shown(page)
    await publish(arnia, "solution", "glpi", a_solution(name="Autre"), tlp="GREEN")
    late = await editor.post("/fr/write/solution/glpi/retract", data=hidden(page))
    assert "Autre" in shown(late, 412)
    done = await editor.post("/fr/write/solution/glpi/retract", data=hidden(late))
    assert done.headers["location"] == "/fr/solutions?done=retracted"
    assert "content" not in await stored(arnia, "solution", "glpi")


async def test_a_line_is_appended_to_the_timeline(arnia: Node, editor: httpx2.AsyncClient) -> None:
    await publish(arnia, "incident", "down", an_incident(), tlp="GREEN")
    page = await editor.get("/fr/write/incident/down/update")
    fields = {**shown_fields(page), "text.fr": "Cause trouvée", "status": "identified"}
    assert "1 point à corriger" in shown(
        await editor.post(
            "/fr/write/incident/down/update", data={**fields, "status": "scheduled", "do": "review"}
        ),
        400,
    )
    review = await editor.post("/fr/write/incident/down/update", data={**fields, "do": "review"})
    assert "Cause trouvée" in shown(review)
    done = await editor.post("/fr/write/incident/down/update", data={**hidden(review), "do": "publish"})
    assert done.headers["location"] == "/fr/incidents/arnia/down?done=published"
    content = (await stored(arnia, "incident", "down"))["content"]
    assert [line["text"] for line in content["updates"]] == [{"fr": "Cause trouvée"}]
    assert content["status"] == "identified"


async def test_records_without_a_page_of_their_own_are_found_to_be_changed(
    arnia: Node, editor: httpx2.AsyncClient
) -> None:
    """Offers are on the page of their solution; groups are on none."""
    offer = {
        "solution": "arnia/glpi", "title.fr": "GLPI pour tous", "contact": "contact@arnia.example.org",
        "pricing": "tariff", "tariff.currency": "EUR", "tariff.vat": "excluded",
        "tariff.parts.0.label.fr": "Adhésion", "tariff.parts.0.when": "yearly",
        "tariff.parts.0.basis": "inhabitant", "tariff.parts.0.micros": "0,166",
        "tariff.parts.0.population.to": "3500", "revision": "", "key": "glpi", "do": "publish",
    }  # fmt: skip
    done = await editor.post("/fr/write/offer", data=offer)
    assert done.headers.get("location") == "/fr/solutions/arnia/glpi?done=published", done.text
    (part,) = (await stored(arnia, "offer", "glpi"))["content"]["tariff"]["parts"]
    assert (part["micros"], part["population"]) == (166_000, {"to": 3500})
    listed = await editor.get("/fr/write?type=offer")
    assert "GLPI pour tous" in shown(listed)
    assert 'href="/fr/write/offer/glpi"' in listed.text
    fields = shown_fields(await editor.get("/fr/write/offer/glpi"))
    assert fields["tariff.parts.0.micros"] == "0.166"
    mixed = await editor.post("/fr/write/offer/glpi", data={**fields, "pricing": "free", "do": "review"})
    assert 'id="fault-pricing"' in mixed.text, shown(mixed, 400)


async def test_the_usual_label_is_named_in_the_review_and_is_the_one_that_is_published(
    arnia: Node, editor: httpx2.AsyncClient
) -> None:
    outage = {
        "title.fr": "Panne", "summary.fr": "Rien ne répond", "kind": "outage", "status": "investigating",
        "severity": "high", "affects.0.solution": "arnia/glpi", "started_at": "2026-03-01T08:00",
        "key": "down", "revision": "", "do": "review",
    }  # fmt: skip
    await default_labels.set_label_of_outages(arnia, "CLEAR", by=itself("arnia"))
    review = await editor.post("/fr/write/incident", data=outage)
    assert "Tout le monde la verra, même sans connexion." in shown(review)
    await default_labels.set_label_of_outages(arnia, "GREEN", by=itself("arnia"))
    narrow = await editor.post("/fr/write/incident", data=outage)
    assert "Tout le monde" not in shown(narrow)
    await default_labels.set_label_of_outages(arnia, "CLEAR", by=itself("arnia"))
    done = await editor.post("/fr/write/incident", data={**hidden(narrow), "do": "publish"})
    assert done.status_code == 303
    assert (await stored(arnia, "incident", "down"))["tlp"] == "GREEN"
    attack = await editor.post("/fr/write/incident", data={**outage, "kind": "security", "key": "attack"})
    assert "AMBER" in shown(attack, 400), "a security incident needs a group, or another label"
