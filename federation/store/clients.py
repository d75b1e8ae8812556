"""OAuth2 clients of the operator's own IT systems, the node's keys, and assertions used."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Text, delete, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from federation.store.statements import Session, Statement, param
from federation.store.tables import Moment, assertions, clients, keys, node


class Client(msgspec.Struct, frozen=True):
    """One of the operator's own IT systems. Its secret is known by its hash only."""

    id: str
    name: str
    secret_hash: bytes
    scopes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None


_COLUMNS = (
    clients.c.id, clients.c.name, clients.c.secret_hash, clients.c.scopes,
    clients.c.created_at, clients.c.revoked_at,
)  # fmt: skip
_ALL = Statement(select(*_COLUMNS).order_by(clients.c.created_at))
_ONE = Statement(select(*_COLUMNS).where(clients.c.id == param("id", Text)))
_ADD = Statement(
    insert(clients).values(
        id=param("id", Text),
        name=param("name", Text),
        secret_hash=param("secret_hash", clients.c.secret_hash.type),
        scopes=param("scopes", ARRAY(Text)),
    )
)
_REVOKE = Statement(
    update(clients)
    .where(
        (clients.c.id == param("name", Text)) | (clients.c.name == param("name", Text)),
        clients.c.revoked_at.is_(None),
    )
    .values(revoked_at=func.now())
)
_TRUST_CHANGED = Statement(update(node).values(trust=node.c.trust + 1))
_KEYS = Statement(select(keys.c.jwk).order_by(keys.c.created_at.desc()))
_ADD_KEY = Statement(insert(keys).values(kid=param("kid", Text), jwk=param("jwk", JSONB)))
_USE = Statement(
    insert(assertions)
    .values(
        fingerprint=param("fingerprint", assertions.c.fingerprint.type),
        expires_at=param("expires_at", Moment),
    )
    .on_conflict_do_nothing()
)
_FORGET = Statement(delete(assertions).where(assertions.c.expires_at < func.now()))


class ClientsReader:
    """Clients and keys."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def all(self) -> tuple[Client, ...]:
        return tuple(_client(row) for row in await self._session.all(_ALL))

    async def find(self, client_id: str) -> Client | None:
        row = await self._session.one(_ONE, id=client_id)
        return _client(row) if row else None

    async def keys(self) -> list[dict[str, Any]]:
        """The node's private keys, newest first."""
        return [row[0] for row in await self._session.all(_KEYS)]


class ClientsWriter(ClientsReader):
    """Clients and keys, in a transaction that may change them."""

    async def add(self, client_id: str, name: str, secret_hash: bytes, scopes: tuple[str, ...]) -> None:
        await self._session.run(_ADD, id=client_id, name=name, secret_hash=secret_hash, scopes=list(scopes))

    async def revoke(self, name: str) -> bool:
        """Cut off the client of this id or name; its tokens are refused within a second."""
        gone = await self._session.run(_REVOKE, name=name)
        await self._session.run(_TRUST_CHANGED)
        return gone > 0

    async def lock_keys(self) -> None:
        """Let one process at a time mint the first key."""
        await self._session.connection.execute("SELECT pg_advisory_xact_lock(20261123)")

    async def add_key(self, kid: str, jwk: dict[str, Any]) -> None:
        await self._session.run(_ADD_KEY, kid=kid, jwk=jwk)

    async def use_assertion(self, fingerprint: bytes, expires_at: datetime) -> bool:
        """Note that an assertion was used; False if it was before."""
        return await self._session.run(_USE, fingerprint=fingerprint, expires_at=expires_at) == 1

    async def forget_assertions(self) -> int:
        """Drop assertions that have expired; they would be refused for that alone."""
        return await self._session.run(_FORGET)


def _client(row: Any) -> Client:
    return Client(row[0], row[1], row[2], tuple(row[3]), row[4], row[5])
