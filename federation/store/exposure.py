"""Deployments added up for exposure: how many of which version cover whom, group by group.

A group is the deployments of one operator, audience, solution and version. Groups follow the arrivals, as an
operator's own systems do: whatever changes what is held here has an arrival number, so bringing them in up
to the number of the last one makes the groups what the records are, and nothing of what was withdrawn is
left in them. Who asks for groups brings them up to date first.

What the records of solutions say they are (``domain/sameness.py``) follows the arrivals in the same way.

How many deployments of a group cover each body is kept in parts of the register, so that a change rewrites
those of its own bodies and not the whole country.

Nothing here reads the whole table of records, and a group is as large as the register, not as its records.
"""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy import Integer, Text, column, func, select, true, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from federation.domain.content.deployment import Coverage, Deployment, VersionState
from federation.domain.content.solution import Solution
from federation.domain.document import Document
from federation.domain.exposure.coverage import Resolved, bits, resolve
from federation.domain.exposure.linkage import MAX_LINKS_PER_SOLUTION, identifiers
from federation.domain.exposure.matching import IN_USE
from federation.domain.territories.bodies import edition
from federation.domain.visibility import Caller
from federation.store.statements import Session, Statement, param
from federation.store.tables import deployed, deployed_counts, deployed_groups, solution_identifiers
from federation.store.visibility import Viewer, arguments, viewer_of, visible_condition

log = logging.getLogger("federation.store")

Row = TypeVar("Row")

WINDOW = 5_000
"""Arrivals that are brought in by one transaction."""
WINDOW_BYTES = 16 * 1_048_576
"""Bytes of documents that are read at once for it."""
ROWS = 250
"""Rows that are read or written by one statement of it."""
AT_ONCE = 10
"""Deployments that are looked at before others have a turn: a millisecond. Whatever else the process is asked
meanwhile is not to wait for thousands of them, and it has several turns to wait for."""
PART = 8
"""Bits of a number that tell bodies of one part apart: 256 of them."""


class DeploymentGroup(msgspec.Struct, frozen=True):
    """Deployments that have everything in common that exposure asks for, but whom they cover."""

    id: int
    origin: str
    solution: str
    version: str | None
    version_state: VersionState | None
    in_use: bool
    deployments: int
    counted: int
    areas: int


class CoverageSet(msgspec.Struct, frozen=True):
    """Whom a group covers: sets as integers (``domain/coverage.py``)."""

    tokens: int = 0
    others: int = 0


class SingleDeployment(msgspec.Struct, frozen=True):
    """One deployment, and the group it is counted in."""

    origin: str
    key: str
    group: DeploymentGroup
    numbers: tuple[int, ...]
    """Tokens of the register; bodies elsewhere below zero."""
    counted: int
    areas: int

    @property
    def id(self) -> str:
        return f"{self.origin}/{self.key}"


def covering(numbers: Iterable[int]) -> CoverageSet:
    """The sets that numbers as they are stored make."""
    several = tuple(numbers)
    return CoverageSet(bits(n for n in several if n >= 0), bits(~n for n in several if n < 0))


_g = deployed_groups.c
_GROUP = (
    _g.id, _g.origin, _g.solution, _g.version, _g.version_state, _g.in_use,
    _g.deployments, _g.counted, _g.areas,
)  # fmt: skip


@lru_cache
def _groups(through: Viewer, by: str) -> Statement:
    wanted = _g.solution if by == "solutions" else _g.origin
    return Statement(
        select(*_GROUP)
        .where(wanted == param("wanted", ARRAY(Text)).any_(), visible_condition(deployed_groups, through))
        .order_by(_g.origin, _g.solution, _g.version, _g.version_state, _g.id)
    )


@lru_cache
def _covering(through: Viewer) -> Statement:
    return Statement(
        select(_g.id, _g.bodies, _g.others).where(
            _g.id == param("ids", ARRAY(Integer)).any_(), visible_condition(deployed_groups, through)
        )
    )


