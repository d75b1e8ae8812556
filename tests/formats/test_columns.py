"""The meaning of columns: suggested from heads and values, checked, and the same for the next file."""

from __future__ import annotations

import msgspec
import pytest

from federation.domain.errors import Invalid
from federation.domain.formats.columns import Suggestion, suggest
from federation.domain.formats.sheets.mapping import Mapping, check_mapping
from federation.domain.formats.spreadsheets import read_sheet
from tests.formats import made_sheets
from tests.formats.made_sheets import Table, csv_of


def suggestion(table: Table, saved: Mapping | None = None) -> Suggestion:
    return suggest(read_sheet(csv_of(table, encoding="utf-8", separator=";")), saved=saved)


@pytest.mark.parametrize(
    ("table", "type_", "fields"),
    [
        (
            made_sheets.deployments(5),
            "deployments",
            "body_name insee siren solution version status since hosting tenancy",
        ),
        (
            made_sheets.SOLUTIONS,
            "solutions",
            "key name summary kind status licence themes repository same_as",
        ),
        (
            made_sheets.OFFERS,
            "offers",
            "title solution contact price kinds population_from population_to valid_until",
        ),
        (
            made_sheets.PARTICIPATIONS,
            "participations",
            "consultation body_name insee need:postes need:licences state",
        ),
    ],
)
def test_type_and_columns_are_suggested_from_french_heads(table: Table, type_: str, fields: str) -> None:
    found = suggestion(table)
    assert (found.mapping.type, found.missing) == (type_, ())
    assert list(found.mapping.columns.values()) == fields.split()
    assert found.lines == len(table) - 1


def test_english_heads_and_heads_with_more_words_are_understood() -> None:
    head = [
        "Software",
        "Installed version",
        "Municipality",
        "INSEE code",
        "Hosting provider",
        "Go-live (date)",
        "x",
    ]
    found = suggestion([head, ["GLPI", "10", "Mâcon", "71270", "ARNia", "15/03/2024", ""]])
    assert found.mapping.type == "deployments"
    fields = ["solution", "version", "body_name", "insee", "hosting_provider", "since"]
    assert list(found.mapping.columns.values()) == fields
    reasons = {column.head: column.because for column in found.columns}
    assert reasons["Software"] == "head"
    assert reasons["x"] is None
    assert suggestion([["Nom de la version du logiciel", "INSEE"]]).columns[0].because == "words"


def test_a_column_of_identifiers_is_found_by_its_values_but_no_postcode() -> None:
    rows = [["71270", "71000", "217102706"], ["71076", "71100", "217100767"], ["58145", "58140", "215801457"]]
    found = suggestion(
        [["Logiciel", "Numéro", "Code postal", "Immatriculation"], *(["GLPI", *row] for row in rows)]
    )
    columns = {column.head: (column.field, column.because) for column in found.columns}
    assert columns["Numéro"] == ("insee", "values")
    assert columns["Immatriculation"] == ("siren", "values")
    assert columns["Code postal"] == ("postcode", "head")


def test_the_head_is_found_below_a_title_and_two_equal_heads_are_told_apart() -> None:
    found = suggestion(
        [["Parc applicatif 2026"], [], ["Logiciel", "INSEE", "Note", "Note"], ["GLPI", "71270", "a", "b"]]
    )
    assert [column.head for column in found.columns] == ["Logiciel", "INSEE", "Note", "Note (2)"]
    assert found.columns[3].examples == ("b",)
    assert found.lines == 1


def test_a_saved_mapping_holds_for_columns_in_another_order() -> None:
    table = made_sheets.deployments(5)
    saved = msgspec.structs.replace(suggestion(table).mapping, fixed={"hosting": "operator"})
    assert msgspec.json.decode(msgspec.json.encode(saved), type=Mapping) == saved
    turned = suggestion([row[::-1] for row in table], saved)
    assert turned.mapping.columns == saved.columns
    assert turned.mapping.fixed == saved.fixed
    assert {column.because for column in turned.columns} == {"saved", None}


def test_all_that_is_wrong_with_a_mapping_is_reported_at_once() -> None:
    mapping = Mapping(
        type="deployments",
        columns={"Logiciel": "nonsense", "Gone": "version", "A": "since", "B": "since"},
        fixed={"other": "x"},
    )
    with pytest.raises(Invalid) as refused:
        check_mapping(mapping, ["Logiciel", "A", "B"])
    assert [fault.pointer for fault in refused.value.faults] == [
        "/columns/Logiciel",
        "/columns/Gone",
        "/fixed/other",
        "/columns",
        "/columns",
        "/columns",
    ]
    good = Mapping(type="deployments", columns={"A": "insee"}, fixed={"solution": "arnia/glpi"})
    check_mapping(good, ["A", "B"])
