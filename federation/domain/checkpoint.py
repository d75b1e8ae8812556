"""Proof of a copy: one signature says what a feed holds, and whether all of it is there.

A leaf is a line of text for each record of a feed. Leaves fall into 256 buckets; a bucket's digest is the
SHA-256 of its leaves in order, and the root is the SHA-256 of the 256 digests. The origin signs the root
with the feed's place and time: a checkpoint. Whoever holds the feed's records can compute the root, and so
prove that a copy is complete, unaltered and as old as the checkpoint, wherever it came from.

What has left a feed (a withdrawal) has no leaf. A tombstone has one as long as the origin keeps it: until
the feed's ``retained_from`` has passed its number.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NamedTuple, Protocol

import msgspec
from msgspec import Meta

from federation.domain.entry import FeedEntry, FeedSource, RejectedEntry
from federation.domain.errors import Invalid
from federation.domain.feed import Cursor, FeedName
from federation.domain.record import Op
from federation.domain.values import (
    END,
    KEY_PATTERN,
    TYPE_PATTERN,
    Count,
    Operator,
)

BUCKETS = 256
LIFETIME = 3_600
"""Seconds that a checkpoint holds, at most."""
HALF_LIFE = LIFETIME // 2
"""Seconds after which a copy raises an alarm, if no newer checkpoint has come."""
RENEWED = LIFETIME // 3
"""Seconds after which a checkpoint is renewed, though nothing has changed."""
CLOCKS_DIFFER = 300
"""Seconds that the origin's clock may be ahead of ours."""
CHECKPOINT = "federation-checkpoint+jwt"
"""``typ`` of a checkpoint."""
RECEIPT = "federation-receipt+jwt"
"""``typ`` of a receipt."""
MOST_LEAVES = 1_000_000
"""Leaves of one bucket that are read from a peer, at most."""
MAX_NUMBERS = 500
"""Entries that are asked for by number at once."""

Digest = bytes
"""SHA-256: 32 bytes."""
Hex = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}" + END)]


class Leaf(NamedTuple):
    """A record of a feed, as far as it counts for the feed's digest."""

    type: str
    key: str
    revision: int
    op: Op
    hash: str
    """SHA-256 of the document, in hexadecimal."""
    seq: int

    def __str__(self) -> str:
        return f"{self.type}/{self.key} {self.revision} {self.op} {self.hash} {self.seq}"


_LEAF = re.compile(
    rf"({TYPE_PATTERN[1:].removesuffix(END)})/({KEY_PATTERN[1:].removesuffix(END)})"
    r" ([1-9][0-9]{0,15}) (upsert|delete) ([0-9a-f]{64}) ([1-9][0-9]{0,15})"
)


def read_leaf(line: str) -> Leaf:
    """The leaf that a line says. Raises Invalid."""
    found = _LEAF.fullmatch(line)
    if found is None:
        raise Invalid("it is not a leaf")
    type_, key, revision, op, hash_, seq = found.groups()
    return Leaf(type_, key, int(revision), "upsert" if op == "upsert" else "delete", hash_, int(seq))


def bucket_of(type_name: str, key: str) -> int:
    """The bucket of a record: the first byte of SHA-256(type/key)."""
    return hashlib.sha256(f"{type_name}/{key}".encode()).digest()[0]


def bucket_digest(lines: Iterable[str]) -> Digest:
    """The digest of the leaves of one bucket: each with a line feed, sorted as bytes."""
    return hashlib.sha256("".join(f"{line}\n" for line in sorted(lines)).encode()).digest()


EMPTY = bucket_digest(())
"""The digest of a bucket without leaves."""


def root_of(buckets: bytes) -> Digest:
    """The root over the digests of all buckets, one after the other."""
    if len(buckets) != BUCKETS * 32:
        raise ValueError(f"there are {BUCKETS} digests of 32 bytes")
    return hashlib.sha256(buckets).digest()


def unequal(one: bytes, other: bytes) -> list[int]:
    """The buckets in which two states differ."""
    return [n for n in range(BUCKETS) if one[32 * n : 32 * n + 32] != other[32 * n : 32 * n + 32]]


