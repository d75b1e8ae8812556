"""Advisories of a source: imported as those of an upload, one document or one a line."""

from __future__ import annotations

from federation.domain.errors import Refused, TooLarge
from federation.domain.formats.advisory import MAX_ADVISORY_BYTES
from federation.domain.formats.report import ImportLine
from federation.domain.messages import translated
from federation.domain.sources.kinds import AdvisoryOptions
from federation.domain.sources.report import Outcome, ReportLine, Tally, rejected
from federation.domain.sources.source import ImportSource
from federation.domain.visibility import Caller
from federation.node import advisories
from federation.node.node import Node

_OUTCOMES: dict[str, Outcome] = {
    "published": "created",
    "revised": "revised",
    "unchanged": "unchanged",
    "skipped": "unchanged",
    "refused": "rejected",
}


async def import_document(
    node: Node, source: ImportSource, options: AdvisoryOptions, raw: bytes, *, by: Caller, dry_run: bool
) -> Tally:
    """Import the advisories of a file, and report each. Raises Invalid where no advisory is readable."""
    catalogue = await advisories.catalogue(node, options.solutions)
    tally = Tally()
    for place, document in documents_of(raw):
        if len(document) > MAX_ADVISORY_BYTES:
            error: Refused = TooLarge("an advisory has at most {maximum} bytes", maximum=MAX_ADVISORY_BYTES)
            tally.add(rejected(place, error))
            continue
        lines = await advisories.import_advisory(
            node,
            source.kind,
            document,
            catalogue,
            source=place,
            by=by,
            tlp=source.tlp,
            audience=source.audience,
            dry_run=dry_run,
        )
        for line in lines:
            tally.add(report_line(line))
    return tally


def documents_of(raw: bytes) -> list[tuple[str, bytes]]:
    """The documents of a file, each with its place: one a line where each line is an object, else one."""
    lines = [(f"line {number}", line) for number, line in enumerate(raw.splitlines(), 1) if line.strip()]
    is_ndjson = len(lines) > 1 and all(
        line.lstrip().startswith(b"{") and line.rstrip().endswith(b"}") for _, line in lines
    )
    return lines if is_ndjson else [("document", raw)]


def report_line(line: ImportLine) -> ReportLine:
    """The line of a vulnerability of an advisory."""
    reasons = (line.detail,) if line.detail else ()
    _, _, key = (line.incident or "").partition("/")
    return ReportLine(
        _OUTCOMES[line.outcome],
        f"{line.source}, {line.id}" if line.id else line.source,
        "incident",
        key,
        reasons,
        tuple(map(translated, reasons)),
        (),
        line.defaulted,
    )
