"""Statements to the database that a page takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import asyncpg

from federation.store import column_stats


class Statements(list[str]):
    """The statements that were run within the block, in their order."""

    def __str__(self) -> str:
        return "\n\n".join(self)


_counting: ContextVar[Statements | None] = ContextVar("counting", default=None)


@contextmanager
def counted() -> Iterator[Statements]:
    """Count the statements of this task within a block, those that begin and end a transaction aside.

    Tasks that the node has started before count for nothing: they look for changes now and then. Nor does
    the look at statistics that one request takes for all, every ten seconds (``store/column_stats.py``).
    """
    statements = Statements()
    run = asyncpg.Connection._execute

    async def note(self: Any, query: str, *values: Any, **options: Any) -> Any:
        if (noted := _counting.get()) is not None and query != column_stats._STATISTICS:
            noted.append(query)
        return await run(self, query, *values, **options)

    asyncpg.Connection._execute = note
    token = _counting.set(statements)
    try:
        yield statements
    finally:
        _counting.reset(token)
        asyncpg.Connection._execute = run
