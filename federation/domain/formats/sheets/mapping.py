"""The meaning of the columns of a source: which field each has, and what words of the file stand for.

A mapping names columns by their heads, and so holds for the next file with these heads, in whatever order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from federation.domain.canonical import escape_pointer
from federation.domain.errors import Invalid
from federation.domain.faults import Fault
from federation.domain.formats.sheets.cells import MAX_COLUMNS, Cell, CellFault, Row
from federation.domain.formats.sheets.csv_file import MAX_LINES
from federation.domain.formats.sheets.fields import FIELDS, RecordType
from federation.domain.formats.sheets.values import CellProblem, read_text
from federation.domain.messages import Message
from federation.domain.part import Part
from federation.domain.values import LanguageTag

MAX_HEAD_CHARACTERS = 200
NEED = "need:"
"""Before the key of a unit: a column with the quantity of this unit that a body needs."""

Head = Annotated[str, Meta(max_length=MAX_HEAD_CHARACTERS + 8)]
FieldName = Annotated[str, Meta(max_length=140)]
Word = Annotated[str, Meta(max_length=2_000)]


class Mapping(Part, frozen=True, kw_only=True):
    """The meaning of the columns of a source; stored with the source, as its options."""

    type: RecordType | None = None
    """The type of its records; absent: as suggested."""
    columns: Annotated[dict[Head, FieldName], Meta(max_length=MAX_COLUMNS)] = msgspec.field(
        default_factory=dict
    )
    """Fields by the heads of columns; absent: as suggested."""
    fixed: Annotated[dict[FieldName, Word], Meta(max_length=100)] = msgspec.field(default_factory=dict)
    """Values of fields for every line that has none of its own."""
    values: Annotated[
        dict[FieldName, Annotated[dict[Word, Word], Meta(max_length=2_000)]], Meta(max_length=100)
    ] = msgspec.field(default_factory=dict)
    """By field: words of the file, and what they stand for. The words ``GLPI 10`` may be ``arnia/glpi``."""
    sheet: Annotated[str, Meta(max_length=200)] | None = None
    """The name of the sheet; absent: the first one with values."""
    head_line: Annotated[int, Meta(ge=1, le=MAX_LINES)] | None = None
    """The line of the head; absent: it is looked for."""
    language: LanguageTag = "fr"
    """The language of texts."""


def fields_of(type_: RecordType) -> tuple[str, ...]:
    """Names of all fields of a type."""
    return tuple(field.name for field in FIELDS[type_])


def heads_of(row: Row) -> list[str]:
    """The heads of columns, each one once: a second ``Nom`` is ``Nom (2)``."""
    heads: list[str] = []
    counts: dict[str, int] = {}
    for cell in row.cells:
        head = written(cell)[:MAX_HEAD_CHARACTERS]
        counts[head] = counts.get(head, 0) + 1
        heads.append(f"{head} ({counts[head]})" if head and counts[head] > 1 else head)
    return heads


def written(cell: Cell) -> str:
    """The text of a cell on one line; empty where it has none."""
    if isinstance(cell, CellFault):
        return ""
    try:
        return " ".join(read_text(cell).split())
    except CellProblem:
        return ""


def missing_fields(mapping: Mapping) -> tuple[str, ...]:
    """Fields that a record needs and that the mapping does not give."""
    if mapping.type is None:
        return ("type",)
    given = {*mapping.columns.values(), *mapping.fixed}
    missing = [field.name for field in FIELDS[mapping.type] if field.needed and field.name not in given]
    if mapping.type == "deployments" and given.isdisjoint(
        ("siren", "siret", "insee", "body", "territory", "count")
    ):
        missing.append("insee")
    return tuple(missing)


def check_mapping(mapping: Mapping, heads: Sequence[str]) -> None:
    """Raise Invalid, with all that is wrong, for a mapping that is not one of this file."""
    if mapping.type is None:
        raise Invalid("the mapping has no type of records", pointer="/type", fault="missing")
    known, kind = set(fields_of(mapping.type)), mapping.type
    faults: list[Fault] = []

    def add(pointer: str, message: Message) -> None:
        faults.append(Fault(pointer=pointer, code="not-allowed", message=message))

    def check_field(pointer: str, field: str) -> None:
        if field not in known:
            add(pointer, Message("{type} have no field {field}", {"type": kind, "field": field}))

    for head, field in mapping.columns.items():
        pointer = f"/columns/{escape_pointer(head)}"
        if not (kind == "participations" and field.startswith(NEED)):
            check_field(pointer, field)
        if head not in heads:
            add(pointer, Message("the file has no column {head}", {"head": head}))
    for field in mapping.fixed:
        check_field(f"/fixed/{escape_pointer(field)}", field)
    for field in mapping.values:
        check_field(f"/values/{escape_pointer(field)}", field)
    for field, count in Counter(mapping.columns.values()).items():
        if count > 1:
            add("/columns", Message("two columns are the field {field}", {"field": field}))
    for field in missing_fields(mapping):
        template = "no column is the field {field}: name a column or a fixed value"
        faults.append(Fault(pointer="/columns", code="missing", message=Message(template, {"field": field})))
    if faults:
        raise Invalid.of(faults)
