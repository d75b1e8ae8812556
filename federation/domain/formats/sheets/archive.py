"""The archive of an XLSX or ODS file: read member by member, each within its bound, and written anew.

1. Only members that are needed are unpacked, and never more bytes than the bound says, whatever the archive
   claims (a few kilobytes can unpack to terabytes).
2. XML without a document type: nothing in it is expanded.
3. The library gets an archive that this program has written, with those members alone: two readers of one
   archive may see different members in it.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from xml.parsers import expat

from federation.domain.errors import Invalid

MAX_MEMBERS = 2_000
"""Members of an archive."""
MAX_UNPACKED_BYTES = 64 * 1_048_576
"""Bytes of the members that are unpacked."""
MAX_DEPTH = 64
"""Elements of XML inside one another."""
_BLOCK = 65_536
_DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, NotImplementedError)
"""Errors of ``zipfile`` for archives that are damaged, or made to harm."""
_ARCHIVE_TEMPLATE = "the file is no whole {form} file: {reason}"


class Archive:
    """The members of an archive. Raises Invalid where it is none."""

    def __init__(self, raw: bytes) -> None:
        self._left = MAX_UNPACKED_BYTES
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(raw))
            self.names = frozenset(info.filename for info in self._zip.infolist())
        except _DAMAGED as error:
            raise Invalid(_ARCHIVE_TEMPLATE, form="XLSX or ODS", reason=str(error)[:200]) from None
        if len(self._zip.infolist()) > MAX_MEMBERS:
            raise Invalid("the archive has more than {maximum} members", maximum=MAX_MEMBERS)

    def read(self, name: str) -> bytes:
        """The bytes of a member. Raises Invalid for one that is missing, damaged or too large."""
        parts: list[bytes] = []
        try:
            with self._zip.open(name) as member:
                while block := member.read(_BLOCK):
                    self._left -= len(block)
                    if self._left < 0:
                        raise Invalid(
                            "the file unpacks to more than {maximum} bytes: divide it",
                            maximum=MAX_UNPACKED_BYTES,
                        )
                    parts.append(block)
        except KeyError:
            raise Invalid(_ARCHIVE_TEMPLATE, form="XLSX or ODS", reason=f"{name} is missing") from None
        except RuntimeError:
            raise Invalid("the file is protected by a password: save it without one") from None
        except _DAMAGED as error:
            raise Invalid(_ARCHIVE_TEMPLATE, form="XLSX or ODS", reason=str(error)[:200]) from None
        return b"".join(parts)


def write_archive(members: Mapping[str, bytes]) -> bytes:
    """An archive with these members, uncompressed, in their order."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


Start = Callable[[str, dict[str, str]], None]


def scan_xml(raw: bytes, start: Start, end: Callable[[str], None], text: Callable[[str], None]) -> None:
    """Call the functions for the elements of a document, by their names without prefix. Raises Invalid."""
    parser = expat.ParserCreate("UTF-8")
    parser.buffer_text = True
    depth = 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise Invalid("the XML is nested deeper than {maximum} levels", maximum=MAX_DEPTH)
        start(name.rpartition(":")[2], attributes)

    def finish(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(name.rpartition(":")[2])

    def refuse(*_: Any) -> None:
        raise Invalid("the XML has a document type, which is not read")

    parser.StartElementHandler = begin
    parser.EndElementHandler = finish
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as error:
        raise Invalid(_ARCHIVE_TEMPLATE, form="XLSX or ODS", reason=str(error)[:200]) from None


def local_attributes(attributes: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Those of the attributes that have one of the names without prefix."""
    found = {name.rpartition(":")[2]: value for name, value in attributes.items()}
    return {name: found[name] for name in names if name in found}