_asked = (
    func.unnest(param("origins", ARRAY(Text)), param("keys", ARRAY(Text)))
    .table_valued(column("origin", Text), column("key", Text), name="asked")
    .render_derived()
)


_parts_asked = (
    func.unnest(param("ids", ARRAY(Integer)), param("parts", ARRAY(Integer)))
    .table_valued(column("id", Integer), column("part", Integer), name="parts_asked")
    .render_derived()
)


@lru_cache
def _counts(through: Viewer) -> Statement:
    return Statement(
        select(deployed_counts.c.grouped, deployed_counts.c.counts)
        .join(deployed_groups, _g.id == deployed_counts.c.grouped)
        .where(
            tuple_(deployed_counts.c.grouped, deployed_counts.c.part).in_(
                select(_parts_asked.c.id, _parts_asked.c.part)
            ),
            visible_condition(deployed_groups, through),
        )
    )


@lru_cache
def _singles(through: Viewer) -> Statement:
    return Statement(
        select(
            deployed.c.origin,
            deployed.c.key,
            deployed.c.numbers,
            deployed.c.counted,
            deployed.c.areas,
            *_GROUP,
        )
        .join(deployed_groups, _g.id == deployed.c.grouped)
        .where(
            tuple_(deployed.c.origin, deployed.c.key).in_(select(_asked.c.origin, _asked.c.key)),
            visible_condition(deployed_groups, through),
        )
        .order_by(deployed.c.origin, deployed.c.key)
    )


@lru_cache
def _listed(through: Viewer) -> Statement:
    return Statement(
        select(deployed.c.origin, deployed.c.key, deployed.c.grouped)
        .join(deployed_groups, _g.id == deployed.c.grouped)
        .where(
            deployed.c.grouped == param("ids", ARRAY(Integer)).any_(),
            visible_condition(deployed_groups, through),
        )
        .order_by(deployed.c.origin, deployed.c.key)
        .limit(param("limit"))
    )


# What is the same software

_s = solution_identifiers.c


@lru_cache
def _identified(through: Viewer) -> Statement:
    return Statement(
        select(_s.origin, _s.key, _s.identifier)
        .where(
            tuple_(_s.origin, _s.key).in_(select(_asked.c.origin, _asked.c.key)),
            visible_condition(solution_identifiers, through),
        )
        .order_by(_s.origin, _s.key, _s.identifier)
    )


@lru_cache
def _naming(through: Viewer) -> Statement:
    """Solutions that name something: of each operator the first, whatever the number of another one's.

    From one (origin, audience) of an identifier to the next, by the index: what one operator has written a
    thousand times is passed over, and not read. So is what may not be seen.
    """
    asked = (
        func.unnest(param("wanted", ARRAY(Text)))
        .table_valued(column("identifier", Text), name="wanted")
        .render_derived()
    )
    place = select(_s.origin, _s.audience).order_by(_s.origin, _s.audience).limit(1)
    first = place.where(_s.identifier == asked.c.identifier).correlate(asked).lateral("first_place")
    places = (
        select(asked.c.identifier, first.c.origin, first.c.audience)
        .select_from(asked.join(first, true()))
        .cte("places", recursive=True)
    )
    following = (
        place.where(
            _s.identifier == places.c.identifier,
            tuple_(_s.origin, _s.audience) > tuple_(places.c.origin, places.c.audience),
        )
        .correlate(places)
        .lateral("next_place")
    )
    places = places.union_all(
        select(places.c.identifier, following.c.origin, following.c.audience).select_from(
            places.join(following, true())
        )
    )
    there = (
        select(_s.key)
        .where(
            _s.identifier == places.c.identifier,
            _s.origin == places.c.origin,
            _s.audience == places.c.audience,
        )
        .order_by(_s.key)
        # One more than is taken, so that it can be told that there are more.
        .limit(MAX_LINKS_PER_SOLUTION + 1)
        .correlate(places)
        .lateral("there")
    )
    return Statement(
        select(places.c.identifier, places.c.origin, there.c.key)
        .select_from(places.join(there, true()))
        .where(visible_condition(places, through))
        .order_by(places.c.identifier, places.c.origin, there.c.key)
    )


