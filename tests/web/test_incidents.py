"""The page of an incident: are we affected, what to do, whom to call."""

from __future__ import annotations

import httpx2
import pytest

from federation.node.node import Node
from tests.domain.builders import a_statement, an_operator
from tests.exposure.deployments import CHALON, DIJON, a_vulnerability, bodies, copy, running
from tests.nodes import introduce, publish
from tests.web.browser import shown


@pytest.fixture
async def cve(arnia: Node, megalis: Node) -> Node:
    """An incident that affects a deployment of arnia's for sure, one perhaps, and one of megalis's."""
    await introduce(arnia, megalis)
    await publish(arnia, "operator", "arnia", an_operator(security_telephone="+33 1 99 00 12 34"))
    await copy(
        arnia, "operator", "megalis/megalis",
        an_operator(name="Mégalis Bretagne", security_contact="urgence@megalis.example.org"),
    )  # fmt: skip
    await publish(
        arnia, "incident", "cve",
        a_vulnerability(
            title={"fr": "Faille grave", "en": "Serious flaw"},
            remediations=[{"category": "vendor_fix", "text": {"fr": "Mettez à jour"}, "version": "10.0.18"}],
        ),
        tlp="CLEAR",
    )  # fmt: skip
    await publish(arnia, "deployment", "old", running("10.0.17", bodies(CHALON)))
    await publish(arnia, "deployment", "unsure", running(None, bodies(DIJON)))
    await copy(arnia, "deployment", "megalis/glpi", running("10.0.17", bodies(DIJON)), tlp="GREEN")
    return arnia


async def test_a_member_sees_at_once_whether_we_are_affected_and_whom_to_call(
    cve: Node, member: httpx2.AsyncClient
) -> None:
    answer = await member.get("/fr/incidents/arnia/cve")
    text = shown(answer)
    assert "Faille grave" in text
    assert "Oui : déploiements touchés chez nous : 1. À vérifier en plus : 1." in text
    assert "Nous n’avons pas encore répondu." in text
    assert "Correctif de l’éditeur 10.0.18: Mettez à jour" in text
    assert "Corrigé dans la version : 10.0.18" in text
    assert "On attend : L'ARNia, Mégalis Bretagne." in text
    assert "urgence@megalis.example.org" in text
    assert 'href="tel:+33199001234"' in answer.text
    assert "n’a pas répondu depuis la publication de l’incident," in text
    assert "le déploiement n'indique aucune version" in text
    assert 'rel="alternate" type="application/json" href="/v1/incidents/arnia/cve"' in answer.text
    assert "/answer" not in answer.text  # a reader does not answer


async def test_somebody_who_is_not_logged_in_sees_a_public_incident_and_no_exposure(
    cve: Node, visitor: httpx2.AsyncClient
) -> None:
    answer = await visitor.get("/fr/incidents/arnia/cve")
    text = shown(answer)
    assert "Faille grave" in text
    assert "Sommes-nous touchés" not in text
    for canary in ("arnia/old", "megalis", "Dijon"):
        assert canary not in answer.text
    await publish(cve, "incident", "hidden", a_vulnerability(title={"fr": "Canari"}), tlp="GREEN")
    assert "Canari" not in shown(await visitor.get("/fr/incidents/arnia/hidden"), 404)


async def test_an_answer_is_shown_with_its_time_and_its_words(cve: Node, editor: httpx2.AsyncClient) -> None:
    await publish(
        cve, "statement", "cve",
        a_statement(incident="arnia/cve", status="fixed", action={"fr": "Mis à jour hier"}),
    )  # fmt: skip
    answer = await editor.get("/fr/incidents/arnia/cve")
    text = shown(answer)
    assert "Plus maintenant, selon notre réponse : déploiements corrigés ou pas touchés : 2." in text
    assert "encore enregistrés avec une version touchée : 1." in text
    assert "Mis à jour hier" in text
    assert "On attend : Mégalis Bretagne." in text
    assert 'href="/fr/incidents/arnia/cve/answer"' in answer.text


async def test_what_is_not_recorded_is_unknown_and_never_not_affected(
    arnia: Node, member: httpx2.AsyncClient
) -> None:
    await publish(arnia, "incident", "cve", a_vulnerability())
    text = shown(await member.get("/fr/incidents/arnia/cve"))
    assert "Inconnu : aucun de nos déploiements n’est enregistré pour cela." in text
    assert "Seules les fiches que vous pouvez voir sont comptées." in text
    await publish(arnia, "deployment", "new", running("10.0.18", bodies(CHALON)))
    text = shown(await member.get("/fr/incidents/arnia/cve"))
    assert "Non, d’après les versions enregistrées : déploiements pas touchés chez nous : 1." in text
    await publish(arnia, "deployment", "new", running("10.0.18", bodies(CHALON)), tlp="RED")
    assert "Inconnu :" in shown(await member.get("/fr/incidents/arnia/cve"))
