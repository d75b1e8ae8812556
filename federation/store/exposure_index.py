"""Keep the exposure index: count the next changes into the groups of deployments.

1. One transaction at a time, of all processes, holds the row of ``exposure``.
2. The next changes of deployments and solutions are read in the order of the change log, withdrawals too:
   every change of a stored record has a local sequence, so the groups become what the records are.
3. For each deployment that changed, its old share is subtracted from its group and its new one added.
4. The deployments that cover each body are counted in parts of the register: a change rewrites the parts of
   its own bodies, and not those of the country.
5. The identifiers in the records of solutions are replaced (``solution_identifiers.py``).
6. Of a record that is not understood as much is counted as can be read (``domain/exposure/partial``): its
   deployment is in a group of its own, which answers unknown.

Another edition of the register or of identifiers, or a withdrawal that was dropped before it was counted,
begins it all anew.
The table of records is never read as a whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from federation.domain.content.deployment import Coverage, Deployment
from federation.domain.content.solution import Solution
from federation.domain.document import Document
from federation.domain.exposure.coverage import Resolved, resolve
from federation.domain.exposure.matching import IN_USE
from federation.domain.exposure.partial import NOT_UNDERSTOOD, partial_deployment, partial_identifiers
from federation.domain.exposure.solution_identifiers import identifiers
from federation.store.body_sets import (
    PART_BITS,
    mark,
    read_counts,
    read_numbers,
    write_counts,
    write_numbers,
)
from federation.store.exposure import ExposureReader, index_edition

log = logging.getLogger("federation.store")

Row = TypeVar("Row")

WINDOW = 5_000
"""Changes that one transaction counts, at most."""
WINDOW_BYTES = 16 * 1_048_576
"""Bytes of documents that one step of it reads."""
STATEMENT_ROWS = 250
"""Rows that one statement of it reads or writes."""
TURN_DEPLOYMENTS = 10
"""Deployments that are computed before other tasks have a turn: a millisecond. A request that comes meanwhile
is not to wait for thousands of them, and it has several turns to wait for."""

_LOCK_INDEX = "SELECT arrival, register, begun_at FROM exposure FOR UPDATE"
_READ_NEWEST = "SELECT arrival, arrivals_from FROM node"
_CLEAR = "TRUNCATE deployed, deployed_groups, deployed_counts, solution_identifiers"
_ADVANCE = "UPDATE exposure SET arrival = $1, register = $2, begun_at = $3"
_READ_CHANGES = """
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
"""Deployments and solutions that changed after local sequence $1, up to $2, with their documents' bytes."""
_READ_DOCUMENTS = """
SELECT r.origin, r.key, r.audience, r.document, r.not_understood IS NULL AS understood
FROM unnest($2::text[], $3::text[]) AS asked(origin, key)
JOIN records AS r ON r.type = $1 AND r.origin = asked.origin AND r.key = asked.key
WHERE NOT r.retracted
"""
_DELETE_IDENTIFIERS = """
DELETE FROM solution_identifiers AS s USING unnest($1::text[], $2::text[]) AS asked(origin, key)
WHERE s.origin = asked.origin AND s.key = asked.key
"""
_INSERT_IDENTIFIERS = """
INSERT INTO solution_identifiers (origin, key, identifier, audience)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
"""
_READ_SHARES = """
SELECT d.origin, d.key, d.grouped, d.numbers, d.counted, d.areas
FROM unnest($1::text[], $2::text[]) AS asked(origin, key)
JOIN deployed AS d ON d.origin = asked.origin AND d.key = asked.key
"""
_UPSERT_SHARES = """
INSERT INTO deployed (origin, key, grouped, numbers, counted, areas)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::bytea[], $5::bigint[], $6::int[])
ON CONFLICT (origin, key) DO UPDATE
SET grouped = excluded.grouped, numbers = excluded.numbers, counted = excluded.counted, areas = excluded.areas
"""
_DELETE_SHARES = """
DELETE FROM deployed USING unnest($1::text[], $2::text[]) AS gone(origin, key)
WHERE deployed.origin = gone.origin AND deployed.key = gone.key
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
"""The groups of these names, made where they do not exist."""
_OPEN_ELSEWHERE = """
WITH asked AS (SELECT unnest($1::text[]) AS name),
made AS (
    -- Not ON CONFLICT: it would take a number for each that exists, and numbers are places in sets.
    INSERT INTO bodies_elsewhere (name)
    SELECT name FROM asked EXCEPT SELECT name FROM bodies_elsewhere WHERE name = ANY($1)
    RETURNING name, number
)
SELECT name, number FROM made UNION ALL SELECT name, number FROM asked JOIN bodies_elsewhere USING (name)
"""
"""The numbers of bodies that are not in the register, given where they have none."""
_READ_GROUPS = (
    "SELECT id, deployments, counted, areas, bodies, others FROM deployed_groups WHERE id = ANY($1)"
)
_UPDATE_GROUPS = """
UPDATE deployed_groups AS g
SET deployments = c.deployments, counted = c.counted, areas = c.areas, bodies = c.bodies, others = c.others
FROM unnest($1::int[], $2::int[], $3::bigint[], $4::int[], $5::bytea[], $6::bytea[])
    AS c(id, deployments, counted, areas, bodies, others)
