"""The page of a commune: found by what people type, prices at once, and the text that a council votes."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest
from odfdo import Document

from federation.node.node import Node
from tests.api.http_client import put
from tests.api.table_files import rows_of
from tests.domain.builders import a_deployment
from tests.exposure.deployments import copy, copy_unread
from tests.offers.tariffs import AMF_32, CDG_38, an_offer, euros, tariff
from tests.people.people import a_person, log_in
from tests.web.browser import links, shown
from tests.web.statements import counted

SMALL = "/fr/bodies/cog:32010"
"""Arrouède in the Gers, with 85 inhabitants."""
SCHOOL = "/fr/bodies/0002:130025265"


async def publish(own: httpx2.AsyncClient, key: str, tlp: str = "CLEAR", **members: Any) -> None:
    answer = await own.put(f"/v1/offers/arnia/{key}", json={"tlp": tlp, "content": an_offer(**members)})
    assert answer.status_code == 201, answer.text


# Finding a commune


async def test_a_commune_is_found_among_those_of_its_name(visitor: httpx2.AsyncClient) -> None:
    assert "Trouvez votre commune" in shown(await visitor.get("/fr/commune"))
    answer = await visitor.get("/fr/commune", params={"q": "saint denis"})
    text = shown(answer)
    assert "Seine-Saint-Denis (93)" in text
    assert "93200" in text
    assert "/fr/bodies/cog:93066" in links(answer)


@pytest.mark.parametrize(
    ("question", "address"),
    [
        ("217100767", "cog:71076"),
        ("74011", "cog:74011"),
        ("130025265", "0002:130025265"),
        ("Œting", "cog:57521"),
    ],
)
async def test_the_only_body_found_leads_on(visitor: httpx2.AsyncClient, question: str, address: str) -> None:
    answer = await visitor.get("/fr/commune", params={"q": question})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/fr/bodies/{address}")


async def test_nothing_found_says_what_to_try(visitor: httpx2.AsyncClient) -> None:
    assert "Essayez le début du nom" in shown(await visitor.get("/fr/commune?q=zzz%3Cb%3E"))


# Offers and prices


async def test_offers_are_there_with_prices_and_the_way_to_join(
    own: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    await publish(
        own,
        "amf",
        title={"fr": "Adhésion"},
        tariff=AMF_32,
        steps=[{"what": {"fr": "Délibération"}, "who": "conseil municipal", "weeks": 6}],
        valid_until="2099-12-31",
    )
    await publish(own, "cdg", title={"fr": "Pack"}, tariff=CDG_38)
    await publish(own, "closed", title={"fr": "Pour d'autres"}, eligibility={"kinds": ["epci"]})
    await publish(own, "elsewhere", eligibility={"territory": ["FR-BRE"]})
    answer = await visitor.get(SMALL)
    text = shown(answer)
    assert "2 offres sont ouvertes · 1 ne l’est pas · 1 est pour un autre territoire" in text
    assert "48,00 € HT chaque année" in text.replace("\N{NO-BREAK SPACE}", " ")
    assert "52,00 € HT la première année, puis 36,00 € HT chaque année" in text.replace(
        "\N{NO-BREAK SPACE}", " "
    )
    assert text.index("Adhésion") < text.index("Pack") < text.index("Pour d'autres")
    assert "réservé aux intercommunalités (EPCI)" in text
    assert "Délibération (conseil municipal), 6 semaines" in text
    assert "31 décembre 2099" in text.replace("\N{NO-BREAK SPACE}", " ")
    mails = [unquote(link) for link in links(answer) if link.startswith("mailto:")]
    assert any("arnia/amf" in mail and "Arrouède" in mail and "offres@arnia" in mail for mail in mails)
    english = shown(await visitor.get(SMALL.replace("/fr/", "/en/")))
    assert "€48.00 without VAT each year" in english
    assert "for groupings of communes (EPCI) only" in english


async def test_a_number_that_is_missing_is_asked_for_in_place(
    own: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    await publish(own, "cdg", tariff=CDG_38)
    text = shown(await visitor.get(SCHOOL))
    assert "dites ci-dessous de quel type d’organisme il s’agit" in text
    answer = await visitor.get(SCHOOL, params={"kind": "school"})
    assert "inconnu : il faut le nombre d'agents" in shown(answer)
    assert 'name="agents"' in answer.text
    answer = await visitor.get(SCHOOL, params={"kind": "school", "agents": "4 9"})
    assert "227,00" in shown(answer)
    assert 'value="4 9"' in answer.text
    answer = await visitor.get(SCHOOL, params={"kind": "school", "agents": "many"})
    assert "Écrivez un nombre entier" in shown(answer, 400)
    answer = await visitor.get(SCHOOL, params={"kind": "school", "departement": "999"})
    assert "n'est ni un département ni une région" in shown(answer, 400)


async def test_a_part_of_a_commune_is_said_to_count_as_it(visitor: httpx2.AsyncClient) -> None:
    text = shown(await visitor.get("/fr/bodies/cog:74011"))
    assert "Annecy-le-Vieux (commune déléguée), qui compte comme Annecy" in text


@pytest.mark.parametrize("body", ["cog:1", "0002:217100768", "x", "territory:ZZ"])
async def test_what_names_no_body_is_no_page(visitor: httpx2.AsyncClient, body: str) -> None:
    shown(await visitor.get(f"/fr/bodies/{body}"), 404)


async def test_a_visitor_sees_public_offers_alone(
    own: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    await publish(own, "public", title={"fr": "canary-clear"})
    await publish(own, "members", "GREEN", title={"fr": "canary-green"})
    await publish(own, "own", "RED", title={"fr": "canary-red"})
    for page in (SMALL, f"{SMALL}/offers.csv"):
        answer = await visitor.get(page)
        assert "canary-clear" in answer.text
        assert "canary-green" not in answer.text
        assert "canary-red" not in answer.text
    for ending in ("txt", "odt"):
        hidden = await visitor.get(f"{SMALL}/deliberation.{ending}?offer=arnia/members")
        assert "canary" not in shown(hidden, 404)
    for form in ("csv", "xlsx", "ods"):
        offers = str(rows_of(await visitor.get(f"{SMALL}/offers.{form}"), form))
        assert "canary-clear" in offers
        assert "canary-green" not in offers
        assert "canary-red" not in offers


async def test_many_offers_are_on_pages_that_stay_small(
    own: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    steps = [{"what": {"fr": f"Étape {number}"}, "weeks": number} for number in range(4)]
    for number in range(23):
        await publish(own, f"o{number:02}", steps=steps, tariff=tariff({"micros": euros(number)}))
    answer = await visitor.get(f"{SMALL}?agents=12")
    assert "23 offres sont ouvertes" in shown(answer)
    assert answer.text.count("<article") == 20
    assert len(answer.content) <= 45_000
    (following,) = [link for link in links(answer) if "after=" in link]
    later = await visitor.get(following)
    assert later.text.count("<article") == 3
    assert "agents=12" in following
    assert "Première page" in shown(later)


# Files


async def test_the_offers_are_a_spreadsheet(own: httpx2.AsyncClient, visitor: httpx2.AsyncClient) -> None:
    await publish(own, "amf", title={"fr": "=Adhésion"}, tariff=AMF_32)
    answer = await visitor.get(f"{SMALL}/offers.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    lines = answer.content.decode("utf-8-sig").splitlines()
    assert lines[0].startswith("Offre,Titre,")
    assert lines[1].startswith("arnia/amf,'=Adhésion,arnia,ouverte,,48.0,48.0,EUR,")


async def test_the_text_of_a_deliberation_has_name_siren_price_and_day(
    own: httpx2.AsyncClient, visitor: httpx2.AsyncClient
) -> None:
    template = "{name} ({siren}) paie {price}, le {date}. {name}"
    await publish(own, "amf", title={"fr": "Adhésion"}, deliberation_template=template, tariff=AMF_32)
    await publish(own, "cdg", title={"fr": "Pack"}, tariff=CDG_38)
    answer = await visitor.get(f"{SMALL}/deliberation.txt?offer=arnia/amf&date=2026-03-31")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "deliberation-arnia-amf.txt" in answer.headers["content-disposition"]
    assert answer.text.replace("\N{NO-BREAK SPACE}", " ") == (
        "Arrouède (213200108) paie 48,00 € HT par an, le 31 mars 2026. Arrouède"
    )
    general = await visitor.get(f"{SMALL}/deliberation.txt?offer=arnia/cdg")
    text = general.text.replace("\N{NO-BREAK SPACE}", " ")
    assert "adhésion à « Pack », proposée par arnia" in text
    assert "52,00 € HT la première année, puis 36,00 € HT par an" in text
    assert "{" not in text
    unknown = await visitor.get(f"{SCHOOL}/deliberation.txt?offer=arnia/cdg&kind=school")
    assert "Considérant le prix pour …………… : ……………" in unknown.text
    document = await visitor.get(f"{SMALL}/deliberation.odt?offer=arnia/cdg")
    assert document.headers["content-type"] == "application/vnd.oasis.opendocument.text"
    assert "deliberation-arnia-cdg.odt" in document.headers["content-disposition"]
    paragraphs = Document(io.BytesIO(document.content)).body.paragraphs
    assert [paragraph.inner_text for paragraph in paragraphs] == general.text.split("\n")
    for ending in ("txt", "odt"):
        shown(await visitor.get(f"{SMALL}/deliberation.{ending}?offer=arnia/none"), 404)
    shown(await visitor.get(f"{SMALL}/deliberation.txt"), 400)


async def test_a_member_sees_who_serves_the_body_and_the_labels(
    own: httpx2.AsyncClient, visitor: httpx2.AsyncClient, arnia: Node
) -> None:
    await publish(own, "public", title={"fr": "canary-clear"})
    await publish(own, "members", "GREEN", title={"fr": "canary-green"})
    await publish(own, "own", "RED", title={"fr": "canary-red"})
    listed = {"identifiers": [{"scheme": "cog", "value": "32010"}]}
    deployment = a_deployment(coverage={"kind": "list", "beneficiaries": [listed]})
    await put(own, "deployments/glpi", deployment)
    assert "Qui le sert déjà" not in shown(await visitor.get(SMALL))
    await log_in(arnia, visitor, await a_person(arnia))
    await visitor.get(SMALL)
    with counted() as statements:
        answer = await visitor.get(SMALL)
    assert len(statements) <= 8, str(statements)
    text = shown(answer)
    assert "Qui le sert déjà" in text
    assert "Vous semblez déjà l’avoir : arnia/glpi" in text
    assert "/fr/deployments/arnia/glpi" in links(answer)
    assert "TLP:GREEN visible par : les membres de la fédération" in text
    assert "canary-red" not in text


async def test_a_copy_that_is_not_verified_is_said_beside_its_offer(
    visitor: httpx2.AsyncClient, arnia: Node
) -> None:
    await copy(arnia, "offer", "megalis/o", an_offer(), tlp="CLEAR")
    text = shown(await visitor.get(SMALL))
    assert "1 offre est ouverte" in text
    assert "Cette copie n’est pas encore vérifiée" in text


async def test_an_offer_that_is_not_understood_may_be_open(visitor: httpx2.AsyncClient, arnia: Node) -> None:
    await copy_unread(arnia, "offer", "megalis/o", {"pricing": "barter"}, tlp="CLEAR")
    await copy_unread(arnia, "offer", "megalis/hidden", {"pricing": "barter"}, tlp="GREEN")
    text = shown(await visitor.get(SMALL))
    assert "0 offre est ouverte" in text
    assert "1 offre n’est pas comprise par cette version : elle est peut-être ouverte." in text
