"""The outlines and names of the map are those of the files that it is made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.domain.territories import make_map
from federation.domain.territories.areas import region_of
from federation.domain.territories.bodies import read_file
from federation.domain.territories.map import COLUMNS, departements, region_names, territory_name

GEO = Path(__file__).parents[3] / "shared" / "data" / "geo"


def test_every_département_has_a_name_and_those_of_metropolitan_france_an_outline() -> None:
    shapes = {shape.code: shape for shape in departements()}
    assert set(region_of()) <= set(shapes)
    assert all(shape.name for shape in shapes.values())
    assert len([shape for shape in shapes.values() if shape.path]) == 96
    assert set(region_of().values()) - set(region_names()) <= set(make_map.OVERSEAS_NAMES)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("FR", "France"), ("FR-BFC", "Bourgogne-Franche-Comté"), ("FR-71", "Saône-et-Loire"),
        ("RE", "La Réunion"), ("FR-20R", "Corse"), ("BE", "BE"), ("FR-6AE", "Bas-Rhin, Haut-Rhin"),
    ],
)  # fmt: skip
def test_a_code_has_the_name_of_its_territory(code: str, name: str) -> None:
    assert territory_name(code) == name


def test_a_path_is_made_of_relative_steps_without_needless_points() -> None:
    square = [(0, 0), (2, 0), (4, 0), (4, 0), (4, 4), (0, 4), (0, 0)]
    assert make_map.to_path([square, [(5, 5), (6, 5), (5, 5)]]) == "M0 0l4 0 0 4-4 0z"
    assert make_map.to_path([square, [(9, 1), (8, 3), (9, 3)]]) == "M0 0l4 0 0 4-4 0zm9 1l-1 2 1 0z"


def test_the_file_is_what_its_source_gives() -> None:
    if not GEO.exists():
        pytest.skip("the shared map data is not beside the project: nothing to compare with")
    made = "".join("\t".join(row) + "\n" for row in (COLUMNS, *make_map.rows(GEO)))
    assert made == read_file("map.tsv.gz")
