"""Rendered parts of pages that a process stores, by what they were made from.

A part is found by its source, so that another source has another part. Those used last stay; the bound is of
bytes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Part = TypeVar("Part")


class RenderedParts(Generic[Part]):
    """Parts by their source, those used last."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._parts: OrderedDict[Hashable, tuple[Part, int]] = OrderedDict()
        self._bytes = 0

    def get(self, source: Hashable) -> Part | None:
        """The part that was made from a source; None where it is not stored."""
        if (stored := self._parts.get(source)) is None:
            return None
        self._parts.move_to_end(source)
        return stored[0]

    def add(self, source: Hashable, part: Part, size: int) -> None:
        """Store a part; those not used for longest make room. ``size``: about its bytes, with its source."""
        if source in self._parts:
            return
        self._parts[source] = part, size
        self._bytes += size
        while self._bytes > self._max_bytes:
            _, (_, freed) = self._parts.popitem(last=False)
            self._bytes -= freed
