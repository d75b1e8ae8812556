"""Deployments added up for exposure: how many of which version cover whom, group by group.

A group is the deployments of one operator, audience, solution and version. Groups follow the arrivals, as an
operator's own systems do: whatever changes what is held here has an arrival number, so bringing them in up
to the number of the last one makes the groups what the records are, and nothing of what was withdrawn is
left in them. Who asks for groups brings them up to date first.

Nothing here reads the whole table of records, and a group is as large as the register, not as its records.
"""

from __future__ import annotations

import logging
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Integer, Text, column, func, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from federation.domain.coverage import Resolved, bits, resolved
from federation.domain.deployment import Coverage, VersionState
from federation.domain.matching import IN_USE
from federation.domain.register.bodies import edition
from federation.domain.visibility import Caller
from federation.store.seen import Eyes, arguments, eyes, seen
from federation.store.statements import Session, Statement, param
from federation.store.tables import deployed, deployed_groups

log = logging.getLogger("federation.store")

WINDOW = 5_000
"""Arrivals that are brought in by one transaction."""
WINDOW_BYTES = 16 * 1_048_576
"""Bytes of documents that are read at once for it."""


class Group(msgspec.Struct, frozen=True):
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


class Covering(msgspec.Struct, frozen=True):
    """Whom a group covers: sets as integers (``domain/coverage.py``)."""

    tokens: int = 0
    others: int = 0


class Single(msgspec.Struct, frozen=True):
    """One deployment, and the group it is counted in."""

    origin: str
    key: str
    group: Group
    numbers: tuple[int, ...]
    """Tokens of the register; bodies elsewhere below zero."""
    counted: int
    areas: int

    @property
    def id(self) -> str:
        return f"{self.origin}/{self.key}"


def covering(numbers: Iterable[int]) -> Covering:
    """The sets that numbers as they are stored make."""
    several = tuple(numbers)
    return Covering(bits(n for n in several if n >= 0), bits(~n for n in several if n < 0))


_g = deployed_groups.c
_GROUP = (
    _g.id, _g.origin, _g.solution, _g.version, _g.version_state, _g.in_use,
    _g.deployments, _g.counted, _g.areas,
)  # fmt: skip


@lru_cache
def _groups(through: Eyes, by: str) -> Statement:
    wanted = _g.solution if by == "solutions" else _g.origin
    return Statement(
        select(*_GROUP)
        .where(wanted == param("wanted", ARRAY(Text)).any_(), seen(deployed_groups, through))
        .order_by(_g.origin, _g.solution, _g.version, _g.version_state, _g.id)
    )


@lru_cache
def _covering(through: Eyes) -> Statement:
    return Statement(
        select(_g.id, _g.bodies, _g.others).where(
            _g.id == param("ids", ARRAY(Integer)).any_(), seen(deployed_groups, through)
        )
    )


@lru_cache
def _counts(through: Eyes) -> Statement:
    return Statement(
        select(_g.id, _g.counts).where(
            _g.id == param("ids", ARRAY(Integer)).any_(), seen(deployed_groups, through)
        )
    )


_asked = (
    func.unnest(param("origins", ARRAY(Text)), param("keys", ARRAY(Text)))
    .table_valued(column("origin", Text), column("key", Text), name="asked")
    .render_derived()
)


@lru_cache
def _singles(through: Eyes) -> Statement:
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
            seen(deployed_groups, through),
        )
        .order_by(deployed.c.origin, deployed.c.key)
    )


@lru_cache
def _listed(through: Eyes) -> Statement:
    return Statement(
        select(deployed.c.origin, deployed.c.key, deployed.c.grouped)
        .join(deployed_groups, _g.id == deployed.c.grouped)
        .where(deployed.c.grouped == param("ids", ARRAY(Integer)).any_(), seen(deployed_groups, through))
        .order_by(deployed.c.origin, deployed.c.key)
        .limit(param("limit"))
    )


