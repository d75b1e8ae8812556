"""Exposure: who is hit by an incident, who has answered, and whom that leaves.

What is matched (``matching.py``) and what operators state are told side by side. An operator's own word
outranks what its versions let us think: what it says is fixed or not affected is *cleared*, what it says is
affected is. Where it says fixed and its records still name a version that is hit, that is told, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from federation.domain.content.statement import Statement, StatementStatus
from federation.domain.exposure.coverage import Tally, covered_bodies, tally
from federation.domain.exposure.matching import REASONS, Reason, Verdict

CopyState = Literal["own", "verified", "unverified", "stale", "diverged", "suspended", "left", "unknown"]
"""How far the copy of an operator's records can be relied on: ``own`` is no copy; ``unknown``: it is no peer
of ours, and never was or was forgotten."""

CLEARING: frozenset[StatementStatus] = frozenset({"fixed", "known_not_affected"})
OPEN = (
    "investigating",
    "identified",
    "monitoring",
    "scheduled",
    "in_progress",
    "verifying",
    "open",
    "mitigated",
)
"""Statuses of incidents that are not over."""


class CopyAge(msgspec.Struct, frozen=True):
    """How old and how verified the copy of an operator's records is that this node answers from."""

    state: CopyState
    age_seconds: int | None
    """Since it was last known to be what the operator has; null when that is not known."""


class AffectedCoverage(Tally, frozen=True, kw_only=True):
    """How much: deployments, and whom they cover."""

    deployments: int
    reasons: dict[Reason, int] = msgspec.field(default_factory=dict)
    """Deployments by the reason of their answer."""


class Answer(msgspec.Struct, frozen=True):
    """A statement as exposure tells it."""

    id: str
    status: StatementStatus
    updated_at: str
    deployments: tuple[str, ...] = ()
    """Those it speaks of; empty: all of the operator's."""
    justification: str | None = None
    planned_at: str | None = None


class AffectedVersion(msgspec.Struct, frozen=True, omit_defaults=True):
    """Deployments of an operator that have one version."""

    solution: str
    verdict: Verdict
    reason: Reason
    deployments: int
    version: str | None = None
    version_state: str | None = None
    named: str | None = None
    """The solution that the incident names, where it is the same software under another id."""
    list: str | None = None
    """Where these deployments can be listed."""


class AffectedDeployment(msgspec.Struct, frozen=True, omit_defaults=True):
    """One deployment that is hit or may be."""

    id: str
    solution: str
    verdict: Verdict
    reason: Reason
    version: str | None = None
    stated: StatementStatus | None = None
    named: str | None = None
    """As of versions."""


class OperatorExposure(msgspec.Struct, frozen=True):
    """What an incident means for one operator."""

    operator: str
    copy: CopyAge
    answer: StatementStatus | None
    """The status of its latest statement; null while it has not answered."""
    affected: AffectedCoverage
    unknown: AffectedCoverage
    cleared: AffectedCoverage
    """What would be hit or may be, and of which the operator says that it is fixed or not affected."""
    not_affected: int
    """Deployments that are not hit."""
    unconfirmed: int
    """Deployments said to be fixed whose records still name a version that is hit."""
    statements: tuple[Answer, ...]
    versions: tuple[AffectedVersion, ...]
    """The versions that are hit or may be, a hundred at most, the most frequent first."""
    deployments: tuple[AffectedDeployment, ...] = ()
    """Those hit, or that may be, which the incident or a statement names; of the caller's own all.
    A hundred at most."""


class Total(msgspec.Struct, frozen=True):
    """All operators together; a body that two of them serve counts once."""

    operators: int
    """Operators that are hit, or may be, or have answered."""
    answered: int
    answers: dict[StatementStatus, int]
    """Operators by the status of their latest statement."""
    affected: AffectedCoverage
    unknown: AffectedCoverage
    cleared: AffectedCoverage


# What it is made of


