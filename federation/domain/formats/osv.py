"""OSV advisories, schema 1.x (https://ossf.github.io/osv-schema).

A version is affected when an entry of ``affected`` lists it in ``versions``, or when one of the entry's
ranges contains it; the events of a range are read in order of version (OSV schema, "Evaluation").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, get_args

import msgspec

from federation.domain.errors import Invalid
from federation.domain.exposure.matching import in_range
from federation.domain.formats.advisory import (
    Finding,
    Product,
    Severity,
    decode,
    parse_instant,
    severity_of,
)
from federation.domain.formats.ecosystems import ecosystem_of, package_names, repository_names
from federation.domain.formats.ranges import Interval, Scale, is_readable, ranges_of, scale_of

PUBLISHER = "osv.dev"
"""The namespace of OSV's ids: each database has a prefix of its own."""


class _Event(msgspec.Struct):
    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None
    limit: str | None = None


class _Range(msgspec.Struct):
    type: str
    events: tuple[_Event, ...] = ()
    repo: str = ""


class _Package(msgspec.Struct):
    name: str = ""
    ecosystem: str = ""
    purl: str = ""


class _Severity(msgspec.Struct):
    type: str = ""
    score: str = ""


class _Affected(msgspec.Struct):
    package: _Package | None = None
    ranges: tuple[_Range, ...] | None = None
    versions: tuple[str, ...] | None = None
    severity: tuple[_Severity, ...] | None = None
    ecosystem_specific: Any = None
    database_specific: Any = None


class _Reference(msgspec.Struct):
    type: str = ""
    url: str = ""


class _Advisory(msgspec.Struct):
    id: str
    modified: str | None = None
    published: str | None = None
    withdrawn: str | None = None
    aliases: tuple[str, ...] | None = None
    upstream: tuple[str, ...] | None = None
    summary: str | None = None
    details: str | None = None
    severity: tuple[_Severity, ...] | None = None
    affected: tuple[_Affected, ...] | None = None
    database_specific: Any = None


def read_osv(raw: bytes) -> tuple[Finding, ...]:
    """Read the vulnerability of an OSV advisory. Raises Invalid."""
    advisory = decode(raw, _Advisory)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:-]{2,99}", advisory.id):
        raise Invalid(f"{advisory.id[:80]!r} is not the id of an advisory", pointer="/id")
    affected = advisory.affected or ()
    names = ", ".join(dict.fromkeys(entry.package.name for entry in affected if entry.package))
    vector, severity = _score(advisory, affected)
    return (
        Finding(
            id=advisory.id,
            title=advisory.summary or f"{advisory.id} in {names or 'a package'}",
            summary=advisory.details or advisory.summary or advisory.id,
            published=parse_instant(advisory.published) or parse_instant(advisory.modified),
            products=tuple(_product(entry, number) for number, entry in enumerate(affected)),
            url=f"https://osv.dev/vulnerability/{advisory.id}",
            aliases=tuple(_aliases(advisory)),
            severity=severity,
            vector=vector,
            withdrawn=bool(advisory.withdrawn),
            notes=() if advisory.summary else ("title: not told, made of the package's name",),
            publisher=PUBLISHER,
            document=advisory.id,
            modified=parse_instant(advisory.modified),
        ),
    )


def _aliases(advisory: _Advisory) -> list[str]:
    """Its names: the advisory of a distribution is about its upstream vulnerabilities, all of them or none.

    An answer to some of them does not answer it, so none is left out of those that are named.
    """
    own = list(dict.fromkeys((advisory.id, *(advisory.aliases or ()))))
    everything = list(dict.fromkeys((*own, *(advisory.upstream or ()))))
    return everything if len(everything) <= MAX_ALIASES else own


MAX_ALIASES = 50
"""Aliases of one incident, at most (``Incident.aliases``)."""


# Severity


_RANKS: tuple[str, ...] = get_args(Severity)
_NAMES = {"moderate": "medium", "important": "high", "negligible": "low"}


def _score(advisory: _Advisory, affected: tuple[_Affected, ...]) -> tuple[str | None, str | None]:
    """The vector and the severity of an advisory; of several packages the most severe."""
    vector = _vector(advisory.severity or ())
    severity = _named_severity(advisory.severity or (), advisory.database_specific)
    if vector or severity:
        return vector, severity
    scores = []
    for entry in affected:
        vector = _vector(entry.severity or ())
        severity = _named_severity(entry.severity or (), entry.ecosystem_specific, entry.database_specific)
        name = (vector and severity_of(vector)) or severity
        if name in _RANKS:
            scores.append((_RANKS.index(name), vector, severity))
    if not scores:
        return None, None
    _, vector, severity = max(scores, key=lambda score: score[0])
    return vector, severity


def _vector(severities: Iterable[_Severity]) -> str | None:
    vectors = {severity.type: severity.score for severity in severities}
    return vectors.get("CVSS_V4") or vectors.get("CVSS_V3") or vectors.get("CVSS_V2")


