"""``deltaLog.json`` and ``delta.json`` of the list of CVE records (CVEProject/cvelistV5, directory ``cves``).

The log has the changes of the last thirty days, the newest first; ``delta.json`` those of the last minutes.
The addresses in them are not used: a record lies beside the log, in the place that follows from its id.

Bounds: ``changes.MAX_INDEX_BYTES``, ``changes.MAX_ENTRIES``.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from federation.domain.errors import Invalid
from federation.domain.formats.advisory import parse_instant
from federation.domain.formats.changes import MAX_ENTRIES, DocumentRef, Faults, Index
from federation.domain.formats.csaf_provider import read_index_json
from federation.domain.messages import Message

_CVE = re.compile(r"CVE-([0-9]{4})-([0-9]{4,19})")
_LISTS = ("new", "updated")


def read_deltas(raw: bytes, url: str) -> Index:
    """Read the file that lies at ``url``. Raises Invalid."""
    value = read_index_json(raw)
    deltas = [value] if isinstance(value, dict) else value
    if not isinstance(deltas, list) or not all(isinstance(delta, dict) for delta in deltas):
        raise Invalid("it is not a list of changes of CVE records", pointer="", fault="wrong-type")
    base = url.rpartition("/")[0] + "/"
    documents: dict[str, DocumentRef] = {}
    faults = Faults()
    begins_at: datetime | None = None
    for number, delta in enumerate(deltas):
        fetched_at = parse_instant(_text(delta.get("fetchTime")))
        if fetched_at is None:
            faults.add(f"[{number}]", Message("it has no time that can be read"), "fetchTime")
            continue
        begins_at = min(begins_at or fetched_at, fetched_at)
        for name in _LISTS:
            entries = delta.get(name)
            for place, entry in enumerate(entries if isinstance(entries, list) else ()):
                path = _path(entry)
                if path is None:
                    faults.add(f"[{number}].{name}[{place}]", Message("it names no CVE record"), "cveId")
                elif len(documents) < MAX_ENTRIES or path in documents:
                    stored = documents.get(path)
                    if stored is None or stored.changed_at < fetched_at:
                        documents[path] = DocumentRef(base + path, fetched_at)
    return Index(tuple(documents.values()), faults.all, begins_at)


def _path(entry: Any) -> str | None:
    """The place of a record in the list: ``2025/24xxx/CVE-2025-24799.json``."""
    id_ = entry.get("cveId") if isinstance(entry, dict) else None
    parts = _CVE.fullmatch(id_) if isinstance(id_, str) else None
    return f"{parts[1]}/{parts[2][:-3]}xxx/{id_}.json" if parts else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) <= 64 else None
