"""Coverage by département: the communes, groupings and people that a set of tokens stands for in each."""

from __future__ import annotations

from functools import cache

import msgspec

from federation.domain.exposure.coverage import bits, covered_bodies, inhabitants, kinds, served_communes
from federation.domain.territories.bodies import bodies


class Share(msgspec.Struct, frozen=True):
    """The part of one département that is covered."""

    code: str
    """INSEE code."""
    communes: int
    """Communes that are named, or are in a territory that is."""
    all_communes: int
    epci: int
    """Groupings of communes; one across two départements is counted where most of its communes are."""
    inhabitants: int
    """People of these communes, and of the communes of these groupings."""
    all_inhabitants: int

    @property
    def percent(self) -> int:
        """The share of the people, rounded down; 1 for any that is above zero, 100 for all alone."""
        if not self.inhabitants:
            return 0
        return max(1, self.inhabitants * 100 // self.all_inhabitants)


def shares(tokens: int) -> tuple[Share, ...]:
    """The covered part of every département of the register, in the order of their codes."""
    covered = covered_bodies(tokens)
    communes, epci = (covered & mask for mask in kinds())
    people = served_communes(tokens, communes)
    return tuple(
        Share(
            code,
            (communes & mask).bit_count(),
            (kinds()[0] & mask).bit_count(),
            (epci & mask).bit_count(),
            inhabitants(people & mask),
            _all_inhabitants()[code],
        )
        for code, mask in _departements().items()
    )


def touched(tokens: int) -> frozenset[str]:
    """The départements in which something is covered."""
    covered = covered_bodies(tokens)
    covered |= served_communes(tokens, covered & kinds()[0])
    return frozenset(code for code, mask in _departements().items() if covered & mask)


@cache
def _departements() -> dict[str, int]:
    """The bodies of each département, as a set."""
    numbers: dict[str, list[int]] = {}
    for number, body in enumerate(bodies()):
        numbers.setdefault(body.departement, []).append(number)
    return {code: bits(numbers[code]) for code in sorted(numbers)}


@cache
def _all_inhabitants() -> dict[str, int]:
    return {code: inhabitants(mask & kinds()[0]) for code, mask in _departements().items()}