class ExposureReader:
    """Groups of deployments, as far as somebody may see them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def behind(self) -> int:
        """How many arrivals are not in the groups yet."""
        row = await self._session.connection.fetchrow(
            "SELECT node.arrival - exposure.arrival, exposure.register, 0 < exposure.arrival"
            " AND exposure.arrival < node.arrivals_from AND exposure.begun_at < node.arrivals_from"
            " FROM node, exposure"
        )
        return int(row[0]) if row[1] == edition() and not row[2] else max(int(row[0]), 1)

    async def of_solutions(self, solutions: Sequence[str], *, seen_by: Caller) -> tuple[Group, ...]:
        """The groups of these solutions."""
        return await self._found("solutions", solutions, seen_by)

    async def of_operator(self, operator: str, *, seen_by: Caller) -> tuple[Group, ...]:
        """The groups of an operator's deployments, of every solution."""
        return await self._found("operators", [operator], seen_by)

    async def _found(self, by: str, wanted: Sequence[str], seen_by: Caller) -> tuple[Group, ...]:
        rows = await self._session.all(_groups(eyes(seen_by), by), wanted=list(wanted), **arguments(seen_by))
        return tuple(_group(row) for row in rows)

    async def covering(self, ids: Sequence[int], *, seen_by: Caller) -> dict[int, Covering]:
        """Whom groups cover."""
        rows = await self._session.all(_covering(eyes(seen_by)), ids=list(ids), **arguments(seen_by))
        return {
            row[0]: Covering(int.from_bytes(row[1], "little"), int.from_bytes(row[2], "little"))
            for row in rows
        }

    async def covering_without(self, out: Sequence[Single], *, seen_by: Caller) -> dict[int, Covering]:
        """Whom the groups of some deployments cover without these."""
        taken: dict[int, Counter[int]] = {}
        for one in out:
            taken.setdefault(one.group.id, Counter()).update(one.numbers)
        rows = await self._session.all(_counts(eyes(seen_by)), ids=list(taken), **arguments(seen_by))
        return {
            row[0]: covering(n for n, count in _read(row[1]).items() if count > taken[row[0]][n])
            for row in rows
        }

    async def singles(self, ids: Sequence[str], *, seen_by: Caller) -> tuple[Single, ...]:
        """Deployments by their ids, those of them that the caller may see."""
        names = [one.partition("/") for one in ids]
        rows = await self._session.all(
            _singles(eyes(seen_by)),
            origins=[origin for origin, _, _ in names],
            keys=[key for _, _, key in names],
            **arguments(seen_by),
        )
        return tuple(
            Single(row[0], row[1], _group(row[5:]), tuple(_numbers(row[2])), row[3], row[4]) for row in rows
        )

    async def listed(self, ids: Sequence[int], limit: int, *, seen_by: Caller) -> tuple[tuple[str, int], ...]:
        """The first deployments of some groups by id, each with its group."""
        rows = await self._session.all(
            _listed(eyes(seen_by)), ids=list(ids), limit=limit, **arguments(seen_by)
        )
        return tuple((f"{origin}/{key}", group) for origin, key, group in rows)


def _group(row: Any) -> Group:
    id_, origin, solution, version, state, in_use, deployments, counted, areas = row
    return Group(id_, origin, solution, version or None, state or None, in_use, deployments, counted, areas)


# Bringing in what has arrived


_LOCK = "SELECT arrival, register, begun_at FROM exposure FOR UPDATE"
_ARRIVED = """
SELECT changed.origin, changed.key, octet_length(r.document) AS size FROM (
    SELECT origin, key FROM records WHERE arrived > $1 AND arrived <= $2 AND type = 'deployment'
    UNION
    SELECT feeds.origin, w.key FROM withdrawals AS w JOIN feeds ON feeds.id = w.feed
    WHERE w.arrived > $1 AND w.arrived <= $2 AND w.type = 'deployment'
) AS changed
LEFT JOIN records AS r
    ON r.type = 'deployment' AND r.origin = changed.origin AND r.key = changed.key AND NOT r.retracted
"""
_DOCUMENTS = """
SELECT r.origin, r.key, r.audience, r.document
FROM unnest($1::text[], $2::text[]) AS asked(origin, key)
JOIN records AS r ON r.type = 'deployment' AND r.origin = asked.origin AND r.key = asked.key
WHERE NOT r.retracted
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
_GROUPS_TO_CHANGE = "SELECT id, deployments, counted, areas, counts FROM deployed_groups WHERE id = ANY($1)"
_CHANGE_GROUPS = """
UPDATE deployed_groups AS g
SET deployments = c.deployments, counted = c.counted, areas = c.areas, bodies = c.bodies, others = c.others,
    counts = c.counts
