"""Peers and invitations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Integer, Text, delete, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from federation.domain.invitation import InvitationView
from federation.domain.peer import Peer, PeerContact, PeerState
from federation.domain.values import as_instant
from federation.store.statements import Session, Statement, param
from federation.store.tables import Moment, invitations, peers
from federation.store.trust import COUNT_TRUST_CHANGE

_COLUMNS = (
    peers.c.operator, peers.c.url, peers.c.name, peers.c.state, peers.c["keys"], peers.c.thumbprint,
    peers.c.added_at, peers.c.contacted_at, peers.c.failures, peers.c.failure, peers.c.next_try_at,
    peers.c.private, peers.c.clock_difference,
)  # fmt: skip
_LIST = Statement(select(*_COLUMNS).order_by(peers.c.operator))
_CONTACTS = Statement(
    select(peers.c.operator, peers.c.state, peers.c.contacted_at).order_by(peers.c.operator)
)
_by_operator = select(*_COLUMNS).where(peers.c.operator == param("operator", Text))
_FIND = Statement(_by_operator)
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
_SET_STATE = Statement(
    update(peers)
    .where(peers.c.operator == param("operator", Text))
    .values(state=param("state", Text), failures=0, failure=None, next_try_at=None)
)
_ALLOW_PRIVATE = Statement(
    update(peers).where(peers.c.operator == param("operator", Text)).values(private=True)
)
_CLAIM_KEY_READ = Statement(
    update(peers)
    .where(
        peers.c.operator == param("operator", Text),
        peers.c.keys_read_at.is_(None) | (peers.c.keys_read_at < param("before", Moment)),
    )
    .values(keys_read_at=param("at", Moment))
)
_STORE_KEYS = Statement(
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
        invitations.c.expires_at > param("at", Moment),
    )
    .values(used=True, used_by=param("operator", Text))
    .returning(invitations.c.private)
)
_LIST_INVITATIONS = Statement(
    select(invitations.c.note, invitations.c.created_at, invitations.c.expires_at)
    .where(~invitations.c.used, invitations.c.expires_at > func.now())
    .order_by(invitations.c.created_at)
    .limit(1_000)
)
_REMOVE = Statement(delete(peers).where(peers.c.operator == param("operator", Text)))
_NOTE_ANSWERS = """
UPDATE peers
SET contacted_at = now(), failures = 0, failure = NULL, next_try_at = NULL,
    clock_difference = answered.clock_difference
FROM unnest($1::text[], $2::integer[]) AS answered(operator, clock_difference)
WHERE peers.operator = answered.operator
"""
_RETRY = Statement(update(peers).where(peers.c.operator == param("operator", Text)).values(next_try_at=None))
_NOTE_FAILURE = Statement(
    update(peers)
    .where(peers.c.operator == param("operator", Text))
    .values(
        failures=param("failures", Integer),
        failure=param("reason", Text),
        next_try_at=param("next_try_at", Moment),
        clock_difference=param("clock_difference", Integer),
    )
)


class PeersReader:
    """The peers of this node, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def all(self) -> tuple[Peer, ...]:
        return tuple(_peer(row) for row in await self._session.all(_LIST))

    async def contacts(self) -> tuple[PeerContact, ...]:
        """The state of each peer, and the last contact with it."""
        return tuple(PeerContact(*row) for row in await self._session.all(_CONTACTS))

    async def find(self, operator: str) -> Peer | None:
        row = await self._session.one(_FIND, operator=operator)
        return _peer(row) if row else None

    async def invitations(self) -> tuple[InvitationView, ...]:
        """Invitations that can still be used, a thousand at most."""
        rows = await self._session.all(_LIST_INVITATIONS)
        return tuple(InvitationView(row[0], as_instant(row[1]), as_instant(row[2])) for row in rows)


class PeersWriter(PeersReader):
    """The peers of this node, in a transaction that may change them."""

    async def lock(self, operator: str) -> Peer | None:
        """The peer, locked until the commit."""
        row = await self._session.one(_LOCK, operator=operator)
        return _peer(row) if row else None

    async def set_state(self, operator: str, state: PeerState) -> None:
        """Change its state; every process refuses or accepts it within a second."""
        await self._session.run(_SET_STATE, operator=operator, state=state)
        await self._session.run(COUNT_TRUST_CHANGE)

    async def allow_private(self, operator: str) -> None:
        """Let a peer's node be at an address that is not public."""
        await self._session.run(_ALLOW_PRIVATE, operator=operator)

    async def may_read_keys(self, operator: str, at: datetime, every: timedelta) -> bool:
        """Claim the next read of its key set: True once in ``every``, over all processes."""
        return (await self._session.run(_CLAIM_KEY_READ, operator=operator, at=at, before=at - every)) == 1

    async def store_keys(self, operator: str, keys: dict[str, Any], thumbprint: str) -> None:
        await self._session.run(_STORE_KEYS, operator=operator, keys=keys, thumbprint=thumbprint)
        await self._session.run(COUNT_TRUST_CHANGE)

    async def invite(self, secret_hash: bytes, note: str, expires_at: datetime, *, private: bool) -> None:
        await self._session.run(
            _INVITE, secret_hash=secret_hash, note=note, expires_at=expires_at, private=private
        )

    async def use_invitation(self, secret_hash: bytes, operator: str, at: datetime) -> bool | None:
        """Use an invitation, once. Returns True if it allows private addresses; None when it is not valid."""
        row = await self._session.one(_USE_INVITATION, secret_hash=secret_hash, operator=operator, at=at)
        return None if row is None else bool(row[0])

    async def add(self, peer: Peer) -> None:
        """Store a peer, in place of an earlier one of its operator."""
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
        await self._session.run(COUNT_TRUST_CHANGE)

    async def remove(self, operator: str) -> bool:
        removed = await self._session.run(_REMOVE, operator=operator)
        await self._session.run(COUNT_TRUST_CHANGE)
        return removed == 1

    async def note_answers(self, clock_differences: Mapping[str, int | None]) -> None:
        """Note a valid answer of each of these peers, and forget earlier failures."""
        await self._session.connection.execute(
            _NOTE_ANSWERS, list(clock_differences), list(clock_differences.values())
        )

    async def note_failure(
        self,
        operator: str,
        reason: str,
        next_try_at: datetime,
        *,
        failures: int = 1,
        clock_difference: int | None = None,
    ) -> None:
        """Note why a peer did not answer as it should, so often in a row, and when it is asked again."""
        await self._session.run(
            _NOTE_FAILURE,
            operator=operator,
            reason=reason[:500],
            next_try_at=next_try_at,
            failures=failures,
            clock_difference=clock_difference,
        )

    async def retry(self, operator: str) -> None:
        """Let the process that follows a peer ask it at once."""
        await self._session.run(_RETRY, operator=operator)
        await self._session.run(COUNT_TRUST_CHANGE)


def _peer(row: Any) -> Peer:
    return Peer(**dict(row))
