"""Passkeys (WebAuthn level 2) of people: add, log in, list, remove.

1. The node draws a challenge and stores it as a login under way, for ten minutes and one use.
2. The authenticator signs it for the host of the node's URL, after it has verified its user.
3. The node checks challenge, origin, host, verification and signature (by ``webauthn``), and the counter of
   the authenticator: one that does not advance may be that of a copy.

A passkey says by itself whose it is, so nobody types a name. Attestations are not asked for: an authenticator
of any make will do, if it verifies its user.
"""

from __future__ import annotations

import base64
import logging
import secrets
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import webauthn
from webauthn.helpers import (
    bytes_to_base64url,
    parse_attestation_object,
    parse_registration_credential_json,
)
from webauthn.helpers.options_to_json_dict import options_to_json_dict
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from federation.domain.errors import Conflict, Invalid, NotFound, Unauthenticated
from federation.domain.login import MAX_PASSKEYS, LoginState, Passkey, check_passkey_name
from federation.domain.person import Person
from federation.domain.values import as_instant
from federation.node.login_states import remember, take
from federation.node.node import Node
from federation.node.people import unknown_person

log = logging.getLogger("federation.passkeys")

MAX_CREDENTIAL_LENGTH = 16_384
"""Characters of what a browser sends for an authenticator, at most."""
MAX_CREDENTIAL_ID_BYTES = 1_023
"""Bytes of the id of a passkey (WebAuthn level 2, 4)."""
ATTESTATIONS = frozenset({"none", "packed"})
"""Formats of attestation that are read: none was asked for, and some authenticators sign with the passkey."""
CHALLENGE_BYTES = 32


class PasskeyOptions(NamedTuple):
    """The request to an authenticator, for the browser, and the secret of the login under way."""

    options: dict[str, Any]
    state: str


def host_of_passkeys(node: Node) -> str | None:
    """The host that passkeys are for (RP ID); None where the node's URL has an address, which has none."""
    host = urlsplit(node.url).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return host
    return None


def _host(node: Node) -> str:
    host = host_of_passkeys(node)
    if host is None:
        raise Invalid("passkeys need a host name: the URL of this node has an address")
    return host


def _origin(node: Node) -> str:
    parts = urlsplit(node.url)
    return f"{parts.scheme}://{parts.netloc}".lower()


async def of_person(node: Node, person_id: str) -> tuple[Passkey, ...]:
    """The passkeys of a person, oldest first."""
    async with node.store.read_by_key() as tx:
        return await tx.passkeys.of_person(person_id)


async def options_to_add(node: Node, person: Person) -> PasskeyOptions:
    """Begin to add a passkey of a person. Raises Invalid."""
    host = _host(node)
    stored = await of_person(node, person.id)
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    options = webauthn.generate_registration_options(
        rp_id=host,
        rp_name=node.name,
        user_id=person.id.encode(),
        user_name=person.name,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=passkey.id) for passkey in stored],
    )
    state = await remember(node, "new-passkey", LoginState(person=person.id, challenge=challenge))
    return PasskeyOptions(options_to_json_dict(options), state)


async def add(node: Node, person: Person, *, name: str, state: str, credential: str) -> Passkey:
    """Add the passkey that an authenticator has made. Raises Invalid, Conflict, NotFound."""
    name = check_passkey_name(name)
    begun = await take(node, "new-passkey", state)
    if begun is None or begun.person != person.id:
        raise _not_begun()
    _check_length(credential)
    try:
        parsed = parse_registration_credential_json(credential)
        if parse_attestation_object(parsed.response.attestation_object).fmt not in ATTESTATIONS:
            raise ValueError("an attestation was not asked for")
        verified = webauthn.verify_registration_response(
            credential=parsed,
            expected_challenge=begun.challenge,
            expected_rp_id=_host(node),
            expected_origin=_origin(node),
            require_user_verification=True,
        )
    # What is sent is hostile, and the library raises whatever its parsers do.
    except Exception as error:
        raise _not_verified(error) from None
    if len(verified.credential_id) > MAX_CREDENTIAL_ID_BYTES:
        raise _not_verified(ValueError("the id is too long"))
    passkey = Passkey(
        id=verified.credential_id,
        person=person.id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        name=name,
        transports=tuple(transport.value for transport in parsed.response.transports or ()),
        created_at=as_instant(node.clock()),
    )
    async with node.store.write() as tx:
        await tx.people.lock()
        if await tx.people.find(person.id) is None:
            raise unknown_person(person.id)
        if len(await tx.passkeys.of_person(person.id)) >= MAX_PASSKEYS:
            raise Conflict("you have {maximum} passkeys already; remove one first", maximum=MAX_PASSKEYS)
        if not await tx.passkeys.add(passkey):
            raise Conflict("this passkey is there already")
        await tx.audit.note("passkey.added", actor=person.actor, subject=name)
    return passkey