WHERE g.id = c.id
"""
_DELETE_EMPTY_GROUPS = "DELETE FROM deployed_groups WHERE id = ANY($1) AND deployments = 0"
_READ_COUNTS = """
SELECT c.grouped, c.part, c.counts FROM unnest($1::int[], $2::int[]) AS asked(grouped, part)
JOIN deployed_counts AS c ON c.grouped = asked.grouped AND c.part = asked.part
"""
_UPSERT_COUNTS = """
INSERT INTO deployed_counts (grouped, part, counts) SELECT * FROM unnest($1::int[], $2::int[], $3::bytea[])
ON CONFLICT (grouped, part) DO UPDATE SET counts = excluded.counts
"""
_DELETE_COUNTS = """
DELETE FROM deployed_counts AS c USING unnest($1::int[], $2::int[]) AS gone(grouped, part)
WHERE c.grouped = gone.grouped AND c.part = gone.part
"""

Name = tuple[str, str]
"""origin, key"""
GroupName = tuple[str, str, str, str, str, bool]
"""solution, origin, audience, version, version_state, in_use"""


class WorkShare(NamedTuple):
    """The share of one deployment in its group."""

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
    """Groups of deployments, in a transaction that counts changes."""

    async def refresh(self, max_changes: int | None = None) -> int:
        """Count the next changes, ``WINDOW`` of them at most or so many. Returns how many are left."""
        connection = self._session.connection
        through, register, begun_at = await connection.fetchrow(_LOCK_INDEX)
        newest, changes_from = await connection.fetchrow(_READ_NEWEST)
        if register != index_edition() or (0 < through < changes_from and begun_at < changes_from):
            # The numbers of another edition mean other bodies; and a record that left is not seen when its
            # withdrawal has been dropped meanwhile. All is counted anew. (A withdrawal dropped before that
            # began concerns nothing that is counted since: else it would begin again for ever.)
            await connection.execute(_CLEAR)
            through = 0
        if through == 0:
            begun_at = changes_from
        until = min(newest, through + (max_changes or WINDOW))
        rows = await connection.fetch(_READ_CHANGES, through, until)
        for names in _by_size([row[1:] for row in rows if row[0] == "deployment"]):
            await self._change(names)
        for names in _by_size([row[1:] for row in rows if row[0] == "solution"]):
            await self._identify(names)
        await connection.execute(_ADVANCE, until, index_edition(), begun_at)
        return int(newest - until)

    async def _change(self, names: Sequence[Name]) -> None:
        """Count deployments as they are now."""
        connection = self._session.connection
        before: dict[Name, WorkShare] = {}
        after: dict[Name, WorkShare] = {}
        for part in _by_rows(names):
            columns = [origin for origin, _ in part], [key for _, key in part]
            shares = await connection.fetch(_READ_SHARES, *columns)
            before |= {(row[0], row[1]): WorkShare(*row[2:]) for row in shares}
            after |= await self._shares(await connection.fetch(_READ_DOCUMENTS, Deployment.type, *columns))
        changed = [name for name in names if before.get(name) != after.get(name)]
        if not changed:
            return
        await self._change_groups(
            [before[name] for name in changed if name in before],
            [after[name] for name in changed if name in after],
        )
        if removed := [name for name in changed if name not in after]:
            await connection.execute(_DELETE_SHARES, *_columns(removed))
        for part_ in _by_rows([(*name, *after[name]) for name in changed if name in after]):
            await connection.execute(_UPSERT_SHARES, *_columns(part_))

    async def _identify(self, names: Sequence[Name]) -> None:
        """Replace the identifiers of solutions by those in their records now."""
        connection = self._session.connection
        columns = _columns(names)
        rows: list[tuple[str, str, str, str]] = []
        documents = await connection.fetch(_READ_DOCUMENTS, Solution.type, *columns)
        for origin, key, audience, document, understood in documents:
            named = _identifiers(origin, key, document) if understood else None
            if named is None:
                named = partial_identifiers(document, origin, key)
            rows += [(origin, key, identifier, audience) for identifier in named]
        await connection.execute(_DELETE_IDENTIFIERS, *columns)
        if rows:
            await connection.execute(_INSERT_IDENTIFIERS, *_columns(rows))

    async def _shares(self, rows: Sequence[Any]) -> dict[Name, WorkShare]:
        """The shares of these records as they are now."""
        deployments: dict[Name, tuple[GroupName, Resolved]] = {}
        for n, (origin, key, audience, document, understood) in enumerate(rows):
            if not n % TURN_DEPLOYMENTS:
                await asyncio.sleep(0)
            content = _content(origin, key, document) if understood else None
            if content is not None:
                in_use = content.status in IN_USE
                group = (
                    content.solution, origin, audience, content.version, content.version_state, in_use,
                )  # fmt: skip
                deployments[origin, key] = group, resolve(content.coverage)
            else:
                # Its state may be one in which it is affected: it is in use, in a version that is not known.
                partial = partial_deployment(document)
                group = partial.solution, origin, audience, "", NOT_UNDERSTOOD, True
                covered = resolve(partial.coverage) if partial.coverage is not None else Resolved()
                deployments[origin, key] = group, covered
        groups = await self._open_groups({group for group, _ in deployments.values()})
        elsewhere = await self._open_elsewhere(
            {name for _, covered in deployments.values() for name in covered.elsewhere}
        )
        return {
            name: WorkShare(
                groups[group],
                write_numbers((*covered.tokens, *sorted(~elsewhere[body] for body in covered.elsewhere))),
                covered.counted,
                covered.areas,
            )
            for name, (group, covered) in deployments.items()
        }

    async def _open_groups(self, names: set[GroupName]) -> dict[GroupName, int]:
        if not names:
            return {}
        rows = await self._session.connection.fetch(_OPEN_GROUPS, *_columns(sorted(names)))
        return {tuple(row[1:]): row[0] for row in rows}

    async def _open_elsewhere(self, names: set[str]) -> dict[str, int]:
        if not names:
            return {}
        rows = await self._session.connection.fetch(_OPEN_ELSEWHERE, sorted(names))
        return {row[0]: row[1] for row in rows}

    async def _change_groups(self, subtracted: Sequence[WorkShare], added: Sequence[WorkShare]) -> None:
        connection = self._session.connection
        ids = sorted({share.group for share in (*subtracted, *added)})
        rows = await connection.fetch(_READ_GROUPS, ids)
        sums = {row[0]: [row[1], row[2], row[3]] for row in rows}
        sets = {row[0]: (bytearray(row[4]), bytearray(row[5])) for row in rows}
        changes: dict[tuple[int, int], Counter[int]] = {}
        for sign, shares in ((-1, subtracted), (1, added)):
            for n, share in enumerate(shares):
                if not n % TURN_DEPLOYMENTS:
                    await asyncio.sleep(0)
                group = sums[share.group]
                group[0] += sign
                group[1] += sign * share.counted
                group[2] += sign * share.areas
                for number in read_numbers(share.numbers):
                    changes.setdefault((share.group, number >> PART_BITS), Counter())[number] += sign
        for (id_, number), is_covered in (await self._change_counts(changes)).items():
            mark(sets[id_][number < 0], number if number >= 0 else ~number, is_in=is_covered)
        groups = [(id_, *values, *map(bytes, sets[id_])) for id_, values in sums.items()]
        await connection.execute(_UPDATE_GROUPS, *_columns(groups))
        await connection.execute(_DELETE_EMPTY_GROUPS, ids)

    async def _change_counts(
        self, changes: Mapping[tuple[int, int], Counter[int]]
    ) -> dict[tuple[int, int], bool]:
        """Change the counts of bodies, by (group, part).

        Returns (group, number) of the bodies that are covered now and were not, or no longer are.
        """
        connection = self._session.connection
        turned: dict[tuple[int, int], bool] = {}
        for parts in _by_rows(sorted(changes)):
            rows = await connection.fetch(_READ_COUNTS, *_columns(parts))
            before = {(row[0], row[1]): row[2] for row in rows}
            changed: list[tuple[int, int, bytes]] = []
            emptied: list[tuple[int, int]] = []
            for n, part in enumerate(parts):
                if not n % TURN_DEPLOYMENTS:
                    await asyncio.sleep(0)
                counts = read_counts(before[part]) if part in before else {}
                for number, change in changes[part].items():
                    count = counts.get(number, 0)
                    counts[number] = count + change
                    if bool(count) != bool(counts[number]):
                        turned[part[0], number] = bool(counts[number])
                positive = {number: count for number, count in counts.items() if count}
                if positive:
                    changed.append((*part, write_counts(positive)))
                elif part in before:
                    emptied.append(part)
            if changed:
                await connection.execute(_UPSERT_COUNTS, *_columns(changed))
            if emptied:
                await connection.execute(_DELETE_COUNTS, *_columns(emptied))
        return turned


def _content(origin: str, key: str, document: bytes) -> _Content | None:
    """The content of a deployment that is understood; None where it cannot be read all the same."""
    try:
        return _decoder.decode(document).content
    except msgspec.MsgspecError:
        # It was verified when it came. Whatever it is now, it counts as one that is not understood.
        log.exception("a deployment cannot be read", extra={"record": f"deployment {origin}/{key}"})
        return None


def _identifiers(origin: str, key: str, document: bytes) -> tuple[str, ...] | None:
    """The identifiers of a solution that is understood; None where it cannot be read all the same."""
    try:
        return identifiers(_solution_decoder.decode(document))
    except msgspec.MsgspecError:
        log.exception("a solution cannot be read", extra={"record": f"solution {origin}/{key}"})
        return None


def _columns(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """The columns of rows, as ``unnest`` takes them."""
    return [list(values) for values in zip(*rows, strict=True)]


def _by_size(rows: Sequence[Any]) -> Iterable[list[Name]]:
    """Names in parts whose documents are of ``WINDOW_BYTES`` together, or a single one of more."""
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


def _by_rows(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Rows in parts that one statement takes."""
    for start in range(0, len(rows), STATEMENT_ROWS):
        yield rows[start : start + STATEMENT_ROWS]
