"""Peers at rest."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Text, delete, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from federation.domain.peer import Peer, PeerState
from federation.store.statements import Session, Statement, param
from federation.store.tables import Moment, invitations, node, peers

_COLUMNS = (
    peers.c.operator, peers.c.url, peers.c.name, peers.c.state, peers.c["keys"], peers.c.thumbprint,
    peers.c.added_at, peers.c.contacted_at, peers.c.failures, peers.c.failure, peers.c.next_try_at,
    peers.c.private,
)  # fmt: skip
_ALL = Statement(select(*_COLUMNS).order_by(peers.c.operator))
_by_operator = select(*_COLUMNS).where(peers.c.operator == param("operator", Text))
_ONE = Statement(_by_operator)
_VALUES = {
    "operator": param("operator", Text),
    "url": param("url", Text),
    "name": param("name", Text),
    "state": param("state", Text),
    "keys": param("keys", JSONB),
    "thumbprint": param("thumbprint", Text),
    "private": param("private"),
}
_ADD = Statement(
    (_adding := insert(peers).values(**_VALUES)).on_conflict_do_update(
        index_elements=["operator"],
        set_={
            **{name: _adding.excluded[name] for name in _VALUES if name != "operator"},
            "added_at": func.now(),
            "failures": 0,
            "failure": None,
            "next_try_at": None,
        },
    )
)
_LOCK = Statement(_by_operator.with_for_update())
_BE = Statement(
    update(peers)
    .where(peers.c.operator == param("operator", Text))
    .values(state=param("state", Text), failures=0, failure=None, next_try_at=None)
)
_MAY_READ_KEYS = Statement(
    update(peers)
    .where(
        peers.c.operator == param("operator", Text),
        peers.c.keys_read_at.is_(None) | (peers.c.keys_read_at < param("before", Moment)),
    )
    .values(keys_read_at=param("now", Moment))
)
_KEEP_KEYS = Statement(
    update(peers)
    .where(peers.c.operator == param("operator", Text))
    .values({"keys": param("keys", JSONB), "thumbprint": param("thumbprint", Text)})
)
_INVITE = Statement(
    insert(invitations).values(
        secret_hash=param("secret_hash", invitations.c.secret_hash.type),
        note=param("note", Text),
        private=param("private"),
        expires_at=param("expires_at", Moment),
    )
)
_USE_INVITATION = Statement(
    update(invitations)
    .where(
        invitations.c.secret_hash == param("secret_hash", invitations.c.secret_hash.type),
        ~invitations.c.used,
        invitations.c.expires_at > param("now", Moment),
    )
    .values(used=True, used_by=param("operator", Text))
    .returning(invitations.c.private)
)
_INVITED = Statement(
    select(invitations.c.note, invitations.c.created_at, invitations.c.expires_at)
    .where(~invitations.c.used, invitations.c.expires_at > func.now())
    .order_by(invitations.c.created_at)
    .limit(1_000)
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


class StoredInvitation(msgspec.Struct, frozen=True):
    """An invitation that nobody has used yet."""

    note: str
    created_at: datetime
    expires_at: datetime


class PeersReader:
    """The peers of this node."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def all(self) -> tuple[Peer, ...]:
        return tuple(_peer(row) for row in await self._session.all(_ALL))

    async def find(self, operator: str) -> Peer | None:
        row = await self._session.one(_ONE, operator=operator)
        return _peer(row) if row else None

    async def invitations(self) -> tuple[StoredInvitation, ...]:
        """Invitations that can still be used, a thousand at most."""
        return tuple(StoredInvitation(*row) for row in await self._session.all(_INVITED))


class PeersWriter(PeersReader):
    """The peers of this node, in a transaction that may change them."""

    async def lock(self, operator: str) -> Peer | None:
        """The peer, and nobody else changes it until the commit."""
        row = await self._session.one(_LOCK, operator=operator)
        return _peer(row) if row else None

    async def set_state(self, operator: str, state: PeerState) -> None:
        """Change its state; every process refuses or accepts it within a second."""
        await self._session.run(_BE, operator=operator, state=state)
        await self._session.run(_TRUST_CHANGED)

    async def may_read_keys(self, operator: str, now: datetime, every: timedelta) -> bool:
        """Whether its key set may be asked for again: True once in so long, over all processes."""
        return (await self._session.run(_MAY_READ_KEYS, operator=operator, now=now, before=now - every)) == 1

    async def keep_keys(self, operator: str, keys: dict[str, Any], thumbprint: str) -> None:
        await self._session.run(_KEEP_KEYS, operator=operator, keys=keys, thumbprint=thumbprint)
        await self._session.run(_TRUST_CHANGED)

    async def invite(self, secret_hash: bytes, note: str, expires_at: datetime, *, private: bool) -> None:
        await self._session.run(
            _INVITE, secret_hash=secret_hash, note=note, expires_at=expires_at, private=private
        )

    async def use_invitation(self, secret_hash: bytes, operator: str, now: datetime) -> bool | None:
        """Use an invitation, once: whether it allows private addresses; None when it does not hold."""
        row = await self._session.one(_USE_INVITATION, secret_hash=secret_hash, operator=operator, now=now)
        return None if row is None else bool(row[0])

    async def add(self, peer: Peer) -> None:
        """Keep a peer, in the place of what was known of its operator."""
        await self._session.run(
            _ADD,
            operator=peer.operator,
            url=peer.url,
            name=peer.name,
            state=peer.state,
            keys=peer.keys,
            thumbprint=peer.thumbprint,
            private=peer.private,
        )
        await self._session.run(_TRUST_CHANGED)

    async def remove(self, operator: str) -> bool:
        gone = await self._session.run(_REMOVE, operator=operator)
        await self._session.run(_TRUST_CHANGED)
        return gone == 1

    async def mark_answered(self, operator: str) -> None:
        """It answered as it should."""
        await self._session.run(_ANSWERED, operator=operator)

    async def mark_failed(self, operator: str, why: str, next_try_at: datetime) -> None:
        await self._session.run(_FAILED, operator=operator, why=why[:500], next_try_at=next_try_at)


def _peer(row: Any) -> Peer:
    return Peer(**dict(row))
