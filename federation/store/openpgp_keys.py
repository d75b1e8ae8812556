"""The OpenPGP keys of the node, stored."""

from __future__ import annotations

from datetime import datetime

from federation.domain.openpgp_key import OpenpgpKey
from federation.store.statements import Session

_ALL = """
SELECT fingerprint, certificate, secret, revocation, created_at, revoked_at FROM openpgp_keys
ORDER BY created_at DESC, fingerprint
"""
_ADD = """
INSERT INTO openpgp_keys (fingerprint, certificate, secret, revocation, created_at)
VALUES ($1, $2, $3, $4, $5)
"""
_DROP_SECRETS = "UPDATE openpgp_keys SET secret = NULL WHERE secret IS NOT NULL"
_REVOKE = """
UPDATE openpgp_keys SET certificate = $2, secret = NULL, revoked_at = $3
WHERE fingerprint = $1 AND revoked_at IS NULL
"""


class OpenpgpKeysReader:
    """The OpenPGP keys, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def all(self) -> tuple[OpenpgpKey, ...]:
        """Every key there ever was, newest first."""
        return tuple(
            OpenpgpKey(
                fingerprint=row["fingerprint"],
                certificate=row["certificate"],
                secret=row["secret"],
                revocation=row["revocation"],
                created_at=row["created_at"],
                revoked_at=row["revoked_at"],
            )
            for row in await self._session.connection.fetch(_ALL)
        )


class OpenpgpKeysWriter(OpenpgpKeysReader):
    """The OpenPGP keys, in a transaction that may change them."""

    async def replace(self, key: OpenpgpKey) -> None:
        """Add a key, and drop the private part of every other one: one key signs."""
        await self._session.connection.execute(_DROP_SECRETS)
        await self._session.connection.execute(
            _ADD, key.fingerprint, key.certificate, key.secret, key.revocation, key.created_at
        )

    async def revoke(self, fingerprint: str, certificate: bytes, at: datetime) -> bool:
        """Store the certificate with its revocation and drop the private part; False where it is revoked."""
        status = await self._session.connection.execute(_REVOKE, fingerprint, certificate, at)
        return bool(status == "UPDATE 1")
