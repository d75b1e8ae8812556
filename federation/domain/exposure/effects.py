"""The effect of an incident on the operator, and the vulnerability it is about, compared with others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from federation.domain.exposure.answers import AffectedDeployment, AffectedVersion, IncidentSummary, OwnLine

_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")
_VULNERABILITY = re.compile(r"(CVE|GHSA|EUVD|PYSEC|GO|RUSTSEC|OSV|MAL|GSD)-[A-Z0-9-]+")
"""Identifiers of one vulnerability. Those of bulletins (CERTFR) are left out: a bulletin has several."""


class Effect(msgspec.Struct, frozen=True):
    """The deployments of the operator that an incident affects, in parts that can be compared."""

    parts: tuple[tuple[frozenset[str], frozenset[str]] | None, ...]
    """Affected and unknown ones, by deployment and by version; None where not all of them are listed."""

    @classmethod
    def of(cls, line: OwnLine) -> Effect:
        exposure = line.exposure
        number = exposure.affected.deployments + exposure.unknown.deployments
        deployments, versions = exposure.deployments, exposure.versions
        return cls(
            (
                _split(deployments) if len(deployments) == number else None,
                _split(versions) if sum(version.deployments for version in versions) == number else None,
            )
        )

    def is_covered(self, others: Sequence[Effect]) -> bool:
        """True when each deployment is affected by one of the others as certainly as here."""
        for number, part in enumerate(self.parts):
            if part is None:
                continue
            known = [other.parts[number] for other in others]
            affected = {name for pair in known if pair for name in pair[0]}
            unknown = {name for pair in known if pair for name in pair[1]}
            if part[0] <= affected and part[1] <= affected | unknown:
                return True
        return False


def _split(
    entries: Iterable[AffectedDeployment] | Iterable[AffectedVersion],
) -> tuple[frozenset[str], frozenset[str]]:
    affected: set[str] = set()
    unknown: set[str] = set()
    for entry in entries:
        name = (
            entry.id
            if isinstance(entry, AffectedDeployment)
            else f"{entry.solution} {entry.version or ''} {entry.version_state or ''}"
        )
        (affected if entry.verdict == "affected" else unknown).add(name)
    return frozenset(affected), frozenset(unknown)


def identifiers(incident: IncidentSummary) -> frozenset[str]:
    """The identifiers of the vulnerability that it is about, in capitals; of no other kind of incident."""
    if incident.kind != "vulnerability":
        return frozenset()
    aliases = (alias.upper() for alias in incident.aliases)
    return frozenset(alias for alias in aliases if _VULNERABILITY.fullmatch(alias))


def main_identifiers(incident: IncidentSummary) -> frozenset[str]:
    """Those that all have to be another's for it to be about the same: its CVE numbers, or else all."""
    names = identifiers(incident)
    return frozenset(name for name in names if _CVE.fullmatch(name)) or names


def says_the_same(other: IncidentSummary, incident: IncidentSummary) -> bool:
    """True when an alert of the other incident is about the vulnerability of this one, and about it alone.

    One with further CVE numbers is not: else an incident that lists many would silence the alerts of all.
    """
    names, others = identifiers(incident), identifiers(other)
    cves = {name for name in names if _CVE.fullmatch(name)}
    other_cves = {name for name in others if _CVE.fullmatch(name)}
    if cves:
        return cves == other_cves
    return bool(names) and names <= others and len(other_cves) <= 1
