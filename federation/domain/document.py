"""The document: what operators exchange, and the one form in which it is written down.

A document is an envelope that feeds, sync and storage understand, and a content that they do not
need to. It becomes bytes once, at its origin: canonical JSON (RFC 8785, for a schema without floats
and with ASCII member names: members sorted, no white space, shortest escapes, UTF-8). Those bytes
are hashed with SHA-256, stored, served, pulled, verified and served again; nobody re-encodes them.
"""

from __future__ import annotations

import re
import secrets
import time
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

from federation.domain.errors import Invalid
from federation.domain.part import Dated
from federation.domain.values import (
    KEY_PATTERN,
    OPERATOR_PATTERN,
    SAFE_INTEGER,
    TYPE_PATTERN,
    Group,
    Instant,
    Key,
    Operator,
    TypeName,
    Uri,
)
from federation.domain.visibility import Tlp

MAX_DOCUMENT = 1_048_576
"""Bytes of a document, at most; also of a request's body, where it is not NDJSON."""

C = TypeVar("C")

SameAs = Annotated[
    tuple[Uri, ...],
    Meta(
        max_length=50, description="The same thing elsewhere: Wikidata, SILL, Comptoir du Libre, repository."
    ),
]


class Envelope(Dated, frozen=True, kw_only=True):
    """The part of every document that feeds, sync and storage understand."""

    moments = ("created_at", "updated_at")
    ordered = (("created_at", "updated_at"),)

    type: TypeName
    origin: Operator
    key: Key
    revision: Annotated[int, Meta(ge=1, le=SAFE_INTEGER)]
    created_at: Instant
    updated_at: Instant
    tlp: Tlp
    audience: Group | None = None
    same_as: SameAs = ()


class Document(Envelope, Generic[C], frozen=True, kw_only=True):
    """One document: an envelope and its content. Without content it is a tombstone."""

    content: C | None = None


class Sealed(Envelope, frozen=True, kw_only=True):
    """A document whose content is left as the bytes it is; empty in a tombstone."""

    content: msgspec.Raw = msgspec.Raw()


SERVER_OWNED = ("type", "origin", "key", "revision", "created_at", "updated_at")


# Writing down


# Reading what a writer sent


# Reading what a peer sent


# Names


def check_id(origin: str, key: str) -> None:
    """Raises Invalid when these cannot name a record."""
    if not re.fullmatch(OPERATOR_PATTERN, origin):
        raise Invalid(
            "{origin!r} is not an operator's id ({pattern})", origin=origin, pattern=OPERATOR_PATTERN
        )
    if not re.fullmatch(KEY_PATTERN, key):
        raise Invalid("{key!r} is not a key ({pattern})", key=key, pattern=KEY_PATTERN)


def is_type(name: str) -> bool:
    return re.fullmatch(TYPE_PATTERN, name) is not None


def mint_key() -> str:
    """A new key: UUIDv7 (RFC 9562, 5.7), so that keys minted later sort later."""
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62)
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
