"""A peer's node over HTTP: a ``VerifiableSource`` of its feeds.

Only the peer's registered host is called, through the transport of ``outbound/http``. Tokens come by client
credentials with ``private_key_jwt`` (RFC 7523), through Authlib.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from authlib.integrations.httpx_client import AsyncOAuth2Client

from federation.domain.checkpoint import Leaves, SignedDigests
from federation.domain.entry import EntryPage, FeedEntry, Lines, RejectedEntry, read_entry, unreadable
from federation.domain.errors import (
    AudienceRevoked,
    CursorExpired,
    CursorInFuture,
    EpochChanged,
    Invalid,
    Refused,
    Unreachable,
)
from federation.domain.feed import Cursor, FeedName, Head
from federation.domain.peer import Peer
from federation.node.keys import DPoPSigner, Keyring
from federation.outbound import http
from federation.outbound.answers import read_problem
from federation.outbound.urls import check_url
from federation.sync.leaves import max_leaves_bytes, read_leaves
from federation.sync.peer_clock import PeerClock
from federation.sync.peer_request import PeerRequest, refusal_of, token_answer_hook

HEADS_WAIT_SECONDS = 25
"""For which a peer may hold back its heads until one of them moves."""
MAX_ENTRY_BYTES = 2 * 1_048_576
"""Bytes of one entry."""
ENTRIES_PER_TURN = 50
"""Entries decoded before other tasks have a turn: half a millisecond."""
BATCH_ENTRIES = 1_000
"""Entries after which a page ends: they are stored in one transaction."""
BATCH_BYTES = 4 * 1_048_576
"""Bytes after which a page ends."""


_REFUSALS: dict[tuple[int, str], type[Refused]] = {
    (403, AudienceRevoked.code): AudienceRevoked,
    (410, CursorExpired.code): CursorExpired,
    (400, CursorInFuture.code): CursorInFuture,
    (409, EpochChanged.code): EpochChanged,
}
"""Refusals that say more than their status, by status and code: a code alone may come with any failure."""
_heads = msgspec.json.Decoder(dict[str, tuple[Head, ...]])


InlineEntries = tuple[Cursor, list[FeedEntry | RejectedEntry]]
"""Entries of a feed that came with the heads, and the cursor before them."""


class _InlineHeader(msgspec.Struct):
    """The line before the inline entries of a feed: its name, and the cursor before them."""

    feed: str
    after: str


_inline_header = msgspec.json.Decoder(_InlineHeader)
_digests = msgspec.json.Decoder(SignedDigests)
MAX_ANSWER_BYTES = http.SMALL_BYTES
MAX_LARGE_ANSWER_BYTES = 64 * 1_048_576
"""Bytes of entries asked for by number."""
T = TypeVar("T")


def _path(feed: FeedName) -> str:
    return f"/v1/feeds/{feed.origin}/{feed.audience}"


def _decode(name: str, decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """The body of an answer. Raises Unreachable, with its name, when it cannot be read."""
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreachable(f"{name} cannot be read: {error}"[:300]) from None


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
        """``operator`` is our own, the client id at the peer."""
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
        self.clock = PeerClock()
        """The peer's clock, by its last answer."""
        self._client.register_compliance_hook("access_token_response", token_answer_hook(self.clock))
        self._tag: str | None = None
        self._inline: dict[FeedName, InlineEntries] = {}
        self.answered = False
        """True once it has answered as it should."""

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

        New entries may have come with them: ``changes`` has them ready.
        """
        self._inline = {}
        headers = {"accept": "application/x-ndjson, application/json;q=0.5"}
        if wait and self._tag:
            headers |= {"if-none-match": self._tag, "prefer": f"wait={HEADS_WAIT_SECONDS}"}
        async with self._request("GET", "/v1/feeds", headers, wait=HEADS_WAIT_SECONDS) as response:
            if response.status_code == 304:
                await response.aread()  # read to its end, or its connection would not be used again
                return None
            body = await self._read_body(response)
        first, _, inline = body.partition(b"\n")
        heads = _decode("its list of feeds", _heads, first).get("feeds")
        if heads is None:
            raise Unreachable("its list of feeds cannot be read: there is none")
        self._tag = response.headers.get("etag")
        self._inline = await self._read_inline(inline)
        return heads

    @property
    def waits(self) -> bool:
        """True if the next question for heads can wait for a change of those that came last."""
        return self._tag is not None

    async def _read_inline(self, lines: bytes) -> dict[FeedName, InlineEntries]:
        """Inline entries by feed; none where a line is not as it should be: they are asked for later."""
        inline: dict[FeedName, InlineEntries] = {}
        entries: list[FeedEntry | RejectedEntry] | None = None
        last = 0
        try:
            for number, line in enumerate(lines.splitlines()):
                if number % ENTRIES_PER_TURN == ENTRIES_PER_TURN - 1:
                    await asyncio.sleep(0)
                if line.startswith(b'{"feed":'):
                    header = _inline_header.decode(line)
                    after, entries = Cursor.parse(header.after), []
                    last = after.seq
                    inline[FeedName(*header.feed.split("/", 1))] = after, entries
                    continue
                entry = self._read_line(line)
                if entries is None or entry.seq <= last:
                    return {}
                last = entry.seq
                entries.append(entry)
        except (Refused, msgspec.MsgspecError, TypeError):
            return {}
        return inline

    async def heads_of(self, origin: str) -> tuple[Head, ...]:
        """The heads of another origin's feeds that the peer holds."""
        body = await self._get(f"/v1/feeds?origin={origin}", MAX_ANSWER_BYTES)
        return _decode("its list of feeds", _heads, body).get("feeds", ())

    async def digests(self, feed: FeedName) -> SignedDigests:
        """The digests of a feed, and the origin's checkpoint over them."""
        return _decode("the digests", _digests, await self._get(f"{_path(feed)}/digest", MAX_ANSWER_BYTES))

    async def leaves(self, feed: FeedName, bucket: int, max_leaves: int) -> Leaves:
        """The leaves of one bucket, as they are now; Unreachable where there are more than ``max_leaves``.

        An answer that is too long for so many is not read to its end, and not decoded.
        """
        path = f"{_path(feed)}/digest?bucket={bucket:02x}"
        return await read_leaves(await self._get(path, max_leaves_bytes(max_leaves)), max_leaves)

    async def entries_at(
        self, feed: FeedName, numbers: Sequence[int]
    ) -> tuple[FeedEntry | RejectedEntry, ...]:
        """The entries at these numbers, those that are still there, as many as the peer sends at once."""
        listed = ",".join(map(str, numbers))
        body = await self._get(
            f"{_path(feed)}/changes?numbers={listed}", MAX_LARGE_ANSWER_BYTES, accept="application/x-ndjson"
        )
        if body.count(b"\n") > len(numbers):
            raise Unreachable(f"it sends more entries of {feed} than the {len(numbers)} that were asked for")
        entries = []
        for line in body.splitlines():
            entries.append(self._read_line(line))
            await asyncio.sleep(0)  # a line may be a document of a megabyte
        return tuple(entries)

    async def receipt(self, jws: str) -> None:
        """Confirm the withdrawals that were carried out."""
        await self._post("/v1/receipts", {"receipt": jws})

    async def feedback(self, audience: str, entries: tuple[RejectedEntry, ...]) -> None:
        """Report the entries that were rejected."""
        await self._post("/v1/feedback", {"audience": audience, "entries": entries})

    async def _get(self, path: str, max_bytes: int, *, accept: str = "application/json") -> bytes:
        """The body of a 200, of so many bytes at most."""
        stream = max_bytes > MAX_ANSWER_BYTES  # else the transport holds the answer to less
        async with self._request("GET", path, {"accept": accept}, stream=stream) as response:
            if response.status_code != 200 or not stream:
                body = await self._read_body(response)
                if len(body) > max_bytes:
                    raise Unreachable(f"an answer is longer than {max_bytes} bytes")
                return body
            parts, size = [], 0
            try:
                async with asyncio.timeout(http.DEADLINE):
                    async for piece in response.aiter_raw():
                        size += len(piece)
                        if size > max_bytes:
                            raise Unreachable(f"an answer is longer than {max_bytes} bytes")
                        parts.append(piece)
            except TimeoutError:
                raise Unreachable("an answer did not come to its end in time") from None
            return b"".join(parts)

    async def _post(self, path: str, body: object) -> None:
        headers = {"content-type": "application/json"}
        async with self._request("POST", path, headers, content=msgspec.json.encode(body)) as response:
            if response.status_code != 204:
                await self._read_body(response)

    async def changes(self, feed: FeedName, after: Cursor | None) -> AsyncIterator[EntryPage]:
        """The entries after a cursor, in pages small enough to be stored in one transaction.

        An entry that cannot be read is passed over by its number, as a rejected one. Raises CursorRefused and
        AudienceRevoked as the peer says; Unreachable for everything else.
        """
        path = f"{_path(feed)}/changes"
        before, inline = self._inline.pop(feed, (None, []))
        if inline and before is not None and before == after:
            yield EntryPage(entries=tuple(inline), cursor=Cursor(before.epoch, inline[-1].seq), more=False)
            return
        if after is not None:
            path += f"?after={after}"
        headers = {"accept": "application/x-ndjson"}
        async with self._request("GET", path, headers, stream=True) as response:
            if response.status_code != 200:
                await self._read_body(response)
            epoch = response.headers.get("federation-epoch", "")
            last = after.seq if after and after.epoch == epoch else 0
            entries: list[FeedEntry | RejectedEntry] = []
            size = 0
            async for line in _lines(response):
                entry = self._read_line(line)
                if entry.seq <= last:
                    raise Unreachable(f"the feed {feed} is not in order: {entry.seq} after {last}")
                last = entry.seq
                entries.append(entry)
                size += len(line)
                if len(entries) >= BATCH_ENTRIES or size >= BATCH_BYTES:
                    yield EntryPage(entries=tuple(entries), cursor=Cursor(epoch, last), more=True)
                    entries, size = [], 0
            yield EntryPage(entries=tuple(entries), cursor=Cursor(epoch, last), more=False)

    def _read_line(self, line: bytes) -> FeedEntry | RejectedEntry:
        try:
            return self._entry(line)
        except Invalid as reason:
            return self._unreadable(line, reason)

    _entry = staticmethod(read_entry)

    @staticmethod
    def _unreadable(line: bytes, reason: Invalid) -> RejectedEntry:
        try:
            return unreadable(line, reason)
        except Invalid as error:
            raise Unreachable(f"an entry cannot be read: {error.detail}") from None

    async def disconnect(self) -> None:
        """Tell the peer that we are no peer of its any more. Raises Unreachable."""
        async with self._request("DELETE", "/v1/peers/self", {}) as response:
            if response.status_code != 204:
                await self._read_body(response)

    def _request(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        *,
        wait: float = 0.0,
        stream: bool = False,
        content: bytes | None = None,
    ) -> PeerRequest:
        return PeerRequest(
            self._client,
            self._prover,
            self.clock,
            method,
            self._url + path,
            headers,
            silence=http.MAX_SILENT_SECONDS + wait,
            extensions=http.STREAM if stream else {"federation.wait": wait},
            content=content,
        )

    async def _read_body(self, response: Any) -> bytes:
        """The body of a 200. Raises what the peer refused with."""
        body = bytes(await response.aread())
        if response.status_code == 200:
            return body
        code, detail = read_problem(body)
        if (refusal := _REFUSALS.get((response.status_code, code))) is not None:
            raise refusal(detail)
        raise refusal_of(
            response.status_code,
            f"it answered {response.status_code}{f': {detail}' if detail else ''}",
            self.clock,
            after=response.headers.get("retry-after", ""),
        )

    async def close(self) -> None:
        await self._client.aclose()


async def _lines(response: Any) -> AsyncIterator[bytes]:
    lines = Lines()
    async for piece in response.aiter_raw():
        for line in lines.cut(piece):
            yield line
        if lines.rest > MAX_ENTRY_BYTES:
            raise Unreachable(f"an entry is longer than {MAX_ENTRY_BYTES} bytes")
    if lines.rest:
        raise Unreachable("the answer broke off within an entry")
