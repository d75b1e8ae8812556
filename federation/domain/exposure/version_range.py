"""Ranges of versions, as ``vers`` (the Version Range Specifier of package-url) writes them.

A range is read once. What it says of a version (``containment``) is true, false, or None where the order of
the version and a bound is not known (``version_order``). So a version is outside only if every bound that
could let it in certainly does not.

- ``6.x`` and ``8.*`` are series. Under no rules, ``10.0`` and ``<=10.0`` may mean all of 10.0, unless the
  range names a version within it.
- A range whose bounds contradict each other, or that has words in it, is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cmp_to_key, lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple
from urllib.parse import unquote

from federation.domain.exposure.version_order import (
    ANY,
    DOUBT,
    EQUAL,
    GREATER,
    LESS,
    LOOSE,
    SCHEMES,
    STRICT,
    leading_numbers,
    read,
    signs,
)

Problem = Literal["range-unreadable", "scheme-unknown", "no-version-affected"]
MAX_BOUNDS = 500
"""Bounds of one range, at most."""

# What begins as a version does; words such as "Distribution" and "N/A" are none, whatever a scheme takes.
_VERSION = re.compile(r"[vV]?((?:[0-9]+[:!])?[0-9][0-9A-Za-z.+~:_()\-^!]{0,99})")
_CONSTRAINT = re.compile(r"(>=|<=|!=|=|<|>)?([^<>=!|]+)")
SERIES = re.compile(r"[vV]?([0-9]{1,18}(?:\.[0-9]{1,18})*)(?:\.[xX*])+")
_WILDCARD = re.compile(r"(?:^|[.\-_+~])[xX*](?:$|[.\-_+~])|\*")
_HASH = re.compile(r"[0-9a-f]{7,40}")
_WORDS = re.compile(
    r"(?:^|[^a-z])(?:all|and|any|before|below|above|current|earlier|from|later|latest|lower|newer|older|or|prior"
    r"|than|through|to|under|until|up)(?:[^a-z]|$)"
)
_INTERVAL = re.compile(r"([0-9]+(?:\.[0-9]+)*)-([0-9]+(?:\.[0-9]+)*)")
_ZERO = re.compile(r"0(?:\.0)*")


class Bound(NamedTuple):
    """A comparator and a version, or the series that it names."""

    comparator: str
    version: str
    wildcard: bool = False
    """True for ``6.x``, of which ``version`` has the 6."""
    wide: bool = False
    """True for a bound that may mean all versions that begin so."""


Interval = tuple[Bound | None, Bound | None]
"""The versions from one bound to another; None where it is open."""


class Range(NamedTuple):
    """A range that was read; without bounds, every version."""

    scheme: str
    points: tuple[Bound, ...] = ()
    intervals: tuple[Interval, ...] = ()
    excluded: tuple[Bound, ...] = ()
    several_epochs: bool = False
    """True where bounds have different epochs: a version written without its own may be of any."""

    @property
    def bounds(self) -> tuple[Bound, ...]:
        ends = (bound for interval in self.intervals for bound in interval if bound is not None)
        return (*self.points, *ends, *self.excluded)


# Reading


def clean_version(name: str) -> str | None:
    """A version without the letter before it; None for what is none under any scheme."""
    match = _VERSION.fullmatch(name)
    if match is None:
        return None
    version, lowered = match[1], match[1].lower()
    if (
        version[-1] in ".+~-_:!^("
        or ".." in version
        or _WILDCARD.search(version)
        or _WORDS.search(lowered)
        or (_HASH.fullmatch(lowered) and not lowered.isdigit())
    ):
        return None
    return version


@lru_cache(maxsize=8_192)
def parse(range_: str) -> Range | Problem:
    """Read a range, or say why it cannot be read. Nothing is raised."""
    uri, _, rest = range_.partition(":")
    scheme, slash, constraints = rest.partition("/")
    if uri != "vers" or not slash or not constraints or not range_.isascii():
        return "range-unreadable"
    if constraints == "*":
        return "no-version-affected" if scheme == "none" else Range(scheme)
    if scheme not in SCHEMES:
        return "scheme-unknown"
    parts = list(dict.fromkeys(constraints.strip("|").split("|")))
    if len(parts) > MAX_BOUNDS:
        return "range-unreadable"
    bounds = [_bound(scheme, part) for part in parts]
    if None in bounds:
        return "range-unreadable"
    try:
        return _arrange(scheme, _widen(scheme, [bound for bound in bounds if bound is not None]))
    except Exception:  # classes of the library that have nothing in common
        return "range-unreadable"


def _bound(scheme: str, part: str) -> Bound | None:
    match = _CONSTRAINT.fullmatch(part)
    if match is None:
        return None
    comparator, name = match[1] or "=", unquote(match[2])
    if series := SERIES.fullmatch(name):
        return Bound(comparator, series[1], wildcard=True)
    version = clean_version(name)
    if version is None or (comparator == "=" and scheme in LOOSE | STRICT and _is_interval(version)):
        return None
    return Bound(comparator, version)


def _is_interval(version: str) -> bool:
    """True for ``6.0-6.4``, which may be one version or all from one to the other."""
    match = _INTERVAL.fullmatch(version)
    if match is None:
        return False
    first, last = ([int(part) for part in group.split(".")] for group in match.groups())
    return first < last


def _widen(scheme: str, bounds: Sequence[Bound]) -> list[Bound]:
    """Mark the bounds that may name a series: one or two numbers, under no rules, and nothing within."""
    if scheme not in LOOSE:
        return list(bounds)
    named = {leading_numbers(scheme, bound.version) for bound in bounds}
    longer = {name[:length] for name in named for length in (1, 2) if len(name) > length}
    return [
        bound._replace(wide=True)
        if bound.comparator in ("=", "<=")
        and bound.version.count(".") <= 1
        and bound.version.replace(".", "").isdigit()
        and leading_numbers(scheme, bound.version) not in longer
        else bound
        for bound in bounds
    ]


def _arrange(scheme: str, bounds: Sequence[Bound]) -> Range | Problem:
    """Points, intervals and what is excluded. Raises ValueError for versions that cannot be read."""
    packages = [read(scheme, bound.version).package for bound in bounds]
    epochs = len({package.epoch for package in packages if package is not None}) > 1
    excluded = tuple(bound for bound in bounds if bound.comparator == "!=")
    included = [bound for bound in bounds if bound.comparator != "!="]
    points = tuple(bound for bound in included if bound.comparator == "=")
    if len(points) == len(included):
        # Points and what is excluded: these and no others, or all but those?
        return "range-unreadable" if points and excluded else Range(scheme, points, (), excluded, epochs)
    intervals = _pair(scheme, included)
    if intervals is None:

        def compare(one: Bound, other: Bound) -> int:
            return _step(scheme, one, other)

        in_order = _pair(scheme, sorted(included, key=cmp_to_key(compare)))
        # Read in order and as written it must mean the same.
        if in_order is None or set(in_order) != set(_as_written(included)):
            return "range-unreadable"
        intervals = in_order
    return Range(scheme, points, tuple(map(_open, intervals)), excluded, epochs)


def _open(interval: Interval) -> Interval:
    """``>=0`` is no bound: in OSV "0" comes before every version, also before 0~git1 and 0.0.0-alpha."""
    low, high = interval
    if low is not None and low.comparator == ">=" and not low.wildcard and _ZERO.fullmatch(low.version):
        return None, high
    return interval


def _step(scheme: str, one: Bound, other: Bound) -> int:
    """-1 where the first comes before the second, 1 where it comes after it, 0 where neither is certain."""
    found = signs(scheme, one.version, other.version, complete=True) & ANY
    return -1 if found == LESS else 1 if found == GREATER else 0


def _pair(scheme: str, bounds: Sequence[Bound]) -> list[Interval] | None:
    """The intervals of bounds in order; None where they are not in order or contradict each other."""
    for one, other in pairwise(bounds):
        found = signs(scheme, one.version, other.version, complete=True) & ANY
        point = one.comparator == ">=" and other.comparator == "<="
        if found == GREATER or (found == EQUAL and not point):
            return None
        if one.comparator == "=" and other.comparator in ("<", "<="):
            return None
    intervals: list[Interval] = []
    low: Bound | None = None
    for bound in (bound for bound in bounds if bound.comparator != "="):
        if bound.comparator in (">", ">="):
            if low is not None:
                return None
            low = bound
        else:
            if low is None and intervals:
                return None
            intervals.append((low, bound))
            low = None
    if low is not None:
        intervals.append((low, None))
    return intervals


def _as_written(bounds: Iterable[Bound]) -> list[Interval]:
    intervals: list[Interval] = []
    low: Bound | None = None
    for bound in (bound for bound in bounds if bound.comparator != "="):
        if bound.comparator in (">", ">="):
            if low is not None:
                intervals.append((low, None))
            low = bound
        else:
            intervals.append((low, bound))
            low = None
    if low is not None:
        intervals.append((low, None))
    return intervals


def is_before(scheme: str, version: str, other: str) -> bool | None:
    """True when one bound of a range comes before another; None where their order is not sure."""
    name, other_name = clean_version(version), clean_version(other)
    if name is None or other_name is None or scheme not in SCHEMES:
        return None
    try:
        found = signs(scheme, name, other_name, complete=True)
    except Exception:  # as in ``parse``
        return None
    if found & ANY == LESS:
        return True
    return None if found & (LESS | DOUBT) else False
