"""A CSAF 2.0 document of a statement: profile "VEX" (CSAF 2.0, 4.5).

The products are the operator's own deployments, and nothing else: that a deployment is not affected says
nothing of the software. A status is the one of the statement, never a better one.
"""

from __future__ import annotations

from typing import Any

from federation.domain.content.incident import Incident
from federation.domain.content.statement import Statement
from federation.domain.formats.csaf_advisory import names_of, references_of, vulnerability_of
from federation.domain.formats.csaf_envelope import Issuer, LiveRecord, choose_language, head, in_language
from federation.domain.formats.csaf_products import deployments_named

NO_ACTION = {
    "en": "The operator has not said what it does.",
    "fr": "L'opérateur n'a pas indiqué ce qu'il fait.",
}
TITLES = {"en": "Statement of {name} on: {title}", "fr": "Déclaration de {name} sur : {title}"}


def vex_of(
    record: LiveRecord[Statement], issuer: Issuer, *, url: str, page: str, incident: LiveRecord[Incident]
) -> dict[str, Any]:
    """The document of a statement. ``incident``: the vulnerability that it answers, as its readers see it."""
    statement, vulnerability = record.content, incident.content
    language = choose_language(vulnerability.title)
    document = head(
        record,
        issuer,
        category="csaf_vex",
        title=title_of(issuer, vulnerability),
        language=language,
        url=url,
        others=[incident.updated_at],
        is_final=statement.status != "under_investigation",
    )
    document["references"] += references_of(vulnerability, page)
    products = deployments_named(statement.deployments, record.origin, issuer.name, statement.status)
    ids = products.status[statement.status]
    entry = {**vulnerability_of(incident, language, ()), "product_status": products.status}
    if statement.justification is not None:
        entry["flags"] = [{"date": record.updated_at, "label": statement.justification, "product_ids": ids}]
    action = in_language(statement.action, language) if statement.action else None
    if statement.status == "known_affected":
        entry["remediations"] = [_remediation(statement, action, language, ids)]
    elif action is not None:
        entry["notes"].append({"category": "general", "text": action, "title": "Action of the operator"})
    return {
        "document": document,
        "product_tree": products.tree,
        "vulnerabilities": [{**entry, **names} for names in names_of(incident)],
    }


def title_of(issuer: Issuer, incident: Incident) -> str:
    """The title of the document of a statement."""
    language = choose_language(incident.title)
    words = TITLES.get(language, TITLES["en"])
    return words.format(name=issuer.name, title=in_language(incident.title, language))


def _remediation(statement: Statement, action: str | None, language: str, ids: list[str]) -> dict[str, Any]:
    """The action statement of a VEX. Without words for it nothing is promised."""
    entry: dict[str, Any] = {
        "category": "none_available" if action is None else "mitigation",
        "details": action or NO_ACTION.get(language, NO_ACTION["en"]),
        "product_ids": ids,
    }
    if statement.planned_at is not None:
        entry["date"] = statement.planned_at
    return entry
