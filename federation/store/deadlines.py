"""Regulatory clocks at rest: the operator's own, in no feed."""

from __future__ import annotations

import msgspec
from sqlalchemy import LargeBinary, Text, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from federation.domain.deadline import ReportingDeadline
from federation.store.statements import Session, Statement, param
from federation.store.tables import clocks

MAX_DEADLINES = 1_000
"""Clocks that there can be: all of them are listed."""
_ALL = Statement(select(clocks.c.key, clocks.c.clock).order_by(clocks.c.key).limit(MAX_DEADLINES))
_ONE = Statement(select(clocks.c.clock).where(clocks.c.key == param("key", Text)))
_KEEP = Statement(
    insert(clocks)
    .values(key=param("key", Text), clock=param("clock", LargeBinary))
    .on_conflict_do_update(
        index_elements=["key"], set_={"clock": param("clock", LargeBinary), "updated_at": func.now()}
    )
)
_DROP = Statement(delete(clocks).where(clocks.c.key == param("key", Text)))
_decoder = msgspec.json.Decoder(ReportingDeadline)


class DeadlinesReader:
    """The clocks of this operator; who asks has been found to be its own."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def all(self) -> tuple[tuple[str, ReportingDeadline], ...]:
        return tuple((row[0], _decoder.decode(row[1])) for row in await self._session.all(_ALL))

    async def find(self, key: str) -> ReportingDeadline | None:
        stored = await self._session.value(_ONE, key=key)
        return _decoder.decode(stored) if stored is not None else None


class DeadlinesWriter(DeadlinesReader):
    """The clocks of this operator, in a transaction that may change them."""

    async def lock(self, key: str) -> ReportingDeadline | None:
        """A clock as it is, and stays until the commit; there is none more meanwhile, either."""
        await self._session.connection.execute("LOCK TABLE clocks IN SHARE ROW EXCLUSIVE MODE")
        return await self.find(key)

    async def count(self) -> int:
        return int(await self._session.connection.fetchval("SELECT count(*) FROM clocks"))

    async def keep(self, key: str, clock: ReportingDeadline) -> None:
        await self._session.run(_KEEP, key=key, clock=msgspec.json.encode(clock, order="sorted"))

    async def drop(self, key: str) -> bool:
        return await self._session.run(_DROP, key=key) == 1
