"""Make the map anew: `python -m federation.domain.territories.make_map DIRECTORY`.

The directory has `departements-version-simplifiee.geojson` and `regions-version-simplifiee.geojson` of
gregoiredavid/france-geojson. The same files give the same bytes, with the same zlib.

Projection: Lambert conic conformal on a sphere, standard parallels 44° and 49° north, meridian 3° east, as on
official maps of metropolitan France. Coordinates are rounded to one pixel of `WIDTH`: neighbours share their
points before and after it, so that no gap opens between them. A path is written with relative steps, which
are a third shorter than positions.
"""

import argparse
import json
from collections.abc import Iterable
from itertools import pairwise
from math import cos, log, pi, radians, sin, tan
from pathlib import Path
from typing import Any

from federation.domain.territories.areas import OVERSEAS, region_of
from federation.domain.territories.make import compress
from federation.domain.territories.map import COLUMNS, HEIGHT, WIDTH

SHIPPED = Path(__file__).with_name("map.tsv.gz")
OVERSEAS_NAMES = {
    "971": "Guadeloupe", "972": "Martinique", "973": "Guyane", "974": "La Réunion",
    "975": "Saint-Pierre-et-Miquelon", "976": "Mayotte", "977": "Saint-Barthélemy", "978": "Saint-Martin",
    "984": "Terres australes et antarctiques françaises", "986": "Wallis-et-Futuna",
    "987": "Polynésie française", "988": "Nouvelle-Calédonie", "989": "Île de Clipperton",
}  # fmt: skip
"""Names (INSEE) of what the files of the map do not have."""
OVERSEAS_REGIONS = {"01": "971", "02": "972", "03": "973", "04": "974", "06": "976"}
"""Codes of regions that are a département each, and its code."""
SOUTH, NORTH, MERIDIAN = radians(44), radians(49), radians(3)
Point = tuple[float, float]
Pixel = tuple[int, int]

_cone = log(cos(SOUTH) / cos(NORTH)) / log(tan(pi / 4 + NORTH / 2) / tan(pi / 4 + SOUTH / 2))
_scale = cos(SOUTH) * tan(pi / 4 + SOUTH / 2) ** _cone / _cone


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("directory", type=Path)
    options.add_argument("--output", type=Path, default=SHIPPED)
    chosen = options.parse_args()
    packed = compress([COLUMNS, *rows(chosen.directory)])
    chosen.output.write_bytes(packed)
    print(f"{chosen.output.name}: {len(packed)} bytes")


def rows(directory: Path) -> list[tuple[str, str, str, str]]:
    """Kind, code, name and path of each territory, in the order of their codes."""
    departements = _features(directory / "departements-version-simplifiee.geojson")
    regions = _features(directory / "regions-version-simplifiee.geojson")
    outlines = {
        code: [[project(p) for p in ring] for ring in rings] for code, (_, rings) in departements.items()
    }
    paths = to_paths(outlines)
    listed = [("departement", code, name, paths[code]) for code, (name, _) in departements.items()]
    listed += [("departement", code, OVERSEAS_NAMES[code], "") for code in OVERSEAS.values()]
    listed += [("region", code, name, "") for code, (name, _) in regions.items()]
    listed += [
        ("region", region, OVERSEAS_NAMES[code], "")
        for region, code in OVERSEAS_REGIONS.items()
        if region not in regions
    ]
    missing = set(region_of()) - {code for kind, code, _, _ in listed if kind == "departement"}
    if missing:
        raise ValueError(f"these départements have no name: {', '.join(sorted(missing))}")
    return sorted(listed)


def _features(file: Path) -> dict[str, tuple[str, list[list[Point]]]]:
    """Name and rings of each territory by its code."""
    found = {}
    for feature in json.loads(file.read_text(encoding="utf-8"))["features"]:
        about, geometry = feature["properties"], feature["geometry"]
        polygons: Any = geometry["coordinates"]
        if geometry["type"] == "Polygon":
            polygons = [polygons]
        found[about["code"]] = (about["nom"], [ring for polygon in polygons for ring in polygon])
    return found


def project(point: Point) -> Point:
    """Longitude and latitude in degrees to the plane, y downwards."""
    longitude, latitude = (radians(degrees) for degrees in point)
    radius = _scale / tan(pi / 4 + latitude / 2) ** _cone
    angle = _cone * (longitude - MERIDIAN)
    return radius * sin(angle), radius * cos(angle)


def to_paths(outlines: dict[str, list[list[Point]]]) -> dict[str, str]:
    """The path of each territory, all of them within ``WIDTH`` and ``HEIGHT``."""
    points = [point for rings in outlines.values() for ring in rings for point in ring]
    left, top = min(x for x, _ in points), min(y for _, y in points)
    width, height = max(x for x, _ in points) - left, max(y for _, y in points) - top
    scale = min((WIDTH - 2) / width, (HEIGHT - 2) / height)

    def pixel(point: Point) -> Pixel:
        return round((point[0] - left) * scale) + 1, round((point[1] - top) * scale) + 1

    return {code: to_path([list(map(pixel, ring)) for ring in rings]) for code, rings in outlines.items()}


def to_path(rings: Iterable[list[Pixel]]) -> str:
    """The path of some rings: relative steps; rings that are smaller than a pixel are left out."""
    path = ""
    at: Pixel = (0, 0)
    for ring in rings:
        corners = _corners(ring)
        if len(corners) < 3:
            continue
        (x, y) = corners[0]
        path += f"m{_step(x - at[0], y - at[1])}" if path else f"M{x} {y}"
        steps = [_step(to[0] - from_[0], to[1] - from_[1]) for from_, to in pairwise(corners)]
        path += "l" + "".join(
            step if not number or step.startswith("-") else f" {step}" for number, step in enumerate(steps)
        )
        path += "z"
        at = corners[0]
    return path


def _step(x: int, y: int) -> str:
    return f"{x}{y}" if y < 0 else f"{x} {y}"


def _corners(ring: list[Pixel]) -> list[Pixel]:
    """A ring without points that are there twice or lie on a straight line between their neighbours."""
    points = [point for number, point in enumerate(ring) if not number or point != ring[number - 1]]
    if len(points) > 1 and points[0] == points[-1]:
        points.pop()
    corners: list[Pixel] = []
    for number, point in enumerate(points):
        before, after = points[number - 1], points[(number + 1) % len(points)]
        ax, ay = point[0] - before[0], point[1] - before[1]
        bx, by = after[0] - point[0], after[1] - point[1]
        if ax * by != ay * bx or ax * bx + ay * by < 0:
            corners.append(point)
    return corners


if __name__ == "__main__":
    main()
