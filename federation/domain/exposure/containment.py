"""Ask a range whether it contains a version: yes, no, or not known (three-valued logic)."""

from __future__ import annotations

from collections.abc import Callable

from federation.domain.exposure.version_order import (
    ANY,
    DOUBT,
    EQUAL,
    GREATER,
    LESS,
    leading_numbers,
    signs,
)
from federation.domain.exposure.version_range import Bound, Range

WIDE = 32
"""Beside signs: the bound may name a series that the version is of."""
_ALLOWED = {"<": LESS, "<=": LESS | EQUAL, "=": EQUAL, ">=": GREATER | EQUAL, ">": GREATER}


def bound_signs(scheme: str, version: str, bound: Bound) -> int:
    """The signs of a version towards a bound, which may name a series."""
    if not bound.wildcard and not bound.wide:
        return signs(scheme, version, bound.version)
    of_series = tuple(map(int, bound.version.split(".")))
    numbers = leading_numbers(scheme, version)
    within = (*numbers, *(0,) * len(of_series))[: len(of_series)] == of_series
    if bound.wildcard:
        return EQUAL | DOUBT if within else signs(scheme, version, bound.version)
    found = signs(scheme, version, bound.version)
    return found | WIDE if within and len(numbers) > len(of_series) else found


def contains(range_: Range, signs_of: Callable[[Bound], int], *, wide: bool = True) -> Bound | bool | None:
    """What a range says of a version: the point that names it, True, False, or None where it is not known.

    Without ``wide``, bounds that may name a series are taken as they are.
    """

    def holds(bound: Bound | None) -> bool | None:
        if bound is None:
            return True
        found, allowed = signs_of(bound), _ALLOWED[bound.comparator]
        if not found & ANY & ~allowed:
            return True
        doubted = found & (DOUBT | WIDE if wide else DOUBT)
        return False if not found & allowed and not doubted else None

    certain: bool | None = True
    for bound in range_.excluded:
        found = signs_of(bound)
        if found & EQUAL:
            if found & ANY == EQUAL and not (found & DOUBT and not bound.wildcard):
                return False
            certain = None
    inside: Bound | bool | None = not range_.points and not range_.intervals
    for point in range_.points:
        answer = holds(point)
        if answer:
            return point if certain else None
        inside = None if answer is None else inside
    for low, high in range_.intervals:
        first, last = holds(low), holds(high)
        if first and last:
            return True if certain else None
        if first is not False and last is not False:
            inside = None
    return inside if inside is False or certain else None
