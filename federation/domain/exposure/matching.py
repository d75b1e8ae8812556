"""Match a deployment's version with an incident: affected, not affected, or unknown with the reason.

Ranges are ``vers`` (the Version Range Specifier of package-url), read through the library ``univers``. The
library raises classes of many kinds for one cause and orders some versions wrongly, so it compares only what
it orders rightly, and where that is not sure the answer is unknown. Unknown is an answer: it becomes a
question to the operator. Nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Literal

import msgspec
from univers.version_constraint import VersionConstraint, contains_version
from univers.version_range import RANGE_CLASS_BY_SCHEMES
from univers.versions import MavenVersion, PypiVersion, SemverVersion

from federation.domain.content.deployment import VersionState
from federation.domain.content.incident import Affected
from federation.domain.exposure.linkage import NO_LINKS, Links

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
    "every-version": ("affected", "every version is affected"),
    "in-range": ("affected", "the version is in the affected range"),
    "no-version": ("unknown", "the deployment names no version"),
    "rolling": ("unknown", "the version is said to change all the time"),
    "version-unsure": ("unknown", "the version is said not to be known"),
    "version-unreadable": ("unknown", "the version cannot be read as one of this scheme"),
    "version-coarse": ("unknown", "the version names a series of which some are affected and others are not"),
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
    "outside-range": ("not_affected", "the version is outside the affected range"),
    "no-version-affected": ("not_affected", "no version is affected"),
    "not-in-use": ("not_affected", "the deployment is planned or retired"),
}
"""The meaning of each reason, the strongest first: of several, the first here is the answer."""
IN_USE = frozenset({"pilot", "production", "suspended"})
"""Statuses of deployments that can be affected: planned ones do not run yet, retired ones no longer."""
_RANK = {reason: rank for rank, reason in enumerate(REASONS)}


class VersionMatch(msgspec.Struct, frozen=True):
    """The match of a version with an incident, by its reason."""

    reason: Reason
    named: str | None = None
    """The solution that the incident names, where it is the same software under another id."""

    @property
    def verdict(self) -> Verdict:
        return REASONS[self.reason][0]


def match_version(
    entries: Iterable[Affected],
    solution: str,
    version: str | None,
    state: VersionState | None,
    links: Links = NO_LINKS,
) -> VersionMatch | None:
    """The match of a version of a solution with the entries of an incident; None where no entry concerns it.

    Several entries for one solution are alternatives: one that affects it is enough. Entries for the solution
    itself outrank those for solutions that are the same software by ``links``.
    """
    listed = tuple(entries)
    matches = [
        VersionMatch(_by_entry(entry, version, state)) for entry in listed if entry.solution == solution
    ]
    if not matches:
        for entry in listed:
            link = links.between(entry.solution, solution) if entry.solution else None
            if link is not None:
                reason = _by_entry(entry, version, state)
                if REASONS[reason][0] == "affected" and not link.certain:
                    reason = "software-unsure"
                matches.append(VersionMatch(reason, entry.solution))
    return min(matches, key=lambda match: _RANK[match.reason]) if matches else None


def _by_entry(entry: Affected, version: str | None, state: VersionState | None) -> Reason:
    if version is not None and version in entry.fixed_in and state in (None, "exact"):
        return "fixed-version"
    if entry.range is None:
        return "no-range" if entry.range_text is None else "range-as-text"
    return in_range(entry.range, version, state)


@lru_cache(maxsize=65_536)
def in_range(range_: str, version: str | None, state: VersionState | None = None) -> Reason:
    """Match a version with a ``vers`` range.

    A version that is not said to be ``exact`` may name a series: 10.0 stands for whatever begins with it.
    """
    try:
        return _in_range(range_, version, state)
    except Exception:  # the library raises classes that have nothing in common
        return "version-unreadable"


def range_problem(range_: str) -> str | None:
    """The reason that a range is not understood here; None for a range that is."""
    parsed = _parse(range_)
    return None if isinstance(parsed, Range) else REASONS[parsed][1]


# What begins as a version does; words such as "Distribution" and "N/A" are none, whatever a scheme takes.
_VERSION = re.compile(r"[vV]?(?:[0-9]+:)?[0-9][0-9A-Za-z.+~:_()\-]{0,99}")
_NUMBERS = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})*")
_SEMVER = re.compile(r"[0-9]{1,18}\.[0-9]{1,18}\.[0-9]{1,18}(?:-[0-9A-Za-z.-]+)?")
_SERIES = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})*)(?:\.[xX*])+")
_CONSTRAINT = re.compile(r"(>=|<=|!=|=|<|>)?([^<>=!*|]+)")
_LETTERED = re.compile(r"[0-9][0-9A-Za-z.+~-]*")
"""Versions that SemVer and Maven read without making something else of it (``1:2`` would become 1.0.0-2)."""
_STRICT = frozenset({"npm", "cargo", "golang", "hex"})
"""Schemes whose versions are SemVer 2.0 by their own rules."""
_NOT_TRUSTED = frozenset({"datetime", "lexicographic", "conan", "none", "all"})
"""Schemes that take anything for a version, or order what is no version."""
MAX_BOUNDS = 500
"""Bounds of one range, at most."""


class Range(msgspec.Struct, frozen=True):
    """A parsed range: its scheme and its bounds, each a comparator and a version."""

    scheme: str
    bounds: tuple[tuple[str, str], ...]
    """Empty for ``*``: every version."""


@lru_cache(maxsize=8_192)
def _parse(range_: str) -> Range | Reason:
    uri, _, rest = range_.partition(":")
    scheme, slash, constraints = rest.partition("/")
    if uri != "vers" or not slash or not constraints or not range_.isascii():
        return "range-unreadable"
    if constraints == "*":
        return "no-version-affected" if scheme == "none" else Range(scheme, ())
    if scheme not in RANGE_CLASS_BY_SCHEMES or scheme in _NOT_TRUSTED:
        return "scheme-unknown"
    bounds = []
    parts = constraints.strip("|").split("|")
    if len(parts) > MAX_BOUNDS:
        return "range-unreadable"
    for part in parts:
        constraint = _CONSTRAINT.fullmatch(part)
        if constraint is None or not _VERSION.fullmatch(constraint[2]):
            return "range-unreadable"
        bounds.append((constraint[1] or "=", constraint[2].lstrip("vV")))
    if {comparator for comparator, _ in bounds} == {"=", "!="}:
        return "range-unreadable"  # these and no others, or all but those?
    parsed = Range(scheme, tuple(bounds))
    try:
        for version_class in _classes(parsed, ""):
            _constraints(parsed, version_class)
    except Exception:  # as above
        return "range-unreadable"
    return parsed


def _in_range(range_: str, version: str | None, state: VersionState | None) -> Reason:
    parsed = _parse(range_)
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
    version = version.strip()
    if series := _SERIES.fullmatch(version.lstrip("vV")):
        version, state = series[1], None  # "10.0.x" is a series, whatever its state is
    if not _VERSION.fullmatch(version):
        return "version-unreadable"
    version = version.lstrip("vV")
    if state != "exact" and _NUMBERS.fullmatch(version) and _is_coarse(parsed, version):
        return _compare_series(parsed, version)
    return _compare(parsed, version)


def _compare(range_: Range, version: str) -> Reason:
    """The answer for one version, where all that order it agree."""
    if len(range_.bounds) > 1 and all(comparator == "!=" for comparator, _ in range_.bounds):
        # All versions but these. For one the library says so, too; for several, that none is in the range.
        reasons = {_compare(Range(range_.scheme, (bound,)), version) for bound in range_.bounds}
        return next(reason for reason in _ALL_BUT if reason in reasons)
    answers = {
        contains_version(version_class(version), _constraints(range_, version_class))
        for version_class in _classes(range_, version)
    }
    if len(answers) > 1:
        return "order-unsure"
    return "in-range" if answers.pop() else "outside-range"


_ALL_BUT: tuple[Reason, ...] = ("outside-range", "order-unsure", "in-range")


def _classes(range_: Range, version: str) -> tuple[Any, ...]:
    """The library's classes that must agree on the order of a version and the bounds of a range.

    ``intdot`` compares numbers digit by digit there, and SemVer takes a fourth number for a build and orders
    it as text: dotted numbers are ordered as PEP 440 does, number by number. Versions with letters under no
    rule are ordered by SemVer and by Maven, which see rc10 and rc9, or a fourth number, in different ways:
    only where both agree there is an answer.
    """
    own = RANGE_CLASS_BY_SCHEMES[range_.scheme].version_class
    names = [bound for _, bound in range_.bounds]
    if version:
        names.append(version)
    if range_.scheme != "intdot" and not issubclass(own, SemverVersion):
        return (own,)
    if all(_NUMBERS.fullmatch(name) for name in names):
        return (PypiVersion,)
    if range_.scheme in _STRICT and all(_SEMVER.fullmatch(name) for name in names):
        return (SemverVersion,)
    if not all(_LETTERED.fullmatch(name) for name in names):
        raise ValueError("neither of the two reads this")
    return (SemverVersion, MavenVersion)


@lru_cache(maxsize=16_384)
def _constraints(range_: Range, version_class: Any) -> tuple[Any, ...]:
    """The bounds in order. Raises whatever the library does for bounds that make no range."""
    constraints = [
        VersionConstraint(comparator=comparator, version=version_class(bound))
        for comparator, bound in range_.bounds
    ]
    VersionConstraint.validate(constraints)
    return tuple(sorted(constraints))


def _is_coarse(range_: Range, version: str) -> bool:
    """True when a bound of the range lies within the series that this version can stand for."""
    return any(bound.startswith(f"{version}.") for _, bound in range_.bounds)


def _compare_series(range_: Range, version: str) -> Reason:
    """The answer for all that begins with this version, where it is one answer."""
    first, last = _compare(range_, version), _compare(range_, f"{version}.{10**17}")
    bounds_within = [
        bound
        for comparator, bound in range_.bounds
        if bound.startswith(f"{version}.")
        # 10.0.0 is where 10.0 begins, and no place to change sides within it.
        and not (comparator in (">=", "<") and _is_equal(range_.scheme, bound, version))
    ]
    return first if first == last and not bounds_within else "version-coarse"


def _is_equal(scheme: str, bound: str, version: str) -> bool:
    return _compare(Range(scheme, (("=", bound),)), version) == "in-range"
