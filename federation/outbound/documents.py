"""Documents of others, such as advisories and their indexes: GET over the one safe transport.

A connection to each host is kept for the documents that follow. Hosts other than that of the source are https
and public, whatever the source may call. No redirects, and an answer is bounded in bytes and in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx2
import msgspec

from federation.domain.errors import Unreachable
from federation.domain.feed import printable
from federation.outbound import http
from federation.outbound.answers import error_message, retry_after
from federation.outbound.urls import check_source

MAX_HOSTS = 8
"""Hosts that the documents of one source may lie on."""
DOCUMENT_SECONDS = 120.0
"""Seconds for a whole document."""
_LOOK_BYTES = 262_144
"""Bytes after which a reader is asked anew for the end of what it needs."""

IsEnough = Callable[[bytes], bool]


class Fetched(msgspec.Struct, frozen=True):
    """An answer; without a body where the document has not changed."""

    body: bytes | None
    etag: str | None = None


class Documents:
    """Reads documents for a source; a context manager that closes its connections."""

    def __init__(self, source: str, *, private: bool) -> None:
        check_source(source, private=private)
        self._origin = http.origin_of(source)
        self._private = private
        self._clients: dict[tuple[str, str, int], httpx2.AsyncClient] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            await client.aclose()

    async def get(
        self, url: str, *, max_bytes: int, etag: str | None = None, is_enough: IsEnough | None = None
    ) -> Fetched:
        """Read a document, unless it has still that ETag.

        ``is_enough`` is asked now and then, and ends the reading. Raises Unreachable, which is final where
        asking again would change nothing.
        """
        client = self._client(url)
        headers = {"if-none-match": etag} if etag else {}
        try:
            async with (
                asyncio.timeout(DOCUMENT_SECONDS),
                client.stream("GET", url, headers=headers, extensions=http.STREAM) as answer,
            ):
                if answer.status_code == 304 and etag:
                    return Fetched(None, etag)
                if answer.status_code != 200:
                    raise _refusal(url, answer)
                body = await _read(answer, url, max_bytes, is_enough)
                return Fetched(body, answer.headers.get("etag", "")[:200] or None)
        except TimeoutError:
            raise Unreachable("{url} did not answer in time", url=printable(url, 300)) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            is_final = isinstance(error, http.TransferFailed) and not error.outage
            raise Unreachable(
                "{url} cannot be read: {reason}",
                final=is_final,
                url=printable(url, 300),
                reason=error_message(error),
            ) from None

    def _client(self, url: str) -> httpx2.AsyncClient:
        try:
            origin = http.origin_of(url)
        except http.TransferFailed as error:
            raise Unreachable(
                "{url} cannot be read: {reason}",
                final=True,
                url=printable(url, 300),
                reason=error_message(error),
            ) from None
        client = self._clients.get(origin)
        if client is None:
            is_own = origin == self._origin
            try:
                check_source(url, private=self._private and is_own)
            except Unreachable as error:
                error.final = True
                raise
            if len(self._clients) >= MAX_HOSTS:
                raise Unreachable(
                    "{url} is not read: the documents of a source are on {maximum} hosts at most",
                    final=True,
                    url=printable(url, 300),
                    maximum=MAX_HOSTS,
                )
            client = httpx2.AsyncClient(**http.settings(url, private=self._private and is_own))
            self._clients[origin] = client
        return client


async def _read(answer: httpx2.Response, url: str, max_bytes: int, is_enough: IsEnough | None) -> bytes:
    body = bytearray()
    looked = 0
    async for piece in answer.aiter_bytes():
        body += piece
        if is_enough is not None and len(body) - looked >= _LOOK_BYTES:
            looked = len(body)
            if is_enough(bytes(body[-_LOOK_BYTES:])):
                break
        if len(body) > max_bytes:
            raise Unreachable(
                "{url} is longer than {maximum} bytes", final=True, url=printable(url, 300), maximum=max_bytes
            )
    return bytes(body)


def _refusal(url: str, answer: httpx2.Response) -> Unreachable:
    status = answer.status_code
    return Unreachable(
        "{url} answered {status_code}",
        retry_after=retry_after(answer.headers.get("retry-after", "")),
        final=300 <= status < 500 and status not in (408, 425, 429),
        url=printable(url, 300),
        status_code=status,
    )
