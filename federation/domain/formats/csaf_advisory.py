"""A CSAF 2.0 document of an incident that is a vulnerability: profile "Security Advisory" (CSAF 2.0, 4.4).

An incident that is withdrawn becomes a document without vulnerabilities, of the category ``withdrawn``: 2.0
has no profile for it, and readers of federation nodes withdraw what they made of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cvss import CVSS2, CVSS3
from cvss.exceptions import CVSSError

from federation.domain.content.incident import Incident, Remediation
from federation.domain.content.solution import Solution
from federation.domain.formats.csaf_envelope import (
    CVE_KEY,
    Issuer,
    LiveRecord,
    choose_language,
    head,
    in_language,
    notes_of,
)
from federation.domain.formats.csaf_products import Products, products_of

ID_SYSTEM = "federation"
"""The system of ids that are those of incidents."""


def advisory_of(
    record: LiveRecord[Incident],
    issuer: Issuer,
    *,
    url: str,
    page: str,
    solutions: Mapping[str, Solution],
    others: Sequence[str] = (),
) -> dict[str, Any]:
    """The document of an incident. ``page``: URL of its page.

    ``solutions``: those it names that the readers may see; ``others``: the times of these, and of tombstones.
    """
    incident = record.content
    if incident.status == "withdrawn":
        return withdrawn(record, issuer, url=url, page=page)
    language = choose_language(incident.title)
    document = incident_head(
        record, issuer, category="csaf_security_advisory", url=url, page=page, others=others
    )
    document["aggregate_severity"] = {"text": incident.severity}
    products = products_of(incident.affects, solutions)
    entry = {
        **vulnerability_of(record, language, products.words),
        "product_status": {status: ids for status, ids in products.status.items() if ids},
        "remediations": list(_remediations(incident.remediations, products, language)),
        "scores": list(_scores(incident.cvss, products)),
        "threats": list(_threats(incident)),
    }
    entry = {name: value for name, value in entry.items() if value}
    vulnerabilities = [{**entry, **names} for names in names_of(record)]
    return {"document": document, "product_tree": products.tree, "vulnerabilities": vulnerabilities}


def withdrawn(record: LiveRecord[Incident], issuer: Issuer, *, url: str, page: str) -> dict[str, Any]:
    """The document of an incident that is withdrawn."""
    document = incident_head(record, issuer, category="withdrawn", url=url, page=page, others=())
    document["notes"] = [{"category": "summary", "text": "The operator has withdrawn this advisory."}]
    return {"document": document}


def incident_head(
    record: LiveRecord[Incident],
    issuer: Issuer,
    *,
    category: str,
    url: str,
    page: str,
    others: Sequence[str],
    is_final: bool = True,
) -> dict[str, Any]:
    """The head of the document of an incident, with its references. The arguments are those of ``head``."""
    incident = record.content
    document = head(
        record,
        issuer,
        category=category,
        title=title_of(incident),
        language=choose_language(incident.title),
        url=url,
        others=others,
        is_final=is_final,
    )
    document["references"] += references_of(incident, page)
    return document


def title_of(incident: Incident) -> str:
    """The title of the document of an incident."""
    title = in_language(incident.title, choose_language(incident.title))
    return f"Withdrawn: {title}" if incident.status == "withdrawn" else title


def names_of(record: LiveRecord[Incident]) -> list[dict[str, Any]]:
    """The names of the vulnerabilities of an incident: one for each CVE id that it has, or one without.

    Each has the id of the incident, too, so that a reader finds the record.
    """
    incident = record.content
    aliases = dict.fromkeys(incident.aliases)
    numbers = [alias for alias in aliases if CVE_KEY.fullmatch(alias)]
    ids = [{"system_name": ID_SYSTEM, "text": f"{record.origin}/{record.key}"}]
    ids += [{"system_name": _system_of(a), "text": a} for a in aliases if a not in numbers]
    return [{"cve": number, "ids": ids} for number in numbers] or [{"ids": ids}]


def _system_of(alias: str) -> str:
    """The catalogue of an id, as far as the id begins with its name."""
    name, hyphen, _ = alias.partition("-")
    return name if hyphen and name.isalpha() and name.isupper() else "other"


def references_of(incident: Incident, page: str) -> list[dict[str, str]]:
    """The page of the incident, and the advisory that it was made from."""
    references = [{"category": "external", "summary": "The incident at its operator's node", "url": page}]
    if incident.source is not None:
        words = "The advisory that the incident was made from"
        references.append({"category": "external", "summary": words, "url": incident.source.url})
    return references


def vulnerability_of(record: LiveRecord[Incident], language: str, words: Sequence[str]) -> dict[str, Any]:
    """Title, notes and dates of a vulnerability."""
    incident = record.content
    notes = notes_of(incident.summary, language, "description")
    notes.append({"category": "general", "text": incident.status, "title": "Status of the incident"})
    if words:
        notes.append({"category": "details", "text": "\n".join(words), "title": "Products"})
    if incident.cvss is not None and not list(_metrics(incident.cvss)):
        notes.append({"category": "other", "text": incident.cvss, "title": "CVSS"})
    found = incident.detected_at or incident.started_at
    return {
        "notes": notes,
        "title": in_language(incident.title, language),
        "release_date": record.created_at,
        **({"discovery_date": found} if found else {}),
    }


def _remediations(
    remediations: Sequence[Remediation], products: Products, language: str
) -> Iterator[dict[str, Any]]:
    """The remedies, each for the products that are affected or may be (CSAF 2.0, 6.1.29)."""
    for remedy in remediations:
        details = in_language(remedy.text, language) if remedy.text else ""
        if remedy.version is not None:
            details = f"{details}\n\nVersion {remedy.version}".strip()
        entry: dict[str, Any] = {
            "category": remedy.category,
            "details": details or remedy.url or remedy.category.replace("_", " "),
            "product_ids": products.concerned,
        }
        if remedy.url is not None:
            entry["url"] = remedy.url
        if products.concerned:
            yield entry


def _threats(incident: Incident) -> Iterator[dict[str, Any]]:
    """Exploitation, as far as it is known."""
    if incident.exploitation not in (None, "unknown"):
        yield {"category": "exploit_status", "details": incident.exploitation}


def _scores(vector: str | None, products: Products) -> Iterator[dict[str, Any]]:
    """The score of what is affected or may be. A vector of CVSS 4.0, which 2.0 does not have, is a note."""
    if vector is not None and products.concerned:
        for member, metrics in _metrics(vector):
            yield {member: metrics, "products": products.concerned}


def _metrics(vector: str) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        if vector.startswith(("CVSS:3.0/", "CVSS:3.1/")):
            score = CVSS3(vector)
            yield (
                "cvss_v3",
                {
                    "baseScore": float(score.scores()[0]),
                    "baseSeverity": score.severities()[0].upper(),
                    "vectorString": vector,
                    "version": vector[5:8],
                },
            )
        elif not vector.startswith("CVSS:"):
            yield "cvss_v2", {
                "baseScore": float(CVSS2(vector).scores()[0]), "vectorString": vector, "version": "2.0",
            }  # fmt: skip
    except (CVSSError, ValueError, KeyError, IndexError, TypeError):
        return
