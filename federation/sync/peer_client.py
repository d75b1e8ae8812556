"""A peer's node over HTTP: a ``Source`` of its feeds.

Only the peer's registered host is called, through the transport of ``outbound.py``. Tokens are got by
client credentials with ``private_key_jwt`` (RFC 7523), through Authlib.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx2
import msgspec
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from federation.domain.alert import Letter
from federation.domain.checkpoint import Leaves, SignedDigests
from federation.domain.errors import (
    AudienceRevoked,
    CursorExpired,
    CursorInFuture,
    EpochChanged,
    Invalid,
    Refused,
    Unreachable,
)
from federation.domain.feed import (
    Cursor,
    EntryPage,
    FeedEntry,
    FeedName,
    Head,
    Lines,
    RejectedEntry,
    printable,
    read_entry,
    unreadable,
)
from federation.domain.peer import IntroducedPeer, Peer
from federation.domain.values import OPERATOR_PATTERN
from federation.node.keys import DPoPSigner, Keyring
from federation.outbound import http
from federation.outbound.mail import Mailer

WAIT = 25
"""Seconds a head is waited for."""
LINE_BYTES = 2 * 1_048_576
"""Bytes of one entry, at most."""
SLICE = 1_000
"""Entries stored in one transaction."""
SLICE_BYTES = 4 * 1_048_576


_REFUSALS: dict[str, type[Refused]] = {
    error.code: error for error in (AudienceRevoked, CursorExpired, CursorInFuture, EpochChanged)
}
_heads = msgspec.json.Decoder(dict[str, tuple[Head, ...]])


class _Place(msgspec.Struct):
    """Before the entries of a feed that come with the heads: which feed, and after which place of it."""

    feed: str
    after: str


_place = msgspec.json.Decoder(_Place)
_proofs = msgspec.json.Decoder(SignedDigests)
_leaves = msgspec.json.Decoder(Leaves)
SMALL = http.SMALL_BYTES
LARGE = 64 * 1_048_576
"""Bytes of the leaves of a bucket, or of entries asked for by number, at most."""
T = TypeVar("T")


def _path(feed: FeedName) -> str:
    return f"/v1/feeds/{feed.origin}/{feed.audience}"


def _read(what: str, decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """What a peer answered. Raises Unreachable when it cannot be read."""
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreachable(f"{what} cannot be read: {error}"[:300]) from None


def check_url(url: str, *, private: bool = False) -> str:
    """A base URL that may be called: https, or http on the loopback interface. Raises Unreachable.

    ``private``: whether addresses that are not public are allowed.
    """
    try:
        scheme, host, _ = http.origin_of(url)
        parts = urlsplit(url)
    except (http.TransferFailed, ValueError) as error:
        raise Unreachable(f"{printable(url, 200)} is not the base URL of a node: {_said(error)}") from None
    if parts.query or parts.fragment:
        raise Unreachable(f"{printable(url, 200)} is not the base URL of a node")
    if scheme != "https" and not is_loopback(host):
        raise Unreachable(f"{url} is not https (plain http is for the loopback interface only)")
    if not private and _is_address(host) and not http.public(host):
        raise Unreachable(f"{url} is at an address that is not public; --private allows it, if you trust it")
    return url.rstrip("/")


def check_webhook(url: str, *, private: bool) -> None:
    """Whether a webhook may be called: as a node's URL, but for its path and query. Raises Unreachable."""
    try:
        scheme, host, _ = http.origin_of(url)
    except (http.TransferFailed, ValueError) as error:
        raise Unreachable(f"{printable(url, 200)} cannot be called: {_said(error)}") from None
    if scheme != "https" and not is_loopback(host):
        raise Unreachable("a webhook is https (plain http is for the loopback interface only)")
    if not private and (is_loopback(host) or (_is_address(host) and not http.public(host))):
        raise Unreachable(
            "the webhook is at an address that is not public; private allows it, if you trust it"
        )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def fetch_public(url: str, *, private: bool) -> dict[str, Any]:
    """A public JSON document of a node. Raises Unreachable."""
    body = await _ask("GET", url, private=private)
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Unreachable(f"{url} did not answer a JSON object")
    return found


