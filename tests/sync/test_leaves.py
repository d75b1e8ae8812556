"""The leaves of a bucket: no more than were signed, and never the event loop for long."""

from __future__ import annotations

import asyncio
import hashlib
import random
import threading
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from federation.domain import checkpoint, entry
from federation.domain.checkpoint import BUCKETS, Checkpoint, Leaf, bucket_of
from federation.domain.entry import VerifiedEntry
from federation.domain.errors import Invalid, Unreachable
from federation.node.node import Node
from federation.sync import leaves, peer_client, pull
from federation.sync.peer_client import PeerSource
from tests.domain.builders import a_document
from tests.sync.peers import EPOCH, PUBLIC, an_entry, known_as, reply, tiny

MANY = 600_000


def signed(*, count: int, seq: int, retained_from: int = 0) -> Checkpoint:
    return Checkpoint(
        iss="megalis", feed="megalis/public", epoch=EPOCH, seq=seq, retained_from=retained_from, count=count,
        root="0" * 64, iat=0, exp=0,
    )  # fmt: skip


def a_leaf(n: int, key: str) -> str:
    return str(Leaf("solution", key, 1, "upsert", hashlib.sha256(str(n).encode()).hexdigest(), n + 1))


def answer_of(lines: list[str], **others: Any) -> bytes:
    return msgspec.json.encode(
        {"epoch": EPOCH, "seq": len(lines), "retained_from": 0, "bucket": "00", "leaves": lines, **others}
    )


LINES = [a_leaf(n, f"k{n:06}") for n in range(20_000)]


class Heartbeat:
    """Counts the turns that another task has."""

    def __init__(self) -> None:
        self.turns = 0

    async def __aenter__(self) -> Heartbeat:
        self._task = asyncio.create_task(self._beat())
        await asyncio.sleep(0)
        return self

    async def _beat(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


def test_the_signed_state_bounds_the_leaves_of_a_bucket() -> None:
    beside = leaves.LEAVES_BESIDE
    assert leaves.max_leaves(signed(count=0, seq=0)) == beside
    assert leaves.max_leaves(signed(count=25_600, seq=25_600)) == 200 + beside
    # A tombstone for each number that is retained, at most; and no more leaves than numbers.
    assert leaves.max_leaves(signed(count=0, seq=51_200, retained_from=25_600)) == 200 + beside
    assert leaves.max_leaves(signed(count=25_600, seq=25_600, retained_from=25_600)) == 200 + beside
    assert leaves.max_leaves(signed(count=2**50, seq=2**50)) == checkpoint.MAX_LEAVES
    assert leaves.max_leaves_bytes(checkpoint.MAX_LEAVES) == leaves.MAX_LEAVES_BYTES


def test_a_leaf_has_no_more_bytes_than_are_allowed_for_it() -> None:
    longest = Leaf("t" * 63, "k" * 128, 2**53 - 1, "upsert", "f" * 64, 2**53 - 1)
    assert len(msgspec.json.encode(str(longest))) + len(",\n  ") <= leaves.LEAF_BYTES


def test_names_fall_into_no_bucket_far_more_often_than_into_others() -> None:
    for number in (1_000, 100_000):
        buckets = [0] * BUCKETS
        for n in range(number):
            buckets[bucket_of("solution", f"k{n}")] += 1
        assert max(buckets) < leaves.max_leaves(signed(count=number, seq=number))


@pytest.mark.parametrize("length", ["told", "not told"])
async def test_six_hundred_thousand_leaves_are_refused_before_anything_is_decoded(
    arnia: Node, monkeypatch: pytest.MonkeyPatch, length: str
) -> None:
    body = answer_of([LINES[0]] * MANY)
    written = 0

    async def hostile(writer: asyncio.StreamWriter, _: bytes) -> None:
        nonlocal written
        head = b"HTTP/1.1 200 Said\r\ncontent-type: application/json\r\n"
        told = b"content-length: %d\r\n\r\n" % len(body)
        writer.write(head + (told if length == "told" else b"connection: close\r\n\r\n"))
        for start in range(0, len(body), 65_536):
            writer.write(body[start : start + 65_536])
            await writer.drain()
            written += 65_536

    async def never(*_: object) -> None:
        raise AssertionError("it is decoded")

    monkeypatch.setattr(peer_client, "read_leaves", never)
    max_leaves = leaves.max_leaves(signed(count=3_000, seq=3_000))
    async with tiny(changes=hostile) as peer:
        source = PeerSource("arnia", known_as("megalis", peer.url), arnia.keyring)
        with pytest.raises(Unreachable, match="longer than"):
            await source.leaves(PUBLIC, 0, max_leaves)
        await source.close()
    assert written < len(body) / 4, "most of it is not even read"


async def test_leaves_beyond_the_bound_are_not_decoded_to_their_end() -> None:
    decoded = 0
    real = leaves._slice

    class Counting:
        def decode(self, piece: bytes) -> list[str]:
            nonlocal decoded
            lines = real.decode(piece)
            decoded += len(lines)
            return lines

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaves, "_slice", Counting())
        with pytest.raises(Unreachable, match="more leaves of a bucket than the 1000"):
            await leaves.read_leaves(answer_of(LINES), 1_000)
    assert decoded < 2_000


