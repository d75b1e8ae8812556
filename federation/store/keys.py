"""The node's own signing keys."""

from __future__ import annotations

from sqlalchemy import Text, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from federation.domain.peer import OwnKey
from federation.store.statements import Session, Statement, param
from federation.store.tables import Moment, keys
from federation.store.trust import COUNT_TRUST_CHANGE

_LIST = Statement(
    select(keys.c.jwk, keys.c.use_from, keys.c.endorsement, keys.c.retired).order_by(
        keys.c.use_from.desc(), keys.c.created_at.desc()
    )
)
_ADD = Statement(
    insert(keys).values(
        kid=param("kid", Text),
        jwk=param("jwk", JSONB),
        use_from=param("use_from", Moment),
        endorsement=param("endorsement", Text),
    )
)
_RETIRE = Statement(
    update(keys)
    .where(keys.c.kid == param("kid", Text), ~keys.c.retired)
    .values(retired=True, jwk=keys.c.jwk.op("-")(literal("d", Text)))
)
_LOCK = "SELECT pg_advisory_xact_lock(20261123)"


class KeysReader:
    """The node's keys, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def all(self) -> list[OwnKey]:
        """The node's keys, newest first, retired ones included."""
        return [
            OwnKey(jwk=row[0], use_from=row[1], endorsement=row[2], retired=row[3])
            for row in await self._session.all(_LIST)
        ]


class KeysWriter(KeysReader):
    """The node's keys, in a transaction that may change them."""

    async def lock(self) -> None:
        """Let one process at a time mint a key, until the commit."""
        await self._session.connection.execute(_LOCK)

    async def add(self, key: OwnKey) -> None:
        await self._session.run(
            _ADD, kid=key.jwk["kid"], jwk=key.jwk, use_from=key.use_from, endorsement=key.endorsement
        )
        await self._session.run(COUNT_TRUST_CHANGE)

    async def retire(self, kid: str) -> bool:
        """Drop the private part of a key whose signatures have expired. False if it was retired before."""
        retired = await self._session.run(_RETIRE, kid=kid)
        if retired:
            await self._session.run(COUNT_TRUST_CHANGE)
        return retired > 0
