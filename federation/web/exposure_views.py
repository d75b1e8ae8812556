"""Who is affected by an incident, in the words of its page.

A false "not affected" is the worst that the page could say. What is not recorded, not here, too old or not
understood is unknown, and the page says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from federation.domain.exposure.answers import (
    AffectedCoverage,
    AffectedDeployment,
    IncidentExposure,
    OperatorExposure,
    StatementSummary,
)
from federation.domain.exposure.linkage import LinkedSolution
from federation.domain.exposure.reasons import REASONS, SETTLED_BY, Reason
from federation.node.contacts import Contact
from federation.web.language import screen_text as t
from federation.web.visit import Visit

UNSURE_COPIES = frozenset({"stale", "diverged", "suspended", "left", "unknown"})
"""States of copies that say nothing about today."""
YES, PERHAPS, NO, NOTHING = "is-bad", "is-warn", "is-good", "is-warn"


class OperatorView(msgspec.Struct, frozen=True):
    """One operator in the table."""

    operator: str
    name: str
    contact: Contact | None
    exposure: OperatorExposure
    is_own: bool
    since: str | None
    """Its latest answer; without one the time since which it could have answered."""
    reasons: tuple[tuple[str, int], ...]
    """Why deployments are unknown, in words, with their number."""
    state: str
    """``unanswered``, ``answered``, ``nothing`` (no answer needed as far as is known), or ``unknown``."""


class OwnDeployment(msgspec.Struct, frozen=True):
    """One of our deployments that is affected or may be."""

    deployment: AffectedDeployment
    reason: str
    settled_by: str | None


class ExposureView(msgspec.Struct, frozen=True):
    """The part of the page about exposure."""

    state: str
    """Class of the first sentence."""
    answer: str
    """Whether we are affected, in a sentence."""
    remarks: tuple[str, ...]
    """What the answer does not count, and why."""
    own: OperatorExposure | None
    deployments: tuple[OwnDeployment, ...]
    concerned: tuple[OperatorView, ...]
    others: tuple[OperatorView, ...]
    """Operators of which nothing is affected as far as is known here."""
    unanswered: tuple[OperatorView, ...]
    summary: str
    total: AffectedCoverage
    unknown: AffectedCoverage
    as_of: str
    current_through: str
    linked: tuple[LinkedSolution, ...]
    not_here: tuple[str, ...]
    old_copies: tuple[OperatorView, ...]
    is_open: bool


def view_of(visit: Visit, exposed: IncidentExposure, contacts: Mapping[str, Contact]) -> ExposureView:
    """The exposure of an incident as its page shows it."""
    own_id = visit.node.operator
    operators = tuple(_operator(visit, entry, exposed, contacts) for entry in exposed.operators)
    own = next((entry for entry in exposed.operators if entry.operator == own_id), None)
    concerned = tuple(view for view in operators if view.state in ("unanswered", "answered"))
    state, answer = _own_answer(visit, exposed, own)
    return ExposureView(
        state=state,
        answer=answer,
        remarks=tuple(_remarks(visit, exposed, own)),
        own=own,
        deployments=tuple(_own_deployment(visit, entry) for entry in (own.deployments if own else ())),
        concerned=concerned,
        others=tuple(view for view in operators if view not in concerned),
        unanswered=tuple(view for view in concerned if view.state == "unanswered"),
        summary=exposed.summary[visit.language],
        total=exposed.total.affected,
        unknown=exposed.total.unknown,
        as_of=exposed.as_of,
        current_through=exposed.current_through,
        linked=exposed.linked_solutions,
        not_here=exposed.not_here,
        old_copies=tuple(view for view in operators if view.exposure.copy.state in UNSURE_COPIES),
        is_open=exposed.open,
    )


def _own_answer(visit: Visit, exposed: IncidentExposure, own: OperatorExposure | None) -> tuple[str, str]:
    """Class and sentence of the answer to: are we affected?"""
    if exposed.incident.not_understood:
        return PERHAPS, visit.text(
            t("Unknown: this version of the node does not understand the incident. Read its source.")
        )
    if exposed.incident.status == "withdrawn":
        return NO, visit.text(t("No: the incident was withdrawn."))
    if own is not None and own.affected.deployments:
        if own.unknown.deployments:
            return YES, visit.text(
                t("Yes: affected deployments of ours: %(affected)s. To be checked: %(unknown)s more."),
                affected=own.affected.deployments,
                unknown=own.unknown.deployments,
            )
        return YES, visit.text(
            t("Yes: affected deployments of ours: %(affected)s."), affected=own.affected.deployments
        )
    if own is not None and own.unknown.deployments:
        return PERHAPS, visit.text(
            t("Perhaps: deployments of ours to be checked: %(unknown)s."), unknown=own.unknown.deployments
        )
    if own is not None and own.statements_not_understood:
        return PERHAPS, visit.text(
            t("Unknown: this version of the node does not understand an answer of ours.")
        )
    if own is not None and own.cleared.deployments:
        return NO, visit.text(
            t("Not any more, by our answer: deployments that are fixed or not affected: %(cleared)s."),
            cleared=own.cleared.deployments,
        )
    if own is not None and own.not_affected:
        return NO, visit.text(
            t("No, by the recorded versions: deployments of ours that are not affected: %(number)s."),
            number=own.not_affected,
        )
    return NOTHING, visit.text(
        t("Unknown: no deployment of ours is recorded for this. What is not recorded is not counted.")
    )


def _remarks(visit: Visit, exposed: IncidentExposure, own: OperatorExposure | None) -> Iterable[str]:
    if own is not None and own.unconfirmed:
        yield visit.text(
            t("Said to be fixed, but still recorded with an affected version: %(number)s."),
            number=own.unconfirmed,
        )
    if not visit.caller.sees_all:
        yield visit.text(t("Only records that you may see are counted. Others may be affected, too."))
    if exposed.more_linked_solutions:
        yield visit.text(
            t("More solutions may be the same software. They were not read and are not counted.")
        )
    if any(name.startswith(f"{visit.node.operator}/") for name in exposed.not_here):
        yield visit.text(t("The incident names deployments of ours that are not recorded here."))


def _own_deployment(visit: Visit, entry: AffectedDeployment) -> OwnDeployment:
    return OwnDeployment(entry, reason_text(visit, entry.reason), settled_text(visit, entry.reason))


def reason_text(visit: Visit, reason: Reason) -> str:
    """A reason in words."""
    return REASONS[reason].fr if visit.language == "fr" else REASONS[reason].en


def settled_text(visit: Visit, reason: Reason) -> str | None:
    """A step that settles an unknown answer, in words."""
    settled = SETTLED_BY.get(reason)
    return None if settled is None else settled[1 if visit.language == "fr" else 0]


def _operator(
    visit: Visit, entry: OperatorExposure, exposed: IncidentExposure, contacts: Mapping[str, Contact]
) -> OperatorView:
    contact = contacts.get(entry.operator)
    statement: StatementSummary | None = entry.statements[0] if entry.statements else None
    open_deployments = entry.affected.deployments + entry.unknown.deployments
    if entry.answer is not None:
        state = "answered"
    elif open_deployments or entry.statements_not_understood or entry.statements:
        state = "unanswered"
    elif entry.copy.state in UNSURE_COPIES or exposed.incident.not_understood:
        state = "unknown"
    else:
        state = "nothing"
    return OperatorView(
        operator=entry.operator,
        name=contact.name if contact is not None else entry.operator,
        contact=contact,
        exposure=entry,
        is_own=entry.operator == visit.node.operator,
        since=statement.updated_at if statement is not None else exposed.incident.published_at,
        reasons=tuple(
            (reason_text(visit, reason), number)
            for reason, number in sorted(entry.unknown.reasons.items(), key=lambda item: -item[1])
        ),
        state=state,
    )
