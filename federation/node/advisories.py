"""Import advisories: publish or revise the incidents made of them.

An incident's key is the advisory's id, so importing again finds it: the same advisory changes nothing, a
newer one replaces the members of the advisory and leaves those of the operator (status, timeline, audience).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from federation.domain.content.incident import Incident
from federation.domain.content.solution import Solution
from federation.domain.document import Document, check_id
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Invalid, NotFound, PreconditionFailed, Refused
from federation.domain.formats.advisory import OWNED, DraftIncident, Finding, incident_of
from federation.domain.formats.catalogue import Catalogue
from federation.domain.formats.readers import READERS
from federation.domain.query import MAX_PAGE, PageKey, Query
from federation.domain.record import draft_of, equals_stored
from federation.domain.stored import StoredRecord
from federation.domain.visibility import Caller, Tlp, is_wider
from federation.node import records
from federation.node.node import Node
from federation.node.records import Preconditions

Outcome = Literal["published", "revised", "unchanged", "skipped", "refused"]
MAX_ATTEMPTS = 5
"""Attempts to write an incident that other writers change meanwhile, at most."""
MAX_SOLUTIONS = 20_000
"""Solutions that advisories are compared with, at most."""


class ImportLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome of one vulnerability of an advisory."""

    outcome: Outcome
    source: str
    """The file, or the line of the upload."""
    id: str | None = None
    """The advisory's own id."""
    incident: str | None = None
    defaulted: tuple[str, ...] = ()
    """Members that the advisory lacks and that were given a default, and names that were interpreted."""
    as_text: int = 0
    """Ranges that could not be expressed and are stored as text: they answer unknown."""
    detail: str | None = None
    """The reason that it was skipped or refused."""


class OutcomeCounts(msgspec.Struct, frozen=True):
    """Vulnerabilities by outcome."""

    published: int = 0
    revised: int = 0
    unchanged: int = 0
    skipped: int = 0
    refused: int = 0


class ImportReport(msgspec.Struct, frozen=True):
    """The outcome of an import."""

    dry_run: bool
    summary: OutcomeCounts
    advisories: tuple[ImportLine, ...]


def report(lines: Sequence[ImportLine], *, dry_run: bool) -> ImportReport:
    counts: dict[str, int] = Counter(line.outcome for line in lines)
    return ImportReport(dry_run, OutcomeCounts(**counts), tuple(lines))


async def catalogue(node: Node, solutions: Sequence[str] = ()) -> Catalogue:
    """The solutions that this node knows; or only ``solutions``, for advisories that do not name them."""
    for solution in solutions:
        origin, _, key = solution.partition("/")
        check_id(origin, key)
    entries: list[tuple[str, Solution]] = []
    after: PageKey | None = None
    while not solutions and len(entries) < MAX_SOLUTIONS:
        query = Query(kind=Solution, sort="id", limit=MAX_PAGE, after=after)
        documents, after, _ = await records.collect(
            node, query, by=Caller(node=node.operator, operator=node.operator)
        )
        for document in documents:
            record = _solution.decode(document)
            if record.content is not None:
                entries.append((f"{record.origin}/{record.key}", record.content))
        if after is None:
            break
    return Catalogue(entries, always=tuple(solutions))


_solution = msgspec.json.Decoder(Document[Solution])


async def import_advisory(
    node: Node,
    form: str,
    raw: bytes,
    catalogue_: Catalogue,
    *,
    source: str,
    by: Caller,
    tlp: Tlp | None = None,
    audience: str | None = None,
    dry_run: bool = False,
) -> list[ImportLine]:
    """Publish or revise the incidents of one advisory. An advisory that is refused changes nothing."""
    try:
        findings = READERS[form](raw)
    except Refused as error:
        return [ImportLine("refused", source, detail=_detail(error))]
    lines = []
    for finding in findings:
        try:
            lines.append(
                await _import_finding(
                    node, finding, raw, catalogue_, source, by, tlp=tlp, audience=audience, dry_run=dry_run
                )
            )
        except Refused as error:
            lines.append(ImportLine("refused", source, finding.id, detail=_detail(error)))
    return lines


def _detail(error: Refused) -> str:
    return f"{error.detail} (at {error.pointer})" if error.pointer else error.detail


