"""Invitations to log in, and login links of the demonstration.

An invitation is a link with a secret in its fragment, which browsers send to nobody, and a code for browsers
without script. It holds once, for ten minutes, and a new one of the same person replaces it.
"""

from __future__ import annotations

import asyncio
import re
import secrets

from federation.domain.audit import actor_of
from federation.domain.errors import Invalid, NotFound
from federation.domain.invitation import fingerprint, new_secret
from federation.domain.login import (
    DEMO_LINK_DURATION,
    INVITATION_DURATION,
    MAX_CODE_ATTEMPTS,
    LoginState,
    PersonInvitation,
    code_hash,
    new_code,
    read_code,
    show_code,
)
from federation.domain.person import Person, ceiling_of, check_name, check_role, mint_person_id
from federation.domain.values import as_instant
from federation.domain.visibility import Caller, Ceiling
from federation.node import people
from federation.node.login_states import remember, take
from federation.node.node import Node
from federation.node.people import unknown_person
from federation.store.database import Writing

_ID = re.compile(r"[A-Za-z0-9_-]{16}")
"""Ids of invitations."""


async def invite(node: Node, person_id: str, *, by: Caller) -> PersonInvitation:
    """Invite a person who is known: one who has not logged in yet, or who lost their last passkey.

    Raises NotFound.
    """
    drawn = await _draw()
    async with node.store.write() as tx:
        person = await tx.people.find(person_id)
        if person is None:
            raise unknown_person(person_id)
        return await _invite_in(node, tx, person, drawn, by)


async def invite_new(
    node: Node, *, name: str, role: str, ceiling: Ceiling | None = None, by: Caller
) -> PersonInvitation:
    """Add a person and invite them. Raises Invalid."""
    checked_role = check_role(role)
    person = Person(
        id=mint_person_id(),
        name=check_name(name),
        role=checked_role,
        ceiling=ceiling_of(checked_role, ceiling),
        created_at=as_instant(node.clock()),
    )
    drawn = await _draw()
    async with node.store.write() as tx:
        await people.add_in(tx, person, by=actor_of(by))
        return await _invite_in(node, tx, person, drawn, by)


async def _draw() -> tuple[str, str, bytes]:
    """Id, code and hash of the code of a new invitation: before the transaction, since it takes 50 ms."""
    id_, code = secrets.token_urlsafe(12), new_code()
    return id_, code, await asyncio.to_thread(code_hash, code, id_)


async def _invite_in(
    node: Node, tx: Writing, person: Person, drawn: tuple[str, str, bytes], by: Caller
) -> PersonInvitation:
    id_, code, hash_ = drawn
    secret = new_secret()
    now = node.clock()
    expires_at = now + INVITATION_DURATION
    await tx.logins.add_invitation(
        id_,
        person.id,
        secret_hash=fingerprint(secret),
        code_hash=hash_,
        now=now,
        expires_at=expires_at,
    )
    await tx.audit.note("person.invited", actor=actor_of(by), subject=person.actor)
    return PersonInvitation(
        person=person, id=id_, secret=secret, code=show_code(code), expires_at=as_instant(expires_at)
    )


async def is_open(node: Node, id_: str) -> bool:
    """True where an invitation can still be used. The id is no secret."""
    if not _ID.fullmatch(id_):
        return False
    async with node.store.read_by_key() as tx:
        return await tx.logins.invitation_expiry(id_, node.clock()) is not None


async def accept_link(node: Node, id_: str, secret: str) -> str:
    """Use an invitation up by the secret of its link. Returns the id of its person. Raises NotFound."""
    if not _ID.fullmatch(id_):
        raise _no_invitation()
    async with node.store.autocommit() as tx:
        person = await tx.logins.accept_link(id_, fingerprint(secret), node.clock())
    if person is None:
        raise _no_invitation()
    return person


async def accept_code(node: Node, id_: str, text: str) -> str:
    """Use an invitation up by its code, as it was typed. Returns the id of its person.

    Raises Invalid for another code, NotFound where there is no such invitation or no attempt is left.
    """
    code = read_code(text)
    wrong = Invalid(
        "this is not the code of the invitation; after {maximum} attempts only its link is left",
        pointer="/code",
        fault="invalid",
        maximum=MAX_CODE_ATTEMPTS,
    )
    if not code:
        raise wrong
    if not _ID.fullmatch(id_):
        raise _no_invitation()
    now = node.clock()
    async with node.store.autocommit() as tx:
        if await tx.logins.count_attempt(id_, now) is None:
            raise _no_invitation()
    hash_ = await asyncio.to_thread(code_hash, code, id_)
    async with node.store.autocommit() as tx:
        person = await tx.logins.accept_code(id_, hash_, now)
    if person is None:
        raise wrong
    return person


def _no_invitation() -> NotFound:
    return NotFound("this invitation does not hold any more; ask an administrator for a new one")


async def demo_link(node: Node, person_id: str) -> str:
    """The path of a login link of the demonstration: it holds once, over the loopback interface alone.

    Raises Invalid where the settings do not allow it, NotFound.
    """
    if not node.has_demo_links:
        raise Invalid("this node has no login links: FEDERATION_DEMO_LINKS is not set")
    await people.find(node, person_id)
    state = LoginState(person=person_id)
    return f"/login/demo/{await remember(node, 'demo', state, DEMO_LINK_DURATION)}"


async def accept_demo_link(node: Node, secret: str) -> str:
    """Use a login link of the demonstration up. Returns the id of its person. Raises NotFound."""
    state = await take(node, "demo", secret) if node.has_demo_links else None
    if state is None:
        raise NotFound("this login link was used already; start the demonstration anew for another one")
    return state.person
