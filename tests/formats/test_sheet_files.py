"""CSV, XLSX and ODS to rows, within bounds."""

from __future__ import annotations

import io
import zipfile
from datetime import date

import pytest
import xlsxwriter

from federation.domain.errors import Invalid
from federation.domain.formats.sheets import archive, cells, csv_file
from federation.domain.formats.sheets.cells import Cell, CellFault, Sheet
from federation.domain.formats.sheets.csv_file import read_csv
from federation.domain.formats.spreadsheets import read_sheet
from tests.formats.made_sheets import csv_of, ods_of, xlsx_of

TABLE = (("Commune", "Coût", "Œuvre"), ("Mâcon", "1 200 €", "été"), ("Héry", "", "l'île"))


def values(sheet: Sheet) -> list[tuple[Cell, ...]]:
    return [row.cells for row in sheet.rows]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("separator", [";", ",", "\t"])
def test_encoding_and_separator_are_found(encoding: str, separator: str) -> None:
    sheet = read_sheet(csv_of(TABLE, encoding=encoding, separator=separator))
    assert values(sheet) == [TABLE[0], TABLE[1], TABLE[2]]
    assert sheet.separator == separator
    names = {"cp1252": "windows-1252", "utf-8-sig": "utf-8", "utf-16": "utf-16-le"}
    assert sheet.encoding == names.get(encoding, encoding)


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("Nom, prénom;Code;Ville\nA, B;1;C, D, E\n", ";"),
        ("sep=,\nNom;x,Code\na;y,1\n", ","),
        ("Nom\nA\nB\n", ";"),
        ('"a;b";"c"\n"d";"e"\n', ";"),
        ("a,b\tc\n1,2\t3\n1\t3\n", "\t"),
    ],
)
def test_the_separator_is_that_which_all_rows_have(text: str, separator: str) -> None:
    assert read_csv(text.encode()).separator == separator


