"""Coverage of deployments, resolved against the register of communes: a body covered twice counts once.

Sets of bodies are integers with a bit for each body of the register, so that a union is one operation and
the deployments of a whole country cost a few of them. An EPCI is a body of its own; the people it serves
are those of its communes, so that nobody is counted for the commune and for the EPCI.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

import msgspec

from federation.domain.content.deployment import Area, Bodies, Coverage, Number
from federation.domain.organisation import Organisation
from federation.domain.territories.areas import REGIONS, area_of
from federation.domain.territories.bodies import Body, bodies, communes_of_codes
from federation.domain.territories.identity import body_numbers, name_of, number_of


class Resolved(msgspec.Struct, frozen=True):
    """A coverage in numbers of the register."""

    tokens: tuple[int, ...] = ()
    """Bodies by their number, and territories by ``len(bodies())`` and their place in ``territories()``."""
    elsewhere: tuple[str, ...] = ()
    """``scheme:value`` of bodies that are not in the register."""
    counted: int = 0
    """Bodies of which only the number is given."""
    areas: int = 0
    """Territories that are not in the register."""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Bodies and inhabitants covered, each of them counted once."""

    bodies: int
    """Bodies that are named, or are in a territory that is: communes, epci and others."""
    communes: int
    epci: int
    """Groupings of communes (EPCI)."""
    others: int
    """Bodies that are not in the register; how many people they serve is not known."""
    inhabitants: int
    """People of the communes, and of the communes of groupings that are named."""
    counted: int
    """Bodies of which only the number is given, added up; the bodies named may be among them."""
    areas: int
    """Territories that are not in the register, and so are not counted."""


@cache
def territories() -> tuple[str, ...]:
    """Territories of the register, in the order of their numbers: ``FR``, regions, départements."""
    departements = sorted({body.departement for body in bodies()})
    return ("FR", *sorted(set(REGIONS.values()), key=int), *departements)


def resolve(coverage: Coverage) -> Resolved:
    """Resolve a coverage to numbers of the register."""
    match coverage:
        case Number(count=count):
            return Resolved(counted=count)
        case Area(territory=codes):
            areas = [tuple(_territory_tokens(code)) for code in codes]
            return Resolved(
                tokens=tuple(sorted({token for tokens in areas for token in tokens})),
                areas=sum(not tokens for tokens in areas),
            )
        case Bodies(beneficiaries=organisations):
            numbers: set[int] = set()
            elsewhere: set[str] = set()
            for organisation in organisations:
                found, name = _body_numbers(organisation)
                numbers |= found
                if not found:
                    elsewhere.add(name)
            return Resolved(tokens=tuple(sorted(numbers)), elsewhere=tuple(sorted(elsewhere)))


def _territory_tokens(code: str) -> Iterator[int]:
    """Tokens of a territory; none when the register does not have it."""
    area = area_of(code)
    if area is None:
        return
    first = len(bodies())
    match area.kind:
        case "country":
            yield first
        case "grouping":
            number = body_numbers()[f"0002:{area.codes[0]}"]
            yield from (number, *members(_communes_of()[number]))
        case kind:
            for insee in area.codes:
                yield first + _territory_numbers()[kind, insee]


@cache
def _territory_numbers() -> dict[tuple[str, str], int]:
    regions = len(set(REGIONS.values()))
    return {
        ("region" if 0 < n <= regions else "departement", code): n
        for n, code in enumerate(territories())
        if n
    }


def _body_numbers(organisation: Organisation) -> tuple[set[int], str]:
    """The numbers of a body in the register, and the name that distinguishes it where there are none.

    They are several where its identifiers contradict each other (a writer here is refused then, a peer's
    record is not): to count one body too many is better than to leave out the one that is affected.
    """
    names = [name_of(identifier) for identifier in organisation.identifiers]
    numbers = {number for name in names if (number := number_of(name)) is not None}
    # A SIREN names it for everybody; else its first number, whatever the order they come in.
    return numbers, min(names, key=lambda name: (not name.startswith("0002:"), name))


