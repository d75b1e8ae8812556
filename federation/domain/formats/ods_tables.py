"""Tables as ODS (OpenDocument 1.3), streamed into the package row by row.

The same rows are the same bytes, whenever they are written, so that a file has an ETag.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from federation.domain.formats.typed_cells import looks_computed, typed_cell

MEDIA_TYPE = "application/vnd.oasis.opendocument.spreadsheet"
_MANIFEST = f"""<?xml version="1.0" encoding="UTF-8"?>
<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" manifest:version="1.3">
<manifest:file-entry manifest:full-path="/" manifest:version="1.3" manifest:media-type="{MEDIA_TYPE}"/>
<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>
</manifest:manifest>
"""
_SPACES = re.compile("^ +| {2,}| $|\t", re.MULTILINE)
"""White space that a reader would drop (OpenDocument 1.3, part 3, 6.1.2)."""


def ods_bytes(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as ODS, with their head. ``name``: of the sheet; letters, digits and hyphens."""
    stream = io.BytesIO()
    with ZipFile(stream, "w") as package:
        # First and not compressed, so that a program knows the file by its beginning (part 2, 3.3).
        package.writestr(_member("mimetype", ZIP_STORED), MEDIA_TYPE)
        package.writestr(_member("META-INF/manifest.xml"), _MANIFEST)
        with package.open(_member("content.xml"), "w") as content:
            for part in _content(name, head, rows):
                content.write(part.encode())
    return stream.getvalue()


def _member(name: str, compression: int = ZIP_DEFLATED) -> ZipInfo:
    member = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    member.compress_type = compression
    return member


def _content(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    spaces = " ".join(
        f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{part}:1.0"'
        for prefix, part in (
            ("office", "office"), ("table", "table"), ("text", "text"), ("style", "style"),
            ("number", "datastyle"), ("fo", "xsl-fo-compatible"),
        )
    )  # fmt: skip
    yield (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<office:document-content {spaces} office:version="1.3">'
        "<office:automatic-styles>"
        '<number:text-style style:name="as-text"><number:text-content/></number:text-style>'
        '<style:style style:name="head" style:family="table-cell">'
        '<style:text-properties fo:font-weight="bold"/></style:style>'
        '<style:style style:name="quoted" style:family="table-cell" style:data-style-name="as-text"/>'
        "</office:automatic-styles><office:body><office:spreadsheet>"
        f'<table:table table:name="{escape(name)}">'
        f'<table:table-column table:number-columns-repeated="{len(head)}"/><table:table-header-rows>'
    )
    yield _row([_text(str(typed_cell(label)), "head") for label in head])
    yield "</table:table-header-rows>"
    for row in rows:
        yield _row(map(_cell, row))
    yield "</table:table></office:spreadsheet></office:body></office:document-content>"


def _row(cells: Iterable[str]) -> str:
    return f"<table:table-row>{''.join(cells)}</table:table-row>"


def _cell(value: object) -> str:
    cell = typed_cell(value)
    if not isinstance(cell, str):
        return (
            f'<table:table-cell office:value-type="float" office:value="{cell!r}">'
            f"<text:p>{cell!r}</text:p></table:table-cell>"
        )
    if not cell:
        return "<table:table-cell/>"
    return _text(cell, "quoted" if looks_computed(cell) else "")


def _text(text: str, style: str) -> str:
    styled = f' table:style-name="{style}"' if style else ""
    lines = _SPACES.sub(_space, escape(text)).replace("\n", "</text:p><text:p>")
    return f'<table:table-cell office:value-type="string"{styled}><text:p>{lines}</text:p></table:table-cell>'


def _space(match: re.Match[str]) -> str:
    return "<text:tab/>" if match[0] == "\t" else f'<text:s text:c="{len(match[0])}"/>'
