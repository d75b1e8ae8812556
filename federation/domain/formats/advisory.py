"""What an advisory says of one vulnerability, whatever form it came in, and the incident made of it.

What is not told is given a default, and each default is noted; what cannot be told in the terms of our
schema is kept as text. Nothing is guessed: a range that is not understood answers unknown.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import msgspec
from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError

from federation.domain.canonical import check_depth
from federation.domain.errors import Invalid
from federation.domain.exposure.matching import range_problem
from federation.domain.values import KEY_PATTERN, as_instant

MAX_ADVISORY = 16 * 1_048_576
"""Bytes of one advisory, at most."""

Severity = Literal["none", "low", "medium", "high", "critical"]
Exploitation = Literal["none", "poc", "active", "unknown"]
Interval = tuple[str | None, str | None]
"""Bounds of versions with their comparators, such as (">=1.0", "<2.0"); None where it is open."""


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """Something that an advisory is about, and which of its versions are hit."""

    names: tuple[str, ...]
    """What catalogues know it by: ``purl:pypi/django``, ``cpe:glpi-project:glpi``, ``name:glpi``."""
    ranges: tuple[str, ...] = ()
    """``vers`` ranges, each of which is hit."""
    texts: tuple[str, ...] = ()
    """What is hit in words, where it cannot be told as a range."""
    fixed: tuple[str, ...] = ()


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One vulnerability, as an advisory tells it."""

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

    @property
    def key(self) -> str:
        """The key of its incident."""
        key = re.sub(r"[^A-Za-z0-9._~-]+", "-", self.id).strip("-._~")[:128]
        if not re.fullmatch(KEY_PATTERN, key):
            raise Invalid(f"{self.id[:80]!r} is no id that a record can be named after")
        return key


class DraftIncident(msgspec.Struct, frozen=True):
    """The content of an incident, and what was not in the advisory."""

    content: dict[str, Any]
    defaulted: tuple[str, ...]


S = TypeVar("S")


def decoded(raw: bytes, shape: type[S]) -> S:
    """The members of an advisory that are read here. Raises Invalid that names the one at fault."""
    if len(raw) > MAX_ADVISORY:
        raise Invalid(f"the advisory is {len(raw)} bytes long; {MAX_ADVISORY} are read")
    check_depth(raw)
    try:
        return msgspec.json.decode(raw.removeprefix(b"\xef\xbb\xbf"), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"it is not an advisory of this form: {error}"[:500]) from None


def incident_of(
    finding: Finding, find: Callable[[Product], tuple[Sequence[str], str | None]], raw: bytes
) -> DraftIncident | None:
    """The incident that a finding is published as; None when it is about no solution that is known here."""
    notes = list(finding.notes)
    affects = []
    for product in finding.products:
        solutions, note = find(product)
        affects += [entry for solution in solutions for entry in _entries(solution, product)]
        if note and note not in notes:
            notes.append(note)
    affects = list({msgspec.json.encode(entry): entry for entry in affects}.values())
    if not affects:
        return None
    if len(affects) > MOST_ENTRIES:
        notes.append(f"affects: {len(affects)} ranges are told as text")
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
        "aliases": sorted(one for one in set(finding.aliases) if _ALIAS.fullmatch(one))[:50],
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
MOST_ENTRIES = 100
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{2,99}")
_VECTOR = re.compile(
    r"(CVSS:[34]\.[0-9]/)?[A-Z][A-Za-z]{0,2}:[A-Z][A-Za-z]{0,4}(/[A-Z][A-Za-z]{0,2}:[A-Z][A-Za-z]{0,4})+"
)


def _entries(solution: str, product: Product) -> Iterator[dict[str, Any]]:
    fixed = [one for one in dict.fromkeys(product.fixed) if 1 <= len(one) <= 100][:50]
    more = {"fixed_in": fixed} if fixed else {}
    for range_ in dict.fromkeys(product.ranges):
        yield {"solution": solution, "range": range_, **more}
    for said in dict.fromkeys(product.texts):
        yield {"solution": solution, "range_text": text(said, 2_000), **more}
    if not product.ranges and not product.texts:
        yield {"solution": solution, **more}


def _as_text(affects: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    said: dict[str, list[str]] = {}
    for entry in affects:
        said.setdefault(entry["solution"], []).append(entry.get("range") or entry.get("range_text") or "")
    return [
        {"solution": solution, "range_text": text(" or ".join(several), 2_000)}
        for solution, several in list(said.items())[:MOST_ENTRIES]
    ]


def _severity(finding: Finding, notes: list[str]) -> Severity:
    told = (finding.severity or "").lower()
    for severity, names in _SEVERITIES.items():
        if told in names:
            return severity
    if finding.vector and (found := severity_of(finding.vector)):
        return found
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
        named = str(kinds.get(vector[:6], CVSS2)(vector).severities()[0]).lower()
    except (CVSSError, ValueError, KeyError, IndexError, TypeError):
        return None
    return next((severity for severity, names in _SEVERITIES.items() if named in names), None)


def _fixes(affects: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for version in dict.fromkeys(one for entry in affects for one in entry.get("fixed_in", ())):
        yield {"category": "vendor_fix", "version": version}


def _workarounds(finding: Finding) -> Iterator[dict[str, Any]]:
    for said in finding.workarounds:
        yield {"category": "workaround", "text": {"en": text(said, 20_000)}}


# Ranges


def ranges_of(scheme: str, intervals: Iterable[Interval]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """``vers`` ranges for intervals, and in words those that cannot be told so.

    One range where they fit into one; else each by itself, which says the same.
    """
    several = list(dict.fromkeys(intervals))
    whole = _vers(scheme, several)
    if several and len(whole) <= 2_000 and range_problem(whole) is None:
        return (whole,), ()
    ranges, texts = [], []
    for one in several:
        range_ = _vers(scheme, [one])
        if len(range_) <= 2_000 and range_problem(range_) is None:
            ranges.append(range_)
        else:
            texts.append(" ".join(bound for bound in one if bound) or "all versions")
    return tuple(ranges), tuple(texts)


def _vers(scheme: str, intervals: Sequence[Interval]) -> str:
    bounds = [bound for interval in intervals for bound in interval if bound]
    if any(low is None and high is None for low, high in intervals):
        return f"vers:{scheme}/*"
    return f"vers:{scheme}/{'|'.join(dict.fromkeys(bounds))}"


# Texts and times


_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)


def text(said: str, longest: int) -> str:
    """The text as a record may hold it: NFC, without characters nobody can see, not too long."""
    plain = unicodedata.normalize("NFC", _UNSEEN.sub("", said.replace("\r\n", "\n"))).strip()
    if len(plain) > longest:
        plain = plain[: longest - 1].rstrip() + "…"
    return plain or "-"


def moment(told: str | None) -> datetime | None:
    """The moment that an advisory tells, in UTC; None when it cannot be read."""
    if not told:
        return None
    try:
        found = datetime.fromisoformat(told)
    except ValueError:
        return None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return found.astimezone(UTC) if 1970 <= found.year <= 2200 else None
