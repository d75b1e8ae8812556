"""Import an archive of advisories: the next import of the same archive reads the files, and no more.

1. Read the solutions that are known here, and what an earlier import found of which advisory. That holds for
   the same solutions, options and program; otherwise all advisories are read anew.
2. An advisory whose bytes were read before, and whose incidents are as they were then, is counted. Any other
   one is imported.
3. At the end, store what was found of those that were imported. A refused one is not stored: its reason is
   reported each time. An import that is interrupted stores nothing, and the next one begins anew.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import islice
from pathlib import Path

import msgspec

from federation import domain
from federation.domain.formats.report import ImportLine, OutcomeCounts
from federation.domain.visibility import Tlp, itself
from federation.node import advisories
from federation.node.node import Node
from federation.store.read_advisories import MAX_READ_ADVISORIES, ReadAdvisory

MAX_LISTED = 10_000
"""Published, revised and refused vulnerabilities that a report lists."""
MAX_LISTED_UNCHANGED = 1_000
"""Unchanged and skipped ones."""
STORED_AT_ONCE = 5_000
"""Advisories whose outcome is stored by one statement."""
QUIET_OUTCOMES = frozenset({"unchanged", "skipped"})


class ArchiveReport(msgspec.Struct, frozen=True):
    """The outcome of an import of many advisories."""

    dry_run: bool
    summary: OutcomeCounts
    advisories: tuple[ImportLine, ...]
    omitted: int
    """Vulnerabilities that are counted and not listed."""


class ImportTally:
    """Counts the outcomes of an import, and lists a bounded number of them."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lines: list[ImportLine] = []
        self._listed: Counter[bool] = Counter()
        self.defaults: Counter[str] = Counter()
        """Members that were given a default, each with the number of vulnerabilities."""

    @property
    def summary(self) -> OutcomeCounts:
        return OutcomeCounts(**self._counts)

    def add(self, line: ImportLine, number: int = 1) -> None:
        self._counts[line.outcome] += number
        self.defaults.update(note.split(":")[0] for note in line.defaulted)
        is_quiet = line.outcome in QUIET_OUTCOMES
        if self._listed[is_quiet] < (MAX_LISTED_UNCHANGED if is_quiet else MAX_LISTED):
            self._listed[is_quiet] += 1
            self._lines.append(line)

    def report(self, *, dry_run: bool) -> ArchiveReport:
        omitted = self._counts.total() - len(self._lines)
        return ArchiveReport(dry_run, self.summary, tuple(self._lines), omitted)


class ArchiveImport:
    """Imports advisories of one form, one after another, and remembers what came of each."""

    def __init__(
        self,
        node: Node,
        form: str,
        *,
        solutions: Sequence[str] = (),
        tlp: Tlp | None = None,
        audience: str | None = None,
        dry_run: bool = False,
    ) -> None:
        self._node = node
        self._form = form
        self._solutions = tuple(solutions)
        self._tlp: Tlp | None = tlp
        self._audience = audience
        self._dry_run = dry_run
        self._by = itself(node.operator)
        self._read: dict[bytes, ReadAdvisory] = {}
        self._states: dict[bytes, bytes] = {}
        self._imported: dict[bytes, tuple[int, int]] = {}
        """Incidents and skipped vulnerabilities of advisories that were imported now."""

    async def begin(self) -> None:
        """Read the solutions that are known here, and the advisories that were read before."""
        async with self._node.store.read() as tx:
            known = await tx.read_advisories.catalogue_digest(self._node.operator)
            options = repr((self._form, self._solutions, self._tlp, self._audience)).encode()
            self._basis = hashlib.sha256(b"\0".join((_program_digest(), known, options))).digest()
            self._read = await tx.read_advisories.all(self._form, self._basis)
            if any(advisory.incidents for advisory in self._read.values()):
                self._states = await tx.read_advisories.incident_states(self._node.operator)
        # After its hash: a solution that arrives in between makes the next import read anew.
        self._catalogue = await advisories.catalogue(self._node, self._solutions)

    async def add(self, source: str, raw: bytes) -> list[tuple[ImportLine, int]]:
        """Import an advisory. Returns its outcomes, each with the number of its vulnerabilities."""
        digest = hashlib.sha256(raw).digest()
        before = self._read.get(digest)
        if before is not None and self._states.get(digest, b"") == before.state:
            lines = (
                (ImportLine("unchanged", source, detail="as at an earlier import"), before.incidents),
                (ImportLine("skipped", source, detail=_SKIPPED_BEFORE), before.skipped),
            )
            return [(line, number) for line, number in lines if number]
        imported = await advisories.import_advisory(
            self._node,
            self._form,
            raw,
            self._catalogue,
            source=source,
            by=self._by,
            tlp=self._tlp,
            audience=self._audience,
            dry_run=self._dry_run,
        )
        skipped = sum(line.outcome == "skipped" for line in imported)
        if all(line.outcome != "refused" for line in imported):
            self._imported[digest] = (len(imported) - skipped, skipped)
        else:
            self._imported.pop(digest, None)
        return [(line, 1) for line in imported]

    async def end(self) -> None:
        """Store what was found of the advisories that were imported; nothing after a dry run."""
        if self._dry_run or not self._imported:
            return
        async with self._node.store.read() as tx:
            # As they are now: an import after this one compares with it.
            states = await tx.read_advisories.incident_states(self._node.operator)
        found = (
            (digest, ReadAdvisory(incidents, skipped, states.get(digest, b"")))
            for digest, (incidents, skipped) in islice(self._imported.items(), MAX_READ_ADVISORIES)
            # Without its own hash in an incident, it was an older copy: the next import looks again.
            if bool(incidents) == (digest in states)
        )
        async with self._node.store.write() as tx:
            await tx.read_advisories.forget_others(self._form, self._basis)
        while rows := tuple(islice(found, STORED_AT_ONCE)):
            async with self._node.store.write() as tx:
                await tx.read_advisories.store(self._form, self._basis, rows)


_SKIPPED_BEFORE = "no solution that is known here is named by it, as at an earlier import"


@cache
def _program_digest() -> bytes:
    """A hash of the code that reads advisories: after an upgrade, all of them are read anew."""
    digest = hashlib.sha256()
    files = [
        *sorted(Path(advisories.__file__).parent.glob("advisor*.py")),
        *sorted(Path(domain.__file__).parent.rglob("*.py")),
    ]
    for file in files:
        digest.update(file.read_bytes())
    return digest.digest()
