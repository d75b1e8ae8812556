"""A peer's node over HTTP: a ``Source`` of its feeds.

Only the peer's registered host is called, through the transport of ``outbound.py``. Tokens are got by
client credentials with ``private_key_jwt`` (RFC 7523), through Authlib.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
import msgspec
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from federation.domain.errors import AudienceRevoked, CursorExpired, CursorInFuture, EpochChanged, Refused
from federation.domain.feed import Cursor, Entry, FeedName, Head, Lines, Page
from federation.keys import Keyring
from federation.sync import outbound

WAIT = 25
"""Seconds a head is waited for."""
LINE_BYTES = 2 * 1_048_576
"""Bytes of one entry, at most."""
SLICE = 500
"""Entries stored in one transaction."""
SLICE_BYTES = 4 * 1_048_576


class PeerFailed(Exception):
    """The peer did not answer as it should; the message says how, for the administrator."""

    def __init__(self, why: str, *, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


_REFUSALS: dict[str, type[Refused]] = {
    error.code: error for error in (AudienceRevoked, CursorExpired, CursorInFuture, EpochChanged)
}
_heads = msgspec.json.Decoder(dict[str, tuple[Head, ...]])
_entry = msgspec.json.Decoder(Entry)


def check_url(url: str) -> str:
    """A base URL that may be called: https, or http on the loopback interface. Raises PeerFailed."""
    parts = urlsplit(url.rstrip("/"))
    host = parts.hostname or ""
    if parts.username or parts.password or parts.query or parts.fragment or not host:
        raise PeerFailed(f"{url} is not the base URL of a node")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise PeerFailed(f"{url} is not https (plain http is for the loopback interface only)")
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def fetch_public(url: str) -> dict[str, Any]:
    """A public JSON document of a node. Raises PeerFailed."""
    async with httpx2.AsyncClient(**outbound.settings()) as client:
        try:
            response = await client.get(url)
        except httpx2.HTTPError as error:
            raise PeerFailed(f"{url} cannot be reached: {_said(error)}") from None
        if response.status_code != 200:
            raise PeerFailed(f"{url} answered {response.status_code}")
        try:
            found = msgspec.json.decode(response.content)
        except msgspec.MsgspecError:
            found = None
        if not isinstance(found, dict):
            raise PeerFailed(f"{url} did not answer a JSON object")
        return found


class PeerSource:
    """The feeds of one peer."""

    def __init__(self, operator: str, url: str, keyring: Keyring) -> None:
        """``operator`` is our own: what the peer knows us as."""
        self._url = check_url(url)
        self._operator = operator
        self._keyring = keyring
        self._client = AsyncOAuth2Client(
            client_id=operator,
            token_endpoint=f"{self._url}/oauth2/token",
            token_endpoint_auth_method=self._authenticate,
            grant_type="client_credentials",
            leeway=60,
            **outbound.settings(),
        )
        self._tag: str | None = None
        self.answered = False
        """Whether it has answered as it should since we began."""

    def forget_heads(self) -> None:
        """Ask for the heads without waiting next time."""
        self._tag = None

    def _authenticate(self, _client: Any, _method: str, uri: str, headers: Any, body: Any) -> Any:
        """An Authlib client-authentication method: an assertion with the issuer as its only audience."""
        form = urlencode(
            {
                "grant_type": "client_credentials",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": self._keyring.assertion(self._operator, self._url),
            }
        )
        return uri, headers, form

    async def heads(self, *, wait: bool = False) -> tuple[Head, ...] | None:
        """The heads of the peer's feeds; None when they have not moved since the last answer."""
        headers = {}
        if wait and self._tag:
            headers = {"if-none-match": self._tag, "prefer": f"wait={WAIT}"}
        async with self._get("/v1/feeds", headers, wait=WAIT) as response:
            if response.status_code == 304:
                return None
            body = await self._checked(response)
        try:
            heads = _heads.decode(body)["feeds"]
        except (msgspec.MsgspecError, KeyError, UnicodeDecodeError) as error:
            raise PeerFailed(f"its list of feeds cannot be read: {error}") from None
        self._tag = response.headers.get("etag")
        return heads

    async def changes(self, feed: FeedName, after: Cursor | None) -> AsyncIterator[Page]:
        """The entries after a cursor, in slices small enough to be stored in one transaction.

        Raises CursorRefused and AudienceRevoked as the peer says; PeerFailed for everything else.
        """
        path = f"/v1/feeds/{feed.origin}/{feed.audience}/changes"
        if after is not None:
            path += f"?after={after}"
        headers = {"accept": "application/x-ndjson"}
        async with self._get(path, headers, stream=True) as response:
            if response.status_code != 200:
                await self._checked(response)
            epoch = response.headers.get("federation-epoch", "")
            last = after.seq if after and after.epoch == epoch else 0
            entries: list[Entry] = []
            size = 0
            async for line in _lines(response):
                entry = self._entry(line)
                if entry.seq <= last:
                    raise PeerFailed(f"the feed {feed} is not in order: {entry.seq} after {last}")
                last = entry.seq
                entries.append(entry)
                size += len(line)
                if len(entries) >= SLICE or size >= SLICE_BYTES:
                    yield Page(entries=tuple(entries), cursor=Cursor(epoch, last), more=True)
                    entries, size = [], 0
            yield Page(entries=tuple(entries), cursor=Cursor(epoch, last), more=False)

    @staticmethod
    def _entry(line: bytes) -> Entry:
        try:
            return _entry.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise PeerFailed(f"an entry cannot be read: {error}") from None

    def _get(self, path: str, headers: dict[str, str], *, wait: float = 0.0, stream: bool = False) -> Any:
        return _Answer(
            self._client,
            self._url + path,
            headers,
            outbound.SILENCE + wait,
            outbound.STREAM if stream else {},
        )

    async def _checked(self, response: Any) -> bytes:
        """The body of a 200. Raises what the peer refused with."""
        body = bytes(await response.aread())
        if response.status_code == 200:
            return body
        try:
            problem = msgspec.json.decode(body)
            code, detail = str(problem["type"]).rsplit("/", 1)[-1], str(problem.get("detail", ""))[:300]
        except (msgspec.MsgspecError, KeyError, TypeError, AttributeError):
            code, detail = "", ""
        if code in _REFUSALS:
            raise _REFUSALS[code](detail)
        after = response.headers.get("retry-after", "")
        raise PeerFailed(
            f"it answered {response.status_code}{f': {detail}' if detail else ''}",
            retry_after=float(after) if after.isdigit() and len(after) < 6 else None,
        )

    async def close(self) -> None:
        await self._client.aclose()


