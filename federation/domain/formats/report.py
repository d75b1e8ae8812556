"""The report of an import: what became of each vulnerability."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import msgspec

Outcome = Literal["published", "revised", "unchanged", "skipped", "refused"]


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
    """The reason that it was skipped or refused, or that nothing changed."""


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
