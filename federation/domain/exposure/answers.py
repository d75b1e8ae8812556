"""The answers about exposure, as the API and the command line give them.

JSON members have the names of these fields.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from federation.domain.content.statement import StatementStatus
from federation.domain.exposure.coverage import Tally
from federation.domain.exposure.linkage import LinkedSolution
from federation.domain.exposure.reasons import Reason, Verdict
from federation.domain.values import Instant

CopyState = Literal["own", "verified", "unverified", "stale", "diverged", "suspended", "left", "unknown"]
"""Trust in the copy of an operator's records: ``own`` is no copy; ``unknown``: the operator is no peer of
ours, and never was or was forgotten."""
CurrentThrough = Annotated[
    Instant,
    msgspec.Meta(
        description="Every record that had arrived at this node by then is counted; a later one may not be."
    ),
]


# One operator


class CopyAge(msgspec.Struct, frozen=True):
    """Age and verification of the copy of an operator's records that this node answers from."""

    state: CopyState
    age_seconds: int | None
    """Since it was last known to be what the operator has; null when that is not known."""


class AffectedCoverage(Tally, frozen=True, kw_only=True):
    """A number of deployments, and the bodies and people they cover."""

    deployments: int
    reasons: dict[Reason, int] = msgspec.field(default_factory=dict)
    """Deployments by the reason of their answer."""


class StatementSummary(msgspec.Struct, frozen=True):
    """A statement of an operator on the incident."""

    id: str
    status: StatementStatus
    updated_at: Instant
    deployments: tuple[str, ...] = ()
    """Those it speaks of; empty: all of the operator's."""
    justification: str | None = None
    planned_at: Instant | None = None


class Because(msgspec.Struct, frozen=True, omit_defaults=True):
    """The explanation of an answer about a version or a deployment."""

    rule: Reason
    """The rule that gave the answer: the reason."""
    text: dict[str, str]
    """The rule in a sentence, in English and in French."""
    entry: int | None = None
    """Index, in the incident's `affects`, of the entry that it rests on."""
    range: str | None = None
    """The range of that entry."""
    range_text: str | None = None
    """Its range in words."""
    source_pointer: str | None = None
    """The entry of the advisory that it was read from, as a JSON Pointer."""
    fixed_in: str | None = None
    """Set where that entry names this version as fixed, too: its range, which contains it, outranks that."""
    settled_by: dict[str, str] | None = None
    """A step that would settle an unknown answer, in English and in French."""


class AffectedVersion(msgspec.Struct, frozen=True, omit_defaults=True):
    """Deployments of an operator that have one version."""

    solution: str
    """Empty for deployments whose record is not understood, and does not show which solution it is."""
    verdict: Verdict
    reason: Reason
    deployments: int
    version: str | None = None
    version_state: str | None = None
    named: str | None = None
    """The solution that the incident names, where it is the same software under another id."""
    list: str | None = None
    """Address of the list of these deployments."""
    because: Because | None = None
    """The explanation of the answer."""


class AffectedDeployment(msgspec.Struct, frozen=True, omit_defaults=True):
    """One deployment that is affected or may be."""

    id: str
    solution: str
    verdict: Verdict
    reason: Reason
    version: str | None = None
    stated: StatementStatus | None = None
    named: str | None = None
    """As of versions."""
    because: Because | None = None
    """The explanation of the answer."""


class OperatorExposure(msgspec.Struct, frozen=True):
    """The effect of an incident on one operator."""

    operator: str
    copy: CopyAge
    answer: StatementStatus | None
    """The status of its latest statement; null while it has not answered."""
    affected: AffectedCoverage
    unknown: AffectedCoverage
    cleared: AffectedCoverage
    """What would be affected or may be, and of which the operator says that it is fixed or not affected."""
    not_affected: int
    """Deployments that are not affected."""
    unconfirmed: int
    """Deployments said to be fixed whose records still name a version that is affected."""
    statements: tuple[StatementSummary, ...]
    versions: tuple[AffectedVersion, ...]
    """The versions that are affected or may be, a hundred at most, the most frequent first."""
    deployments: tuple[AffectedDeployment, ...] = ()
    """Those affected, or that may be, which the incident or a statement names; of the caller's own all.
    A hundred at most."""
    statements_not_understood: int = 0
    """Its statements on the incident, or that may be on it, which this version of the node does not
    understand. No older one clears anything."""


