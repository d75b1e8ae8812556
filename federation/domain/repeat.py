"""Requests that may be sent again under a key of the caller's (``Idempotency-Key``), and their answers.

Source: draft-ietf-httpapi-idempotency-key-header-07.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

STORED_HOURS = 24
"""Hours that the answer to a request with a key is stored."""
MAX_KEY_CHARACTERS = 200
"""Length of a key, at most."""
REQUEST_KEY_PATTERN = (
    rf'^("[!#-\[\]-~]{{1,{MAX_KEY_CHARACTERS}}}"|[A-Za-z0-9._~:/+=@-]{{1,{MAX_KEY_CHARACTERS}}})$'
)
"""A string of structured fields (RFC 9651, 3.3.3) without escapes; without quotes as many clients send it."""
MAX_KEYS = 10_000
"""Answers stored of one caller, at most."""
MAX_STORED_BYTES = 64 * 1_048_576
"""Length of the answers stored of one caller, at most; one more is stored while it is not reached."""


class RequestName(NamedTuple):
    """A request by its key. The key of another caller, or for another operation, is another one."""

    caller: str
    operation: str
    key: str

    def __str__(self) -> str:
        return "\x1f".join(self)


class StoredAnswer(msgspec.Struct, frozen=True):
    """The answer to a request that was carried out."""

    request_hash: bytes
    """SHA-256 of what the request asked for."""
    status: int
    headers: Mapping[str, str]
    body: bytes | None
    """None where the answer has shown a secret: it is not stored."""


class AnswerUsage(NamedTuple):
    """The answers stored of a caller."""

    number: int
    size: int
    """Bytes of their bodies."""
    seconds_left: int
    """Seconds until the oldest of them is dropped."""

    @property
    def is_full(self) -> bool:
        return self.number >= MAX_KEYS or self.size >= MAX_STORED_BYTES
