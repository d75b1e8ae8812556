"""OSV advisories, schema 1.x (https://ossf.github.io/osv-schema)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from federation.domain.errors import Invalid
from federation.domain.formats.advisory import Finding, Interval, Product, decode, parse_instant, ranges_of

SCHEMES = {
    "PyPI": "pypi", "npm": "npm", "Maven": "maven", "RubyGems": "gem", "crates.io": "cargo", "Go": "golang",
    "NuGet": "nuget", "Packagist": "composer", "Debian": "deb", "Ubuntu": "deb", "Alpine": "apk",
    "Hex": "hex",
    "Red Hat": "rpm", "Rocky Linux": "rpm", "AlmaLinux": "rpm", "openSUSE": "rpm", "SUSE": "rpm",
}  # fmt: skip
"""Schemes of ``vers`` for the ecosystems of OSV; the others are read as generic."""


class _Event(msgspec.Struct):
    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None
    limit: str | None = None


class _Range(msgspec.Struct):
    type: str
    events: tuple[_Event, ...] = ()


class _Package(msgspec.Struct):
    name: str = ""
    ecosystem: str = ""
    purl: str = ""


class _Affected(msgspec.Struct):
    package: _Package | None = None
    ranges: tuple[_Range, ...] = ()
    versions: tuple[str, ...] = ()


class _Severity(msgspec.Struct):
    type: str = ""
    score: str = ""


class _Reference(msgspec.Struct):
    type: str = ""
    url: str = ""


class _Specific(msgspec.Struct):
    severity: str | None = None


class _Advisory(msgspec.Struct):
    id: str
    modified: str | None = None
    published: str | None = None
    withdrawn: str | None = None
    aliases: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    summary: str = ""
    details: str = ""
    severity: tuple[_Severity, ...] = ()
    affected: tuple[_Affected, ...] = ()
    references: tuple[_Reference, ...] = ()
    database_specific: _Specific | None = None


def read_osv(raw: bytes) -> tuple[Finding, ...]:
    """Read the vulnerability of an OSV advisory. Raises Invalid."""
    advisory = decode(raw, _Advisory)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:-]{2,99}", advisory.id):
        raise Invalid(f"{advisory.id[:80]!r} is not the id of an advisory", pointer="/id")
    vectors = {severity.type: severity.score for severity in advisory.severity}
    notes = [] if advisory.summary else ["title: not told, made of the package's name"]
    names = ", ".join(dict.fromkeys(entry.package.name for entry in advisory.affected if entry.package))
    return (
        Finding(
            id=advisory.id,
            title=advisory.summary or f"{advisory.id} in {names or 'a package'}",
            summary=advisory.details or advisory.summary or advisory.id,
            published=parse_instant(advisory.published) or parse_instant(advisory.modified),
            products=tuple(_products(advisory)),
            url=f"https://osv.dev/vulnerability/{advisory.id}",
            aliases=(advisory.id, *advisory.aliases),
            severity=advisory.database_specific.severity if advisory.database_specific else None,
            vector=vectors.get("CVSS_V4") or vectors.get("CVSS_V3") or vectors.get("CVSS_V2"),
            withdrawn=advisory.withdrawn is not None,
            notes=tuple(notes),
            publisher="osv.dev",
            document=advisory.id,
            modified=parse_instant(advisory.modified),
        ),
    )


def _products(advisory: _Advisory) -> Iterator[Product]:
    for entry in advisory.affected:
        package = entry.package or _Package()
        scheme = SCHEMES.get(package.ecosystem.split(":")[0], "generic")
        intervals: list[Interval] = []
        texts: list[str] = []
        fixed: list[str] = []
        for range_ in entry.ranges:
            if range_.type == "GIT":
                continue
            intervals += _intervals(range_)
            fixed += [event.fixed for event in range_.events if event.fixed]
        if not intervals and entry.versions:
            intervals = [(version, None) for version in entry.versions]
        elif not intervals:
            commits = [event.fixed for range_ in entry.ranges for event in range_.events if event.fixed]
            texts.append(
                f"before commit {', '.join(commits)}" if commits else "the advisory names no versions"
            )
        ranges, unranged = ranges_of(scheme, intervals)
        names = (
            [f"purl:{package.purl.removeprefix('pkg:').split('@')[0].split('?')[0]}"] if package.purl else []
        )
        if package.name:
            names += [f"purl:{scheme}/{package.name}", f"name:{package.name}"]
        yield Product(
            names=tuple(dict.fromkeys(name.lower() for name in names)),
            ranges=ranges,
            texts=(*texts, *unranged),
            fixed=tuple(fixed),
        )


def _intervals(range_: _Range) -> Iterator[Interval]:
    """From each version that introduced it to the one that ended it. Events come in pairs."""
    low: str | None = None
    begun = False
    for event in range_.events:
        if event.introduced is not None:
            if begun:
                yield low, None
            low, begun = None if event.introduced == "0" else f">={event.introduced}", True
        elif begun and (event.fixed or event.last_affected or event.limit):
            end = f"<={event.last_affected}" if event.last_affected else f"<{event.fixed or event.limit}"
            yield low, end
            begun = False
    if begun:
        yield low, None
