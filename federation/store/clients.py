"""OAuth2 clients of the operator's own IT systems."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Text, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from federation.store.statements import Session, Statement, param
from federation.store.tables import clients
from federation.store.trust import COUNT_TRUST_CHANGE


class Client(msgspec.Struct, frozen=True):
    """One of the operator's own IT systems. Its secret is known by its hash only."""

    id: str
    name: str
    secret_hash: bytes
    scopes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None
    former_secret_hash: bytes | None
    """The secret before this one, which is valid too."""


_COLUMNS = (
    clients.c.id, clients.c.name, clients.c.secret_hash, clients.c.scopes,
    clients.c.created_at, clients.c.revoked_at, clients.c.former_secret_hash,
)  # fmt: skip
_LIST = Statement(select(*_COLUMNS).order_by(clients.c.created_at))
_FIND = Statement(select(*_COLUMNS).where(clients.c.id == param("id", Text)))
_ADD = Statement(
    insert(clients).values(
        id=param("id", Text),
        name=param("name", Text),
        secret_hash=param("secret_hash", clients.c.secret_hash.type),
        scopes=param("scopes", ARRAY(Text)),
    )
)
_BY_ID_OR_NAME = (clients.c.id == param("name", Text)) | (clients.c.name == param("name", Text))
_REVOKE = Statement(
    update(clients).where(_BY_ID_OR_NAME, clients.c.revoked_at.is_(None)).values(revoked_at=func.now())
)
_CHANGE_SECRET = Statement(
    update(clients)
    .where(_BY_ID_OR_NAME, clients.c.revoked_at.is_(None))
    .values(
        secret_hash=param("secret_hash", clients.c.secret_hash.type), former_secret_hash=clients.c.secret_hash
    )
)
_DROP_FORMER_SECRET = Statement(
    update(clients)
    .where(_BY_ID_OR_NAME, clients.c.revoked_at.is_(None), clients.c.former_secret_hash.is_not(None))
    .values(former_secret_hash=None)
)


class ClientsReader:
    """Clients, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def all(self) -> tuple[Client, ...]:
        return tuple(_client(row) for row in await self._session.all(_LIST))

    async def find(self, client_id: str) -> Client | None:
        row = await self._session.one(_FIND, id=client_id)
        return _client(row) if row else None


class ClientsWriter(ClientsReader):
    """Clients, in a transaction that may change them."""

    async def add(self, client_id: str, name: str, secret_hash: bytes, scopes: tuple[str, ...]) -> None:
        await self._session.run(_ADD, id=client_id, name=name, secret_hash=secret_hash, scopes=list(scopes))

    async def revoke(self, name: str) -> bool:
        """Cut off the client of this id or name; its tokens are refused within a second."""
        revoked = await self._session.run(_REVOKE, name=name)
        await self._session.run(COUNT_TRUST_CHANGE)
        return revoked > 0

    async def change_secret(self, name: str, secret_hash: bytes) -> bool:
        """Give a client another secret; its present one stays valid, the one before that does not."""
        changed = await self._session.run(_CHANGE_SECRET, name=name, secret_hash=secret_hash)
        await self._session.run(COUNT_TRUST_CHANGE)
        return changed > 0

    async def drop_former_secret(self, name: str) -> bool:
        dropped = await self._session.run(_DROP_FORMER_SECRET, name=name)
        await self._session.run(COUNT_TRUST_CHANGE)
        return dropped > 0


def _client(row: Any) -> Client:
    return Client(row[0], row[1], row[2], tuple(row[3]), row[4], row[5], row[6])
