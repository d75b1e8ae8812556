"""Records as pages read them: the envelope, and the members of the content that a page shows."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Generic, TypeVar

import msgspec

R = TypeVar("R")


class Entry(msgspec.Struct, Generic[R], frozen=True):
    """A record of a list, with what its page shows of it."""

    type: str
    origin: str
    key: str
    revision: int
    tlp: str
    created_at: str
    updated_at: str
    content: R
    audience: str | None = None
    same_as: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.origin}/{self.key}"


@cache
def decoder(row: Any) -> msgspec.json.Decoder[Any]:
    """The decoder of documents whose content is read as this struct."""
    return msgspec.json.Decoder(Entry[row])


def decode_rows(row: Any, documents: Iterable[bytes]) -> list[Entry[Any]]:
    """The rows of these documents."""
    return list(map(decoder(row).decode, documents))
