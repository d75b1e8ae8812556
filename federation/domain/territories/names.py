"""Names of départements and régions by their INSEE codes: what people call the places of the register."""

from __future__ import annotations

from functools import cache

from federation.domain.territories.map import departements, region_names


def departement_name(code: str) -> str:
    """The name of a département or of a territory overseas; its code where it has none."""
    return _departement_names().get(code, code)


def region_name(code: str) -> str:
    """The name of a région, or of a territory overseas that is in none; its code where it has none."""
    return region_names().get(code) or departement_name(code)


@cache
def _departement_names() -> dict[str, str]:
    return {shape.code: shape.name for shape in departements()}
