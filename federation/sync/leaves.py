"""The leaves of a bucket: bounded by what was signed, and read, sorted and hashed in turns with other tasks.

1. The signed checkpoint says how many leaves the feed can have, and so how many bytes an answer.
2. A longer answer is not read to its end, and nothing of it is decoded.
3. The rest is decoded, sorted and compared in slices. A thread would not help: each of these holds the
   interpreter until it has ended.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import islice
from typing import TypeVar

import msgspec

from federation.domain.batch import RecordName
from federation.domain.checkpoint import (
    BUCKETS,
    MAX_LEAVES,
    Checkpoint,
    Digest,
    Leaf,
    Leaves,
    bucket_of,
    read_leaf,
)
from federation.domain.errors import Invalid, Unreachable

T = TypeVar("T")

MAX_LEAVES_BYTES = 16 * 1_048_576
"""Bytes of the leaves of a bucket, at most: some 100 000 leaves, in a feed of 25 million records."""
LEAF_BYTES = 320
"""Bytes of a leaf in an answer, at most, with its quotes and a comma: type and key have 63 and 128."""
LEAVES_BESIDE = 1_000
"""Leaves beyond twice the average of a bucket: chance, and what is written after the checkpoint."""
SLICE_BYTES = 65_536
"""Bytes of leaves decoded before other tasks have a turn: some 0.2 ms."""
LEAVES_PER_TURN = 500
"""Leaves sorted, hashed or compared before other tasks have a turn: a millisecond."""

_leaves = msgspec.json.Decoder(Leaves)
_slice = msgspec.json.Decoder(list[str])


def max_leaves(checkpoint: Checkpoint) -> int:
    """The leaves that one bucket of this signed feed can have.

    A feed has ``count`` records, at most one tombstone for each number after ``retained_from``, and no more
    leaves than numbers. SHA-256 spreads their names evenly over the buckets: none has twice its share and
    ``LEAVES_BESIDE`` by chance, and an origin that picks names for one bucket is not helped.
    """
    tombstones = max(0, checkpoint.seq - checkpoint.retained_from)
    total = min(checkpoint.seq, checkpoint.count + tombstones)
    return min(2 * total // BUCKETS + LEAVES_BESIDE, MAX_LEAVES)


def max_leaves_bytes(leaves: int) -> int:
    """The bytes of an answer with so many leaves, at most."""
    return min(4_096 + leaves * LEAF_BYTES, MAX_LEAVES_BYTES)


async def read_leaves(body: bytes, max_leaves: int) -> Leaves:
    """The leaves of an answer. Raises Unreachable where it cannot be read, or has more of them."""
    begin = body.find(b"[", body.find(b'"leaves"'))
    end = body.find(b"]", begin)  # no leaf has a bracket in it
    if min(begin, end) < 0:
        raise Unreachable("the leaves cannot be read: there are none")
    lines: list[str] = []
    try:
        answer = _leaves.decode(body[: begin + 1] + body[end:])
        if answer.leaves:
            raise Unreachable("the leaves cannot be read: there are two lists of them")
        async for piece in _slices(body, begin + 1, end):
            lines += _slice.decode(b"[%b]" % piece)
            if len(lines) > max_leaves:
                raise Unreachable(f"it sends more leaves of a bucket than the {max_leaves} that there can be")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreachable(f"the leaves cannot be read: {error}"[:300]) from None
    return msgspec.structs.replace(answer, leaves=tuple(lines))


async def _slices(body: bytes, begin: int, end: int) -> AsyncIterator[bytes]:
    """The members of an array of texts, cut between two of them. Raises Unreachable for a longer text."""
    while begin < end:
        cut = end if end - begin <= SLICE_BYTES else body.rfind(b'",', begin, begin + SLICE_BYTES) + 1
        if not cut:
            raise Unreachable("the leaves cannot be read: one of them is too long")
        yield body[begin:cut]
        begin = cut + 1
        await asyncio.sleep(0)


async def bucket_digest(lines: Sequence[str]) -> Digest:
    """As ``checkpoint.bucket_digest``, in turns with other tasks."""
    runs = [sorted(run) async for run in in_turns(lines)]
    digest = hashlib.sha256()
    async for run in in_turns(heapq.merge(*runs)):
        digest.update("".join(f"{line}\n" for line in run).encode())
    return digest.digest()


async def leaves_by_name(lines: Sequence[str], bucket: int) -> dict[RecordName, Leaf]:
    """The leaves of a bucket by type and key. Raises Invalid where one is none, or of another bucket."""
    listed: dict[RecordName, Leaf] = {}
    async for run in in_turns(lines):
        listed.update({(leaf.type, leaf.key): leaf for leaf in map(read_leaf, run)})
    async for names in in_turns(listed):
        if any(bucket_of(*name) != bucket for name in names):
            raise Invalid("it is a leaf of another bucket")
    if len(listed) != len(lines):
        raise Invalid("there are two leaves of one record")
    return listed


async def in_turns(items: Iterable[T]) -> AsyncIterator[list[T]]:
    """``LEAVES_PER_TURN`` items at a time; other tasks have a turn between them."""
    remaining = iter(items)
    while run := list(islice(remaining, LEAVES_PER_TURN)):
        yield run
        await asyncio.sleep(0)
