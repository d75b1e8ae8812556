"""Logins by the operator's identity provider, and whose they are.

A person is known by issuer and subject. They are bound to a person of this node by an invitation, or by a
claim rule of the settings, which is read at each login. Nobody is found by an e-mail address, and unknown
people get nothing.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

import msgspec

from federation.domain.audit import ITSELF
from federation.domain.claim_rule import name_by_claims, role_by_claims
from federation.domain.errors import Conflict, Forbidden, Invalid, NotFound
from federation.domain.identity import Identity
from federation.domain.login import LoginState
from federation.domain.messages import Language
from federation.domain.person import Person, Role, ceiling_of, mint_person_id
from federation.domain.values import as_instant
from federation.node import people
from federation.node.login_states import remember, take
from federation.node.node import Node
from federation.node.people import unknown_person
from federation.outbound.oidc import IdentityProvider
from federation.store.database import Writing

CALLBACK = "/login/callback"
"""Where the provider sends the browser back to; registered there."""
LOGGED_OUT = "/logged-out"
"""Where it sends the browser after a logout; registered there."""


class BegunLogin(NamedTuple):
    """A login that goes on at the provider."""

    url: str
    state: str
    """For a cookie of the browser, so that no other browser ends this login."""


class FinishedLogin(NamedTuple):
    """A login that is over."""

    person: str
    next: str
    id_token: str


def provider_of(node: Node) -> IdentityProvider:
    """Raises NotFound for a node without one."""
    if node.identity_provider is None:
        raise NotFound("this node has no identity provider")
    return node.identity_provider


async def begin(
    node: Node, *, next_: str, language: Language, person: str = "", is_repeated: bool = False
) -> BegunLogin:
    """Begin a login at the provider. ``person``: bind the identity to this person. Raises Unreachable."""
    provider = provider_of(node)
    nonce = secrets.token_urlsafe(32)
    verifier = secrets.token_urlsafe(48) if await provider.has_pkce() else ""
    login = LoginState(
        person=person,
        nonce=nonce,
        verifier=verifier,
        language=language,
        next=next_,
        is_repeated=is_repeated,
        began_at=node.clock(),
    )
    state = await remember(node, "identity-provider", login)
    url = await provider.authorization_url(
        f"{node.url}{CALLBACK}", state=state, nonce=nonce, verifier=verifier, is_repeated=is_repeated
    )
    return BegunLogin(url, state)


async def take_begun(node: Node, state: str) -> LoginState:
    """The login that comes back with a state. It holds once. Raises Invalid."""
    begun = await take(node, "identity-provider", state)
    if begun is None:
        raise Invalid("this took too long, or was sent twice; begin again")
    return begun


async def finish(node: Node, begun: LoginState, *, code: str, iss: str | None) -> FinishedLogin:
    """Verify what the provider answers, and find or make the person.

    Raises Unreachable, Unauthenticated, Forbidden for somebody unknown, Conflict.
    """
    provider = provider_of(node)
    identity = await provider.identity(
        code=code,
        iss=iss,
        redirect_uri=f"{node.url}{CALLBACK}",
        nonce=begun.nonce,
        verifier=begun.verifier,
        authenticated_since=begun.began_at if begun.is_repeated else None,
    )
    role = role_by_claims(provider.rules, identity.claims)
    async with node.store.write() as tx:
        await tx.people.lock()
        known = await tx.people.find_bound(identity.issuer, identity.subject)
        person: Person | None
        if begun.person:
            person = await _bind(tx, identity, begun.person, known[0] if known else None)
        elif known is None:
            person = await _add(node, tx, identity, role)
        else:
            person = await _refresh(tx, *known, role)
    if person is None:
        raise Forbidden("you are not known here: ask an administrator of this operator for an invitation")
    return FinishedLogin(person.id, begun.next, identity.id_token)


async def _bind(tx: Writing, identity: Identity, id_: str, known: Person | None) -> Person:
    person = await tx.people.find(id_)
    if person is None:
        raise unknown_person(id_)
    if known is not None:
        if known.id != id_:
            raise Conflict("this account of the identity provider is another person's here")
        return known
    await tx.people.bind(id_, identity.issuer, identity.subject, by_claim=False)
    detail = {"issuer": identity.issuer, "subject": identity.subject}
    await tx.audit.note("person.changed", actor=person.actor, subject=person.actor, detail=detail)
    return person


async def _add(node: Node, tx: Writing, identity: Identity, role: Role | None) -> Person | None:
    """Add a person whom a claim rule lets in; None where none does."""
    if role is None:
        return None
    person = Person(
        id=mint_person_id(),
        name=name_by_claims(identity.claims),
        role=role,
        ceiling=ceiling_of(role, None),
        created_at=as_instant(node.clock()),
    )
    await people.add_in(tx, person, by=ITSELF)
    await tx.people.bind(person.id, identity.issuer, identity.subject, by_claim=True)
    return person


async def _refresh(tx: Writing, person: Person, by_claim: bool, role: Role | None) -> Person | None:
    """Give a person by claim the role of now; None, and no session any more, where no rule holds."""
    if not by_claim:
        return person
    if role is None:
        await tx.sessions.end_all(person.id)
        return None
    if role != person.role:
        stays = person.ceiling if "administrator" not in (person.role, role) else None
        changed = msgspec.structs.replace(person, role=role, ceiling=ceiling_of(role, stays))
        await people.change_in(tx, person, changed, by=ITSELF)
        return changed
    return person
