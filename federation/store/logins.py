"""Invitations of people and logins under way, stored by the hashes of their secrets."""

from __future__ import annotations

from datetime import datetime

import msgspec

from federation.domain.login import MAX_CODE_ATTEMPTS, MAX_LOGINS_UNDER_WAY, LoginState
from federation.store.statements import Session

_ADD_INVITATION = """
INSERT INTO person_invitations (id, person, secret_hash, code_hash, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6)
"""
_REMOVE_INVITATIONS = "DELETE FROM person_invitations WHERE person = $1"
_ACCEPT_LINK = """
DELETE FROM person_invitations WHERE id = $1 AND secret_hash = $2 AND expires_at > $3 RETURNING person
"""
# The attempt is counted before the code is compared: of many at once no more than so many are.
_COUNT_ATTEMPT = f"""
UPDATE person_invitations SET tries = tries + 1
WHERE id = $1 AND expires_at > $2 AND tries < {MAX_CODE_ATTEMPTS} RETURNING tries
"""
_ACCEPT_CODE = """
DELETE FROM person_invitations WHERE id = $1 AND code_hash = $2 AND expires_at > $3 RETURNING person
"""
_FIND_EXPIRY = "SELECT expires_at FROM person_invitations WHERE id = $1 AND expires_at > $2"
_ADD_STATE = "INSERT INTO login_states (hash, kind, data, expires_at) VALUES ($1, $2, $3, $4)"
_MAKE_ROOM = f"""
DELETE FROM login_states WHERE hash IN (
    SELECT hash FROM login_states ORDER BY expires_at DESC, hash OFFSET {MAX_LOGINS_UNDER_WAY}
)
"""
_TAKE_STATE = "DELETE FROM login_states WHERE hash = $1 AND kind = $2 AND expires_at > $3 RETURNING data"
_decode = msgspec.json.Decoder(LoginState).decode
_encode = msgspec.json.Encoder().encode


class LoginsReader:
    """Invitations and logins under way, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def invitation_expiry(self, id_: str, now: datetime) -> datetime | None:
        """The end of an invitation that can still be used; None where there is none."""
        expiry: datetime | None = await self._session.connection.fetchval(_FIND_EXPIRY, id_, now)
        return expiry


class LoginsWriter(LoginsReader):
    """Invitations and logins under way, in a transaction that may change them."""

    async def add_invitation(
        self,
        id_: str,
        person: str,
        *,
        secret_hash: bytes,
        code_hash: bytes,
        now: datetime,
        expires_at: datetime,
    ) -> None:
        """Store an invitation in place of every other one of that person."""
        await self._session.connection.execute(_REMOVE_INVITATIONS, person)
        await self._session.connection.execute(
            _ADD_INVITATION, id_, person, secret_hash, code_hash, now, expires_at
        )

    async def accept_link(self, id_: str, secret_hash: bytes, now: datetime) -> str | None:
        """Use an invitation up by its link. Returns its person, None where it does not hold."""
        person: str | None = await self._session.connection.fetchval(_ACCEPT_LINK, id_, secret_hash, now)
        return person

    async def count_attempt(self, id_: str, now: datetime) -> int | None:
        """Count an attempt at the code of an invitation. Returns its number, None where none is left."""
        number: int | None = await self._session.connection.fetchval(_COUNT_ATTEMPT, id_, now)
        return number

    async def accept_code(self, id_: str, code_hash: bytes, now: datetime) -> str | None:
        """Use an invitation up by its code, once the attempt is counted."""
        person: str | None = await self._session.connection.fetchval(_ACCEPT_CODE, id_, code_hash, now)
        return person

    async def add_state(self, hash_: bytes, kind: str, state: LoginState, expires_at: datetime) -> None:
        """Store a login under way; beyond ``MAX_LOGINS_UNDER_WAY`` the oldest gives way."""
        await self._session.connection.execute(_ADD_STATE, hash_, kind, _encode(state), expires_at)
        await self._session.connection.execute(_MAKE_ROOM)

    async def take_state(self, hash_: bytes, kind: str, now: datetime) -> LoginState | None:
        """Use a login under way up: it holds once."""
        data: bytes | None = await self._session.connection.fetchval(_TAKE_STATE, hash_, kind, now)
        return _decode(data) if data is not None else None
