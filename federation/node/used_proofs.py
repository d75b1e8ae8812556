"""DPoP proofs that were used: each is good once, in whatever process (RFC 9449, 11.1).

Every request of a peer brings one. Those that come while a statement is on its way are noted together by the
next one: many peers that ask at once cost a few statements.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

from federation.store.database import Store

MAX_BATCH = 500
"""Proofs that one statement notes, at most."""


class UsedProofs:
    """Notes the use of proofs in batches."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[bytes, tuple[datetime, asyncio.Future[bool]]] = {}
        self._noting: asyncio.Task[None] | None = None

    async def use(self, fingerprint: bytes, expires_at: datetime) -> bool:
        """Note a proof, by its SHA-256; False when it was used before. Raises Unavailable."""
        if fingerprint in self._waiting:
            return False  # the same proof twice at once: the first one counts
        result: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[fingerprint] = expires_at, result
        if self._noting is None:
            self._noting = asyncio.create_task(self._note(), name="used proofs")
        return await result

    async def _note(self) -> None:
        try:
            while self._waiting:
                batch = dict(list(self._waiting.items())[:MAX_BATCH])
                try:
                    async with self._store.autocommit() as tx:
                        fresh = await tx.tokens.use_dpop_proofs(
                            {fingerprint: expires_at for fingerprint, (expires_at, _) in batch.items()}
                        )
                except Exception as error:
                    for _, result in batch.values():
                        if not result.done():  # (else its caller has hung up)
                            result.set_exception(error)
                else:
                    for fingerprint, (_, result) in batch.items():
                        if not result.done():
                            result.set_result(fingerprint in fresh)
                for fingerprint in batch:
                    del self._waiting[fingerprint]
        finally:
            self._noting = None