async def _import_finding(
    node: Node,
    finding: Finding,
    raw: bytes,
    catalogue_: Catalogue,
    source: str,
    by: Caller,
    *,
    tlp: Tlp | None,
    audience: str | None,
    dry_run: bool,
) -> ImportLine:
    key = finding.key
    if finding.draft:
        return ImportLine("skipped", source, finding.id, detail="its publisher calls it a draft")
    incident = incident_of(finding, catalogue_.find, raw)
    stored = await _find(node, key, by)
    if incident is None:
        if stored is None or not finding.withdrawn:
            names = ", ".join(
                name.partition(":")[2] for product in finding.products[:3] for name in product.names[:1]
            )
            reason = f"no solution that is known here is {names or 'named by it'}"
            return ImportLine("skipped", source, finding.id, detail=reason)
        # A rejected record may no longer name a product.
        origin = {"url": finding.url, "sha256": hashlib.sha256(raw).hexdigest()}
        incident = DraftIncident({"status": "withdrawn", "source": origin}, ())
    if stored is not None and stored.retracted:
        return ImportLine("skipped", source, finding.id, detail=f"{node.operator}/{key} was retracted here")
    as_text = sum("range_text" in entry for entry in incident.content.get("affects", ()))
    line = ImportLine("published", source, finding.id, f"{node.operator}/{key}", incident.defaulted, as_text)
    shape: Any = Draft
    for _ in range(MAX_ATTEMPTS):
        if stored is None:
            edit: dict[str, Any] | None = _first(incident, *_label(finding, tlp, audience))
        else:
            edit = _revision(stored, incident, raw, finding, tlp, audience)
        if edit is None:
            return msgspec.structs.replace(line, outcome="unchanged")
        draft = check_draft(edit, shape[Incident])
        if stored is not None and equals_stored(draft, stored.document):
            return msgspec.structs.replace(line, outcome="unchanged")
        line = msgspec.structs.replace(line, outcome="published" if stored is None else "revised")
        if dry_run:
            return line
        preconditions = (
            Preconditions(none_match=frozenset({"*"}))
            if stored is None
            else Preconditions(match=frozenset({stored.hash.hex()}))
        )
        try:
            await records.publish(
                node, Incident, draft, node.operator, key, by=by, preconditions=preconditions
            )
        except PreconditionFailed:
            stored = await _find(node, key, by)
            continue
        return line
    raise Invalid(f"{node.operator}/{key} was always written by others meanwhile; import it again")


async def _find(node: Node, key: str, by: Caller) -> StoredRecord | None:
    try:
        return await records.find(node, Incident, node.operator, key, by=by)
    except NotFound:
        return None


def _first(incident: DraftIncident, tlp: Tlp | None, audience: str | None) -> dict[str, Any]:
    """The draft of a new incident."""
    envelope = {"tlp": tlp, "audience": audience}
    return {**{name: value for name, value in envelope.items() if value}, "content": incident.content}


def _label(finding: Finding, tlp: Tlp | None, audience: str | None) -> tuple[Tlp | None, str | None]:
    """Label and audience of an incident, never wider than the label of its source (TLP 2.0).

    None for the label that incidents of this kind have. Raises Invalid for a wider label, and for a source of
    TLP:AMBER or AMBER+STRICT when no audience is named: a group means something at one operator only.
    """
    source = finding.tlp
    if source is None:
        return tlp, audience
    if tlp is not None:
        if is_wider(tlp, source):
            raise Invalid(
                f"the advisory is TLP:{source}; TLP:{tlp} would show it to more readers", pointer="/tlp"
            )
        return tlp, audience
    if source == "RED":
        return source, audience
    if source in ("AMBER", "AMBER+STRICT"):
        if audience is None:
            raise Invalid(
                f"the advisory is TLP:{source}: name the group that may see it as audience, or label it RED",
                pointer="/audience",
            )
        return source, audience
    return None, audience


def _revision(
    stored: StoredRecord,
    incident: DraftIncident,
    raw: bytes,
    finding: Finding,
    tlp: Tlp | None,
    audience: str | None,
) -> dict[str, Any] | None:
    """The stored incident with the members of the newer advisory; None when it is the same advisory.

    It keeps its label and audience, unless its label is wider than that of the source.
    """
    draft = draft_of(stored.document)
    content = draft["content"]
    if finding.tlp is not None and is_wider(draft["tlp"], finding.tlp):
        label, group = _label(finding, tlp, audience)
        draft = {name: value for name, value in draft.items() if name not in ("tlp", "audience")}
        draft |= {name: value for name, value in (("tlp", label), ("audience", group)) if value}
        narrowed = True
    else:
        narrowed = False
    withdrawn = incident.content.get("status") == "withdrawn"
    if content.get("kind") != "vulnerability":
        raise Invalid(f"the incident of this key is of kind {content.get('kind')} and not an advisory's")
    if content.get("source", {}).get("sha256") == hashlib.sha256(raw).hexdigest():
        return draft if narrowed else None  # also where the operator has withdrawn it: that is its word
    own = {name: value for name, value in content.items() if name not in OWNED or withdrawn}
    owned = {name: value for name, value in incident.content.items() if name in OWNED}
    # An advisory that was withdrawn and is not any more: the vulnerability is open again.
    status = "withdrawn" if withdrawn else "open" if content["status"] == "withdrawn" else content["status"]
    return {**draft, "content": {**own, **owned, "status": status}}
