"""Pages of buying together: what can be joined, how needs add up, and the form of one's own need."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from federation.domain.visibility import itself
from federation.node import purchases
from federation.node.node import Node
from tests.api.http_client import put
from tests.domain.builders import a_contribution, an_operator
from tests.exposure.deployments import bodies, copy
from tests.nodes import introduce, publish
from tests.people.people import a_person, log_in
from tests.purchasing.records import a_consultation, a_participation, a_purchase
from tests.web.browser import SAME_ORIGIN, links, shown
from tests.web.statements import counted

PAGE = "/fr/consultations/arnia/postes-2026"
FORM = f"{PAGE}/participation"


def until(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days, minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def published(arnia: Node, **members: Any) -> None:
    await publish(arnia, "purchase", "postes", a_purchase(joining={"text": {"fr": "Signez la convention."}}))
    await publish(
        arnia, "consultation", "postes-2026", a_consultation(**{"needs_until": until(12), **members})
    )


async def test_lists_show_what_is_public_with_stage_and_time_left(
    visitor: httpx2.AsyncClient, arnia: Node
) -> None:
    await published(arnia)
    await publish(arnia, "purchase", "canary", a_purchase(title={"fr": "Canari"}), tlp="GREEN")
    await publish(arnia, "consultation", "canary", a_consultation(title={"fr": "Canari"}), tlp="RED")
    for path, name in (("purchases", "Groupement de postes"), ("consultations", "Postes 2026")):
        with counted() as statements:
            answer = await visitor.get(f"/fr/{path}")
        text = shown(answer)
        assert name in text
        assert "Canari" not in text
        assert len(statements) <= 3, str(statements)
        file = await visitor.get(f"/fr/{path}.csv")
        _, row = csv.reader(io.StringIO(file.content.decode("utf-8-sig"), newline=""))
        assert row[0] == name
    assert "dans 12 jours" in shown(await visitor.get("/fr/consultations")).replace("\N{NO-BREAK SPACE}", " ")
    assert "Rien ne correspond" in shown(await visitor.get("/fr/purchases?kind=partenariat"))
    assert "Groupement" in shown(await visitor.get("/fr/purchases?kind=groupement-de-commandes"))


async def test_a_purchase_says_how_to_join_and_what_is_held(visitor: httpx2.AsyncClient, arnia: Node) -> None:
    await published(arnia)
    await publish(arnia, "consultation", "canary", a_consultation(title={"fr": "Canari"}), tlp="GREEN")
    answer = await visitor.get("/fr/purchases/arnia/postes")
    text = shown(answer)
    assert "Signez la convention." in text
    assert "ne profite pas des procédures déjà lancées" in text
    assert "21710076700011" in text
    assert "Canari" not in text
    assert PAGE in links(answer)


async def test_needs_add_up_before_the_deadline(
    visitor: httpx2.AsyncClient, arnia: Node, megalis: Node
) -> None:
    await introduce(arnia, megalis)
    await published(arnia)
    await publish(arnia, "participation", "own", a_participation(40, bodies=bodies("217100767")))
    await copy(arnia, "participation", "megalis/p", a_participation(1_212), tlp="GREEN")
    await copy(arnia, "participation", "recia/p", a_participation(), tlp="GREEN")
    await publish(arnia, "participation", "open", a_participation(3), tlp="CLEAR")
    await visitor.get(PAGE)  # reads the keys, which have changed
    with counted() as statements:
        answer = await visitor.get(PAGE)
    # (The notifier looks for changes of other processes beside it.)
    own = [statement[:150] for statement in statements if not statement.endswith("FROM node")]
    assert len(own) <= 8, own
    text = shown(answer).replace("\N{NO-BREAK SPACE}", " ")
    assert "dans 12 jours" in text
    assert "Il reste peu de temps" in text
    assert "reposent sur les seuls besoins publics" in text
    assert "ordinateurs portables3" in text
    assert "megalis" not in text
    assert "1 212" not in text
    assert "cela ne veut pas dire que personne n’a répondu" in text
    await log_in(arnia, visitor, await a_person(arnia))
    text = shown(await visitor.get(PAGE)).replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert "ordinateurs portables1 255" in text
    assert "recia (aucune fiche de cet opérateur ici : seul son identifiant est connu)" in text
    rows = list(csv.reader(io.StringIO((await visitor.get(f"{PAGE}/needs.csv")).text.lstrip("\ufeff"))))
    assert ["megalis", "ordinateurs portables", "1212"] in [row[:3] for row in rows]


async def test_nothing_visible_is_not_nothing(visitor: httpx2.AsyncClient, arnia: Node) -> None:
    await published(arnia)
    await publish(arnia, "participation", "own", a_participation(40))
    assert "ordinateurs portablesinconnu" in shown(await visitor.get(PAGE))


async def test_after_the_deadline_a_need_is_late(visitor: httpx2.AsyncClient, arnia: Node) -> None:
    await published(arnia, needs_until=until(-1))
    await publish(arnia, "participation", "own", a_participation(40), tlp="CLEAR")
    text = shown(await visitor.get(PAGE))
    assert "Un besoin donné maintenant est en retard" in text
    assert "donné en retard : 40" in text


# The form


async def editor(arnia: Node, visitor: httpx2.AsyncClient, role: str = "editor") -> None:
    await log_in(arnia, visitor, await a_person(arnia, "Anne", role))
    visitor.headers.update(SAME_ORIGIN)


def sent(**fields: str) -> dict[str, str]:
    return {"state": "need-given", "bodies": "ourselves", "tlp": "GREEN", "quantity-portable": "40", **fields}


async def test_an_editor_gives_a_need_and_changes_it(visitor: httpx2.AsyncClient, arnia: Node) -> None:
    await published(arnia)
    await editor(arnia, visitor)
    assert "nous-mêmes" in shown(await visitor.get(FORM))
    answer = await visitor.post(
        FORM, data=sent(**{"estimate-portable": "1 500,50", "bodies": "list", "listed": "71076"})
    )
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}?done=published")
    needs = await purchases.needs_of(arnia, "arnia", "postes-2026", by=itself("arnia"))
    assert (needs.units[0].quantity, needs.units[0].estimated_cents, needs.bodies.communes) == (
        40,
        150_050,
        1,
    )
    page = await visitor.get(FORM)
    state = page.text.partition('name="record_state" value="')[2].partition('"')[0]
    assert 'value="40"' in page.text
    assert 'value="1500.50"' in page.text
    assert len(state) == 64
    answer = await visitor.post(FORM, data=sent(**{"quantity-portable": "41", "record_state": state}))
    assert answer.status_code == 303
    needs = await purchases.needs_of(arnia, "arnia", "postes-2026", by=itself("arnia"))
    assert (needs.units[0].quantity, len(needs.operators[0].participations)) == (41, 1)
    # Sent again from the old page: nothing is overwritten unseen, and what was typed stays.
    again = await visitor.post(FORM, data=sent(**{"quantity-portable": "7", "record_state": state}))
    assert "modifié cette fiche entre-temps" in shown(again, 400)
    assert 'value="7"' in again.text


async def test_faults_stand_beside_their_fields_and_what_was_typed_stays(
    visitor: httpx2.AsyncClient, arnia: Node
) -> None:
    await published(arnia)
    await editor(arnia, visitor)
    wrong = {
        "quantity-portable": "4O",
        "estimate-portable": "x",
        "bodies": "list",
        "listed": "99999\n71076",
        "decided_on": "odd",
    }
    answer = await visitor.post(FORM, data=sent(**wrong))
    text = shown(answer, 400)
    assert "99999" in text
    assert 'value="4O"' in answer.text
    for field in ("quantity-portable", "listed", "decided_on"):
        assert f'id="fault-{field}"' in answer.text, field
    needs = await purchases.needs_of(arnia, "arnia", "postes-2026", by=itself("arnia"))
    assert needs.operators == ()


async def test_who_may_not_write_has_no_form(visitor: httpx2.AsyncClient, arnia: Node) -> None:
    await published(arnia)
    visitor.headers.update(SAME_ORIGIN)
    assert FORM not in links(await visitor.get(PAGE))
    assert (await visitor.get(FORM)).status_code == 303
    await editor(arnia, visitor, "reader")
    assert FORM not in links(await visitor.get(PAGE))
    shown(await visitor.get(FORM), 403)
    shown(await visitor.post(FORM, data=sent()), 403)
    await editor(arnia, visitor)
    assert FORM in links(await visitor.get(PAGE))
    assert (
        await visitor.post(FORM, data=sent(), headers={"sec-fetch-site": "cross-site"})
    ).status_code == 403


async def test_a_member_with_records_of_its_own_keeps_them(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    assert (await put(own, "purchases/postes", a_purchase())).status_code in (200, 201)
    shown(await visitor.get("/en/purchases/arnia/postes"))


async def test_a_consultation_shows_its_tariff_and_what_others_add(
    visitor: httpx2.AsyncClient, arnia: Node
) -> None:
    part = {"label": {"fr": "Par poste"}, "when": "once", "basis": "body", "micros": 12_500_000}
    await published(arnia, tariff={"currency": "EUR", "vat": "excluded", "parts": [part]})
    await publish(arnia, "operator", "arnia", an_operator())
    about = {"type": "consultation", "id": "arnia/postes-2026"}
    question = a_contribution(about=about, kind="question", text={"fr": "Pour quelle date ?"})
    await publish(arnia, "contribution", "shown", question, tlp="CLEAR")
    canary = a_contribution(about=about, text={"fr": "Canari"})
    await publish(arnia, "contribution", "hidden", canary, tlp="RED")
    text = shown(await visitor.get(PAGE)).replace("\N{NO-BREAK SPACE}", " ")
    assert "Par poste – 12,50 € par organisme, une fois" in text
    assert "Pour quelle date ?" in text
    assert "L'ARNia" in text
    assert "Canari" not in text
    await log_in(arnia, visitor, await a_person(arnia, "Anne", "editor"))
    visitor.headers.update(SAME_ORIGIN)
    assert "Canari" not in shown(await visitor.get(PAGE))
    refused = await visitor.post(f"{PAGE}/contributions", data={"kind": "answer"})
    assert "1 point à corriger" in shown(refused, 400)
    typed = {"kind": "answer", "text": "Avant l’été.", "key": "answer"}
    answer = await visitor.post(f"{PAGE}/contributions", data=typed)
    assert answer.headers["location"].startswith(PAGE)
    assert "Avant l’été." in shown(await visitor.get(PAGE))
