"""``modified_id.csv`` of OSV: the advisories of an ecosystem, those that changed last first.

https://google.github.io/osv.dev/data/#downloading-recent-changes. A line has a time and an id; the file of
all ecosystems has the ecosystem before the id. The advisory is ``ID.json`` in the same place.

Bounds: ``changes.MAX_INDEX_BYTES``, ``changes.MAX_ENTRIES``.
"""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import quote

from federation.domain.formats.advisory import parse_instant
from federation.domain.formats.changes import DocumentRef, Faults, Index
from federation.domain.formats.csaf_provider import read_rows
from federation.domain.messages import Message

_ID = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9 ._:-]{0,60}/)?[A-Za-z0-9][A-Za-z0-9._:+-]{2,120}")


def read_modified_ids(raw: bytes, url: str) -> Index:
    """Read the file that lies at ``url``. Raises Invalid."""
    base = url.rpartition("/")[0] + "/"
    documents: list[DocumentRef] = []
    faults = Faults()
    for number, row in read_rows(raw):
        changed_at = parse_instant(row[0].strip())
        id_ = row[1].strip() if len(row) > 1 else ""
        if number == 1 and changed_at is None and id_ == "id":
            continue
        if changed_at is None:
            faults.add(f"line {number}", Message("it has no time that can be read"))
        elif not _ID.fullmatch(id_):
            faults.add(f"line {number}", Message("it names no advisory"))
        else:
            documents.append(DocumentRef(f"{base}{quote(id_, safe='/:')}.json", changed_at))
    return Index(tuple(documents), faults.all)


def reaches(raw: bytes, since: datetime) -> bool:
    """True for the beginning of a file whose last whole line changed before a time: the rest is older."""
    line = raw[: raw.rfind(b"\n") + 1].rstrip(b"\r\n").rpartition(b"\n")[2]
    changed_at = parse_instant(line.partition(b",")[0].decode("ascii", errors="replace").strip('" '))
    return changed_at is not None and changed_at < since