class DigestState(msgspec.Struct, frozen=True, kw_only=True):
    """What a feed holds at one number: its digests, and how many records are no tombstones."""

    seq: int
    retained_from: int
    count: int
    buckets: bytes

    @property
    def root(self) -> str:
        return root_of(self.buckets).hex()


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What an origin signs of a feed of its own: the claims of a JWS of type ``CHECKPOINT``."""

    iss: Operator
    feed: Annotated[str, Meta(max_length=160)]
    """``origin/audience``."""
    epoch: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}" + END)]
    seq: Count
    retained_from: Count
    count: Count
    root: Hex
    iat: Count
    exp: Count

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.epoch, self.seq)

    def says(self, state: DigestState) -> bool:
        """Whether this is signed of that state."""
        return (self.seq, self.retained_from, self.count, self.root) == (
            state.seq, state.retained_from, state.count, state.root,
        )  # fmt: skip


class SignedCheckpoint(NamedTuple):
    """A verified checkpoint, and the JWS that it was read from."""

    checkpoint: Checkpoint
    jws: str


def checkpoint_of(name: FeedName, epoch: str, state: DigestState, now: int) -> Checkpoint:
    """What an origin says of its feed in this state, for an hour from now."""
    return Checkpoint(
        iss=name.origin,
        feed=str(name),
        epoch=epoch,
        seq=state.seq,
        retained_from=state.retained_from,
        count=state.count,
        root=state.root,
        iat=now,
        exp=now + LIFETIME,
    )


def read_checkpoint(claims: dict[str, Any], name: FeedName, now: float) -> Checkpoint:
    """The checkpoint that verified claims are, for this feed. Raises Invalid.

    That it has expired is no error: it proves what was, and how old that is.
    """
    try:
        found = msgspec.convert(claims, Checkpoint)
    except msgspec.ValidationError:
        raise Invalid(f"the checkpoint of {name} cannot be read") from None
    if found.iss != name.origin or found.feed != str(name):
        raise Invalid(f"the checkpoint is of another feed than {name}")
    if not found.iat <= found.exp <= found.iat + LIFETIME:
        raise Invalid(f"the checkpoint of {name} holds longer than {LIFETIME} s")
    if found.iat > now + CLOCKS_DIFFER:
        raise Invalid(
            f"the checkpoint of {name} is of the future: the clocks differ by {found.iat - now:.0f} s"
        )
    return found


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer signs when it has dropped what was withdrawn: the claims of a JWS of type ``RECEIPT``.

    It covers every withdrawal of the feed up to ``seq``; with ``purged``, everything of the feed, which the
    peer may not read any more.
    """

    iss: Operator
    aud: Operator
    """The origin of the feed."""
    feed: Annotated[str, Meta(max_length=160)]
    epoch: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}" + END)]
    seq: Count
    iat: Count
    purged: bool = False


class PendingReceipt(NamedTuple):
    """A receipt that an origin has not got yet."""

    feed: int
    audience: str
    epoch: str
    seq: int
    purged: bool


class SignedDigests(msgspec.Struct, frozen=True, kw_only=True):
    """What a node shows of a feed: its digests, and the origin's checkpoint over them."""

    epoch: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}" + END)]
    seq: Count
    retained_from: Count
    count: Count
    root: Hex
    checkpoint: str
    buckets: Annotated[tuple[Hex, ...], Meta(min_length=BUCKETS, max_length=BUCKETS)]

    @property
    def joined(self) -> bytes:
        """The digests of the buckets, one after the other."""
        return bytes.fromhex("".join(self.buckets))


class Leaves(msgspec.Struct, frozen=True, kw_only=True):
    """The leaves of one bucket, as they are now."""

    epoch: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}" + END)]
    seq: Count
    """The feed's head when they were read."""
    retained_from: Count
    """Tombstones up to it were not among them."""
    bucket: Annotated[str, Meta(pattern=r"^[0-9a-f]{2}" + END)]
    leaves: Annotated[tuple[str, ...], Meta(max_length=MOST_LEAVES)]


class VerifiableSource(FeedSource, Protocol):
    """A source that proves what its feeds hold."""

    async def proof(self, feed: FeedName) -> SignedDigests:
        """The digests of a feed, and the origin's checkpoint over them."""
        ...

    async def leaves(self, feed: FeedName, bucket: int) -> Leaves:
        """The leaves of one bucket, as they are now."""
        ...

    async def numbered(self, feed: FeedName, numbers: Sequence[int]) -> tuple[FeedEntry | RejectedEntry, ...]:
        """The entries at these numbers, those that are still there; not all of them have to come at once."""
        ...
