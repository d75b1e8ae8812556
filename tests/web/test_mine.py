"""Ours: what is unanswered, old, unknown or due; deployments, reports to authorities, alerts."""

from __future__ import annotations

import re

import httpx2

from federation.node.node import Node
from tests.domain.builders import a_solution, a_statement, an_incident
from tests.exposure.deployments import CHALON, DIJON, a_vulnerability, bodies, copy, running
from tests.nodes import publish
from tests.web.browser import shown
from tests.web.forms import hidden, shown_fields
from tests.web.statements import counted


async def test_what_waits_for_us_is_on_one_page(arnia: Node, editor: httpx2.AsyncClient) -> None:
    releases = [{"version": "10.0.17", "eol_at": "2020-01-01"}, {"version": "10.0.18", "support": "lts"}]
    await publish(arnia, "solution", "glpi", a_solution(releases=releases))
    await publish(arnia, "incident", "cve", a_vulnerability(title={"fr": "Faille grave"}))
    await publish(arnia, "deployment", "old", running("10.0.17", bodies(CHALON)))
    await publish(arnia, "deployment", "unsure", running(None, bodies(DIJON)))
    await publish(arnia, "deployment", "new", running("10.0.18", bodies(DIJON)))
    task = {"key": "tender", "text": {"fr": "Rédiger"}, "owner": "arnia", "due": "2020-11-30"}
    done = {"key": "past", "text": {"fr": "Canari terminé"}, "owner": "arnia", "done_on": "2026-11-01"}
    theirs = {"key": "theirs", "text": {"fr": "Canari de megalis"}, "owner": "megalis"}
    meeting = {"title": {"fr": "Octobre"}, "starts_at": "2026-10-01T08:00:00Z", "tasks": [task, done, theirs]}
    await publish(arnia, "meeting", "oct", meeting)
    await copy(
        arnia, "consultation", "megalis/mail",
        {
            "purchase": "megalis/mail", "title": {"fr": "Messagerie"}, "status": "gathering",
            "needs_until": "2099-12-15T11:00:00Z",
        },
        tlp="CLEAR",
    )  # fmt: skip
    await publish(arnia, "incident", "secret", a_vulnerability(title={"fr": "Canari secret"}), tlp="RED")
    answer = await editor.get("/fr/mine")
    text = shown(answer)
    assert "Faille grave" in text
    assert 'href="/fr/incidents/arnia/cve/answer"' in answer.text
    assert "suivi terminé : 1er janvier 2020" in text.replace("\N{NO-BREAK SPACE}", " ")
    assert "version inconnue : on ne sait pas si un incident le touche" in text
    assert "10.0.18" not in text
    assert "Rédiger: en retard" in text
    assert "Messagerie: besoins recueillis jusqu’au" in text
    assert "Nous n’avons encore rien dit." in text
    assert "Canari" not in text
    await publish(arnia, "statement", "cve", a_statement(incident="arnia/cve", status="fixed"))
    text = shown(await editor.get("/fr/mine"))
    assert "Aucun incident ouvert connu ici n’attend notre réponse." in text


