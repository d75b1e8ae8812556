"""The buckets of an incident: groups of deployments that match it, and those that are named singly.

Each group is matched once, by its version. Deployments that the incident or a statement names are subtracted
from their group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from federation.domain.exposure.answers import Because
from federation.domain.exposure.because import because
from federation.domain.exposure.buckets import Bucket
from federation.domain.exposure.incident_record import IncidentRecord
from federation.domain.exposure.linkage import Links
from federation.domain.exposure.matching import VersionMatch, match_version
from federation.domain.exposure.partial import UNKNOWN_SOLUTION
from federation.domain.exposure.reasons import Reason
from federation.store.body_sets import CoverageSet, covering
from federation.store.exposure import DeploymentGroup, SingleDeployment, without


def matches_of(
    incident: IncidentRecord, groups: Iterable[DeploymentGroup], links: Links
) -> dict[int, VersionMatch]:
    """The match of each group that the incident concerns, by the group's id."""
    entries, links = incident.entries, links.of(incident.spreading)
    matches: dict[int, VersionMatch] = {}
    for group in groups:
        match = match_version(entries, group.solution, group.version, group.version_state, links)
        if match is None and (incident.affects_any or (group.solution == UNKNOWN_SOLUTION and entries)):
            match = VersionMatch("not-understood")
        if match is not None:
            if not (incident.understood and group.understood):
                match = VersionMatch("not-understood", match.named)
            matches[group.id] = match if group.in_use else VersionMatch("not-in-use", match.named)
    return matches


def buckets(
    incident: IncidentRecord,
    groups: Sequence[DeploymentGroup],
    singles: Sequence[SingleDeployment],
    matches: Mapping[int, VersionMatch],
    covers: Mapping[int, CoverageSet],
    counts: Mapping[int, Mapping[int, int]],
) -> list[Bucket]:
    """A bucket for each group that matches, without its named deployments, and one for each of these."""
    named = [
        single for single in singles if single.id in incident.named_deployments or single.group.id in matches
    ]
    matching = {group.id for group in groups if group.id in matches}
    subtracted: dict[int, list[SingleDeployment]] = {}
    for single in named:
        if single.group.id in matching:
            subtracted.setdefault(single.group.id, []).append(single)
    buckets = [
        _group_bucket(
            group,
            matches[group.id],
            without(
                covers.get(group.id, CoverageSet()),
                counts.get(group.id, {}),
                subtracted.get(group.id, ()),
            ),
            subtracted.get(group.id, ()),
        )
        for group in groups
        if group.id in matches
    ]
    for single in named:
        affected = single.id in incident.named_deployments and single.group.in_use
        match = (
            VersionMatch("named") if affected else matches.get(single.group.id, VersionMatch("not-in-use"))
        )
        buckets.append(_single_bucket(single, match))
    return [bucket for bucket in buckets if bucket.deployments > 0]


def explain(incident: IncidentRecord, bucket: Bucket, reason: Reason) -> Because:
    return because(
        incident.content.affects,
        reason,
        solution=bucket.named or bucket.solution,
        version=bucket.version,
        state=bucket.version_state,
        deployment=bucket.id,
    )


def _group_bucket(
    group: DeploymentGroup, match: VersionMatch, covers: CoverageSet, subtracted: Sequence[SingleDeployment]
) -> Bucket:
    return Bucket(
        origin=group.origin,
        solution=group.solution,
        version=group.version,
        version_state=group.version_state,
        reason=match.reason,
        deployments=group.deployments - len(subtracted),
        tokens=covers.tokens,
        elsewhere=covers.elsewhere,
        counted=group.counted - sum(single.counted for single in subtracted),
        areas=group.areas - sum(single.areas for single in subtracted),
        group=group.id,
        named=match.named,
    )


def _single_bucket(single: SingleDeployment, match: VersionMatch) -> Bucket:
    covers = covering(single.numbers)
    return Bucket(
        origin=single.origin,
        solution=single.group.solution,
        version=single.group.version,
        version_state=single.group.version_state,
        reason=match.reason,
        deployments=1,
        tokens=covers.tokens,
        elsewhere=covers.elsewhere,
        counted=single.counted,
        areas=single.areas,
        id=single.id,
        named=match.named,
    )
