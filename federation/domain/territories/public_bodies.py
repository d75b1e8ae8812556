"""A public body as an identifier names it: what the register knows of it, or what the identifier says.

A commune by any of its codes (INSEE code of today or of before, SIREN, SIRET), a grouping by its SIREN, a
département or a région by the code of its territory (``territory:21``, ``territory:FR-BFC``). Of all others
nothing but the identifier is known.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

import msgspec

from federation.domain.errors import Invalid
from federation.domain.organisation import Identifier
from federation.domain.territories.areas import (
    GROUPINGS,
    REGIONS,
    Area,
    area_of,
    departements_of,
    region_of,
    spellings,
)
from federation.domain.territories.bodies import Body, bodies
from federation.domain.territories.identity import body_numbers, name_of, number_of
from federation.domain.territories.lookup import part_of, postcodes_of
from federation.domain.territories.names import departement_name, region_name

TERRITORY = "territory"
"""The scheme of territories: a département or a région as a body."""
BODY_ID_PATTERN = r"^(([0-9]{4}|cog):[A-Za-z0-9][A-Za-z0-9:._-]{0,63}|territory:[A-Z0-9-]{2,6})$"
"""The identifier of a body in an address: scheme and value."""
RegisterKind = Literal["commune", "epci", "departement", "region"]


class NamedTerritory(msgspec.Struct, frozen=True):
    """A département, a région or a grouping that a body is in."""

    code: str
    """INSEE code; SIREN of a grouping."""
    name: str


class FormerCode(msgspec.Struct, frozen=True):
    """The code of a part of a commune of today, or one no longer used, by which the commune was asked for."""

    code: str
    kind: str
    """``delegated``, ``associated``, ``arrondissement``, or ``former`` for a code no longer in use."""
    name: str | None = None


class PublicBody(msgspec.Struct, frozen=True, kw_only=True):
    """A public body. Null: not known."""

    id: str
    """``scheme:value``, the same for every identifier of a body that the register has."""
    known: bool
    """False: the register does not have it, and nothing but the identifier is known."""
    kind: RegisterKind | None = None
    name: str | None = None
    population: int | None = None
    """Municipal population, of all its communes."""
    departement: NamedTerritory | None = None
    """That of most of its communes, where it is in several."""
    region: NamedTerritory | None = None
    grouping: NamedTerritory | None = None
    """The EPCI with its own taxation that a commune belongs to."""
    territorial_body: NamedTerritory | None = None
    """The territorial body of Greater Paris (EPT) that a commune belongs to as well."""
    siren: str | None = None
    insee: str | None = None
    postcodes: tuple[str, ...] = ()
    member_communes: int | None = None
    """Communes of a grouping, a département or a région."""
    part: FormerCode | None = None
    """The part of it that the identifier asked for names."""


def public_body(text: str) -> PublicBody:
    """The body that ``scheme:value`` names. Raises Invalid for a text that cannot be an identifier."""
    if not re.fullmatch(BODY_ID_PATTERN, text):
        raise _not_an_identifier(text)
    scheme, _, value = text.partition(":")
    if scheme == TERRITORY:
        return _territory(text, value)
    try:
        identifier = Identifier(scheme=scheme, value=value)
    except ValueError as error:
        raise _not_an_identifier(text) from error
    number = number_of(name_of(identifier))
    if number is None:
        siren = name_of(identifier).removeprefix("0002:") if scheme in ("0002", "0009") else None
        return PublicBody(id=text, known=False, siren=siren, insee=value if scheme == "cog" else None)
    body = registered_body(number)
    if scheme == "cog" and value != body.insee and (part := part_of(value)):
        return msgspec.structs.replace(body, part=FormerCode(value, part.kind, part.name or None))
    return body


def _not_an_identifier(text: str) -> Invalid:
    return Invalid(
        "{text} names no public body: scheme:value with a right check digit, 0002:SIREN, cog:INSEE code or"
        " territory:code",
        pointer="/body_id",
        fault="pattern",
        text=text[:80],
    )


def registered_body(number: int) -> PublicBody:
    """A body of the register by its number."""
    body = bodies()[number]
    return PublicBody(
        id=body_id(body),
        known=True,
        kind=body.kind,
        name=body.name,
        population=body.population,
        departement=NamedTerritory(body.departement, departement_name(body.departement)),
        region=NamedTerritory(body.region, region_name(body.region)),
        grouping=_grouping(body.epci),
        territorial_body=_grouping(body.ept),
        siren=body.siren,
        insee=body.cog,
        postcodes=postcodes_of(body.cog) if body.cog else (),
        member_communes=len(communes_of(body.siren)) if body.kind == "epci" and body.siren else None,
    )


def body_id(body: Body) -> str:
    """The identifier of a body of the register under which it is answered: INSEE code, else SIREN."""
    return f"cog:{body.cog}" if body.cog else f"0002:{body.siren}"


def _grouping(siren: str | None) -> NamedTerritory | None:
    if siren is None:
        return None
    number = body_numbers().get(f"0002:{siren}")
    return NamedTerritory(siren, bodies()[number].name if number is not None else siren)


def _territory(text: str, code: str) -> PublicBody:
    area = area_of(code)
    if area is None or area.kind == "country" or len(area.codes) > 1:
        raise Invalid(
            "{territory} is no département or région of the register",
            pointer="/body_id",
            fault="not-allowed",
            territory=code,
        )
    if area.kind == "grouping":
        return registered_body(body_numbers()[f"0002:{area.codes[0]}"])
    return territory_body(area)


@cache
def territory_body(area: Area) -> PublicBody:
    """A département or a région as a body: its population is that of its communes."""
    departements = departements_of(area)
    code = area.codes[0]
    is_region = area.kind == "region"
    region = code if is_region else region_of()[code]
    sums = [_sums().get(departement, (0, 0)) for departement in departements]
    return PublicBody(
        id=f"{TERRITORY}:{region_code(code) if is_region else code}",
        known=True,
        kind="region" if is_region else "departement",
        name=region_name(code) if is_region else departement_name(code),
        population=sum(population for population, _ in sums),
        departement=None if is_region else NamedTerritory(code, departement_name(code)),
        region=NamedTerritory(region, region_name(region)),
        member_communes=sum(communes for _, communes in sums),
    )


@cache
def _sums() -> dict[str, tuple[int, int]]:
    """Population and number of communes of each département."""
    sums: dict[str, tuple[int, int]] = {}
    for body in bodies():
        if body.kind == "commune":
            population, communes = sums.get(body.departement, (0, 0))
            sums[body.departement] = population + body.population, communes + 1
    return sums


def region_code(code: str) -> str:
    """The code of ISO 3166-2 of a région, by its INSEE code."""
    return next((iso for iso, insee in REGIONS.items() if insee == code), code)


def location_codes(body: PublicBody) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The départements that a body has a part of, and the SIREN of its groupings, itself among them."""
    match body.kind:
        case "commune":
            places = (body.grouping, body.territorial_body)
            return (_code(body.departement),), tuple(place.code for place in places if place)
        case "epci":
            siren = body.siren or ""
            return tuple(sorted({commune.departement for commune in communes_of(siren)})), (siren,)
        case "departement":
            return (_code(body.departement),), ()
        case "region":
            code = _code(body.region)
            return tuple(sorted(d for d, region in region_of().items() if region == code)), ()
    return (), ()


def containing_codes(body: PublicBody) -> tuple[str, ...]:
    """Every code of a territory that a body is in, or has a part in; none where that is not known."""
    departements, groupings = location_codes(body)
    regions = {region_of()[departement] for departement in departements}
    codes = [*departements, *(iso for iso, insee in REGIONS.items() if insee in regions)]
    codes += [iso for iso, siren in GROUPINGS.items() if siren in groupings]
    if codes:
        codes.append("FR")
    return tuple(dict.fromkeys(spelling for code in codes for spelling in spellings(code)))


def _code(place: NamedTerritory | None) -> str:
    return place.code if place else ""


def communes_of(siren: str) -> tuple[Body, ...]:
    """The communes of a grouping."""
    return _communes_by_grouping().get(siren, ())


@cache
def _communes_by_grouping() -> dict[str, tuple[Body, ...]]:
    communes: dict[str, list[Body]] = {}
    for body in bodies():
        for siren in (body.epci, body.ept):
            if siren is not None and body.kind == "commune":
                communes.setdefault(siren, []).append(body)
    return {siren: tuple(found) for siren, found in communes.items()}