class ExposureReader:
    """Groups of deployments, as far as somebody may see them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def lag(self) -> int:
        """How many arrivals are not in the groups yet."""
        row = await self._session.connection.fetchrow(
            "SELECT node.arrival - exposure.arrival, exposure.register, 0 < exposure.arrival"
            " AND exposure.arrival < node.arrivals_from AND exposure.begun_at < node.arrivals_from"
            " FROM node, exposure"
        )
        return int(row[0]) if row[1] == edition() and not row[2] else max(int(row[0]), 1)

    async def of_solutions(
        self, solutions: Sequence[str], *, visible_to: Caller
    ) -> tuple[DeploymentGroup, ...]:
        """The groups of these solutions."""
        return await self._found("solutions", solutions, visible_to)

    async def of_operator(self, operator: str, *, visible_to: Caller) -> tuple[DeploymentGroup, ...]:
        """The groups of an operator's deployments, of every solution."""
        return await self._found("operators", [operator], visible_to)

    async def _found(self, by: str, wanted: Sequence[str], visible_to: Caller) -> tuple[DeploymentGroup, ...]:
        rows = await self._session.all(
            _groups(viewer_of(visible_to), by), wanted=list(wanted), **arguments(visible_to)
        )
        return tuple(_group(row) for row in rows)

    async def covering(self, ids: Sequence[int], *, visible_to: Caller) -> dict[int, CoverageSet]:
        """Whom groups cover."""
        rows = await self._session.all(
            _covering(viewer_of(visible_to)), ids=list(ids), **arguments(visible_to)
        )
        return {
            row[0]: CoverageSet(int.from_bytes(row[1], "little"), int.from_bytes(row[2], "little"))
            for row in rows
        }

    async def covering_without(
        self, out: Sequence[SingleDeployment], *, visible_to: Caller
    ) -> dict[int, CoverageSet]:
        """Whom the groups of some deployments cover without these."""
        taken: dict[int, Counter[int]] = {}
        for one in out:
            taken.setdefault(one.group.id, Counter()).update(one.numbers)
        places = sorted({(id_, n >> PART) for id_, numbers in taken.items() for n in numbers})
        rows = await self._session.all(
            _counts(viewer_of(visible_to)),
            ids=[id_ for id_, _ in places],
            parts=[part for _, part in places],
            **arguments(visible_to),
        )
        gone: dict[int, list[int]] = {}
        for id_, counts in rows:
            left_out = taken[id_]
            gone.setdefault(id_, []).extend(n for n, count in _read(counts).items() if count <= left_out[n])
        whole = await self.covering(list(taken), visible_to=visible_to)
        return {id_: _less(covers, covering(gone.get(id_, ()))) for id_, covers in whole.items()}

    async def singles(self, ids: Sequence[str], *, visible_to: Caller) -> tuple[SingleDeployment, ...]:
        """Deployments by their ids, those of them that the caller may see."""
        names = [one.partition("/") for one in ids]
        rows = await self._session.all(
            _singles(viewer_of(visible_to)),
            origins=[origin for origin, _, _ in names],
            keys=[key for _, _, key in names],
            **arguments(visible_to),
        )
        return tuple(
            SingleDeployment(row[0], row[1], _group(row[5:]), tuple(_numbers(row[2])), row[3], row[4])
            for row in rows
        )

    async def listed(
        self, ids: Sequence[int], limit: int, *, visible_to: Caller
    ) -> tuple[tuple[str, int], ...]:
        """The first deployments of some groups by id, each with its group."""
        rows = await self._session.all(
            _listed(viewer_of(visible_to)), ids=list(ids), limit=limit, **arguments(visible_to)
        )
        return tuple((f"{origin}/{key}", group) for origin, key, group in rows)

    async def identified(self, solutions: Iterable[str], *, visible_to: Caller) -> dict[str, tuple[str, ...]]:
        """What the records of solutions say they are; of those the caller may see that name something."""
        names = [one.partition("/") for one in solutions]
        rows = await self._session.all(
            _identified(viewer_of(visible_to)),
            origins=[origin for origin, _, _ in names],
            keys=[key for _, _, key in names],
            **arguments(visible_to),
        )
        found: dict[str, list[str]] = {}
        for origin, key, identifier in rows:
            found.setdefault(f"{origin}/{key}", []).append(identifier)
        return {solution: tuple(several) for solution, several in found.items()}

    async def naming(self, wanted: Iterable[str], *, visible_to: Caller) -> dict[str, tuple[str, ...]]:
        """The solutions whose records name something, as far as the caller may see them.

        Of each operator and audience ``MOST_OF_ONE`` and one, at most.
        """
        rows = await self._session.all(
            _naming(viewer_of(visible_to)), wanted=sorted(wanted), **arguments(visible_to)
        )
        found: dict[str, list[str]] = {}
        for identifier, origin, key in rows:
            found.setdefault(identifier, []).append(f"{origin}/{key}")
        return {identifier: tuple(several) for identifier, several in found.items()}


