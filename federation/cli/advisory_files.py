"""Read the advisories of files, directories and ZIP archives, one of them in memory at a time.

1. Directories are walked: ``.json``, ``.jsonl``, ``.ndjson`` and ``.zip`` files count, in capital letters,
   too; hidden files and directories do not. Files in other archive formats are refused, not passed over.
2. A file holds one advisory, or one a line. A ZIP archive is read member by member, and nothing is unpacked
   to a disk: the names in it are labels only. One on standard input is stored in a temporary file.
3. A file, member or line that cannot be read is a reason, and the next one follows; so is a directory or
   archive without any advisory.

All bounds are those of hostile archives: a member may claim any size, be encrypted, or be an archive itself.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import zipfile
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from typing import BinaryIO, NamedTuple, cast

import msgspec

from federation.cli.advisory_paths import LINES, STANDARD_INPUT, UNREAD, is_advisory
from federation.domain.feed import printable
from federation.domain.formats.advisory import MAX_ADVISORY_BYTES

MAX_ZIP_FILES = 150_000
"""Members of one ZIP archive, at most: its directory is in memory."""
MAX_ZIP_BYTES = 16 * 1_073_741_824
"""Bytes that the members of one ZIP archive may unpack to."""
MAX_ZIP_RATIO = 200
"""Bytes that one byte of a ZIP archive may unpack to; advisories come to 10 or 20."""
MIN_RATIO_BYTES = 65_536
"""Smaller members may have any ratio."""
MAX_SPOOLED_BYTES = 4 * 1_073_741_824
"""Bytes of a ZIP archive on standard input."""
MAX_READ_BYTES = MAX_ADVISORY_BYTES + 2
"""Bytes of a line, or of a file with one advisory, that are read: a longer one is refused anyway."""
MAX_BLANK_LINES = 1_000
"""Lines read to decide between a file with one advisory and one with an advisory a line."""
_ZIP_BEGINS = (b"PK\x03\x04", b"PK\x05\x06")
_UNREAD_BEGINS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_UNPACK = "it is compressed, or an archive of another form than ZIP: unpack it first"
_EMPTY = "no .json, .jsonl or .zip file is in it"
_ENTRY = b"PK\x01\x02"
"""The beginning of an entry in the directory of a ZIP archive."""


class AdvisoryFile(NamedTuple):
    """An advisory as it was read."""

    source: str
    """The file, with the member of an archive and the number of a line."""
    raw: bytes
    refusal: str = ""
    """The reason that it could not be read."""
    size: int = 0
    """Bytes of the input that it took, for the progress."""


def read_advisories(paths: Iterable[str]) -> Iterator[AdvisoryFile]:
    """Each advisory of these files, in their order."""
    for path in paths:
        try:
            if path == STANDARD_INPUT:
                yield from _read_standard_input()
                continue
            if os.path.isdir(path):
                os.scandir(path).close()  # the reason where it cannot be read
                yield AdvisoryFile(path, b"", _EMPTY)
                continue
            with open(path, "rb", buffering=0) as raw, _BoundedReader(raw) as file:
                if path.lower().endswith(".zip") or file.peek(4)[:4] in _ZIP_BEGINS:
                    yield from _read_zip(file, path)
                else:
                    yield from _read(file, path)
        except OSError as error:
            yield AdvisoryFile(path, b"", f"it cannot be read: {error.strerror}")


# Files


def _read(file: BinaryIO, name: str) -> Iterator[AdvisoryFile]:
    """The advisories of a file: the whole file, or one a line."""
    head = [file.readline(MAX_READ_BYTES)]
    if reason := _form_problem(head[0], name):
        yield AdvisoryFile(name, b"", reason)
        return
    if not name.lower().endswith(LINES) and not _has_lines(file, head):
        content = b"".join(head)  # unchanged: its hash is stored
        content += file.read(max(MAX_READ_BYTES - len(content), 0))
        yield AdvisoryFile(name, content, "" if content.strip() else "it is empty", len(content))
        return
    pieces = chain(head, iter(partial(file.readline, MAX_READ_BYTES), b""))
    is_empty = True
    for number, line in enumerate(_cut(pieces), 1):
        if line.strip():
            is_empty = False
            yield AdvisoryFile(f"{name}:{number}", line.rstrip(b"\r\n"), size=len(line))
    if is_empty:
        yield AdvisoryFile(name, b"", "it is empty")


def _form_problem(begins: bytes, name: str) -> str:
    """The reason that a file is no JSON, by its name and the way that it begins."""
    if name.lower().endswith(UNREAD) or begins.startswith(_UNREAD_BEGINS):
        return _UNPACK
    if begins.startswith(_UTF_16) or b"\0" in begins[:4]:
        return "it is not in UTF-8, as JSON is (RFC 8259, 8.1)"
    return ""


def _has_lines(file: BinaryIO, head: list[bytes]) -> bool:
    """True where a line is a whole advisory, and another line follows, broken or not.

    ``head`` has the first line; those that are read are added.
    """
    is_after_first = False
    line = head[0]
    while line and len(head) < MAX_BLANK_LINES:
        if line.strip():
            if is_after_first:
                return True
            if not _is_object(line):
                return False
            is_after_first = True
        line = file.readline(MAX_READ_BYTES)
        head.append(line)
    return False


def _cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines; of a longer one than is read its beginning, which is refused."""
    is_line_start = True
    for piece in pieces:
        if is_line_start:
            yield piece
        is_line_start = piece.endswith(b"\n")


