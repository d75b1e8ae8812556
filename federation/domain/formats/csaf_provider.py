"""The files by which CSAF documents are distributed (CSAF 2.0, section 7.1; 2.1 where it differs).

``provider-metadata.json`` (requirement 7) names ROLIE feeds (15) or directories with ``changes.csv`` (13). A
feed has a label; a document of it gets no wider one. An index names hashes of the documents (18, 19).

Bounds: ``changes.MAX_INDEX_BYTES``, ``changes.MAX_ENTRIES``, ``MAX_FEEDS``, the depth of ``check_depth``.
"""

from __future__ import annotations

import csv
import io
import re
from typing import Any, get_args
from urllib.parse import urljoin, urlsplit

import msgspec

from federation.domain.canonical import check_depth
from federation.domain.errors import Invalid
from federation.domain.formats.advisory import parse_instant
from federation.domain.formats.changes import MAX_ENTRIES, MAX_INDEX_BYTES, DocumentRef, Faults, Index
from federation.domain.formats.document import is_url
from federation.domain.messages import Message
from federation.domain.visibility import Tlp

MAX_FEEDS = 100
"""Feeds and directories of a provider that are read."""
MAX_HASH_BYTES = 4_096
"""Bytes of the file of a hash, at most."""
WELL_KNOWN = "/.well-known/csaf/provider-metadata.json"
"""The place of the metadata on a host (requirement 9)."""
_HASH_LENGTHS = {"sha512": 128, "sha256": 64}


class Feed(msgspec.Struct, frozen=True):
    """A ROLIE feed, or a directory, of a provider."""

    url: str
    label: Tlp | None
    is_directory: bool = False


class Provider(msgspec.Struct, frozen=True):
    """The metadata of a provider."""

    feeds: tuple[Feed, ...]
    is_trusted: bool
    """True where its documents have hashes and signatures."""


