"""Lines of spreadsheets to records: all faults of all lines, bodies by identifier, stable keys."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from federation.domain.content.deployment import Deployment
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Invalid
from federation.domain.formats.sheets import lines
from federation.domain.formats.sheets.mapping import Mapping
from federation.domain.formats.sheets.records import Known
from federation.domain.formats.spreadsheets import read_spreadsheet
from federation.domain.sources.reading import Reading
from federation.domain.territories.identity import number_of
from tests.formats import made_sheets
from tests.formats.made_sheets import Table, csv_of, deployments_csv, ods_of, xlsx_of

KNOWN = Known(
    "arnia",
    {
        "arnia/glpi": "GLPI",
        "arnia/xwiki": "XWiki",
        "arnia/nextcloud": "Nextcloud",
        "megalis/publik": "Publik",
    },
)
HEAD = ("Logiciel", "INSEE", "Version")


def read(table: Table, mapping: Mapping | None = None) -> Reading:
    return read_spreadsheet(csv_of(table, encoding="utf-8", separator=";"), mapping or Mapping(), KNOWN)


def content(reading: Reading, index: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = reading.items[index].members["content"]
    return found


def reasons(reading: Reading) -> list[tuple[str, str]]:
    return [(fault.place, str(fault.reason)) for fault in reading.faults]


def test_500_deployments_of_windows_1252_are_500_records() -> None:
    reading = read_spreadsheet(deployments_csv(500), Mapping(), KNOWN)
    assert (len(reading.items), reading.faults, reading.is_complete) == (500, (), True)
    bodies = set()
    for item in reading.items:
        check_draft(item.members, Draft[Deployment])
        identifiers = item.members["content"]["coverage"]["beneficiaries"][0]["identifiers"]
        names = {f"{entry['scheme']}:{entry['value']}" for entry in identifiers}
        numbers = {number_of(name) for name in names}
        assert len(numbers) == 1
        bodies |= numbers
    assert len(bodies) == 500
    solutions = Counter(item.members["content"]["solution"] for item in reading.items)
    assert solutions == dict.fromkeys(KNOWN.solutions, 125)
    assert len({item.key for item in reading.items}) == 500


def test_the_same_file_in_any_form_is_the_same_records() -> None:
    table = made_sheets.deployments(12)
    readings = [
        read_spreadsheet(raw, Mapping(), KNOWN)
        for raw in (deployments_csv(12), xlsx_of(table), ods_of(table))
    ]
    assert [item.members for item in readings[0].items] == [item.members for item in readings[1].items]
    assert readings[0].items == readings[1].items == readings[2].items


def test_every_fault_of_every_line_is_reported_and_sound_lines_are_read() -> None:
    reading = read_spreadsheet(deployments_csv(5, faults=True), Mapping(), KNOWN)
    assert len(reading.items) == 5
    assert not reading.is_complete, "a line that was not understood has not disappeared"
    assert reasons(reading) == [
        (
            "line 7",
            "Chalon-sur-Saône has no SIREN, SIRET or INSEE code here; bodies of that name:"
            " Chalon-sur-Saône (71076)",
        ),
        (
            "line 8",
            "column Logiciel: no solution is called Inconnu here: import solutions first, or name its id",
        ),
        (
            "line 8",
            "71000 is a postcode and no INSEE code; the communes there are Mâcon (71270), Sancé (71497),"
            " Varennes-lès-Mâcon (71556)",
        ),
        ("line 8", "column Statut: peut-être is none of planned, pilot, production, suspended, retired"),
        ("line 8", "column Mutualisé: ?! is none of shared, dedicated"),
        (
            "line 8",
            "column Hébergement: ailleurs is none of operator, on-premises, public-sector-cloud,"
            " private-cloud, public-cloud, vendor-saas",
        ),
        ("line 8", "column Version: the cell has a formula; put its value there as text or number"),
        ("line 8", "column Mise en service: 31/02/2024 is not a date of the calendar"),
        ("line 9", "217102704 is no SIREN: a digit is wrong"),
        ("line 9", "column Version: the cell has the error #REF! of a formula"),
    ]


def test_faults_are_listed_up_to_a_bound_and_then_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_READING_FAULTS", 3)
    reading = read([HEAD, *(("GLPI", "00000", "1") for _ in range(10))])
    assert len(reading.faults) == 4
    assert str(reading.faults[-1].reason) == "7 more faults are not listed"


@pytest.mark.parametrize(
    ("head", "cell", "identifiers", "name"),
    [
        ("INSEE", "71270", ["cog:71270"], "Mâcon"),
        ("INSEE", 1001, ["cog:01001"], "L'Abergement-Clémenciat"),
        ("INSEE", "2A004", ["cog:2A004"], "Ajaccio"),
        ("SIREN", "217 102 706", ["0002:217102706"], "Mâcon"),
        ("SIREN", 217102706, ["0002:217102706"], "Mâcon"),
        ("SIRET", "21710270600009", ["0009:21710270600009"], "Mâcon"),
        ("SIREN ou INSEE", "71270", ["cog:71270"], "Mâcon"),
        ("SIREN ou INSEE", "200070308", ["0002:200070308"], None),
        ("INSEE", "71270, 71076", ["cog:71270", "cog:71076"], None),
    ],
)
def test_a_body_is_found_by_each_of_its_identifiers(
    head: str, cell: object, identifiers: list[str], name: str | None
) -> None:
    raw = xlsx_of([("Logiciel", head), ("GLPI", cell)])
    reading = read_spreadsheet(raw, Mapping(type="deployments"), KNOWN)
    assert reading.faults == ()
    bodies = content(reading)["coverage"]["beneficiaries"]
    assert [f"{i['scheme']}:{i['value']}" for body in bodies for i in body["identifiers"]] == identifiers
    if name is not None:
        assert bodies[0]["name"] == name


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"INSEE": "99999"}, "99999 is no INSEE code of the register"),
        ({"SIREN": "217102701"}, "217102701 is no SIREN: a digit is wrong"),
        ({"SIREN": "21710270"}, "21710270 is no SIREN: a digit is wrong"),
        ({"SIREN": "2,17E+08"}, "2,17E+08 was shortened by the spreadsheet: format the column as text"),
        (
            {"SIREN": "217102706", "INSEE": "71076"},
            "217102706, 71076 name different bodies: Mâcon (71270), Chalon-sur-Saône (71076)",
        ),
        (
            {"SIREN": "217102706", "INSEE": "71270;71076"},
            "several bodies are in one cell: identify them by one column alone",
        ),
        (
            {"Commune": "Nulle Part sur Rien"},
            "Nulle Part sur Rien has no SIREN, SIRET or INSEE code here,"
            " and the register has no body of that name",
        ),
        (
            {"INSEE": ""},
            "the line names no public body and no territory: a SIREN, a SIRET or an INSEE code is needed",
        ),
    ],
)
def test_a_body_without_a_right_identifier_is_a_fault(row: dict[str, str], reason: str) -> None:
    reading = read(
        [
            ("Logiciel", "Commune", "SIREN", "INSEE"),
            ("GLPI", *(row.get(n, "") for n in ("Commune", "SIREN", "INSEE"))),
        ]
    )
    assert reading.items == ()
    assert [str(fault.reason) for fault in reading.faults] == [reason]


def test_a_name_that_is_not_that_of_its_identifier_is_noted() -> None:
    reading = read(
        [("Logiciel", "Commune", "INSEE"), ("GLPI", "Dijon", "71270"), ("GLPI", "Ville de Mâcon", "71076")]
    )
    assert "Dijon: Mâcon (71270)" in reading.items[0].defaulted


def test_lines_with_one_key_are_one_deployment_for_all_their_bodies() -> None:
    head = ("Clé", "Logiciel", "INSEE", "Version")
    reading = read(
        [
            head,
            ("cmonia", "GLPI", "71270", "10"),
            ("autre", "GLPI", "71270", "10"),
            ("cmonia", "GLPI", "71076", "10"),
        ]
    )
    assert [(item.key, item.place) for item in reading.items] == [("cmonia", "line 2"), ("autre", "line 3")]
    bodies = content(reading)["coverage"]["beneficiaries"]
    assert [body["name"] for body in bodies] == ["Mâcon", "Chalon-sur-Saône"]
    assert content(reading)["tenancy"] == "shared"
    assert content(reading, 1)["tenancy"] == "dedicated"


def test_a_cell_of_separators_alone_names_no_body() -> None:
    head = ("Logiciel", "INSEE", "SIREN", "Commune", "Version")
    reading = read(
        [
            head,
            ("GLPI", ",", "217100767", "", "10"),
            ("GLPI", " ;\n", "", "", "10"),
            ("GLPI", ",", "|", "Mâcon", "10"),
        ]
    )
    assert content(reading)["coverage"]["beneficiaries"][0]["name"] == "Chalon-sur-Saône"
    empty, named = (reason for _, reason in reasons(reading))
    assert empty.startswith("the line names no public body")
    assert "Mâcon" in named


def test_duplicates_within_a_file_are_reported() -> None:
    head = ("Clé", "Logiciel", "INSEE", "SIREN", "Version")
    reading = read(
        [
            head,
            ("a", "GLPI", "71270", "", "10"),
            ("a", "GLPI", "71076", "", "11"),
            ("a", "GLPI", "", "217102706", "10"),
            ("", "GLPI", "71270", "", "10"),
            ("", "GLPI", "71270", "", "10"),
        ]
    )
    assert [item.key for item in reading.items] == ["a", "glpi-71270"]
    differs = "the key a is that of line 2, which differs or is about the same body"
    same = "the same as line 5 (key glpi-71270): a column with keys would tell them apart"
    assert reasons(reading) == [("line 3", differs), ("line 4", differs), ("line 6", same)]


def test_fixed_values_and_words_of_a_mapping_are_used() -> None:
    mapping = Mapping(
        type="deployments",
        columns={"Appli": "solution", "Code": "insee", "Où": "hosting"},
        fixed={"status": "pilote", "hosting": "saas"},
        values={"solution": {"Gestion du parc": "arnia/glpi"}, "hosting": {"Salle 2": "operator"}},
    )
    reading = read(
        [("Appli", "Code", "Où"), ("gestion du PARC", "71270", "Salle 2"), ("XWiki", "71270", "")], mapping
    )
    assert reading.faults == ()
    first, second = content(reading), content(reading, 1)
    assert (first["solution"], first["status"], first["hosting"]["model"]) == (
        "arnia/glpi",
        "pilot",
        "operator",
    )
    assert (second["solution"], second["status"], second["hosting"]["model"]) == (
        "arnia/xwiki",
        "pilot",
        "vendor-saas",
    )


def test_a_default_is_named_and_a_value_of_the_file_is_not() -> None:
    reading = read([("Logiciel", "INSEE", "Statut"), ("GLPI", "71270", "Pilote"), ("GLPI", "71076", "")])
    assert reading.items[0].defaulted == ("hosting/model", "tenancy")
    assert reading.items[1].defaulted == ("hosting/model", "status", "tenancy")


def test_a_record_that_breaks_a_rule_of_writers_is_a_fault_of_its_line() -> None:
    head = ("Logiciel", "INSEE", "Depuis", "Jusqu'au", "URL")
    reading = read([head, ("GLPI", "71270", "01/02/2024", "01/01/2024", "https://u:p@example.org")])
    assert reading.items == ()
    assert {fault.member for fault in reading.faults} == {"until", "url"}


def test_solutions_get_defaults_and_stable_keys() -> None:
    reading = read(made_sheets.SOLUTIONS)
    assert reading.faults == ()
    assert [item.key for item in reading.items] == ["glpi", "xwiki", "nextcloud", "publik"]
    glpi, xwiki, nextcloud, publik = (item.members["content"] for item in reading.items)
    assert reading.items[0].members["same_as"] == ["https://www.wikidata.org/wiki/Q1485580"]
    assert (glpi["licence"], glpi["themes"]) == ("GPL-3.0-or-later", ["it-asset-management"])
    assert (xwiki["status"], xwiki["themes"]) == ("stable", ["collaboration", "document-management"])
    assert xwiki["repository"] == "https://github.com/xwiki/xwiki-platform"
    assert reading.items[2].defaulted == ("summary", "kind", "status", "licence", "themes")
    assert nextcloud["summary"] == {"fr": "Nextcloud"}
    assert (publik["kind"], publik["licence"]) == ("service", "LicenseRef-unknown")


def test_offers_have_their_price_in_parts_of_a_tariff() -> None:
    reading = read(made_sheets.OFFERS)
    assert reading.faults == ()
    first, second, third = (item.members["content"] for item in reading.items)
    assert first["tariff"]["parts"] == [
        {"label": {"fr": "Tarif"}, "micros": 166_000, "when": "yearly", "basis": "inhabitant"}
    ]
    assert first["eligibility"] == {"kinds": ["commune"], "population": {"from": 0, "to": 3500}}
    assert (first["valid_until"], third["valid_until"]) == ("2030-12-31", "2031-03-15")
    assert [offer["pricing"] for offer in (first, second, third)] == ["tariff", "on-request", "free"]
    assert "vat" in reading.items[0].defaulted


def test_needs_of_all_bodies_are_added_up_to_one_participation() -> None:
    reading = read(made_sheets.PARTICIPATIONS)
    assert reading.faults == ()
    (item,) = reading.items
    assert (item.key, item.members["content"]["consultation"]) == ("postes-2026", "arnia/postes-2026")
    assert item.members["content"]["needs"] == [
        {"unit": "postes", "quantity": 1172},
        {"unit": "licences", "quantity": 92},
    ]
    assert [body["name"] for body in item.members["content"]["bodies"]["beneficiaries"]] == [
        "Mâcon",
        "Chalon-sur-Saône",
        "Lormes",
    ]
    twice = read([*made_sheets.PARTICIPATIONS, ("postes-2026", "Mâcon", "71270", 1, "", "Besoin recensé")])
    assert [fault.place for fault in twice.faults] == ["line 5"], "a need is not counted twice"


def test_units_on_lines_of_their_own_are_needs_as_well() -> None:
    head = ("Consultation", "INSEE", "Unité", "Quantité", "Montant estimé")
    reading = read(
        [
            head,
            ("m", "71270", "postes", 2, "10,50"),
            ("m", "71270", "ecrans", 3, ""),
            ("m", "71076", "postes", 5, "1"),
        ],
        Mapping(type="participations"),
    )
    assert reading.faults == ()
    assert content(reading)["needs"] == [
        {"unit": "postes", "quantity": 7, "estimated_cents": 1150},
        {"unit": "ecrans", "quantity": 3},
    ]
    assert len(content(reading)["bodies"]["beneficiaries"]) == 2


def test_a_mapping_for_another_file_is_refused_with_its_columns() -> None:
    mapping = Mapping(
        type="deployments", columns={"Logiciel": "solution", "INSEE": "insee", "Parti": "version"}
    )
    with pytest.raises(Invalid, match="no column Parti"):
        read([HEAD, ("GLPI", "71270", "10")], mapping)
    with pytest.raises(Invalid, match="is the field solution"):
        read([("INSEE", "Version"), ("71270", "10")], Mapping(type="deployments"))


def test_a_name_of_two_solutions_is_a_fault_unless_one_is_ours() -> None:
    known = Known("arnia", {"arnia/glpi": "GLPI", "megalis/glpi": "GLPI", "a/wiki": "Wiki", "b/wiki": "Wiki"})
    raw = csv_of(
        [HEAD, ("GLPI", "71270", "1"), ("Wiki", "71270", "1"), ("b/wiki", "71076", "1")],
        encoding="utf-8",
        separator=";",
    )
    reading = read_spreadsheet(raw, Mapping(), known)
    assert [item.members["content"]["solution"] for item in reading.items] == ["arnia/glpi", "b/wiki"]
    assert reasons(reading) == [("line 3", "column Logiciel: Wiki names several solutions: a/wiki, b/wiki")]
