"""Feeds: the records of one origin for one audience, in the order they last changed.

Every write gives its record the feed's next number, ``seq``; a tombstone is a record without content;
a snapshot is the feed from zero. Whoever has read a feed to its head has every record of it.
"""

from __future__ import annotations

import re
import secrets
from typing import Annotated

import msgspec
from msgspec import Meta

from federation.domain.errors import Invalid
from federation.domain.values import END, GROUP_PATTERN, SAFE_INTEGER, Operator

PAGE_ENTRIES = 1_000
"""Entries of a page, at most."""
PAGE_BYTES = 5 * 1_048_576
"""Bytes of a page at which no further entry is added to it; a page has at least one entry."""
MAX_WAIT_SECONDS = 30
"""Seconds that an answer can be waited for (``Prefer: wait``), at most."""


class FeedName(msgspec.Struct, frozen=True, order=True):
    """The name of a feed: (origin, audience)."""

    origin: str
    audience: str

    def __str__(self) -> str:
        return f"{self.origin}/{self.audience}"


class Cursor(msgspec.Struct, frozen=True):
    """A position in a feed: everything up to and with ``seq`` has been read.

    Its text is ``epoch.seq``. A client that pages does not look into it; a reader of a stream builds the
    cursor of a line from the feed's epoch and the line's ``seq``, and so can resume after any line.
    """

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.seq}"

    @classmethod
    def parse(cls, text: str, pointer: str | None = None) -> Cursor:
        """Raises Invalid for what is no cursor; ``pointer``: where it was given."""
        if not re.fullmatch(r"[0-9a-f]{16}\.[0-9]{1,16}", text):
            raise Invalid(
                "{text!r} is not a cursor; take one from an answer, or leave it out",
                pointer=pointer,
                text=text[:80],
            )
        epoch, seq = text.split(".")
        return cls(epoch, int(seq))


def mint_epoch() -> str:
    """A new epoch: 64 random bits."""
    return secrets.token_hex(8)


class Head(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The end of a feed, as it is now."""

    origin: Operator
    audience: Annotated[str, Meta(pattern=GROUP_PATTERN, examples=["public", "federation", "security"])]
    epoch: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}" + END)]
    seq: Annotated[
        int, Meta(ge=0, le=SAFE_INTEGER, description="Number of the last entry; 0 in an empty feed.")
    ]
    retained_from: Annotated[
        int,
        Meta(
            ge=0,
            le=SAFE_INTEGER,
            description="Cursors before this number have missed tombstones: start from zero.",
        ),
    ]
    count: Annotated[int, Meta(ge=0, le=SAFE_INTEGER, description="Records held, tombstones not counted.")]
    checkpoint: (
        Annotated[
            str,
            Meta(
                max_length=4_000,
                description="What the origin signed last of this feed (JWS): its digest, number and time.",
            ),
        ]
        | None
    ) = None

    @property
    def name(self) -> FeedName:
        return FeedName(self.origin, self.audience)


def printable(text: str, max_length: int = 500) -> str:
    """A text of a peer, so that it can be stored, logged and shown."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text[:max_length])


class FeedState(msgspec.Struct, frozen=True):
    """A feed as it is stored here."""

    id: int
    origin: str
    audience: str
    epoch: str | None
    head: int
    live: int
    retained_from: int
    remote_head: int | None
    checkpoint: str | None = None
    """Its origin's last checkpoint; read for heads only."""

    @property
    def name(self) -> FeedName:
        return FeedName(self.origin, self.audience)

    @property
    def cursor(self) -> Cursor | None:
        """The position up to which it was pulled."""
        return Cursor(self.epoch, self.head) if self.epoch else None

    @property
    def as_head(self) -> Head:
        """The head that a reader of the feed gets."""
        return Head(
            origin=self.origin,
            audience=self.audience,
            epoch=self.epoch or "",
            seq=self.head,
            retained_from=self.retained_from,
            count=self.live,
            checkpoint=self.checkpoint,
        )
