"""A peer over HTTP that does not answer as it should: it fails, in a sentence, within bounds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest

from federation.domain.entry import EntryPage, RejectedEntry
from federation.domain.errors import AudienceRevoked, CursorExpired, CursorInFuture, EpochChanged, Unreachable
from federation.domain.feed import Cursor
from federation.edge.statuses import STATUS
from federation.node.keys import Keyring, mint_private_key
from federation.outbound import http
from federation.outbound.urls import check_url
from federation.sync import peer_client
from federation.sync.network import fetch_public
from federation.sync.peer_client import PeerSource
from tests.sync.peers import (
    EPOCH,
    PUBLIC,
    TOKEN,
    Answer,
    Tiny,
    a_head,
    an_entry,
    heads_of,
    known_as,
    line,
    reply,
    stream,
    tiny,
)
from tests.waiting import MAX_WAIT_SECONDS

KEYRING = Keyring.of(mint_private_key())
OK = line(an_entry(1))


@asynccontextmanager
async def asking(peer: Tiny) -> AsyncIterator[PeerSource]:
    source = PeerSource("arnia", known_as("megalis", peer.url), KEYRING)
    try:
        yield source
    finally:
        await source.close()


async def changes(peer: Tiny, after: Cursor | None = None) -> list[EntryPage]:
    async with asking(peer) as source:
        return [page async for page in source.changes(PUBLIC, after)]


async def heads(peer: Tiny) -> Any:
    async with asking(peer) as source:
        return await source.heads()


async def fails(doing: Awaitable[Any], because: str) -> None:
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        with pytest.raises(Unreachable, match=because):
            await doing


async def test_a_peer_that_answers_as_it_should_is_read() -> None:
    lines = [line(an_entry(n)) for n in (1, 2, 5)]
    async with tiny(feeds=heads_of(a_head(5)), changes=stream(*lines)) as peer:
        assert await heads(peer) == (a_head(5),)
        pages = await changes(peer)
    assert [entry.seq for page in pages for entry in page.entries] == [1, 2, 5]
    assert (pages[-1].cursor, pages[-1].more) == (Cursor(EPOCH, 5), False)


def told(after: str, *entries: bytes, head: int = 9) -> bytes:
    """Heads, and what is new with them."""
    place = msgspec.json.encode({"feed": str(PUBLIC), "after": after}) + b"\n"
    body = msgspec.json.encode({"feeds": (a_head(head),)}) + b"\n" + place + b"".join(entries)
    return reply(body, media_type="application/x-ndjson", etag='"1"')


async def test_what_came_with_the_heads_is_not_asked_for_again() -> None:
    new = [line(an_entry(n)) for n in (8, 9)]
    async with tiny(feeds=told(f"{EPOCH}.7", *new), changes=stream(OK)) as peer, asking(peer) as source:
        assert await source.heads() == (a_head(9),)
        (page,) = [page async for page in source.changes(PUBLIC, Cursor(EPOCH, 7))]
        assert [entry.seq for entry in page.entries] == [8, 9]
        assert (page.cursor, page.more) == (Cursor(EPOCH, 9), False)
        assert not any("/changes" in asked for asked in peer.asked)
        # It is told once: the next question is asked.
        (page,) = [page async for page in source.changes(PUBLIC, None)]
        assert [entry.seq for entry in page.entries] == [1]
        assert any("/changes" in asked for asked in peer.asked)


@pytest.mark.parametrize(
    "news",
    [
        told(f"{EPOCH}.6", line(an_entry(8))),
        told("f" * 16 + ".7", line(an_entry(8))),
        told(f"{EPOCH}.7", line(an_entry(9)), line(an_entry(8))),
        told(f"{EPOCH}.7", line(an_entry(7))),
        told(f"{EPOCH}.7", b"no entry\n"),
        told(f"{EPOCH}.7"),
        told("7", line(an_entry(8))),
        reply(msgspec.json.encode({"feeds": (a_head(9),)}) + b"\n" + line(an_entry(8))),
        reply(msgspec.json.encode({"feeds": (a_head(9),)}) + b'\n{"feed":"x","after":"y"}\n'),
    ],
    ids=[
        "after another number", "in another epoch", "out of order", "not new", "garbled", "none",
        "after what is no cursor", "of no feed", "of what is no feed",
    ],
)  # fmt: skip
async def test_what_came_with_the_heads_and_does_not_fit_is_asked_for(news: bytes) -> None:
    async with tiny(feeds=news, changes=stream(line(an_entry(8)))) as peer, asking(peer) as source:
        assert await source.heads() == (a_head(9),)
        (page,) = [page async for page in source.changes(PUBLIC, Cursor(EPOCH, 7))]
        assert [entry.seq for entry in page.entries] == [8]
        assert any("/changes" in asked for asked in peer.asked)


async def test_an_entry_that_came_with_the_heads_and_cannot_be_read_is_passed_over() -> None:
    bad = b'{"seq":8,"op":"upsert","type":"solution","key":"k8","revision":"x"}\n'
    async with tiny(feeds=told(f"{EPOCH}.7", bad, line(an_entry(9)))) as peer, asking(peer) as source:
        await source.heads()
        (page,) = [page async for page in source.changes(PUBLIC, Cursor(EPOCH, 7))]
    aside, entry = page.entries
    assert isinstance(aside, RejectedEntry)
    assert (aside.seq, aside.reason, entry.seq) == (8, "unreadable", 9)


async def test_a_long_stream_comes_in_slices_that_can_be_resumed_after_each() -> None:
    lines = [line(an_entry(n)) for n in range(1, 1_203)]
    async with tiny(changes=stream(*lines)) as peer:
        pages = await changes(peer)
    assert [len(page.entries) for page in pages] == [1_000, 202]
    assert [page.cursor.seq for page in pages] == [1_000, 1_202]
    assert [page.more for page in pages] == [True, False]


STREAMS: dict[str, tuple[tuple[bytes, ...], str]] = {
    "out of order": ((line(an_entry(2)), line(an_entry(1))), "not in order: 1 after 2"),
    "the same number twice": ((line(an_entry(1)), line(an_entry(1))), "not in order: 1 after 1"),
    "a cut line": ((OK, line(an_entry(2))[:-20]), "broke off within an entry"),
    "an empty line": ((OK, b"\n"), "cannot be read"),
    "no JSON": ((OK, b"hello\n"), "cannot be read"),
    "no entry": ((b"{}\n",), "cannot be read"),
    "a number below one": ((OK.replace(b'"seq":1', b'"seq":0'),), "cannot be read"),
    "an endless number": ((OK.replace(b'"seq":1', b'"seq":' + b"9" * 30),), "cannot be read"),
    "deep JSON": ((b"[" * 200_000 + b"\n",), "cannot be read"),
    "a line too long": ((b'{"seq":1,"x":"' + b"a" * 3_000_000 + b'"}\n',), "longer than|cannot be read"),
}


@pytest.mark.parametrize(("lines", "because"), STREAMS.values(), ids=STREAMS)
async def test_a_stream_that_is_not_one_fails(lines: tuple[bytes, ...], because: str) -> None:
    async with tiny(changes=stream(*lines)) as peer:
        await fails(changes(peer), because)


UNREADABLE: dict[str, bytes] = {
    "an unknown act": line(an_entry(2)).replace(b'"upsert"', b'"archive"'),
    "a revision that is none": line(an_entry(2)).replace(b'"revision":1', b'"revision":0', 1),
    "a key too long": line(an_entry(2)).replace(b'"k2"', b'"' + b"k" * 129 + b'"', 1),
    "a key that ends in a line feed": line(an_entry(2)).replace(b'"k2"', b'"k2\\n"', 1),
    "no key": line(an_entry(2)).replace(b'"key":"k2",', b"", 1),
    "no UTF-8": line(an_entry(2)).replace(b'"k2"', b'"\xff"', 1),
    "an endless number": line(an_entry(2)).replace(b'"revision":1', b'"revision":' + b"9" * 9_000, 1),
    "deep JSON": b'{"seq":2,"document":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
}


@pytest.mark.parametrize("second", UNREADABLE.values(), ids=UNREADABLE)
async def test_an_entry_that_cannot_be_read_is_passed_over_by_its_number(second: bytes) -> None:
    async with tiny(changes=stream(OK, second, line(an_entry(3)))) as peer:
        (page,) = await changes(peer)
    _, aside, _ = page.entries
    assert isinstance(aside, RejectedEntry)
    assert aside.reason == "unreadable"
    assert [entry.seq for entry in page.entries] == [1, 2, 3]
    assert page.cursor.seq == 3


async def test_an_entry_that_cannot_be_read_is_in_order_all_the_same() -> None:
    second = UNREADABLE["an unknown act"]
    async with tiny(changes=stream(line(an_entry(3)), second)) as peer:
        await fails(changes(peer), "not in order: 2 after 3")


async def test_entries_at_or_before_the_cursor_are_out_of_order() -> None:
    async with tiny(changes=stream(line(an_entry(5)))) as peer:
        await fails(changes(peer, Cursor(EPOCH, 5)), "not in order: 5 after 5")
        assert len(await changes(peer, Cursor(EPOCH, 4))) == 1


async def test_a_line_that_never_ends_is_given_up() -> None:
    async def endless(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\r\n")
        while True:
            writer.write(b"a" * 65_536)
            await writer.drain()

    async with tiny(changes=endless) as peer:
        await fails(changes(peer), "longer than")


async def test_a_line_in_the_smallest_pieces_does_not_hold_up_the_others() -> None:
    """Joined anew for each piece, a line of 1 MiB would be copied a million times."""
    piece = b"1\r\na\r\n"

    async def drips(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for _turn in range(20):
            writer.write(piece * 10_000)
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    longest, began = 0.0, time.thread_time()  # what this loop has worked, whoever else is at work

    async def watch() -> None:
        nonlocal longest
        while True:
            began = time.thread_time()
            await asyncio.sleep(0.001)
            longest = max(longest, time.thread_time() - began)

    async with tiny(changes=drips) as peer:
        watching = asyncio.create_task(watch())
        await fails(changes(peer), "broke off within|longer than|lasted")
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert time.thread_time() - began < 8.0
    assert longest < 1.0, f"everybody else waited {longest:.1f} s"


async def test_an_answer_that_is_cut_fails() -> None:
    async def cut(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + OK)

    async with tiny(changes=cut, feeds=cut) as peer:
        await fails(changes(peer), "broke off")
        await fails(heads(peer), "broke off")


async def test_silence_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_SILENT_SECONDS", 0.2)
    monkeypatch.setattr(peer_client, "HEADS_WAIT_SECONDS", 0)

    async def silent(writer: asyncio.StreamWriter, _: bytes) -> None:
        await asyncio.sleep(30)

    async def halfway(writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + OK)
        await writer.drain()
        await asyncio.sleep(30)

    for answer in (silent, halfway):
        async with tiny(changes=answer, feeds=answer) as peer:
            await fails(changes(peer), "cannot be reached|broke off")
            await fails(heads(peer), "cannot be reached|broke off")
        async with tiny(token=answer) as peer:
            await fails(heads(peer), "cannot be reached|broke off")


BROKEN: dict[str, tuple[bytes, str]] = {
    "500": (reply(status=500), "answered 500"),
    "500 with a reason": (
        reply(b'{"type":"x/internal-error","detail":"sorry"}', status=500),
        "answered 500: sorry",
    ),
    "401": (reply(b"{}", status=401), "answered 401"),
    "404": (reply(status=404), "answered 404"),
    "a redirect": (reply(status=302, location="/v1/elsewhere"), "answered 302"),
    "a list of something": (reply(b"[1]"), "cannot be read"),
    "no list": (reply(b"{}"), "cannot be read"),
    "no JSON": (reply(b"<html>"), "cannot be read"),
    "nothing": (reply(b""), "cannot be read"),
    "no UTF-8": (reply(b'{"feeds":[{"origin":"\xff"}]}'), "cannot be read"),
    "very much": (reply(b" " * 1_100_000), "longer than"),
    "deep": (reply(b'{"feeds":' + b"[" * 100_000), "cannot be read"),
    "an epoch of anything": (
        heads_of(a_head(1)).replace(EPOCH.encode(), b"x" * 14 + b"\\n"),
        "cannot be read",
    ),
}


@pytest.mark.parametrize(("answer", "because"), BROKEN.values(), ids=BROKEN)
async def test_heads_that_are_none_fail(answer: bytes, because: str) -> None:
    async with tiny(feeds=answer) as peer:
        await fails(heads(peer), because)


TOKENS: dict[str, bytes] = {
    "500": reply(status=500),
    "401": reply(b'{"error":"invalid_client"}', status=401),
    "a redirect": reply(status=307, location="/elsewhere"),
    "an empty object": reply(b"{}"),
    "no JSON": reply(b"<html>"),
    "nothing": reply(b""),
    "null": reply(b"null"),
    "a list": reply(b"[]"),
    "a text": reply(b'"token"'),
    "a number": reply(b"7"),
    "a token that is no text": reply(b'{"access_token":[1],"token_type":"Bearer"}'),
    "a token with a line feed": reply(b'{"access_token":"a\\nb","token_type":"Bearer"}'),
    "a token not in ASCII": reply(b'{"access_token":"\xc3\xa9","token_type":"Bearer"}'),
    "an unknown type of token": reply(b'{"access_token":"a","token_type":"pigeon"}'),
    "a time that is none": reply(b'{"access_token":"a","token_type":"Bearer","expires_in":"soon"}'),
    "an error that is none": reply(b'{"error":{"a":1}}'),
    "no UTF-8": reply(b"\xff\xfe"),
}


@pytest.mark.parametrize("answer", TOKENS.values(), ids=TOKENS)
async def test_a_token_that_is_none_fails_in_a_sentence(answer: bytes) -> None:
    async with tiny(token=answer, feeds=reply(b"{}", status=401), changes=reply(status=401)) as peer:
        await fails(heads(peer), "token|cannot be reached|answered")


async def test_a_token_is_asked_for_once_and_again_when_it_is_refused() -> None:
    async with tiny(feeds=heads_of(a_head(1))) as peer, asking(peer) as source:
        await source.heads()
        source.forget_heads()
        await source.heads()
        assert peer.asked.count("/oauth2/token") == 1
        peer.answers["/v1/feeds"] = reply(b"{}", status=401)
        with pytest.raises(Unreachable):
            await source.heads()
        peer.answers["/v1/feeds"] = heads_of(a_head(2))
        assert await source.heads() == (a_head(2),)
        assert peer.asked.count("/oauth2/token") == 2


async def test_a_wait_that_ends_without_news_leaves_its_connection_for_the_next_one() -> None:
    connections = 0
    heads = heads_of(a_head(1)).replace(b"connection: close\r\n", b"")
    unchanged = b'HTTP/1.1 304 Said\r\netag: "1"\r\n\r\n'

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            if b"/oauth2/token" in head:
                writer.write(TOKEN)
            else:
                connections += 1
                while True:
                    writer.write(unchanged if b"if-none-match" in head.lower() else heads)
                    head = await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        peer = Tiny()
        peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with asking(peer) as source:
            assert await source.heads(wait=True) == (a_head(1),)
            for _ in range(3):
                assert await source.heads(wait=True) is None
    assert connections == 1


def _much(*, compressed: bool) -> tuple[Callable[..., Awaitable[None]], list[int]]:
    import zlib

    sent = [0]
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)

    async def much(writer: asyncio.StreamWriter, _: bytes) -> None:
        encoding = b"content-encoding: gzip\r\n" if compressed else b""
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + encoding + b"\r\n")
        for _turn in range(64):
            plain = b" " * 1_048_576
            writer.write(pack.compress(plain) + pack.flush(zlib.Z_SYNC_FLUSH) if compressed else plain)
            await writer.drain()
            sent[0] += len(plain)
        if compressed:
            writer.write(pack.flush())

    return much, sent


@pytest.mark.parametrize("place", ["token", "feeds", "changes"])
async def test_what_a_peer_can_make_us_read_is_bounded(place: str) -> None:
    """64 MiB of white space are offered; far less is read before it is given up."""
    much, sent = _much(compressed=False)
    answers: dict[str, Answer] = {"token": TOKEN, "feeds": heads_of(a_head(1)), place: much}
    async with tiny(**answers) as peer:
        await fails(changes(peer) if place == "changes" else heads(peer), ".")
    assert sent[0] <= 16 * 1_048_576, f"{sent[0]} bytes were read"


@pytest.mark.parametrize("place", ["token", "feeds", "changes"])
async def test_a_small_answer_that_unpacks_to_much_is_not_unpacked(place: str) -> None:
    import tracemalloc

    much, _ = _much(compressed=True)
    answers: dict[str, Answer] = {"token": TOKEN, "feeds": heads_of(a_head(1)), place: much}
    async with tiny(**answers) as peer:
        tracemalloc.start()
        try:
            await fails(changes(peer) if place == "changes" else heads(peer), ".")
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert most < 16 * 1_048_576, f"{most} bytes of memory"


@pytest.mark.parametrize("error", [AudienceRevoked, CursorExpired, CursorInFuture, EpochChanged])
async def test_refusals_of_the_protocol_are_told_apart(error: Any) -> None:
    body = msgspec.json.encode(
        {"type": f"urn:federation:problem:{error.code}", "code": error.code, "detail": "why"}
    )
    async with tiny(changes=reply(body, status=STATUS[error])) as peer:
        with pytest.raises(error, match="why"):
            await changes(peer)
    async with tiny(changes=reply(body, status=418)) as peer:  # a status that the code does not go with
        with pytest.raises(Unreachable, match="why"):
            await changes(peer)


async def test_retry_after_is_heard() -> None:
    async with tiny(feeds=reply(status=503, retry_after="120")) as peer:
        with pytest.raises(Unreachable) as failure:
            await heads(peer)
    assert failure.value.retry_after == 120.0


async def test_no_redirect_is_followed() -> None:
    async with tiny() as target:
        away = reply(status=302, location=f"{target.url}/v1/feeds/stolen")
        for place in ("token", "feeds", "changes"):
            async with tiny(**{"token": TOKEN, place: away}) as peer:
                doing = changes(peer) if place == "changes" else heads(peer)
                await fails(doing, "302|token")
        async with tiny() as peer:
            peer.answers["/.well-known"] = away
            await fails(fetch_public(f"{peer.url}/.well-known/federation", private=True), "302")
            peer.answers["/.well-known"] = reply(b'{"operator":"x"}')
            assert await fetch_public(f"{peer.url}/.well-known/federation", private=True) == {"operator": "x"}
        assert target.asked == []


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with tiny() as proxy, tiny(feeds=heads_of(a_head(1))) as peer:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert await heads(peer)
        assert proxy.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org", "ftp://127.0.0.1", "http://10.0.0.1", "https://", "https://a:b@example.org",
        "https://example.org/?a=b", "https://example.org/#a", "http://127.0.0.1.example.org", "file:///etc",
    ],
)  # fmt: skip
async def test_an_address_that_may_not_be_called_is_refused(url: str) -> None:
    with pytest.raises(Unreachable):
        check_url(url, private=True)


@pytest.mark.parametrize("url", ["https://node.example.org/", "http://127.0.0.1:8", "http://[::1]:8"])
async def test_an_address_that_may_be_called_is_not_refused(url: str) -> None:
    assert check_url(url, private=True) == url.rstrip("/")


async def test_the_assertion_is_for_the_peer_alone_and_new_each_time() -> None:
    import base64

    bodies: list[bytes] = []

    async def note(writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(reply(b"{}", status=401))

    async with tiny(token=note) as peer:
        for _ in range(2):
            await fails(heads(peer), "token")
        assertions = [KEYRING.assertion("arnia", peer.url) for _ in range(2)]
        bodies = [base64.urlsafe_b64decode(a.split(".")[1] + "==") for a in assertions]
    claims = [msgspec.json.decode(body) for body in bodies]
    assert [c["aud"] for c in claims] == [peer.url] * 2
    assert claims[0]["jti"] != claims[1]["jti"]
