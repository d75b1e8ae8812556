"""Passkeys of people, stored."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from federation.domain.login import Passkey
from federation.domain.values import as_instant
from federation.store.statements import Session

_PASSKEY = "SELECT id, person, public_key, sign_count, name, transports, created_at, used_at FROM passkeys"
_FIND = f"{_PASSKEY} WHERE id = $1"
_OF_PERSON = f"{_PASSKEY} WHERE person = $1 ORDER BY created_at, id"
_ADD = """
INSERT INTO passkeys (id, person, public_key, sign_count, name, transports, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7::text::timestamptz) ON CONFLICT DO NOTHING
"""
# Of two logins by one signature the second one finds another counter.
_NOTE_USE = "UPDATE passkeys SET sign_count = $3, used_at = $4 WHERE id = $1 AND sign_count = $2"
_REMOVE = "DELETE FROM passkeys WHERE id = $1 AND person = $2"


class PasskeysReader:
    """Passkeys, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, id_: bytes) -> Passkey | None:
        row = await self._session.connection.fetchrow(_FIND, id_)
        return _to_passkey(row) if row is not None else None

    async def of_person(self, person: str) -> tuple[Passkey, ...]:
        """The passkeys of a person, oldest first."""
        return tuple(_to_passkey(row) for row in await self._session.connection.fetch(_OF_PERSON, person))


class PasskeysWriter(PasskeysReader):
    """Passkeys, in a transaction that may change them."""

    async def add(self, passkey: Passkey) -> bool:
        """Add a passkey; False where its id is taken."""
        status = await self._session.connection.execute(
            _ADD,
            passkey.id,
            passkey.person,
            passkey.public_key,
            passkey.sign_count,
            passkey.name,
            list(passkey.transports),
            passkey.created_at,
        )
        return str(status) == "INSERT 0 1"

    async def note_use(self, passkey: Passkey, sign_count: int, at: datetime) -> bool:
        """Note a login and the new counter; False where another login came in between."""
        status = await self._session.connection.execute(
            _NOTE_USE, passkey.id, passkey.sign_count, sign_count, at
        )
        return str(status) == "UPDATE 1"

    async def remove(self, id_: bytes, person: str) -> bool:
        return str(await self._session.connection.execute(_REMOVE, id_, person)) == "DELETE 1"


def _to_passkey(row: Any) -> Passkey:
    used_at = row["used_at"]
    return Passkey(
        id=row["id"],
        person=row["person"],
        public_key=row["public_key"],
        sign_count=row["sign_count"],
        name=row["name"],
        transports=tuple(row["transports"]),
        created_at=as_instant(row["created_at"]),
        used_at=as_instant(used_at) if used_at else None,
    )
