"""Exposure: the operators that an incident affects, their answers, and the bodies and people affected.

Versions matched (``matching.py``) and statements of operators are counted together. An operator's own word
outranks what its versions suggest: deployments it states to be fixed or not affected are *cleared*, those it
states to be affected are affected. Deployments stated as fixed whose records still name an affected version
are counted apart, as *unconfirmed*.

A statement that is not understood clears nothing, and what an older one clears or a version leaves out is
unknown from then on: it may say that all is affected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import islice

from federation.domain.content.deployment import VersionState
from federation.domain.content.statement import StatementStatus
from federation.domain.exposure.answers import (
    AffectedDeployment,
    AffectedVersion,
    CopyAge,
    OperatorExposure,
    Total,
)
from federation.domain.exposure.buckets import (
    Bucket,
    CoverageSum,
    Explain,
    StatementRecord,
    UnreadStatement,
)
from federation.domain.exposure.reasons import Reason, Verdict
from federation.domain.messages import counted, takes_singular

CONFIRMABLE: frozenset[Reason] = frozenset({"in-range", "listed", "series"})
"""Reasons that end when the record of a deployment names a fixed version."""
CLEARING: frozenset[StatementStatus] = frozenset({"fixed", "known_not_affected"})
OPEN_STATUSES = (
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
MAX_VERSIONS = 100
MAX_DEPLOYMENTS = 100
MAX_STATEMENTS = 100
"""Entries of each kind in the answer about one operator, at most."""


# Totals


class OperatorTotals:
    """The effect of an incident on one operator, while it is added up."""

    def __init__(self, operator: str, vulnerabilities: Set[str] = frozenset()) -> None:
        self.operator = operator
        self._vulnerabilities: Sequence[str | None] = sorted(vulnerabilities) or (None,)
        self.affected, self.unknown, self.cleared = CoverageSum(), CoverageSum(), CoverageSum()
        self.not_affected = self.unconfirmed = 0
        self.statements: list[StatementRecord] = []
        """Newest first."""
        self.unread: list[UnreadStatement] = []
        """Statements that are not understood."""
        self.buckets: list[tuple[Bucket, Verdict, Reason, StatementStatus | None]] = []
        """Those affected or unknown."""

    @property
    def answer(self) -> StatementStatus | None:
        """The latest answer to the incident as a whole; None while a vulnerability of it is not answered."""
        return self._status(self.statements)

    def _status(self, statements: Iterable[StatementRecord]) -> StatementStatus | None:
        """The status that statements come to, the newest first: the latest on each vulnerability counts.

        Affected by one is affected; what is cleared is cleared of all.
        """
        listed = tuple(statements)
        statuses: set[StatementStatus | None] = set()
        for vulnerability in self._vulnerabilities:
            latest = next((entry for entry in listed if entry.answers(vulnerability)), None)
            status = latest.content.status if latest is not None else None
            statuses.add(None if status in CLEARING and self._is_unread(vulnerability, latest) else status)
        return next(status for status in _COMBINED if status in statuses)

    def _is_unread(self, vulnerability: str | None, latest: StatementRecord | None) -> bool:
        """True where a statement that is not understood is no older than the latest that is."""
        return any(
            entry.answers(vulnerability) and (latest is None or entry.updated_at >= latest.updated_at)
            for entry in self.unread
        )

    def _is_any_unread(self, statements: Sequence[StatementRecord]) -> bool:
        return bool(self.unread) and any(
            self._is_unread(
                vulnerability, next((entry for entry in statements if entry.answers(vulnerability)), None)
            )
            for vulnerability in self._vulnerabilities
        )

    @property
    def is_concerned(self) -> bool:
        return bool(self.statements or self.unread or self.affected.deployments or self.unknown.deployments)

    def add(self, bucket: Bucket) -> None:
        """Count a bucket, with the operator's latest statement on it."""
        concerning = [statement for statement in self.statements if statement.concerns(bucket)]
        stated = self._status(concerning)
        verdict, reason = bucket.verdict, bucket.reason
        if verdict == "not_affected" and reason != "not-in-use" and self._is_any_unread(concerning):
            verdict, reason = "unknown", "not-understood"
        if stated == "known_affected" and reason not in ("named", "not-in-use"):
            verdict, reason = "affected", "stated" if verdict != "affected" else reason
        if verdict == "not_affected":
            self.not_affected += bucket.deployments
            return
        if stated in CLEARING:
            self.cleared.add(bucket, reason)
            self.unconfirmed += bucket.deployments if stated == "fixed" and reason in CONFIRMABLE else 0
            return
        (self.affected if verdict == "affected" else self.unknown).add(bucket, reason)
        self.buckets.append((bucket, verdict, reason, stated))

    def named_deployments(self, explain: Explain) -> Iterable[AffectedDeployment]:
        for bucket, verdict, reason, stated in self.buckets:
            if bucket.id is not None:
                yield AffectedDeployment(
                    bucket.id,
                    bucket.solution,
                    verdict,
                    reason,
                    bucket.version,
                    stated,
                    bucket.named,
                    explain(bucket, reason),
                )


_COMBINED: tuple[StatementStatus | None, ...] = (
    "known_affected", None, "under_investigation", "fixed", "known_not_affected",
)  # fmt: skip
"""Of the statuses of several vulnerabilities, the first here is that of the incident; None: not answered."""


