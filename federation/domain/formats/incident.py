"""The incident that a vulnerability of an advisory is published as.

A missing member gets a default, and each default is noted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from federation.domain.errors import Invalid
from federation.domain.formats.advisory import Finding, Product, Severity, severity_named, severity_of, text
from federation.domain.formats.document import is_url, source_of
from federation.domain.values import as_instant

if TYPE_CHECKING:
    from federation.domain.formats.catalogue import Found

MAX_ENTRIES = 100
"""Entries of one incident, at most (``Incident.affects``)."""
OWNED = (
    "title", "summary", "severity", "affects", "detected_at", "aliases", "source", "cvss", "exploitation",
    "remediations",
)  # fmt: skip
"""Members of an incident that a newer advisory replaces; the others are the operator's own."""


class DraftIncident(msgspec.Struct, frozen=True):
    """The content of an incident, and the members that the advisory lacks."""

    content: dict[str, Any]
    defaulted: tuple[str, ...]


def incident_of(
    finding: Finding, find: Callable[[Product], Sequence[Found]], raw: bytes
) -> DraftIncident | None:
    """The incident that a finding is published as; None when it is about no solution that is known here."""
    notes = list(finding.notes)
    entries: list[dict[str, Any]] = []
    remedies: list[dict[str, Any]] = []
    by_name: list[str] = []
    for product in finding.products:
        solutions = find(product)
        by_name += [found.solution for found in solutions if found.by_name_only]
        entries += [entry for found in solutions for entry in _entries(found, product)]
        if solutions:
            remedies += _remedies(finding, product)
    if not entries:
        return None
    notes += [f"solution: {id_} was found by its name only" for id_ in dict.fromkeys(by_name)]
    affects = _unite(entries)
    if len(affects) > MAX_ENTRIES:
        notes.append(f"affects: {len(affects)} ranges are stored as text")
        affects = _as_text(affects, notes)
    severity = _severity(finding, notes)
    if finding.published is None:
        raise Invalid("it says nowhere when it was published")
    content: dict[str, Any] = {
        "title": {finding.language: text(finding.title, 300)},
        "summary": {finding.language: text(finding.summary, 20_000)},
        "kind": "vulnerability",
        "status": "withdrawn" if finding.withdrawn else "open",
        "severity": severity,
        "affects": affects,
        "detected_at": as_instant(finding.published),
        "aliases": sorted(alias for alias in set(finding.aliases) if _ALIAS.fullmatch(alias))[:50],
        "source": source_of(finding, hashlib.sha256(raw).hexdigest()),
    }
    if finding.vector and len(finding.vector) <= 300 and _VECTOR.fullmatch(finding.vector):
        content["cvss"] = finding.vector
    if finding.exploitation:
        content["exploitation"] = finding.exploitation
    remedies = [*_fixes(affects), *remedies, *_workarounds(finding)]
    if remedies:
        content["remediations"] = list({msgspec.json.encode(entry): entry for entry in remedies}.values())[
            :50
        ]
    return DraftIncident(content, tuple(notes))


_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{2,99}")
_VECTOR = re.compile(
    r"(CVSS:[34]\.[0-9]/)?[A-Z][A-Za-z]{0,2}:[A-Z][A-Za-z]{0,4}(/[A-Z][A-Za-z]{0,2}:[A-Z][A-Za-z]{0,4})+"
)


def _entries(found: Found, product: Product) -> Iterator[dict[str, Any]]:
    fixed = [version for version in dict.fromkeys(product.fixed) if 1 <= len(version) <= 100][:50]
    more: dict[str, Any] = {"fixed_in": fixed} if fixed else {}
    if found.by_name_only:
        more["by_name_only"] = True
    if product.source_pointer:
        more["source_pointer"] = product.source_pointer
    if product.release and len(product.release) <= MAX_RELEASE_CHARACTERS and not found.is_numbered_otherwise:
        more["releases"] = [product.release]
    if found.is_numbered_otherwise:
        words = "; ".join(dict.fromkeys((*product.ranges, *product.texts))) or "no versions"
        more.pop("fixed_in", None)
        yield {
            "solution": found.solution,
            "range_text": text(f"the package of a distribution, by its own numbers: {words}", 2_000),
            **more,
        }
        return
    for range_ in dict.fromkeys(product.ranges):
        yield {"solution": found.solution, "range": range_, **more}
    for words in dict.fromkeys(product.texts):
        yield {"solution": found.solution, "range_text": text(words, 2_000), **more}
    if not product.ranges and not product.texts:
        yield {"solution": found.solution, **more}


def _unite(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries without those that say the same, wherever the advisory has them; releases are put together.

    What is said of no release is said of all of them.
    """
    united: dict[bytes, dict[str, Any]] = {}
    for entry in entries:
        said = {name: value for name, value in entry.items() if name not in ("source_pointer", "releases")}
        first = united.setdefault(msgspec.json.encode(said), dict(entry))
        releases = list(dict.fromkeys((*first.get("releases", ()), *entry.get("releases", ()))))
        if not entry.get("releases") or len(releases) > MAX_RELEASES:
            first.pop("releases", None)
        elif first.get("releases"):
            first["releases"] = releases
    return list(united.values())


MAX_RELEASE_CHARACTERS = 100
"""Characters of the name of a release, at most."""
MAX_RELEASES = 50
"""Releases of one entry, at most (``Affected.releases``); for more of them it is about every release."""


def _as_text(affects: Sequence[Mapping[str, Any]], notes: list[str]) -> list[dict[str, Any]]:
    """One entry for each solution: it answers unknown."""
    by_solution: dict[str, list[Mapping[str, Any]]] = {}
    for entry in affects:
        by_solution.setdefault(entry["solution"], []).append(entry)
    if len(by_solution) > MAX_ENTRIES:
        raise Invalid(
            f"{len(by_solution)} solutions that are known here have its names, and an incident names"
            f" {MAX_ENTRIES}: name yours as solution"
        )
    return [
        {
            "solution": solution,
            "range_text": text(
                " or ".join(entry.get("range") or entry.get("range_text") or "" for entry in entries), 2_000
            ),
            **({"by_name_only": True} if all(entry.get("by_name_only") for entry in entries) else {}),
        }
        for solution, entries in by_solution.items()
    ]


def _severity(finding: Finding, notes: list[str]) -> Severity:
    if (severity := severity_named(finding.severity or "")) is not None:
        return severity
    if finding.vector and (computed := severity_of(finding.vector)):
        return computed
    notes.append("severity: not told, taken as medium")
    return "medium"


def _fixes(affects: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for version in dict.fromkeys(fixed for entry in affects for fixed in entry.get("fixed_in", ())):
        yield {"category": "vendor_fix", "version": version}


def _remedies(finding: Finding, product: Product) -> Iterator[dict[str, Any]]:
    for remedy in product.remedies:
        url = {"url": remedy.url} if remedy.url and is_url(remedy.url) else {}
        yield {
            "category": remedy.category, "text": {finding.language: text(remedy.text, 20_000)}, **url,
        }  # fmt: skip


def _workarounds(finding: Finding) -> Iterator[dict[str, Any]]:
    for workaround in finding.workarounds:
        yield {"category": "workaround", "text": {finding.language: text(workaround, 20_000)}}
