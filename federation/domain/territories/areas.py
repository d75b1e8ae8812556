"""Codes of territories: those of ISO 3166, and the INSEE numbers of départements.

One territory has several codes: La Réunion is ``974``, ``FR-974``, ``RE``, ``FR-RE`` and ``FR-LRE``. Records
keep the code that their writer gave; territories are compared by :func:`area_of`.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple

from federation.domain.territories.bodies import bodies

REGIONS = {
    "FR-ARA": "84", "FR-BFC": "27", "FR-BRE": "53", "FR-CVL": "24", "FR-20R": "94", "FR-COR": "94",
    "FR-GES": "44", "FR-HDF": "32", "FR-IDF": "11", "FR-NOR": "28", "FR-NAQ": "75", "FR-OCC": "76",
    "FR-PDL": "52", "FR-PAC": "93",
}  # fmt: skip
"""Regions (ISO 3166-2) and their INSEE codes."""
OVERSEAS = {"GP": "971", "MQ": "972", "GF": "973", "RE": "974", "PM": "975", "YT": "976", "BL": "977",
            "MF": "978", "TF": "984", "WF": "986", "PF": "987", "NC": "988", "CP": "989"}  # fmt: skip
"""Countries of ISO 3166-1 that are départements or territories of France; ``FR-`` may stand before them.

``CP`` is Clipperton: ISO 3166-1 reserves the code, ISO 3166-2 has it as ``FR-CP``.
"""
OVERSEAS_REGIONS = {"FR-GUA": "971", "FR-MTQ": "972", "FR-GUF": "973", "FR-LRE": "974", "FR-MAY": "976"}
"""Codes that ISO 3166-2 has had for regions overseas, which are a département each."""
SPECIAL_CODES = {"FR-75C": ("75",), "FR-6AE": ("67", "68"), "20": ("2A", "2B"), "FR-20": ("2A", "2B")}
"""Codes of ISO 3166-2 for one département or several; and the number of Corsica until 1976, still in use."""
GROUPINGS = {"FR-69M": "200046977"}
"""Codes of ISO 3166-2 for a grouping of communes, by its SIREN: the Métropole de Lyon."""


class Area(NamedTuple):
    """A territory of the register: all of France, a region, some départements, or a grouping of communes."""

    kind: str
    """``country``, ``region``, ``departement`` or ``grouping``."""
    codes: tuple[str, ...]
    """INSEE codes of the region or of the départements; the SIREN of the grouping."""


FRANCE = Area("country", ("FR",))


@lru_cache(maxsize=4_096)
def area_of(code: str) -> Area | None:
    """The territory of a code; None where the register does not have it."""
    if code == "FR":
        return FRANCE
    if region := REGIONS.get(code):
        return Area("region", (region,))
    if siren := GROUPINGS.get(code):
        return Area("grouping", (siren,))
    insee = code.removeprefix("FR-")
    insee = OVERSEAS.get(insee) or OVERSEAS_REGIONS.get(code) or insee
    departements = SPECIAL_CODES.get(code, (insee,))
    if all(departement in region_of() for departement in departements):
        return Area("departement", departements)
    return None


@cache
def region_of() -> dict[str, str]:
    """The region of each département (INSEE codes)."""
    return {body.departement: body.region for body in bodies() if body.kind == "commune"}


@cache
def _codes_by_area() -> dict[Area, tuple[str, ...]]:
    """Every code that a territory may have."""
    given = [*REGIONS, *OVERSEAS, *OVERSEAS_REGIONS, *SPECIAL_CODES, *GROUPINGS, "FR"]
    given += [f"FR-{code}" for code in (*OVERSEAS, *region_of())] + list(region_of())
    codes: dict[Area, dict[str, None]] = {}
    for code in given:
        if area := area_of(code):
            codes.setdefault(area, {})[code] = None
    return {area: tuple(found) for area, found in codes.items()}


def spellings(code: str) -> tuple[str, ...]:
    """The codes of the same territory, this one among them."""
    area = area_of(code)
    return _codes_by_area().get(area, (code,)) if area else (code,)


@lru_cache(maxsize=256)
def overlapping(code: str) -> tuple[str, ...]:
    """The codes of all territories that contain this one, or that it contains, and its own."""
    area = area_of(code)
    if area is None:
        country = code.partition("-")[0]
        return (code,) if country == code or country == "FR" else (code, country)
    departements = departements_of(area)
    regions = {region_of()[departement] for departement in departements}
    found = dict.fromkeys(spellings(code))
    for other, codes in _codes_by_area().items():
        is_around = other == FRANCE or (other.kind == "region" and other.codes[0] in regions)
        if is_around or departements & departements_of(other):
            found |= dict.fromkeys(codes)
    return tuple(found)


@cache
def departements_of(area: Area) -> frozenset[str]:
    """The départements (INSEE codes) that a territory is, or that it is in."""
    match area.kind:
        case "country":
            return frozenset(region_of())
        case "region":
            return frozenset(code for code, region in region_of().items() if region in area.codes)
        case "grouping":
            return frozenset(
                body.departement for body in bodies() if body.epci in area.codes or body.ept in area.codes
            )
    return frozenset(area.codes)
