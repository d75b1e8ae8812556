"""The HTTP status of each refusal, and the codes of all problems."""

from __future__ import annotations

from collections.abc import Iterator

from federation.domain import errors

STATUS: dict[type[errors.Refused], int] = {
    errors.Invalid: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotTheWriter: 403,
    errors.MissingScope: 403,
    errors.AudienceRevoked: 403,
    errors.NotFound: 404,
    errors.NotAcceptable: 406,
    errors.TooSlow: 408,
    errors.Conflict: 409,
    errors.RequestInProgress: 409,
    errors.AnswerNotStored: 409,
    errors.PlanChanged: 409,
    errors.EpochChanged: 409,
    errors.Retracted: 410,
    errors.CursorExpired: 410,
    errors.CursorInFuture: 400,
    errors.PreconditionFailed: 412,
    errors.TooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.KeyReused: 422,
    errors.TooManyRequests: 429,
    errors.Unreachable: 502,
    errors.Forged: 502,
    errors.PeerDown: 502,
    errors.AccessRefused: 502,
    errors.Unavailable: 503,
    errors.WriteConflict: 503,
}


def retry_headers(error: errors.Refused) -> dict[str, str]:
    """The headers of a refusal that say when to try again, or that the connection ends."""
    if isinstance(error, errors.TooManyRequests):
        return {"retry-after": str(error.retry_after)}
    match STATUS[type(error)]:
        case 503:
            return {"retry-after": "2"}
        case 408:
            return {"connection": "close"}  # RFC 9110, 15.5.9: what may still come of the body is not read
    return {}


METHOD_NOT_ALLOWED = "method-not-allowed"
INTERNAL_ERROR = "internal-error"
TITLES = {
    METHOD_NOT_ALLOWED: "The path does not take this method",
    INTERNAL_ERROR: "Internal error",
}
"""Titles of problems that are no error of the domain, by code."""


def _codes(kind: type[errors.Refused] = errors.Refused) -> Iterator[str]:
    yield kind.code
    for inner in kind.__subclasses__():
        yield from _codes(inner)


CODES: tuple[str, ...] = (*sorted({*_codes()} - {errors.Refused.code}), *TITLES)
"""All codes of problems. A version of the API only adds to them."""