def _named_severity(severities: Iterable[_Severity], *specific: Any) -> str | None:
    """A severity that is a word: of the distribution, or a member that the database adds."""
    words = [severity.score for severity in severities if not severity.type.startswith("CVSS")]
    words += [
        members["severity"] for members in specific if isinstance(members, dict) and "severity" in members
    ]
    for word in words:
        if isinstance(word, str):
            name = _NAMES.get(word.lower(), word.lower())
            if name in _RANKS:
                return name
    return None


# Versions


def _product(entry: _Affected, number: int) -> Product:
    package = entry.package or _Package()
    ecosystem = ecosystem_of(package.ecosystem)
    names = list(package_names(ecosystem, package.name, package.purl))
    intervals: list[Interval] = []
    texts: list[str] = []
    fixed: list[str] = []
    ranges = entry.ranges or ()
    versions = [version for version in entry.versions or () if version.strip()]
    for range_ in ranges:
        if not ecosystem.distribution:
            names += repository_names(range_.repo)
        if range_.type == "GIT":
            continue
        evaluated = _evaluate(ecosystem.scheme, range_.events)
        if evaluated is None:
            texts.append(_words(range_.events))
        else:
            intervals += evaluated
        fixed += [event.fixed for event in range_.events if event.fixed]
    commits = [range_ for range_ in ranges if range_.type == "GIT"]
    if not intervals and not texts and commits:
        texts += _commits(commits, listed=bool(versions))
    elif not intervals and not texts and not versions:
        texts.append("the advisory names no versions")
    if intervals or any(is_readable(ecosystem.scheme, version) for version in versions):
        # A version that is none of the ecosystem answers unknown wherever it runs: nothing else is in doubt.
        versions = [version for version in versions if is_readable(ecosystem.scheme, version)]
    readable, unreadable = ranges_of(
        ecosystem.scheme, [*intervals, *((version, None) for version in versions)]
    )
    return Product(
        names=tuple(dict.fromkeys(names)),
        ranges=readable,
        texts=tuple(dict.fromkeys((*texts, *unreadable))),
        fixed=tuple(
            version for version in dict.fromkeys(fixed) if _is_fixed(version, readable, unreadable, texts)
        ),
        source_pointer=f"/affected/{number}",
        release=package.ecosystem if ecosystem.distribution and ":" in package.ecosystem else "",
    )


def _is_fixed(version: str, ranges: Iterable[str], unreadable: Iterable[str], texts: Iterable[str]) -> bool:
    """True for a version that no range of the same entry contains, or may contain."""
    if any(texts) or any(unreadable):
        return False
    return all(in_range(range_, version, "exact") == "outside-range" for range_ in ranges)


def _evaluate(scheme: str, events: tuple[_Event, ...]) -> list[Interval] | None:
    """The affected intervals of a range; None where the order of its events is not sure, or it has none.

    Of events at one version the fix comes first: what is introduced there is affected.
    """
    pairs = [
        (kind, version)
        for event in events
        for kind in ("introduced", "fixed", "last_affected", "limit")
        if (version := getattr(event, kind)) is not None
    ]
    scale = scale_of(scheme, (version for kind, version in pairs if not _is_end(kind, version)))
    if scale is None or not any(kind == "introduced" for kind, _ in pairs):
        return None
    limits = [
        scale.last + 1 if version == "*" else scale.positions[version]
        for kind, version in pairs
        if kind == "limit"
    ]
    turns = sorted(_turn(scale, kind, version) for kind, version in pairs if kind != "limit")
    affected: list[int] = []
    for position in range(min(scale.last + 1, max(limits, default=scale.last + 1))):
        passed = [affects for at, affects in turns if at <= position]
        if passed and passed[-1]:
            affected.append(position)
    return scale.intervals(affected) or None


def _is_end(kind: str, version: str) -> bool:
    """True for what stands before the first version, or after the last one."""
    return (kind == "introduced" and version == "0") or (kind == "limit" and version == "*")


def _turn(scale: Scale, kind: str, version: str) -> tuple[int, bool]:
    """The position where an event takes effect, and the status from there on."""
    if kind == "introduced":
        return (0 if version == "0" else scale.positions[version], True)
    return (scale.positions[version] + (kind == "last_affected"), False)


def _words(events: tuple[_Event, ...]) -> str:
    """The events of a range as they stand there."""
    return (
        ", ".join(
            f"{kind.replace('_', ' ')} {version}"
            for event in events
            for kind, version in msgspec.structs.asdict(event).items()
            if version is not None
        )
        or "the advisory names a range without events"
    )


def _commits(ranges: list[_Range], *, listed: bool) -> Iterator[str]:
    """The commits of a range, which no version can be compared with.

    Versions that are listed are those of the commits, unless the range has no end: later ones are missing.
    """
    for range_ in ranges:
        ends = [
            version for event in range_.events for version in (event.fixed, event.last_affected) if version
        ]
        begins = [event.introduced for event in range_.events if event.introduced not in (None, "0")]
        if ends and not listed:
            yield f"before commit {', '.join(ends)}"
        elif not ends:
            yield f"since commit {', '.join(filter(None, begins)) or 'the first one'}, with no end"