class Bucket(msgspec.Struct, frozen=True):
    """Deployments that have one answer in common, and whom they cover."""

    origin: str
    solution: str
    version: str | None
    version_state: str | None
    reason: Reason
    deployments: int
    tokens: int = 0
    others: int = 0
    counted: int = 0
    areas: int = 0
    group: int | None = None
    """The group that it is what is left of."""
    id: str | None = None
    """Of a deployment that is told by itself: named by the incident or by a statement."""
    named: str | None = None
    """The solution that the incident names, where this is the same software under another id."""

    @property
    def verdict(self) -> Verdict:
        return REASONS[self.reason][0]


class StatementSummary(msgspec.Struct, frozen=True):
    """A statement and who made it."""

    origin: str
    id: str
    updated_at: datetime
    content: Statement

    def speaks_of(self, portion: Bucket) -> bool:
        if portion.origin != self.origin:
            return False
        return not self.content.deployments or portion.id in self.content.deployments


class CoverageSum:
    """Adds up portions."""

    def __init__(self) -> None:
        self.deployments = self.tokens = self.others = self.counted = self.areas = 0
        self.reasons: Counter[Reason] = Counter()

    def add(self, portion: Bucket, reason: Reason) -> None:
        self.deployments += portion.deployments
        self.tokens |= portion.tokens
        self.others |= portion.others
        self.counted += portion.counted
        self.areas += portion.areas
        self.reasons[reason] += portion.deployments

    def merge(self, other: CoverageSum) -> None:
        self.deployments += other.deployments
        self.tokens |= other.tokens
        self.others |= other.others
        self.counted += other.counted
        self.areas += other.areas
        self.reasons.update(other.reasons)

    @property
    def reached(self) -> int:
        """The bodies of the register, as a set."""
        return covered_bodies(self.tokens)

    def extent(self) -> AffectedCoverage:
        told = tally(self.tokens, others=self.others.bit_count(), counted=self.counted, areas=self.areas)
        return AffectedCoverage(
            **msgspec.structs.asdict(told),
            deployments=self.deployments,
            reasons=dict(sorted((reason, n) for reason, n in self.reasons.items() if n)),
        )


class OperatorTotals:
    """What an incident means for one operator, while it is added up."""

    def __init__(self, operator: str) -> None:
        self.operator = operator
        self.affected, self.unknown, self.cleared = CoverageSum(), CoverageSum(), CoverageSum()
        self.not_affected = self.unconfirmed = 0
        self.said: list[StatementSummary] = []
        self.portions: list[tuple[Bucket, Verdict, Reason, StatementStatus | None]] = []

    @property
    def answer(self) -> StatementStatus | None:
        return self.said[0].content.status if self.said else None

    @property
    def is_concerned(self) -> bool:
        return bool(self.said or self.affected.deployments or self.unknown.deployments)

    def add(self, portion: Bucket) -> None:
        """Count a portion, with what the operator's latest statement on it says."""
        stated = next((one.content.status for one in self.said if one.speaks_of(portion)), None)
        verdict, reason = portion.verdict, portion.reason
        if stated == "known_affected" and reason not in ("named", "not-in-use"):
            verdict, reason = "affected", "stated" if verdict != "affected" else reason
        if verdict == "not_affected":
            self.not_affected += portion.deployments
            return
        if stated in CLEARING:
            self.cleared.add(portion, reason)
            self.unconfirmed += portion.deployments if stated == "fixed" and reason == "in-range" else 0
            return
        (self.affected if verdict == "affected" else self.unknown).add(portion, reason)
        self.portions.append((portion, verdict, reason, stated))


def totals_by_operator(
    portions: Iterable[Bucket], statements: Sequence[StatementSummary]
) -> dict[str, OperatorTotals]:
    """What the portions of an incident and the statements on it come to, by operator.

    Statements come newest first; of those that speak of a deployment the newest holds.
    """
    found: dict[str, OperatorTotals] = {}
    for said in sorted(statements, key=lambda one: one.updated_at, reverse=True):
        found.setdefault(said.origin, OperatorTotals(said.origin)).said.append(said)
    for portion in portions:
        found.setdefault(portion.origin, OperatorTotals(portion.origin)).add(portion)
    return found


