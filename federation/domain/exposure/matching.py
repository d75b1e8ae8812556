"""Match a deployment's version with an incident: affected, not affected, or unknown with the reason.

"Not affected" is said only where every reading of the source leaves the version out: a series is all its
versions, bounds may be meant widely, and where the order is not certain both orders count (``version_range``,
``version_order``). Unknown is an answer: it becomes a question to the operator. Nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec

from federation.domain.content.deployment import VersionState
from federation.domain.content.incident import Affected
from federation.domain.exposure.containment import bound_signs, contains
from federation.domain.exposure.distribution_release import release_in, release_of, shared_numbers
from federation.domain.exposure.linkage import NO_LINKS, Links
from federation.domain.exposure.reasons import REASONS, Reason, Verdict
from federation.domain.exposure.version_order import ANY, EQUAL, GREATER, PARTIAL, PLAIN, leading_numbers
from federation.domain.exposure.version_range import (
    MAX_BOUNDS,
    SERIES,
    Bound,
    Range,
    clean_version,
    parse,
)

__all__ = [
    "IN_USE",
    "MAX_BOUNDS",
    "REASONS",
    "Reason",
    "Verdict",
    "VersionMatch",
    "by_entry",
    "entries_for",
    "in_range",
    "is_contradicted",
    "match_version",
    "range_problem",
]

IN_USE = frozenset({"pilot", "production", "suspended"})
"""Statuses of deployments that can be affected: planned ones do not run yet, retired ones no longer."""
_RANK = {reason: rank for rank, reason in enumerate(REASONS)}
_MAX_SERIES_NUMBERS = 2
"""Numbers of a version that may name a series though no bound lies within: 10 and 10.0, not 10.0.17."""
_SAYS_NOTHING = frozenset({"no-range", "range-as-text", "range-unreadable", "scheme-unknown"})
"""Reasons under which the range says nothing of any version."""


class VersionMatch(msgspec.Struct, frozen=True):
    """The match of a version with an incident, by its reason."""

    reason: Reason
    named: str | None = None
    """The solution that the incident names, where it is the same software under another id."""

    @property
    def verdict(self) -> Verdict:
        return REASONS[self.reason].verdict


def match_version(
    entries: Iterable[Affected],
    solution: str,
    version: str | None,
    state: VersionState | None,
    links: Links = NO_LINKS,
) -> VersionMatch | None:
    """The match of a version of a solution with the entries of an incident; None where no entry concerns it.

    Several entries for one solution are alternatives: one that affects it is enough. Entries for the solution
    itself outrank those for solutions that are the same software by ``links``, or may be.
    """
    listed = tuple(entries)
    if own := [entry for entry in listed if entry.solution == solution]:
        return VersionMatch(_by_entries(own, version, state))
    by_solution: dict[str, list[Affected]] = {}
    for entry in listed:
        if entry.solution is not None:
            by_solution.setdefault(entry.solution, []).append(entry)
    matches = []
    for named, entries_of_it in by_solution.items():
        if (link := links.between(named, solution)) is not None:
            reason = _by_entries(entries_of_it, version, state)
            if REASONS[reason].verdict == "affected" and not link.certain:
                reason = "software-unsure"
            matches.append(VersionMatch(reason, named))
    if solution in links.unread:
        matches.append(VersionMatch("not-understood"))
    return min(matches, key=lambda match: _RANK[match.reason]) if matches else None


def _by_entries(entries: Sequence[Affected], version: str | None, state: VersionState | None) -> Reason:
    """The strongest answer of entries for one solution; unknown where releases of a distribution disagree.

    Of entries for releases, those for the release that the version names count alone. Where no entry is for
    that release, nothing is said of it. A version that names none may be of any: it is affected where the
    bounds nearest to it say so.
    """
    counted = entries_for(entries, version)
    reasons = [(entry, by_entry(entry, version, state)) for entry in counted]
    strongest = min((reason for _, reason in reasons), key=_RANK.__getitem__)
    if REASONS[strongest].verdict != "affected":
        return strongest
    affecting = [entry for entry, reason in reasons if REASONS[reason].verdict == "affected"]
    if not all(entry.releases for entry in affecting):
        return strongest
    releases_affected = {release for entry in affecting for release in entry.releases}
    others = [
        entry for entry in counted if entry.releases and not releases_affected.issuperset(entry.releases)
    ]
    affected = max(shared_numbers(entry.range, version) for entry in affecting)
    outside = max((shared_numbers(entry.range, version) for entry in others), default=-1)
    own = release_in(version) if version else None
    releases = [found for entry in counted for release in entry.releases if (found := release_of(release))]
    is_of_another = own is not None and own not in releases and own[0] in {family for family, _ in releases}
    return "release-unsure" if is_of_another or outside >= affected else strongest


def entries_for(entries: Sequence[Affected], version: str | None) -> Sequence[Affected]:
    """The entries that count for a version: without those for releases that it is surely not of."""
    own = release_in(version) if version and any(entry.releases for entry in entries) else None
    if own is None or not any(own in map(release_of, entry.releases) for entry in entries):
        return entries
    return [entry for entry in entries if not entry.releases or own in map(release_of, entry.releases)]


def by_entry(entry: Affected, version: str | None, state: VersionState | None) -> Reason:
    """The answer of one entry. A range that contains a version outranks that it is named as fixed."""
    if entry.range is None:
        reason: Reason = "no-range" if entry.range_text is None else "range-as-text"
    else:
        reason = in_range(entry.range, version, state)
    verdict = REASONS[reason].verdict
    if verdict == "affected":
        return "name-only" if entry.by_name_only else reason
    if entry.fixed_in and (verdict == "not_affected" or reason in _SAYS_NOTHING):
        return "fixed-version" if _is_fixed(entry, version, state) else reason
    return reason


def is_contradicted(entry: Affected, version: str | None, state: VersionState | None) -> bool:
    """True where an entry names a version as fixed that its range contains."""
    return (
        entry.range is not None
        and _is_fixed(entry, version, state)
        and REASONS[in_range(entry.range, version, state)].verdict == "affected"
    )


def _is_fixed(entry: Affected, version: str | None, state: VersionState | None) -> bool:
    if version is None or state not in (None, "exact"):
        return False
    name = clean_version(version.strip())
    if name is None or (state is None and _may_be_series(name)):
        return False
    return any(clean_version(fixed.strip()) == name for fixed in entry.fixed_in)


@lru_cache(maxsize=65_536)
def in_range(range_: str, version: str | None, state: VersionState | None = None) -> Reason:
    """Match a version with a ``vers`` range.

    A version that is not said to be ``exact`` may name a series: 10.0 stands for whatever begins with it.
    """
    parsed = parse(range_)
    if not isinstance(parsed, Range):
        return parsed
    if not parsed.bounds:
        return "every-version"
    if state == "rolling":
        return "rolling"
    if version is None:
        return "no-version"
    if state == "unknown":
        return "version-unsure"
    try:
        if series := SERIES.fullmatch(version.strip()):
            return _match_series(parsed, series[1], explicit=True)  # whatever its state is
        name = clean_version(version.strip())
        if name is None:
            return "version-unreadable"
        if parsed.several_epochs and ":" not in name:
            return "order-unsure"
        if state != "exact" and PLAIN.fullmatch(name):
            return _match_series(parsed, name, explicit=False)
        return _match(parsed, name)
    except Exception:  # the library raises classes that have nothing in common
        return "version-unreadable"


def range_problem(range_: str) -> str | None:
    """The reason that a range is not understood here; None for a range that is."""
    parsed = parse(range_)
    return None if isinstance(parsed, Range) else REASONS[parsed].en


def _match(range_: Range, version: str) -> Reason:
    partial = False

    def signs_of(bound: Bound) -> int:
        nonlocal partial
        found = bound_signs(range_.scheme, version, bound)
        partial = partial or bool(found & PARTIAL)
        return found

    answer = contains(range_, signs_of)
    if answer is None:
        if partial:
            return "version-coarse"
        return "order-unsure" if contains(range_, signs_of, wide=False) is None else "range-coarse"
    if isinstance(answer, Bound):
        return "series" if answer.wildcard else "listed"
    return "in-range" if answer else "outside-range"


def _may_be_series(version: str) -> bool:
    return bool(PLAIN.fullmatch(version)) and version.count(".") < _MAX_SERIES_NUMBERS


def _match_series(range_: Range, version: str, *, explicit: bool) -> Reason:
    """The answer for all that begins with this version, where it is one answer."""
    numbers = tuple(map(int, version.split(".")))
    wide = explicit or _may_be_series(version)
    within = False

    def signs_of(bound: Bound) -> int:
        nonlocal within
        length = len(numbers)
        named = leading_numbers(range_.scheme, bound.version)
        found = bound_signs(range_.scheme, version, bound)
        if len(named) > length and named[:length] == numbers:
            if not bound.wildcard and bound.version.endswith(version + ".0" * (len(named) - length)):
                return EQUAL | GREATER  # 10.0.0 is where 10.0 begins, and no place to change sides within it
            within = True
            return ANY
        if wide and found & EQUAL and not bound.wildcard and not bound.wide:
            return found | GREATER
        return found

    answer = contains(range_, signs_of)
    if answer is None:
        literal = _match(range_, version)
        # Where no bound lies within, the version itself being affected is enough.
        if not within and not explicit and REASONS[literal].verdict == "affected":
            return literal
        return "version-coarse" if within or REASONS[literal].verdict != "unknown" else literal
    if isinstance(answer, Bound):
        return "series" if answer.wildcard else "listed"
    return "in-range" if answer else "outside-range"