def totals_by_operator(
    buckets: Iterable[Bucket],
    statements: Sequence[StatementRecord],
    vulnerabilities: Set[str] = frozenset(),
    unread: Iterable[UnreadStatement] = (),
) -> dict[str, OperatorTotals]:
    """Add up the buckets of an incident and the statements on it, by operator.

    Of the statements that concern a deployment the newest on each of the ``vulnerabilities`` holds.
    """
    totals: dict[str, OperatorTotals] = {}

    def of(operator: str) -> OperatorTotals:
        if operator not in totals:
            totals[operator] = OperatorTotals(operator, vulnerabilities)
        return totals[operator]

    for statement in sorted(statements, key=lambda statement: statement.updated_at, reverse=True):
        of(statement.origin).statements.append(statement)
    for partly_read in unread:
        of(partly_read.origin).unread.append(partly_read)
    for bucket in buckets:
        of(bucket.origin).add(bucket)
    return totals


# Answers


_Row = tuple[str, str | None, VersionState | None, str | None, Verdict, Reason]
"""Solution, version and its state, the solution that the incident names, verdict and reason."""


def to_view(
    totals: OperatorTotals,
    copy: CopyAge,
    *,
    links: Mapping[tuple[str, str | None], str],
    explain: Explain,
    own: Sequence[AffectedDeployment] = (),
) -> OperatorExposure:
    """The part of an answer that is one operator's."""
    versions: dict[_Row, int] = Counter()
    examples: dict[_Row, Bucket] = {}
    for bucket, verdict, reason, _ in totals.buckets:
        if bucket.id is None:
            row = bucket.solution, bucket.version, bucket.version_state, bucket.named, verdict, reason
            versions[row] += bucket.deployments
            examples[row] = bucket
    frequent = sorted(versions.items(), key=lambda entry: (-entry[1], entry[0][0], entry[0][1] or ""))
    return OperatorExposure(
        operator=totals.operator,
        copy=copy,
        answer=totals.answer,
        affected=totals.affected.to_view(),
        unknown=totals.unknown.to_view(),
        cleared=totals.cleared.to_view(),
        not_affected=totals.not_affected,
        unconfirmed=totals.unconfirmed,
        statements=tuple(statement.to_view() for statement in totals.statements[:MAX_STATEMENTS]),
        versions=tuple(
            AffectedVersion(
                row[0],
                row[4],
                row[5],
                number,
                row[1],
                row[2],
                row[3],
                links.get(row[:2]),
                explain(examples[row], row[5]),
            )
            for row, number in frequent[:MAX_VERSIONS]
        ),
        deployments=(*islice(totals.named_deployments(explain), MAX_DEPLOYMENTS), *own)[:MAX_DEPLOYMENTS],
        statements_not_understood=len(totals.unread),
    )


def total(operators: Iterable[OperatorTotals]) -> Total:
    """All operators together."""
    concerned = [totals for totals in operators if totals.is_concerned]
    answers = Counter(totals.answer for totals in concerned if totals.answer)
    sums = CoverageSum(), CoverageSum(), CoverageSum()
    for totals in concerned:
        for sum_, part in zip(sums, (totals.affected, totals.unknown, totals.cleared), strict=True):
            sum_.merge(part)
    affected, unknown, cleared = (sum_.to_view() for sum_ in sums)
    return Total(
        operators=len(concerned),
        answered=sum(answers.values()),
        answers=dict(sorted(answers.items())),
        affected=affected,
        unknown=unknown,
        cleared=cleared,
    )


def summary(total_: Total, *, understood: bool = True) -> dict[str, str]:
    """The total in a sentence, in the two languages of the node; a warning comes first where it is needed."""
    warning = ("", "")
    if not understood:
        warning = (
            "this node does not understand the incident, and it may affect more: upgrade; ",
            "ce nœud ne comprend pas l'incident, qui peut en toucher d'autres : mettez-le à jour ; ",
        )
    affected, unsure = total_.affected, total_.unknown.deployments
    fixed = total_.answers.get("fixed", 0)
    operators = "operator" if takes_singular("en", total_.operators) else "operators"
    answered = (
        f"{total_.answered} opérateur sur {total_.operators} a répondu"
        if takes_singular("fr", total_.answered)
        else f"{total_.answered} opérateurs sur {total_.operators} ont répondu"
    )
    return {
        "en": (
            f"{warning[0]}{total_.answered} of {total_.operators} {operators} answered;"
            f" {counted('en', affected.communes, 'commune', 'communes')},"
            f" {counted('en', affected.inhabitants, 'inhabitant', 'inhabitants')} exposed;"
            f" {fixed} fixed; {counted('en', unsure, 'deployment', 'deployments')} unknown"
        ),
        "fr": (
            f"{warning[1]}{answered} ;"
            f" {counted('fr', affected.communes, 'commune', 'communes')},"
            f" {counted('fr', affected.inhabitants, 'habitant exposé', 'habitants exposés')} ;"
            f" {counted('fr', fixed, 'corrigé', 'corrigés')} ;"
            f" {counted('fr', unsure, 'déploiement', 'déploiements')} à vérifier"
        ),
    }
