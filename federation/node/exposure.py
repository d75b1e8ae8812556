"""Who is hit: the verbs of exposure, over what the caller may see and nothing else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import timedelta
from time import monotonic
from urllib.parse import urlencode

import msgspec

from federation.domain.content.deployment import Deployment, NewVersion
from federation.domain.content.incident import Affected, Incident
from federation.domain.content.solution import Solution
from federation.domain.content.statement import Statement
from federation.domain.document import Document, check_id
from federation.domain.errors import Forbidden, NotFound, Retracted, Unavailable
from federation.domain.exposure.coverage import bodies_of as bodies_named
from federation.domain.exposure.linkage import NONE as NO_LINKS
from federation.domain.exposure.linkage import LinkedSolution, Links
from federation.domain.exposure.matching import Match, match_version, solutions_of, spreading
from federation.domain.exposure.totals import (
    MOST_LISTED,
    OPEN,
    AffectedCoverage,
    AffectedDeployment,
    Bucket,
    CopyAge,
    CopyState,
    CoverageSum,
    OperatorExposure,
    OperatorTotals,
    StatementSummary,
    Total,
    summary,
    to_view,
    total,
    totals_by_operator,
)
from federation.domain.feed import printable
from federation.domain.query import MAX_PAGE, PAGE, PageKey, Query
from federation.domain.territories.bodies import Body
from federation.domain.values import as_instant, instant
from federation.domain.visibility import Caller
from federation.node import records
from federation.node.copies import feed_view
from federation.node.edits import WriteResult
from federation.node.linkage import linked_solutions
from federation.node.node import Node
from federation.node.records import NO_PRECONDITIONS, Preconditions
from federation.store.database import Reading
from federation.store.exposure import CoverageSet, DeploymentGroup, SingleDeployment, covering

PATIENCE = 10.0
"""Seconds that a question waits for what has arrived to be brought in, at most."""
HURRY = 2_000
"""Records that arrive between two looks when a first sync or a bulk upload is under way."""
MOST_PASSED = 30
"""Looks in a row at which nothing is brought in for that, at most."""
QUIET = 2.0
"""Seconds without an arrival after which nobody is thought to be publishing."""
FEW = 100
"""Arrivals that are brought in by one transaction while somebody is."""
RESTS = 3
"""How much longer it then rests than the transaction took."""
NOTED_AGAIN = timedelta(days=1)
"""After this the same version is noted anew."""
STALE_AFTER = 600.0
"""Seconds without a word of a peer's after which its copy is stale."""
MOST_SAID = 2_000
"""Statements on one question that are read, the newest."""
MOST_ASKED_FOR = 8
"""Times that operators are asked for by name whose statements are not among those, at most."""
MOST_NAMED = 10_000
"""Deployments that an incident and the statements on it name, and that are looked at one by one, at most."""
MOST_TOLD = 100
"""Named deployments that are told not to be here, at most."""
MOST_ALIKE = 50
"""Incidents of one alias whose statements are taken together, at most."""

_SHARED_ALIAS = re.compile(r"(CVE|GHSA|EUVD|CERTFR|PYSEC)-[A-Za-z0-9-]+")


class IncidentSummary(msgspec.Struct, frozen=True):
    """What a reader of an exposure needs to know of the incident."""

    id: str
    title: dict[str, str]
    kind: str
    status: str
    severity: str
    aliases: tuple[str, ...]
    exploitation: str | None
    published_at: str
    updated_at: str


class IncidentExposure(msgspec.Struct, frozen=True):
    """Who is hit by an incident, as far as the caller may see."""

    incident: IncidentSummary
    as_of: str
    open: bool
    """False when the incident is over; of one that is withdrawn nothing is hit."""
    summary: dict[str, str]
    total: Total
    operators: tuple[OperatorExposure, ...]
    not_here: tuple[str, ...]
    """Deployments that the incident names and that are not here to be seen, a hundred at most."""
    linked_solutions: tuple[LinkedSolution, ...]
    """Solutions that the incident does not name and whose deployments are counted, since they are the same
    software; a hundred at most."""
    more_linked_solutions: bool
    """Whether there are others that were not looked at, and are not counted."""


class IncidentLine(msgspec.Struct, frozen=True):
    """An incident in a list of exposures."""

    incident: IncidentSummary
    total: Total


