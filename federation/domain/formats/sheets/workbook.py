"""A sheet of an XLSX or ODS file, read by python-calamine once its size is known to be within bounds."""

from __future__ import annotations

import io
from datetime import date, datetime, time, timedelta
from typing import Any, Literal

from python_calamine import load_workbook

from federation.domain.errors import Invalid
from federation.domain.formats.sheets import ods_scan, xlsx_scan
from federation.domain.formats.sheets.archive import Archive, write_archive
from federation.domain.formats.sheets.cells import Cell, CellFault, Row, Sheet, text_cell, without_empty_end
from federation.domain.formats.sheets.size import Position, SheetSize

_NO_SHEET_TEMPLATE = "the file has no sheet {name}; it has {names}"


def read_workbook(raw: bytes, name: str | None = None) -> Sheet:
    """The rows of a sheet: the one with this name, else the first visible one with values. Raises Invalid."""
    archive = Archive(raw)
    if xlsx_scan.WORKBOOK in archive.names:
        return _read_xlsx(archive, name)
    if ods_scan.CONTENT in archive.names:
        return _read_ods(archive, name)
    raise Invalid("the archive is neither XLSX nor ODS")


def _read_xlsx(archive: Archive, name: str | None) -> Sheet:
    members = {member: archive.read(member) for member in (xlsx_scan.WORKBOOK, xlsx_scan.RELATIONS)}
    parts = xlsx_scan.read_parts(members[xlsx_scan.WORKBOOK], members[xlsx_scan.RELATIONS])
    for member in xlsx_scan.OTHERS:
        if member in archive.names:
            members[member] = archive.read(member)
    strings = archive.read(xlsx_scan.STRINGS) if xlsx_scan.STRINGS in archive.names else None
    if strings is not None:
        members[xlsx_scan.STRINGS] = strings
    lengths = xlsx_scan.read_lengths(strings)
    visible = tuple(part.name for part in parts if part.is_visible)
    for part in parts:
        if (part.name != name) if name is not None else not part.is_visible:
            continue
        if part.member not in archive.names:
            continue
        sheet = archive.read(part.member)
        size = xlsx_scan.scan_sheet(sheet, lengths)
        if size.rows or name is not None:
            rows = _rows(write_archive({**members, part.member: sheet}), part.name, size)
            return Sheet("xlsx", rows, part.name, visible)
    return _without_values("xlsx", name, visible)


def _read_ods(archive: Archive, name: str | None) -> Sheet:
    if ods_scan.MANIFEST in archive.names and b"encryption-data" in archive.read(ods_scan.MANIFEST):
        raise Invalid("the file is protected by a password: save it without one")
    content = archive.read(ods_scan.CONTENT)
    sizes = ods_scan.scan_content(content)
    names = tuple(sheet for sheet, _ in sizes)
    members = {
        ods_scan.MIMETYPE: ods_scan.MEDIA_TYPE,
        ods_scan.MANIFEST: ods_scan.NO_ENCRYPTION,
        ods_scan.CONTENT: content,
    }
    for sheet, size in sizes:
        if sheet == name or (name is None and size.rows):
            return Sheet("ods", _rows(write_archive(members), sheet, size), sheet, names)
    return _without_values("ods", name, names)


def _without_values(form: Literal["xlsx", "ods"], name: str | None, names: tuple[str, ...]) -> Sheet:
    if name is not None:
        raise Invalid(_NO_SHEET_TEMPLATE, name=name[:100], names=", ".join(names)[:500] or "-")
    return Sheet(form, (), None, names)


def _rows(packed: bytes, name: str, size: SheetSize) -> tuple[Row, ...]:
    try:
        with load_workbook(io.BytesIO(packed)) as workbook:
            values = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # (a panic of the library is no Exception)
        raise Invalid("the sheet cannot be read: {reason}", reason=str(error)[:200]) from None
    rows = []
    for number, row in enumerate(values):
        cells = without_empty_end([_cell(value) for value in row])
        for column in range(size.columns) if size.faults else ():
            message = size.faults.get(Position(number, column))
            if message is not None:
                cells += [""] * (column + 1 - len(cells))
                cells[column] = CellFault(message)
        if cells:
            rows.append(Row(number + 1, tuple(cells)))
    return tuple(rows)


def _cell(value: Any) -> Cell:
    match value:
        case str():
            return text_cell(value)
        case bool() | int() | datetime() | date():
            return value
        case float():
            return int(value) if value.is_integer() and abs(value) < 1e15 else value
        case time() | timedelta():
            return str(value)
    return ""