async def _ask(method: str, url: str, *, private: bool, **said: Any) -> bytes:
    """The body of a 200 or 201 to a request without a token. Raises Unreachable."""
    async with httpx2.AsyncClient(**http.settings(url, private=private)) as client:
        try:
            answer = await client.request(method, url, **said)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unreachable(f"{url} cannot be reached: {_said(error)}") from None
    if answer.status_code not in (200, 201):
        _, detail = _problem(answer.content)
        raise Unreachable(f"{url} answered {answer.status_code}{f': {detail}' if detail else ''}")
    return bytes(answer.content)


def _problem(body: bytes) -> tuple[str, str]:
    """Code and detail of a refusal (RFC 9457), or of RFC 6749; empty when it is none."""
    try:
        said = msgspec.json.decode(body)
        code = str(said.get("type", "")).rsplit("/", 1)[-1]
        return code, printable(str(said.get("detail", said.get("error", ""))), 300)
    except (msgspec.MsgspecError, UnicodeDecodeError, AttributeError, RecursionError):
        return "", ""


class Network:
    """Other nodes as they are: an ``Outside`` over HTTP."""

    def __init__(self, operator: str, keyring: Keyring, mailer: Mailer | None = None) -> None:
        self._operator = operator
        self._keyring = keyring
        self._mailer = mailer

    def check_webhook(self, url: str, *, private: bool) -> None:
        """As the function of this name."""
        check_webhook(url, private=private)

    async def post_webhook(self, url: str, body: bytes, headers: dict[str, str], *, private: bool) -> int:
        """Call a webhook; the status it answers. Raises Unreachable, also where it asks to be left alone."""
        check_webhook(url, private=private)
        try:
            async with httpx2.AsyncClient(**http.settings(url, private=private)) as client:
                answer = await client.post(url, content=body, headers=headers)
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise Unreachable(f"the webhook cannot be called: {_said(error)}") from None
        if answer.status_code in (429, 503) and (after := _seconds(answer.headers.get("retry-after", ""))):
            raise Unreachable(f"the webhook answered {answer.status_code}", retry_after=after)
        return int(answer.status_code)

    @property
    def sends_mail(self) -> bool:
        return self._mailer is not None

    async def mail(self, letter: Letter) -> None:
        """Hand an e-mail to the mail server. Raises Unreachable."""
        if self._mailer is None:
            raise Unreachable("this node sends no e-mail: FEDERATION_SMTP_URL is not set")
        await self._mailer.send(letter)

    def check_url(self, url: str, *, private: bool) -> str:
        """As the function of this name."""
        return check_url(url, private=private)

    async def introduce(self, url: str, *, private: bool) -> IntroducedPeer:
        """What the node at a URL says of itself. Raises Unreachable."""
        base = check_url(url, private=private)
        descriptor = await fetch_public(f"{base}/.well-known/federation", private=private)
        operator, said, jwks_uri = (descriptor.get(name) for name in ("operator", "url", "jwks_uri"))
        if not (isinstance(operator, str) and isinstance(said, str) and isinstance(jwks_uri, str)) or not (
            re.fullmatch(OPERATOR_PATTERN, operator)
        ):
            raise Unreachable(f"{base} is not a federation node")
        if said != base:
            raise Unreachable(f"the node at {base} says that its URL is {printable(said, 200)}")
        if urlsplit(jwks_uri)[:2] != urlsplit(base)[:2]:
            raise Unreachable(f"the node at {base} names keys on another host")
        jwks = await fetch_public(jwks_uri, private=private)
        name = printable(str(descriptor.get("name") or operator), 200)
        return IntroducedPeer(operator=operator, name=name, url=base, jwks=jwks)

    async def register(self, url: str, secret: str, request: bytes, *, private: bool) -> bytes:
        """Use an invitation at its node; the answer to it. Raises Unreachable with what it refused with."""
        headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
        return await _ask(
            "POST",
            f"{check_url(url, private=private)}/v1/join",
            private=private,
            content=request,
            headers=headers,
        )

    async def disconnect(self, peer: Peer) -> None:
        """Tell a peer that we are leaving. Raises Unreachable."""
        async with peer_source(self._operator, peer, self._keyring) as source:
            await source.disconnect()

    async def heads_at(self, peer: Peer, origin: str) -> tuple[Head, ...]:
        """What a peer holds of an origin's feeds. Raises Unreachable."""
        async with peer_source(self._operator, peer, self._keyring) as source:
            return await source.relayed(origin)


