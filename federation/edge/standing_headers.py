"""Headers that an answer has beside its own: the API's version, the caller's rate, what others may read.

    API-Version                   every answer
    RateLimit-Policy, RateLimit   answers to requests that count (draft-ietf-httpapi-ratelimit-headers-10)
    Access-Control-*              answers that anybody may read, to requests without a token (Fetch Standard)
    Deprecation, Sunset           operations that are to go (RFC 9745, RFC 8594)

A page of another origin reads what anybody reads, and can send no token: a browser asks first whether it may
(a preflight), and ``Authorization`` is not among the headers that are named. No cookie is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time
from email.utils import format_datetime
from typing import Any

from federation.edge.operations import KEY, Operation
from federation.edge.token_buckets import TokenBucket

API_VERSION = "1.0.0"
"""Of the contract: the major number is the one of ``/v1``, the others count additions and corrections."""
RATE = "rate"
"""The member of an ASGI scope that the caller's token bucket is under."""
Header = tuple[bytes, bytes]

VERSION: Header = (b"api-version", API_VERSION.encode())
_READABLE = (
    "api-version",
    "content-language",
    "etag",
    "link",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
)
OTHER_ORIGINS: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", ", ".join(_READABLE).encode()),
)
"""Headers of an answer that a page of any origin may read."""
_SENDABLE = ("accept", "accept-language", "if-modified-since", "if-none-match", "prefer")
PREFLIGHT = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, HEAD",
    "access-control-allow-headers": ", ".join(_SENDABLE),
    "access-control-max-age": "86400",
}
"""Headers of the answer to a browser that asks what a page of another origin may do."""


NAMES = frozenset(
    (
        VERSION[0],
        b"ratelimit-policy",
        b"ratelimit",
        *(name for name, _ in OTHER_ORIGINS),
        b"deprecation",
        b"sunset",
    )
)
"""Names of the headers below that an answer has once: beside a link of its own there may be another."""


def standing_headers(scope: Any) -> list[Header]:
    """The headers of the answer to a request, beside those that it sets itself."""
    headers = [VERSION]
    bucket: TokenBucket | None = scope.get(RATE)
    if bucket is not None:
        headers += bucket.headers()
    operation: Operation | None = scope.get(KEY)
    if operation is not None:
        if operation.is_public and scope["caller"].operator is None:
            headers += OTHER_ORIGINS
        if operation.deprecation is not None:
            headers += deprecation_headers(operation)
    return headers


def deprecation_headers(operation: Operation) -> list[Header]:
    """The day from which an operation is deprecated, the day on which it goes, and a page about it."""
    deprecation = operation.deprecation
    if deprecation is None:
        return []
    since, sunset = (datetime.combine(day, time(), UTC) for day in (deprecation.since, deprecation.sunset))
    return [
        (b"deprecation", b"@%d" % since.timestamp()),
        (b"sunset", format_datetime(sunset, usegmt=True).encode()),
        (b"link", f'<{deprecation.page}>; rel="deprecation"; type="text/html"'.encode()),
    ]


def accepted_types(operation: Operation) -> dict[str, str]:
    """The header that names the types of body of an operation (RFC 5789, 3.1; Linked Data Platform, 7.1)."""
    names = {"PATCH": "accept-patch", "POST": "accept-post"}
    if operation.method not in names or not operation.bodies:
        return {}
    return {names[operation.method]: ", ".join(operation.media_types)}


def allowed_methods(methods: Iterable[str]) -> list[str]:
    """The methods that ``Allow`` names for a path with these operations: HEAD is answered wherever GET is."""
    allowed = {"OPTIONS", *methods}
    return sorted(allowed | {"HEAD"} if "GET" in allowed else allowed)
