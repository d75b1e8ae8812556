"""The body of the register that identifiers name, and identifiers that contradict each other.

SIREN, SIRET and INSEE code name the same body; the code of a delegated or associated commune, of a municipal
arrondissement or of a commune that was abolished names the commune of today.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from federation.domain.faults import Fault
from federation.domain.messages import Message
from federation.domain.organisation import Identifier, Organisation
from federation.domain.territories.bodies import bodies, communes_of_codes


@cache
def body_numbers() -> dict[str, int]:
    """The numbers of bodies by ``scheme:value``, of codes of today."""
    numbers = {}
    for number, body in enumerate(bodies()):
        if body.siren:
            numbers[f"0002:{body.siren}"] = number
        if body.cog:
            numbers[f"cog:{body.cog}"] = number
    return numbers


def name_of(identifier: Identifier) -> str:
    """``scheme:value`` of the body. (A SIRET is an establishment of the body whose SIREN it begins with.)"""
    if identifier.scheme == "0009":
        return f"0002:{identifier.value[:9]}"
    return f"{identifier.scheme}:{identifier.value}"


def number_of(name: str) -> int | None:
    """The number of the body that ``scheme:value`` names today; None where the register does not have it."""
    number = body_numbers().get(name)
    if number is None and name.startswith("cog:") and (cog := communes_of_codes().get(name[4:])):
        return body_numbers().get(f"cog:{cog}")
    return number


def departements_of_bodies(organisations: Iterable[Organisation]) -> list[str]:
    """The départements in which some of these bodies are, in order; bodies that nobody knows are in none."""
    numbers, register = body_numbers(), bodies()
    departements = set()
    for organisation in organisations:
        for identifier in organisation.identifiers:
            name = name_of(identifier)
            number = numbers.get(name)
            if number is None and (number := number_of(name)) is None:
                continue
            departements.add(register[number].departement)
    return sorted(departements)


def names_of_body(name: str) -> tuple[str, ...]:
    """Every ``scheme:value`` of the body that this one names, this one first."""
    number = number_of(name)
    if number is None:
        return (name,)
    body = bodies()[number]
    names = [name]
    if body.siren:
        names.append(f"0002:{body.siren}")
    if body.cog:
        names += [f"cog:{body.cog}", *(f"cog:{code}" for code in _codes_of_commune().get(body.cog, ()))]
    return tuple(dict.fromkeys(names))


@cache
def _codes_of_commune() -> dict[str, tuple[str, ...]]:
    codes: dict[str, list[str]] = {}
    for code, commune in communes_of_codes().items():
        codes.setdefault(commune, []).append(code)
    return {commune: tuple(found) for commune, found in codes.items()}


def contradictions(identifiers: Sequence[Identifier], at: str) -> Iterator[Fault]:
    """The fault of identifiers of one body that contradict each other; ``at``: the pointer to the body."""
    if (second := contradicting(identifiers)) is not None:
        message = Message("this identifier names another body than one before it")
        yield Fault(pointer=f"{at}/identifiers/{second}", code="rule", message=message, rule=14)


def contradicting(identifiers: Sequence[Identifier]) -> int | None:
    """The place of the first identifier that names another body than one before it; None where all agree.

    A SIREN that the register does not have agrees with the code of a commune that is no more: the commune may
    have had it. It contradicts the code of a commune of today, whose SIREN is known.
    """
    names = [name_of(identifier) for identifier in identifiers]
    if len(set(names)) < 2:
        return None
    numbers = [number_of(name) for name in names]
    for index, name in enumerate(names):
        for before in range(index):
            if names[before] != name and _differ((names[before], numbers[before]), (name, numbers[index])):
                return index
    return None


def _differ(first: tuple[str, int | None], second: tuple[str, int | None]) -> bool:
    if first[1] is not None and second[1] is not None:
        return first[1] != second[1]
    if first[1] is None and second[1] is None:
        # Of a scheme with one number for each body, as far as it is known here.
        return first[0].partition(":")[0] == second[0].partition(":")[0] and first[0][:5] in ("0002:", "cog:")
    known, unknown = (first, second) if second[1] is None else (second, first)
    assert known[1] is not None  # noqa: S101 - one of the two is known
    body = bodies()[known[1]]
    if unknown[0].startswith("0002:"):
        is_of_today = not known[0].startswith("cog:") or known[0] == f"cog:{body.cog}"
        return body.siren is not None and is_of_today
    return unknown[0].startswith("cog:") and body.cog is not None
