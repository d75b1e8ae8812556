"""Trust: invitations, peers and their states, keys and their succession.

What an administrator decides, by command line or API, and what another node may ask for with an
invitation or as a peer. Every change is one transaction, is in the audit trail, and is seen by every
process within a second.
"""

from __future__ import annotations

import logging
import re
import time
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import msgspec

from federation.domain.audit import OPERATOR, Event
from federation.domain.errors import Conflict, Invalid, NotFound, Unauthenticated, Unreachable
from federation.domain.feed import printable
from federation.domain.invitation import (
    HOLDS,
    PROOF_SECONDS,
    Invitation,
    Inviter,
    Registration,
    RegistrationAnswer,
    code,
    fingerprint,
    new_secret,
)
from federation.domain.peer import OwnKey, Peer, PeerState
from federation.domain.values import OPERATOR_PATTERN
from federation.domain.visibility import PUBLIC
from federation.node.keys import kid_of, mint_private_key, trusted_keys, verify_jwt
from federation.node.node import Node
from federation.store.database import Writing

log = logging.getLogger("federation.peers")

KEYS_EVERY = timedelta(minutes=1)
"""A peer's key set is asked for once in so long, at most, however many unknown keys are shown to us."""
PUBLISHED_BEFORE = timedelta(minutes=10)
"""A key is published so long before it signs: twice as long as peers take to look."""
KEPT_AFTER = timedelta(minutes=10)
"""A key is published so long after the last signature with it: tokens hold for five minutes."""

_JOINING = frozenset({"federation-registration+jwt"})
_WELCOME = frozenset({"federation-welcome+jwt"})


# Joining


async def invite(node: Node, note: str, *, private: bool = False, by: str = OPERATOR) -> Invitation:
    """An invitation for one operator, that holds for ``HOLDS``. Its secret is not kept.

    ``private``: whether the node of who joins may be at an address that is not public.
    """
    if len(note) > 200 or not (note or " ").isprintable():
        raise Invalid("a note has at most 200 printable characters")
    invitation = Invitation(node.url, node.keyring.kid, new_secret())
    async with node.store.write() as tx:
        await tx.audit.note("peer.invited", actor=by, subject=note or "somebody")
        await tx.peers.invite(fingerprint(invitation.secret), note, node.clock() + HOLDS, private=private)
    return invitation


async def join(node: Node, invitation: Invitation, *, private: bool = False) -> Peer:
    """Register at the inviter's node; both know each other as pending from then on.

    Raises Unreachable when the inviter does not answer as it should, Conflict when it cannot be a peer.
    """
    inviter = await node.others.introduce(invitation.url, private=private)
    try:
        keys = trusted_keys({invitation.thumbprint}, inviter.jwks, inviter.operator)
    except Unauthenticated:
        raise Unreachable(
            f"the node at {invitation.url} does not have the key that the invitation names. Do not go on:"
            " ask the administrator who sent it"
        ) from None
    peer = Peer(
        operator=inviter.operator,
        url=inviter.url,
        name=inviter.name,
        state="pending",
        keys=keys,
        thumbprint=keys["keys"][0]["kid"],
        added_at=node.clock(),
        private=private,
    )
    async with node.store.read() as tx:
        refuse(node, peer, await tx.peers.find(peer.operator), await tx.peers.all())
    hidden = fingerprint(invitation.secret).hex()
    current = int(time.time())
    request = Registration(
        operator=node.operator,
        client_name=node.name,
        client_uri=node.url,
        jwks=node.keyring.public(),
        software_statement=node.keyring.sign(
            {
                "iss": node.operator,
                "aud": inviter.url,
                "iat": current,
                "exp": current + PROOF_SECONDS,
                "url": node.url,
                "invitation": hidden,
            },
            typ="federation-registration+jwt",
        ),
    )
    answer = await node.others.register(
        inviter.url, invitation.secret, msgspec.json.encode(request), private=private
    )
    try:
        registered = msgspec.json.decode(answer, type=RegistrationAnswer)
        welcome = verify_jwt(registered.inviter.proof, keys, _WELCOME)
    except (msgspec.MsgspecError, Unauthenticated):
        raise Unreachable(f"the answer of {inviter.url} cannot be read, or is not its own") from None
    if welcome.get("aud") != node.url or welcome.get("newcomer") != node.keyring.kid:
        raise Unreachable(f"the answer of {inviter.url} is for somebody else")
    async with node.store.write() as tx:
        refuse(node, peer, await tx.peers.lock(peer.operator), await tx.peers.all())
        await tx.audit.note("peer.registered", actor=OPERATOR, subject=peer.operator, detail=_what(peer))
        await tx.peers.add(peer)
    return peer


