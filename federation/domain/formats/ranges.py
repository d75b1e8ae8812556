"""Ranges of ``vers`` made of intervals of versions, and in words those that no range can express.

A range is written only where its bounds are known to be in order: the comparison is the one that deployments
are matched with. Where the order of two versions is not sure, their interval becomes a text, and a text
answers unknown. Several ranges are alternatives: a version is affected when one of them contains it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cmp_to_key

import msgspec

from federation.domain.exposure.matching import in_range, range_problem
from federation.domain.exposure.version_order import LOOSE
from federation.domain.exposure.version_range import is_before

Interval = tuple[str | None, str | None]
"""Bounds of versions with their comparators, such as (">=1.0", "<2.0"); None where it is open. A single
version is (version, None), without a comparator."""
MAX_RANGE_CHARACTERS = 2_000
"""Characters of one range, at most."""
MAX_RANGE_BOUNDS = 400
"""Bounds of one range, at most."""
MAX_ORDERED = 200
"""Versions that are put in order, at most; for more, each interval is a range of its own."""
MAX_SINGLES = 20_000
"""Single versions of one product that are read, at most; the rest is a text."""
MAX_COMPARED = 100_000
"""Comparisons of single versions with ranges, at most; beyond, those in a range are listed as well."""
_COMPARATOR = re.compile(r">=|<=|>|<|=")
_VERSION = re.compile(r"[0-9A-Za-z.+~:_()-]+")
_NUMBERS = re.compile(r"[vV]?[0-9]+(?:\.[0-9]+)*")


class Scale(msgspec.Struct, frozen=True):
    """Versions in order, with the gaps before, between and after them.

    The version at index i has position 2i + 1; the gap before it 2i; the gap after the last one ``last``.
    """

    versions: tuple[str, ...]
    positions: dict[str, int]

    @property
    def last(self) -> int:
        return 2 * len(self.versions)

    def span(self, interval: Interval) -> range:
        """The positions of an interval; empty for one that ends before it begins."""
        low, high = interval
        if low is None:
            first = 0
        elif comparator := _COMPARATOR.match(low):
            first = self.positions[low[comparator.end() :]] + (comparator[0] == ">")
        else:
            return range(self.positions[low], self.positions[low] + 1)
        end = self.last + 1
        if high is not None:
            end = self.positions[high.lstrip("<=")] + high.startswith("<=")
        return range(first, end)

    def intervals(self, positions: Iterable[int]) -> list[Interval]:
        """The fewest intervals that are made of these positions, in order."""
        runs: list[list[int]] = []
        for position in sorted(set(positions)):
            if runs and runs[-1][1] == position - 1:
                runs[-1][1] = position
            else:
                runs.append([position, position])
        return [self._interval(first, last) for first, last in runs]

    def _interval(self, first: int, last: int) -> Interval:
        if first == last and first % 2:
            return (self.versions[first // 2], None)
        low = high = None
        if first:
            low = f">={self.versions[first // 2]}" if first % 2 else f">{self.versions[first // 2 - 1]}"
        if last < self.last:
            high = f"{'<=' if last % 2 else '<'}{self.versions[last // 2]}"
        return (low, high)


def scale_of(scheme: str, versions: Iterable[str]) -> Scale | None:
    """Versions in order; None where the order of two of them is not sure, or for too many."""
    unique = list(dict.fromkeys(versions))
    if len(unique) > MAX_ORDERED:
        return None

    def compare(version: str, other: str) -> int:
        before, after = is_before(scheme, version, other), is_before(scheme, other, version)
        if before is None or after is None or (before and after):
            raise _Unsure
        return int(after) - int(before)

    try:
        if len(unique) == 1:
            compare(unique[0], unique[0])
        unique.sort(key=cmp_to_key(compare))
        ordered: list[str] = []
        positions: dict[str, int] = {}
        for version in unique:
            if not ordered or compare(ordered[-1], version):
                ordered.append(version)
            positions[version] = 2 * len(ordered) - 1
    except _Unsure:
        return None
    return Scale(tuple(ordered), positions)


class _Unsure(Exception):
    pass


def is_readable(scheme: str, version: str) -> bool:
    """False for a text that no deployment can have as a version of this scheme: it answers unknown there."""
    return scheme in LOOSE or in_range(f"vers:{scheme}/<1.0.0", version, "exact") != "version-unreadable"


def bounds_of(intervals: Iterable[Interval]) -> list[str]:
    """The versions that intervals name, without comparators."""
    return [
        _COMPARATOR.sub("", bound, count=1)
        for interval in intervals
        for bound in interval
        if bound is not None
    ]


def ranges_of(scheme: str, intervals: Iterable[Interval]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """``vers`` ranges for intervals, and in words those that no range can express.

    One range where they fit into one; else several, which mean the same together.
    """
    unique = list(dict.fromkeys(intervals))
    if (None, None) in unique:
        return (f"vers:{scheme}/*",), ()
    ranges: list[str] = []
    texts: list[str] = []
    singles: list[str] = []
    spans: list[Interval] = []
    for low, high in unique:
        if high is None and low is not None and not _COMPARATOR.match(low):
            singles.append(low)
            continue
        problem = _problem(scheme, (low, high))
        if problem:
            texts.append(" ".join(bound for bound in (low, high) if bound))
        else:
            spans.append((low, high))
    if len(singles) > MAX_SINGLES:
        texts.append(f"{len(singles) - MAX_SINGLES} more versions, the first of them {singles[MAX_SINGLES]}")
        del singles[MAX_SINGLES:]
    groups = [
        [span for span in spans if _is_plain(bounds_of([span])) is is_plain] for is_plain in (True, False)
    ]
    covering = [range_ for group in groups for range_ in _combine(scheme, group, ())[0]]
    if len(covering) * len(singles) <= MAX_COMPARED:
        singles = [
            version
            for version in singles
            if not any(in_range(range_, version, "exact") == "in-range" for range_ in covering)
        ]
    # Numbers are compared in more ways than versions with letters: they stay among themselves.
    for is_plain, group in zip((True, False), groups, strict=True):
        alike = [version for version in singles if _is_plain([version]) is is_plain]
        combined, unranged = _combine(scheme, group, alike)
        ranges += combined
        texts += unranged
    return tuple(dict.fromkeys(ranges)), tuple(dict.fromkeys(texts))


def _is_plain(versions: Iterable[str]) -> bool:
    return all(_NUMBERS.fullmatch(version) for version in versions)


def _problem(scheme: str, interval: Interval) -> bool:
    """True for an interval that no range can express, or that does not surely begin before its end."""
    versions = bounds_of([interval])
    if not all(_VERSION.fullmatch(version) for version in versions):
        return True
    scale = scale_of(scheme, versions)
    return scale is None or not scale.span(interval)


def _combine(scheme: str, spans: Sequence[Interval], singles: Sequence[str]) -> tuple[list[str], list[str]]:
    intervals = [*spans, *((version, None) for version in singles)]
    if spans and (scale := scale_of(scheme, bounds_of(intervals))):
        intervals = scale.intervals(position for interval in intervals for position in scale.span(interval))
        range_ = f"vers:{scheme}/{_constraints(intervals)}"
        if _is_expressible(range_):
            return [range_], []
        spans = [interval for interval in intervals if _COMPARATOR.match(interval[0] or "<")]
        singles = [low for low, _ in intervals if low is not None and not _COMPARATOR.match(low)]
    ranges, texts = [], []
    for span in spans:
        range_ = f"vers:{scheme}/{_constraints([span])}"
        if _is_expressible(range_):
            ranges.append(range_)
        else:
            texts.append(" ".join(bound for bound in span if bound))
    packs, unreadable = _packs(scheme, singles)
    return ranges + packs, [*texts, *([", ".join(unreadable)] if unreadable else [])]


def _is_expressible(range_: str) -> bool:
    is_short = len(range_) <= MAX_RANGE_CHARACTERS and range_.count("|") < MAX_RANGE_BOUNDS
    return is_short and range_problem(range_) is None


def _constraints(intervals: Sequence[Interval]) -> str:
    """Constraints of intervals in order. All but one version between two intervals is ``!=``."""
    if (None, None) in intervals:
        return "*"
    parts: list[str] = []
    for low, high in intervals:
        if low and low.startswith(">") and parts and parts[-1] == f"<{low[1:]}":
            parts[-1] = f"!={low[1:]}"
        elif low:
            parts.append(low)
        if high:
            parts.append(high)
    return "|".join(parts)


def _packs(scheme: str, versions: Sequence[str]) -> tuple[list[str], list[str]]:
    """Single versions in as few ranges as they fit in, and those that no range can express."""
    packs: list[list[str]] = [[]]
    unreadable = []
    length = 0
    for version in versions:
        if not _VERSION.fullmatch(version) or len(version) > 100:
            unreadable.append(version)
            continue
        length += len(version) + 1
        if length > MAX_RANGE_CHARACTERS - 50 or len(packs[-1]) == MAX_RANGE_BOUNDS:
            packs.append([])
            length = len(version) + 1
        packs[-1].append(version)
    ranges = []
    while packs:
        pack = packs.pop()
        range_ = f"vers:{scheme}/{'|'.join(pack)}"
        if pack and range_problem(range_) is None:
            ranges.append(range_)
        elif len(pack) > 1:
            # One of them cannot be read, or two are equal: halves show which.
            packs += [pack[: len(pack) // 2], pack[len(pack) // 2 :]]
        else:
            unreadable += pack
    return ranges[::-1], unreadable