# All operators


class Total(msgspec.Struct, frozen=True):
    """All operators together; a body that two of them serve counts once."""

    operators: int
    """Operators that are affected, or may be, or have answered."""
    answered: int
    answers: dict[StatementStatus, int]
    """Operators by the status of their latest statement."""
    affected: AffectedCoverage
    unknown: AffectedCoverage
    cleared: AffectedCoverage


# Incidents


class IncidentSummary(msgspec.Struct, frozen=True):
    """The members of an incident that a reader of an exposure needs."""

    id: str
    title: dict[str, str]
    kind: str
    status: str
    severity: str
    aliases: tuple[str, ...]
    exploitation: str | None
    published_at: Instant
    updated_at: Instant
    overdue: bool = False
    """True for a maintenance whose window is over, though its status says that it is to come or goes on: it
    is not open."""
    not_understood: bool = False
    """True where this version of the node does not understand the incident: members may be missing or have
    other values than the schema names, and what it may affect is unknown."""


class IncidentExposure(msgspec.Struct, frozen=True):
    """The operators and bodies that an incident affects, as far as the caller may see."""

    incident: IncidentSummary
    as_of: Instant
    current_through: CurrentThrough
    open: bool
    """False when the incident is over; one that is withdrawn affects nothing."""
    summary: dict[str, str]
    total: Total
    operators: tuple[OperatorExposure, ...]
    not_here: tuple[str, ...]
    """Deployments that the incident names and that are not here to be seen, a hundred at most."""
    linked_solutions: tuple[LinkedSolution, ...]
    """Solutions that the incident does not name and whose deployments are counted, since they are the same
    software; a hundred at most."""
    more_linked_solutions: bool
    """True when there are more that were not read, and are not counted."""


class IncidentLine(msgspec.Struct, frozen=True):
    """An incident in a list of exposures."""

    incident: IncidentSummary
    total: Total


class SolutionExposure(msgspec.Struct, frozen=True):
    """The open incidents of a solution and their effect, as far as the caller may see."""

    solution: str
    as_of: Instant
    current_through: CurrentThrough
    incidents: tuple[IncidentLine, ...]
    affected: AffectedCoverage
    """All incidents together; a body that two of them affect counts once."""
    unknown: AffectedCoverage
    more: bool
    """True when there are open incidents beyond these."""
    linked_solutions: tuple[LinkedSolution, ...]
    """As of one incident, for all of these."""
    more_linked_solutions: bool
    incidents_not_understood: int = 0
    """Incidents that you may see and that this version of the node does not understand. Of 200, the newest of
    each operator first, those that are open and concern these deployments, or may, are among `incidents`.
    1 000 stands for as many and more."""


class OwnLine(msgspec.Struct, frozen=True):
    """An open incident and its effect on the caller's own deployments."""

    incident: IncidentSummary
    exposure: OperatorExposure
    linked_solutions: tuple[LinkedSolution, ...]
    """Your own solutions that it does not name and that are the same software, and why."""


class OwnExposure(msgspec.Struct, frozen=True):
    """The open incidents that affect, or may affect, the caller's own deployments."""

    operator: str
    as_of: Instant
    current_through: CurrentThrough
    incidents: tuple[OwnLine, ...]
    more_linked_solutions: bool
    """True when there are solutions that may be the same software as yours and were not read."""
    next: str | None
    """Address of the next page."""
    incidents_not_understood: int = 0
    """As of one solution."""
    more_not_understood: bool = False
    """True when there are more of these than were read."""
