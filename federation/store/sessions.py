"""Sessions of people, stored by the hash of their secret."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from federation.domain.person import Person
from federation.store.people import to_person
from federation.store.statements import Session

_FIND = """
SELECT s.created_at AS began_at, s.seen_at, s.authenticated_at, s.expires_at, s.logout_hint,
    p.id, p.name, p.role, p.label, p.groups, p.created_at, p.logged_in_at, p.issuer IS NOT NULL AS bound,
    (SELECT count(*) FROM passkeys WHERE passkeys.person = p.id) AS passkeys
FROM sessions AS s JOIN people AS p ON p.id = s.person WHERE s.hash = $1 AND s.expires_at > $2
"""
_ADD = """
INSERT INTO sessions (hash, person, created_at, seen_at, authenticated_at, expires_at, logout_hint)
VALUES ($1, $2, $3, $3, $3, $4, $5)
"""
_MAKE_ROOM = """
DELETE FROM sessions WHERE hash IN (
    SELECT hash FROM sessions WHERE person = $1 ORDER BY seen_at DESC, hash OFFSET $2
)
"""
# Of two requests at once one writes.
_NOTE_SEEN = "UPDATE sessions SET seen_at = $2 WHERE hash = $1 AND seen_at <= $3"
_END = "DELETE FROM sessions WHERE hash = $1"
_END_ALL = "DELETE FROM sessions WHERE person = $1"
_DROP_EXPIRED = (
    "DELETE FROM sessions WHERE expires_at <= $1",
    "DELETE FROM person_invitations WHERE expires_at <= $1",
    "DELETE FROM login_states WHERE expires_at <= $1",
)


class StoredSession(NamedTuple):
    """A session as it is stored, with its person as they are now."""

    person: Person
    began_at: datetime
    seen_at: datetime
    authenticated_at: datetime
    expires_at: datetime
    logout_hint: str | None


class SessionsReader:
    """Sessions, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, hash_: bytes, now: datetime) -> StoredSession | None:
        """The session of that hash that has not expired."""
        row = await self._session.connection.fetchrow(_FIND, hash_, now)
        if row is None:
            return None
        return StoredSession(to_person(row), *(row[at] for at in range(5)))


class SessionsWriter(SessionsReader):
    """Sessions, in a transaction that may change them."""

    async def add(
        self, hash_: bytes, person: str, now: datetime, expires_at: datetime, logout_hint: str | None
    ) -> None:
        await self._session.connection.execute(_ADD, hash_, person, now, expires_at, logout_hint)

    async def make_room(self, person: str, maximum: int) -> None:
        """End the sessions of a person beyond a number, those that were used longest ago."""
        await self._session.connection.execute(_MAKE_ROOM, person, maximum)

    async def note_seen(self, hash_: bytes, now: datetime, before: datetime) -> None:
        """Note a request, where the last one that was noted is from before that time."""
        await self._session.connection.execute(_NOTE_SEEN, hash_, now, before)

    async def end(self, hash_: bytes) -> bool:
        return str(await self._session.connection.execute(_END, hash_)) == "DELETE 1"

    async def end_all(self, person: str) -> None:
        await self._session.connection.execute(_END_ALL, person)

    async def drop_expired(self, now: datetime) -> None:
        """Drop expired sessions, invitations and logins under way."""
        for statement in _DROP_EXPIRED:
            await self._session.connection.execute(statement, now)
