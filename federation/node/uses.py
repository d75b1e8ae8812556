"""The use of solutions: which operators run them, in which versions and for how many bodies.

Answered from the groups of deployments (``exposure_index``), as far as the caller may see them: what is not
visible is not counted, so a page says that its sums are of what its visitor sees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from federation.domain.content.incident import Incident
from federation.domain.content.offer import Offer
from federation.domain.content.solution import Solution
from federation.domain.document import check_id
from federation.domain.exposure.coverage import Tally, tally
from federation.domain.exposure.incident_record import IncidentRecord
from federation.domain.exposure.linkage import Link
from federation.domain.exposure.totals import OPEN_STATUSES
from federation.domain.query import PAGE, Query
from federation.domain.stored import StoredRecord
from federation.domain.visibility import Caller
from federation.node import exposure_index, records
from federation.node.copy_views import Provenance, read_provenance
from federation.node.exposure_index import IndexCheck
from federation.node.linkage import linked_solutions
from federation.node.node import Node
from federation.node.operator_names import read_names
from federation.store.body_sets import CoverageSet
from federation.store.database import Reading
from federation.store.exposure import DeploymentGroup
from federation.store.together import Together

MAX_GROUPS = 2_000
"""Groups of deployments that one answer adds up, at most; a set of bodies is 5 kB at most."""
MAX_VERSIONS = 10
"""Versions that are listed for each operator or solution, the most frequent first."""
MAX_INCIDENTS = 20
"""Open incidents of a solution that are listed, at most."""

MAX_SAME = 40
"""Solutions that are the same software whose offers are read, at most: a query has 50 values."""

Groups = Sequence[tuple[DeploymentGroup, CoverageSet]]


class Use(msgspec.Struct, frozen=True):
    """The deployments in use of one operator, or of one solution."""

    name: str
    """The operator or the solution."""
    solutions: tuple[str, ...]
    """The solutions that they are of: another operator may have the same software under an id of its own."""
    deployments: int
    not_understood: int
    """Those of them whose record this version does not understand."""
    coverage: Tally
    versions: tuple[tuple[str, int], ...]
    """Versions, and the number of deployments that run each; the empty text: not known."""


class SolutionUse(msgspec.Struct, frozen=True):
    """The use of a solution, and what is known to be wrong with it."""

    operators: tuple[Use, ...]
    total: Tally
    """All operators together; a body that two of them serve counts once."""
    deployments: int
    more: bool
    """True where not all groups were added up."""
    linked: Mapping[str, Link]
    """Solutions of other records that are the same software."""
    more_linked: bool
    incidents: tuple[IncidentRecord, ...]
    """Open incidents that name it, or a solution that is certainly the same software."""
    more_incidents: bool
    incidents_not_understood: int
    """Incidents that this version does not understand: each of them may be on this solution."""
    offers: tuple[bytes, ...]
    """Documents of offers of it, or of a solution that is certainly the same software, the newest."""


class SolutionPage(msgspec.Struct, frozen=True):
    """A solution with all that its page shows."""

    stored: StoredRecord
    use: SolutionUse
    sources: tuple[Provenance, ...]
    """The feeds of its operator."""
    names: dict[str, str]
    """Names of the operators that it shows."""


class _Origin(msgspec.Struct):
    origin: str


_origin = msgspec.json.Decoder(_Origin)


async def of_solution(node: Node, origin: str, key: str, *, by: Caller) -> SolutionPage:
    """A solution with its use, read together. Raises NotFound."""
    check_id(origin, key)

    async def read(tx: Reading, check: IndexCheck) -> SolutionPage:
        async with Together(tx) as reads:
            stored = reads.start(records.read(reads.tx, Solution, origin, key, by=by))
            use = reads.start(read_use(reads.tx, check, f"{origin}/{key}", now=node.clock(), by=by))
            sources = reads.start(read_provenance(node, reads.tx, (origin,), by=by))
        named = {origin, *(part.name for part in use.result().operators)}
        named |= {_origin.decode(offer).origin for offer in use.result().offers}
        names = await read_names(tx, named, by=by)
        return SolutionPage(stored.result(), use.result(), sources.result(), names)

    return await exposure_index.ask(node, read)


async def read_use(
    tx: Reading, check: IndexCheck, solution: str, *, now: datetime, by: Caller
) -> SolutionUse:
    """The use of a solution and its open incidents. Its own record need not have arrived."""
    async with Together(tx) as reads:
        reads.start(check.begin(reads.tx))
        # (The identifiers that link solutions are counted with the groups.)
        links_read = reads.start(linked_solutions(reads.tx, [solution], visible_to=by))
    links = links_read.result()
    linked = {name: link for name in sorted(links.solutions) if (link := links.between(solution, name))}
    same = [solution, *(name for name, link in linked.items() if link.certain)]
    query = Query(
        kind=Incident,
        facets=(("status", OPEN_STATUSES),),
        either=tuple(("solution", name) for name in same),
        limit=MAX_INCIDENTS,
    )
    offered = Query(kind=Offer, facets=(("solution", tuple(same[:MAX_SAME])),), limit=PAGE)
    async with Together(tx) as reads:
        listed_read = reads.start(reads.tx.records.search(query, visible_to=by))
        offers_read = reads.start(reads.tx.records.collect(offered, visible_to=by))
        groups_read = reads.start(
            reads.tx.exposure.groups_in_use("solutions", same, MAX_GROUPS + 1, visible_to=by)
        )
    state, groups = groups_read.result()
    check.verify(state)
    more = len(groups) > MAX_GROUPS
    groups = groups[:MAX_GROUPS]
    listed = listed_read.result()
    incidents = (IncidentRecord.of(document) for document in listed.documents)
    return SolutionUse(
        operators=_uses(groups, "origin"),
        total=_tally(groups),
        deployments=sum(group.deployments for group, _ in groups),
        more=more,
        linked=linked,
        more_linked=links.more,
        incidents=tuple(incident for incident in incidents if incident.is_open(now)),
        more_incidents=listed.page_key is not None,
        incidents_not_understood=listed.not_understood,
        offers=tuple(offers_read.result()[0]),
    )


async def of_operator(node: Node, operator: str, *, by: Caller) -> tuple[tuple[Use, ...], bool]:
    """What an operator runs, the most used solution first; True where not all groups were added up."""
    groups = await exposure_index.groups_in_use(node, "operators", [operator], MAX_GROUPS + 1, visible_to=by)
    return _uses(groups[:MAX_GROUPS], "solution"), len(groups) > MAX_GROUPS


def _uses(groups: Groups, member: str) -> tuple[Use, ...]:
    """The groups added up by a member, the most deployments first."""
    by_name: dict[str, list[tuple[DeploymentGroup, CoverageSet]]] = {}
    for group, covers in groups:
        by_name.setdefault(getattr(group, member), []).append((group, covers))
    uses = [
        Use(
            name=name,
            solutions=tuple(sorted({group.solution for group, _ in part})),
            deployments=sum(group.deployments for group, _ in part),
            not_understood=sum(group.deployments for group, _ in part if not group.understood),
            coverage=_tally(part),
            versions=_versions(group for group, _ in part),
        )
        for name, part in by_name.items()
    ]
    return tuple(sorted(uses, key=lambda use: (-use.deployments, use.name)))


def _tally(groups: Groups) -> Tally:
    tokens = elsewhere = 0
    for _, covers in groups:
        tokens |= covers.tokens
        elsewhere |= covers.elsewhere
    return tally(
        tokens,
        others=elsewhere.bit_count(),
        counted=sum(group.counted for group, _ in groups),
        areas=sum(group.areas for group, _ in groups),
    )


def _versions(groups: Iterable[DeploymentGroup]) -> tuple[tuple[str, int], ...]:
    counts: Counter[str] = Counter()
    for group in groups:
        counts[group.version or ""] += group.deployments
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_VERSIONS])
