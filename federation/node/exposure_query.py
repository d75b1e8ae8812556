"""One answer about exposure, read as one caller sees it.

1. The groups of deployments of the solutions that the incidents concern (``store/exposure``).
2. The statements on the incidents, and the single deployments that incidents or statements name.
3. Each group is matched with each incident once, by its version.
4. Affected and unknown groups get the bodies they cover; named deployments are subtracted from their group.
5. The buckets that result are added up by operator (``domain/exposure/totals``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from functools import partial
from urllib.parse import urlencode

from federation.domain.content.incident import Incident
from federation.domain.exposure.answers import AffectedDeployment, Because, CopyAge, OperatorExposure
from federation.domain.exposure.because import because
from federation.domain.exposure.buckets import Bucket
from federation.domain.exposure.incident_record import IncidentRecord
from federation.domain.exposure.linkage import NO_LINKS, Links
from federation.domain.exposure.matching import VersionMatch, match_version
from federation.domain.exposure.partial import UNKNOWN_SOLUTION
from federation.domain.exposure.reasons import Reason
from federation.domain.exposure.totals import (
    MAX_DEPLOYMENTS,
    OPEN_STATUSES,
    OperatorTotals,
    to_view,
    totals_by_operator,
)
from federation.domain.query import MAX_TOTAL, PageKey, Query
from federation.domain.visibility import Caller
from federation.node.copy_ages import UNKNOWN_COPY
from federation.node.exposure_statements import statements_on, unread_statements_on
from federation.node.linkage import linked_solutions
from federation.node.node import Node
from federation.store.body_sets import CoverageSet, covering
from federation.store.database import Reading
from federation.store.exposure import DeploymentGroup, SingleDeployment

MAX_NAMED = 10_000
"""Deployments that incidents and the statements on them name, and that are read one by one, at most."""
MAX_PARTIAL_INCIDENTS = 200
"""Incidents that are not understood and that one answer matches, at most: the newest."""
MAX_MISSING = 100
"""Named deployments that an answer lists as not here, at most."""


class ExposureQuery:
    """The groups, statements and deployments that one caller may see, for one answer."""

    def __init__(
        self, node: Node, tx: Reading, by: Caller, copies: Mapping[str, CopyAge] | None = None
    ) -> None:
        self._node = node
        self._tx = tx
        self._by = by
        self._copies = copies or {}
        self._covering: dict[int, CoverageSet] = {}
        self.linked: dict[str, set[tuple[str, str]]] = {}
        """For each incident: a solution it names, and one that is counted as the same software."""

    async def links(self, incidents: Sequence[IncidentRecord], *, among: Set[str] | None = None) -> Links:
        """Links of the solutions that the incidents name; where ``among`` is given, of these only."""
        named = {solution for incident in incidents for solution in incident.spreading}
        return await self.links_of(named if among is None else named & among)

    async def links_of(self, solutions: Iterable[str]) -> Links:
        return await linked_solutions(self._tx, solutions, visible_to=self._by)

    async def groups_of_solutions(self, solutions: Iterable[str]) -> tuple[DeploymentGroup, ...]:
        """The groups of these solutions, and of deployments that may be of any."""
        ids = sorted(solutions)
        if not ids:
            return ()
        return await self._tx.exposure.of_solutions([UNKNOWN_SOLUTION, *ids], visible_to=self._by)

    async def groups_of_operator(self, operator: str) -> tuple[DeploymentGroup, ...]:
        return await self._tx.exposure.of_operator(operator, visible_to=self._by)

    async def open_incidents(
        self,
        solutions: Sequence[str] | None,
        *,
        naming: str | None = None,
        limit: int,
        after: PageKey | None = None,
    ) -> tuple[list[IncidentRecord], PageKey | None]:
        """Open incidents that concern these solutions, or name deployments of the operator ``naming``.

        Without ``solutions`` all open incidents. A page has fewer where it leaves out maintenance whose
        window is over.
        """
        about: tuple[tuple[str, str], ...] = ()
        if solutions is not None:
            about = (
                *(("solution", solution) for solution in solutions),
                *((("operator", naming),) if naming else ()),
            )
        query = Query(
            kind=Incident, facets=(("status", OPEN_STATUSES),), either=about, limit=limit, after=after
        )
        if not about and solutions is not None:
            return [], None
        documents, place, _ = await self._tx.records.collect(query, visible_to=self._by)
        now = self._node.clock()
        incidents = (IncidentRecord.of(document) for document in documents)
        return [incident for incident in incidents if incident.is_open(now)], place

    async def partial_incidents(self) -> tuple[list[IncidentRecord], int, bool]:
        """Open incidents that are not understood, those changed last first, and the number of all of them.

        ``MAX_PARTIAL_INCIDENTS`` are read at most, and True says that there are more. Up to ``MAX_TOTAL`` are
        counted.
        """
        newest, more = await self._tx.not_understood.newest(
            Incident.type, MAX_PARTIAL_INCIDENTS, visible_to=self._by
        )
        number = len(newest)
        if more:
            number = await self._tx.not_understood.number(Incident.type, MAX_TOTAL, visible_to=self._by)
        now = self._node.clock()
        incidents = [
            IncidentRecord.partial(record.id, record.updated_at, record.document) for record in newest
        ]
        return [incident for incident in incidents if incident.is_open(now)], number, more

    async def totals(
        self,
        incidents: Sequence[IncidentRecord],
        groups: Sequence[DeploymentGroup],
        links: Links = NO_LINKS,
        *,
        only: str | None = None,
    ) -> list[dict[str, OperatorTotals]]:
        """The effect of each incident on each operator; one that is withdrawn affects nothing.

        Many incidents take as many statements to the database as one.
        """
        statements = await statements_on(
            self._tx, incidents, {group.origin for group in groups}, only=only, by=self._by
        )
        unread = await unread_statements_on(self._tx, incidents, only=only, by=self._by)
        named = {
            name
            for incident in incidents
            for name in (
                *incident.named_deployments,
                *(n for statement in statements[incident.id] for n in statement.content.deployments),
            )
            if only is None or name.startswith(f"{only}/")
        }
        singles = await self._singles(named)
        matches = [
            _matches(incident, (*groups, *(single.group for single in singles)), links)
            for incident in incidents
        ]
        for incident, by_group in zip(incidents, matches, strict=True):
            self.linked[incident.id] = {
                (match.named, group.solution)
                for group in groups
                if (match := by_group.get(group.id)) is not None and match.named is not None
                if incident.content.status != "withdrawn"
            }
        await self._cover(
            group
            for group in groups
            if any(
                by_group[group.id].verdict != "not_affected" or (unread[incident.id] and group.in_use)
                for incident, by_group in zip(incidents, matches, strict=True)
                if group.id in by_group
            )
        )
        return [
            totals_by_operator(
                await self._buckets(incident, groups, singles, by_group)
                if incident.content.status != "withdrawn"
                else (),
                statements[incident.id],
                incident.vulnerabilities,
                unread[incident.id],
            )
            for incident, by_group in zip(incidents, matches, strict=True)
        ]

    async def missing(self, incident: IncidentRecord) -> tuple[str, ...]:
        """Deployments that an incident names and that are not here to be seen."""
        if not incident.named_deployments or incident.content.status == "withdrawn":
            return ()
        visible = await self._singles(incident.named_deployments)
        return tuple(sorted(incident.named_deployments - {single.id for single in visible})[:MAX_MISSING])

    async def own_deployments(
        self, incident: IncidentRecord, totals: OperatorTotals | None
    ) -> list[AffectedDeployment]:
        """The caller's own deployments that are affected or may be, those not named singly."""
        if totals is None or totals.operator != self._by.operator:
            return []
        by_group = {
            bucket.group: (bucket, verdict, reason, stated)
            for bucket, verdict, reason, stated in totals.buckets
            if bucket.id is None and bucket.group is not None
        }
        named = {bucket.id for bucket, *_ in totals.buckets}
        if not by_group:
            return []
        rows = await self._tx.exposure.list_deployments(
            sorted(by_group), MAX_DEPLOYMENTS, visible_to=self._by
        )
        deployments = []
        for id_, group in rows:
            bucket, verdict, reason, stated = by_group[group]
            if id_ not in named:
                deployments.append(
                    AffectedDeployment(
                        id_,
                        bucket.solution,
                        verdict,
                        reason,
                        bucket.version,
                        stated,
                        bucket.named,
                        _explain(incident, bucket, reason),
                    )
                )
        return deployments

    def operators(self, totals: Mapping[str, OperatorTotals]) -> list[OperatorTotals]:
        """The operators concerned, the most affected first; for the node's operator also every other peer.

        That nothing of a peer's is affected is worth as much as the copy it is read from.
        """
        concerned = [entry for entry in totals.values() if entry.is_concerned or entry.cleared.deployments]
        concerned.sort(
            key=lambda entry: (-entry.affected.deployments, -entry.unknown.deployments, entry.operator)
        )
        if not self._by.own:
            return concerned
        listed = {entry.operator for entry in concerned}
        unaffected = sorted(name for name in self._copies if name not in listed)
        return [*concerned, *(totals.get(name) or OperatorTotals(name) for name in unaffected)]

    def to_view(
        self, incident: IncidentRecord, totals: OperatorTotals, own: Sequence[AffectedDeployment] = ()
    ) -> OperatorExposure:
        links = {
            (bucket.solution, bucket.version): self._list_url(bucket)
            for bucket, *_ in totals.buckets
            if bucket.id is None and bucket.solution != UNKNOWN_SOLUTION
        }
        copy = self._copies.get(totals.operator, UNKNOWN_COPY)
        return to_view(totals, copy, links=links, explain=partial(_explain, incident), own=own)

    def _list_url(self, bucket: Bucket) -> str:
        filters = {"origin": bucket.origin, "solution": bucket.solution}
        if bucket.version is not None:
            filters["version"] = bucket.version
        return f"{self._node.url}/v1/deployments?{urlencode(filters)}"

    async def _singles(self, named: Iterable[str]) -> tuple[SingleDeployment, ...]:
        ids = sorted(named)[:MAX_NAMED]
        return await self._tx.exposure.singles(ids, visible_to=self._by) if ids else ()

    async def _cover(self, groups: Iterable[DeploymentGroup]) -> None:
        if missing := [group.id for group in groups if group.id not in self._covering]:
            self._covering |= await self._tx.exposure.covering(missing, visible_to=self._by)

    async def _buckets(
        self,
        incident: IncidentRecord,
        groups: Sequence[DeploymentGroup],
        singles: Sequence[SingleDeployment],
        matches: Mapping[int, VersionMatch],
    ) -> list[Bucket]:
        """A bucket for each group that matches, without its named deployments, and one for each of these."""
        named = [
            single
            for single in singles
            if single.id in incident.named_deployments or single.group.id in matches
        ]
        matching = {group.id for group in groups if group.id in matches}
        subtracted: dict[int, list[SingleDeployment]] = {}
        for single in named:
            if single.group.id in matching:
                subtracted.setdefault(single.group.id, []).append(single)
        apart = [single for id_, part in subtracted.items() if id_ in self._covering for single in part]
        reduced = await self._tx.exposure.covering_without(apart, visible_to=self._by) if apart else {}
        buckets = [
            _group_bucket(
                group,
                matches[group.id],
                reduced[group.id] if group.id in reduced else self._covering.get(group.id, CoverageSet()),
                subtracted.get(group.id, ()),
            )
            for group in groups
            if group.id in matches
        ]
        for single in named:
            affected = single.id in incident.named_deployments and single.group.in_use
            match = (
                VersionMatch("named")
                if affected
                else matches.get(single.group.id, VersionMatch("not-in-use"))
            )
            buckets.append(_single_bucket(single, match))
        return [bucket for bucket in buckets if bucket.deployments > 0]


def _matches(
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


def _explain(incident: IncidentRecord, bucket: Bucket, reason: Reason) -> Because:
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
