"""Answers to requests with an ``Idempotency-Key``: stored with what the request wrote, in one transaction."""

from __future__ import annotations

import msgspec

from federation.domain.repeat import STORED_HOURS, AnswerUsage, RequestName, StoredAnswer
from federation.store.statements import Session

_FIND = f"""
SELECT request_hash, status, headers, body FROM stored_answers
WHERE caller = $1 AND operation = $2 AND key = $3 AND at > now() - interval '{STORED_HOURS} hours'
"""
_USAGE = f"""
SELECT count(*), coalesce(sum(octet_length(body)), 0),
       coalesce(ceil(extract(epoch FROM min(at) + interval '{STORED_HOURS} hours' - now())), 0)
FROM stored_answers WHERE caller = $1 AND at > now() - interval '{STORED_HOURS} hours'
"""
# Not waited for: a request that is carried out now is answered by its own connection.
_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 20261201))"
# The row of a key that has expired may still be there.
_ADD = """
INSERT INTO stored_answers (caller, operation, key, request_hash, status, headers, body)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (caller, operation, key) DO UPDATE SET
    request_hash = excluded.request_hash, status = excluded.status, headers = excluded.headers,
    body = excluded.body, at = excluded.at
"""
_DROP_EXPIRED = f"DELETE FROM stored_answers WHERE at < now() - interval '{STORED_HOURS} hours'"


class StoredAnswersReader:
    """Stored answers, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def find(self, name: RequestName) -> StoredAnswer | None:
        """The answer to an earlier request of that name; None without one, or once it has expired."""
        row = await self._session.connection.fetchrow(_FIND, *name)
        if row is None:
            return None
        headers = msgspec.json.decode(row["headers"], type=dict[str, str])
        return StoredAnswer(row["request_hash"], row["status"], headers, row["body"])

    async def usage(self, caller: str) -> AnswerUsage:
        """The answers stored of a caller."""
        return AnswerUsage(*map(int, await self._session.connection.fetchrow(_USAGE, caller)))


class StoredAnswersWriter(StoredAnswersReader):
    """Stored answers, in a transaction that may add one."""

    async def try_lock(self, name: RequestName) -> bool:
        """Lock a name until the commit; False where another transaction has it."""
        return bool(await self._session.connection.fetchval(_TRY_LOCK, str(name)))

    async def add(self, name: RequestName, answer: StoredAnswer) -> None:
        """Store an answer."""
        await self._session.connection.execute(
            _ADD,
            *name,
            answer.request_hash,
            answer.status,
            msgspec.json.encode(answer.headers),
            answer.body,
        )

    async def drop_expired(self) -> None:
        """Drop the answers of more than ``STORED_HOURS`` ago."""
        await self._session.connection.execute(_DROP_EXPIRED)
