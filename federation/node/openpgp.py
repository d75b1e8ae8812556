"""OpenPGP by the library Sequoia: keys, detached signatures, revocations (RFC 4880).

The library is the extra ``openpgp`` of this package: a node that signs nothing needs none.
"""

from __future__ import annotations

from datetime import datetime
from importlib.util import find_spec

from federation.domain.errors import CommandFailed
from federation.domain.openpgp_key import OpenpgpKey


def is_installed() -> bool:
    return find_spec("pysequoia") is not None


def check_installed() -> None:
    """Raises CommandFailed without the library."""
    if not is_installed():
        raise CommandFailed("OpenPGP needs the package pysequoia: install federation[openpgp]")


def make_key(user_id: str, at: datetime) -> OpenpgpKey:
    """A new Ed25519 key that signs, with its revocation. It does not expire.

    It has no part that encrypts: a message to its mailbox could be read by nobody but this node. Raises
    CommandFailed without the library.
    """
    check_installed()
    from pysequoia import ArmorKind, CipherSuite, Profile, Tsk, armor
    from pysequoia.packet import PacketPile, Tag

    made = Tsk.generate(
        user_id, profile=Profile.RFC4880, cipher_suite=CipherSuite.Cv25519, validity_seconds=None
    )
    packets = list(PacketPile.from_bytes(bytes(made)))
    subkeys = [number for number, packet in enumerate(packets) if packet.tag == Tag.SecretSubkey]
    # A subkey and its binding signatures: the first subkey signs, the second one encrypts.
    key = Tsk.from_packets(packets[: subkeys[1]])
    certificate = key.extract_certificate()
    return OpenpgpKey(
        fingerprint=certificate.fingerprint.upper(),
        certificate=str(certificate).encode(),
        secret=armor(bytes(key), ArmorKind.SecretKey).encode(),
        revocation=bytes(certificate.revoke(key.certifier())),
        created_at=at,
    )


def sign(secret: bytes, body: bytes) -> bytes:
    """A detached signature of these bytes, in ASCII armour."""
    from pysequoia import SignatureMode, Tsk
    from pysequoia import sign as sign_bytes

    return bytes(sign_bytes(Tsk.from_bytes(secret).signer(), body, mode=SignatureMode.DETACHED))


def revoked_certificate(key: OpenpgpKey) -> bytes:
    """The certificate of a key with its revocation. Raises CommandFailed without the library."""
    check_installed()
    from pysequoia import Cert

    certificate = Cert.from_bytes(key.certificate)
    return str(Cert.from_bytes(bytes(certificate) + key.revocation)).encode()
