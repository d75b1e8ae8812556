"""A CSAF 2.0 document of an incident of security: profile "Security Incident Response" (CSAF 2.0, 4.2).

It has the words of the record, the references, and no product and no vulnerability: an attack says of no
version of a software that it is affected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from federation.domain.content.incident import Incident
from federation.domain.content.solution import Solution
from federation.domain.formats.csaf_advisory import incident_head, withdrawn
from federation.domain.formats.csaf_envelope import (
    Issuer,
    LiveRecord,
    choose_language,
    in_language,
    notes_of,
)


def response_of(
    record: LiveRecord[Incident],
    issuer: Issuer,
    *,
    url: str,
    page: str,
    solutions: Mapping[str, Solution],
    others: Sequence[str] = (),
) -> dict[str, Any]:
    """The document of an incident; its arguments are those of an advisory."""
    incident = record.content
    if incident.status == "withdrawn":
        return withdrawn(record, issuer, url=url, page=page)
    language = choose_language(incident.title)
    document = incident_head(
        record,
        issuer,
        category="csaf_security_incident_response",
        url=url,
        page=page,
        others=others,
        is_final=incident.status == "resolved",
    )
    document["aggregate_severity"] = {"text": incident.severity}
    document["notes"] = [
        *notes_of(incident.summary, language, "description"),
        {"category": "general", "text": incident.status, "title": "Status of the incident"},
        {"category": "details", "text": "\n".join(_concerned(incident, solutions)), "title": "Concerned"},
        *_times(incident),
        *_timeline(incident, language),
    ]
    return {"document": document}


def _concerned(incident: Incident, solutions: Mapping[str, Solution]) -> Iterator[str]:
    """The solutions and deployments that the record names, with names as far as the readers see them."""
    for entry in incident.affects:
        if entry.solution is not None:
            solution = solutions.get(entry.solution)
            yield f"{solution.name} ({entry.solution})" if solution is not None else entry.solution
        yield from (f"deployment {deployment}" for deployment in entry.deployments)


def _times(incident: Incident) -> Iterator[dict[str, str]]:
    times = {
        "Started": incident.started_at,
        "Detected": incident.detected_at,
        "Resolved": incident.resolved_at,
    }
    for title, at in times.items():
        if at is not None:
            yield {"category": "general", "text": at, "title": title}


def _timeline(incident: Incident, language: str) -> Iterator[dict[str, str]]:
    """The lines of the record's timeline, in its order."""
    for line in incident.updates:
        title = f"{line.at}: {line.status}"
        yield {"category": "details", "text": in_language(line.text, language), "title": title}