def _less(one: CoverageSet, other: CoverageSet) -> CoverageSet:
    return CoverageSet(one.tokens & ~other.tokens, one.others & ~other.others)


def _group(row: Any) -> DeploymentGroup:
    id_, origin, solution, version, state, in_use, deployments, counted, areas = row
    return DeploymentGroup(
        id_, origin, solution, version or None, state or None, in_use, deployments, counted, areas
    )


# Bringing in what has arrived


_LOCK = "SELECT arrival, register, begun_at FROM exposure FOR UPDATE"
_ARRIVED = """
SELECT changed.type, changed.origin, changed.key, octet_length(r.document) AS size FROM (
    SELECT type, origin, key FROM records
    WHERE arrived > $1 AND arrived <= $2 AND type IN ('deployment', 'solution')
    UNION
    SELECT w.type, feeds.origin, w.key FROM withdrawals AS w JOIN feeds ON feeds.id = w.feed
    WHERE w.arrived > $1 AND w.arrived <= $2 AND w.type IN ('deployment', 'solution')
) AS changed
LEFT JOIN records AS r
    ON r.type = changed.type AND r.origin = changed.origin AND r.key = changed.key AND NOT r.retracted
"""
_DOCUMENTS = """
SELECT r.origin, r.key, r.audience, r.document
FROM unnest($2::text[], $3::text[]) AS asked(origin, key)
JOIN records AS r ON r.type = $1 AND r.origin = asked.origin AND r.key = asked.key
WHERE NOT r.retracted
"""
_FORGET = """
DELETE FROM solution_identifiers AS s USING unnest($1::text[], $2::text[]) AS asked(origin, key)
WHERE s.origin = asked.origin AND s.key = asked.key
"""
_IDENTIFY = """
INSERT INTO solution_identifiers (origin, key, identifier, audience)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
"""
_HELD = """
SELECT d.origin, d.key, d.grouped, d.numbers, d.counted, d.areas
FROM unnest($1::text[], $2::text[]) AS asked(origin, key)
JOIN deployed AS d ON d.origin = asked.origin AND d.key = asked.key
"""
_OPEN_GROUPS = """
WITH asked AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bool[])
    AS a(solution, origin, audience, version, version_state, in_use)
),
made AS (
    INSERT INTO deployed_groups (solution, origin, audience, version, version_state, in_use)
    SELECT * FROM asked EXCEPT SELECT solution, origin, audience, version, version_state, in_use
    FROM deployed_groups WHERE solution = ANY($1)
    RETURNING id, solution, origin, audience, version, version_state, in_use
)
SELECT * FROM made
UNION ALL
SELECT g.id, g.solution, g.origin, g.audience, g.version, g.version_state, g.in_use
FROM asked JOIN deployed_groups AS g USING (solution, origin, audience, version, version_state, in_use)
"""
_OPEN_ELSEWHERE = """
WITH asked AS (SELECT unnest($1::text[]) AS name),
made AS (
    -- Not ON CONFLICT: it would take a number for each that is there, and numbers are places in sets.
    INSERT INTO bodies_elsewhere (name)
    SELECT name FROM asked EXCEPT SELECT name FROM bodies_elsewhere WHERE name = ANY($1)
    RETURNING name, number
)
SELECT name, number FROM made UNION ALL SELECT name, number FROM asked JOIN bodies_elsewhere USING (name)
"""
_GROUPS_TO_CHANGE = (
    "SELECT id, deployments, counted, areas, bodies, others FROM deployed_groups WHERE id = ANY($1)"
)
_CHANGE_GROUPS = """
UPDATE deployed_groups AS g
SET deployments = c.deployments, counted = c.counted, areas = c.areas, bodies = c.bodies, others = c.others
FROM unnest($1::int[], $2::int[], $3::bigint[], $4::int[], $5::bytea[], $6::bytea[])
    AS c(id, deployments, counted, areas, bodies, others)
WHERE g.id = c.id
"""
_COUNTS_TO_CHANGE = """
SELECT c.grouped, c.part, c.counts FROM unnest($1::int[], $2::int[]) AS asked(grouped, part)
JOIN deployed_counts AS c ON c.grouped = asked.grouped AND c.part = asked.part
"""
_CHANGE_COUNTS = """
INSERT INTO deployed_counts (grouped, part, counts) SELECT * FROM unnest($1::int[], $2::int[], $3::bytea[])
ON CONFLICT (grouped, part) DO UPDATE SET counts = excluded.counts
"""
_DROP_COUNTS = """
DELETE FROM deployed_counts AS c USING unnest($1::int[], $2::int[]) AS gone(grouped, part)
WHERE c.grouped = gone.grouped AND c.part = gone.part
"""
_KEEP = """
INSERT INTO deployed (origin, key, grouped, numbers, counted, areas)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::bytea[], $5::bigint[], $6::int[])
ON CONFLICT (origin, key) DO UPDATE
SET grouped = excluded.grouped, numbers = excluded.numbers, counted = excluded.counted, areas = excluded.areas
"""
_DROP = """
DELETE FROM deployed USING unnest($1::text[], $2::text[]) AS gone(origin, key)
WHERE deployed.origin = gone.origin AND deployed.key = gone.key
"""