@pytest.mark.parametrize("form", ["as we write it", "indented", "in another order"])
async def test_leaves_are_read_as_json_in_any_form(form: str) -> None:
    body = answer_of(LINES[:3_000])
    if form == "indented":
        body = msgspec.json.format(body, indent=2)
    elif form == "in another order":
        members = msgspec.json.decode(body)
        body = msgspec.json.encode({"leaves": members.pop("leaves"), **members, "later": ["x"]})
    read = await leaves.read_leaves(body, 3_000)
    assert read == msgspec.json.decode(body, type=checkpoint.Leaves)


NO_LEAVES = {
    "nothing": b"",
    "no JSON": b"<html>",
    "no leaves": answer_of([]).replace(b'"leaves"', b'"branches"'),
    "an open array": answer_of(["a"])[:-2],
    "numbers": answer_of([1, 2]),  # type: ignore[list-item]
    "two lists": answer_of(["a"])[:-1] + b',"leaves":["b"]}',
    "a long text": answer_of(["x" * 200_000, "y"]),
    "an object within": answer_of([{"a": "b"}]),  # type: ignore[list-item]
    "a bucket that is none": answer_of(["a"], bucket="zz"),
    "not UTF-8": answer_of(["a"]).replace(b'"a"', b'"\xff"'),
}


@pytest.mark.parametrize("body", NO_LEAVES.values(), ids=NO_LEAVES)
async def test_an_answer_that_has_no_leaves_is_refused_in_a_sentence(body: bytes) -> None:
    with pytest.raises(Unreachable, match="the leaves cannot be read"):
        await leaves.read_leaves(body, 1_000)


async def test_other_tasks_have_their_turns_while_a_large_bucket_is_read_sorted_and_compared() -> None:
    lines = [a_leaf(n, key) for n, key in enumerate(_keys_of_bucket(0, 4_000))]
    shuffled = random.Random(7).sample(lines, len(lines))
    turns = len(lines) / leaves.LEAVES_PER_TURN
    body = answer_of(shuffled)
    async with Heartbeat() as heart:
        read = await leaves.read_leaves(body, len(lines))
        assert heart.turns > len(body) / leaves.SLICE_BYTES
        before = heart.turns
        digest = await leaves.bucket_digest(read.leaves)
        assert heart.turns - before >= turns
        before = heart.turns
        named = await leaves.leaves_by_name(read.leaves, 0)
        assert heart.turns - before >= turns
    assert digest == checkpoint.bucket_digest(lines)
    assert [str(leaf) for leaf in named.values()] == shuffled


async def test_a_leaf_of_another_bucket_and_two_of_one_record_are_none() -> None:
    first, second = (a_leaf(n, key) for n, key in enumerate(_keys_of_bucket(1, 2)))
    assert len(await leaves.leaves_by_name([first, second], 1)) == 2
    for lines, bucket in (([first, second], 2), ([first, first], 1), ([first, "x"], 1)):
        with pytest.raises(Invalid):
            await leaves.leaves_by_name(lines, bucket)


def _keys_of_bucket(bucket: int, number: int) -> list[str]:
    keys: list[str] = []
    n = 0
    while len(keys) < number:
        if bucket_of("solution", f"k{n}") == bucket:
            keys.append(f"k{n}")
        n += 1
    return keys


async def test_entries_that_were_not_asked_for_are_refused_before_they_are_read(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it is decoded")

    monkeypatch.setattr(PeerSource, "_entry", staticmethod(never))
    lines = b'{"seq":1}\n' * 10_000
    async with tiny(changes=reply(lines, media_type="application/x-ndjson")) as peer:
        source = PeerSource("arnia", known_as("megalis", peer.url), arnia.keyring)
        with pytest.raises(Unreachable, match="more entries"):
            await source.entries_at(PUBLIC, [1, 2])
        await source.close()


@pytest.mark.parametrize("letter", ["x", "é"])
async def test_a_document_of_a_megabyte_is_verified_beside_the_event_loop(letter: str) -> None:
    """Also a text that is not ASCII is read once, and not from each of its letters to its end."""
    document = a_document(key="k1")
    document["content"]["later"] = letter * (900_000 // len(letter.encode()))
    loop_thread, threads = threading.get_ident(), []
    real = entry.verify

    def verify(*arguments: Any) -> Any:
        threads.append(threading.get_ident())
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pull, "verify", verify)
        for each in (an_entry(1, document), an_entry(2)):
            verified = await pull.verify_entry(each, PUBLIC)
            assert isinstance(verified, VerifiedEntry)
    assert threads[0] != loop_thread
    assert threads[1] == loop_thread
