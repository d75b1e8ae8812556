"""Spreadsheets, GLPI and DECP for the fuzz of readers."""

from __future__ import annotations

from collections.abc import Sequence

from federation.domain.formats.columns import suggest
from federation.domain.formats.decp import read_decp
from federation.domain.formats.glpi import GlpiMapping, list_software, read_glpi
from federation.domain.formats.sheets.mapping import Mapping
from federation.domain.formats.sheets.records import Known
from federation.domain.formats.spreadsheets import read_sheet, read_spreadsheet
from federation.domain.sources.reading import Reading
from tests.formats import made_sheets
from tests.fuzz.reader_inputs import Reader

KNOWN = Known("arnia", {"arnia/glpi": "GLPI", "arnia/xwiki": "XWiki"})


def _read(raw: bytes) -> Reading:
    return read_spreadsheet(raw, Mapping(), KNOWN)


def _suggest(raw: bytes) -> object:
    return suggest(read_sheet(raw))


def _glpi(raw: bytes) -> Reading:
    list_software(raw)
    return read_glpi(raw, GlpiMapping(deployments={"GLPI": "glpi", "XWiki": "wiki"}))


def _csv() -> Sequence[bytes]:
    return [
        made_sheets.deployments_csv(8),
        made_sheets.csv_of(made_sheets.SOLUTIONS, encoding="utf-8-sig", separator=","),
        made_sheets.csv_of(made_sheets.OFFERS, encoding="utf-8", separator="\t"),
        made_sheets.csv_of(made_sheets.PARTICIPATIONS, encoding="utf-16", separator="\t"),
        made_sheets.deployments_csv(20, faults=True),
    ]


def _xlsx() -> Sequence[bytes]:
    tables = (made_sheets.SOLUTIONS, made_sheets.OFFERS, made_sheets.deployments(8))
    return [made_sheets.xlsx_of(table) for table in tables]


def _ods() -> Sequence[bytes]:
    tables = (made_sheets.SOLUTIONS, made_sheets.PARTICIPATIONS, made_sheets.deployments(8))
    return [made_sheets.ods_of(table) for table in tables]


READERS = (
    Reader("csv", _read, _csv),
    Reader("csv-suggestion", _suggest, _csv),
    Reader("xlsx", _read, _xlsx),
    Reader("ods", _read, _ods),
    Reader("glpi", _glpi, lambda: [made_sheets.csv_of(made_sheets.GLPI, encoding="utf-8", separator=";")]),
    Reader("decp", lambda raw: read_decp(raw, purchase="arnia/group"), lambda: [made_sheets.decp()]),
)
