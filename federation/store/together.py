"""Reads that do not wait for each other: their statements are sent to the database as one.

1. Each read is a task. All of them have readers over one joint session.
2. A read that runs a statement leaves it with the session and waits.
3. When every read waits, the session runs the statements that were left as the parts of a single one: one
   round trip, and one snapshot. Each read gets the rows of its part, and goes on to its next statement.

So reads that take three statements each, one after the other, take three together and not nine. A part is the
statement as it is, with its own condition of visibility. A statement that no other waits with is run alone.

    async with Together(tx) as reads:
        feeds = reads.start(reads.tx.feeds.all())
        found = reads.start(reads.tx.records.find("incident", "arnia", "cve", visible_to=by))
    feeds.result()

A read that waits for something else than the database makes the others wait, too, and holds their connection.
A statement must have columns of types that asyncpg knows within a row: no ``jsonb``, no arrays but of text.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from functools import lru_cache
from typing import Any, NamedTuple, Self, TypeVar

from federation.store.database import Reading
from federation.store.statements import Session, Statement

Result = TypeVar("Result")
_PLACEHOLDER = re.compile(r"\$([0-9]+)")


class Together:
    """A block of reads; it ends when all of them have. The first error of one ends the others, and the block.

    Within a read of another block its reads join that one's.
    """

    def __init__(self, tx: Reading) -> None:
        session = tx.session
        self._is_within = isinstance(session, _JointSession)
        self._joint = session if isinstance(session, _JointSession) else _JointSession(session)
        self.tx = tx if self._is_within else Reading(self._joint)
        """The readers for the reads of the block."""
        self._tasks: list[asyncio.Task[Any]] = []
        self._unfinished = 0
        self._waits = False
        """True while the block itself waits for its reads, and for nothing else."""

    async def __aenter__(self) -> Self:
        return self

    def start(self, read: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Add a read. It has its result when the block has ended."""
        task = asyncio.create_task(read)
        self._tasks.append(task)
        self._unfinished += 1
        self._joint.running += 1

        def finish(_: object) -> None:
            read.close()  # (one that was ended before it began)
            self._unfinished -= 1
            if self._unfinished or not self._waits:
                self._joint.running -= 1
                self._joint.run_if_all_wait()
            else:
                self._waits = False  # the last read leaves its turn to the block

        task.add_done_callback(finish)
        return task

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            if error is None and self._unfinished:
                self._waits = True
                self._joint.running -= 1
                self._joint.run_if_all_wait()
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if not self._is_within:
                await self._joint.end()
        if error is None:
            for task in sorted(self._tasks, key=asyncio.Task.cancelled):  # an error before those it ended
                task.result()


class _Part(NamedTuple):
    """A statement that was left, and the rows that its read waits for."""

    text: str
    values: tuple[Any, ...]
    columns: tuple[str, ...]
    rows: asyncio.Future[list[Any]]


class _JointSession(Session):
    """Collects the statements of reads until all of them wait. It is a connection, too, that only fetches."""

    def __init__(self, session: Session) -> None:
        super().__init__(self, session.stats)
        self._real = session.connection
        self.running = 1
        """The outer block and reads that have not ended, those that wait for reads of their own aside."""
        self._waiting: list[_Part] = []
        self._statement: asyncio.Task[None] | None = None

    @property
    def direct(self) -> Any:
        return self._real

    async def all(self, statement: Statement, /, **values: Any) -> list[Any]:
        return await self._leave(statement.text, tuple(statement.arguments(values)), statement.columns)

    async def one(self, statement: Statement, /, **values: Any) -> Any | None:
        rows = await self.all(statement, **values)
        return rows[0] if rows else None

    async def value(self, statement: Statement, /, **values: Any) -> Any | None:
        row = await self.one(statement, **values)
        return None if row is None else row[0]

    async def fetch(self, text: str, *values: Any) -> list[Any]:
        return await self._leave(text, values, ())

    async def fetchrow(self, text: str, *values: Any) -> Any | None:
        rows = await self.fetch(text, *values)
        return rows[0] if rows else None

    async def fetchval(self, text: str, *values: Any) -> Any | None:
        row = await self.fetchrow(text, *values)
        return None if row is None else row[0]

    async def _leave(self, text: str, values: tuple[Any, ...], columns: tuple[str, ...]) -> list[Any]:
        part = _Part(text, values, columns, asyncio.get_running_loop().create_future())
        self._waiting.append(part)
        self.run_if_all_wait()
        try:
            return await part.rows
        finally:
            # (A read that was ended before its statement was sent.)
            self._waiting = [waiting for waiting in self._waiting if waiting is not part]

    def run_if_all_wait(self) -> None:
        """Send what was left, if nobody else is going to leave something first."""
        if self._waiting and len(self._waiting) == self.running:
            parts, self._waiting = self._waiting, []
            self._statement = asyncio.create_task(self._run(parts))

    async def end(self) -> None:
        """Leave the connection free for others."""
        if self._statement is not None:
            self._statement.cancel()
            await asyncio.gather(self._statement, return_exceptions=True)

    async def _run(self, parts: list[_Part]) -> None:
        try:
            results = await self._fetch_all(parts)
        except BaseException as error:
            for part in parts:
                if not part.rows.done():
                    if isinstance(error, asyncio.CancelledError):
                        part.rows.cancel()
                    else:
                        part.rows.set_exception(error)
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        for part, rows in zip(parts, results, strict=True):
            if not part.rows.done():
                part.rows.set_result(rows)

    async def _fetch_all(self, parts: list[_Part]) -> list[list[Any]]:
        if len(parts) == 1:
            return [await self._real.fetch(parts[0].text, *parts[0].values)]
        text = joint_text(tuple((part.text, len(part.values)) for part in parts))
        results: list[list[Any]] = [[] for _ in parts]
        row_types = [_row_type(part.columns) for part in parts]
        for number, row in await self._real.fetch(text, *(value for part in parts for value in part.values)):
            results[number].append(row_types[number](row))
        return results


@lru_cache(maxsize=256)
def joint_text(parts: tuple[tuple[str, int], ...]) -> str:
    """One statement of several, given with the number of their parameters: rows (number of part, row)."""
    texts, first = [], 0
    for number, (text, parameters) in enumerate(parts):
        name, inner = f"part_{number}", _renumbered(text, first)
        texts.append(f"SELECT {number} AS part, ROW({name}.*) AS fields FROM (\n{inner}\n) AS {name}")
        first += parameters
    return "\nUNION ALL\n".join(texts)


def _renumbered(text: str, by: int) -> str:
    return _PLACEHOLDER.sub(lambda found: f"${int(found[1]) + by}", text)


@lru_cache(maxsize=512)
def _row_type(columns: tuple[str, ...]) -> type[tuple[Any, ...]]:
    """Rows whose fields are found by their places, and by their names as far as these are known."""
    if not columns:
        return tuple
    places = {name: place for place, name in enumerate(columns)}

    class Row(tuple[Any, ...]):
        __slots__ = ()

        def __getitem__(self, place: Any) -> Any:
            return super().__getitem__(places[place] if isinstance(place, str) else place)

    return Row