MOST_VERSIONS = 100
MOST_LISTED = 100
MOST_STATEMENTS = 100
"""Versions, own deployments and statements of one operator that are told, at most."""


def to_view(
    ledger: OperatorTotals,
    copy: CopyAge,
    *,
    links: Mapping[tuple[str, str | None], str],
    own: Sequence[AffectedDeployment] = (),
) -> OperatorExposure:
    """The part of an answer that is one operator's."""
    versions: dict[tuple[str, str | None, str | None, str | None, Verdict, Reason], int] = Counter()
    for portion, verdict, reason, _ in ledger.portions:
        if portion.id is None:
            versions[
                portion.solution, portion.version, portion.version_state, portion.named, verdict, reason
            ] += portion.deployments
    hits = sorted(versions.items(), key=lambda one: (-one[1], one[0][0], one[0][1] or ""))
    return OperatorExposure(
        operator=ledger.operator,
        copy=copy,
        answer=ledger.answer,
        affected=ledger.affected.extent(),
        unknown=ledger.unknown.extent(),
        cleared=ledger.cleared.extent(),
        not_affected=ledger.not_affected,
        unconfirmed=ledger.unconfirmed,
        statements=tuple(_answer(one) for one in ledger.said[:MOST_STATEMENTS]),
        versions=tuple(
            AffectedVersion(
                solution, verdict, reason, number, version, state, named, links.get((solution, version))
            )
            for (solution, version, state, named, verdict, reason), number in hits[:MOST_VERSIONS]
        ),
        deployments=(*_by_name(ledger), *own)[:MOST_LISTED],
    )


def _by_name(ledger: OperatorTotals) -> Iterable[AffectedDeployment]:
    for portion, verdict, reason, stated in ledger.portions:
        if portion.id is not None:
            yield AffectedDeployment(
                portion.id, portion.solution, verdict, reason, portion.version, stated, portion.named
            )


def _answer(said: StatementSummary) -> Answer:
    content = said.content
    return Answer(
        said.id,
        content.status,
        said.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        content.deployments,
        content.justification,
        content.planned_at,
    )


def total(several: Iterable[OperatorTotals]) -> Total:
    """All operators together."""
    concerned = [one for one in several if one.is_concerned]
    answers = Counter(one.answer for one in concerned if one.answer)
    sums = CoverageSum(), CoverageSum(), CoverageSum()
    for ledger in concerned:
        for whole, part in zip(sums, (ledger.affected, ledger.unknown, ledger.cleared), strict=True):
            whole.merge(part)
    affected, unknown, cleared = (one.extent() for one in sums)
    return Total(
        operators=len(concerned),
        answered=sum(answers.values()),
        answers=dict(sorted(answers.items())),
        affected=affected,
        unknown=unknown,
        cleared=cleared,
    )


def summary(found: Total) -> dict[str, str]:
    """The total in a sentence, in the two languages of the node."""
    hit, fixed = found.affected, found.answers.get("fixed", 0)
    unsure = found.unknown.deployments

    def number(value: int) -> str:
        return f"{value:,}".replace(",", "\u202f")

    return {
        "en": (
            f"{found.answered} of {found.operators} operators answered; {number(hit.communes)} communes,"
            f" {number(hit.inhabitants)} inhabitants exposed;"
            f" {fixed} fixed; {number(unsure)} deployments unknown"
        ),
        "fr": (
            f"{found.answered} opérateurs sur {found.operators} ont répondu ;"
            f" {number(hit.communes)} communes, {number(hit.inhabitants)} habitants exposés ;"
            f" {fixed} corrigé(s) ; {number(unsure)} déploiements à vérifier"
        ),
    }