class _Answer:
    """A request whose answer is read as it comes, with a token of the peer's."""

    def __init__(
        self, client: Any, url: str, headers: dict[str, str], silence: float, extensions: dict[str, Any]
    ) -> None:
        self._client, self._url, self._headers, self._silence = client, url, headers, silence
        self._extensions = extensions

    async def __aenter__(self) -> Any:
        try:
            if self._client.token is None or self._client.token.is_expired(leeway=60):
                self._client.token = None
                await self._client.fetch_token()
            self._context = self._client.stream(
                "GET",
                self._url,
                headers=self._headers,
                timeout=httpx2.Timeout(self._silence, connect=outbound.CONNECT),
                extensions=self._extensions,
            )
            response = await self._context.__aenter__()
        except OAuthError as error:
            raise PeerFailed(f"it gave no token: {error.error}: {error.description}"[:300]) from None
        except httpx2.HTTPError as error:
            raise PeerFailed(f"it cannot be reached: {_said(error)}") from None
        except (ValueError, TypeError, KeyError) as error:
            raise PeerFailed(f"its token cannot be read: {error}"[:300]) from None
        if response.status_code == 401:
            self._client.token = None  # it may have been revoked: get a new one next time
        return response

    async def __aexit__(self, *exception: Any) -> None:
        try:
            await self._context.__aexit__(*exception)
        except httpx2.HTTPError as error:
            raise PeerFailed(f"the answer broke off: {_said(error)}") from None
        if isinstance(exception[1], httpx2.HTTPError):
            raise PeerFailed(f"the answer broke off: {_said(exception[1])}") from None


async def _lines(response: Any) -> AsyncIterator[bytes]:
    lines = Lines()
    async for piece in response.aiter_raw():
        for line in lines.cut(piece):
            yield line
        if lines.rest > LINE_BYTES:
            raise PeerFailed(f"an entry is longer than {LINE_BYTES} bytes")
    if lines.rest:
        raise PeerFailed("the answer broke off within an entry")


def _said(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:200]