Name = tuple[str, str]
GroupName = tuple[str, str, str, str, str, bool]
"""solution, origin, audience, version, version_state, in_use"""


class WorkShare(NamedTuple):
    """What one deployment adds to its group."""

    group: int
    numbers: bytes
    counted: int
    areas: int


class _Content(msgspec.Struct):
    solution: str
    status: str
    coverage: Coverage
    version: str = ""
    version_state: str = ""


class _Deployment(msgspec.Struct):
    content: _Content


_decoder = msgspec.json.Decoder(_Deployment)
_solution_decoder = msgspec.json.Decoder(Document[Solution])


class ExposureWriter(ExposureReader):
    """Groups of deployments, in a transaction that brings in what has arrived."""

    async def refresh(self, most: int | None = None) -> int:
        """Bring in the next arrivals, ``WINDOW`` of them at most or so many. Returns how many are left.

        One transaction at a time does it, of all processes.
        """
        connection = self._session.connection
        arrival, register, begun_at = await connection.fetchrow(_LOCK)
        last, arrivals_from = await connection.fetchrow("SELECT arrival, arrivals_from FROM node")
        if register != edition() or (0 < arrival < arrivals_from and begun_at < arrivals_from):
            # The numbers of another edition mean other bodies; and that something left is not seen when its
            # withdrawal has been dropped meanwhile. Everything is brought in anew. (What was dropped before
            # it began is in none of what is brought in since: else it would begin again for ever.)
            await connection.execute(
                "TRUNCATE deployed, deployed_groups, deployed_counts, solution_identifiers"
            )
            arrival = 0
        if arrival == 0:
            begun_at = arrivals_from
        until = min(last, arrival + (most or WINDOW))
        rows = await connection.fetch(_ARRIVED, arrival, until)
        for names in _sliced([row[1:] for row in rows if row[0] == "deployment"]):
            await self._change(names)
        for names in _sliced([row[1:] for row in rows if row[0] == "solution"]):
            await self._identify(names)
        await connection.execute(
            "UPDATE exposure SET arrival = $1, register = $2, begun_at = $3", until, edition(), begun_at
        )
        return int(last - until)

    async def _change(self, names: Sequence[Name]) -> None:
        connection = self._session.connection
        before: dict[Name, WorkShare] = {}
        after: dict[Name, WorkShare] = {}
        for some in _rows(names):
            columns = [origin for origin, _ in some], [key for _, key in some]
            before |= {
                (row[0], row[1]): WorkShare(*row[2:]) for row in await connection.fetch(_HELD, *columns)
            }
            after |= await self._shares(await connection.fetch(_DOCUMENTS, Deployment.type, *columns))
        changed = [name for name in names if before.get(name) != after.get(name)]
        if not changed:
            return
        await self._change_groups(
            [before[name] for name in changed if name in before],
            [after[name] for name in changed if name in after],
        )
        if gone := [name for name in changed if name not in after]:
            await connection.execute(_DROP, [origin for origin, _ in gone], [key for _, key in gone])
        for kept in _rows([(*name, *after[name]) for name in changed if name in after]):
            await connection.execute(_KEEP, *(list(values) for values in zip(*kept, strict=True)))

    async def _identify(self, names: Sequence[Name]) -> None:
        """Note what the records of solutions say they are, as they are now."""
        connection = self._session.connection
        columns = [origin for origin, _ in names], [key for _, key in names]
        said = []
        for origin, key, audience, document in await connection.fetch(_DOCUMENTS, Solution.type, *columns):
            try:
                said += [
                    (origin, key, one, audience) for one in identifiers(_solution_decoder.decode(document))
                ]
            except msgspec.MsgspecError:
                log.exception("a solution cannot be read", extra={"record": f"solution {origin}/{key}"})
        await connection.execute(_FORGET, *columns)
        if said:
            await connection.execute(_IDENTIFY, *(list(values) for values in zip(*said, strict=True)))

    async def _shares(self, rows: Sequence[Any]) -> dict[Name, WorkShare]:
        """What these records add, as they are now."""
        read: dict[Name, tuple[GroupName, Resolved]] = {}
        for n, (origin, key, audience, document) in enumerate(rows):
            if not n % AT_ONCE:
                await asyncio.sleep(0)
            try:
                content = _decoder.decode(document).content
            except msgspec.MsgspecError:
                # It was checked when it came. Whatever it is now, the others are to be counted.
                log.exception("a deployment cannot be read", extra={"record": f"deployment {origin}/{key}"})
                continue
            in_use = content.status in IN_USE
            group = (
                content.solution, origin, audience, content.version, content.version_state, in_use,
            )  # fmt: skip
            read[origin, key] = group, resolve(content.coverage)
        groups = await self._opened({group for group, _ in read.values()})
        elsewhere = await self._elsewhere({name for _, found in read.values() for name in found.elsewhere})
        return {
            name: WorkShare(
                groups[group],
                array("i", (*found.tokens, *sorted(~elsewhere[one] for one in found.elsewhere))).tobytes(),
                found.counted,
                found.areas,
            )
            for name, (group, found) in read.items()
        }

    async def _opened(self, wanted: set[GroupName]) -> dict[GroupName, int]:
        if not wanted:
            return {}
        columns = [list(values) for values in zip(*sorted(wanted), strict=True)]
        rows = await self._session.connection.fetch(_OPEN_GROUPS, *columns)
        return {tuple(row[1:]): row[0] for row in rows}

    async def _elsewhere(self, wanted: set[str]) -> dict[str, int]:
        if not wanted:
            return {}
        rows = await self._session.connection.fetch(_OPEN_ELSEWHERE, sorted(wanted))
        return {row[0]: row[1] for row in rows}

    async def _change_groups(self, taken: Sequence[WorkShare], added: Sequence[WorkShare]) -> None:
        connection = self._session.connection
        ids = sorted({one.group for one in (*taken, *added)})
        rows = await connection.fetch(_GROUPS_TO_CHANGE, ids)
        groups = {row[0]: [row[1], row[2], row[3]] for row in rows}
        sets = {row[0]: (bytearray(row[4]), bytearray(row[5])) for row in rows}
        moved: dict[tuple[int, int], Counter[int]] = {}
        for sign, shares in ((-1, taken), (1, added)):
            for n, one in enumerate(shares):
                if not n % AT_ONCE:
                    await asyncio.sleep(0)
                group = groups[one.group]
                group[0] += sign
                group[1] += sign * one.counted
                group[2] += sign * one.areas
                for number in _numbers(one.numbers):
                    moved.setdefault((one.group, number >> PART), Counter())[number] += sign
        for (id_, number), covers in (await self._change_counts(moved)).items():
            _mark(sets[id_][number < 0], number if number >= 0 else ~number, covers)
        changed = [(id_, *sums, *map(bytes, sets[id_])) for id_, sums in groups.items()]
        await connection.execute(_CHANGE_GROUPS, *(list(values) for values in zip(*changed, strict=True)))
        await connection.execute("DELETE FROM deployed_groups WHERE id = ANY($1) AND deployments = 0", ids)

    async def _change_counts(
        self, moved: Mapping[tuple[int, int], Counter[int]]
    ) -> dict[tuple[int, int], bool]:
        """Count who covers whom. Returns (group, number) of those covered now and not before, or no more."""
        connection = self._session.connection
        turned: dict[tuple[int, int], bool] = {}
        for places in _rows(sorted(moved)):
            rows = await connection.fetch(
                _COUNTS_TO_CHANGE, [id_ for id_, _ in places], [part for _, part in places]
            )
            before = {(row[0], row[1]): row[2] for row in rows}
            kept: list[tuple[int, int, bytes]] = []
            gone: list[tuple[int, int]] = []
            for n, place in enumerate(places):
                if not n % AT_ONCE:
                    await asyncio.sleep(0)
                counts = _read(before[place]) if place in before else {}
                for number, change in moved[place].items():
                    was = counts.get(number, 0)
                    counts[number] = was + change
                    if bool(was) != bool(counts[number]):
                        turned[place[0], number] = bool(counts[number])
                left = {number: count for number, count in counts.items() if count}
                if left:
                    kept.append((*place, _written(left)))
                elif place in before:
                    gone.append(place)
            if kept:
                await connection.execute(
                    _CHANGE_COUNTS, *(list(values) for values in zip(*kept, strict=True))
                )
            if gone:
                await connection.execute(_DROP_COUNTS, *(list(values) for values in zip(*gone, strict=True)))
        return turned


