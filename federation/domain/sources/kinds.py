"""The kinds of sources: how each one arrives, its options, and the reader of its files.

A kind without a reader is not offered. A reader is pure, and raises nothing but Invalid (``reading.py``). To
add a kind, add its line to ``KINDS``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec

from federation.domain.draft import check_draft
from federation.domain.errors import Invalid
from federation.domain.formats.readers import READERS
from federation.domain.part import Part
from federation.domain.sources.outages import EventOptions
from federation.domain.sources.reading import Reading
from federation.domain.sources.source import MAX_OPTIONS_BYTES
from federation.domain.values import Id

Read = Callable[[bytes, Any], Reading]
"""From the bytes of a file and the options of its kind."""
Way = Literal["file", "advisory", "event"]
"""``file``: read whole, and merged with the records.

``advisory``: read by the import of advisories, which has a merge of its own (``domain/formats/revision.py``).
``event``: pushed by a monitoring system.
"""


class NoOptions(Part, frozen=True, kw_only=True):
    """The options of a kind that has none."""


class AdvisoryOptions(Part, frozen=True, kw_only=True):
    """The options of sources of advisories."""

    solutions: tuple[Id, ...] = ()
    """The solutions that the advisories are about, where they do not say it in known words."""


class Kind(NamedTuple):
    """A kind of sources."""

    way: Way
    about: str
    """What it is, in a line."""
    options: type[msgspec.Struct] = NoOptions
    read: Read | None = None
    """The reader of a file; None for advisories and events, which have theirs elsewhere."""


KINDS: dict[str, Kind] = {
    **{
        form: Kind("advisory", f"advisories ({form.upper()}): a document, or one a line", AdvisoryOptions)
        for form in READERS
    },
    "alertmanager": Kind("event", "events of Prometheus Alertmanager, pushed by its webhook", EventOptions),
    "grafana": Kind("event", "events of Grafana Alerting, pushed by its webhook", EventOptions),
    "uptime-kuma": Kind("event", "events of Uptime Kuma, pushed by its webhook", EventOptions),
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


def read_options(kind: Kind, value: dict[str, Any]) -> Any:
    """The options of a source, as its kind has them. Raises Invalid, with all faults."""
    if len(msgspec.json.encode(value)) > MAX_OPTIONS_BYTES:
        raise Invalid(
            "the options have at most {maximum} bytes", pointer="/options", maximum=MAX_OPTIONS_BYTES
        )
    try:
        return check_draft(value, kind.options)
    except Invalid as error:
        faults = [
            msgspec.structs.replace(fault, pointer=f"/options{fault.pointer}") for fault in error.faults
        ]
        raise (Invalid.of(faults, error.more) if faults else error) from None
