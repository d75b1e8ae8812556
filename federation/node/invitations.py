"""Joining: invite an operator, join with an invitation, register a newcomer."""

from __future__ import annotations

import logging
import re
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from federation.domain.audit import OPERATOR
from federation.domain.errors import Conflict, Invalid, Unauthenticated, Unreachable
from federation.domain.invitation import (
    HOLDS,
    PRIVATE_KEY_JWT,
    PROOF_SECONDS,
    Invitation,
    Inviter,
    Registration,
    RegistrationAnswer,
    fingerprint,
    new_secret,
)
from federation.domain.peer import MAX_CLOCK_DIFFERENCE_SECONDS, Peer
from federation.domain.values import OPERATOR_PATTERN
from federation.node.keys import kid_of, trusted_keys, verify_jwt
from federation.node.node import Node
from federation.node.peers import look_alikes, peer_detail

log = logging.getLogger("federation.peers")

REGISTRATION = "federation-registration+jwt"
"""``typ`` of the proof in a registration."""
WELCOME = "federation-welcome+jwt"
"""``typ`` of the proof in the answer to a registration."""


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
            "the node at {url} does not have the key that the invitation names. Do not go on: ask "
            "the administrator who sent it",
            url=invitation.url,
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
        registered = _with_endorsed_keys(await tx.peers.find(peer.operator), peer, inviter.jwks)
        refuse_conflict(node, peer, registered, await tx.peers.all())
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
            typ=REGISTRATION,
        ),
    )
    answer = await node.others.register(
        inviter.url, invitation.secret, msgspec.json.encode(request), private=private
    )
    try:
        proof = msgspec.json.decode(answer, type=RegistrationAnswer).inviter.proof
    except msgspec.MsgspecError:
        raise Unreachable("the answer of {url} cannot be read", url=inviter.url) from None
    newcomer = kid_of(request.software_statement) or ""
    signer = verify_welcome(proof, peer, url=node.url, newcomer=newcomer, invitation=hidden)
    peer = msgspec.structs.replace(peer, thumbprint=signer)
    async with node.store.write() as tx:
        registered = _with_endorsed_keys(await tx.peers.lock(peer.operator), peer, inviter.jwks)
        refuse_conflict(node, peer, registered, await tx.peers.all())
        await tx.audit.note(
            "peer.registered", actor=OPERATOR, subject=peer.operator, detail=peer_detail(peer)
        )
        await tx.peers.add(peer)
    return peer


def verify_welcome(proof: str, inviter: Peer, *, url: str, newcomer: str, invitation: str) -> str:
    """Thumbprint of the key that signed the welcome in the answer to a registration. Raises Unreachable.

    ``url``, ``newcomer``: base URL of the node that registered, and thumbprint of the key that signed its
    registration; ``invitation``: hash of the secret, in hexadecimal.
    """
    try:
        welcome = verify_jwt(proof, inviter.keys, frozenset({WELCOME}))
    except Unauthenticated:
        raise Unreachable("the answer of {url} is not its own", url=inviter.url) from None
    signer = kid_of(proof)
    if (
        welcome.get("iss") != inviter.operator
        or welcome.get("aud") != url
        or welcome.get("newcomer") != newcomer
        or welcome.get("invitation") != invitation
        or signer not in inviter.kids
    ):
        raise Unreachable("the answer of {url} is for somebody else", url=inviter.url)
    if not _is_current(welcome.get("exp")):
        raise Unreachable(
            "the answer of {url} has expired, or the clocks differ: here it is {time}",
            url=inviter.url,
            time=_now(),
        )
    return signer


def _is_current(expires: Any) -> bool:
    """True for the ``exp`` of a registration or welcome that holds now, and no longer than it may."""
    earliest = time.time() - MAX_CLOCK_DIFFERENCE_SECONDS
    latest = time.time() + PROOF_SECONDS + MAX_CLOCK_DIFFERENCE_SECONDS
    return type(expires) is int and earliest < expires <= latest


def _now() -> str:
    return f"{datetime.fromtimestamp(time.time(), UTC):%FT%TZ}"


def _with_endorsed_keys(registered: Peer | None, candidate: Peer, jwks: dict[str, Any]) -> Peer | None:
    """A peer as it is registered, with the keys that those it is known by endorsed since."""
    if registered is not None and candidate.thumbprint not in registered.kids:
        with suppress(Unauthenticated):
            keys = trusted_keys(registered.kids, jwks, candidate.operator)
            return msgspec.structs.replace(registered, keys=keys)
    return registered


