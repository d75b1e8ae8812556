"""Versions from an export of GLPI, and contracts from files of DECP."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from federation.domain.errors import Invalid
from federation.domain.formats.decp import read_decp
from federation.domain.formats.glpi import GlpiMapping, list_software, read_glpi, suggest_deployments
from federation.domain.sources.reading import Reading
from tests.formats import made_sheets
from tests.formats.made_sheets import Table, csv_of

MAPPING = GlpiMapping(deployments={"GLPI": "glpi-71270", "XWiki": "wiki"})


def export(table: Table) -> bytes:
    return csv_of(table, encoding="utf-8", separator=";")


def test_versions_of_mapped_software_are_members_of_deployments() -> None:
    reading = read_glpi(export(made_sheets.GLPI), MAPPING)
    (item,) = reading.items
    assert (item.type, item.key, item.members) == (
        "deployments",
        "glpi-71270",
        {"content": {"version": "10.0.6"}},
    )
    assert item.changed_at == datetime(2024, 3, 15, 10, 30, tzinfo=UTC)
    assert not reading.is_complete
    assert [str(fault.reason) for fault in reading.faults] == [
        "XWiki has 2 versions in GLPI, and a deployment has one: 15.10.2, 15.9"
    ]


def test_entities_tell_the_same_software_apart() -> None:
    head = ("Name", "Entity", "Versions - Name")
    table = (head, ("GLPI", "Root > Mâcon", "10"), ("GLPI", "Root > Dijon", "11"))
    apart = GlpiMapping(deployments={"Root > Mâcon / GLPI": "macon", "Root > Dijon / GLPI": "dijon"})
    found = {item.key: item.members["content"]["version"] for item in read_glpi(export(table), apart).items}
    assert found == {"macon": "10", "dijon": "11"}
    together = read_glpi(export(table), GlpiMapping(deployments={"GLPI": "macon"}))
    assert [fault.place for fault in together.faults] == ["line 3"]


def test_deployments_are_suggested_where_one_has_the_name() -> None:
    software = list_software(export(made_sheets.GLPI))
    assert [entry.name for entry in software] == ["GLPI", "XWiki", "LibreOffice"]
    assert software[1].versions == ("15.10.2", "15.9")
    found = suggest_deployments(software, {"glpi-1": "GLPI", "w1": "XWiki", "w2": "XWiki"})
    assert found == GlpiMapping(deployments={"GLPI": "glpi-1"})


def test_another_list_of_glpi_is_refused() -> None:
    with pytest.raises(Invalid, match="Versions - Nom"):
        read_glpi(export((("Nom", "Statut"), ("pc-12", "En service"))), MAPPING)


def contract(reading: Reading, index: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = reading.items[index].members["content"]["contract"]
    return found


def test_a_contract_of_decp_is_a_consultation() -> None:
    reading = read_decp(made_sheets.decp(), purchase="arnia/group", keys={"2024-0042": "postes"})
    assert reading.faults == ()
    first, second = reading.items
    assert (first.key, first.identity) == ("postes", "21750001630066/2024-0042")
    assert second.key == "21750001630066-2024-0043"
    assert first.members["content"] == {
        "purchase": "arnia/group",
        "title": {"fr": "Postes de travail et maintenance"},
        "status": "awarded",
        "cpv": ["30213000-5"],
        "contract": {
            "id": "2024-0042", "notified_on": "2024-05-15", "months": 48, "amount_cents": 57_500_050,
            "suppliers": [{"scheme": "0009", "value": "55204599900869"}],
        },
    }  # fmt: skip
    assert first.changed_at == datetime(2024, 5, 25, tzinfo=UTC)
    assert contract(reading, 1)["amount_cents"] == 60_000_000
    assert contract(reading, 1)["months"] == 60
    assert contract(reading, 1)["suppliers"] == contract(reading)["suppliers"], "a wrong SIRET replaces none"
    assert second.changed_at == datetime(2025, 1, 20, tzinfo=UTC)
    assert second.defaulted == ("status", "titulaires: 868768687576575", "modifications")


def test_members_of_another_form_are_left_out_and_named() -> None:
    raw = made_sheets.decp(
        montant="NC", dureeMois="12", codeCPV="x", dateNotification="bientôt", titulaires=None
    )
    reading = read_decp(raw)
    assert contract(reading) == {"id": "2024-0042", "months": 12}
    assert reading.items[0].defaulted == ("status", "dateNotification", "montant", "codeCPV: x")


def test_older_forms_are_read() -> None:
    market = json.loads(made_sheets.decp())["marches"]["marche"][0]
    market["titulaires"] = [
        {"id": "55204599900869", "typeIdentifiant": "SIRET", "denominationSociale": "ACME"}
    ]
    for value in ([market], {"marches": [market]}, {"marches": {"marche": [market]}}):
        reading = read_decp(b"\xef\xbb\xbf" + json.dumps(value).encode())
        assert contract(reading)["suppliers"][0]["name"] == "ACME"


def test_contracts_without_number_buyer_or_object_and_doubles_are_faults() -> None:
    market = json.loads(made_sheets.decp())["marches"]["marche"][0]
    reading = read_decp(json.dumps([{}, market, market, 7, {**market, "id": "x" * 17}]).encode())
    assert len(reading.items) == 1
    assert [(fault.place, fault.member) for fault in reading.faults] == [
        ("marche[0]", "id"), ("marche[0]", "acheteur"), ("marche[0]", "objet"), ("marche[2]", "id"),
        ("marche[3]", None), ("marche[4]", "id"),
    ]  # fmt: skip


def test_contracts_of_other_buyers_are_left_out() -> None:
    assert len(read_decp(made_sheets.decp(), buyers={"217500016"}).items) == 2
    assert read_decp(made_sheets.decp(), buyers={"130005481"}).items == ()


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"7", b'{"marches": 1}', b"[" * 100_000, b'{"a": "\xff"}', b"<xml/>"]
)
def test_a_file_of_another_form_is_refused(raw: bytes) -> None:
    with pytest.raises(Invalid):
        read_decp(raw)
