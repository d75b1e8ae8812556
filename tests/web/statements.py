"""Statements to the database that a page takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg


class Statements(list[str]):
    """The statements that were run within the block, in their order."""

    def __str__(self) -> str:
        return "\n\n".join(self)


@contextmanager
def counted() -> Iterator[Statements]:
    """Count the statements of this process within a block, those that begin and end a transaction aside."""
    statements = Statements()
    run = asyncpg.Connection._execute

    async def note(self: Any, query: str, *values: Any, **options: Any) -> Any:
        statements.append(query)
        return await run(self, query, *values, **options)

    asyncpg.Connection._execute = note
    try:
        yield statements
    finally:
        asyncpg.Connection._execute = run
