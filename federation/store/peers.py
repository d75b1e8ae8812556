"""Peers at rest."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Text, delete, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from federation.domain.peer import Peer
from federation.store.statements import Session, Statement, param
from federation.store.tables import Moment, node, peers

_COLUMNS = (
    peers.c.operator, peers.c.url, peers.c.name, peers.c.state, peers.c["keys"], peers.c.thumbprint,
    peers.c.added_at, peers.c.contacted_at, peers.c.failures, peers.c.failure, peers.c.next_try_at,
)  # fmt: skip
_ALL = Statement(select(*_COLUMNS).order_by(peers.c.operator))
_ONE = Statement(select(*_COLUMNS).where(peers.c.operator == param("operator", Text)))
_ADD = Statement(
    insert(peers).values(
        operator=param("operator", Text),
        url=param("url", Text),
        name=param("name", Text),
        state=param("state", Text),
        keys=param("keys", JSONB),
        thumbprint=param("thumbprint", Text),
    )
)
_REMOVE = Statement(delete(peers).where(peers.c.operator == param("operator", Text)))
_ANSWERED = Statement(
    update(peers)
    .where(peers.c.operator == param("operator", Text))
    .values(contacted_at=func.now(), failures=0, failure=None, next_try_at=None)
)
_FAILED = Statement(
    update(peers)
    .where(peers.c.operator == param("operator", Text))
    .values(
        failures=peers.c.failures + 1, failure=param("why", Text), next_try_at=param("next_try_at", Moment)
    )
)
_TRUST_CHANGED = Statement(update(node).values(trust=node.c.trust + 1))


class PeersReader:
    """The peers of this node."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def all(self) -> tuple[Peer, ...]:
        return tuple(_peer(row) for row in await self._session.all(_ALL))

    async def find(self, operator: str) -> Peer | None:
        row = await self._session.one(_ONE, operator=operator)
        return _peer(row) if row else None


class PeersWriter(PeersReader):
    """The peers of this node, in a transaction that may change them."""

    async def add(self, peer: Peer) -> None:
        await self._session.run(
            _ADD,
            operator=peer.operator,
            url=peer.url,
            name=peer.name,
            state=peer.state,
            keys=peer.keys,
            thumbprint=peer.thumbprint,
        )
        await self._session.run(_TRUST_CHANGED)

    async def remove(self, operator: str) -> bool:
        gone = await self._session.run(_REMOVE, operator=operator)
        await self._session.run(_TRUST_CHANGED)
        return gone == 1

    async def answered(self, operator: str) -> None:
        """It answered as it should."""
        await self._session.run(_ANSWERED, operator=operator)

    async def failed(self, operator: str, why: str, next_try_at: datetime) -> None:
        await self._session.run(_FAILED, operator=operator, why=why[:500], next_try_at=next_try_at)


def _peer(row: Any) -> Peer:
    return Peer(**dict(row))
