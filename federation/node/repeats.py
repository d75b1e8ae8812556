"""Requests that are sent again: each is carried out once, and its first answer is repeated.

The answer is stored by the transaction that carries the request out, which has a lock on the name of the
request. So a process that is killed has done both or nothing, and of two requests at the same time one finds
the lock or the answer of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from federation.domain.errors import (
    AnswerNotStored,
    KeyReused,
    Refused,
    RequestInProgress,
    TooManyRequests,
)
from federation.domain.messages import Message
from federation.domain.repeat import MAX_KEYS, MAX_STORED_BYTES, RequestName, StoredAnswer
from federation.node.edits import WriteResult
from federation.node.node import Node
from federation.store.database import Writing


class Repeated(Exception):
    """The request was carried out before; carries its answer. Nothing was changed."""

    def __init__(self, answer: StoredAnswer) -> None:
        super().__init__("a repeated request")
        self.answer = answer


class KeyedRequest:
    """A request with a key, to be carried out once."""

    def __init__(
        self, name: RequestName, request_hash: bytes, *, unstored_advice: Message | None = None
    ) -> None:
        self.name = name
        self.answer_of: Callable[[Any], StoredAnswer] | None = None
        """From the result of the request to its answer, set by the operation."""
        self.is_stored = False
        """True when a transaction has stored the answer."""
        self._hash = request_hash
        self._advice = unstored_advice

    async def find(self, node: Node) -> StoredAnswer | None:
        """The answer of an earlier request, before anything else is done.

        Raises KeyReused, AnswerNotStored, and TooManyRequests where no more of the caller is stored.
        """
        async with node.store.read_by_key() as tx:
            stored = await tx.stored_answers.find(self.name)
            if stored is not None:
                return self._checked(stored)
            usage = await tx.stored_answers.usage(self.name.caller)
        if usage.is_full:
            raise TooManyRequests(
                "{number} answers of {size} bytes to requests with an Idempotency-Key are stored; for one"
                " caller {max_number} and {max_size} bytes are. Use PUT, a bulk upload, or no key",
                number=usage.number,
                size=usage.size,
                max_number=MAX_KEYS,
                max_size=MAX_STORED_BYTES,
                retry_after=max(usage.seconds_left, 1),
            )
        return None

    async def begin(self, tx: Writing) -> None:
        """Lock the name. Raises Repeated, RequestInProgress, KeyReused, AnswerNotStored."""
        if not await tx.stored_answers.try_lock(self.name):
            raise RequestInProgress("a request with this Idempotency-Key is being carried out; try again")
        # It may have been carried out since ``find``.
        stored = await tx.stored_answers.find(self.name)
        if stored is not None:
            raise Repeated(self._checked(stored))

    async def finish(self, tx: Writing, outcomes: Mapping[str, WriteResult | Refused]) -> None:
        """Store the answer to the edit of one record; a refusal has changed nothing and is not stored."""
        (outcome,) = outcomes.values()
        if not isinstance(outcome, Refused):
            await self.store(tx, outcome)

    async def store(self, tx: Writing, result: Any) -> None:
        """Store the answer that the operation makes of a result."""
        if self.answer_of is None:
            raise AssertionError(f"{self.name.operation} has not said how its answer is made")
        answer = self.answer_of(result)
        body = None if self._advice else answer.body
        await tx.stored_answers.add(self.name, StoredAnswer(self._hash, answer.status, answer.headers, body))
        self.is_stored = True

    def _checked(self, stored: StoredAnswer) -> StoredAnswer:
        if stored.request_hash != self._hash:
            raise KeyReused(
                "another request was sent with this Idempotency-Key; a new request needs a new key"
            )
        if stored.body is None:
            raise AnswerNotStored(
                "this request was carried out, and its answer has shown a secret: {advice}",
                advice=self._advice,
            )
        return stored


async def drop_expired_answers(node: Node) -> None:
    """Drop answers that were stored for long enough."""
    async with node.store.write() as tx:
        await tx.stored_answers.drop_expired()
