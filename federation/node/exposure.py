"""Questions about exposure: the operators and bodies that incidents affect, as far as the caller may see.

Each answer says through which instant it is current (``exposure_index``).
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from federation.domain.content.incident import Incident
from federation.domain.content.solution import Solution
from federation.domain.document import check_id
from federation.domain.errors import Forbidden, NotFound
from federation.domain.exposure.answers import (
    IncidentExposure,
    IncidentLine,
    OwnExposure,
    OwnLine,
    SolutionExposure,
)
from federation.domain.exposure.buckets import CoverageSum
from federation.domain.exposure.coverage import bodies_of
from federation.domain.exposure.incident_record import IncidentRecord
from federation.domain.exposure.partial import UNKNOWN_SOLUTION
from federation.domain.exposure.totals import OperatorTotals, total
from federation.domain.feed import printable
from federation.domain.query import MAX_PAGE, MAX_TOTAL, PAGE, PageKey, Query
from federation.domain.territories.bodies import Body
from federation.domain.values import as_instant
from federation.domain.visibility import Caller
from federation.node import exposure_index, records
from federation.node.copy_ages import copy_ages
from federation.node.exposed_incident import incident_of, read_incident
from federation.node.exposure_index import IndexCheck
from federation.node.exposure_query import ExposureQuery
from federation.node.exposure_statements import MAX_SHARED_INCIDENTS
from federation.node.node import Node
from federation.store.database import Reading
from federation.store.together import Together


async def of_incident(node: Node, origin: str, key: str, *, by: Caller) -> IncidentExposure:
    """The effect of an incident. Hidden and absent are one answer: NotFound."""

    async def read(tx: Reading, check: IndexCheck) -> IncidentExposure:
        return (await read_incident(node, tx, check, origin, key, by=by, with_contacts=False)).exposure

    return await exposure_index.ask(node, read)


async def bodies_of_incident(
    node: Node, origin: str, key: str, *, by: Caller
) -> tuple[tuple[Body, ...], str]:
    """The bodies of the register that an incident affects, to be called; and the instant of ``current``."""
    incident = incident_of(await records.find(node, Incident, origin, key, by=by), origin, key)
    async with exposure_index.current(node) as (tx, through):
        query = ExposureQuery(node, tx, by)
        groups, links = await query.linked_groups(incident)
        (totals,) = await query.totals([incident], groups, await query.answers([incident]), links)
    affected = CoverageSum()
    for entry in totals.values():
        affected.merge(entry.affected)
    return tuple(bodies_of(affected.bodies)), through


async def of_solution(node: Node, origin: str, key: str, *, by: Caller) -> SolutionExposure:
    """The effect of the open incidents of a solution; its own record need not have arrived."""
    check_id(origin, key)
    solution = f"{origin}/{key}"
    async with exposure_index.current(node) as (tx, through):
        query = ExposureQuery(node, tx, by)
        around = await query.links_of([solution])
        linked = around.solutions
        incidents, next_ = await query.open_incidents(sorted({solution, *linked}), limit=MAX_PAGE)
        partial, not_understood, more_partial = await query.partial_incidents()
        incidents += _concerning(partial, {solution, *linked})
        links = await query.links(incidents, among={solution, *linked})
        # Two solutions that are the same as a third need not be the same: this one must be concerned itself.
        incidents = [
            incident
            for incident in incidents
            if solution in incident.solutions
            or incident.affects_any
            or any(links.between(named, solution) for named in incident.spreading)
        ]
        groups = await query.groups_of_solutions({solution, *linked, *around.unread})
        if not any(incident.understood for incident in incidents) and not any(
            group.solution == solution or group.solution in linked for group in groups
        ):
            record = await tx.records.find(Solution.type, origin, key, visible_to=by)
            if record is None or record.retracted:
                raise NotFound(
                    "there is nothing of a solution {solution} that you may see", solution=solution
                )
        lines, affected, unknown = [], CoverageSum(), CoverageSum()
        now = node.clock()
        answers = await query.answers(incidents)
        all_totals = await query.totals(incidents, groups, answers, links)
        for incident, totals in zip(incidents, all_totals, strict=True):
            for entry in totals.values():
                affected.merge(entry.affected)
                unknown.merge(entry.unknown)
            lines.append(IncidentLine(incident.to_view(now), total(totals.values())))
    return SolutionExposure(
        solution=solution,
        as_of=as_instant(now),
        current_through=through,
        incidents=tuple(lines),
        affected=affected.to_view(),
        unknown=unknown.to_view(),
        more=next_ is not None or more_partial,
        linked_solutions=links.to_view(pair for incident in incidents for pair in query.linked[incident.id]),
        more_linked_solutions=around.more or links.more,
        incidents_not_understood=not_understood,
    )


async def of_own(
    node: Node,
    *,
    by: Caller,
    limit: int = PAGE,
    after: PageKey | None = None,
    with_deployments: bool = True,
) -> tuple[OwnExposure, PageKey | None]:
    """The open incidents that affect the caller's own deployments or may affect them, newest first.

    A page reads ``limit`` incidents, so it may show fewer; the first one has also those that are not
    understood. ``with_deployments``: the deployments are listed, which takes a statement for each incident.
    Raises Forbidden for a caller without an operator.
    """

    async def read(tx: Reading, check: IndexCheck) -> tuple[OwnExposure, PageKey | None]:
        return await read_own(
            node, tx, check, by=by, limit=limit, after=after, with_deployments=with_deployments
        )

    return await exposure_index.ask(node, read)


async def read_own(
    node: Node,
    tx: Reading,
    check: IndexCheck,
    *,
    by: Caller,
    limit: int = PAGE,
    after: PageKey | None = None,
    with_deployments: bool = True,
) -> tuple[OwnExposure, PageKey | None]:
    """Read it together with others of one answer."""
    operator = by.operator
    if operator is None:
        raise Forbidden("a token is needed: without one nothing is known to be yours")
    async with Together(tx) as reads:
        reads.start(check.begin(reads.tx))
        ages = reads.start(copy_ages(node, reads.tx, by=by))
        query = ExposureQuery(node, reads.tx, by)
        groups_read = reads.start(query.groups_of_operator(operator))
        partial_read = reads.start(query.partial_incidents())
    groups = groups_read.result()
    partial, not_understood, more_partial = partial_read.result()
    query = ExposureQuery(node, tx, by, ages.result())
    solutions = {group.solution for group in groups}
    around = await query.links_of(solutions)
    linked = around.solutions
    # A deployment whose solution cannot be read may be of any.
    concerned = None if UNKNOWN_SOLUTION in solutions else sorted({*solutions, *linked})
    incidents, next_ = await query.open_incidents(concerned, naming=operator, limit=limit, after=after)
    if after is None:
        incidents += (
            partial if concerned is None else _concerning(partial, {*solutions, *linked}, naming=operator)
        )
    async with Together(tx) as reads:
        links_read = reads.start(query.within(reads.tx).links(incidents, among={*solutions, *linked}))
        answers = reads.start(query.within(reads.tx).answers(incidents, only=operator))
    links = links_read.result()
    all_totals = await query.totals(incidents, groups, answers.result(), links, finish=check.end)
    lines = []
    now = node.clock()
    for incident, totals in zip(incidents, all_totals, strict=True):
        own = totals.get(operator)
        if own is not None and _is_affected(own):
            deployments = await query.own_deployments(incident, own) if with_deployments else []
            reasons = links.to_view(query.linked[incident.id])
            lines.append(OwnLine(incident.to_view(now), query.to_view(incident, own, deployments), reasons))
    answer = OwnExposure(
        operator,
        as_of=as_instant(now),
        current_through=check.through,
        incidents=tuple(lines),
        more_linked_solutions=around.more or links.more,
        next=None,
        incidents_not_understood=not_understood,
        more_not_understood=more_partial,
    )
    return answer, next_


def _concerning(
    incidents: Iterable[IncidentRecord], solutions: Set[str], *, naming: str | None = None
) -> list[IncidentRecord]:
    """Those that concern one of these solutions or a deployment of the operator ``naming``, or may."""
    return [
        incident
        for incident in incidents
        if incident.affects_any
        or not solutions.isdisjoint(incident.solutions)
        or any(name.partition("/")[0] == naming for name in incident.named_deployments)
    ]


def _is_affected(totals: OperatorTotals) -> bool:
    return bool(totals.affected.deployments or totals.unknown.deployments)


async def find(node: Node, name: str, *, by: Caller) -> tuple[str, str]:
    """The incident that an id or an alias names: of several the caller's own, else the one changed last.

    Raises NotFound.
    """
    origin, slash, key = name.partition("/")
    if slash:
        check_id(origin, key)
        return origin, key
    query = Query(kind=Incident, facets=(("alias", (name,)),), limit=MAX_SHARED_INCIDENTS)
    documents, _, _ = await records.collect(node, query, by=by)
    ids = [IncidentRecord.of(document).id.partition("/") for document in documents]
    ids.sort(key=lambda id_: id_[0] != by.operator)  # the caller's own first, the order of others unchanged
    if not ids:
        async with node.store.read() as tx:
            number = await tx.not_understood.number(Incident.type, MAX_TOTAL, visible_to=by)
        if number:
            raise NotFound(
                "no incident that you may see is known as {name}; incidents that this version does not"
                " understand, and may be it: {number}",
                name=printable(name, 80),
                number=number,
            )
        raise NotFound("no incident that you may see is known as {name}", name=printable(name, 80))
    return ids[0][0], ids[0][2]
