"""The communes and EPCI of the four regions that the demonstration plays in.

Data: npm package `@etalab/decoupage-administratif` 6.0.0 (the boundaries of 2026), made by Etalab from files
of INSEE (official geographic code, populations) and DGCL (intercommunal bodies, SIREN numbers); Licence
Ouverte 2.0, see NOTICE.md beside this file. `make_communes` makes `communes.tsv.gz` anew.
"""

import gzip
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

import msgspec

Kind = Literal["commune", "epci"]
KINDS: dict[str, Kind] = {"commune": "commune", "epci": "epci"}
COLUMNS = ("kind", "siren", "cog", "name", "population", "departement", "region", "epci")

#: Territory (ISO 3166-2, as operators state theirs) → region (INSEE code).
REGIONS = MappingProxyType({"FR-BFC": "27", "FR-BRE": "53", "FR-CVL": "24", "FR-IDF": "11"})


class Beneficiary(msgspec.Struct, frozen=True):
    """A body that operators serve. "epci" covers the eleven territorial bodies (EPT) of Greater Paris too."""

    siren: str
    #: INSEE commune code; an EPCI has none.
    cog: str | None
    name: str
    #: Municipal population, in inhabitants; an EPCI's is that of all its communes, wherever they are.
    population: int
    #: INSEE code. An EPCI across two départements or regions stands where most of its communes are.
    departement: str
    region: str
    #: SIREN of the EPCI with its own taxation that the commune belongs to; three islands belong to none.
    epci: str | None
    kind: Kind


@cache
def beneficiaries(region: str) -> tuple[Beneficiary, ...]:
    """The bodies of a region (INSEE code): communes by INSEE code, then EPCI by SIREN.

    Raises ValueError for a region that is not in the data.
    """
    found = tuple(body for body in _shipped() if body.region == region)
    if not found:
        raise ValueError(
            f"region {region} is not in the demonstration data: {', '.join(sorted(REGIONS.values()))} are"
        )
    return found


def parse(text: str) -> tuple[Beneficiary, ...]:
    """Read the tab-separated text that `make_communes` writes; ValueError on anything else."""
    head, *lines = text.splitlines()
    if head != "\t".join(COLUMNS):
        raise ValueError("the file of communes does not have the columns that this version reads")
    return tuple(_parse_line(line) for line in lines)


def _parse_line(line: str) -> Beneficiary:
    kind, siren, cog, name, population, departement, region, epci = line.split("\t")
    if kind not in KINDS:
        raise ValueError(f"{siren} is neither a commune nor an EPCI: {kind}")
    return Beneficiary(
        siren=siren,
        cog=cog or None,
        name=name,
        population=int(population),
        departement=departement,
        region=region,
        epci=epci or None,
        kind=KINDS[kind],
    )


@cache
def _shipped() -> tuple[Beneficiary, ...]:
    packed = files("federation.demo").joinpath("communes.tsv.gz").read_bytes()
    return parse(gzip.decompress(packed).decode())