async def register(node: Node, request: Registration, secret: str) -> RegistrationAnswer:
    """Take a newcomer in as pending, for an invitation of ours.

    Raises Unauthenticated for an invitation that does not hold or keys that were not proved, Conflict for
    an id that is bound to another key.
    """
    newcomer = await _newcomer(node, request, secret)
    async with node.store.write() as tx:
        registered = await tx.peers.lock(newcomer.operator)
        private = await tx.peers.use_invitation(fingerprint(secret), newcomer.operator, node.clock())
        if private is None:
            raise Unauthenticated("the invitation does not hold: it was used, has expired or is not ours")
        newcomer = msgspec.structs.replace(newcomer, private=private)
        if registered is not None and newcomer.thumbprint not in registered.kids:
            with suppress(Unauthenticated):  # it comes back with a key that the one we know endorsed
                since = trusted_keys(registered.kids, request.jwks, newcomer.operator)
                registered = msgspec.structs.replace(registered, keys=since)
        try:
            node.others.check_url(newcomer.url, private=private)
        except Unreachable as error:
            raise Invalid(error.detail, pointer="/client_uri") from None
        refuse(node, newcomer, registered, await tx.peers.all())
        await tx.audit.note(
            "peer.registered", actor=newcomer.operator, subject=newcomer.operator, detail=_what(newcomer)
        )
        await tx.peers.add(newcomer)
    return RegistrationAnswer(
        client_id=newcomer.operator,
        client_id_issued_at=int(node.clock().timestamp()),
        client_name=newcomer.name,
        client_uri=newcomer.url,
        jwks=newcomer.keys,
        inviter=Inviter(
            operator=node.operator,
            name=node.name,
            url=node.url,
            jwks={"keys": node.keyring.public()["keys"]},
            proof=node.keyring.sign(
                {
                    "iss": node.operator,
                    "aud": newcomer.url,
                    "newcomer": newcomer.thumbprint,
                    "iat": int(time.time()),
                },
                typ="federation-welcome+jwt",
            ),
        ),
    )


async def _newcomer(node: Node, request: Registration, secret: str) -> Peer:
    """The newcomer as its registration shows it, its keys proved."""
    if not re.fullmatch(OPERATOR_PATTERN, request.operator):
        raise Invalid(f"this is not an operator's id ({OPERATOR_PATTERN})", pointer="/operator")
    if not 1 <= len(request.client_name) <= 200 or not request.client_name.isprintable():
        raise Invalid("a name has 1 to 200 printable characters", pointer="/client_name")
    if request.token_endpoint_auth_method != "private_key_jwt":  # noqa: S105 - a name of RFC 7591
        raise Invalid("peers authenticate with private_key_jwt", pointer="/token_endpoint_auth_method")
    try:
        kid = kid_of(request.software_statement) or ""
        keys = trusted_keys({kid}, {"keys": request.jwks.get("keys")}, request.operator)
        # By the key that is kept: a set may give one key the name of another.
        proof = verify_jwt(request.software_statement, keys, _JOINING)
    except Unauthenticated:
        raise Unauthenticated("the registration does not prove that it holds the key") from None
    expires, current = proof.get("exp"), time.time()
    if (
        proof.get("iss") != request.operator
        or proof.get("aud") != node.url
        or proof.get("url") != request.client_uri
        or proof.get("invitation") != fingerprint(secret).hex()
        or not isinstance(expires, int)
        or not current - 30 < expires <= current + PROOF_SECONDS + 30
    ):
        raise Unauthenticated("the registration does not prove that it holds the key")
    return Peer(
        operator=request.operator,
        url=request.client_uri,
        name=request.client_name,
        state="pending",
        keys=keys,
        thumbprint=kid,
        added_at=node.clock(),
    )


def refuse(node: Node, candidate: Peer, registered: Peer | None, peers: tuple[Peer, ...]) -> None:
    """Raises Conflict when a node cannot become a peer: its id or URL is another's."""
    if candidate.operator == node.operator:
        raise Conflict(f"{candidate.operator} is the operator of this node")
    if registered is not None and candidate.thumbprint not in registered.kids:
        raise Conflict(
            f"{candidate.operator} is bound to another key. If its key was lost, its administrator says so by"
            f" phone; then `federation peer leave {candidate.operator}` and `federation peer forget"
            f" {candidate.operator}` here, and invite again"
        )
    if registered is not None and registered.state in ("active", "suspended"):
        raise Conflict(f"{candidate.operator} is a peer already, at {registered.url}")
    place = _place(candidate.url)
    if any(_place(peer.url) == place and peer.operator != candidate.operator for peer in peers):
        raise Conflict(f"{candidate.url} is the node of another peer")
    if place == _place(node.url):
        raise Conflict(f"{candidate.url} is this node")


