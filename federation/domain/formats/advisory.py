"""A vulnerability, as an advisory of any form describes it.

A range that our schema cannot express is stored as text. Nothing is guessed: a range that is not understood
answers unknown.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError

from federation.domain.canonical import check_depth
from federation.domain.errors import Invalid
from federation.domain.values import KEY_PATTERN
from federation.domain.visibility import Tlp

if TYPE_CHECKING:
    pass

MAX_ADVISORY_BYTES = 16 * 1_048_576
"""Bytes of one advisory, at most."""

MAX_KEY = 128
"""Characters of a key, at most."""

Severity = Literal["none", "low", "medium", "high", "critical"]
Exploitation = Literal["none", "poc", "active", "unknown"]


class Remedy(msgspec.Struct, frozen=True):
    """A remedy in words (categories of CSAF 2.0, 3.2.3.12.1)."""

    category: Literal["mitigation", "no_fix_planned", "none_available", "vendor_fix", "workaround"]
    text: str
    url: str | None = None


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """A product of an advisory, with its affected versions."""

    names: tuple[str, ...]
    """Names in catalogues: ``purl:pypi/django``, ``cpe:glpi-project:glpi``, ``name:glpi``."""
    ranges: tuple[str, ...] = ()
    """``vers`` ranges, each of which is affected."""
    texts: tuple[str, ...] = ()
    """Affected versions in words, where a range cannot express them."""
    fixed: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    """Remedies for this product, beside those for every product of the finding."""
    source_pointer: str | None = None
    """The entry of the advisory that it was read from, as a JSON Pointer."""
    release: str = ""
    """The release of the distribution whose package it is, as the advisory names it."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One vulnerability, as an advisory describes it."""

    id: str
    """The advisory's own id, with that of the vulnerability where it has several."""
    title: str
    summary: str
    published: datetime | None
    products: tuple[Product, ...]
    url: str
    aliases: tuple[str, ...] = ()
    severity: str | None = None
    vector: str | None = None
    exploitation: Exploitation | None = None
    withdrawn: bool = False
    workarounds: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tlp: Tlp | None = None
    """Label of the source; None where its form has none, or it names none."""
    restriction: str = ""
    """The rules of the source for passing it on, where it has words for them and no label."""
    draft: bool = False
    """True for a document that its publisher has not published yet."""
    publisher: str = ""
    """The namespace in which ``document`` is unique."""
    document: str = ""
    """The id of the document that describes it, with other vulnerabilities or alone."""
    version: str = ""
    """The version of the document, where its form has one."""
    modified: datetime | None = None
    """The time of this version of the document."""
    language: str = "en"
    """The language of title and summary (BCP 47)."""
    identifiers: tuple[str, ...] = ()
    """Those of its aliases that no other vulnerability of its document has."""
    cleared: tuple[Product, ...] = ()
    """Products that the source lists as not affected, in every version it names."""
    shared: bool = False
    """True for a document of a form that describes several vulnerabilities: what a newer version of it no
    longer lists is withdrawn."""
    entire: bool = False
    """True where it stands for all vulnerabilities of its document, which is withdrawn."""

    @property
    def key(self) -> str:
        """The key of its incident."""
        key = re.sub(r"[^A-Za-z0-9._~-]+", "-", self.id).strip("-._~")
        if len(key) > MAX_KEY:
            key = (
                f"{key[: MAX_KEY - 17]}-{short_hash(self.id)}"  # the end of an id may be what tells it apart
            )
        if not re.fullmatch(KEY_PATTERN, key):
            raise Invalid(f"{self.id[:80]!r} is no id that a record can be named after")
        return key


def short_hash(*parts: str) -> str:
    """Sixteen hexadecimal digits that stand for texts, for use in keys."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:16]


S = TypeVar("S")


def decode(raw: bytes, shape: type[S]) -> S:
    """Decode the members of an advisory that ``shape`` has. Raises Invalid that names the member at fault."""
    if len(raw) > MAX_ADVISORY_BYTES:
        raise Invalid(f"the advisory is {len(raw)} bytes long; {MAX_ADVISORY_BYTES} are read")
    check_depth(raw)
    try:
        return msgspec.json.decode(raw.removeprefix(b"\xef\xbb\xbf"), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"it is not an advisory of this form: {error}"[:500]) from None


# Severities


_SEVERITIES: dict[Severity, tuple[str, ...]] = {
    "none": ("none",),
    "low": ("low",),
    "medium": ("medium", "moderate"),
    "high": ("high", "important"),
    "critical": ("critical",),
}
SEVERITIES: tuple[Severity, ...] = tuple(_SEVERITIES)
"""From the lowest to the highest."""


def severity_named(word: str) -> Severity | None:
    """The severity that a word of an advisory stands for."""
    word = word.strip().lower()
    return next((severity for severity, names in _SEVERITIES.items() if word in names), None)


def severity_of(vector: str) -> Severity | None:
    """The severity that a CVSS vector comes to (CVSS 2.0, 3.x, 4.0)."""
    kinds: dict[str, Any] = {"CVSS:3": CVSS3, "CVSS:4": CVSS4}
    try:
        name = str(kinds.get(vector[:6], CVSS2)(vector).severities()[0])
    except (CVSSError, ValueError, KeyError, IndexError, TypeError):
        return None
    return severity_named(name)


# Texts and times


_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)


def text(raw: str, max_length: int) -> str:
    """A text as a record may have it: NFC, no invisible characters, ``max_length`` characters at most."""
    clean = unicodedata.normalize("NFC", _INVISIBLE.sub("", raw.replace("\r\n", "\n"))).strip()
    if len(clean) > max_length:
        clean = clean[: max_length - 1].rstrip() + "…"
    return clean or "-"


def parse_instant(text_: str | None) -> datetime | None:
    """An instant of an advisory, in UTC; None when it cannot be read."""
    if not text_:
        return None
    try:
        instant = datetime.fromisoformat(text_)
    except ValueError:
        return None
    instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return instant.astimezone(UTC) if 1970 <= instant.year <= 2200 else None
