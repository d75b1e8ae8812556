"""Tokens: assertions and DPoP proofs that are good for one use, and tokens that were revoked.

Each is known by its SHA-256, and forgotten once it has expired and would be refused for that alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from federation.store.statements import Session, Statement, param
from federation.store.tables import Moment, assertions, proofs, revoked_tokens
from federation.store.trust import COUNT_TRUST_CHANGE

_USE_ASSERTION = Statement(
    insert(assertions)
    .values(
        fingerprint=param("fingerprint", assertions.c.fingerprint.type),
        expires_at=param("expires_at", Moment),
    )
    .on_conflict_do_nothing()
)
# The commit does not wait for the disk: a crash forgets the proofs of its last half second, which expire a
# minute after they were made. The commit of an assertion waits for the disk: an assertion is worth a token.
_USE_DPOP_PROOFS = """
WITH no_wait AS (SELECT set_config('synchronous_commit', 'off', true))
INSERT INTO proofs (fingerprint, expires_at)
SELECT used.* FROM no_wait CROSS JOIN unnest($1::bytea[], $2::timestamptz[]) AS used
ON CONFLICT DO NOTHING
RETURNING fingerprint
"""
_REVOKE = Statement(
    insert(revoked_tokens)
    .values(
        fingerprint=param("fingerprint", revoked_tokens.c.fingerprint.type),
        expires_at=param("expires_at", Moment),
    )
    .on_conflict_do_nothing()
)
_FIND_REVOKED = Statement(
    select(revoked_tokens.c.fingerprint).where(
        revoked_tokens.c.fingerprint == param("fingerprint", revoked_tokens.c.fingerprint.type)
    )
)
_DELETE_EXPIRED = (
    Statement(delete(assertions).where(assertions.c.expires_at < func.now())),
    Statement(delete(proofs).where(proofs.c.expires_at < func.now())),
    Statement(delete(revoked_tokens).where(revoked_tokens.c.expires_at < func.now())),
)


class TokensReader:
    """Revoked tokens, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def is_revoked(self, token: bytes) -> bool:
        """True for the SHA-256 of a token that was revoked before it expired."""
        return await self._session.value(_FIND_REVOKED, fingerprint=token) is not None


class TokensWriter(TokensReader):
    """Used and revoked tokens, in a transaction that may add to them."""

    async def revoke(self, token: bytes, expires_at: datetime) -> None:
        """Refuse the token with this SHA-256 from now on, in every process."""
        await self._session.run(_REVOKE, fingerprint=token, expires_at=expires_at)
        await self._session.run(COUNT_TRUST_CHANGE)

    async def use_assertion(self, fingerprint: bytes, expires_at: datetime) -> bool:
        """Note the use of an assertion; False if it was used before."""
        return await self._session.run(_USE_ASSERTION, fingerprint=fingerprint, expires_at=expires_at) == 1

    async def use_dpop_proofs(self, proofs: Mapping[bytes, datetime]) -> frozenset[bytes]:
        """Note the use of DPoP proofs (RFC 9449, 11.1), each with the time it expires.

        Returns those that were not used before.
        """
        # (In one order: two processes that note the same proofs would deadlock.)
        fingerprints = sorted(proofs)
        rows = await self._session.connection.fetch(
            _USE_DPOP_PROOFS, fingerprints, [proofs[fingerprint] for fingerprint in fingerprints]
        )
        return frozenset(row[0] for row in rows)

    async def expire(self) -> int:
        """Forget expired assertions, proofs and revoked tokens. Returns their number."""
        return sum([await self._session.run(statement) for statement in _DELETE_EXPIRED])
