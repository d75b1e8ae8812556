"""A vulnerability read from an advisory of any form, and the incident made of it.

A missing member gets a default, and each default is noted; a range that our schema cannot express is stored
as text. Nothing is guessed: a range that is not understood answers unknown.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec
from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError

from federation.domain.canonical import check_depth
from federation.domain.errors import Invalid
from federation.domain.exposure.matching import range_problem
from federation.domain.values import KEY_PATTERN, as_instant
from federation.domain.visibility import Tlp

if TYPE_CHECKING:
    from federation.domain.formats.catalogue import Found

MAX_ADVISORY_BYTES = 16 * 1_048_576
"""Bytes of one advisory, at most."""

Severity = Literal["none", "low", "medium", "high", "critical"]
Exploitation = Literal["none", "poc", "active", "unknown"]
Interval = tuple[str | None, str | None]
"""Bounds of versions with their comparators, such as (">=1.0", "<2.0"); None where it is open."""


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """A product of an advisory, with its affected versions."""

    names: tuple[str, ...]
    """Names in catalogues: ``purl:pypi/django``, ``cpe:glpi-project:glpi``, ``name:glpi``."""
    ranges: tuple[str, ...] = ()
    """``vers`` ranges, each of which is affected."""
    texts: tuple[str, ...] = ()
    """Affected versions in words, where a range cannot express them."""
    fixed: tuple[str, ...] = ()
    source_pointer: str | None = None
    """The entry of the advisory that it was read from, as a JSON Pointer."""


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

    @property
    def key(self) -> str:
        """The key of its incident."""
        key = re.sub(r"[^A-Za-z0-9._~-]+", "-", self.id).strip("-._~")[:128]
        if not re.fullmatch(KEY_PATTERN, key):
            raise Invalid(f"{self.id[:80]!r} is no id that a record can be named after")
        return key


class DraftIncident(msgspec.Struct, frozen=True):
    """The content of an incident, and the members that the advisory lacks."""

    content: dict[str, Any]
    defaulted: tuple[str, ...]


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


def incident_of(
    finding: Finding, find: Callable[[Product], Sequence[Found]], raw: bytes
) -> DraftIncident | None:
    """The incident that a finding is published as; None when it is about no solution that is known here."""
    notes = list(finding.notes)
    affects = []
    for product in finding.products:
        found = find(product)
        affects += [entry for match in found for entry in _entries(match, product)]
        by_name = ", ".join(match.solution for match in found if match.by_name_only)
        note = f"solution: {by_name} was found by its name only"
        if by_name and note not in notes:
            notes.append(note)
    affects = list({msgspec.json.encode(entry): entry for entry in affects}.values())
    if not affects:
        return None
    if len(affects) > MAX_ENTRIES:
        notes.append(f"affects: {len(affects)} ranges are stored as text")
        affects = _as_text(affects)
    severity = _severity(finding, notes)
    if finding.published is None:
        raise Invalid("it says nowhere when it was published")
    content: dict[str, Any] = {
        "title": {"en": text(finding.title, 300)},
        "summary": {"en": text(finding.summary, 20_000)},
        "kind": "vulnerability",
        "status": "withdrawn" if finding.withdrawn else "open",
        "severity": severity,
        "affects": affects,
        "detected_at": as_instant(finding.published),
        "aliases": sorted(alias for alias in set(finding.aliases) if _ALIAS.fullmatch(alias))[:50],
        "source": {"url": finding.url, "sha256": hashlib.sha256(raw).hexdigest()},
    }
    if finding.vector and _VECTOR.fullmatch(finding.vector):
        content["cvss"] = finding.vector
    if finding.exploitation:
        content["exploitation"] = finding.exploitation
    if remediations := [*_fixes(affects), *_workarounds(finding)]:
        content["remediations"] = remediations[:50]
    return DraftIncident(content, tuple(notes))


OWNED = (
    "title", "summary", "severity", "affects", "detected_at", "aliases", "source", "cvss", "exploitation",
    "remediations",
)  # fmt: skip
"""Members of an incident that a newer advisory replaces; the others are the operator's own."""
MAX_ENTRIES = 100
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{2,99}")
_VECTOR = re.compile(
    r"(CVSS:[34]\.[0-9]/)?[A-Z][A-Za-z]{0,2}:[A-Z][A-Za-z]{0,4}(/[A-Z][A-Za-z]{0,2}:[A-Z][A-Za-z]{0,4})+"
)


