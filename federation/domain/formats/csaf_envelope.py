"""The head of a CSAF 2.0 document that is made of a record: publisher, label, version, name of its file.

1. The document is made of one record, and of others that it names. Its time is that of the newest of them.
2. Its version is ``1.R.S`` (semantic versioning): R counts the revisions of the record, from 0 on, and S is
   the seconds by which the newest of the others is younger than the record. So what was changed has a newer
   version, except where a record that is named became invisible to the readers.
3. Its id is made of operator, type and key. File names are in small letters (CSAF 2.0, 5.1), so an id that
   another one may share its file with ends in a hash of the key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Generic

import msgspec

from federation.domain.document import C, Envelope
from federation.domain.values import instant

PLAIN_KEY = re.compile(r"[a-z0-9-]+")
CVE_KEY = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")
LABELS: dict[str, str] = {
    "CLEAR": "WHITE",
    "GREEN": "GREEN",
    "AMBER": "AMBER",
    "AMBER+STRICT": "AMBER",
    "RED": "RED",
}
"""Labels of TLP 2.0, as CSAF 2.0 has them (3.2.1.5.2.1)."""
TLP_PAGE = "https://www.first.org/tlp/"
LANGUAGES = ("en", "fr")
"""Languages of a document, the preferred one first; else the first one that the record has."""


class LiveRecord(Envelope, Generic[C], frozen=True, kw_only=True):
    """A record that is no tombstone."""

    content: C


class Issuer(msgspec.Struct, frozen=True):
    """The operator that publishes the documents."""

    operator: str
    name: str
    namespace: str
    """URL of its node, in which the ids of documents are unique."""
    contact: str | None = None

    def publisher(self) -> dict[str, str]:
        """The publisher of a document: an operator uses the software that it reports on."""
        contact = {"contact_details": self.contact} if self.contact else {}
        return {"category": "user", "name": self.name, "namespace": self.namespace, **contact}


def tracking_id(record: LiveRecord[Any]) -> str:
    """The id of the document that is made of a record."""
    return f"{record.origin}-{record.type}-{_plain(record.key)}"


def _plain(key: str) -> str:
    if CVE_KEY.fullmatch(key) or (PLAIN_KEY.fullmatch(key) and not CVE_KEY.fullmatch(key.upper())):
        return key
    return f"{key}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def file_name(id_: str) -> str:
    """The name of the file of a document (CSAF 2.0, 5.1)."""
    return re.sub(r"[^+\-a-z0-9]+", "_", id_.lower()) + ".json"


def newest(record: LiveRecord[Any], others: Iterable[str]) -> str:
    """The time of the newest of a record and of others, whose times are given."""
    return max((record.updated_at, *others), key=instant)


def version_of(record: LiveRecord[Any], at: str) -> str:
    """The version of a document whose newest record is of some time."""
    seconds = int((instant(at) - instant(record.updated_at)).total_seconds())
    return f"1.{record.revision - 1}.{seconds}"


def head(
    record: LiveRecord[Any],
    issuer: Issuer,
    *,
    category: str,
    title: str,
    language: str,
    url: str,
    others: Iterable[str],
    is_final: bool = True,
) -> dict[str, Any]:
    """The member ``document``. ``others``: times of the other records that the document is made of."""
    at = newest(record, others)
    return {
        "category": category,
        "csaf_version": "2.0",
        "distribution": {
            "text": f"TLP:{record.tlp} (TLP 2.0)",
            "tlp": {"label": LABELS[record.tlp], "url": TLP_PAGE},
        },
        "lang": language,
        "publisher": issuer.publisher(),
        "references": [{"category": "self", "summary": "This document", "url": url}],
        "title": title,
        "tracking": {
            "current_release_date": at,
            "generator": {"engine": {"name": "federation"}},
            "id": tracking_id(record),
            "initial_release_date": record.created_at,
            "revision_history": _history(record, at),
            "status": "final" if is_final else "interim",
            "version": version_of(record, at),
        },
    }


def _history(record: LiveRecord[Any], at: str) -> list[dict[str, str]]:
    """The first version and this one: a node has no times of those between."""
    first = {"date": record.created_at, "number": "1.0.0", "summary": "First publication"}
    version = version_of(record, at)
    if version == first["number"]:
        return [first]
    words = f"Revision {record.revision} of the record" if record.revision > 1 else "The record as it was"
    if not version.endswith(".0"):
        words += "; what it refers to has changed"
    return [first, {"date": at, "number": version, "summary": words}]


def choose_language(texts: Mapping[str, str]) -> str:
    """The language of a document, of those that a text of its record has."""
    return next((language for language in LANGUAGES if language in texts), next(iter(sorted(texts))))


def in_language(texts: Mapping[str, str], language: str) -> str:
    """A text in a language, else in the one that would be chosen for it."""
    return texts.get(language) or texts[choose_language(texts)]


def notes_of(texts: Mapping[str, str], language: str, category: str) -> list[dict[str, str]]:
    """A text as notes: in the language of the document, then in its others, which say theirs."""
    notes = [{"category": category, "text": in_language(texts, language)}]
    notes += [
        {"category": "general", "text": text, "title": tag}
        for tag, text in sorted(texts.items())
        if text != notes[0]["text"]
    ]
    return notes


def write(document: Mapping[str, Any]) -> bytes:
    """The bytes of a document: members in the order of their names (CSAF 2.0, 5.3)."""
    return msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2) + b"\n"


def sha(body: bytes, algorithm: str, name: str) -> bytes:
    """A hash file (CSAF 2.0, 7.1.18): the hash, and the name of the file after two spaces."""
    return f"{hashlib.new(algorithm, body).hexdigest()}  {name}\n".encode()
