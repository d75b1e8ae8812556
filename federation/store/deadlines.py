"""The operator's reporting deadlines, stored; they are in no feed."""

from __future__ import annotations

import msgspec
from sqlalchemy import LargeBinary, Text, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from federation.domain.deadline import ReportingDeadline
from federation.store.statements import Session, Statement, param
from federation.store.tables import deadlines

MAX_DEADLINES = 1_000
"""Deadlines that there can be: all of them are listed."""
_ALL = Statement(select(deadlines.c.key, deadlines.c.deadline).order_by(deadlines.c.key).limit(MAX_DEADLINES))
_ONE = Statement(select(deadlines.c.deadline).where(deadlines.c.key == param("key", Text)))
_UPSERT = Statement(
    insert(deadlines)
    .values(key=param("key", Text), deadline=param("deadline", LargeBinary))
    .on_conflict_do_update(
        index_elements=["key"], set_={"deadline": param("deadline", LargeBinary), "updated_at": func.now()}
    )
)
_DELETE = Statement(delete(deadlines).where(deadlines.c.key == param("key", Text)))
_decoder = msgspec.json.Decoder(ReportingDeadline)


class DeadlinesReader:
    """The deadlines of this operator; the caller has been found to be its own."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def all(self) -> tuple[tuple[str, ReportingDeadline], ...]:
        return tuple((row[0], _decoder.decode(row[1])) for row in await self._session.all(_ALL))

    async def find(self, key: str) -> ReportingDeadline | None:
        stored = await self._session.value(_ONE, key=key)
        return _decoder.decode(stored) if stored is not None else None


class DeadlinesWriter(DeadlinesReader):
    """The deadlines of this operator, in a transaction that may change them."""

    async def lock(self, key: str) -> ReportingDeadline | None:
        """A deadline as it is, and stays until the commit; none is added meanwhile, either."""
        await self._session.connection.execute("LOCK TABLE deadlines IN SHARE ROW EXCLUSIVE MODE")
        return await self.find(key)

    async def count(self) -> int:
        return int(await self._session.connection.fetchval("SELECT count(*) FROM deadlines"))

    async def upsert(self, key: str, deadline: ReportingDeadline) -> None:
        await self._session.run(_UPSERT, key=key, deadline=msgspec.json.encode(deadline, order="sorted"))

    async def delete(self, key: str) -> bool:
        return await self._session.run(_DELETE, key=key) == 1
