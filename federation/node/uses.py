"""The use of solutions: which operators run them, in which versions and for how many bodies.

Answered from the groups of deployments (``exposure_index``), as far as the caller may see them: what is not
visible is not counted, so a page says that its sums are of what its visitor sees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from federation.domain.content.incident import Incident
from federation.domain.document import check_id
from federation.domain.exposure.coverage import Tally, tally
from federation.domain.exposure.incident_record import IncidentRecord
from federation.domain.exposure.linkage import Link
from federation.domain.exposure.totals import OPEN_STATUSES
from federation.domain.query import Query
from federation.domain.visibility import Caller
from federation.node import exposure_index
from federation.node.linkage import linked_solutions
from federation.node.node import Node
from federation.store.body_sets import CoverageSet
from federation.store.exposure import DeploymentGroup

MAX_GROUPS = 2_000
"""Groups of deployments that one answer adds up, at most; a set of bodies is 5 kB at most."""
MAX_VERSIONS = 10
"""Versions that are listed for each operator or solution, the most frequent first."""
MAX_INCIDENTS = 20
"""Open incidents of a solution that are listed, at most."""

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


async def of_solution(node: Node, origin: str, key: str, *, by: Caller) -> SolutionUse:
    """The use of a solution and its open incidents. Its own record need not have arrived."""
    check_id(origin, key)
    solution = f"{origin}/{key}"
    await exposure_index.catch_up(node)  # the identifiers that link solutions are counted with the groups
    async with node.store.read() as tx:
        links = await linked_solutions(tx, [solution], visible_to=by)
        linked = {name: link for name in sorted(links.solutions) if (link := links.between(solution, name))}
        same = [solution, *(name for name, link in linked.items() if link.certain)]
        query = Query(
            kind=Incident,
            facets=(("status", OPEN_STATUSES),),
            either=tuple(("solution", name) for name in same),
            limit=MAX_INCIDENTS,
        )
        listed = await tx.records.search(query, visible_to=by)
    groups = await exposure_index.groups_in_use(node, "solutions", same, MAX_GROUPS + 1, visible_to=by)
    more = len(groups) > MAX_GROUPS
    groups = groups[:MAX_GROUPS]
    now = node.clock()
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
