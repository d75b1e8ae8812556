"""People of the operator, stored, and their calendar addresses."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from federation.domain.person import Person
from federation.domain.values import as_instant
from federation.domain.visibility import Ceiling
from federation.store.statements import Session

_PERSON = """
SELECT id, name, role, label, groups, created_at, logged_in_at, issuer IS NOT NULL AS bound,
    (SELECT count(*) FROM passkeys WHERE passkeys.person = people.id) AS passkeys
FROM people
"""
_ALL = f"{_PERSON} ORDER BY lower(name), id"
_FIND = f"{_PERSON} WHERE id = $1"
_FIND_SUBJECT = f"{_PERSON.replace('SELECT id', 'SELECT by_claim, id')} WHERE issuer = $1 AND subject = $2"
_LOCK = "LOCK TABLE people IN SHARE ROW EXCLUSIVE MODE"
_ADD = "INSERT INTO people (id, name, role, label, groups) VALUES ($1, $2, $3, $4, $5)"
_CHANGE = "UPDATE people SET name = $2, role = $3, label = $4, groups = $5 WHERE id = $1"
_REMOVE = "DELETE FROM people WHERE id = $1"
_BIND = "UPDATE people SET issuer = $2, subject = $3, by_claim = $4 WHERE id = $1"
_NOTE_LOGIN = "UPDATE people SET logged_in_at = $2 WHERE id = $1"
_ADD_ADDRESS = "INSERT INTO calendar_addresses (hash, person, created_at) VALUES ($1, $2, $3)"
_COUNT_ADDRESSES = "SELECT count(*) FROM calendar_addresses WHERE person = $1"
_REMOVE_ADDRESSES = "DELETE FROM calendar_addresses WHERE person = $1"
_FIND_ADDRESS = f"{_PERSON} WHERE id = (SELECT person FROM calendar_addresses WHERE hash = $1)"
_NOTE_ADDRESS = """
UPDATE calendar_addresses SET used_at = $2
WHERE hash = $1 AND (used_at IS NULL OR used_at < $2::timestamptz - interval '1 day')
"""


class PeopleReader:
    """People, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def all(self) -> tuple[Person, ...]:
        """Everybody, by name."""
        return tuple(to_person(row) for row in await self._session.connection.fetch(_ALL))

    async def find(self, id_: str) -> Person | None:
        return _to_person_or_none(await self._session.connection.fetchrow(_FIND, id_))

    async def find_bound(self, issuer: str, subject: str) -> tuple[Person, bool] | None:
        """The person bound to an identifier at an identity provider; True where a claim rule let them in."""
        row = await self._session.connection.fetchrow(_FIND_SUBJECT, issuer, subject)
        return (to_person(row), row["by_claim"]) if row is not None else None

    async def find_calendar_reader(self, address: bytes) -> Person | None:
        """The person whose calendar address has this hash."""
        return _to_person_or_none(await self._session.connection.fetchrow(_FIND_ADDRESS, address))

    async def number_of_calendar_addresses(self, id_: str) -> int:
        return int(await self._session.connection.fetchval(_COUNT_ADDRESSES, id_))


class PeopleWriter(PeopleReader):
    """People, in a transaction that may change them."""

    async def lock(self) -> None:
        """Nobody is added or changed by others until the commit."""
        await self._session.connection.execute(_LOCK)

    async def add(self, person: Person) -> None:
        await self._session.connection.execute(_ADD, *_values(person))

    async def change(self, person: Person) -> None:
        """Store name, role and ceiling."""
        await self._session.connection.execute(_CHANGE, *_values(person))

    async def remove(self, id_: str) -> bool:
        """Remove a person with all that is theirs."""
        return str(await self._session.connection.execute(_REMOVE, id_)) == "DELETE 1"

    async def bind(self, id_: str, issuer: str, subject: str, *, by_claim: bool) -> None:
        """Let a person log in by an identity provider. The pair is nobody else's."""
        await self._session.connection.execute(_BIND, id_, issuer, subject, by_claim)

    async def note_login(self, id_: str, at: datetime) -> None:
        await self._session.connection.execute(_NOTE_LOGIN, id_, at)

    async def add_calendar_address(self, address: bytes, id_: str, at: datetime) -> None:
        await self._session.connection.execute(_ADD_ADDRESS, address, id_, at)

    async def remove_calendar_addresses(self, id_: str) -> None:
        await self._session.connection.execute(_REMOVE_ADDRESSES, id_)

    async def note_calendar_use(self, address: bytes, at: datetime) -> None:
        """Note that an address is in use, once a day."""
        await self._session.connection.execute(_NOTE_ADDRESS, address, at)


def to_person(row: Any) -> Person:
    """A person from a row with their columns."""
    logged_in_at = row["logged_in_at"]
    return Person(
        id=row["id"],
        name=row["name"],
        role=row["role"],
        ceiling=Ceiling(row["label"], frozenset(row["groups"])),
        created_at=as_instant(row["created_at"]),
        logged_in_at=as_instant(logged_in_at) if logged_in_at else None,
        bound=row["bound"],
        passkeys=row["passkeys"],
    )


def _to_person_or_none(row: Any | None) -> Person | None:
    return to_person(row) if row is not None else None


def _values(person: Person) -> tuple[Any, ...]:
    return person.id, person.name, person.role, person.ceiling.label, sorted(person.ceiling.groups)