FROM unnest($1::int[], $2::int[], $3::bigint[], $4::int[], $5::bytea[], $6::bytea[], $7::bytea[])
    AS c(id, deployments, counted, areas, bodies, others, counts)
WHERE g.id = c.id
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


class Share(NamedTuple):
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


class ExposureWriter(ExposureReader):
    """Groups of deployments, in a transaction that brings in what has arrived."""

    async def bring_in(self) -> int:
        """Bring in the next arrivals, ``WINDOW`` of them at most. Returns how many are left.

        One transaction at a time does it, of all processes.
        """
        connection = self._session.connection
        arrival, register, begun_at = await connection.fetchrow(_LOCK)
        last, arrivals_from = await connection.fetchrow("SELECT arrival, arrivals_from FROM node")
        if register != edition() or (0 < arrival < arrivals_from and begun_at < arrivals_from):
            # The numbers of another edition mean other bodies; and that something left is not seen when its
            # withdrawal has been dropped meanwhile. Everything is brought in anew. (What was dropped before
            # it began is in none of what is brought in since: else it would begin again for ever.)
            await connection.execute("TRUNCATE deployed, deployed_groups")
            arrival = 0
        if arrival == 0:
            begun_at = arrivals_from
        until = min(last, arrival + WINDOW)
        rows = await connection.fetch(_ARRIVED, arrival, until)
        for names in _sliced(rows):
            await self._change(names)
        await connection.execute(
            "UPDATE exposure SET arrival = $1, register = $2, begun_at = $3", until, edition(), begun_at
        )
        return int(last - until)

    async def _change(self, names: Sequence[Name]) -> None:
        connection = self._session.connection
        columns = [origin for origin, _ in names], [key for _, key in names]
        before = {(row[0], row[1]): Share(*row[2:]) for row in await connection.fetch(_HELD, *columns)}
        after = await self._shares(await connection.fetch(_DOCUMENTS, *columns))
        changed = [name for name in names if before.get(name) != after.get(name)]
        if not changed:
            return
        await self._change_groups(
            [before[name] for name in changed if name in before],
            [after[name] for name in changed if name in after],
        )
        if gone := [name for name in changed if name not in after]:
            await connection.execute(_DROP, [origin for origin, _ in gone], [key for _, key in gone])
        if kept := [(*name, *after[name]) for name in changed if name in after]:
            await connection.execute(_KEEP, *(list(values) for values in zip(*kept, strict=True)))

    async def _shares(self, rows: Sequence[Any]) -> dict[Name, Share]:
        """What these records add, as they are now."""
        read: dict[Name, tuple[GroupName, Resolved]] = {}
        for origin, key, audience, document in rows:
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
            read[origin, key] = group, resolved(content.coverage)
        groups = await self._opened({group for group, _ in read.values()})
        elsewhere = await self._elsewhere({name for _, found in read.values() for name in found.elsewhere})
        return {
            name: Share(
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

    async def _change_groups(self, taken: Sequence[Share], added: Sequence[Share]) -> None:
        connection = self._session.connection
        ids = sorted({one.group for one in (*taken, *added)})
        groups = {
            row[0]: [row[1], row[2], row[3], _read(row[4])]
            for row in await connection.fetch(_GROUPS_TO_CHANGE, ids)
        }
        for sign, shares in ((-1, taken), (1, added)):
            for one in shares:
                group = groups[one.group]
                group[0] += sign
                group[1] += sign * one.counted
                group[2] += sign * one.areas
                counts = group[3]
                for number in _numbers(one.numbers):
                    counts[number] = counts.get(number, 0) + sign
        changed = []
        for id_, (deployments, counted, areas, counts) in groups.items():
            left = {number: count for number, count in counts.items() if count}
            sets = covering(left)
            changed.append(
                (id_, deployments, counted, areas, _bytes(sets.tokens), _bytes(sets.others), _written(left))
            )
        await connection.execute(_CHANGE_GROUPS, *(list(values) for values in zip(*changed, strict=True)))
        await connection.execute("DELETE FROM deployed_groups WHERE id = ANY($1) AND deployments = 0", ids)


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


def _bytes(found: int) -> bytes:
    return found.to_bytes((found.bit_length() + 7) // 8, "little")
