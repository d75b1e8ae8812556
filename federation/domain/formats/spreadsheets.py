"""Spreadsheets: CSV, XLSX and ODS to the records that their lines stand for.

1. A sheet is read within bounds (``sheets/cells.py``), whatever file it is from.
2. A mapping names the field of each column (``columns.py``).
3. Each line is read by its fields: all faults of all lines are reported, and a line with one makes no record.
4. Lines with one key are one record where the type allows it, and duplicates otherwise.
5. Each record keeps the rules of writers, as a ``PUT`` of it would have to.

A file with a fault is not complete: a line that was not understood has not disappeared.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from federation.domain.content.deployment import Deployment
from federation.domain.content.offer import Offer
from federation.domain.content.participation import Participation
from federation.domain.content.solution import Solution
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Invalid
from federation.domain.formats.columns import find_head, suggest
from federation.domain.formats.sheets.cells import MAX_FILE_BYTES, Sheet
from federation.domain.formats.sheets.csv_file import read_csv
from federation.domain.formats.sheets.deployments import build_deployment
from federation.domain.formats.sheets.lines import Faults, Line
from federation.domain.formats.sheets.mapping import Mapping, check_mapping, heads_of
from federation.domain.formats.sheets.offers import build_offer
from federation.domain.formats.sheets.participations import build_participation
from federation.domain.formats.sheets.records import Known, LineRecord, SolutionFinder
from federation.domain.formats.sheets.solutions import build_solution
from federation.domain.formats.sheets.workbook import read_workbook
from federation.domain.messages import Message
from federation.domain.sources.reading import Item, Reading
from federation.domain.territories import finder as body_finder

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SHAPES: dict[str, Any] = {
    "solutions": Draft[Solution],
    "deployments": Draft[Deployment],
    "offers": Draft[Offer],
    "participations": Draft[Participation],
}


def read_sheet(raw: bytes, name: str | None = None) -> Sheet:
    """The rows of a file; of a workbook those of the sheet with this name, or of the first one with values.

    Raises Invalid for a file that is none of the three, or beyond a bound.
    """
    if len(raw) > MAX_FILE_BYTES:
        raise Invalid(
            "the file is {size} bytes long; {maximum} are read", size=len(raw), maximum=MAX_FILE_BYTES
        )
    if raw.startswith(_ZIP):
        return read_workbook(raw, name)
    if raw.startswith(_OLE):
        raise Invalid("the file is protected by a password, or of an old form (.xls): save it as XLSX or ODS")
    return read_csv(raw)


def read_spreadsheet(raw: bytes, mapping: Mapping, known: Known) -> Reading:
    """The records of a file. Raises Invalid where the file, or the mapping for it, cannot be used."""
    return read_lines(read_sheet(raw, mapping.sheet), mapping, known)


def read_lines(sheet: Sheet, mapping: Mapping, known: Known) -> Reading:
    """The records of a sheet. Raises Invalid for a mapping that is not one of this sheet."""
    body_finder.prepare()
    if mapping.type is None or not mapping.columns:
        mapping = suggest(sheet, saved=mapping).mapping
    place = find_head(sheet, mapping)
    heads = heads_of(sheet.rows[place])
    check_mapping(mapping, heads)
    faults = Faults()
    records = _merge(list(_records(sheet, place, heads, mapping, known, faults)), faults)
    type_ = mapping.type or ""
    items = tuple(item for record in records if (item := _item(record, type_, faults)) is not None)
    return Reading(items, faults.all(), is_complete=not len(faults))


def _records(
    sheet: Sheet, place: int, heads: list[str], mapping: Mapping, known: Known, faults: Faults
) -> Iterator[LineRecord]:
    fields = {number: mapping.columns[head] for number, head in enumerate(heads) if head in mapping.columns}
    head_of = {field: head for head, field in mapping.columns.items()}
    words = {
        field: {word.casefold(): value for word, value in values.items()}
        for field, values in mapping.values.items()
    }
    finder = SolutionFinder(known)
    for row in sheet.rows[place + 1 :]:
        line = Line(row, fields, head_of, mapping.fixed, words, faults)
        if line.cells.keys() <= mapping.fixed.keys():
            continue  # a note beside the table
        record: LineRecord | None
        match mapping.type:
            case "deployments":
                record = build_deployment(line, finder)
            case "solutions":
                record = build_solution(line, mapping.language)
            case "offers":
                record = build_offer(line, finder, known, mapping.language)
            case _:
                record = build_participation(line, known)
        if record is not None:
            yield record


def _merge(records: list[LineRecord], faults: Faults) -> list[LineRecord]:
    """One record for each key; the second line of a key is a fault where it cannot be added to the first."""
    by_key: dict[str, LineRecord] = {}
    for record in records:
        first = by_key.setdefault(record.key, record)
        if first is record:
            continue
        is_one = first.has_own_key and record.has_own_key and first.identity == record.identity
        if is_one and first.merge is not None and first.merge(first, record):
            first.line.notes += [note for note in record.line.notes if note not in first.line.notes]
            continue
        values = {"key": record.key, "place": first.line.place}
        if record.has_own_key:
            message = Message(
                "the key {key} is that of {place}, which differs or is about the same body", values
            )
        else:
            message = Message(
                "the same as {place} (key {key}): a column with keys would tell them apart", values
            )
        faults.add(record.line.place, message, "key")
    return list(by_key.values())


def _item(record: LineRecord, type_: str, faults: Faults) -> Item | None:
    """The item of a record; None where it breaks a rule of writers."""
    members: dict[str, Any] = {"content": record.content}
    if record.same_as:
        members["same_as"] = list(record.same_as)
    try:
        check_draft(members, _SHAPES[type_])
    except Invalid as error:
        faults.refusal(record.line.place, error)
        return None
    return Item(
        type=type_,
        key=record.key,
        members=members,
        place=record.line.place,
        identity=record.identity,
        defaulted=tuple(dict.fromkeys(record.line.notes)),
    )