async def test_a_deployment_is_shown_with_its_version_and_its_bodies(
    arnia: Node, member: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    await publish(arnia, "deployment", "glpi-71", running("10.0.17", bodies(CHALON)))
    await publish(arnia, "deployment", "none", running(None, {"kind": "territory", "territory": ["71"]}))
    await publish(arnia, "deployment", "secret", running("6.6.6", bodies(CHALON)), tlp="RED")
    listed = await member.get("/fr/deployments?solution=arnia/glpi")
    assert "2 résultats" in shown(listed)
    assert "6.6.6" not in listed.text
    text = shown(await member.get("/fr/deployments/arnia/glpi-71"))
    assert "10.0.17 (exacte)" in text
    assert "Chalon-sur-Saône (217100767)" in text
    assert "Tous les organismes de ces territoires : 71" in shown(
        await member.get("/fr/deployments/arnia/none")
    )
    file = await member.get("/fr/deployments.csv")
    assert "arnia/glpi-71" in file.text
    assert "6.6.6" not in file.text
    shown(await visitor.get("/fr/deployments/arnia/glpi-71"), 404)
    assert "glpi-71" not in (await visitor.get("/fr/deployments.csv")).text


async def test_a_report_is_noted_and_its_steps_are_done(arnia: Node, editor: httpx2.AsyncClient) -> None:
    await publish(arnia, "incident", "leak", an_incident(kind="security"), tlp="GREEN")
    page = await editor.get("/fr/deadlines?incident=arnia/leak")
    fields = shown_fields(page)
    assert fields["incident"] == "arnia/leak"
    typed = {**fields, "title": "Fuite", "aware_at": "2026-11-30T10:00", "do": "add"}
    refused = await editor.post("/fr/deadlines", data=typed)
    assert 'value="Fuite"' in refused.text
    assert "1 point à corriger" in shown(refused, 400)
    saved = await editor.post("/fr/deadlines", data={**typed, "regimes": ["nis2", "gdpr"]})
    assert saved.headers["location"] == "/fr/deadlines?done=saved"
    page = await editor.get("/fr/deadlines")
    assert "NIS2 : alerte précoce sous 24 heures" in shown(page)
    assert "NIS2 : alerte précoce sous 24 heures" in shown(await editor.get("/fr/incidents/arnia/leak"))
    button = re.search(r'name="do" value="(done:[^"]*)"', page.text)
    assert button is not None
    done = {"step": "nis2-early-warning", "reference": "ANSSI-1", "do": button[1]}
    assert (await editor.post("/fr/deadlines", data=done)).status_code == 303
    assert (await editor.get("/fr/deadlines")).text.count('name="do" value="done:') == 3


async def test_alerts_are_ones_own(
    arnia: Node, editor: httpx2.AsyncClient, member: httpx2.AsyncClient
) -> None:
    webhook = {"webhook": "https://itsm.example.org/hook", "do": "add"}
    added = await editor.post("/fr/subscriptions", data={**webhook, "events": ["incident.affects-mine"]})
    assert "whsec_" in shown(added)
    assert added.headers["cache-control"] == "no-store"
    page = await editor.get("/fr/subscriptions")
    assert "whsec_" not in page.text
    assert "un incident nous touche" in shown(page)
    others = await member.get("/fr/subscriptions")
    assert "itsm.example.org/hook" not in others.text
    shown(await member.post("/fr/subscriptions", data=hidden(page)), 404)
    hidden_events = await member.post("/fr/subscriptions", data={**webhook, "events": ["record.rejected"]})
    shown(hidden_events, 400)
    assert (await editor.post("/fr/subscriptions", data=hidden(page))).status_code == 303
    assert "itsm.example.org/hook" not in (await editor.get("/fr/subscriptions")).text


async def test_a_reader_has_no_page_of_ours(member: httpx2.AsyncClient) -> None:
    for path in ("/fr/mine", "/fr/deadlines", "/fr/write"):
        shown(await member.get(path), 403)


async def test_a_page_takes_as_many_statements_for_many_incidents_as_for_few(
    arnia: Node, editor: httpx2.AsyncClient
) -> None:
    await publish(arnia, "deployment", "old", running("10.0.17", bodies(CHALON)))
    numbers = []
    for count in (2, 6):
        for number in range(count):
            await publish(arnia, "incident", f"cve-{number}", a_vulnerability(aliases=[f"CVE-2026-{number}"]))
        for path in ("/fr/mine", "/fr/incidents", "/fr/incidents/arnia/cve-1"):
            shown(await editor.get(path))  # (the index is refreshed)
        with counted() as statements:
            for path in ("/fr/mine", "/fr/incidents", "/fr/incidents/arnia/cve-1"):
                shown(await editor.get(path))
        # (A session notes once a minute that it is used.)
        numbers.append(sum("sessions" not in statement for statement in statements))
    assert numbers[0] == numbers[1]
