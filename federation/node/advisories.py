"""Advisories in: the verb that publishes or revises the incidents made of them.

An incident's key is the advisory's id, so importing again finds it: the same advisory changes nothing, a
newer one replaces what is the advisory's and leaves what the operator has added (status, timeline, audience).
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
from federation.domain.formats import READERS
from federation.domain.formats.advisory import OWNED, DraftIncident, Finding, incident_of
from federation.domain.formats.catalogue import Catalogue
from federation.domain.query import MAX_PAGE, PageKey, Query
from federation.domain.record import draft_of, equals_stored
from federation.domain.stored import StoredRecord
from federation.domain.visibility import Caller, Tlp
from federation.node import records
from federation.node.node import Node
from federation.node.records import Preconditions

Outcome = Literal["published", "revised", "unchanged", "skipped", "refused"]
MAX_ATTEMPTS = 5
"""How often an incident that somebody else wrote meanwhile is looked at again."""
MAX_SOLUTIONS = 20_000
"""Solutions that advisories are compared with, at most."""


class ImportLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one vulnerability of an advisory."""

    outcome: Outcome
    source: str
    """The file, or where in the upload it was."""
    id: str | None = None
    """The advisory's own id."""
    incident: str | None = None
    defaulted: tuple[str, ...] = ()
    """What the advisory does not tell and was given a default, and what was taken for what."""
    as_text: int = 0
    """Ranges that could not be expressed and are kept as text: they answer unknown."""
    detail: str | None = None
    """Why it was skipped or refused."""


class OutcomeCounts(msgspec.Struct, frozen=True):
    """How many of each outcome."""

    published: int = 0
    revised: int = 0
    unchanged: int = 0
    skipped: int = 0
    refused: int = 0


class ImportReport(msgspec.Struct, frozen=True):
    """What became of the advisories."""

    dry_run: bool
    summary: OutcomeCounts
    advisories: tuple[ImportLine, ...]


def report(lines: Sequence[ImportLine], *, dry_run: bool) -> ImportReport:
    counted: dict[str, int] = Counter(line.outcome for line in lines)
    return ImportReport(dry_run, OutcomeCounts(**counted), tuple(lines))


async def catalogue(node: Node, solutions: Sequence[str] = ()) -> Catalogue:
    """The solutions that this node knows; or only those named, for advisories that do not say it."""
    for one in solutions:
        origin, _, key = one.partition("/")
        check_id(origin, key)
    known: list[tuple[str, Solution]] = []
    place: PageKey | None = None
    while not solutions and len(known) < MAX_SOLUTIONS:
        query = Query(kind=Solution, sort="id", limit=MAX_PAGE, after=place)
        documents, place, _ = await records.collect(
            node, query, by=Caller(node=node.operator, operator=node.operator)
        )
        for document in documents:
            read = _solution.decode(document)
            if read.content is not None:
                known.append((f"{read.origin}/{read.key}", read.content))
        if place is None:
            break
    return Catalogue(known, always=tuple(solutions))


_solution = msgspec.json.Decoder(Document[Solution])


async def import_advisory(
    node: Node,
    form: str,
    raw: bytes,
    known: Catalogue,
    *,
    source: str,
    by: Caller,
    tlp: Tlp | None = None,
    audience: str | None = None,
    dry_run: bool = False,
) -> list[ImportLine]:
    """Publish or revise the incidents of one advisory. Nothing of one that is refused is kept."""
    try:
        findings = READERS[form](raw)
    except Refused as error:
        return [ImportLine("refused", source, detail=_said(error))]
    lines = []
    for finding in findings:
        try:
            lines.append(
                await _one(node, finding, raw, known, source, by, tlp=tlp, audience=audience, dry_run=dry_run)
            )
        except Refused as error:
            lines.append(ImportLine("refused", source, finding.id, detail=_said(error)))
    return lines


def _said(error: Refused) -> str:
    return f"{error.detail} (at {error.pointer})" if error.pointer else error.detail


async def _one(
    node: Node,
    finding: Finding,
    raw: bytes,
    known: Catalogue,
    source: str,
    by: Caller,
    *,
    tlp: Tlp | None,
    audience: str | None,
    dry_run: bool,
) -> ImportLine:
    key = finding.key
    made = incident_of(finding, known.find, raw)
    held = await _held(node, key, by)
    if made is None:
        if held is None or not finding.withdrawn:
            names = ", ".join(
                name.partition(":")[2] for one in finding.products[:3] for name in one.names[:1]
            )
            why = f"no solution that is known here is {names or 'named by it'}"
            return ImportLine("skipped", source, finding.id, detail=why)
        # A rejected record may no longer name a product.
        source_ = {"url": finding.url, "sha256": hashlib.sha256(raw).hexdigest()}
        made = DraftIncident({"status": "withdrawn", "source": source_}, ())
    if held is not None and held.retracted:
        return ImportLine("skipped", source, finding.id, detail=f"{node.operator}/{key} was retracted here")
    as_text = sum("range_text" in entry for entry in made.content.get("affects", ()))
    line = ImportLine("published", source, finding.id, f"{node.operator}/{key}", made.defaulted, as_text)
    shape: Any = Draft
    for _ in range(MAX_ATTEMPTS):
        wanted = _revised(held, made, raw) if held is not None else _new(made, tlp, audience)
        if wanted is None:
            return msgspec.structs.replace(line, outcome="unchanged")
        draft = check_draft(wanted, shape[Incident])
        if held is not None and equals_stored(draft, held.document):
            return msgspec.structs.replace(line, outcome="unchanged")
        line = msgspec.structs.replace(line, outcome="published" if held is None else "revised")
        if dry_run:
            return line
        unchanged = (
            Preconditions(none_match=frozenset({"*"}))
            if held is None
            else Preconditions(match=frozenset({held.hash.hex()}))
        )
        try:
            await records.publish(node, Incident, draft, node.operator, key, by=by, preconditions=unchanged)
        except PreconditionFailed:
            held = await _held(node, key, by)
            continue
        return line
    raise Invalid(f"{node.operator}/{key} was always written by others meanwhile; import it again")


async def _held(node: Node, key: str, by: Caller) -> StoredRecord | None:
    try:
        return await records.find(node, Incident, node.operator, key, by=by)
    except NotFound:
        return None


def _new(made: DraftIncident, tlp: Tlp | None, audience: str | None) -> dict[str, Any]:
    envelope = {"tlp": tlp, "audience": audience}
    return {**{name: value for name, value in envelope.items() if value}, "content": made.content}


def _revised(held: StoredRecord, made: DraftIncident, raw: bytes) -> dict[str, Any] | None:
    """What is held with what the advisory says now; None when it is the same advisory."""
    draft = draft_of(held.document)
    content = draft["content"]
    withdrawn = made.content.get("status") == "withdrawn"
    if content.get("kind") != "vulnerability":
        raise Invalid(f"the incident of this key is of kind {content.get('kind')} and not an advisory's")
    if content.get("source", {}).get("sha256") == hashlib.sha256(raw).hexdigest():
        return None  # also where the operator has withdrawn it: that is its word
    kept = {name: value for name, value in content.items() if name not in OWNED or withdrawn}
    taken = {name: value for name, value in made.content.items() if name in OWNED}
    # An advisory that was withdrawn and is not any more: the vulnerability is open again.
    status = "withdrawn" if withdrawn else "open" if content["status"] == "withdrawn" else content["status"]
    return {**draft, "content": {**kept, **taken, "status": status}}
