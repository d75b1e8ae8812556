"""OpenPGP signatures of the CSAF documents (CSAF 2.0, 7.1.19), and the keys for them (7.1.20).

1. One key signs, the newest one. Its private part is stored as the node's other keys are.
2. A signature is made when it is asked for, over exactly the bytes of the document, and remembered by
   their hash.
3. The certificate of every key stays listed: mirrored documents are verified by it. A revoked one has its
   revocation.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from weakref import WeakKeyDictionary

from federation.domain.audit import OPERATOR
from federation.domain.errors import Conflict, NotFound
from federation.domain.openpgp_key import OpenpgpKey, signing_key
from federation.node import openpgp
from federation.node.node import Node
from federation.store.database import Reading

MAX_SIGNATURES = 10_000
"""Signatures that a process remembers, of some 330 bytes each."""
MAILTO = "mailto:"

_signatures: WeakKeyDictionary[Node, OrderedDict[tuple[str, bytes], bytes]] = WeakKeyDictionary()
"""The signatures of each node by fingerprint of the key and hash of the document; the last used come last."""


async def keys(node: Node) -> tuple[OpenpgpKey, ...]:
    """Every OpenPGP key of the node, newest first."""
    async with node.store.read() as tx:
        return await tx.openpgp_keys.all()


async def find_signer(tx: Reading) -> OpenpgpKey | None:
    """The key that signs documents; None where there is none, or no library for it."""
    return signing_key(await tx.openpgp_keys.all()) if openpgp.is_installed() else None


async def certificate(node: Node, name: str) -> bytes:
    """The public key of this name of a file. Raises NotFound."""
    for key in await keys(node):
        if name == file_name(key):
            return key.certificate
    raise NotFound("there is no such path here")


def file_name(key: OpenpgpKey) -> str:
    """The name of the file of a public key."""
    return f"{key.fingerprint}.asc"


async def signature(node: Node, body: bytes) -> bytes:
    """The signature of a document, in ASCII armour. Raises NotFound where documents are not signed."""
    async with node.store.read() as tx:
        key = await find_signer(tx)
    if key is None or key.secret is None:
        raise NotFound("this node does not sign its documents")
    remembered = _signatures.setdefault(node, OrderedDict())
    name = key.fingerprint, hashlib.sha256(body).digest()
    if name not in remembered:
        remembered[name] = await asyncio.to_thread(openpgp.sign, key.secret, body)
        while len(remembered) > MAX_SIGNATURES:
            remembered.popitem(last=False)
    remembered.move_to_end(name)
    return remembered[name]


# What an administrator does


def user_id_of(node: Node) -> str:
    """The user id of a new key: the operator's name, with the mailbox for weaknesses or the node's URL."""
    name = " ".join(node.name.translate({ord(char): " " for char in "<>()"}).split()) or node.operator
    contact = node.security_contact or ""
    if contact.startswith(MAILTO):
        return f"{name} <{contact.removeprefix(MAILTO).partition('?')[0]}>"
    return f"{name} ({node.url})"


async def add_key(node: Node, *, by: str = OPERATOR) -> OpenpgpKey:
    """Make the key that signs from now on. The one before signs no more, and stays listed.

    Raises CommandFailed without the library.
    """
    key = await asyncio.to_thread(openpgp.make_key, user_id_of(node), node.clock())
    async with node.store.write() as tx:
        await tx.keys.lock()
        await tx.audit.note("openpgp-key.added", actor=by, subject=key.fingerprint)
        await tx.openpgp_keys.replace(key)
    return key


async def revoke_key(node: Node, fingerprint: str, *, by: str = OPERATOR) -> OpenpgpKey:
    """Publish the revocation of a key: no signature by it counts any more, and it signs none.

    Raises NotFound, Conflict where it is revoked, and CommandFailed without the library.
    """
    openpgp.check_installed()
    async with node.store.write() as tx:
        await tx.keys.lock()
        key = next((key for key in await tx.openpgp_keys.all() if key.fingerprint == fingerprint), None)
        if key is None:
            raise NotFound(
                "there is no OpenPGP key with the fingerprint {fingerprint}", fingerprint=fingerprint
            )
        if not await tx.openpgp_keys.revoke(fingerprint, openpgp.revoked_certificate(key), node.clock()):
            raise Conflict("the OpenPGP key {fingerprint} is revoked", fingerprint=fingerprint)
        await tx.audit.note("openpgp-key.revoked", actor=by, subject=fingerprint)
    return key
