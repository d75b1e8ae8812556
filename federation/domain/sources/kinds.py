"""The kinds of sources: how each one arrives, and the reader of its files.

A kind without a reader is not offered.

A reader is pure, and raises nothing but Invalid (``reading.py``). To add a kind, add its line to ``KINDS``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from federation.domain.errors import Invalid
from federation.domain.formats.readers import READERS
from federation.domain.sources.reading import Reading
from federation.domain.sources.source import ReadingOptions

Read = Callable[[bytes, ReadingOptions], Reading]
Way = Literal["file", "advisory", "event"]
"""``file``: read whole, and merged with the records.

``advisory``: read by the import of advisories, which has a merge of its own (``domain/formats/revision.py``).
``event``: pushed by a monitoring system.
"""


class Kind(NamedTuple):
    """A kind of sources."""

    way: Way
    about: str
    """What it is, in a line."""
    read: Read | None = None
    """The reader of a file; None for advisories and events, which have theirs elsewhere."""
    needs_type: bool = False
    """Whether the record type of its rows has to be named."""


KINDS: dict[str, Kind] = {
    **{
        form: Kind("advisory", f"advisories ({form.upper()}), one document or one a line") for form in READERS
    },
}


def kind_of(name: str) -> Kind:
    """The kind of that name. Raises Invalid."""
    kind = KINDS.get(name)
    if kind is None:
        raise Invalid(
            "{kind} is no kind of source here; {kinds} are",
            pointer="/kind",
            fault="not-allowed",
            allowed=tuple(KINDS),
            kind=ascii(name)[1:41],
            kinds=", ".join(KINDS),
        )
    return kind
