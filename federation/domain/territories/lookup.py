"""Questions to the register: its edition, a body by its number, and changes between two editions."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from functools import cache
from typing import Literal

import msgspec

from federation.domain.errors import CommandFailed
from federation.domain.territories.bodies import (
    BOUNDARIES,
    PACKAGE,
    VERSION,
    Body,
    PartCode,
    bodies,
    communes_of_codes,
    edition,
    parse,
    parse_codes,
    read_file,
)
from federation.domain.territories.identity import body_numbers, number_of

MAX_FILE_BYTES = 64 * 1_048_576
"""Bytes of a file of the register, decompressed: those of today are 2 MB."""
COMPARED = ("name", "siren", "departement", "region", "epci", "ept")
"""Members whose changes are listed one by one. Populations change every year, and are counted."""


class Edition(msgspec.Struct, frozen=True):
    """The register of a node."""

    source: str
    version: str
    boundaries: str
    """Year of the boundaries."""
    edition: str
    """Digest of its content: two nodes with the same one know the same bodies."""
    communes: int
    epci: int
    other_codes: int
    """INSEE codes that are no commune of today and are known as one."""


class Found(msgspec.Struct, frozen=True):
    """A body, and how the text asked for names it."""

    by: Literal["siren", "siret", "insee", "postcode"]
    body: Body
    postcodes: tuple[str, ...]
    part: str | None = None
    """Where the code is that of a part: ``delegated``, ``associated``, ``arrondissement`` or ``former``."""
    part_name: str | None = None


class Change(msgspec.Struct, frozen=True):
    """A body that differs between editions; ``before`` is null for a new one, ``after`` for an old one."""

    kind: str
    code: str
    """INSEE code of a commune, SIREN of an EPCI."""
    name: str
    before: dict[str, str | None] | None
    after: dict[str, str | None] | None


class Comparison(msgspec.Struct, frozen=True):
    """What differs between two editions of the register."""

    changes: tuple[Change, ...]
    populations: int
    """Bodies whose population differs."""


def this_edition() -> Edition:
    """The register of this program."""
    kinds = Counter(body.kind for body in bodies())
    return Edition(
        PACKAGE, VERSION, BOUNDARIES, edition(), kinds["commune"], kinds["epci"], len(communes_of_codes())
    )


def find(text: str) -> tuple[Found, ...]:
    """The bodies that a SIREN, a SIRET, an INSEE code or a postcode names.

    Five characters may be an INSEE code and a postcode: 71100 is both. Several communes share a postcode.
    """
    text = text.replace(" ", "").upper()
    found: list[Found] = []
    if re.fullmatch("[0-9]{9}|[0-9]{14}", text) and text.isascii():
        number = body_numbers().get(f"0002:{text[:9]}")
        if number is not None:
            found.append(_found("siren" if len(text) == 9 else "siret", number))
    elif re.fullmatch("[0-9][0-9AB][0-9]{3}", text):
        number = number_of(f"cog:{text}")
        if number is not None:
            part = part_of(text)
            found.append(_found("insee", number, *((part.kind, part.name or None) if part else (None, None))))
        communes = _communes_of_postcodes().get(text, ())
        found += [_found("postcode", body_numbers()[f"cog:{cog}"]) for cog in communes]
    return tuple(found)


def _found(
    by: Literal["siren", "siret", "insee", "postcode"],
    number: int,
    part: str | None = None,
    part_name: str | None = None,
) -> Found:
    body = bodies()[number]
    return Found(by, body, postcodes_of(body.cog or ""), part, part_name)


def part_of(code: str) -> PartCode | None:
    """The part of a commune of today, or the former commune, that an INSEE code names."""
    return parts().get(code)


@cache
def parts() -> dict[str, PartCode]:
    """The INSEE codes that are no commune of today."""
    return {part.code: part for part in parse_codes(read_file("codes.tsv.gz"))}


def postcodes_of(cog: str) -> tuple[str, ...]:
    """The postcodes of a commune of today, by its INSEE code."""
    return _postcodes().get(cog, ())


def communes_of_postcode(postcode: str) -> tuple[str, ...]:
    """The INSEE codes of the communes that share a postcode."""
    return _communes_of_postcodes().get(postcode, ())


@cache
def _postcodes() -> dict[str, tuple[str, ...]]:
    lines = (line.split("\t") for line in read_file("postcodes.tsv.gz").splitlines())
    return {cog: tuple(codes.split(" ")) for cog, codes in lines}


@cache
def _communes_of_postcodes() -> dict[str, tuple[str, ...]]:
    communes: dict[str, list[str]] = {}
    for cog, postcodes in _postcodes().items():
        for postcode in postcodes:
            communes.setdefault(postcode, []).append(cog)
    return {postcode: tuple(cogs) for postcode, cogs in communes.items()}


def read_bodies(packed: bytes, name: str) -> tuple[Body, ...]:
    """The bodies of a file such as ``communes.tsv.gz``, compressed or not. Raises CommandFailed."""
    try:
        if packed[:2] == b"\x1f\x8b":
            packed = _decompress(packed, name)
        return parse(packed.decode())
    except (ValueError, EOFError, OSError, zlib.error) as error:
        raise CommandFailed(f"{name} is no file of communes of the register: {error}") from error


def _decompress(packed: bytes, name: str) -> bytes:
    decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    text = decompressor.decompress(packed, MAX_FILE_BYTES)
    if not decompressor.eof:
        cut = "it is longer than 64 MiB" if decompressor.unconsumed_tail else "its end is missing"
        raise CommandFailed(f"{name} is no file of communes of the register: {cut}")
    return text


def compare(old: tuple[Body, ...], new: tuple[Body, ...]) -> Comparison:
    """What differs between two editions, communes first, in the order of their codes."""
    before, after = _by_code(old), _by_code(new)
    changes, populations = [], 0
    for kind, code in sorted(before.keys() | after.keys()):
        first, second = before.get((kind, code)), after.get((kind, code))
        named = second or first
        if first and second:
            populations += first.population != second.population
            members = [member for member in COMPARED if getattr(first, member) != getattr(second, member)]
            if not members:
                continue
        else:
            members = list(COMPARED)
        assert named is not None  # noqa: S101 - it is in one of the two
        changes.append(Change(kind, code, named.name, _values(first, members), _values(second, members)))
    return Comparison(tuple(changes), populations)


def _values(body: Body | None, members: list[str]) -> dict[str, str | None] | None:
    return {member: getattr(body, member) for member in members} if body else None


def _by_code(register: tuple[Body, ...]) -> dict[tuple[str, str], Body]:
    return {(body.kind, body.cog or body.siren or ""): body for body in register}