class SolutionExposure(msgspec.Struct, frozen=True):
    """Who is hit by the open incidents of a solution, as far as the caller may see."""

    solution: str
    as_of: str
    incidents: tuple[IncidentLine, ...]
    affected: AffectedCoverage
    """All incidents together; a body that is hit by two counts once."""
    unknown: AffectedCoverage
    more: bool
    """Whether there are open incidents beyond these."""
    linked_solutions: tuple[LinkedSolution, ...]
    """As of one incident, for all of these."""
    more_linked_solutions: bool


class OwnLine(msgspec.Struct, frozen=True):
    """An open incident and what it means for the caller's own deployments."""

    incident: IncidentSummary
    exposure: OperatorExposure
    linked_solutions: tuple[LinkedSolution, ...]
    """One's own solutions that it does not name and that are the same software, with who says so."""


class OwnExposure(msgspec.Struct, frozen=True):
    """The open incidents that hit, or may hit, the caller's own deployments."""

    operator: str
    as_of: str
    incidents: tuple[OwnLine, ...]
    more_linked_solutions: bool
    """Whether there are solutions that may be the same software as one's own and were not looked at."""
    next: str | None
    """Where the next page is."""


class IncidentRecord(msgspec.Struct, frozen=True):
    """An incident as it was read."""

    id: str
    published_at: str
    updated_at: str
    content: Incident

    @classmethod
    def of(cls, document: bytes) -> IncidentRecord:
        read = _incident.decode(document)
        assert read.content is not None  # noqa: S101 - no tombstone is given
        return cls(f"{read.origin}/{read.key}", read.created_at, read.updated_at, read.content)

    @property
    def solutions(self) -> tuple[str, ...]:
        return tuple(sorted({one.solution for one in self.entries if one.solution}))

    @property
    def entries(self) -> tuple[Affected, ...]:
        return tuple(solutions_of(self.content.kind, self.content.affects))

    @property
    def spreading(self) -> tuple[str, ...]:
        """The solutions of which the same software is hit, too."""
        return tuple(sorted(set(spreading(self.content.kind, self.content.affects))))

    @property
    def named(self) -> frozenset[str]:
        return frozenset(name for one in self.content.affects for name in one.deployments)

    @property
    def shared_aliases(self) -> tuple[str, ...]:
        """Those that mean the same to everybody."""
        return tuple(one for one in self.content.aliases if _SHARED_ALIAS.fullmatch(one))

    def shown(self) -> IncidentSummary:
        content = self.content
        return IncidentSummary(
            self.id,
            content.title,
            content.kind,
            content.status,
            content.severity,
            content.aliases,
            content.exploitation,
            self.published_at,
            self.updated_at,
        )


_incident = msgspec.json.Decoder(Document[Incident])
_statement = msgspec.json.Decoder(Document[Statement])


# How old each part is


async def copies(node: Node, tx: Reading) -> dict[str, CopyAge]:
    """How old and how verified the copy of each operator's records is.

    The one place where exposure learns of it: from what is proved of each feed of an operator's, the worst of
    them; and by when it last answered, where nothing is proved yet.
    """
    now = node.clock()
    found = {node.operator: CopyAge("own", 0)}
    held, proved = await tx.feeds.all(), await tx.copies.all()
    for peer in await tx.peers.all():
        views = [
            feed_view(place, copy, now)
            for place in held
            if place.origin == peer.operator and (copy := proved.get(place.name)) is not None
        ]
        contacted = max(0, int((now - peer.contacted_at).total_seconds())) if peer.contacted_at else None
        state: CopyState = "stale" if contacted is None or contacted > STALE_AFTER else "unverified"
        age = contacted
        if peer.state in ("suspended", "left"):
            state = peer.state
        elif known := [_STATES[view.state] for view in views if view.state in _STATES]:
            state = max((state, *known) if state == "stale" else known, key=WORST.index)
            ages = [view.age_seconds for view in views if view.age_seconds is not None]
            age = max(ages) if ages else contacted
        found[peer.operator] = CopyAge(state, age)
    return found


WORST: tuple[CopyState, ...] = ("verified", "unverified", "stale", "diverged")
_STATES: dict[str, CopyState] = {state: state for state in WORST}