async def register(node: Node, request: Registration, secret: str) -> RegistrationAnswer:
    """Take a newcomer in as pending, for an invitation of ours.

    Raises Unauthenticated for an invitation that does not hold or keys that were not proved, Conflict for
    an id that is bound to another key.
    """
    newcomer = await _newcomer(node, request, secret)
    async with node.store.write() as tx:
        registered = _with_endorsed_keys(await tx.peers.lock(newcomer.operator), newcomer, request.jwks)
        private = await tx.peers.use_invitation(fingerprint(secret), newcomer.operator, node.clock())
        if private is None:
            raise Unauthenticated("the invitation does not hold: it was used, has expired or is not ours")
        newcomer = msgspec.structs.replace(newcomer, private=private)
        try:
            node.others.check_url(newcomer.url, private=private)
        except Unreachable as error:
            raise Invalid(error.message, pointer="/client_uri", fault="address") from None
        refuse_conflict(node, newcomer, registered, await tx.peers.all())
        await tx.audit.note(
            "peer.registered",
            actor=newcomer.operator,
            subject=newcomer.operator,
            detail=peer_detail(newcomer),
        )
        await tx.peers.add(newcomer)
    for look_alike in await look_alikes(node, newcomer.operator):
        log.warning(
            "a newcomer looks like another operator",
            extra={"peer": newcomer.operator, "reason": str(look_alike)},
        )
    issued_at = int(time.time())
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
                    "invitation": fingerprint(secret).hex(),
                    "iat": issued_at,
                    "exp": issued_at + PROOF_SECONDS,
                },
                typ=WELCOME,
            ),
        ),
    )


async def _newcomer(node: Node, request: Registration, secret: str) -> Peer:
    """The newcomer as its registration shows it, its keys proved."""
    if not re.fullmatch(OPERATOR_PATTERN, request.operator):
        raise Invalid(
            "this is not an operator's id ({pattern})", pointer="/operator", pattern=OPERATOR_PATTERN
        )
    if not 1 <= len(request.client_name) <= 200 or not request.client_name.isprintable():
        raise Invalid("a name has 1 to 200 printable characters", pointer="/client_name")
    if request.token_endpoint_auth_method != PRIVATE_KEY_JWT:
        raise Invalid("peers authenticate with private_key_jwt", pointer="/token_endpoint_auth_method")
    try:
        kid = kid_of(request.software_statement) or ""
        keys = trusted_keys({kid}, {"keys": request.jwks.get("keys")}, request.operator)
        # By the key that is kept: a set may give one key the name of another.
        proof = verify_jwt(request.software_statement, keys, frozenset({REGISTRATION}))
    except Unauthenticated:
        raise Unauthenticated("the registration does not prove that it holds the key") from None
    if (
        proof.get("iss") != request.operator
        or proof.get("aud") != node.url
        or proof.get("url") != request.client_uri
        or proof.get("invitation") != fingerprint(secret).hex()
        or type(proof.get("exp")) is not int
    ):
        raise Unauthenticated("the registration does not prove that it holds the key")
    if not _is_current(proof.get("exp")):
        raise Unauthenticated(
            "the proof of the registration has expired, or the clocks differ: here it is {time}", time=_now()
        )
    return Peer(
        operator=request.operator,
        url=request.client_uri,
        name=request.client_name,
        state="pending",
        keys=keys,
        thumbprint=kid,
        added_at=node.clock(),
    )


def refuse_conflict(node: Node, candidate: Peer, registered: Peer | None, peers: tuple[Peer, ...]) -> None:
    """Raises Conflict when a node cannot become a peer: its id or URL is another's."""
    if candidate.operator == node.operator:
        raise Conflict("{operator} is the operator of this node", operator=candidate.operator)
    if registered is not None and candidate.thumbprint not in registered.kids:
        raise Conflict(
            "{operator} is bound to another key. If its key was lost, its administrator says so by "
            "phone; then `federation peer leave {operator}` and `federation peer forget {operator}` "
            "here, and invite again",
            operator=candidate.operator,
        )
    if registered is not None and registered.state in ("active", "suspended"):
        raise Conflict(
            "{operator} is a peer already, at {url}", operator=candidate.operator, url=registered.url
        )
    place = _normalised_url(candidate.url)
    if any(_normalised_url(peer.url) == place and peer.operator != candidate.operator for peer in peers):
        raise Conflict("{url} is the node of another peer", url=candidate.url)
    if place == _normalised_url(node.url):
        raise Conflict("{url} is this node", url=candidate.url)


def _normalised_url(url: str) -> tuple[str, str, int | None, str]:
    """Normalise a base URL for comparison."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").rstrip("."), port, parts.path.rstrip("/")