def read_register() -> None:
    """Read the register into memory. It takes a seventh of a second, once in a process."""
    body_numbers()
    communes_of_codes()
    _territory_numbers()


# Sets of bodies


def bits(numbers: Iterable[int]) -> int:
    """The set of these numbers."""
    listed = tuple(numbers)
    # One byte at a time: to set bits of a large integer one by one would copy it for each.
    octets = bytearray((max(listed) >> 3) + 1 if listed else 0)
    for number in listed:
        octets[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(octets, "little")


def members(set_: int) -> Iterator[int]:
    """The numbers of a set, in order."""
    size = (set_.bit_length() + 7) // 8
    for index, octet in enumerate(set_.to_bytes(size, "little")):
        if octet:
            for bit in range(8):
                if octet >> bit & 1:
                    yield index * 8 + bit


def covered_bodies(tokens: int) -> int:
    """The bodies that tokens stand for: those named, and those of the territories."""
    first = len(bodies())
    covered = tokens & ((1 << first) - 1)
    for territory in members(tokens >> first):
        covered |= _territory(territory)
    return covered


@cache
def _territory(number: int) -> int:
    code = territories()[number]
    regions = len(set(REGIONS.values()))
    if number == 0:
        return (1 << len(bodies())) - 1
    member = "region" if number <= regions else "departement"
    return bits(n for n, body in enumerate(bodies()) if getattr(body, member) == code)


def tally(tokens: int, *, others: int = 0, counted: int = 0, areas: int = 0) -> Tally:
    """Count the bodies and people of tokens, with those that are not in the register.

    The people of a territory are those of its communes: groupings that reach beyond it do not widen it.
    """
    covered = covered_bodies(tokens)
    communes, epci = (covered & mask for mask in kinds())
    people = served_communes(tokens, communes)
    return Tally(
        bodies=covered.bit_count() + others,
        communes=communes.bit_count(),
        epci=epci.bit_count(),
        others=others,
        inhabitants=inhabitants(people),
        counted=counted,
        areas=areas,
    )


def served_communes(tokens: int, communes: int) -> int:
    """The communes whose people tokens stand for: these, and those of the groupings that are named."""
    for number in members(tokens & kinds()[1]):
        communes |= _communes_of()[number]
    return communes


def inhabitants(communes: int) -> int:
    """The people of a set of communes."""
    # The populations bit by bit: 22 counts instead of an addition for each commune.
    return sum((communes & plane).bit_count() << n for n, plane in enumerate(_populations()))


@cache
def kinds() -> tuple[int, int]:
    """The communes, and the EPCI."""
    epci = bits(n for n, body in enumerate(bodies()) if body.kind == "epci")
    return ((1 << len(bodies())) - 1) ^ epci, epci


@cache
def _communes_of() -> dict[int, int]:
    """The communes of each EPCI."""
    numbers = body_numbers()
    members_: dict[int, list[int]] = {n: [] for n, body in enumerate(bodies()) if body.kind == "epci"}
    for n, body in enumerate(bodies()):
        for siren in (body.epci, body.ept):
            if siren:
                members_[numbers[f"0002:{siren}"]].append(n)
    return {epci: bits(communes) for epci, communes in members_.items()}


@cache
def _populations() -> tuple[int, ...]:
    """For each binary digit of a population, the communes whose population has it."""
    digits = max(body.population for body in bodies() if body.kind == "commune").bit_length()
    planes = [bytearray((len(bodies()) + 8) // 8) for _ in range(digits)]
    for n, body in enumerate(bodies()):
        if body.kind == "commune":
            for digit in range(digits):
                if body.population >> digit & 1:
                    planes[digit][n >> 3] |= 1 << (n & 7)
    return tuple(int.from_bytes(plane, "little") for plane in planes)


def bodies_of(set_: int) -> Iterator[Body]:
    """The bodies of a set, in the order of the register."""
    register = bodies()
    return (register[number] for number in members(set_))