UNKNOWN_COPY = CopyAge("unknown", None)


async def refresh_index(node: Node, *, within: float = PATIENCE) -> None:
    """Bring the groups up to what is held now. Raises Unavailable when that takes too long."""
    ends = asyncio.get_running_loop().time() + within
    async with node.store.read() as tx:
        left = await tx.exposure.lag()
    while left:
        if asyncio.get_running_loop().time() > ends:
            raise Unavailable(
                f"{left} records that have arrived are still being counted; try again in a moment"
            )
        async with node.store.write() as writing:
            left = await writing.exposure.refresh()


class IndexRefresher:
    """Brings in what has arrived before somebody asks, but not while much is arriving.

    A first sync or a bulk upload is not to share its processor with this: who asks meanwhile waits for it.
    While single records come, it works in small portions and rests between them, for the same reason.
    """

    def __init__(self) -> None:
        self._arrival = 0
        self._passed = 0
        self._last = (0, 0.0)

    async def keep_up(self, node: Node) -> None:
        """Bring in all of it, or leave it for the next time, which is not to be for ever."""
        arrival = node.notifier.state.arrival
        self._somebody_publishes(arrival, monotonic())
        moved, self._arrival = arrival - self._arrival, arrival
        if moved > HURRY and self._passed < MOST_PASSED:
            self._passed += 1
            return
        self._passed = 0
        async with node.store.read() as reading:
            left = await reading.exposure.lag()
        while left and node.notifier.state.arrival - arrival <= HURRY:
            began = monotonic()
            publishing = self._somebody_publishes(node.notifier.state.arrival, began)
            async with node.store.write() as tx:
                left = await tx.exposure.refresh(FEW if publishing else None)
            if left and publishing:
                await asyncio.sleep(RESTS * (monotonic() - began))

    def _somebody_publishes(self, arrival: int, now: float) -> bool:
        if arrival != self._last[0]:
            self._last = arrival, now
        return now - self._last[1] < QUIET


# What is asked


async def of_incident(node: Node, origin: str, key: str, *, by: Caller) -> IncidentExposure:
    """Who is hit by an incident. Hidden and absent are one answer: NotFound."""
    read = await _read(node, origin, key, by=by)
    await refresh_index(node)
    async with node.store.read() as tx:
        view = ExposureQuery(node, tx, by, await copies(node, tx))
        links = await view.links([read])
        groups = await view.of_solutions({*read.solutions, *links.solutions})
        (found,) = await view.ledgers([read], groups, links)
        own = await view.own_hits(found.get(by.operator or ""))
        not_here = await view.not_here(read)
    whole = total(found.values())
    return IncidentExposure(
        incident=read.shown(),
        as_of=as_instant(node.clock()),
        open=read.content.status in OPEN,
        summary=summary(whole),
        total=whole,
        operators=tuple(
            view.to_view(one, own if one.operator == by.operator else ()) for one in view.everybody(found)
        ),
        not_here=not_here,
        linked_solutions=links.to_view(view.through[read.id]),
        more_linked_solutions=links.more,
    )


async def bodies_of_incident(node: Node, origin: str, key: str, *, by: Caller) -> list[Body]:
    """The bodies of the register that are hit by an incident: whom to call."""
    read = await _read(node, origin, key, by=by)
    await refresh_index(node)
    async with node.store.read() as tx:
        view = ExposureQuery(node, tx, by)
        links = await view.links([read])
        groups = await view.of_solutions({*read.solutions, *links.solutions})
        (found,) = await view.ledgers([read], groups, links)
    whole = CoverageSum()
    for ledger in found.values():
        whole.merge(ledger.affected)
    return list(bodies_named(whole.reached))


