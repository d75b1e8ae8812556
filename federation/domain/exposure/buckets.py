"""The parts of an exposure: deployments with one match in common, statements about them, and their sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

import msgspec

from federation.domain.content.deployment import VersionState
from federation.domain.content.statement import Statement
from federation.domain.exposure.answers import AffectedCoverage, Because, StatementSummary
from federation.domain.exposure.coverage import covered_bodies, tally
from federation.domain.exposure.reasons import REASONS, Reason, Verdict


class Bucket(msgspec.Struct, frozen=True):
    """Deployments with one match in common, and the bodies they cover."""

    origin: str
    solution: str
    version: str | None
    version_state: VersionState | None
    reason: Reason
    deployments: int
    tokens: int = 0
    elsewhere: int = 0
    counted: int = 0
    areas: int = 0
    group: int | None = None
    """The stored group; deployments that the incident or a statement names are subtracted."""
    id: str | None = None
    """Set for a single deployment, which the incident or a statement names."""
    named: str | None = None
    """The solution that the incident names, where this is the same software under another id."""

    @property
    def verdict(self) -> Verdict:
        return REASONS[self.reason].verdict


Explain = Callable[[Bucket, Reason], Because]
"""Explains an answer about a bucket; it is called for the rows that are shown."""


class StatementRecord(msgspec.Struct, frozen=True):
    """A statement and its origin."""

    origin: str
    id: str
    updated_at: datetime
    content: Statement
    vulnerabilities: frozenset[str] | None = None
    """Those of the incident's vulnerabilities that it speaks of; None for the incident as a whole."""

    def answers(self, vulnerability: str | None) -> bool:
        return self.vulnerabilities is None or vulnerability in self.vulnerabilities

    def concerns(self, bucket: Bucket) -> bool:
        if bucket.origin != self.origin:
            return False
        return not self.content.deployments or bucket.id in self.content.deployments

    def to_view(self) -> StatementSummary:
        content = self.content
        return StatementSummary(
            self.id,
            content.status,
            self.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            content.deployments,
            content.justification,
            content.planned_at,
        )


class UnreadStatement(msgspec.Struct, frozen=True):
    """A statement that is not understood: of whichever deployments of its operator, it may say anything."""

    origin: str
    updated_at: datetime
    vulnerabilities: frozenset[str] | None = None
    """As of a statement."""

    def answers(self, vulnerability: str | None) -> bool:
        return self.vulnerabilities is None or vulnerability in self.vulnerabilities


class CoverageSum:
    """Adds up buckets; a body in several of them counts once."""

    def __init__(self) -> None:
        self.deployments = self.tokens = self.elsewhere = self.counted = self.areas = 0
        self.reasons: Counter[Reason] = Counter()

    def add(self, bucket: Bucket, reason: Reason) -> None:
        self.deployments += bucket.deployments
        self.tokens |= bucket.tokens
        self.elsewhere |= bucket.elsewhere
        self.counted += bucket.counted
        self.areas += bucket.areas
        self.reasons[reason] += bucket.deployments

    def merge(self, addend: CoverageSum) -> None:
        self.deployments += addend.deployments
        self.tokens |= addend.tokens
        self.elsewhere |= addend.elsewhere
        self.counted += addend.counted
        self.areas += addend.areas
        self.reasons.update(addend.reasons)

    @property
    def bodies(self) -> int:
        """The bodies of the register, as a set."""
        return covered_bodies(self.tokens)

    def to_view(self) -> AffectedCoverage:
        count = tally(self.tokens, others=self.elsewhere.bit_count(), counted=self.counted, areas=self.areas)
        return AffectedCoverage(
            **msgspec.structs.asdict(count),
            deployments=self.deployments,
            reasons=dict(sorted((reason, n) for reason, n in self.reasons.items() if n)),
        )
