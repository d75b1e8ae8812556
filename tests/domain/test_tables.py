"""Tables as files: what is read back is what was written, and no program computes any of it."""

from __future__ import annotations

import csv
import io
import zipfile

import pytest
from odfdo import Document, Table
from python_calamine import load_workbook

from federation.domain.formats.csv_tables import csv_bytes, safe_cell
from federation.domain.formats.odt import odt_bytes
from federation.domain.formats.tables import FORMS, TableForm
from federation.domain.formats.typed_cells import MAX_TEXT_CHARACTERS, looks_computed, typed_cell
from federation.domain.values import instant

TYPED = [form for form in FORMS if form.ending != "csv"]
HOSTILE = [
    "=1+1", "+33 1 23 45 67 89", "-2", "@SUM(A1)", "\t=1", "  =1", ";=1", "\uff1d1",
    '=HYPERLINK("http://127.0.0.1","x")', "=cmd|' /C calc'!A0", "https://example.org/a",
    "mailto:a@example.org",
    "007", "1e5", "2026-03-01", "TRUE", "_x0041_", "<r><t>=1</t></r>", "<b>&amp;</b> \"x\" ']]>", "{=1}",
    "a  b", " a ", "a\nb", "a\n\n =b", "L’Isle d’Abeau", "\U0001f600",
]  # fmt: skip


def read(body: bytes) -> list[list[object]]:
    sheet = load_workbook(io.BytesIO(body)).get_sheet_by_index(0)
    return [[*row] for row in sheet.to_python(skip_empty_area=False)]


def table_of(body: bytes) -> Table:
    """The table of an ODS file, as odfdo reads it."""
    table = Document(io.BytesIO(body)).body.get_table(0)
    assert table is not None
    return table


def xml_of(body: bytes) -> str:
    """All XML of a package; each part is well-formed, or its reader would have refused it."""
    with zipfile.ZipFile(io.BytesIO(body)) as package:
        return "".join(package.read(name).decode() for name in package.namelist() if name.endswith(".xml"))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+33 1 23 45 67 89", "'+33 1 23 45 67 89"),
        ("-2", "'-2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("  =1", "'  =1"),
        ("\tx", "'\tx"),
        (";=1", "';=1"),
        ("\uff1d1", "'\uff1d1"),
        ("a;=1+1;b", "a;'=1+1;b"),
        ("a\n@b", "a\n'@b"),
        ("a-b = c@d + 1", "a-b = c@d + 1"),
        ("régie; deux", "régie; deux"),
    ],
)
def test_no_text_of_a_csv_file_is_a_formula(text: str, cell: str) -> None:
    assert safe_cell(text) == cell


def test_a_number_of_the_program_stays_a_number_in_csv() -> None:
    assert csv_bytes(["a", "b"], [[-2, None]]).decode() == "\ufeffa,b\r\n-2,\r\n"


def test_a_csv_file_is_read_as_it_was_written() -> None:
    rows = [["L’Isle, d’Abeau", 'un "bon" outil', "a\nb"]]
    text = csv_bytes(["x", "y", "z"], rows).decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["x", "y", "z"], *rows]


@pytest.mark.parametrize("form", TYPED, ids=lambda form: form.ending)
def test_a_text_is_read_back_as_a_text_and_nothing_is_a_formula_or_a_link(form: TableForm) -> None:
    body = form.write("solutions", ["Name", "=head"], [[text, "x"] for text in HOSTILE])
    head, *rows = read(body)
    assert head == ["Name", "=head"]
    found = [row[0] for row in rows]
    assert all(isinstance(cell, str) for cell in found)
    if form.ending == "xlsx":
        # XlsxWriter would write this one as XML of its own: it gets a space behind it.
        assert found == [f"{text} " if text.startswith("<r>") else text for text in HOSTILE]
    else:
        # (calamine leaves tabulators out; odfdo reads every character.)
        assert found == [text.replace("\t", "") for text in HOSTILE]
        assert [row[0] for row in table_of(body).get_values()[1:]] == HOSTILE
    xml = xml_of(body)
    assert "<f>" not in xml
    assert "table:formula" not in xml
    assert "<hyperlink " not in xml
    assert "xlink:href" not in xml


@pytest.mark.parametrize("form", TYPED, ids=lambda form: form.ending)
def test_a_text_that_looks_computed_stays_a_text_when_it_is_edited(form: TableForm) -> None:
    style = 'quotePrefix="1"' if form.ending == "xlsx" else 'table:style-name="quoted"'
    assert style in xml_of(form.write("t", ["a"], [["  =1+1"]]))
    assert looks_computed("  =1+1")
    assert not looks_computed("a = 1")
    if form.ending == "ods":
        assert style not in xml_of(form.write("t", ["a"], [["1+1"]]))


@pytest.mark.parametrize("form", TYPED, ids=lambda form: form.ending)
def test_numbers_are_numbers_and_what_no_cell_holds_is_a_text(form: TableForm) -> None:
    body = form.write("t", ["a", "b", "c", "d", "e"], [[-2, 48.5, 10**18, None, True]])
    assert read(body)[1] == [-2, 48.5, str(10**18), "", "true"]


@pytest.mark.parametrize("form", TYPED, ids=lambda form: form.ending)
def test_what_xml_cannot_have_is_left_out_and_a_long_text_is_cut(form: TableForm) -> None:
    body = form.write("t", ["a\x00"], [["x\x00\x01\x1b\ufffe\uffffy"], ["é" * 40_000]])
    head, first, second = read(body)
    assert (head, first) == (["a"], ["xy"])
    assert second[0] == "é" * (MAX_TEXT_CHARACTERS - 1) + "…"
    assert typed_cell("é" * MAX_TEXT_CHARACTERS) == "é" * MAX_TEXT_CHARACTERS


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.ending)
def test_the_same_rows_are_the_same_bytes(form: TableForm) -> None:
    assert form.write("t", ["a"], [["x", 1]]) == form.write("t", ["a"], [["x", 1]])
    assert form.write("t", ["a"], [["x", 1]]) != form.write("t", ["a"], [["x", 2]])


def test_an_ods_file_is_known_by_its_beginning_and_read_by_another_program() -> None:
    body = FORMS[2].write("needs", ["a"], [["  x  y "], ["b\nc"]])
    assert body[30:38] == b"mimetype"
    assert body[38:].startswith(b"application/vnd.oasis.opendocument.spreadsheet")
    assert table_of(body).name == "needs"
    assert [row[0] for row in table_of(body).get_values()] == ["a", "  x  y ", "b\nc"]


def test_a_text_as_a_document_has_a_paragraph_for_each_line() -> None:
    text = "Séance du 31 mars\n\n  - DÉCIDE  d’adhérer\t; \x00<b>\nFin"
    body = odt_bytes(text, "Adhésion", "fr-FR", instant("2026-03-01T08:30:00Z"))
    document = Document(io.BytesIO(body))
    lines = [paragraph.inner_text for paragraph in document.body.paragraphs]
    assert lines == text.replace("\x00", "").split("\n")
    assert document.meta.title == "Adhésion"
    assert document.get_language() == "fr-FR"
