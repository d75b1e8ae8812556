"""Errors that the node reports, as one tree.

    Refused
    ├── Invalid            the request cannot be understood, or breaks a rule of the schema
    ├── Unauthenticated    no token where one is needed, or one that does not hold
    ├── Forbidden          the caller is known and may not
    │   ├── NotTheWriter     only the origin writes a record
    │   ├── MissingScope     the token does not carry the scope of this operation
    │   └── AudienceRevoked  the caller is not (or no longer) in the audience of this feed
    ├── NotFound           nothing here that the caller may see; hidden and absent are one answer
    ├── Retracted          it was here, and its operator has retracted it
    ├── PreconditionFailed the record is not at the state the caller named
    ├── Conflict           the write cannot be done in the present state
    │   ├── RequestInProgress  the same request is being carried out
    │   ├── AnswerNotStored    the same request was carried out, and its answer cannot be repeated
    │   └── PlanChanged        the upload would not do what its dry run has shown
    ├── KeyReused          the key of another request (Idempotency-Key)
    ├── CursorRefused
    │   ├── CursorExpired    older than the tombstones still kept: start from zero
    │   ├── CursorInFuture   beyond the head of the feed
    │   └── EpochChanged     the feed was minted anew (restore, promotion)
    ├── TooLarge, TooSlow, UnsupportedMediaType, NotAcceptable
    ├── TooManyRequests    the caller asks more often than it may; says when to ask again
    ├── Unreachable        another node, which this needs, did not answer as it should
    │   ├── Forged           what it showed is not what its origin signed
    │   ├── PeerDown         no answer came, or one of 5xx: an outage
    │   └── AccessRefused    it answered, and refuses us: a decision, not an outage
    └── Unavailable        not now: the database cannot be reached, or the node is stopping
        └── WriteConflict    somebody else wrote in between

    CommandFailed          the node's own configuration or database is not as it must be (shown by the CLI)

Messages are written for the caller and say what would help. Their values are named in braces, so that they
can be translated (``domain/messages.py``). The HTTP status of each is decided once, in
``api/problem_details.py``; an exception that is not in this tree is an unhandled one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from federation.domain.faults import MAX_FAULTS, Fault, FaultCode
from federation.domain.messages import Message


class Refused(Exception):
    """The request was not carried out; nothing was changed by it."""

    code: ClassVar[str] = "refused"
    title: ClassVar[str] = "The request was refused"

    def __init__(
        self,
        message: str | Message,
        *,
        pointer: str | None = None,
        fault: FaultCode = "invalid",
        allowed: Sequence[str] = (),
        rule: int | None = None,
        **values: Any,
    ) -> None:
        self.message = message if isinstance(message, Message) else Message(message, values)
        self.detail = str(self.message)
        """The message in English."""
        super().__init__(self.detail)
        self.faults: tuple[Fault, ...] = ()
        """The members and parameters at fault, where there are some; the message is that of the first."""
        self.more = 0
        """Faults beyond ``MAX_FAULTS``, at least."""
        if pointer is not None:
            self.faults = (
                Fault(pointer=pointer, code=fault, message=self.message, allowed=tuple(allowed), rule=rule),
            )

    @property
    def pointer(self) -> str | None:
        """RFC 6901 pointer to the first member at fault, where there is one."""
        return self.faults[0].pointer if self.faults else None

    @classmethod
    def of(cls, faults: Sequence[Fault], more: int = 0) -> Self:
        """One refusal for all faults of a request, at least one; ``more`` were not listed."""
        refusal = cls(faults[0].message)
        refusal.faults = tuple(faults[:MAX_FAULTS])
        refusal.more = more + max(len(faults) - MAX_FAULTS, 0)
        return refusal


class Invalid(Refused):
    code = "invalid"
    title = "The request is not valid"


class Unauthenticated(Refused):
    code = "unauthenticated"
    title = "A valid access token is needed"

    def __init__(
        self, message: str | Message, *, presented: bool = True, error: str = "invalid_token", **values: Any
    ) -> None:
        super().__init__(message, **values)
        self.presented = presented
        """Whether a token came that does not hold; else none came."""
        self.error = error
        """Its name in the challenge: ``invalid_token`` (RFC 6750), ``invalid_dpop_proof`` (RFC 9449)."""


class Forbidden(Refused):
    code = "forbidden"
    title = "The caller may not do this"


class NotTheWriter(Forbidden):
    code = "not-the-writer"
    title = "Only the origin writes a record"


class MissingScope(Forbidden):
    code = "missing-scope"
    title = "The token does not carry the scope of this operation"


class AudienceRevoked(Forbidden):
    code = "audience-revoked"
    title = "The caller is not in the audience of this feed"


class NotFound(Refused):
    code = "not-found"
    title = "There is nothing here"


class Retracted(Refused):
    code = "retracted"
    title = "The record has been retracted"


class PreconditionFailed(Refused):
    code = "precondition-failed"
    title = "The record is not at the state named"


class Conflict(Refused):
    code = "conflict"
    title = "The request does not fit the present state"


class RequestInProgress(Conflict):
    code = "request-in-progress"
    title = "The same request is being carried out"


class AnswerNotStored(Conflict):
    code = "answer-not-stored"
    title = "The request was carried out, and its answer is not stored"


class PlanChanged(Conflict):
    code = "plan-changed"
    title = "The upload would not do what its dry run has shown"

    def __init__(self, message: str, *, digest: str, **values: Any) -> None:
        super().__init__(message, **values)
        self.digest = digest
        """The digest of what it would do now."""


class KeyReused(Refused):
    code = "idempotency-key-reused"
    title = "The Idempotency-Key is that of another request"


class CursorRefused(Refused):
    code = "cursor-refused"
    title = "The cursor cannot be used"


class CursorExpired(CursorRefused):
    code = "cursor-expired"
    title = "The cursor is older than what is kept; start from zero"


class CursorInFuture(CursorRefused):
    code = "cursor-in-future"
    title = "The cursor is beyond the head of the feed"


class EpochChanged(CursorRefused):
    code = "epoch-changed"
    title = "The feed was minted anew"


class TooLarge(Refused):
    code = "too-large"
    title = "The request is too large"


class TooSlow(Refused):
    code = "too-slow"
    title = "The body came too slowly"


class UnsupportedMediaType(Refused):
    code = "unsupported-media-type"
    title = "The body is of a type that is not read here"


class Unreachable(Refused):
    code = "unreachable"
    title = "Another node did not answer as it should"

    def __init__(
        self, message: str, *, retry_after: float | None = None, final: bool = False, **values: Any
    ) -> None:
        super().__init__(message, **values)
        self.retry_after = retry_after
        """Seconds the other node asked to be left alone, where it did."""
        self.final = final
        """Whether it said that asking again will change nothing."""


class Forged(Unreachable):
    """The data is not what the origin signed; the message names its sender."""

    code = "forged"
    title = "What another node showed is not what its origin signed"


class PeerDown(Unreachable):
    """No answer came, or one of 5xx. Other members may be asked for their copies of what it publishes."""

    code = "peer-down"
    title = "Another node is down"


class AccessRefused(Unreachable):
    """It answered 401 or 403, or gave no token. No other member is asked for what it does not give us."""

    code = "access-refused"
    title = "Another node refuses this one"


class NotAcceptable(Refused):
    code = "not-acceptable"
    title = "The answer cannot be given in the form asked for"


class TooManyRequests(Refused):
    code = "too-many-requests"
    title = "Too many requests"

    def __init__(self, message: str, *, retry_after: int, **values: Any) -> None:
        super().__init__(message, **values)
        self.retry_after = retry_after
        """Seconds after which one is answered again, at least 1."""


class Unavailable(Refused):
    code = "unavailable"
    title = "The node cannot answer now"


class WriteConflict(Unavailable):
    code = "raced"
    title = "Another writer came first"

    def __init__(self) -> None:
        super().__init__("another writer came first; nothing was changed, try again")


class CommandFailed(Exception):
    """The node cannot work as it is configured; the message says what an administrator can do."""


class SequenceConflict(Exception):
    """Another record is stored at the number of an entry: its origin has lost it, or a number came garbled.

    ``feeds.clear_seq`` takes the number from it.
    """


class StaleCursor(Exception):
    """Another process has advanced the feed meanwhile, and goes on with it."""
