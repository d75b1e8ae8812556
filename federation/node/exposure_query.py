"""One answer about exposure, read as one caller sees it.

1. The groups of deployments of the solutions that the incidents concern (``store/exposure``).
2. The statements on the incidents, and the single deployments that incidents or statements name.
3. Each group is matched with each incident once, by its version.
4. Affected and unknown groups get the bodies they cover; named deployments are subtracted from their group.
5. The buckets that result are added up by operator (``domain/exposure/totals``).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence, Set
from copy import copy
from functools import partial
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

from federation.domain.content.incident import Incident
from federation.domain.exposure.answers import AffectedDeployment, CopyAge, OperatorExposure
from federation.domain.exposure.buckets import Bucket, UnreadStatement
from federation.domain.exposure.incident_record import IncidentRecord
from federation.domain.exposure.linkage import NO_LINKS, Links
from federation.domain.exposure.partial import UNKNOWN_SOLUTION
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
from federation.node.exposure_buckets import buckets, explain, matches_of
from federation.node.exposure_statements import (
    StatementsRead,
    all_statements_on,
    statements_on,
    unread_statements_on,
)
from federation.node.linkage import LinkageReads, linked_solutions
from federation.node.node import Node
from federation.store.body_sets import CoverageSet
from federation.store.database import Reading
from federation.store.exposure import DeploymentGroup, SingleDeployment
from federation.store.together import Together

MAX_NAMED = 10_000
"""Deployments that incidents and the statements on them name, and that are read one by one, at most."""
MAX_PARTIAL_INCIDENTS = 200
"""Incidents that are not understood and that one answer matches, at most: the newest."""
MAX_MISSING = 100
"""Named deployments that an answer lists as not here, at most."""


class IncidentAnswers(NamedTuple):
    """The statements on some incidents, and deployments that the incidents name."""

    read: StatementsRead
    unread: dict[str, list[UnreadStatement]]
    named: set[str]
    """The deployments that the incidents name."""
    singles: tuple[SingleDeployment, ...]
    """Those of them that are here to be seen."""
    only: str | None
    """The operator that these are of; None for all."""


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
        self._linkage = LinkageReads(tx, visible_to=by)
        self.linked: dict[str, set[tuple[str, str]]] = {}
        """For each incident: a solution it names, and one that is counted as the same software."""

    def within(self, tx: Reading) -> Self:
        """Ask through another connection; what was read is shared."""
        query = copy(self)
        query._tx = tx
        query._linkage = self._linkage.within(tx)
        return query

    async def links(self, incidents: Sequence[IncidentRecord], *, among: Set[str] | None = None) -> Links:
        """Links of the solutions that the incidents name; where ``among`` is given, of these only."""
        named = {solution for incident in incidents for solution in incident.spreading}
        return await self.links_of(named if among is None else named & among)

    async def links_of(self, solutions: Iterable[str]) -> Links:
        return await linked_solutions(self._tx, solutions, visible_to=self._by, reads=self._linkage)

    async def groups_of_solutions(self, solutions: Iterable[str]) -> tuple[DeploymentGroup, ...]:
        """The groups of these solutions, and of deployments that may be of any."""
        ids = sorted(solutions)
        if not ids:
            return ()
        return await self._tx.exposure.of_solutions([UNKNOWN_SOLUTION, *ids], visible_to=self._by)

    async def linked_groups(self, incident: IncidentRecord) -> tuple[tuple[DeploymentGroup, ...], Links]:
        """The groups of the solutions that an incident affects or may affect, and the links of these."""
        links = await self.links([incident])
        unread = links.unread if incident.spreading else ()
        return await self.groups_of_solutions({*incident.solutions, *links.solutions, *unread}), links

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

    async def answers(
        self, incidents: Sequence[IncidentRecord], *, only: str | None = None
    ) -> IncidentAnswers:
        """The statements on incidents, and the deployments that they or the incidents name.

        Of all operators, or of ``only``. Many incidents take as many statements to the database as one.
        """
        async with Together(self._tx) as reads:
            read = reads.start(statements_on(reads.tx, incidents, only=only, by=self._by))
            unread = reads.start(unread_statements_on(reads.tx, incidents, only=only, by=self._by))
            named = {name for incident in incidents for name in incident.named_deployments}
            singles_read = reads.start(self._singles(reads.tx, _names(named, only)))
        return IncidentAnswers(read.result(), unread.result(), named, singles_read.result(), only)

    async def totals(
        self,
        incidents: Sequence[IncidentRecord],
        groups: Sequence[DeploymentGroup],
        answers: IncidentAnswers,
        links: Links = NO_LINKS,
        *,
        finish: Callable[[Reading], Coroutine[Any, Any, None]] | None = None,
    ) -> list[dict[str, OperatorTotals]]:
        """The effect of each incident on each operator; one that is withdrawn affects nothing.

        Many incidents take as many statements to the database as one. ``finish`` is a read that goes along
        with the last ones.
        """
        operators = {group.origin for group in groups} if answers.only is None else set()
        statements = await all_statements_on(self._tx, answers.read, operators, by=self._by)
        unread = answers.unread
        stated = {
            name for listed in statements.values() for item in listed for name in item.content.deployments
        }
        others = await self._singles(self._tx, _names(stated - answers.named, answers.only))
        singles = sorted((*answers.singles, *others), key=lambda single: (single.origin, single.key))
        matches = [
            matches_of(incident, (*groups, *(single.group for single in singles)), links)
            for incident in incidents
        ]
        for incident, by_group in zip(incidents, matches, strict=True):
            self.linked[incident.id] = {
                (match.named, group.solution)
                for group in groups
                if (match := by_group.get(group.id)) is not None and match.named is not None
                if incident.content.status != "withdrawn"
            }
        covered = {
            group.id
            for group in groups
            if any(
                by_group[group.id].verdict != "not_affected" or (unread[incident.id] and group.in_use)
                for incident, by_group in zip(incidents, matches, strict=True)
                if group.id in by_group
            )
        }
        async with Together(self._tx) as reads:
            if missing := sorted(covered - self._covering.keys()):
                covering_read = reads.start(reads.tx.exposure.covering(missing, visible_to=self._by))
            subtracted = [single for single in singles if single.group.id in covered]
            counts_read = reads.start(reads.tx.exposure.counts(subtracted, visible_to=self._by))
            if finish is not None:
                reads.start(finish(reads.tx))
        if missing:
            self._covering |= covering_read.result()
        counts = counts_read.result()
        return [
            totals_by_operator(
                buckets(incident, groups, singles, by_group, self._covering, counts)
                if incident.content.status != "withdrawn"
                else (),
                statements[incident.id],
                incident.vulnerabilities,
                unread[incident.id],
            )
            for incident, by_group in zip(incidents, matches, strict=True)
        ]

    def missing(self, incident: IncidentRecord, answers: IncidentAnswers) -> tuple[str, ...]:
        """Deployments that an incident names and that are not here to be seen."""
        if incident.content.status == "withdrawn":
            return ()
        visible = {single.id for single in answers.singles}
        return tuple(sorted(incident.named_deployments - visible)[:MAX_MISSING])

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
                        explain(incident, bucket, reason),
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
        return to_view(totals, copy, links=links, explain=partial(explain, incident), own=own)

    def _list_url(self, bucket: Bucket) -> str:
        filters = {"origin": bucket.origin, "solution": bucket.solution}
        if bucket.version is not None:
            filters["version"] = bucket.version
        return f"{self._node.url}/v1/deployments?{urlencode(filters)}"

    async def _singles(self, tx: Reading, named: Iterable[str]) -> tuple[SingleDeployment, ...]:
        ids = sorted(named)[:MAX_NAMED]
        return await tx.exposure.singles(ids, visible_to=self._by) if ids else ()


def _names(named: Iterable[str], only: str | None) -> set[str]:
    """Those names of deployments that are of the operator ``only``, or all."""
    return {name for name in named if only is None or name.startswith(f"{only}/")}
