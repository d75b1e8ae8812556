"""A stored incident, with the parts of it that exposure matches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from federation.domain.content.incident import Affected, Incident
from federation.domain.document import Document
from federation.domain.exposure.answers import IncidentSummary
from federation.domain.exposure.partial import PartialIncident, is_over, partial_incident
from federation.domain.exposure.totals import OPEN_STATUSES
from federation.domain.values import as_instant

_SHARED_ALIAS = re.compile(r"(CVE|GHSA|EUVD|CERTFR|PYSEC)-[A-Za-z0-9-]+")
_CATALOGUES = ("CVE", "GHSA", "EUVD", "PYSEC")
"""Catalogues with one entry for each vulnerability, the most used first. A bulletin of CERT-FR has many."""


class IncidentRecord(msgspec.Struct, frozen=True):
    """An incident read from its stored document."""

    id: str
    published_at: str
    updated_at: str
    content: Incident | PartialIncident

    @property
    def understood(self) -> bool:
        return not isinstance(self.content, PartialIncident)

    @property
    def affects_any(self) -> bool:
        """True where it is not understood, and may affect any solution."""
        return isinstance(self.content, PartialIncident) and self.content.affects_any

    @classmethod
    def partial(cls, id_: str, updated_at: datetime, document: bytes) -> IncidentRecord:
        """An incident that is not understood, as far as it can be read."""
        published_at = _times.decode(document).created_at
        return cls(id_, as_instant(published_at), as_instant(updated_at), partial_incident(document))

    @classmethod
    def of(cls, document: bytes) -> IncidentRecord:
        record = _decoder.decode(document)
        assert record.content is not None  # noqa: S101 - no tombstone is given
        return cls(f"{record.origin}/{record.key}", record.created_at, record.updated_at, record.content)

    @property
    def entries(self) -> tuple[Affected, ...]:
        """The entries that concern all deployments of a solution."""
        return tuple(solution_entries(self.content.kind, self.content.affects))

    @property
    def solutions(self) -> tuple[str, ...]:
        return tuple(sorted({entry.solution for entry in self.entries if entry.solution}))

    @property
    def spreading(self) -> tuple[str, ...]:
        """The solutions whose same software under another id is affected, too."""
        return tuple(sorted(set(spreading_solutions(self.content.kind, self.content.affects))))

    @property
    def named_deployments(self) -> frozenset[str]:
        """The deployments it names."""
        return frozenset(name for entry in self.content.affects for name in entry.deployments)

    @property
    def shared_aliases(self) -> tuple[str, ...]:
        """Aliases from public catalogues: they mean one thing to every operator."""
        return tuple(alias for alias in self.content.aliases if _SHARED_ALIAS.fullmatch(alias))

    @property
    def vulnerabilities(self) -> frozenset[str]:
        """The vulnerabilities that it is about: its entries in the first catalogue that it names.

        Without any its other shared aliases; empty for an incident that has none.
        """
        return next(filter(None, map(self._entries_in, _CATALOGUES)), frozenset(self.shared_aliases))

    def _entries_in(self, catalogue: str) -> frozenset[str]:
        return frozenset(alias for alias in self.shared_aliases if alias.startswith(f"{catalogue}-"))

    def answered_by(self, other: IncidentRecord) -> frozenset[str]:
        """Those of its vulnerabilities that a statement on another incident speaks of.

        An incident of one vulnerability may have a name in each catalogue: one in common is enough where the
        catalogue that this one is known by names no other there.
        """
        own = self.vulnerabilities
        if not any(map(self._entries_in, _CATALOGUES)):
            # A bulletin, of whose vulnerabilities nothing is known: one of them does not answer it.
            return frozenset() if any(map(other._entries_in, _CATALOGUES)) else own & other.vulnerabilities
        catalogue = next(name for name in _CATALOGUES if self._entries_in(name))
        if theirs := other._entries_in(catalogue):
            return own & theirs
        in_common = any(self._entries_in(name) & other._entries_in(name) for name in _CATALOGUES)
        return own if len(own) == 1 and in_common else frozenset()

    def is_open(self, now: datetime) -> bool:
        """False when it is over, by its status or by the end of its window."""
        if not self.understood:
            return not is_over(self.content.status)
        return self.content.status in OPEN_STATUSES and not self.content.is_overdue(now)

    def to_view(self, now: datetime) -> IncidentSummary:
        content = self.content
        return IncidentSummary(
            self.id,
            content.title,
            content.kind,
            content.status,
            content.severity,
            content.aliases,
            content.exploitation,
            self.published_at,
            self.updated_at,
            content.is_overdue(now),
            not self.understood,
        )


class _Times(msgspec.Struct):
    created_at: datetime


_times = msgspec.json.Decoder(_Times)
_decoder = msgspec.json.Decoder(Document[Incident])


def solution_entries(kind: str, entries: Iterable[Affected]) -> Iterator[Affected]:
    """The entries that concern all deployments of a solution.

    An outage, a degradation or a maintenance that names deployments is theirs: the solution beside them
    says what they are, and the same software elsewhere is not down. A vulnerability without a range is a
    question to everybody who runs it.
    """
    for entry in entries:
        if entry.solution is not None and not (entry.deployments and _is_local(kind, entry)):
            yield entry


def spreading_solutions(kind: str, entries: Iterable[Affected]) -> Iterator[str]:
    """The solutions whose same software under another id is affected, too.

    A flaw of the software spreads; one operator's service that is down does not.
    """
    for entry in solution_entries(kind, entries):
        if entry.solution is not None and not _is_local(kind, entry):
            yield entry.solution


def _is_local(kind: str, entry: Affected) -> bool:
    """True for an event at the place where something runs, and not in the software."""
    return (
        kind in ("outage", "degradation", "maintenance") and entry.range is None and entry.range_text is None
    )