def test_line_ends_within_quotes_are_part_of_a_cell_and_lines_are_counted() -> None:
    sheet = read_csv(b'Nom;Note\r\n"A";"deux\r\nlignes ""ici"""\r\n\r\n;\r\nB;x\r\n')
    assert values(sheet) == [("Nom", "Note"), ("A", 'deux\nlignes "ici"'), ("B", "x")]
    assert [row.place for row in sheet.rows] == ["line 1", "line 2", "line 6"]


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b'a;b\n"c;d\n', "line 2"),
        (b'a;b\n"c"d;e\n', "line 2"),
        (b"\xef\xbb\xbfa;b\nc;\xe9\n", "line 2 is not UTF-8"),
        (b"a;b\nc;d\ne;\x81\xe9\n", "line 3 is neither UTF-8 nor Windows-1252"),
        (b"a;b\0\n", "no text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100, "xls"),
        (b"PK\x03\x04nonsense", "no whole"),
        (b";".join([b"a"] * (cells.MAX_COLUMNS + 1)), "columns"),
        (b"a;b\n" * (cells.MAX_ROWS + 1), "rows"),
        (b"a;" * 100 + b"a\n" + (b"a;" * 99 + b"a\n") * 5_000, "cells"),
        (b"a;b\n" + b"x" * (cells.MAX_CELL_CHARACTERS + 1), "characters"),
        (b";" * (cells.MAX_ROWS * cells.MAX_COLUMNS + 1), "cells"),
        (b"\n" * (csv_file.MAX_LINES + 2) + b"a", "lines"),
    ],
)
def test_a_file_beyond_a_bound_or_of_another_form_is_refused(raw: bytes, problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        read_sheet(raw)


def test_within_the_bounds_it_is_read() -> None:
    assert len(read_sheet(b"a;b\n" * cells.MAX_ROWS).rows) == cells.MAX_ROWS
    assert len(read_sheet(b";".join([b"a"] * cells.MAX_COLUMNS)).rows[0].cells) == cells.MAX_COLUMNS


@pytest.mark.parametrize("make", [xlsx_of, ods_of])
def test_a_workbook_gives_the_values_of_its_cells(make: object) -> None:
    assert callable(make)
    table = (
        ("Nom", "", "Nombre", "Jour", "Actif"),
        (),
        ("Mâcon", "", 12, date(2024, 3, 15), True),
        ("Héry", "x", 1.5),
    )
    sheet = read_sheet(make(table, name="Parc"))
    assert sheet.name == "Parc"
    assert values(sheet) == [
        ("Nom", "", "Nombre", "Jour", "Actif"),
        ("Mâcon", "", 12, date(2024, 3, 15), True),
        ("Héry", "x", 1.5),
    ]
    assert [row.line for row in sheet.rows] == [1, 3, 4]


def workbook() -> bytes:
    """Formulas, an error, and a hidden sheet before the one with values."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out)
    book.add_worksheet("Vide")
    hidden = book.add_worksheet("Cachée")
    hidden.write(0, 0, "secret")
    hidden.hide()
    sheet = book.add_worksheet("Parc")
    sheet.write_row(0, 0, ["Nom", "Version", "Site"])
    sheet.write_row(1, 0, ["GLPI", "10.0"])
    sheet.write_formula(1, 2, "=1/0", value="#DIV/0!")
    sheet.write_formula(2, 1, '="10.0.6"', value="10.0.6")
    sheet.write_string(3, 0, "=1+1")
    book.close()
    return out.getvalue()


def test_formulas_and_their_errors_are_faults_and_not_empty() -> None:
    sheet = read_sheet(workbook())
    assert (sheet.name, sheet.names) == ("Parc", ("Vide", "Parc"))
    kinds = [[type(cell).__name__ for cell in row.cells] for row in sheet.rows]
    assert kinds == [["str"] * 3, ["str", "str", "CellFault"], ["str", "CellFault"], ["CellFault"]]
    error = sheet.rows[1].cells[2]
    assert isinstance(error, CellFault)
    assert str(error.message) == "the cell has the error #DIV/0! of a formula"
    text = read_csv(b"a;b\n#N/A;=SOMME(A1)\n'=ok;'+33 1\n")
    assert [type(cell).__name__ for cell in text.rows[1].cells] == ["CellFault", "CellFault"]
    assert text.rows[2].cells == ("=ok", "+33 1")


def test_a_sheet_is_chosen_by_its_name() -> None:
    assert values(read_sheet(workbook(), "Cachée")) == [("secret",)]
    with pytest.raises(Invalid, match="no sheet Autre; it has Vide, Parc"):
        read_sheet(workbook(), "Autre")


OFFICE = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"'
)


def ods(rows: str, doctype: str = "", manifest: str = "<manifest/>") -> bytes:
    content = (
        f'<?xml version="1.0"?>{doctype}<office:document-content {OFFICE}><office:body><office:spreadsheet>'
        f'<table:table table:name="A">{rows}</table:table></office:spreadsheet></office:body>'
        "</office:document-content>"
    )
    return packed({"content.xml": content, "META-INF/manifest.xml": manifest})


def packed(members: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


def cell(text: str, repeats: int = 1, attributes: str = "") -> str:
    return (
        '<table:table-cell office:value-type="string" '
        f'table:number-columns-repeated="{repeats}" {attributes}>'
        f"<text:p>{text}</text:p></table:table-cell>"
    )


def row(cells: str, repeats: int = 1) -> str:
    return f'<table:table-row table:number-rows-repeated="{repeats}">{cells}</table:table-row>'


EMPTY = '<table:table-cell table:number-columns-repeated="16384"/>'


def test_cells_and_rows_that_are_repeated_are_read_as_far_as_they_have_values() -> None:
    raw = ods(row(EMPTY, 3) + row(cell("x", 2) + EMPTY, 2) + row(EMPTY, 1_048_571))
    assert values(read_sheet(raw)) == [("x", "x"), ("x", "x")]
    error = cell("#DIV/0!", 1, 'table:formula="of:=1/0" calcext:value-type="error"')
    found = read_sheet(ods(row(cell("a") + error))).rows[0].cells[1]
    assert isinstance(found, CellFault)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (ods(row(cell("x"), 1_000_000)), "rows"),
        (ods(row(cell("x", 1_000_000))), "columns"),
        (ods(row(cell("x", 200), 10_000)), "cells"),
        (ods(row(cell("x" * 30_000, 100), 1_000)), "characters"),
        (ods(row(EMPTY, 1_000_000) + row(cell("x"))), "rows"),
        (ods(row(cell("x", 10**9))), "repeats a cell"),
        (ods("<x>" * 100 + "</x>" * 100), "deeper"),
        (ods(row(cell("&a;")), '<!DOCTYPE a [<!ENTITY a "b">]>'), "document type"),
        (ods("", manifest="<m><encryption-data/></m>"), "password"),
        (packed({"content.xml": " " * (archive.MAX_UNPACKED_BYTES + 1)}), "unpacks to more than"),
        (packed({f"{number}": "" for number in range(archive.MAX_MEMBERS + 1)}), "members"),
        (packed({"a": "b"}), "neither XLSX nor ODS"),
    ],
)
def test_a_small_file_that_unpacks_to_a_large_one_is_refused(raw: bytes, problem: str) -> None:
    assert len(raw) < 300_000
    with pytest.raises(Invalid, match=problem):
        read_sheet(raw)


def patched(part: str, old: str, new: str) -> bytes:
    """A workbook with one member changed."""
    source = zipfile.ZipFile(io.BytesIO(xlsx_of((("Nom", "Code"), ("y" * 1_000, 1)))))
    members = {name: source.read(name).decode() for name in source.namelist()}
    assert old in members[part]
    return packed({**members, part: members[part].replace(old, new)})


SHEET = "xl/worksheets/sheet1.xml"


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (patched(SHEET, 'r="B2"', 'r="XFD1048576"'), "rows"),
        (patched(SHEET, 'r="B2"', 'r="XFD2"'), "columns"),
        (patched(SHEET, 'r="B2"', 'r="nowhere"'), "without a place"),
        (
            patched(
                SHEET,
                "</sheetData>",
                '<row r="3">'
                + '<c t="s"><v>2</v></c>' * 250
                + "</row>"
                + "".join(
                    f'<row r="{number}">' + '<c t="s"><v>2</v></c>' * 250 + "</row>"
                    for number in range(4, 100)
                )
                + "</sheetData>",
            ),
            "characters",
        ),
        (patched("xl/workbook.xml", "<sheets>", "<sheets><a"), "no whole"),
    ],
)
def test_a_workbook_that_the_library_would_write_out_at_length_is_refused(raw: bytes, problem: str) -> None:
    assert len(raw) < 300_000
    with pytest.raises(Invalid, match=problem):
        read_sheet(raw)
