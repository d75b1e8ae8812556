"""Import advisories: publish or revise the incidents made of them.

An incident's key is the advisory's id, so importing again finds it: the same advisory changes nothing, a
newer one replaces the members of the advisory and leaves those of the operator (status, timeline, audience).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from federation.domain.content.solution import Solution
from federation.domain.document import Document, check_id
from federation.domain.errors import Refused
from federation.domain.formats.catalogue import Catalogue
from federation.domain.formats.readers import READERS
from federation.domain.formats.report import ImportLine as ImportLine
from federation.domain.formats.report import ImportReport as ImportReport
from federation.domain.formats.report import report as report
from federation.domain.formats.revision import Label
from federation.domain.query import MAX_PAGE, PageKey, Query
from federation.domain.visibility import Caller, Tlp, itself
from federation.node import records
from federation.node.advisory_incidents import Import, detail_of, import_findings
from federation.node.node import Node

MAX_DIRECT_BYTES = 65_536
"""A longer advisory is read by a thread: the reading of a megabyte takes some 50 ms."""
MAX_SOLUTIONS = 20_000
"""Solutions that advisories and files are compared with, at most."""


async def catalogue(node: Node, solutions: Sequence[str] = ()) -> Catalogue:
    """The solutions that this node knows; or only ``solutions``, for advisories that do not name them."""
    for solution in solutions:
        origin, _, key = solution.partition("/")
        check_id(origin, key)
    return Catalogue(() if solutions else await known_solutions(node), always=tuple(solutions))


async def known_solutions(node: Node, by: Caller | None = None) -> list[tuple[str, Solution]]:
    """The solutions that this node knows, its own and those of peers, ``MAX_SOLUTIONS`` at most.

    ``by``: only those that this caller may see.
    """
    entries: list[tuple[str, Solution]] = []
    after: PageKey | None = None
    while len(entries) < MAX_SOLUTIONS:
        query = Query(kind=Solution, sort="id", limit=MAX_PAGE, after=after)
        documents, after, _ = await records.collect(node, query, by=by or itself(node.operator))
        for document in documents:
            record = _solution.decode(document)
            if record.content is not None:
                entries.append((f"{record.origin}/{record.key}", record.content))
        if after is None:
            break
    return entries


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
    import_ = Import(node, catalogue_, raw, source, by, Label(tlp, audience), dry_run)
    read = READERS[form]
    try:
        findings = read(raw) if len(raw) < MAX_DIRECT_BYTES else await asyncio.to_thread(read, raw)
        return await import_findings(import_, findings)
    except Refused as error:
        return [ImportLine("refused", source, detail=detail_of(error))]
