"""Errors of the client, as one tree.

    ClientError
    ├── ConnectionFailed     no answer came, after all attempts
    ├── UnexpectedAnswer     an answer that the API does not give: a page of a proxy, cut JSON
    ├── TokenRefused         the token endpoint refuses these credentials
    ├── NotUnderstood        a record of a newer version, which this one cannot read as its type
    ├── UploadIncomplete     a report without a summary: the rest of the upload was not stored
    └── RequestRefused       the node refuses the request (RFC 9457)
        ├── Invalid            400: a member or parameter is wrong; ``errors`` name it
        ├── Unauthenticated    401
        ├── Forbidden          403
        ├── NotFound           404: nothing that the caller may see
        ├── Retracted          410: its operator has retracted the record
        ├── PreconditionFailed 412: the record is not at the state that the request names
        ├── Conflict           409
        ├── CursorRefused
        │   ├── CursorExpired    410: older than the deletions that the node stores
        │   ├── CursorInFuture   400: the database of the node went back
        │   └── EpochChanged     409: the node has another database
        ├── TooManyRequests    429, after all attempts
        └── Unavailable        503, after all attempts

The class follows ``code``, and the status where the code is not known here. A code is stable; titles and
details are texts for people.
"""

from __future__ import annotations

import msgspec


class ClientError(Exception):
    """Anything that this client raises, beside ``ValueError`` for a wrong argument."""


class ConnectionFailed(ClientError):
    """No answer came. What was sent may have been carried out, unless it was only to read."""


class UnexpectedAnswer(ClientError):
    """An answer that is not of this API."""

    def __init__(self, detail: str, *, status: int | None = None) -> None:
        super().__init__(detail)
        self.status = status


class TokenRefused(ClientError):
    """The token endpoint gives no token (RFC 6749, 5.2)."""

    def __init__(self, error: str, description: str, *, status: int) -> None:
        super().__init__(f"{error}: {description}" if description else error)
        self.error, self.description, self.status = error, description, status


class NotUnderstood(ClientError):
    """A record that a newer version wrote. Its bytes and envelope are there all the same."""


class UploadIncomplete(ClientError):
    """The report of an upload has no summary. Repeat the upload: stored records are unchanged then."""


class ProblemFault(msgspec.Struct, frozen=True, kw_only=True):
    """A member at fault."""

    pointer: str = ""
    """JSON Pointer (RFC 6901) into the body, or the query parameter after ``?``."""
    detail: str = ""
    code: str | None = None
    allowed: tuple[str, ...] = ()
    """The values that are allowed, where these can be listed."""


class RequestRefused(ClientError):
    """The node refuses a request; nothing was changed by it."""

    def __init__(
        self,
        detail: str,
        *,
        status: int,
        code: str,
        title: str = "",
        errors: tuple[ProblemFault, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail or title or code)
        self.detail, self.status, self.code, self.title, self.errors = detail, status, code, title, errors
        self.retry_after = retry_after
        """Seconds that the node asks to be left alone."""
        self.repeated = False
        """True when an attempt before may have been carried out without its answer being received."""

    def __str__(self) -> str:
        faults = "".join(f"; {fault.pointer}: {fault.detail}" for fault in self.errors)
        return f"{self.status} {self.code}: {super().__str__()}{faults}"


class Invalid(RequestRefused):
    """The request cannot be understood, or breaks a rule of the schema."""


class Unauthenticated(RequestRefused):
    """A valid token is needed."""


class Forbidden(RequestRefused):
    """The caller may not do this: a scope is missing, or the record is another operator's."""


class NotFound(RequestRefused):
    """Nothing is there that the caller may see."""


class Retracted(RequestRefused):
    """The record was there, and its operator has retracted it."""


class Conflict(RequestRefused):
    """The request does not fit the present state."""


class PreconditionFailed(RequestRefused):
    """The record is not at the state that ``if_match`` or ``only_new`` names: read it again."""


class CursorRefused(RequestRefused):
    """The changes cannot be followed from this cursor: read them from the beginning, and compare."""


class CursorExpired(CursorRefused):
    """The cursor is older than the deletions that the node stores."""


class CursorInFuture(CursorRefused):
    """The node has fewer changes than were read: its database was restored from a backup."""


class EpochChanged(CursorRefused):
    """The node has another database, or an older state of it."""


class TooManyRequests(RequestRefused):
    """The caller asks more often than it may."""


class Unavailable(RequestRefused):
    """Not now."""


_BY_CODE: dict[str, type[RequestRefused]] = {
    "retracted": Retracted,
    "cursor-refused": CursorRefused,
    "cursor-expired": CursorExpired,
    "cursor-in-future": CursorInFuture,
    "epoch-changed": EpochChanged,
}
_BY_STATUS: dict[int, type[RequestRefused]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Retracted,
    412: PreconditionFailed,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: TooManyRequests,
    503: Unavailable,
}


class _ProblemBody(msgspec.Struct, frozen=True, kw_only=True):
    """The members of a problem that are read; all may be absent, and each may be of another type."""

    type: object = None
    title: object = None
    code: object = None
    detail: object = None
    errors: object = None


def read_problem(status: int, body: bytes, *, retry_after: float | None = None) -> RequestRefused | None:
    """The error that a problem of the node becomes; None for a body that is no problem."""
    try:
        problem = msgspec.json.decode(body, type=_ProblemBody)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    type_ = problem.type if isinstance(problem.type, str) else ""
    code = problem.code if isinstance(problem.code, str) else type_.replace(":", "/").rpartition("/")[2]
    if not code:
        return None
    return of_code(
        code,
        status,
        detail=_text(problem.detail),
        title=_text(problem.title),
        errors=read_faults(problem.errors),
        retry_after=retry_after,
    )


def of_code(
    code: str,
    status: int,
    *,
    detail: str = "",
    title: str = "",
    errors: tuple[ProblemFault, ...] = (),
    retry_after: float | None = None,
) -> RequestRefused:
    """The error of a code, as the class that the code or the status stands for."""
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status, RequestRefused)
    return kind(detail, status=status, code=code, title=title, errors=errors, retry_after=retry_after)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def read_faults(value: object) -> tuple[ProblemFault, ...]:
    """The faults that can be read; versions differ in their members, and an unreadable one is left out."""
    faults = []
    for item in value if isinstance(value, list) else ():
        if not isinstance(item, dict):
            continue
        allowed = item.get("allowed")
        faults.append(
            ProblemFault(
                pointer=_text(item.get("pointer")),
                detail=_text(item.get("detail")),
                code=_text(item.get("code")) or None,
                allowed=tuple(str(value) for value in allowed) if isinstance(allowed, list) else (),
            )
        )
    return tuple(faults)