def _place(url: str) -> tuple[str, str, int | None, str]:
    """Normalise a base URL for comparison."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").rstrip("."), port, parts.path.rstrip("/")


def code_of(node: Node, peer: Peer) -> str:
    """The short code that the administrators of both nodes compare before they activate."""
    return code(node.keyring.kid, peer.thumbprint)


async def code_shown(node: Node, operator: str) -> str | None:
    """The code of a pending peer; None when there is nothing to compare any more."""
    peer = await _find(node, operator)
    return code_of(node, peer) if peer.state == "pending" else None


# States


async def activate(node: Node, operator: str, *, code: str | None = None, by: str = OPERATOR) -> Peer:
    """Exchange records with a pending peer from now on.

    ``code``: what the other administrator read out; Conflict when it is not what is shown here. Raises
    Unreachable unless the node at the peer's URL is that operator's and has the key it registered with.
    """
    peer = await _find(node, operator)
    if peer.state == "active":
        return peer
    if peer.state != "pending":
        raise Conflict(f"{operator} is {peer.state}, not pending")
    if code is not None and _digits(code) != _digits(code_of(node, peer)):
        raise Conflict(
            f"the codes differ: here it is {code_of(node, peer)}. Do not go on: somebody may be between the"
            " two nodes"
        )
    answer = await node.others.introduce(peer.url, private=peer.private)
    try:
        trusted_keys(peer.kids, answer.jwks, operator)
    except Unauthenticated:
        raise Unreachable(
            f"the node at {peer.url} does not have the key that {operator} joined with"
        ) from None
    if answer.operator != operator:
        raise Unreachable(f"the node at {peer.url} is that of {answer.operator}, not of {operator}")
    return await _become(node, operator, "active", frm=("pending",), event="peer.activated", by=by)


async def suspend(node: Node, operator: str, *, by: str = OPERATOR) -> Peer:
    """Neither answer a peer nor follow it, until it is resumed. What was taken is kept."""
    return await _become(node, operator, "suspended", frm=("active",), event="peer.suspended", by=by)


async def resume(node: Node, operator: str, *, by: str = OPERATOR) -> Peer:
    """Undo a suspension."""
    return await _become(node, operator, "active", frm=("suspended",), event="peer.resumed", by=by)


async def leave(node: Node, operator: str, *, by: str = OPERATOR) -> tuple[Peer, str | None]:
    """End it with a peer: it is told, and copies of what was not public are dropped on both sides.

    Returns the peer, and why it could not be told if that is so: it will find its tokens refused.
    """
    peer = await _find(node, operator)
    if peer.state == "left":
        return peer, None
    reason = None
    if peer.state == "active":
        try:
            await node.others.disconnect(peer)
        except Unreachable as error:
            reason = error.detail
    return await _mark_left(node, operator, by=by), reason


async def accept_disconnect(node: Node, operator: str) -> None:
    """A peer says that it leaves."""
    await _mark_left(node, operator, by=operator)


async def _mark_left(node: Node, operator: str, *, by: str) -> Peer:
    async with node.store.write() as tx:
        peer = await _lock_peer(tx, operator)
        if peer.state == "left":
            return peer
        await tx.audit.note("peer.left", actor=by, subject=operator)
        await _drop(tx, operator)
        await tx.peers.set_state(operator, "left")
    node.notifier.notify()
    return msgspec.structs.replace(peer, state="left")


async def _drop(tx: Writing, *operators: str) -> int:
    """Drop copies of what these operators have not published for everybody. Returns of how many records."""
    return await tx.copies.purge(
        *(place for place in await tx.feeds.all() if place.origin in operators and place.audience != PUBLIC)
    )


async def purge_left_peers(node: Node) -> None:
    """Drop what came of peers after they had left: whoever followed them had not heard of it yet."""
    async with node.store.read() as reading:
        leaver = [peer.operator for peer in await reading.peers.all() if peer.state == "left"]
    if not leaver:
        return
    async with node.store.write() as tx:
        dropped = await _drop(tx, *leaver)
    if dropped:
        log.warning("records that came of peers after they had left were dropped", extra={"records": dropped})
        node.notifier.notify()


async def forget(node: Node, operator: str, *, by: str = OPERATOR) -> None:
    """Free the id of an operator that has left from the key it is bound to."""
    async with node.store.write() as tx:
        peer = await _lock_peer(tx, operator)
        if peer.state not in ("left", "pending"):
            raise Conflict(f"{operator} is {peer.state}; first: federation peer leave {operator}")
        await tx.audit.note("peer.forgotten", actor=by, subject=operator, detail={"key": peer.thumbprint})
        await _drop(tx, operator)
        await tx.peers.remove(operator)


async def _become(
    node: Node, operator: str, state: PeerState, *, frm: tuple[str, ...], event: Event, by: str
) -> Peer:
    async with node.store.write() as tx:
        peer = await _lock_peer(tx, operator)
        if peer.state != state:
            if peer.state not in frm:
                raise Conflict(f"{operator} is {peer.state}, not {' or '.join(frm)}")
            await tx.audit.note(event, actor=by, subject=operator)
            await tx.peers.set_state(operator, state)
    node.notifier.notify()
    return msgspec.structs.replace(peer, state=state)


async def _find(node: Node, operator: str) -> Peer:
    async with node.store.read() as tx:
        peer = await tx.peers.find(operator)
    if peer is None:
        raise NotFound(f"there is no peer {printable(operator, 80)}")
    return peer


async def _lock_peer(tx: Writing, operator: str) -> Peer:
    peer = await tx.peers.lock(operator)
    if peer is None:
        raise NotFound(f"there is no peer {printable(operator, 80)}")
    return peer


# Keys


async def rotate(node: Node, *, after: timedelta = PUBLISHED_BEFORE, by: str = OPERATOR) -> OwnKey:
    """A new key for this node: published now, signing after a while. Returns it.

    One at a time: Conflict while the last new key does not sign yet.
    """
    async with node.store.write() as tx:
        await tx.keys.lock()
        node.keyring.reload(await tx.keys.all())
        current = node.clock()
        if any(key.use_from > current for key in await tx.keys.all()):
            raise Conflict("the last new key does not sign yet; wait until it does")
        jwk = mint_private_key()
        key = OwnKey(jwk=jwk, use_from=current + after, endorsement=node.keyring.endorse(jwk, node.operator))
        await tx.audit.note("key.rotated", actor=by, subject=jwk["kid"], detail={"from": node.keyring.kid})
        await tx.keys.add(key)
    await node.read_keys()
    return key


async def replace_key(node: Node, *, by: str = OPERATOR) -> OwnKey:
    """Another key at once, that nothing endorses: for a key that has leaked.

    All tokens of this node end with it, and no peer follows: each leaves, forgets, and joins anew.
    """
    async with node.store.write() as tx:
        await tx.keys.lock()
        jwk = mint_private_key()
        key = OwnKey(jwk=jwk, use_from=node.clock())
        await tx.audit.note(
            "key.rotated", actor=by, subject=jwk["kid"], detail={"replaces": node.keyring.kid}
        )
        for former in await tx.keys.all():
            await tx.keys.retire(former.jwk["kid"])
        await tx.keys.add(key)
    await node.read_keys()
    return key


async def retire_keys(node: Node) -> int:
    """Drop the private part of keys that nothing rests on any more. Returns of how many."""
    retired = 0
    async with node.store.write() as tx:
        keys = await tx.keys.all()
        limit = node.clock() - KEPT_AFTER
        for newer, older in pairwise(keys):
            if newer.use_from <= limit and not older.retired:
                retired += await tx.keys.retire(older.jwk["kid"])
    return retired


async def reread_keys(node: Node, operator: str, *, kid: str | None = None) -> Peer | None:
    """Ask a peer for its key set again and follow its succession; at most once in ``KEYS_EVERY``.

    ``kid``: the key that was met and is not known. Returns the peer with what is known of it now.
    """
    async with node.store.write() as tx:
        peer = await tx.peers.find(operator)
        if peer is None or peer.state != "active" or (kid is not None and kid in peer.kids):
            return peer
        if not await tx.peers.may_read_keys(operator, node.clock(), KEYS_EVERY):
            return peer
    try:
        answer = await node.others.introduce(peer.url, private=peer.private)
        keys = trusted_keys(peer.kids, answer.jwks, operator)
    except (Unreachable, Unauthenticated):
        return peer
    if answer.operator != operator or keys == peer.keys:
        return peer
    async with node.store.write() as tx:
        locked = await tx.peers.lock(operator)
        if locked is None or locked.state != "active" or locked.keys != peer.keys:
            return locked
        await tx.audit.note(
            "peer.keys-changed", actor=operator, subject=operator, detail={"key": keys["keys"][0]["kid"]}
        )
        await tx.peers.store_keys(operator, keys, keys["keys"][0]["kid"])
    return msgspec.structs.replace(peer, keys=keys, thumbprint=keys["keys"][0]["kid"])


def _digits(code: str) -> str:
    return "".join(char for char in code if char.isdigit())


def _what(peer: Peer) -> dict[str, Any]:
    return {"url": peer.url, "key": peer.thumbprint}