def _is_object(line: bytes) -> bool:
    """True for a line that is a JSON object, whole."""
    line = line.removeprefix(BOM_UTF8).strip()
    if not line.startswith(b"{") or not line.endswith(b"}"):
        return False
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    return True


def _read_standard_input() -> Iterator[AdvisoryFile]:
    name = "standard input"
    file = io.BufferedReader(cast(io.RawIOBase, sys.stdin.buffer))
    try:
        if file.peek(4)[:4] not in _ZIP_BEGINS:
            yield from _read(file, name)
            return
        # The directory of a ZIP archive is at its end.
        with tempfile.TemporaryFile(buffering=0) as spooled:
            size = 0
            while piece := file.read(1_048_576):
                size += len(piece)
                if size > MAX_SPOOLED_BYTES:
                    reason = f"it is longer than {MAX_SPOOLED_BYTES} bytes: name the file instead"
                    yield AdvisoryFile(name, b"", reason)
                    return
                spooled.write(piece)
            with _BoundedReader(cast(io.RawIOBase, spooled)) as archive:
                yield from _read_zip(archive, name)
    finally:
        file.detach()  # standard input stays open


# ZIP archives


class _BoundedReader(io.BufferedReader):
    """A file of which no more is read at once than an advisory, or the directory of an archive, may have."""

    def read(self, size: int | None = -1, /) -> bytes:
        bounded = MAX_READ_BYTES + 1 if size is None or size < 0 else min(size, MAX_READ_BYTES + 1)
        piece = super().read(bounded)
        if len(piece) > MAX_READ_BYTES:
            raise zipfile.BadZipFile(f"its directory is longer than {MAX_READ_BYTES} bytes")
        if piece.startswith(_ENTRY) and piece.count(_ENTRY) > MAX_ZIP_FILES:
            raise zipfile.BadZipFile(f"it has more than {MAX_ZIP_FILES} files: unpack it first")
        return piece


def _read_zip(file: io.BufferedReader, name: str) -> Iterator[AdvisoryFile]:
    """The advisories of a ZIP archive."""
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        yield AdvisoryFile(name, b"", f"it is no ZIP archive that can be read: {error}"[:500])
        return
    with archive:
        unpacked = 0
        is_empty = True
        for member in archive.infolist():
            path = member.filename
            if member.is_dir() or not is_advisory(path.rpartition("/")[2]) or _is_hidden(path):
                continue
            is_empty = False
            source = f"{name}:{printable(path, 200)}"
            unpacked += member.file_size
            if unpacked > MAX_ZIP_BYTES:
                reason = f"the archive unpacks to more than {MAX_ZIP_BYTES} bytes: the rest of it is not read"
                yield AdvisoryFile(source, b"", reason)
                return
            if reason := _refusal(member):
                yield AdvisoryFile(source, b"", reason, member.compress_size)
                continue
            yield from _read_member(archive, member, source)
        if is_empty:
            yield AdvisoryFile(name, b"", _EMPTY)


def _is_hidden(path: str) -> bool:
    parts = (part for part in path.split("/") if part not in (".", ".."))
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _refusal(member: zipfile.ZipInfo) -> str:
    """The reason that a member is not read."""
    if member.flag_bits & 0x1:
        return "it is encrypted"
    if member.filename.lower().endswith(".zip"):
        return "it is an archive in an archive: unpack the outer one"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"it is compressed by method {member.compress_type}: only deflate is read"
    if member.file_size > max(MIN_RATIO_BYTES, MAX_ZIP_RATIO * member.compress_size):
        return f"it unpacks to more than {MAX_ZIP_RATIO} times its size"
    return ""


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, source: str) -> Iterator[AdvisoryFile]:
    try:
        with archive.open(member) as file:
            size = member.compress_size
            for found in _read(cast(BinaryIO, file), source):
                yield found._replace(size=size)
                size = 0
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        yield AdvisoryFile(source, b"", f"it cannot be unpacked: {error}"[:500])