def _entries(found: Found, product: Product) -> Iterator[dict[str, Any]]:
    entry: dict[str, Any] = {"solution": found.solution}
    if found.by_name_only:
        entry["by_name_only"] = True
    if found.is_numbered_otherwise:
        words = "; ".join(dict.fromkeys((*product.ranges, *product.texts))) or "no versions"
        yield {
            **entry,
            "range_text": text(f"the package of a distribution, by its own numbers: {words}", 2_000),
        }
        return
    fixed = [version for version in dict.fromkeys(product.fixed) if 1 <= len(version) <= 100][:50]
    if fixed:
        entry["fixed_in"] = fixed
    for range_ in dict.fromkeys(product.ranges):
        yield {**entry, "range": range_}
    for words in dict.fromkeys(product.texts):
        yield {**entry, "range_text": text(words, 2_000)}
    if not product.ranges and not product.texts:
        yield entry


def _as_text(affects: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    ranges: dict[str, list[str]] = {}
    for entry in affects:
        ranges.setdefault(entry["solution"], []).append(entry.get("range") or entry.get("range_text") or "")
    return [
        {"solution": solution, "range_text": text(" or ".join(texts), 2_000)}
        for solution, texts in list(ranges.items())[:MAX_ENTRIES]
    ]


def _severity(finding: Finding, notes: list[str]) -> Severity:
    name = (finding.severity or "").lower()
    for severity, names in _SEVERITIES.items():
        if name in names:
            return severity
    if finding.vector and (computed := severity_of(finding.vector)):
        return computed
    notes.append("severity: not told, taken as medium")
    return "medium"


_SEVERITIES: dict[Severity, tuple[str, ...]] = {
    "none": ("none",),
    "low": ("low",),
    "medium": ("medium", "moderate"),
    "high": ("high", "important"),
    "critical": ("critical",),
}


def severity_of(vector: str) -> Severity | None:
    """The severity that a CVSS vector comes to (CVSS 2.0, 3.x, 4.0)."""
    kinds: dict[str, Any] = {"CVSS:3": CVSS3, "CVSS:4": CVSS4}
    try:
        name = str(kinds.get(vector[:6], CVSS2)(vector).severities()[0]).lower()
    except (CVSSError, ValueError, KeyError, IndexError, TypeError):
        return None
    return next((severity for severity, names in _SEVERITIES.items() if name in names), None)


def _fixes(affects: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for version in dict.fromkeys(fixed for entry in affects for fixed in entry.get("fixed_in", ())):
        yield {"category": "vendor_fix", "version": version}


def _workarounds(finding: Finding) -> Iterator[dict[str, Any]]:
    for workaround in finding.workarounds:
        yield {"category": "workaround", "text": {"en": text(workaround, 20_000)}}


# Ranges


def ranges_of(scheme: str, intervals: Iterable[Interval]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """``vers`` ranges for intervals, and in words those that no range can express.

    One range where they fit into one; else one for each interval, which means the same.
    """
    unique = list(dict.fromkeys(intervals))
    combined = _vers(scheme, unique)
    if unique and len(combined) <= 2_000 and range_problem(combined) is None:
        return (combined,), ()
    ranges, texts = [], []
    for interval in unique:
        range_ = _vers(scheme, [interval])
        if len(range_) <= 2_000 and range_problem(range_) is None:
            ranges.append(range_)
        else:
            texts.append(" ".join(bound for bound in interval if bound) or "all versions")
    return tuple(ranges), tuple(texts)


def _vers(scheme: str, intervals: Sequence[Interval]) -> str:
    bounds = [bound for interval in intervals for bound in interval if bound]
    if any(low is None and high is None for low, high in intervals):
        return f"vers:{scheme}/*"
    return f"vers:{scheme}/{'|'.join(dict.fromkeys(bounds))}"


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
