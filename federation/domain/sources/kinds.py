"""The kinds of sources: how each one arrives, its options, and the reader of its files.

A kind without a reader is not offered. A reader is pure, and raises nothing but Invalid (``reading.py``). To
add a kind, add its line to ``KINDS``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from federation.domain.draft import check_draft
from federation.domain.errors import Invalid
from federation.domain.formats.decp import read_decp
from federation.domain.formats.glpi import GlpiMapping, read_glpi
from federation.domain.formats.publiccode import read_publiccode
from federation.domain.formats.readers import READERS
from federation.domain.formats.sheets.mapping import Mapping
from federation.domain.formats.sheets.records import Known
from federation.domain.formats.software_catalogues import read_catalogue
from federation.domain.formats.spreadsheets import read_spreadsheet
from federation.domain.part import Part
from federation.domain.sources.outages import EventOptions
from federation.domain.sources.reading import Reading
from federation.domain.sources.source import MAX_OPTIONS_BYTES
from federation.domain.values import END, Id, Key

Read = Callable[[bytes, Any], Reading]
"""From the bytes of a file and the options of its kind."""
ReadWithFacts = Callable[[bytes, Any, Known], Reading]
"""The same with facts of the node: a file names solutions as people do."""
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
    read_with_facts: ReadWithFacts | None = None
    """In its place, a reader that needs facts of the node."""
    follows: bool = False
    """True where the file names others, which are fetched, too (``node/catalogue_pages.py``)."""


class DecpOptions(Part, frozen=True, kw_only=True):
    """The options of files of DECP."""

    purchase: Id | None = None
    """The purchase that the consultations are of."""
    buyers: Annotated[
        tuple[Annotated[str, Meta(pattern=f"^[0-9]{{9}}{END}")], ...], Meta(max_length=100)
    ] = ()
    """SIREN of the buyers whose contracts are wanted; absent: all."""
    keys: Annotated[dict[str, Key], Meta(max_length=2_000)] = msgspec.field(default_factory=dict)
    """Keys of consultations that exist, by the numbers of their contracts."""


def _read_decp(raw: bytes, options: DecpOptions) -> Reading:
    return read_decp(raw, purchase=options.purchase, buyers=options.buyers, keys=options.keys)


KINDS: dict[str, Kind] = {
    "csv": Kind("file", "a spreadsheet as CSV", Mapping, read_with_facts=read_spreadsheet),
    "xlsx": Kind("file", "a spreadsheet as XLSX", Mapping, read_with_facts=read_spreadsheet),
    "ods": Kind("file", "a spreadsheet as ODS", Mapping, read_with_facts=read_spreadsheet),
    "glpi": Kind("file", "the list of software that GLPI exports", GlpiMapping, read_glpi),
    "decp": Kind("file", "contracts as DECP 2.0.3", DecpOptions, _read_decp),
    "publiccode": Kind(
        "file",
        "a publiccode.yml, or a list of repositories that have one",
        read=lambda raw, _: read_publiccode(raw),
        follows=True,
    ),
    "catalogue": Kind(
        "file",
        "a catalogue of software: SILL, Comptoir du Libre, open-catalog-api",
        read=lambda raw, _: read_catalogue(raw).reading,
        follows=True,
    ),
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