async def of_solution(node: Node, origin: str, key: str, *, by: Caller) -> SolutionExposure:
    """Who is hit by the open incidents of a solution; its own record need not have arrived."""
    check_id(origin, key)
    solution = f"{origin}/{key}"
    await refresh_index(node)
    async with node.store.read() as tx:
        view = ExposureQuery(node, tx, by)
        around = await view.alike([solution])
        alike = around.solutions
        incidents, place = await view.open_incidents(sorted({solution, *alike}), limit=MAX_PAGE)
        links = await view.links(incidents, among={solution, *alike})
        # What is the same as two solutions does not make these the same: this one must be spoken of.
        incidents = [
            read
            for read in incidents
            if solution in read.solutions or any(links.between(one, solution) for one in read.spreading)
        ]
        groups = await view.of_solutions({solution, *alike})
        if not incidents and not groups:
            record = await tx.records.find(Solution.type, origin, key, visible_to=by)
            if record is None or record.retracted:
                raise NotFound(f"there is nothing of a solution {solution} that you may see")
        lines, affected, unknown = [], CoverageSum(), CoverageSum()
        for read, found in zip(incidents, await view.ledgers(incidents, groups, links), strict=True):
            for ledger in found.values():
                affected.merge(ledger.affected)
                unknown.merge(ledger.unknown)
            lines.append(IncidentLine(read.shown(), total(found.values())))
    return SolutionExposure(
        solution=solution,
        as_of=as_instant(node.clock()),
        incidents=tuple(lines),
        affected=affected.extent(),
        unknown=unknown.extent(),
        more=place is not None,
        linked_solutions=links.to_view(pair for read in incidents for pair in view.through[read.id]),
        more_linked_solutions=around.more or links.more,
    )


async def of_own(
    node: Node, *, by: Caller, limit: int = PAGE, after: PageKey | None = None
) -> tuple[OwnExposure, PageKey | None]:
    """The open incidents that hit the caller's own deployments or may hit them, newest first.

    A page looks at ``limit`` incidents, so it may show fewer. Raises Forbidden for whom nothing can be own.
    """
    if by.operator is None:
        raise Forbidden("a token is needed: without one nothing is known to be yours")
    await refresh_index(node)
    async with node.store.read() as tx:
        view = ExposureQuery(node, tx, by, await copies(node, tx))
        groups = await view.of_operator(by.operator)
        solutions = {group.solution for group in groups}
        around = await view.alike(solutions)
        alike = around.solutions
        incidents, place = await view.open_incidents(
            sorted({*solutions, *alike}), naming=by.operator, limit=limit, after=after
        )
        links = await view.links(incidents, among={*solutions, *alike})
        lines = []
        for read, of_each in zip(
            incidents, await view.ledgers(incidents, groups, links, only=by.operator), strict=True
        ):
            found = of_each.get(by.operator)
            if found is not None and (found.affected.deployments or found.unknown.deployments):
                own = await view.own_hits(found)
                same = links.to_view(view.through[read.id])
                lines.append(OwnLine(read.shown(), view.to_view(found, own), same))
    found_here = OwnExposure(
        by.operator,
        as_of=as_instant(node.clock()),
        incidents=tuple(lines),
        more_linked_solutions=around.more or links.more,
        next=None,
    )
    return found_here, place


async def set_version(
    node: Node,
    found: NewVersion,
    origin: str,
    key: str,
    *,
    by: Caller,
    preconditions: Preconditions = NO_PRECONDITIONS,
) -> WriteResult:
    """Note the version that a deployment of one's own runs, as a probe or a CI job tells it.

    The same version again makes a new revision once a day at most: it is then known to be so of late.
    """
    records.check_origin(node, origin, key)
    stored = await records.find(node, Deployment, origin, key, by=by)
    if stored.retracted:
        raise Retracted(f"deployment {origin}/{key} has been retracted")
    content = msgspec.json.decode(stored.document)["content"]
    state = found.version_state or ("exact" if found.version else "unknown")
    now = node.clock()
    patch = {"version": found.version, "version_state": state}
    if found.attestation:
        patch["attestation"] = found.attestation
    same = all(content.get(name) == value for name, value in patch.items())
    noted = content.get("version_as_of")
    lately = found.as_of is None and noted is not None and now - instant(noted) < NOTED_AGAIN
    if not (same and lately):
        patch["version_as_of"] = found.as_of or as_instant(now)
    return await records.patch(
        node, Deployment, {"content": patch}, origin, key, by=by, preconditions=preconditions
    )


