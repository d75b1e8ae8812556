"""Values of cells as people write them in French and English."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from federation.domain.formats.sheets import choices
from federation.domain.formats.sheets.cells import Cell
from federation.domain.formats.sheets.days import read_day, read_moment
from federation.domain.formats.sheets.numbers import read_amount, read_count, read_number
from federation.domain.formats.sheets.solutions import read_licence
from federation.domain.formats.sheets.values import (
    CellProblem,
    Guess,
    key_of,
    read_choice,
    read_country,
    read_key,
    read_list,
    read_territories,
    read_url,
    read_version,
    read_yes_no,
)


def value(reader: Callable[[Any], Any], cell: Cell) -> Any:
    found = reader(cell)
    return found.value if isinstance(found, Guess) else found


@pytest.mark.parametrize(
    ("reader", "cell", "expected"),
    [
        (read_day, "15/03/2024", "2024-03-15"),
        (read_day, "15-3-2024", "2024-03-15"),
        (read_day, "15.03.2024", "2024-03-15"),
        (read_day, "2024-03-15", "2024-03-15"),
        (read_day, "1er mars 2024", "2024-03-01"),
        (read_day, "15 février 2024", "2024-02-15"),
        (read_day, "15/03/24", "2024-03-15"),
        (read_day, "15/03/2024 10:30", "2024-03-15"),
        (read_day, date(2024, 3, 15), "2024-03-15"),
        (read_day, datetime.fromisoformat("2024-03-15T08:00:00"), "2024-03-15"),
        (read_moment, "2024-03-15 10:30", "2024-03-15T10:30:00Z"),
        (read_moment, "15/03/2024", "2024-03-15T00:00:00Z"),
        (read_moment, "2024-03-15T10:30:05Z", "2024-03-15T10:30:05Z"),
        (read_number, "1 234,56", Decimal("1234.56")),
        (read_number, "1.234,56", Decimal("1234.56")),
        (read_number, "1,234.56", Decimal("1234.56")),
        (read_number, "1234.5", Decimal("1234.5")),
        (read_number, "1 234 567", Decimal(1234567)),
        (read_number, "0,166 €", Decimal("0.166")),
        (read_number, "-3", Decimal(-3)),
        (read_number, 2.5, Decimal("2.5")),
        (read_number, "1.234.567", Decimal(1234567)),
        (read_count, "3 500", 3500),
        (read_count, 12, 12),
        (read_count, 12.0, 12),
        (read_amount, "12,50 EUR", Decimal("12.50")),
        (read_yes_no, "Oui", True),
        (read_yes_no, "x", True),
        (read_yes_no, "NON", False),
        (read_yes_no, False, False),
        (read_version, "10.0.6", "10.0.6"),
        (read_version, 10.5, "10.5"),
        (read_version, 10, "10"),
        (read_version, "en continu", "(rolling)"),
        (read_version, "Inconnue", "(unknown)"),
        (read_country, "fr", "FR"),
        (read_country, "Belgique", "BE"),
        (read_url, "www.example.org/x", "https://www.example.org/x"),
        (read_url, "HTTPS://a.example", "https://a.example"),
        (read_list, "a; b,c|a\nd", ["a", "b", "c", "d"]),
        (read_territories, "71; FR-BFC", ["71", "FR-BFC"]),
        (read_territories, 1, ["01"]),
        (read_key, "cmonia", "cmonia"),
        (read_key, "N° 12/2024", "n-12-2024"),
        (read_licence, "gpl-3.0-OR-later", "GPL-3.0-or-later"),
        (read_licence, "Propriétaire", "LicenseRef-proprietary"),
        (read_licence, "AGPL v3", "AGPL-3.0-only"),
        (read_licence, "ma licence", "LicenseRef-unknown"),
    ],
)
def test_a_value_is_read_in_the_forms_that_people_write(
    reader: Callable[[Any], Any], cell: Cell, expected: object
) -> None:
    assert value(reader, cell) == expected


@pytest.mark.parametrize(
    ("reader", "cell"),
    [
        (read_day, "31/02/2024"),
        (read_day, "03/15/2024"),
        (read_day, "mars 2024"),
        (read_day, 45366),
        (read_day, "1/1/1800"),
        (read_number, "12 34"),
        (read_number, "1.2.3"),
        (read_number, "1,2,3"),
        (read_number, "1e5"),
        (read_number, True),
        (read_number, float("inf")),
        (read_number, float("nan")),
        (read_number, "٣"),
        (read_count, "1,5"),
        (read_count, "-1"),
        (read_amount, "-0,01"),
        (read_yes_no, "peut-être"),
        (read_version, date(2024, 5, 10)),
        (read_country, "Atlantide"),
        (read_url, "pas de site"),
        (read_territories, "99"),
        (read_key, "a" * 300),
    ],
)
def test_what_is_no_such_value_is_refused(reader: Callable[[Any], Any], cell: Cell) -> None:
    with pytest.raises(CellProblem):
        reader(cell)


@pytest.mark.parametrize(
    ("words", "expected"),
    [("En production", "production"), ("PRÉVU", "planned"), ("hors-service", "retired")],
)
def test_a_word_of_a_closed_list_is_understood_without_accents_and_case(words: str, expected: str) -> None:
    assert read_choice(words, choices.DEPLOYMENT_STATUSES) == expected


def test_no_word_stands_for_two_values_of_a_list() -> None:
    for name in dir(choices):
        table = getattr(choices, name)
        if isinstance(table, dict) and not name.startswith(("_", "SHORT_")):
            words = [word for names in table.values() for word in names if word]
            assert len(words) == len(set(words)), name


def test_a_guess_says_why() -> None:
    assert read_version(10.1) == Guess("10.1", "version: 10.1 is a number in the sheet")
    assert read_licence("GPL2") == Guess("GPL-2.0-only", "licence: GPL2")
    assert read_day("15/03/24") == Guess("2024-03-15", "15/03/24")


def test_a_key_has_only_letters_that_keys_have_and_long_ones_stay_apart() -> None:
    assert key_of("Saint-Étienne / GLPI") == "saint-etienne-glpi"
    assert key_of("x" * 300) != key_of("x" * 301)
    assert len(key_of("x" * 300)) <= 100
    assert key_of("日本") != key_of("")