def read_index_json(raw: bytes) -> Any:
    """The JSON of an index. Raises Invalid."""
    if len(raw) > MAX_INDEX_BYTES:
        raise Invalid(
            "the index is {size} bytes long; {maximum} are read", size=len(raw), maximum=MAX_INDEX_BYTES
        )
    check_depth(raw)
    try:
        return msgspec.json.decode(raw.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Invalid("the index is not JSON: {reason}", reason=str(error)[:300]) from None


def read_provider(raw: bytes) -> Provider:
    """Read ``provider-metadata.json``. Raises Invalid.

    Where it has ROLIE feeds, its directories have the same documents, and are left out.
    """
    metadata = read_index_json(raw)
    if not isinstance(metadata, dict) or "publisher" not in metadata:
        raise Invalid("it is not the metadata of a CSAF provider", pointer="/publisher", fault="missing")
    if str(metadata.get("metadata_version", "2.0")) not in ("2.0", "2.1"):
        raise Invalid(
            "the metadata is of a version that is not read; 2.0 and 2.1 are",
            pointer="/metadata_version",
            fault="not-allowed",
            allowed=("2.0", "2.1"),
        )
    feeds: list[Feed] = []
    directories: list[Feed] = []
    for distribution in _list(metadata.get("distributions"))[:MAX_FEEDS]:
        rolie = _dict(_dict(distribution).get("rolie"))
        for feed in map(_dict, _list(rolie.get("feeds"))[:MAX_FEEDS]):
            if _is_address(feed.get("url")):
                feeds.append(Feed(feed["url"], read_label(feed.get("tlp_label"))))
        directory = _dict(_dict(distribution).get("directory"))
        for url, label in (
            (_dict(distribution).get("directory_url"), None),
            (directory.get("url"), read_label(directory.get("tlp_label"))),
        ):
            if _is_address(url):
                directories.append(Feed(f"{str(url).rstrip('/')}/changes.csv", label, is_directory=True))
    found = tuple(dict.fromkeys((feeds or directories)[:MAX_FEEDS]))
    if not found:
        raise Invalid(
            "the provider has neither a ROLIE feed nor a directory", pointer="/distributions", fault="missing"
        )
    return Provider(found, metadata.get("role") == "csaf_trusted_provider")


def read_rolie(raw: bytes, label: Tlp | None) -> Index:
    """Read a ROLIE feed, whose documents have ``label``. Raises Invalid."""
    value = read_index_json(raw)
    feed = value.get("feed") if isinstance(value, dict) else None
    entries = feed.get("entry") if isinstance(feed, dict) else None
    if not isinstance(entries, list):
        raise Invalid("it is not a ROLIE feed of CSAF documents", pointer="/feed/entry", fault="missing")
    documents: list[DocumentRef] = []
    faults = Faults()
    for number, entry in enumerate(entries[:MAX_ENTRIES]):
        place = f"entry[{number}]"
        entry = _dict(entry)
        links = [link for link in map(_dict, _list(entry.get("link"))[:20]) if _is_address(link.get("href"))]
        own = next((link["href"] for link in links if link.get("rel") == "self"), None)
        url = _dict(entry.get("content")).get("src") or own
        changed_at = parse_instant(_text(entry.get("updated")) or _text(entry.get("published")))
        if not _is_address(url):
            faults.add(place, Message("the entry names no document by a URL"), "content")
        elif changed_at is None:
            faults.add(place, Message("the entry does not say when it was updated"), "updated")
        else:
            hashes = sorted(
                (link["href"] for link in links if link.get("rel") == "hash" and _algorithm(link["href"])),
                key=lambda href: _algorithm(href) != "sha512",
            )
            documents.append(DocumentRef(str(url), changed_at, tuple(hashes[:2]), bool(hashes), label))
    return Index(tuple(documents), faults.all)


def read_changes(raw: bytes, url: str, label: Tlp | None, *, is_trusted: bool = False) -> Index:
    """Read ``changes.csv`` of a directory: a path and a time in each line. Raises Invalid.

    A document outside of the directory is left out. The directory of a trusted provider has hashes.
    """
    documents: list[DocumentRef] = []
    faults = Faults()
    base = url.rpartition("/")[0] + "/"
    for number, row in read_rows(raw):
        path, time = row[0].strip(), row[1].strip() if len(row) > 1 else ""
        changed_at = parse_instant(time)
        document = _join(base, path)
        if document is None:
            faults.add(f"line {number}", Message("it names no document of this directory"))
        elif changed_at is None:
            faults.add(f"line {number}", Message("it has no time that can be read"))
        else:
            hashes = (f"{document}.sha512", f"{document}.sha256") if is_trusted else ()
            documents.append(DocumentRef(document, changed_at, hashes, label=label))
    return Index(tuple(documents), faults.all)


def read_rows(raw: bytes) -> list[tuple[int, list[str]]]:
    """The lines of a CSV index that are not empty, each with its number. Raises Invalid."""
    if len(raw) > MAX_INDEX_BYTES:
        raise Invalid(
            "the index is {size} bytes long; {maximum} are read", size=len(raw), maximum=MAX_INDEX_BYTES
        )
    try:
        text = raw.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as error:
        raise Invalid("the index is not UTF-8: {reason}", reason=str(error)[:300]) from None
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in reader:
            if row and any(cell.strip() for cell in row):
                rows.append((reader.line_num, row))
                if len(rows) == MAX_ENTRIES:
                    break
    except csv.Error as error:
        raise Invalid("the index is not CSV: {reason}", reason=str(error)[:300]) from None
    return rows


_HEX = re.compile(r"[0-9a-fA-F]{64,128}")


def read_hash(raw: bytes, url: str) -> tuple[str, str]:
    """The algorithm and the hash of a ``.sha256`` or ``.sha512`` file (requirement 18). Raises Invalid."""
    algorithm = _algorithm(url) or ""
    words = raw[:MAX_HASH_BYTES].decode("ascii", errors="replace").split(maxsplit=1)
    if not words or len(words[0]) != _HASH_LENGTHS.get(algorithm) or not _HEX.fullmatch(words[0]):
        raise Invalid("the file {url} has no hash", url=url[:300])
    return algorithm, words[0].lower()


def document_label(raw: bytes) -> Tlp | None:
    """The label that a CSAF document has itself; None for none, and for a document that cannot be read."""
    try:
        return read_label(msgspec.json.decode(raw, type=_Labelled).document.distribution.tlp.label)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None


class _Tlp(msgspec.Struct):
    label: str | None = None


class _Distribution(msgspec.Struct):
    tlp: _Tlp = msgspec.field(default_factory=_Tlp)


class _Document(msgspec.Struct):
    distribution: _Distribution = msgspec.field(default_factory=_Distribution)


class _Labelled(msgspec.Struct):
    document: _Document = msgspec.field(default_factory=_Document)


def read_label(value: Any) -> Tlp | None:
    """A label of TLP 1.0 or 2.0; RED for one that is not known, so that nothing gets a wider label."""
    if value is None or value == "UNLABELED":
        return None
    label = "CLEAR" if value == "WHITE" else value
    return next((known for known in get_args(Tlp) if known == label), "RED")


def _algorithm(url: str) -> str | None:
    ending = urlsplit(url).path.rpartition(".")[2]
    return ending if ending in _HASH_LENGTHS else None


def _join(base: str, path: str) -> str | None:
    """The address of a document of a directory; None for any other one."""
    if not path or len(path) > 1_000 or "\\" in path or path.startswith("/"):
        return None
    try:
        url = urljoin(base, path)
    except ValueError:
        return None
    return url if url.startswith(base) and url != base and _is_address(url) else None


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 2_000 and is_url(value)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) <= 64 else None