def _mark(found: bytearray, number: int, is_in: bool) -> None:
    """Put a number into a set, as it is stored, or take it out; the set stays as short as can be."""
    if number >> 3 >= len(found):
        found.extend(bytes((number >> 3) + 1 - len(found)))
    if is_in:
        found[number >> 3] |= 1 << (number & 7)
    else:
        found[number >> 3] &= ~(1 << (number & 7))
    while found and not found[-1]:
        found.pop()


def _sliced(rows: Sequence[Any]) -> Iterable[list[Name]]:
    """Names in slices whose documents are of ``WINDOW_BYTES`` together, or one of them more."""
    names: list[Name] = []
    size = 0
    for origin, key, length in rows:
        if names and size + (length or 0) > WINDOW_BYTES:
            yield names
            names, size = [], 0
        names.append((origin, key))
        size += length or 0
    if names:
        yield names


def _rows(several: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Rows as one statement takes them."""
    for start in range(0, len(several), ROWS):
        yield several[start : start + ROWS]


def _numbers(stored: bytes) -> array[int]:
    found = array("i")
    found.frombytes(stored)
    return found


def _read(stored: bytes) -> dict[int, int]:
    found = _numbers(stored)
    half = len(found) // 2
    return dict(zip(found[:half], found[half:], strict=True))


def _written(counts: dict[int, int]) -> bytes:
    return array("i", counts).tobytes() + array("i", counts.values()).tobytes()