@asynccontextmanager
async def peer_source(operator: str, peer: Peer, keyring: Keyring) -> AsyncIterator[PeerSource]:
    """The feeds of a peer, as long as the block lasts."""
    source = PeerSource(operator, peer, keyring)
    try:
        yield source
    finally:
        await source.close()


class PeerSource:
    """The feeds of one peer."""

    def __init__(self, operator: str, peer: Peer, keyring: Keyring) -> None:
        """``operator`` is our own: what the peer knows us as."""
        self._url = check_url(peer.url, private=peer.private)
        self._operator = operator
        self._keyring = keyring
        self._prover = DPoPSigner()
        self._client = AsyncOAuth2Client(
            client_id=operator,
            token_endpoint=f"{self._url}/oauth2/token",
            token_endpoint_auth_method=self._authenticate,
            grant_type="client_credentials",
            leeway=60,
            **http.settings(self._url, private=peer.private),
        )
        self._client.register_compliance_hook("access_token_response", _refuse_no_token)
        self._tag: str | None = None
        self._news: dict[FeedName, tuple[Cursor, list[FeedEntry | RejectedEntry]]] = {}
        self.answered = False
        """Whether it has answered as it should since we began."""

    def forget_heads(self) -> None:
        """Ask for the heads without waiting next time."""
        self._tag = None

    def _authenticate(self, _client: Any, _method: str, uri: str, headers: Any, body: Any) -> Any:
        """An Authlib client-authentication method: an assertion with the issuer as its only audience.

        The proof beside it has the token bound to our key (RFC 9449, 5).
        """
        form = urlencode(
            {
                "grant_type": "client_credentials",
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": self._keyring.assertion(self._operator, self._url),
                "resource": self._url,
            }
        )
        headers["dpop"] = self._prover.proof("POST", uri)
        return uri, headers, form

    async def heads(self, *, wait: bool = False) -> tuple[Head, ...] | None:
        """The heads of the peer's feeds; None when they have not moved since the last answer.

        What is new since then may have come with them: ``changes`` has it ready.
        """
        self._news = {}
        headers = {"accept": "application/x-ndjson, application/json;q=0.5"}
        if wait and self._tag:
            headers |= {"if-none-match": self._tag, "prefer": f"wait={WAIT}"}
        async with self._request("GET", "/v1/feeds", headers, wait=WAIT) as response:
            if response.status_code == 304:
                return None
            body = await self._checked(response)
        first, _, news = body.partition(b"\n")
        heads = _read("its list of feeds", _heads, first).get("feeds")
        if heads is None:
            raise Unreachable("its list of feeds cannot be read: there is none")
        self._tag = response.headers.get("etag")
        self._news = self._told(news)
        return heads

    def _told(self, lines: bytes) -> dict[FeedName, tuple[Cursor, list[FeedEntry | RejectedEntry]]]:
        """What is new, by feed, and after which place; what is not as it should be is asked for later."""
        told: dict[FeedName, tuple[Cursor, list[FeedEntry | RejectedEntry]]] = {}
        found: list[FeedEntry | RejectedEntry] | None = None
        last = 0
        try:
            for line in lines.splitlines():
                if line.startswith(b'{"feed":'):
                    place = _place.decode(line)
                    after, found = Cursor.parse(place.after), []
                    last = after.seq
                    told[FeedName(*place.feed.split("/", 1))] = after, found
                    continue
                entry = self._entry_or_aside(line)
                if found is None or entry.seq <= last:
                    return {}
                last = entry.seq
                found.append(entry)
        except (Refused, msgspec.MsgspecError, TypeError):
            return {}
        return told

    async def relayed(self, origin: str) -> tuple[Head, ...]:
        """The heads of another origin's feeds that the peer holds."""
        body = await self._get(f"/v1/feeds?origin={origin}", SMALL)
        return _read("its list of feeds", _heads, body).get("feeds", ())

    async def proof(self, feed: FeedName) -> SignedDigests:
        """The digests of a feed, and the origin's checkpoint over them."""
        return _read("the digests", _proofs, await self._get(f"{_path(feed)}/digest", SMALL))

    async def leaves(self, feed: FeedName, bucket: int) -> Leaves:
        """The leaves of one bucket, as they are now."""
        return _read(
            "the leaves", _leaves, await self._get(f"{_path(feed)}/digest?bucket={bucket:02x}", LARGE)
        )

    async def numbered(self, feed: FeedName, numbers: Sequence[int]) -> tuple[FeedEntry | RejectedEntry, ...]:
        """The entries at these numbers, those that are still there, as many as the peer sends at once."""
        asked = ",".join(map(str, numbers))
        body = await self._get(f"{_path(feed)}/changes?numbers={asked}", LARGE, accept="application/x-ndjson")
        return tuple(self._entry_or_aside(line) for line in body.splitlines())

    async def receipt(self, jws: str) -> None:
        """Confirm what was dropped."""
        await self._post("/v1/receipts", {"receipt": jws})

    async def feedback(self, audience: str, several: tuple[RejectedEntry, ...]) -> None:
        """Tell what could not be taken."""
        await self._post("/v1/feedback", {"audience": audience, "entries": several})

    async def _get(self, path: str, most: int, *, accept: str = "application/json") -> bytes:
        """The body of a 200, of so many bytes at most."""
        stream = most > SMALL
        async with self._request("GET", path, {"accept": accept}, stream=stream) as response:
            if response.status_code != 200 or not stream:
                return await self._checked(response)
            parts, size = [], 0
            try:
                async with asyncio.timeout(http.DEADLINE):
                    async for piece in response.aiter_raw():
                        size += len(piece)
                        if size > most:
                            raise Unreachable(f"an answer is longer than {most} bytes")
                        parts.append(piece)
            except TimeoutError:
                raise Unreachable("an answer did not come to its end in time") from None
            return b"".join(parts)

    async def _post(self, path: str, said: object) -> None:
        headers = {"content-type": "application/json"}
        async with self._request("POST", path, headers, content=msgspec.json.encode(said)) as response:
            if response.status_code != 204:
                await self._checked(response)

    async def changes(self, feed: FeedName, after: Cursor | None) -> AsyncIterator[EntryPage]:
        """The entries after a cursor, in slices small enough to be stored in one transaction.

        An entry that cannot be read is passed over by its number, and comes as set aside. Raises
        CursorRefused and AudienceRevoked as the peer says; Unreachable for everything else.
        """
        path = f"{_path(feed)}/changes"
        told_after, told = self._news.pop(feed, (None, []))
        if told and told_after is not None and told_after == after:
            yield EntryPage(entries=tuple(told), cursor=Cursor(told_after.epoch, told[-1].seq), more=False)
            return
        if after is not None:
            path += f"?after={after}"
        headers = {"accept": "application/x-ndjson"}
        async with self._request("GET", path, headers, stream=True) as response:
            if response.status_code != 200:
                await self._checked(response)
            epoch = response.headers.get("federation-epoch", "")
            last = after.seq if after and after.epoch == epoch else 0
            entries: list[FeedEntry | RejectedEntry] = []
            size = 0
            async for line in _lines(response):
                entry = self._entry_or_aside(line)
                if entry.seq <= last:
                    raise Unreachable(f"the feed {feed} is not in order: {entry.seq} after {last}")
                last = entry.seq
                entries.append(entry)
                size += len(line)
                if len(entries) >= SLICE or size >= SLICE_BYTES:
                    yield EntryPage(entries=tuple(entries), cursor=Cursor(epoch, last), more=True)
                    entries, size = [], 0
            yield EntryPage(entries=tuple(entries), cursor=Cursor(epoch, last), more=False)

    def _entry_or_aside(self, line: bytes) -> FeedEntry | RejectedEntry:
        try:
            return self._entry(line)
        except Invalid as why:
            return self._unreadable(line, why)

    _entry = staticmethod(read_entry)

    @staticmethod
    def _unreadable(line: bytes, why: Invalid) -> RejectedEntry:
        try:
            return unreadable(line, why)
        except Invalid as error:
            raise Unreachable(f"an entry cannot be read: {error.detail}") from None

    async def disconnect(self) -> None:
        """Tell the peer that we are no peer of its any more. Raises Unreachable."""
        async with self._request("DELETE", "/v1/peers/self", {}) as response:
            if response.status_code != 204:
                await self._checked(response)

    def _request(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        *,
        wait: float = 0.0,
        stream: bool = False,
        content: bytes | None = None,
    ) -> _Answer:
        return _Answer(
            self._client,
            self._prover,
            method,
            self._url + path,
            headers,
            silence=http.SILENCE + wait,
            extensions=http.STREAM if stream else {"federation.wait": wait},
            content=content,
        )

    async def _checked(self, response: Any) -> bytes:
        """The body of a 200. Raises what the peer refused with."""
        body = bytes(await response.aread())
        if response.status_code == 200:
            return body
        code, detail = _problem(body)
        if code in _REFUSALS:
            raise _REFUSALS[code](detail)
        raise Unreachable(
            f"it answered {response.status_code}{f': {detail}' if detail else ''}",
            retry_after=_seconds(response.headers.get("retry-after", "")),
        )

    async def close(self) -> None:
        await self._client.aclose()


