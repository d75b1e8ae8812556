"""Whether a deployment's version is hit by an incident: affected, not affected, or unknown with the reason.

Ranges are ``vers`` (the Version Range Specifier of package-url), read through the library ``univers``. The
library raises classes of many kinds for one cause and orders some versions wrongly, so it is asked only what
it answers rightly, and where that cannot be told the answer is unknown. Unknown is an answer: it becomes a
question to the operator. Nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Literal

import msgspec
from univers.version_constraint import VersionConstraint, contains_version
from univers.version_range import RANGE_CLASS_BY_SCHEMES
from univers.versions import MavenVersion, PypiVersion, SemverVersion

from federation.domain.content.deployment import VersionState
from federation.domain.content.incident import Affected
from federation.domain.exposure.linkage import NONE, Links

Verdict = Literal["affected", "unknown", "not_affected"]
Reason = Literal[
    "in-range", "every-version", "named", "stated",
    "no-version", "rolling", "version-unsure", "version-unreadable", "version-coarse",
    "no-range", "range-as-text", "range-unreadable", "scheme-unknown", "order-unsure", "software-unsure",
    "outside-range", "fixed-version", "no-version-affected", "not-in-use",
]  # fmt: skip

REASONS: dict[Reason, tuple[Verdict, str]] = {
    "named": ("affected", "the incident names this deployment"),
    "stated": ("affected", "its operator says that it is affected"),
    "every-version": ("affected", "every version is hit"),
    "in-range": ("affected", "the version is in the range that is hit"),
    "no-version": ("unknown", "the deployment names no version"),
    "rolling": ("unknown", "the version is said to change all the time"),
    "version-unsure": ("unknown", "the version is said not to be known"),
    "version-unreadable": ("unknown", "the version cannot be read as one of this scheme"),
    "version-coarse": ("unknown", "the version names a series of which some are hit and others are not"),
    "no-range": ("unknown", "the incident names no range of versions"),
    "range-as-text": ("unknown", "the incident tells its range in words only"),
    "range-unreadable": ("unknown", "the incident's range cannot be read"),
    "scheme-unknown": ("unknown", "the scheme of the incident's range is not known here"),
    "order-unsure": ("unknown", "whether the version comes before a bound of the range cannot be told"),
    "software-unsure": (
        "unknown",
        "only the record that the incident names says that this is the same software",
    ),
    "fixed-version": ("not_affected", "the version is named as one that is fixed"),
    "outside-range": ("not_affected", "the version is outside the range that is hit"),
    "no-version-affected": ("not_affected", "no version is hit"),
    "not-in-use": ("not_affected", "the deployment is planned or retired"),
}
"""What each reason means, the strongest first: of several, the first one here is told."""
_RANK = {reason: rank for rank, reason in enumerate(REASONS)}


class Match(msgspec.Struct, frozen=True):
    """Whether something is hit, and why."""

    reason: Reason
    named: str | None = None
    """The solution that the incident names, where it is the same software under another id."""

    @property
    def verdict(self) -> Verdict:
        return REASONS[self.reason][0]


def match_version(
    hit: Iterable[Affected],
    solution: str,
    version: str | None,
    state: VersionState | None,
    same: Links = NONE,
) -> Match | None:
    """Whether a version of a solution is hit by what an incident affects; None where it is not spoken of.

    Several entries for one solution are alternatives: hit by one is hit. What is said of a solution itself
    outranks what is said of others that are the ``same`` software.
    """
    entries = tuple(hit)
    found = [Match(_by_entry(one, version, state)) for one in entries if one.solution == solution]
    if not found:
        for one in entries:
            link = same.between(one.solution, solution) if one.solution else None
            if link is not None:
                reason = _by_entry(one, version, state)
                if REASONS[reason][0] == "affected" and not link.certain:
                    reason = "software-unsure"
                found.append(Match(reason, one.solution))
    return min(found, key=lambda match: _RANK[match.reason]) if found else None


def _by_entry(one: Affected, version: str | None, state: VersionState | None) -> Reason:
    if version is not None and version in one.fixed_in and state in (None, "exact"):
        return "fixed-version"
    if one.range is None:
        return "no-range" if one.range_text is None else "range-as-text"
    return in_range(one.range, version, state)


@lru_cache(maxsize=65_536)
def in_range(range_: str, version: str | None, state: VersionState | None = None) -> Reason:
    """Whether a version is in a ``vers`` range.

    A version that is not said to be ``exact`` may name a series: 10.0 stands for whatever begins with it.
    """
    try:
        return _in_range(range_, version, state)
    except Exception:  # the library raises classes that have nothing in common
        return "version-unreadable"


def range_problem(range_: str) -> str | None:
    """Why this is not a range that is understood here; None if it is one."""
    read = _read(range_)
    return None if isinstance(read, Range) else REASONS[read][1]


# What begins as a version does; words such as "Distribution" and "N/A" are none, whatever a scheme takes.
_VERSION = re.compile(r"[vV]?(?:[0-9]+:)?[0-9][0-9A-Za-z.+~:_()\-]{0,99}")
_NUMBERS = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})*")
_SEMVER = re.compile(r"[0-9]{1,18}\.[0-9]{1,18}\.[0-9]{1,18}(?:-[0-9A-Za-z.-]+)?")
_SERIES = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})*)(?:\.[xX*])+")
_CONSTRAINT = re.compile(r"(>=|<=|!=|=|<|>)?([^<>=!*|]+)")
_LETTERED = re.compile(r"[0-9][0-9A-Za-z.+~-]*")
"""What SemVer and Maven read without making something else of it (``1:2`` would become 1.0.0-2)."""
_STRICT = frozenset({"npm", "cargo", "golang", "hex"})
"""Schemes whose versions are SemVer 2.0 by their own rules."""
_NOT_TRUSTED = frozenset({"datetime", "lexicographic", "conan", "none", "all"})
"""Schemes that take anything for a version, or order what is no version."""
MAX_BOUNDS = 500
"""Bounds of one range, at most."""


class Range(msgspec.Struct, frozen=True):
    """A range as it was read: its scheme and its bounds, each a comparator and a version."""

    scheme: str
    bounds: tuple[tuple[str, str], ...]
    """Empty for ``*``: every version."""


@lru_cache(maxsize=8_192)
def _read(range_: str) -> Range | Reason:
    uri, _, rest = range_.partition(":")
    scheme, slash, said = rest.partition("/")
    if uri != "vers" or not slash or not said or not range_.isascii():
        return "range-unreadable"
    if said == "*":
        return "no-version-affected" if scheme == "none" else Range(scheme, ())
    if scheme not in RANGE_CLASS_BY_SCHEMES or scheme in _NOT_TRUSTED:
        return "scheme-unknown"
    bounds = []
    parts = said.strip("|").split("|")
    if len(parts) > MAX_BOUNDS:
        return "range-unreadable"
    for part in parts:
        found = _CONSTRAINT.fullmatch(part)
        if found is None or not _VERSION.fullmatch(found[2]):
            return "range-unreadable"
        bounds.append((found[1] or "=", found[2].lstrip("vV")))
    if {comparator for comparator, _ in bounds} == {"=", "!="}:
        return "range-unreadable"  # these and no others, or all but those?
    read = Range(scheme, tuple(bounds))
    try:
        for version_class in _classes(read, ""):
            _constraints(read, version_class)
    except Exception:  # as above
        return "range-unreadable"
    return read


def _in_range(range_: str, version: str | None, state: VersionState | None) -> Reason:
    read = _read(range_)
    if not isinstance(read, Range):
        return read
    if not read.bounds:
        return "every-version"
    if state == "rolling":
        return "rolling"
    if version is None:
        return "no-version"
    if state == "unknown":
        return "version-unsure"
    version = version.strip()
    if series := _SERIES.fullmatch(version.lstrip("vV")):
        version, state = series[1], None  # "10.0.x" is a series, whatever is said of it
    if not _VERSION.fullmatch(version):
        return "version-unreadable"
    version = version.lstrip("vV")
    if state != "exact" and _NUMBERS.fullmatch(version) and _is_coarse(read, version):
        return _by_series(read, version)
    return _ordered(read, version)


def _ordered(read: Range, version: str) -> Reason:
    """The answer for one version, where all that order it agree."""
    if len(read.bounds) > 1 and all(comparator == "!=" for comparator, _ in read.bounds):
        # All versions but these. Of one the library says so, too; of several, that none is in the range.
        each = {_ordered(Range(read.scheme, (bound,)), version) for bound in read.bounds}
        return next(reason for reason in _ALL_BUT if reason in each)
    answers = {
        contains_version(version_class(version), _constraints(read, version_class))
        for version_class in _classes(read, version)
    }
    if len(answers) > 1:
        return "order-unsure"
    return "in-range" if answers.pop() else "outside-range"


_ALL_BUT: tuple[Reason, ...] = ("outside-range", "order-unsure", "in-range")


def _classes(read: Range, version: str) -> tuple[Any, ...]:
    """The library's classes that must agree on the order of a version and the bounds of a range.

    ``intdot`` compares numbers digit by digit there, and SemVer takes a fourth number for a build and orders
    it as text: dotted numbers are ordered as PEP 440 does, number by number. What has letters in it and is
    held by no rule is ordered by SemVer and by Maven, which see rc10 and rc9, or a fourth number, in
    different ways: only where both agree there is an answer.
    """
    own = RANGE_CLASS_BY_SCHEMES[read.scheme].version_class
    names = [bound for _, bound in read.bounds]
    if version:
        names.append(version)
    if read.scheme != "intdot" and not issubclass(own, SemverVersion):
        return (own,)
    if all(_NUMBERS.fullmatch(name) for name in names):
        return (PypiVersion,)
    if read.scheme in _STRICT and all(_SEMVER.fullmatch(name) for name in names):
        return (SemverVersion,)
    if not all(_LETTERED.fullmatch(name) for name in names):
        raise ValueError("not what these two read")
    return (SemverVersion, MavenVersion)


@lru_cache(maxsize=16_384)
def _constraints(read: Range, version_class: Any) -> tuple[Any, ...]:
    """The bounds in order. Raises whatever the library does for bounds that make no range."""
    constraints = [
        VersionConstraint(comparator=comparator, version=version_class(bound))
        for comparator, bound in read.bounds
    ]
    VersionConstraint.validate(constraints)
    return tuple(sorted(constraints))


def _is_coarse(read: Range, version: str) -> bool:
    """Whether some bound of the range lies within the series that this version can stand for."""
    return any(bound.startswith(f"{version}.") for _, bound in read.bounds)


def _by_series(read: Range, version: str) -> Reason:
    """The answer for whatever begins with this version, where it is one answer."""
    first, last = _ordered(read, version), _ordered(read, f"{version}.{10**17}")
    within = [
        bound
        for comparator, bound in read.bounds
        if bound.startswith(f"{version}.")
        # 10.0.0 is where 10.0 begins, and no place to change sides within it.
        and not (comparator in (">=", "<") and _is_same(read.scheme, bound, version))
    ]
    return first if first == last and not within else "version-coarse"


def _is_same(scheme: str, one: str, other: str) -> bool:
    return _ordered(Range(scheme, (("=", one),)), other) == "in-range"


# What an incident speaks of


IN_USE = frozenset({"pilot", "production", "suspended"})
"""Statuses of deployments that can be hit: planned ones are not there yet, retired ones not any more."""


def solutions_of(kind: str, hit: Iterable[Affected]) -> Iterator[Affected]:
    """The entries that speak of all deployments of a solution.

    An outage, a degradation or a maintenance that names deployments is theirs: the solution beside them
    says what they are, and the same software elsewhere is not down. A vulnerability without a range is a
    question to everybody who runs it.
    """
    for one in hit:
        if one.solution is not None and not (one.deployments and _happens_there(kind, one)):
            yield one


def spreading(kind: str, hit: Iterable[Affected]) -> Iterator[str]:
    """The solutions of which the same software is hit elsewhere, too.

    What is wrong with the software is; that one operator's service is down is not.
    """
    for one in solutions_of(kind, hit):
        if one.solution is not None and not _happens_there(kind, one):
            yield one.solution


def _happens_there(kind: str, one: Affected) -> bool:
    """Whether it is where something runs, and not in the software."""
    return kind in ("outage", "degradation", "maintenance") and one.range is None and one.range_text is None
