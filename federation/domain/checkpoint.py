"""Checkpoints: one signature over a whole feed (decision 0015).

1. A leaf is a line of text for each record of a feed: ``type/key revision op hash seq``.
2. Leaves fall into 256 buckets by SHA-256(type/key). A bucket's digest is the SHA-256 of its sorted leaves.
3. The root is the SHA-256 of the 256 digests.
4. The origin signs the root with the feed's epoch, number and time: a checkpoint.
5. A reader computes the root of its copy. If it is equal, the copy is complete, unaltered and as old as the
   checkpoint, wherever it came from.

A record that has left a feed has no leaf. A tombstone has one until the feed's ``retained_from`` has passed
its number.
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
from federation.domain.values import END, KEY_PATTERN, TYPE_PATTERN, Count, Operator

BUCKETS = 256
LIFETIME = 3_600
"""Seconds for which a checkpoint is valid, at most."""
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
MAX_LEAVES = 1_000_000
"""Leaves of one bucket that are read from a peer."""
MAX_NUMBERS = 500
"""Entries that are asked for by number at once."""
MAX_EXCLUSIONS = 32
"""Operators that a checkpoint excludes, at most: with the longest ids it still fits into a head."""

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
    """The leaf of a line. Raises Invalid."""
    match = _LEAF.fullmatch(line)
    if match is None:
        raise Invalid("it is not a leaf")
    type_, key, revision, op, hash_, seq = match.groups()
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


def unequal(ours: bytes, theirs: bytes) -> list[int]:
    """The buckets in which two states differ."""
    return [n for n in range(BUCKETS) if ours[32 * n : 32 * n + 32] != theirs[32 * n : 32 * n + 32]]


class DigestState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a feed at one number: its digests, and the count of its records without tombstones."""

    seq: int
    retained_from: int
    count: int
    buckets: bytes

    @property
    def root(self) -> str:
        return root_of(self.buckets).hex()


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The origin's signed statement on its feed: the claims of a JWS of type ``CHECKPOINT``."""

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
    excludes: Annotated[tuple[Operator, ...], Meta(max_length=MAX_EXCLUSIONS)] = msgspec.field(
        default=(), name="except"
    )
    """Operators that no member may show records of this feed to, sorted; in the feed for peers only."""

    @property
    def claims(self) -> dict[str, Any]:
        """The claims by their names, without an empty ``except``."""
        claims: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return claims

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.epoch, self.seq)

    def says(self, state: DigestState) -> bool:
        """True if this was signed over that state."""
        return (self.seq, self.retained_from, self.count, self.root) == (
            state.seq, state.retained_from, state.count, state.root,
        )  # fmt: skip


class SignedCheckpoint(NamedTuple):
    """A verified checkpoint, and the JWS that it was read from."""

    checkpoint: Checkpoint
    jws: str


def checkpoint_of(
    name: FeedName, epoch: str, state: DigestState, now: int, *, excludes: tuple[str, ...] = ()
) -> Checkpoint:
    """The checkpoint of a feed in this state, valid for ``LIFETIME`` seconds from now."""
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
        excludes=excludes,
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
    """A peer's signed confirmation of withdrawals: the claims of a JWS of type ``RECEIPT``.

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
    """The digests of a feed, and the origin's checkpoint over them."""

    epoch: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}" + END)]
    seq: Count
    retained_from: Count
    count: Count
    root: Hex
    checkpoint: str
    buckets: Annotated[tuple[Hex, ...], Meta(min_length=BUCKETS, max_length=BUCKETS)]

    @property
    def digest_bytes(self) -> bytes:
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
    leaves: Annotated[tuple[str, ...], Meta(max_length=MAX_LEAVES)]


class VerifiableSource(FeedSource, Protocol):
    """A source whose feeds can be verified."""

    async def digests(self, feed: FeedName) -> SignedDigests:
        """The digests of a feed, and the origin's checkpoint over them."""
        ...

    async def leaves(self, feed: FeedName, bucket: int, max_leaves: int) -> Leaves:
        """The leaves of one bucket, as they are now; Unreachable where there are more than ``max_leaves``."""
        ...

    async def entries_at(
        self, feed: FeedName, numbers: Sequence[int]
    ) -> tuple[FeedEntry | RejectedEntry, ...]:
        """The entries at these numbers, those that are still there; not all of them have to come at once."""
        ...