def _refuse_no_token(answer: Any) -> Any:
    """Before Authlib reads it: an answer that is neither a token nor an error of RFC 6749."""
    if answer.status_code not in (200, 400, 401):
        _, detail = _problem(answer.content)
        raise Unreachable(
            f"asked for a token it answered {answer.status_code}{f': {detail}' if detail else ''}",
            retry_after=_seconds(answer.headers.get("retry-after", "")),
        )
    return answer


def _seconds(after: str) -> float | None:
    """``Retry-After`` in seconds; None for what is none."""
    return float(after) if after.isascii() and after.isdigit() and len(after) < 6 else None


class _Answer:
    """A request whose answer is read as it comes, with a token of the peer's and a proof for this once."""

    def __init__(
        self,
        client: Any,
        prover: DPoPSigner,
        method: str,
        url: str,
        headers: dict[str, str],
        *,
        silence: float,
        extensions: dict[str, Any],
        content: bytes | None = None,
    ) -> None:
        self._client, self._prover, self._method, self._url = client, prover, method, url
        self._headers, self._silence, self._extensions = headers, silence, extensions
        self._content = content

    async def __aenter__(self) -> Any:
        try:
            if self._client.token is None or self._client.token.is_expired(leeway=60):
                self._client.token = None
                await self._client.fetch_token()
            token = str(self._client.token["access_token"])
            if str(self._client.token.get("token_type")).lower() != "dpop":
                raise Unreachable("it gave a token that is not bound to our key")
            self._context = self._client.stream(
                self._method,
                self._url,
                # Authlib knows bearer tokens only: the header is ours.
                withhold_token=True,
                content=self._content,
                headers={
                    **self._headers,
                    "authorization": f"DPoP {token}",
                    "dpop": self._prover.proof(self._method, self._url.split("?")[0], token),
                },
                timeout=httpx2.Timeout(self._silence, connect=http.CONNECT),
                extensions=self._extensions,
            )
            response = await self._context.__aenter__()
        except OAuthError as error:
            raise Unreachable(f"it gave no token: {error.error}: {error.description}"[:300]) from None
        except httpx2.HTTPError as error:
            raise Unreachable(f"it cannot be reached: {_said(error)}") from None
        except (ValueError, TypeError, KeyError) as error:
            raise Unreachable(f"its token cannot be read: {error}"[:300]) from None
        if response.status_code == 401:
            self._client.token = None  # it may have been revoked: get a new one next time
        return response

    async def __aexit__(self, *exception: Any) -> None:
        try:
            await self._context.__aexit__(*exception)
        except httpx2.HTTPError as error:
            raise Unreachable(f"the answer broke off: {_said(error)}") from None
        if isinstance(exception[1], httpx2.HTTPError):
            raise Unreachable(f"the answer broke off: {_said(exception[1])}") from None


async def _lines(response: Any) -> AsyncIterator[bytes]:
    lines = Lines()
    async for piece in response.aiter_raw():
        for line in lines.cut(piece):
            yield line
        if lines.rest > LINE_BYTES:
            raise Unreachable(f"an entry is longer than {LINE_BYTES} bytes")
    if lines.rest:
        raise Unreachable("the answer broke off within an entry")


def _said(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:400]
