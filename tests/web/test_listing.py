"""Lists: filters, pages by key, and files for spreadsheets."""

from __future__ import annotations

import csv
import io

import pytest

from federation.web import csv_files
from federation.web.csv_files import csv_bytes, safe_cell


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
def test_no_text_is_a_formula(text: str, cell: str) -> None:
    assert safe_cell(text) == cell


def test_a_number_of_the_program_stays_a_number() -> None:
    assert csv_bytes(["a", "b"], [[-2, None]]).decode() == "\ufeffa,b\r\n-2,\r\n"


def test_a_file_is_read_as_it_was_written() -> None:
    rows = [["L’Isle, d’Abeau", 'un "bon" outil', "a\nb"]]
    text = csv_bytes(["x", "y", "z"], rows).decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["x", "y", "z"], *rows]
    assert csv_files.CSV == "text/csv"
