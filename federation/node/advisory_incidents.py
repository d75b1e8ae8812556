"""The incidents of one advisory: find those that are here, and publish, revise or withdraw them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from federation.domain.content.incident import Incident
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Invalid, NotFound, PreconditionFailed, Refused
from federation.domain.formats.advisory import Finding
from federation.domain.formats.catalogue import Catalogue
from federation.domain.formats.document import (
    OwnIncident,
    age,
    describes,
    identity_of,
    key_apart,
    source_of,
    stored_keys,
)
from federation.domain.formats.incident import DraftIncident, incident_of
from federation.domain.formats.report import ImportLine
from federation.domain.formats.revision import Label, first_draft, older_copy, revise
from federation.domain.query import MAX_PAGE, PageKey, Query
from federation.domain.record import draft_of, equals_stored
from federation.domain.stored import StoredRecord
from federation.domain.visibility import Caller
from federation.node import records
from federation.node.node import Node
from federation.node.records import Preconditions

MAX_ATTEMPTS = 5
"""Attempts to write an incident that other writers change meanwhile, at most."""


class Import(msgspec.Struct, frozen=True):
    """An advisory that is imported, and the wishes of its importer."""

    node: Node
    catalogue: Catalogue
    raw: bytes
    source: str
    """The file, or the line of the upload."""
    by: Caller
    label: Label
    dry_run: bool


async def import_findings(import_: Import, findings: Sequence[Finding]) -> list[ImportLine]:
    """Publish, revise or withdraw the incidents of the vulnerabilities of one document.

    An older copy of a document changes nothing; a document of which a part is refused withdraws nothing.
    """
    source = import_.source
    if any(finding.draft for finding in findings):
        detail = "its publisher calls it a draft"
        return [ImportLine("skipped", source, finding.id, detail=detail) for finding in findings]
    incidents = await _of_document(import_, findings[0]) if findings and findings[0].shared else []
    for incident in incidents:
        if age(findings[0], incident.source) == -1:
            detail = older_copy(findings[0], incident.source)
            return [ImportLine("unchanged", source, finding.id, detail=detail) for finding in findings]
    if findings and findings[0].entire:
        return await _withdraw_document(import_, findings[0], incidents)
    keys = stored_keys(findings, incidents)
    lines = [await _import_finding(import_, finding, keys.get(finding.id)) for finding in findings]
    if not any(line.outcome == "refused" for line in lines):
        for incident in incidents:
            if incident.key not in keys.values() and incident.content["status"] != "withdrawn":
                detail = "the document no longer lists it"
                lines.append(await _withdraw(import_, findings[0], incident.key, detail))
    return lines


def detail_of(error: Refused) -> str:
    """A refusal with the member at fault, for a report."""
    return f"{error.detail} (at {error.pointer})" if error.pointer else error.detail


# The incidents of a document


async def _of_document(import_: Import, finding: Finding) -> list[OwnIncident]:
    """Own incidents of the document of a finding; those of earlier programs by its id among their aliases."""
    node = import_.node
    incidents: list[OwnIncident] = []
    after: PageKey | None = None
    while True:
        query = Query(
            kind=Incident,
            facets=(("origin", (node.operator,)),),
            either=(("document", identity_of(finding)), ("alias", finding.document)),
            sort="id", limit=MAX_PAGE, after=after,
        )  # fmt: skip
        documents, after, _ = await records.collect(node, query, by=import_.by)
        for document in documents:
            record = msgspec.json.decode(document)
            incident = OwnIncident(record["key"], record["content"])
            if incident.content["kind"] == "vulnerability" and describes(finding, incident.source):
                incidents.append(incident)
        if after is None:
            return incidents


async def _withdraw_document(
    import_: Import, finding: Finding, incidents: Sequence[OwnIncident]
) -> list[ImportLine]:
    if not incidents:
        detail = "it is withdrawn by its publisher, and no incident here is made of it"
        return [ImportLine("skipped", import_.source, finding.id, detail=detail)]
    detail = "its publisher has withdrawn the document"
    return [await _withdraw(import_, finding, incident.key, detail) for incident in incidents]


async def _withdraw(import_: Import, finding: Finding, key: str, detail: str) -> ImportLine:
    line = ImportLine("revised", import_.source, finding.id, f"{import_.node.operator}/{key}", detail=detail)
    try:
        stored = await _find(import_, key)
        return await _store(import_, finding, key, stored, _withdrawal(import_, finding), line)
    except Refused as error:
        return ImportLine("refused", import_.source, finding.id, line.incident, detail=detail_of(error))


def _withdrawal(import_: Import, finding: Finding) -> DraftIncident:
    """What is withdrawn keeps its members, but the document that says so."""
    sha256 = hashlib.sha256(import_.raw).hexdigest()
    return DraftIncident({"status": "withdrawn", "source": source_of(finding, sha256)}, ())


# One vulnerability


async def _import_finding(import_: Import, finding: Finding, stored_key: str | None) -> ImportLine:
    try:
        key = stored_key or finding.key
        stored = await _find(import_, key)
        if stored is not None and not stored.retracted and stored_key is None:
            origin = draft_of(stored.document)["content"].get("source")
            if origin is not None and not describes(finding, origin):
                key = key_apart(finding)  # this one is of another publisher's document
                stored = await _find(import_, key)
        return await _publish(import_, finding, key, stored)
    except Refused as error:
        return ImportLine("refused", import_.source, finding.id, detail=detail_of(error))


async def _publish(import_: Import, finding: Finding, key: str, stored: StoredRecord | None) -> ImportLine:
    node, source = import_.node, import_.source
    incident = incident_of(finding, import_.catalogue.find, import_.raw)
    id_ = f"{node.operator}/{key}"
    if stored is not None and stored.retracted:
        if incident is None and not finding.withdrawn:
            return ImportLine("skipped", source, finding.id, detail=_unknown(finding))
        return ImportLine("skipped", source, finding.id, detail=f"{id_} was retracted here")
    if incident is not None:
        as_text = sum("range_text" in entry for entry in incident.content.get("affects", ()))
        line = ImportLine("published", source, finding.id, id_, incident.defaulted, as_text)
        return await _store(import_, finding, key, stored, incident, line)
    if stored is not None and finding.withdrawn:  # a rejected record may no longer name a product
        line = ImportLine("revised", source, finding.id, id_)
        return await _store(import_, finding, key, stored, _withdrawal(import_, finding), line)
    if stored is not None and _is_cleared(import_, finding, stored):
        detail = "the document lists it as not affected now"
        return await _withdraw(import_, finding, key, detail)
    return ImportLine("skipped", source, finding.id, detail=_unknown(finding))


def _unknown(finding: Finding) -> str:
    products = finding.products[:3]
    names = ", ".join(name.partition(":")[2] for product in products for name in product.names[:1])
    return f"no solution that is known here is {names or 'named by it'}"


def _is_cleared(import_: Import, finding: Finding, stored: StoredRecord) -> bool:
    """True where the document lists every solution of the stored incident as not affected.

    A document that no longer names one of them may know it by another name: then the incident stays.
    """
    cleared = {found.solution for product in finding.cleared for found in import_.catalogue.find(product)}
    affects = draft_of(stored.document)["content"].get("affects", ())
    return all(entry.get("solution") in cleared for entry in affects)


async def _store(
    import_: Import,
    finding: Finding,
    key: str,
    stored: StoredRecord | None,
    incident: DraftIncident,
    line: ImportLine,
) -> ImportLine:
    """Publish or revise an incident; again from the start where another writer was faster."""
    node = import_.node
    shape: Any = Draft
    for _ in range(MAX_ATTEMPTS):
        reason: str | None = None
        if stored is None:
            edit: dict[str, Any] | None = first_draft(incident, finding, import_.label)
        else:
            edit, reason = revise(draft_of(stored.document), incident, finding, import_.label)
        if edit is None:
            return msgspec.structs.replace(line, outcome="unchanged", detail=reason)
        draft = check_draft(edit, shape[Incident])
        if stored is not None and equals_stored(draft, stored.document):
            return msgspec.structs.replace(line, outcome="unchanged")
        line = msgspec.structs.replace(line, outcome="published" if stored is None else "revised")
        if import_.dry_run:
            return line
        preconditions = (
            Preconditions(none_match=frozenset({"*"}))
            if stored is None
            else Preconditions(match=frozenset({stored.hash.hex()}))
        )
        try:
            await records.publish(
                node, Incident, draft, node.operator, key, by=import_.by, preconditions=preconditions
            )
        except PreconditionFailed:
            stored = await _find(import_, key)
            continue
        return line
    raise Invalid(
        "{own}/{key} was always written by others meanwhile; import it again", own=node.operator, key=key
    )


async def _find(import_: Import, key: str) -> StoredRecord | None:
    try:
        return await records.find(import_.node, Incident, import_.node.operator, key, by=import_.by)
    except NotFound:
        return None
