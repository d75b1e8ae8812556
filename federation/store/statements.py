"""Statements are written with SQLAlchemy Core and compiled once to the text that asyncpg runs.

Executing through SQLAlchemy's engine costs three quarters of the throughput of a read
(``docs/decisions/0003``), so the engine is used by migrations only.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BindParameter, bindparam
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.sql.expression import Executable, SelectBase

from federation.store.column_stats import ColumnStats

_dialect = asyncpg.dialect()  # type: ignore[no-untyped-call]


def param(name: str, type_: Any = None) -> BindParameter[Any]:
    """A parameter to be given a value when the statement is run."""
    return bindparam(name, type_=type_, required=False)


class Statement:
    """A compiled statement and the order in which it takes its named parameters."""

    __slots__ = ("_fixed", "_names", "columns", "text")

    def __init__(self, built: Executable) -> None:
        compiled: Any = built.compile(dialect=_dialect, compile_kwargs={"render_postcompile": True})  # type: ignore[attr-defined]
        self.text = str(compiled)
        self.columns: tuple[str, ...] = (
            tuple(built.selected_columns.keys()) if isinstance(built, SelectBase) else ()
        )
        """Names of the columns of its rows."""
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._fixed: dict[str, Any] = dict(compiled.params)

    def arguments(self, values: dict[str, Any]) -> list[Any]:
        """Positional arguments; parameters that are not named keep the value they were built with."""
        if stray := values.keys() - self._fixed.keys():
            raise TypeError(f"the statement has no parameter {', '.join(sorted(stray))}")
        return [values.get(name, self._fixed[name]) for name in self._names]


class Session:
    """A connection that runs statements, given to the readers and writers of this package."""

    __slots__ = ("connection", "stats")

    def __init__(self, connection: Any, stats: ColumnStats | None = None) -> None:
        self.connection = connection
        self.stats = stats
        """Frequent values of the records; None in a transaction that writes."""

    @property
    def direct(self) -> Any:
        """The connection itself, for a statement that is run at once and with no other."""
        return self.connection

    async def all(self, statement: Statement, /, **values: Any) -> list[Any]:
        rows: list[Any] = await self.connection.fetch(statement.text, *statement.arguments(values))
        return rows

    async def one(self, statement: Statement, /, **values: Any) -> Any | None:
        return await self.connection.fetchrow(statement.text, *statement.arguments(values))

    async def value(self, statement: Statement, /, **values: Any) -> Any | None:
        return await self.connection.fetchval(statement.text, *statement.arguments(values))

    async def run(self, statement: Statement, /, **values: Any) -> int:
        """Run it. Returns the number of rows that it changed."""
        tag: str = await self.connection.execute(statement.text, *statement.arguments(values))
        return int(tag.rsplit(" ", 1)[-1]) if tag[-1:].isdigit() else 0
