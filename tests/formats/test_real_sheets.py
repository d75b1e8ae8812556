"""Real spreadsheets beside the project: what becomes of each line."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from federation.domain.formats.sheets.mapping import Mapping
from federation.domain.formats.sheets.records import Known
from federation.domain.formats.spreadsheets import read_spreadsheet

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the shared data is not beside the project")
KNOWN = Known("arnia", {"arnia/ia": "IA"})
STATUSES = {"status": {"R": "stable", "O": "stable", "FR": "stable", "0": "stable"}}


def test_the_bodies_of_a_pilot_are_found_by_identifier_and_one_has_none() -> None:
    columns = {"siren": "siren", "cog": "insee", "name_in_source": "body_name"}
    mapping = Mapping(type="deployments", columns=columns, fixed={"solution": "arnia/ia"})
    reading = read_spreadsheet((DATA / "communes/arnia-ia-pilot-2024.csv").read_bytes(), mapping, KNOWN)
    assert [item.key for item in reading.items] == [
        "ia-71076", "ia-247100589", "ia-21150", "ia-89100", "ia-247100290", "ia-89201", "ia-58145",
        "ia-200070308",
    ]  # fmt: skip
    assert [(fault.place, str(fault.reason)[:16]) for fault in reading.faults] == [
        ("line 10", "Nièvre Numérique")
    ]


def test_each_of_8222_bodies_is_found() -> None:
    columns = {"siren": "siren", "cog": "insee", "name": "body_name"}
    mapping = Mapping(type="deployments", columns=columns, fixed={"solution": "arnia/ia"})
    reading = read_spreadsheet((DATA / "communes/beneficiaries-4-regions.csv").read_bytes(), mapping, KNOWN)
    assert (len(reading.items), reading.faults) == (8_222, ())


@pytest.mark.parametrize(
    ("name", "items", "duplicates", "others"),
    [
        ("sill-2019", 157, 4, 0),
        ("sill-2020", 225, 0, 0),
        ("sill-prod-2019", 45, 1, 0),
        ("sources", 144, 1, 4),
    ],
)
def test_lists_of_recommended_software_are_solutions(
    name: str, items: int, duplicates: int, others: int
) -> None:
    raw = (DATA / f"sill/{name}.csv").read_bytes()
    reading = read_spreadsheet(raw, Mapping(type="solutions", values=STATUSES), KNOWN)
    kinds = Counter("same" if "the same as" in str(fault.reason) else "other" for fault in reading.faults)
    assert (len(reading.items), kinds["same"], kinds["other"]) == (items, duplicates, others)
