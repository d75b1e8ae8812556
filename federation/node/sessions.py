"""Sessions of people who have logged in.

1. A session begins at a login and at nothing else, under a new secret: nobody can prepare one for another.
2. It is stored by the hash of its secret, with the times of the login and of the last request.
3. Each request reads it with its person, so that a change of rights holds at once.
4. It ends 12 hours after the login; of an administrator also after an hour without a request.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from federation.domain.invitation import fingerprint, new_secret
from federation.domain.person import (
    ADMINISTRATOR_IDLE,
    FRESH,
    MAX_SESSIONS_OF_PERSON,
    SEEN_INTERVAL,
    SESSION_DURATION,
    Person,
)
from federation.domain.visibility import Caller
from federation.node.node import Node
from federation.node.people import unknown_person

SECRET_LENGTH = 43
"""Characters of the secret of a session: 256 random bits."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session that holds now."""

    person: Person
    caller: Caller
    """The person as a caller of this node."""
    created: datetime
    """The login."""
    authenticated_at: datetime
    expires_at: datetime
    """The session ends then at the latest; of an administrator earlier, unless another request comes."""
    logout_hint: str | None = None
    """The ID token of the login, where an identity provider gave one."""


async def begin(node: Node, person_id: str, *, logout_hint: str | None = None) -> str:
    """Begin a session for a person who has just proved who they are. Returns its secret, this once.

    Raises NotFound.
    """
    secret = new_secret()
    now = node.clock()
    async with node.store.write() as tx:
        await tx.people.lock()
        person = await tx.people.find(person_id)
        if person is None:
            raise unknown_person(person_id)
        await tx.sessions.make_room(person_id, MAX_SESSIONS_OF_PERSON - 1)
        await tx.sessions.add(fingerprint(secret), person_id, now, now + SESSION_DURATION, logout_hint)
        await tx.people.note_login(person_id, now)
        await tx.audit.note("person.logged-in", actor=person.actor, subject=node.operator)
    return secret


async def session(node: Node, secret: str) -> Session | None:
    """The session that a secret is of; None where it has ended, or was never one."""
    if len(secret) != SECRET_LENGTH:
        return None
    now = node.clock()
    hash_ = fingerprint(secret)
    async with node.store.read_by_key() as tx:
        stored = await tx.sessions.find(hash_, now)
    if stored is None:
        return None
    expires_at = stored.expires_at
    if stored.person.role == "administrator":
        if stored.seen_at + ADMINISTRATOR_IDLE <= now:
            await end(node, secret)
            return None
        expires_at = min(expires_at, now + ADMINISTRATOR_IDLE)
    if stored.seen_at <= now - SEEN_INTERVAL:
        async with node.store.autocommit() as writing:
            await writing.sessions.note_seen(hash_, now, now - SEEN_INTERVAL)
    return Session(
        person=stored.person,
        caller=stored.person.caller(node.operator),
        created=stored.began_at,
        authenticated_at=stored.authenticated_at,
        expires_at=expires_at,
        logout_hint=stored.logout_hint,
    )


def is_fresh(session: Session, now: datetime) -> bool:
    """True for ``FRESH`` after the person proved who they are: what is hard to undo asks for it."""
    return session.authenticated_at <= now < session.authenticated_at + FRESH


async def end(node: Node, secret: str) -> None:
    """End a session; nothing where it has ended already."""
    async with node.store.autocommit() as tx:
        await tx.sessions.end(fingerprint(secret))


async def end_all(node: Node, person_id: str) -> None:
    """End every session of a person."""
    async with node.store.autocommit() as tx:
        await tx.sessions.end_all(person_id)


async def drop_expired(node: Node) -> None:
    """Drop expired sessions, invitations and logins under way."""
    async with node.store.autocommit() as tx:
        await tx.sessions.drop_expired(node.clock())
