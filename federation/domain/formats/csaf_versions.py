"""Versions and ranges as the branches of a CSAF product tree write them (CSAF 2.1, 3.1.2.3).

A branch has a version, a ``vers`` range, the bounds of one without its scheme, or words. Words are stored as
they are, and answer unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from federation.domain.exposure.matching import range_problem
from federation.domain.formats.ecosystems import scheme_of_product
from federation.domain.formats.ranges import Interval, bounds_of, ranges_of

_EVERY = frozenset({"*", "all", "all versions", "any", "any version", "vers:all/*", "vers:generic/*"})
_PLAIN = re.compile(r"[vV]?[0-9][0-9A-Za-z.+~:_()-]{0,99}")
_WILDCARD = re.compile(r"(?:^|[.-])[xX*](?:$|[.-])")
_BOUND = re.compile(r"(>=|<=|!=|<|>|=)?\s*([^\s<>=!]+)")
_PAIR = re.compile(r"(>=|>)\s*([^\s<>=!]+)\s*(<=|<)\s*([^\s<>=!]+)")
_NUMBERS = re.compile(r"[vV]?([0-9]{1,18}(?:\.[0-9]{1,18})*)")
MAX_WORDS = 2_000
"""Characters of a range that is read; a longer one is text."""


class Versions(NamedTuple):
    """Versions of a branch: in intervals, in ``vers`` ranges, or in words."""

    intervals: tuple[Interval, ...] = ()
    ranges: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


def is_plain(version: str) -> bool:
    """True for one version, and none that stands for several."""
    return _PLAIN.fullmatch(version) is not None and not _WILDCARD.search(version)


def read_versions(words: str, *, is_range: bool) -> Versions:
    """The versions that a branch names; of one that is no range a single version stands for itself."""
    words = words.strip()
    lowered = words.lower()
    if not words or lowered in _EVERY:
        return Versions(intervals=((None, None),))
    if lowered.startswith("vers:"):
        return Versions(ranges=(words,)) if range_problem(words) is None else Versions(texts=(words,))
    if not is_range and is_plain(words):
        return Versions(intervals=((words, None),))
    bounds = _bounds(words)
    if bounds is None or (is_range and bounds == [("=", words)]):  # a single version is no range
        return Versions(texts=(words,))
    return _intervals(bounds, words)


def _bounds(words: str) -> list[tuple[str, str]] | None:
    """Comparators with their versions; None where there is anything else."""
    if len(words) > MAX_WORDS:
        return None
    if words.lower().startswith("all versions "):
        words = words[len("all versions ") :]
    bounds: list[tuple[str, str]] = []
    for part in re.split(r"[|,]|&&|\band\b", words):
        if pair := _PAIR.fullmatch(part.strip()):
            bounds += [(pair[1], pair[2]), (pair[3], pair[4])]
        elif bound := _BOUND.fullmatch(part.strip()):
            bounds.append((bound[1] or "=", bound[2]))
        else:
            return None
    return bounds if all(is_plain(version) for _, version in bounds) else None


def _intervals(bounds: Sequence[tuple[str, str]], words: str) -> Versions:
    comparators = [comparator for comparator, _ in bounds]
    if set(comparators) == {"="}:
        return Versions(intervals=tuple((version, None) for _, version in bounds))
    if len(bounds) == 1:
        bound = "".join(bounds[0])
        if comparators == ["!="]:
            return all_but([bounds[0][1]])
        return Versions(intervals=((None, bound) if bound.startswith("<") else (bound, None),))
    if len(bounds) == 2 and comparators[0].startswith(">") and comparators[1].startswith("<"):
        return Versions(intervals=(("".join(bounds[0]), "".join(bounds[1])),))
    range_ = "vers:generic/" + "|".join(
        f"{'' if comparator == '=' else comparator}{version}" for comparator, version in bounds
    )
    return Versions(ranges=(range_,)) if range_problem(range_) is None else Versions(texts=(words,))


def gaps(affected: Iterable[str], listed: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs of affected versions between which the document lists nothing, though there is room: 4.0 and 4.2.

    What is not listed has no status (CSAF 2.1, 3.2.4.12), and between two that are affected it may be, too.
    """
    names = set(affected)
    trains: dict[tuple[int, ...], dict[int, str]] = {}
    for version in listed:
        if match := _NUMBERS.fullmatch(version):
            *train, last = (int(part) for part in match[1].split("."))
            trains.setdefault(tuple(train), {})[last] = version
    for versions in trains.values():
        for low, high in pairwise(sorted(versions)):
            if high - low > 1 and versions[low] in names and versions[high] in names:
                yield versions[low], versions[high]


def all_but(versions: Iterable[str]) -> Versions:
    """Every version but some; every version where no range can express that."""
    range_ = "vers:generic/" + "|".join(f"!={version}" for version in dict.fromkeys(versions))
    if range_problem(range_) is not None or len(range_) > MAX_WORDS:
        return Versions(intervals=((None, None),))
    return Versions(ranges=(range_,))


def to_ranges(
    versions: Iterable[Versions], names: Iterable[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ``vers`` ranges of several branches together, and in words what no range can express."""
    listed = list(versions)
    intervals = [interval for entry in listed for interval in entry.intervals]
    generic, words = ranges_of(scheme_of_product(names, bounds_of(intervals)), intervals)
    return (
        (*(range_ for entry in listed for range_ in entry.ranges), *generic),
        (*(text for entry in listed for text in entry.texts), *words),
    )


def intervals_of_trains(
    first: Sequence[str], last: Sequence[str], fixed: Sequence[str]
) -> tuple[Interval, ...] | None:
    """Intervals from first affected versions to last affected ones (CSAF 2.1, 3.2.4.12).

    A first one opens an interval; the next last one, or the next fixed one, closes it. A last one without a
    first one closes an interval that begins where the one before ended. None where versions have no order
    that is certain.
    """
    if len(first) == 1 and len(last) == 1:
        return ((f">={first[0]}", f"<={last[0]}"),)
    if len(first) <= 1 and not last and not fixed:
        return tuple((f">={version}", None) for version in first)
    if not first and len(last) == 1:
        return ((None, f"<={last[0]}"),)
    events: list[tuple[tuple[int, ...], int, str]] = []
    for kind, versions in enumerate((first, last, fixed)):
        for version in versions:
            numbers = _NUMBERS.fullmatch(version)
            if numbers is None and kind < 2:
                return None
            if numbers is not None:
                parts = tuple(int(part) for part in numbers[1].split("."))
                while parts and parts[-1] == 0:
                    parts = parts[:-1]
                events.append((parts, kind, version))
    return tuple(_pair_events(sorted(events)))


def _pair_events(events: Sequence[tuple[tuple[int, ...], int, str]]) -> Iterable[Interval]:
    low: str | None = None
    is_open = False
    for _, kind, version in events:
        if kind == 0 and not is_open:
            low, is_open = f">={version}", True
        elif kind == 1:
            yield low, f"<={version}"
            low, is_open = f">{version}", False
        elif kind == 2 and is_open:
            yield low, f"<{version}"
            low, is_open = f">={version}", False
    if is_open:
        yield low, None