async def find(node: Node, what: str, *, by: Caller) -> tuple[str, str]:
    """The incident that an id or an alias names: of several the caller's own, else the one changed last.

    Raises NotFound.
    """
    origin, slash, key = what.partition("/")
    if slash:
        check_id(origin, key)
        return origin, key
    query = Query(kind=Incident, facets=(("alias", (what,)),), limit=MOST_ALIKE)
    documents, _, _ = await records.collect(node, query, by=by)
    found = [IncidentRecord.of(document).id.partition("/") for document in documents]
    found.sort(key=lambda one: one[0] != by.operator)  # in order, but for one's own
    if not found:
        raise NotFound(f"no incident that you may see is known as {printable(what, 80)}")
    return found[0][0], found[0][2]


async def _read(node: Node, origin: str, key: str, *, by: Caller) -> IncidentRecord:
    """The incident, as far as the caller may see it. Raises NotFound, Retracted."""
    stored = await records.find(node, Incident, origin, key, by=by)
    if stored.retracted:
        raise Retracted(f"incident {origin}/{key} has been retracted by {origin}")
    return IncidentRecord.of(stored.document)


class ExposureQuery:
    """What one caller sees in one answer."""

    def __init__(
        self, node: Node, tx: Reading, by: Caller, held: Mapping[str, CopyAge] | None = None
    ) -> None:
        self._node = node
        self._tx = tx
        self._by = by
        self._copies = held or {}
        self._covering: dict[int, CoverageSet] = {}
        self.through: dict[str, set[tuple[str, str]]] = {}
        """For each incident: solutions it names, and others that are counted as the same software."""

    async def links(self, reads: Sequence[IncidentRecord], *, among: Set[str] | None = None) -> Links:
        """What is the same software as what incidents name; only of these where they are given."""
        named = {one for read in reads for one in read.spreading}
        return await self.alike(named if among is None else named & among)

    async def alike(self, solutions: Iterable[str]) -> Links:
        return await linked_solutions(self._tx, solutions, visible_to=self._by)

    async def of_solutions(self, solutions: Iterable[str]) -> tuple[DeploymentGroup, ...]:
        asked = sorted(solutions)
        return await self._tx.exposure.of_solutions(asked, visible_to=self._by) if asked else ()

    async def of_operator(self, operator: str) -> tuple[DeploymentGroup, ...]:
        return await self._tx.exposure.of_operator(operator, visible_to=self._by)

    async def open_incidents(
        self,
        solutions: Sequence[str],
        *,
        naming: str | None = None,
        limit: int,
        after: PageKey | None = None,
    ) -> tuple[list[IncidentRecord], PageKey | None]:
        """Open incidents that speak of these solutions, or name deployments of an operator."""
        about = (*(("solution", one) for one in solutions), *((("operator", naming),) if naming else ()))
        query = Query(kind=Incident, facets=(("status", OPEN),), either=about, limit=limit, after=after)
        if not about:
            return [], None
        documents, place, _ = await self._tx.records.collect(query, visible_to=self._by)
        return [IncidentRecord.of(document) for document in documents], place

    async def ledgers(
        self,
        reads: Sequence[IncidentRecord],
        groups: Sequence[DeploymentGroup],
        links: Links = NO_LINKS,
        *,
        only: str | None = None,
    ) -> list[dict[str, OperatorTotals]]:
        """What each incident means for each operator; of one that is withdrawn nothing is hit.

        As many questions to the database for many incidents as for one.
        """
        said = await self._statements(reads, only, {group.origin for group in groups})
        named = {
            name
            for read in reads
            for name in (*read.named, *(n for one in said[read.id] for n in one.content.deployments))
            if only is None or name.startswith(f"{only}/")
        }
        singles = await self._singles(named)
        matches = [self._matches(read, (*groups, *(one.group for one in singles)), links) for read in reads]
        for read, of_each in zip(reads, matches, strict=True):
            self.through[read.id] = {
                (match.named, group.solution)
                for group in groups
                if (match := of_each.get(group.id)) is not None and match.named is not None
                if read.content.status != "withdrawn"
            }
        hit = [
            group
            for group in groups
            if any(of_each[group.id].verdict != "not_affected" for of_each in matches if group.id in of_each)
        ]
        await self._cover(hit)
        return [
            totals_by_operator(
                await self._portions(read, groups, singles, of_each)
                if read.content.status != "withdrawn"
                else (),
                said[read.id],
            )
            for read, of_each in zip(reads, matches, strict=True)
        ]

    async def _statements(
        self, reads: Sequence[IncidentRecord], only: str | None, operators: Set[str]
    ) -> dict[str, list[StatementSummary]]:
        """The statements on each incident, and on those of other operators that are about the same thing.

        Where there are more than are read, ``operators`` of whom none was found are asked for by name: what
        one says without end must not hide that others have answered.
        """
        about = await self._alike(reads)
        incidents = tuple(sorted(set().union(*about.values())))
        found: list[StatementSummary] = []
        whose: tuple[str, ...] = () if only is None else (only,)
        for _ in range(MOST_ASKED_FOR if incidents else 0):
            newest, more = await self._newest_statements(incidents, whose)
            found += newest
            whose = tuple(sorted(operators - {one.origin for one in found}))
            if not more or only is not None or not whose:
                break
        return {id_: [one for one in found if one.content.incident in same] for id_, same in about.items()}

    async def _newest_statements(
        self, incidents: tuple[str, ...], whose: tuple[str, ...]
    ) -> tuple[list[StatementSummary], bool]:
        """The newest on these incidents, of these operators or of all, and whether there are more."""
        asked = [("incident", incidents), *([("origin", whose)] if whose else [])]
        found: list[StatementSummary] = []
        place: PageKey | None = None
        while len(found) < MOST_SAID:
            query = Query(kind=Statement, facets=tuple(asked), limit=MAX_PAGE, after=place)
            documents, place, _ = await self._tx.records.collect(query, visible_to=self._by)
            for document in documents:
                one = _statement.decode(document)
                assert one.content is not None  # noqa: S101 - no tombstone is listed
                found.append(
                    StatementSummary(
                        one.origin, f"{one.origin}/{one.key}", instant(one.updated_at), one.content
                    )
                )
            if place is None:
                break
        return found, place is not None

    async def _alike(self, reads: Sequence[IncidentRecord]) -> dict[str, frozenset[str]]:
        """For each incident all that share an alias: each operator may have published the same advisory."""
        aliases = {alias for read in reads for alias in read.shared_aliases}
        others: dict[str, set[str]] = {}
        if aliases:
            query = Query(
                kind=Incident, facets=(("alias", tuple(sorted(aliases))),), limit=max(MOST_ALIKE, len(reads))
            )
            documents, _, _ = await self._tx.records.collect(query, visible_to=self._by)
            for read in map(IncidentRecord.of, documents):
                for alias in read.shared_aliases:
                    others.setdefault(alias, set()).add(read.id)
        return {
            read.id: frozenset({read.id}.union(*(others.get(alias, ()) for alias in read.shared_aliases)))
            for read in reads
        }

    async def _singles(self, named: Iterable[str]) -> tuple[SingleDeployment, ...]:
        chosen = sorted(named)[:MOST_NAMED]
        return await self._tx.exposure.singles(chosen, visible_to=self._by) if chosen else ()

    @staticmethod
    def _matches(read: IncidentRecord, groups: Iterable[DeploymentGroup], links: Links) -> dict[int, Match]:
        """Why each group is hit or not, of those that the incident speaks of."""
        entries, same = read.entries, links.of(read.spreading)
        found: dict[int, Match] = {}
        for group in groups:
            match = match_version(entries, group.solution, group.version, group.version_state, same)
            if match is not None:
                found[group.id] = match if group.in_use else Match("not-in-use", match.named)
        return found

    async def _portions(
        self,
        read: IncidentRecord,
        groups: Sequence[DeploymentGroup],
        singles: Sequence[SingleDeployment],
        matches: Mapping[int, Match],
    ) -> list[Bucket]:
        """What the incident hits and what not: whole groups, less what is told by itself."""
        apart = [one for one in singles if one.id in read.named or one.group.id in matches]
        counted_in = {group.id for group in groups if group.id in matches}
        taken: dict[int, list[SingleDeployment]] = {}
        for one in apart:
            if one.group.id in counted_in:
                taken.setdefault(one.group.id, []).append(one)
        without = await self._without(
            [one for id_, several in taken.items() if id_ in self._covering for one in several]
        )
        portions = [
            _of_group(
                group,
                matches[group.id],
                without[group.id] if group.id in without else self._covering.get(group.id, CoverageSet()),
                taken.get(group.id, ()),
            )
            for group in groups
            if group.id in matches
        ]
        for one in apart:
            hit = one.id in read.named and one.group.in_use
            match = Match("named") if hit else matches.get(one.group.id, Match("not-in-use"))
            portions.append(_of_single(one, match))
        return [portion for portion in portions if portion.deployments > 0]

    async def _cover(self, groups: Sequence[DeploymentGroup]) -> None:
        if missing := [group.id for group in groups if group.id not in self._covering]:
            self._covering |= await self._tx.exposure.covering(missing, visible_to=self._by)

    async def _without(self, singles: Sequence[SingleDeployment]) -> dict[int, CoverageSet]:
        return await self._tx.exposure.covering_without(singles, visible_to=self._by) if singles else {}

    async def not_here(self, read: IncidentRecord) -> tuple[str, ...]:
        """Deployments that an incident names and that are not here to be seen."""
        if not read.named or read.content.status == "withdrawn":
            return ()
        seen = await self._singles(read.named)
        return tuple(sorted(read.named - {one.id for one in seen})[:MOST_TOLD])

    async def own_hits(self, ledger: OperatorTotals | None) -> list[AffectedDeployment]:
        """The caller's own deployments that are hit or may be, those not named apart."""
        if ledger is None or ledger.operator != self._by.operator:
            return []
        of_group = {
            portion.group: (portion, verdict, reason, stated)
            for portion, verdict, reason, stated in ledger.portions
            if portion.id is None and portion.group is not None
        }
        apart = {portion.id for portion, *_ in ledger.portions}
        if not of_group:
            return []
        rows = await self._tx.exposure.listed(sorted(of_group), MOST_LISTED, visible_to=self._by)
        hits = []
        for id_, group in rows:
            portion, verdict, reason, stated = of_group[group]
            if id_ not in apart:
                hits.append(
                    AffectedDeployment(
                        id_, portion.solution, verdict, reason, portion.version, stated, portion.named
                    )
                )
        return hits

    def everybody(self, found: Mapping[str, OperatorTotals]) -> list[OperatorTotals]:
        """Those concerned, the most hit first; for the operator itself also every peer that is not hit.

        That nothing of a peer's is hit is worth as much as the copy it is told from.
        """
        concerned = [one for one in found.values() if one.is_concerned or one.cleared.deployments]
        concerned.sort(key=lambda one: (-one.affected.deployments, -one.unknown.deployments, one.operator))
        if not self._by.own:
            return concerned
        there = {one.operator for one in concerned}
        others = sorted(name for name in self._copies if name not in there)
        return [*concerned, *(found.get(name) or OperatorTotals(name) for name in others)]

    def to_view(self, ledger: OperatorTotals, own: Sequence[AffectedDeployment] = ()) -> OperatorExposure:
        links = {
            (portion.solution, portion.version): self._link(portion)
            for portion, *_ in ledger.portions
            if portion.id is None
        }
        return to_view(ledger, self._copies.get(ledger.operator, UNKNOWN_COPY), links=links, own=own)

    def _link(self, portion: Bucket) -> str:
        asked = {"origin": portion.origin, "solution": portion.solution}
        if portion.version is not None:
            asked["version"] = portion.version
        return f"{self._node.url}/v1/deployments?{urlencode(asked)}"


def _of_group(
    group: DeploymentGroup, match: Match, covers: CoverageSet, apart: Sequence[SingleDeployment]
) -> Bucket:
    return Bucket(
        origin=group.origin,
        solution=group.solution,
        version=group.version,
        version_state=group.version_state,
        reason=match.reason,
        deployments=group.deployments - len(apart),
        tokens=covers.tokens,
        others=covers.others,
        counted=group.counted - sum(one.counted for one in apart),
        areas=group.areas - sum(one.areas for one in apart),
        group=group.id,
        named=match.named,
    )


def _of_single(one: SingleDeployment, match: Match) -> Bucket:
    covers = covering(one.numbers)
    return Bucket(
        origin=one.origin,
        solution=one.group.solution,
        version=one.group.version,
        version_state=one.group.version_state,
        reason=match.reason,
        deployments=1,
        tokens=covers.tokens,
        others=covers.others,
        counted=one.counted,
        areas=one.areas,
        id=one.id,
        named=match.named,
    )
