"""Reporting deadlines: what an authority must have, and by when. Note one, mark a step as done."""

from __future__ import annotations

from typing import Any

from litestar.response.base import ASGIResponse

from federation.domain.deadline import CompletedStep, ReportingDeadline
from federation.domain.document import mint_key
from federation.domain.draft import check_draft
from federation.domain.errors import Conflict, Forbidden, Invalid
from federation.domain.values import as_instant
from federation.edge.operations import Right
from federation.node import deadlines
from federation.web.fields import Field
from federation.web.form_content import FormContent
from federation.web.forms import Form
from federation.web.language import screen_text as t
from federation.web.list_files import file_answer, list_file
from federation.web.listing import value_words
from federation.web.pages import page
from federation.web.record_forms import control_view
from federation.web.visit import Visit

READ, WRITE = Right("deadlines.read"), Right("deadlines.write")
FIELDS = (
    Field("title", "line", t("What happened"), t("Leak of data in the school portal"), required=True),
    Field("regimes", "several", t("To be reported under"), labels="regime", required=True),
    Field(
        "aware_at", "moment", t("We became aware of it"), t("The hours are counted from then."), required=True
    ),
    Field("incident", "line", t("Incident"), t("Operator and key, if there is one: arnia/cve-2026-1")),
)
COLUMNS = (
    t("What happened"), t("We became aware of it"), t("Incident"), t("Step"), t("Due on"), t("State"),
    t("Done on"), t("Reference of the authority"),
)  # fmt: skip


@page("/deadlines", act="page_deadlines", right=READ)
async def list_deadlines(visit: Visit) -> ASGIResponse:
    """List the deadlines, with a form for each step that is not done."""
    form = Form({"incident": [visit.parameter("incident")]})
    return await _page(visit, form)


@list_file("/deadlines", act="page_deadlines_file", right=READ)
async def deadlines_file(visit: Visit) -> ASGIResponse:
    """The deadlines as a file: a line for each step."""
    rows = []
    for view in await deadlines.list_deadlines(visit.node, by=visit.caller):
        references = {done.step: done.reference for done in view.deadline.done}
        for step in view.steps:
            state = t("done") if step.done_at else t("overdue") if step.overdue else t("due")
            rows.append(
                [
                    view.deadline.title,
                    view.deadline.aware_at,
                    view.deadline.incident,
                    value_words(visit, "deadline_step", step.step),
                    step.due_at,
                    visit.text(state),
                    step.done_at,
                    references.get(step.step),
                ]
            )
    return await file_answer(visit, "deadlines", COLUMNS, rows, is_cut=False)


async def _page(visit: Visit, form: Form, *, status: int = 200) -> ASGIResponse:
    return visit.page(
        "deadlines.html",
        status=status,
        alternate="/v1/deadlines",
        form=form,
        views=await deadlines.list_deadlines(visit.node, by=visit.caller),
        fields=FIELDS,
        rows={},
        **control_view(visit),
    )


@page("/deadlines", act="page_deadlines_sent", right=WRITE, method="POST")
async def deadline_sent(visit: Visit) -> ASGIResponse:
    """Note a new deadline, or that a step is done."""
    form = await visit.read_form()
    do = form.value("do")
    try:
        if do.startswith("done:"):
            await _complete(visit, form, do.removeprefix("done:"))
        else:
            await _add(visit, form)
    except _NotReadError:
        return await _page(visit, form, status=400)
    return visit.to("/deadlines", notice="saved")


class _NotReadError(Exception):
    """The form has faults, which stand beside their fields."""


async def _complete(visit: Visit, form: Form, key: str) -> None:
    now = as_instant(visit.now)
    draft: dict[str, Any] = {"step": form.value("step"), "at": now}
    if reference := form.value("reference"):
        draft["reference"] = reference
    try:
        done = check_draft(draft, CompletedStep)
        await deadlines.complete_step(visit.node, done, visit.node.operator, key, by=visit.caller)
    except (Invalid, Conflict) as error:
        form.refuse("", error.message.to_text(visit.language))
        raise _NotReadError from None


async def _add(visit: Visit, form: Form) -> None:
    reading = FormContent(form, visit.node.time_zone)
    content = reading.read({}, FIELDS)
    for name, text in reading.faults:
        form.refuse(name, visit.text(text))
    names = {pointer.removeprefix("/content"): name for pointer, name in reading.names.items()}
    try:
        deadline = check_draft(content, ReportingDeadline)
        if not form.faults:
            await deadlines.set_deadline(
                visit.node, deadline, visit.node.operator, mint_key(), by=visit.caller, new=True
            )
    except (Invalid, Conflict, Forbidden) as error:
        if error.faults:
            form.refuse_all(error.faults, visit.language, names)
        else:
            form.refuse("", error.message.to_text(visit.language))
    if form.faults:
        raise _NotReadError


HANDLERS = (list_deadlines, deadlines_file, deadline_sent)
