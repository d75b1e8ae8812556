"""The communes of France and their groupings: names, places and populations.

Data: npm package `@etalab/decoupage-administratif` 6.0.0 (the boundaries of 2026), made by Etalab from files
of INSEE (official geographic code, populations) and DGCL (intercommunal bodies, SIREN numbers); Licence
Ouverte 2.0, see NOTICE.md beside this file. `make` makes the files beside this one anew. Postcodes are not
read here (``lookup.py``): no answer about exposure needs them.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

PACKAGE = "@etalab/decoupage-administratif"
VERSION = "6.0.0"
BOUNDARIES = "2026"
"""The year of the boundaries: communes and groupings as they were on 1 January."""

_POSTCODES_OF_PARIS = frozenset(f"750{number:02}" for number in range(1, 21))
"""They were the INSEE codes of communes around Paris until 1968. Who writes one today means the postcode, and
would have Alfortville counted for Paris: as INSEE codes they are unknown."""
Kind = Literal["commune", "epci"]
KINDS: dict[str, Kind] = {"commune": "commune", "epci": "epci"}
COLUMNS = ("kind", "siren", "cog", "name", "population", "departement", "region", "epci", "ept")
CODE_COLUMNS = ("code", "commune", "kind", "name")


class Body(msgspec.Struct, frozen=True):
    """A body of the register. "epci" covers the eleven territorial bodies (EPT) of Greater Paris too."""

    kind: Kind
    siren: str | None
    """94 overseas communes have none."""
    cog: str | None
    """INSEE commune code; an EPCI has none."""
    name: str
    population: int
    """Municipal population, in inhabitants; an EPCI's is that of all its communes, wherever they are."""
    departement: str
    """INSEE code. An EPCI across two départements or regions stands where most of its communes are."""
    region: str
    epci: str | None = None
    """SIREN of the EPCI with its own taxation that the commune belongs to; a few islands belong to none."""
    ept: str | None = None
    """SIREN of the territorial body of Greater Paris that the commune belongs to as well."""


class PartCode(msgspec.Struct, frozen=True):
    """An INSEE code that is no commune of today, and the commune of today that it belongs to."""

    code: str
    commune: str
    kind: str
    """``delegated``, ``associated``, ``arrondissement``, or ``former`` for a code no longer in use."""
    name: str
    """Empty for a former code."""


def parse(text: str) -> tuple[Body, ...]:
    """Read the tab-separated text that `make` writes; ValueError on anything else."""
    head, *lines = text.splitlines()
    if head != "\t".join(COLUMNS):
        raise ValueError("the file of communes does not have the columns that this version reads")
    return tuple(_parse_line(line) for line in lines)


def _parse_line(line: str) -> Body:
    kind, siren, cog, name, population, departement, region, epci, ept = line.split("\t")
    if kind not in KINDS:
        raise ValueError(f"{siren} is neither a commune nor an EPCI: {kind}")
    return Body(
        kind=KINDS[kind],
        siren=siren or None,
        cog=cog or None,
        name=name,
        population=int(population),
        departement=departement,
        region=region,
        epci=epci or None,
        ept=ept or None,
    )


def parse_codes(text: str) -> tuple[PartCode, ...]:
    """Read the tab-separated text of codes that `make` writes; ValueError on anything else."""
    head, *lines = text.splitlines()
    if head != "\t".join(CODE_COLUMNS):
        raise ValueError("the file of codes does not have the columns that this version reads")
    return tuple(PartCode(*line.split("\t")) for line in lines)


def read_file(name: str) -> str:
    """The text of a file of the register."""
    packed = files("federation.domain.territories").joinpath(name).read_bytes()
    return gzip.decompress(packed).decode()


@cache
def bodies() -> tuple[Body, ...]:
    """Every body: by region, communes by INSEE code, then EPCI by SIREN. A body's index is its number."""
    return parse(read_file("communes.tsv.gz"))


@cache
def communes_of_codes() -> dict[str, str]:
    """INSEE codes that are no commune of today, and the codes of the communes of today."""
    parts = parse_codes(read_file("codes.tsv.gz"))
    return {part.code: part.commune for part in parts if part.code not in _POSTCODES_OF_PARIS}


@cache
def edition() -> str:
    """The edition of the register: numbers of bodies mean something within one edition only.

    Codes of parts belong to it: with others, deployments cover other bodies.
    """
    text = read_file("communes.tsv.gz") + read_file("codes.tsv.gz")
    return hashlib.sha256(text.encode()).hexdigest()[:16]