async def options_to_log_in(node: Node) -> PasskeyOptions:
    """Begin a login by passkey, of whoever it will be. Raises Invalid."""
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    options = webauthn.generate_authentication_options(
        rp_id=_host(node),
        challenge=challenge,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    state = await remember(node, "passkey", LoginState(challenge=challenge))
    return PasskeyOptions(options_to_json_dict(options), state)


async def log_in(node: Node, *, state: str, credential: str) -> str:
    """Check the signature of a passkey. Returns the id of its person. Raises Unauthenticated, Invalid."""
    begun = await take(node, "passkey", state)
    if begun is None:
        raise _not_begun()
    _check_length(credential)
    try:
        sent = webauthn.helpers.parse_authentication_credential_json(credential)
    # What is sent is hostile, and the library raises whatever its parsers do.
    except Exception as error:
        raise _not_verified(error) from None
    async with node.store.read_by_key() as tx:
        passkey = await tx.passkeys.find(sent.raw_id[: MAX_CREDENTIAL_ID_BYTES + 1])
    if passkey is None:
        raise Unauthenticated("this passkey is not known here; it may have been removed")
    if sent.response.user_handle not in (None, passkey.person.encode()):
        raise _not_verified(ValueError("the passkey says it is of another person"))
    try:
        verified = webauthn.verify_authentication_response(
            credential=sent,
            expected_challenge=begun.challenge,
            expected_rp_id=_host(node),
            expected_origin=_origin(node),
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except Exception as error:
        raise _not_verified(error) from None
    async with node.store.autocommit() as writing:
        if not await writing.passkeys.note_use(passkey, verified.new_sign_count, node.clock()):
            raise _not_verified(ValueError("the counter has changed meanwhile"))
    return passkey.person


async def remove(node: Node, person: Person, id_: str) -> None:
    """Remove a passkey of a person, by its id in base64url.

    Raises NotFound, and Conflict for the last one of a person who has no other way to log in.
    """
    try:
        raw = base64.urlsafe_b64decode(f"{id_[:2_000]}==")
    except ValueError:
        raise _no_passkey() from None
    async with node.store.write() as tx:
        await tx.people.lock()
        mine = {passkey.id: passkey for passkey in await tx.passkeys.of_person(person.id)}
        present = await tx.people.find(person.id)
        if raw not in mine or present is None:
            raise _no_passkey()
        if len(mine) == 1 and not present.bound:
            raise Conflict("this is your only way to log in; add another passkey first")
        await tx.passkeys.remove(raw, person.id)
        await tx.audit.note("passkey.removed", actor=person.actor, subject=mine[raw].name)


def passkey_key(passkey: Passkey) -> str:
    """The id of a passkey in base64url, for a form."""
    return bytes_to_base64url(passkey.id)


def _check_length(credential: str) -> None:
    if not credential or len(credential) > MAX_CREDENTIAL_LENGTH or not credential.isascii():
        raise Invalid(
            "no passkey came with the form; it needs a browser with JavaScript and passkeys",
            pointer="/credential",
        )


def _no_passkey() -> NotFound:
    return NotFound("you have no such passkey")


def _not_begun() -> Invalid:
    return Invalid("this took too long, or was sent twice; begin again")


def _not_verified(error: Exception) -> Unauthenticated:
    # The reason is for the log: a person can do nothing with it, and an attacker could.
    log.info("passkey refused", extra={"reason": f"{type(error).__name__}: {error}"[:200]})
    return Unauthenticated("the passkey could not be verified; try again, or use another one")


def as_json(made: PasskeyOptions) -> bytes:
    """What the script of the page reads."""
    return msgspec.json.encode({"options": made.options, "state": made.state})
