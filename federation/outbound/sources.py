"""Sources of records: one GET, conditional where an answer was read before (RFC 9110, 13.1)."""

from __future__ import annotations

from typing import NamedTuple

import httpx2

from federation.domain.errors import Unreachable
from federation.domain.feed import printable
from federation.domain.sources.source import HttpState
from federation.outbound import http
from federation.outbound.answers import error_message, retry_after
from federation.outbound.urls import check_source

MAX_VALIDATOR_LENGTH = 500
"""Characters of an ETag or Last-Modified that is sent back; a longer one is not used."""


class Fetched(NamedTuple):
    """The answer of a source."""

    body: bytes | None
    """None where nothing has changed since (304)."""
    state: HttpState


async def fetch_source(url: str, state: HttpState, *, max_bytes: int, private: bool) -> Fetched:
    """Read a source whole, unless it has not changed. Raises Unreachable; ``max_bytes`` bounds the answer."""
    check_source(url, private=private)
    headers = {
        **({"if-none-match": state.etag} if state.etag else {}),
        **({"if-modified-since": state.last_modified} if state.last_modified else {}),
    }
    try:
        async with httpx2.AsyncClient(**http.settings(url, private=private)) as client:
            answer = await client.get(url, headers=headers, extensions={http.BYTES: max_bytes})
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise Unreachable("the source cannot be read: {reason}", reason=error_message(error)) from None
    status = int(answer.status_code)
    if status == 304 and headers:
        return Fetched(None, state)
    if status in (301, 302, 303, 307, 308):
        raise Unreachable(
            "the source has moved to {url}; change its address, if you trust that",
            url=printable(answer.headers.get("location", "?"), 200),
        )
    if status != 200:
        after = retry_after(answer.headers.get("retry-after", "")) if status in (429, 503) else None
        raise Unreachable("the source answered {status_code}", retry_after=after, status_code=status)
    new = HttpState(_validator(answer, "etag"), _validator(answer, "last-modified"))
    return Fetched(bytes(answer.content), new)


def is_same_origin(url: str, other: str) -> bool:
    """True where both URLs are of one scheme, host and port."""
    try:
        return http.origin_of(url) == http.origin_of(other)
    except http.TransferFailed:
        return False


def _validator(answer: httpx2.Response, name: str) -> str | None:
    value: str | None = answer.headers.get(name)
    if value is None or len(value) > MAX_VALIDATOR_LENGTH or not value.isascii() or not value.isprintable():
        return None
    return value
