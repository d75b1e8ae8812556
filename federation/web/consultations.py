"""Consultations: until when needs are given, how they add up, who has answered, and how to take part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from litestar.response.base import ASGIResponse

from federation.domain.content.consultation import Consultation
from federation.domain.purchasing.answers import ConsultationNeeds
from federation.domain.values import instant
from federation.edge.operations import Right
from federation.node import consultation_page, purchases
from federation.web.contributions import contribute, contributed
from federation.web.entries import Entry
from federation.web.labels import LABELS
from federation.web.language import screen_text as t
from federation.web.list_files import Column, file_answer, list_file, listing_file
from federation.web.listing import Filter, list_answer, read_listing, value_words
from federation.web.pages import page
from federation.web.records import open_record, source_among
from federation.web.rendering import in_language
from federation.web.theme_names import THEME_NAMES
from federation.web.visit import Visit

READ = Right("consultations.read", open=True)
KINDS = ("comment", "question", "answer")
"""Kinds of contributions to a consultation."""
OPEN = ("idea", "gathering", "convention")
"""Statuses in which others may still join."""


class ConsultationRow(msgspec.Struct, frozen=True):
    """The members of a consultation that lists show."""

    title: dict[str, str]
    status: str
    purchase: str
    needs_until: str | None = None

    @property
    def is_open(self) -> bool:
        """True while needs are taken."""
        return self.status in OPEN


FILTERS = (
    Filter("q", t("Words")),
    Filter("status", t("Stage"), values=tuple(LABELS["consultation_status"]), kind="consultation_status"),
    Filter("theme", t("Theme"), values=tuple(sorted(THEME_NAMES)), kind="theme"),
    Filter("purchase", t("Joint purchase"), hint=t("its identifier, for example arnia/postes")),
    Filter("origin", t("Operator"), hint=t("its identifier, for example arnia")),
)
COLUMNS = (
    Column(t("Title"), lambda visit, entry: in_language(visit.language, entry.content.title)[0]),
    Column(t("Stage"), lambda visit, entry: value_words(visit, "consultation_status", entry.content.status)),
    Column(t("Needs until"), lambda visit, entry: entry.content.needs_until),
    Column(t("Joint purchase"), lambda visit, entry: entry.content.purchase),
    Column(t("Operator"), lambda visit, entry: entry.origin),
    Column(t("Identifier"), lambda visit, entry: entry.id),
    Column(t("Updated"), lambda visit, entry: entry.updated_at),
)
NEEDS_COLUMNS = (
    t("Operator"), t("Unit"), t("Counts"), t("Uncertain"), t("Given late"), t("Answer"), t("Bodies"),
    t("Not named"),
)  # fmt: skip
"""Columns of the file of needs, whose rows are made by ``_need_lines``."""


@page("/consultations", act="page_consultations", right=READ)
async def consultations(visit: Visit) -> ASGIResponse:
    """List consultations."""
    listing = await read_listing(visit, Consultation, ConsultationRow, FILTERS)
    return list_answer(visit, "consultations.html", listing)


@list_file("/consultations", act="page_consultations_file", right=READ)
async def consultations_file(visit: Visit) -> ASGIResponse:
    """The list of consultations as a file."""
    return await listing_file(visit, Consultation, ConsultationRow, FILTERS, COLUMNS)


@page("/consultations/{origin:str}/{key:str}", act="page_consultation", right=READ)
async def consultation(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Show until when needs are given, how they add up, who has answered, and how to take part."""
    return await _show(visit, origin, key)


@page(
    "/consultations/{origin:str}/{key:str}/contributions",
    act="page_consultation_contribution",
    right=Right("contributions.write"),
    method="POST",
)
async def consultation_contribution(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Add a comment, a question or an answer to a consultation."""
    entry = await open_record(visit, Consultation, origin, key)
    if not isinstance(entry, Entry):
        return entry
    return await contribute(visit, entry, KINDS) or await _show(visit, origin, key, status=400)


async def _show(visit: Visit, origin: str, key: str, status: int = 200) -> ASGIResponse:
    read = await consultation_page.of_consultation(visit.node, origin, key, by=visit.caller)
    entry = await open_record(visit, Consultation, origin, key, stored=read.stored)
    if not isinstance(entry, Entry) or read.needs is None:
        assert not isinstance(entry, Entry)  # noqa: S101 - needs are there for a record that is understood
        return entry
    visit.operator_names = read.names
    needs, until = read.needs, entry.content.needs_until
    return visit.page(
        "consultation.html",
        status=status,
        alternate=f"/v1/consultations/{origin}/{key}",
        entry=entry,
        source=source_among(read.sources, entry),
        vehicle=read.vehicle,
        needs=needs,
        labels={unit.unit: unit.label for unit in needs.units},
        is_open=entry.content.status in OPEN and not needs.deadline.is_over,
        ends_soon=until is not None and 0 <= (instant(until) - visit.now).days < 14,
        contributions=contributed(visit, entry, read.contributions, KINDS),
        may_take_part=visit.may("participations.write"),
        is_ours=origin == visit.node.operator and visit.may("consultations.write"),
    )


@list_file("/consultations/{origin:str}/{key:str}/needs", act="page_needs_file", right=READ)
async def needs_file(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """The needs of a consultation as a file: a line for each operator and unit."""
    needs = await purchases.needs_of(visit.node, origin, key, by=visit.caller)
    return await file_answer(visit, "needs", NEEDS_COLUMNS, [*_need_lines(visit, needs)], is_cut=needs.more)


def _need_lines(visit: Visit, needs: ConsultationNeeds) -> Iterator[list[object]]:
    labels = {unit.unit: unit.label for unit in needs.units}
    for operator in needs.operators:
        states = ", ".join(dict.fromkeys(_state(visit, entry) for entry in operator.participations))
        bodies = [states, operator.bodies.bodies, operator.bodies.counted]
        for need in operator.needs:
            unit = in_language(visit.language, labels.get(need.unit))[0] or need.unit
            yield [operator.operator, unit, need.quantity, need.uncertain, need.late, *bodies]
        if not operator.needs:
            yield [operator.operator, None, None, None, None, *bodies]
    for missing in needs.missing or ():
        if missing.reason == "no-answer":
            reason = value_words(visit, "missing_reason", missing.reason)
            yield [missing.operator, None, None, None, None, reason, None, None]


def _state(visit: Visit, participation: Any) -> str:
    return value_words(visit, "participation_state", participation.state)


HANDLERS = (consultations, consultations_file, consultation, consultation_contribution, needs_file)
