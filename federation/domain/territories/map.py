"""Names of régions and départements, and the outlines of those of metropolitan France for a map.

Data: gregoiredavid/france-geojson (IGN, 2018), Licence Ouverte, see NOTICE.md beside this file;
``make_map.py`` makes the file. Overseas départements and territories have a name and no outline.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from federation.domain.territories.areas import area_of
from federation.domain.territories.bodies import read_file

WIDTH, HEIGHT = 560, 560
"""The size of the map, in the units of its paths."""
COLUMNS = ("kind", "code", "name", "path")


class Shape(NamedTuple):
    """A département, with its outline as the path of an SVG; empty where the map does not have it."""

    code: str
    name: str
    path: str


@cache
def _rows() -> tuple[tuple[str, ...], ...]:
    head, *lines = read_file("map.tsv.gz").splitlines()
    if head != "\t".join(COLUMNS):
        raise ValueError("the file of the map does not have the columns that this version reads")
    return tuple(tuple(line.split("\t")) for line in lines)


@cache
def departements() -> tuple[Shape, ...]:
    """Every département, in the order of their codes."""
    return tuple(Shape(code, name, path) for kind, code, name, path in _rows() if kind == "departement")


@cache
def region_names() -> dict[str, str]:
    """The name of each region by its INSEE code."""
    return {code: name for kind, code, name, _ in _rows() if kind == "region"}


@cache
def territory_name(code: str) -> str:
    """The name of a territory's code; the code itself where there is none."""
    area = area_of(code)
    if area is None:
        return code
    names = {shape.code: shape.name for shape in departements()}
    match area.kind:
        case "country":
            return "France"
        case "region":
            return region_names().get(area.codes[0], code)
        case "departement":
            return ", ".join(names.get(part, part) for part in area.codes)
    return code
