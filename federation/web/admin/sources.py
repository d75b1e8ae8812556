"""Sources in the console: their state, the last and the next run, and the reports."""

from __future__ import annotations

from typing import Any

from litestar.response.base import ASGIResponse

from federation.domain.canonical import decode_json
from federation.domain.draft import check_draft
from federation.domain.errors import NotFound, Refused
from federation.domain.sources.kinds import KINDS
from federation.domain.sources.source import AddedSource, SourceChange, SourceSettings
from federation.domain.visibility import TLPS
from federation.edge.operations import Right
from federation.node import source_runs, sources
from federation.web.forms import Form
from federation.web.imports import PLURALS, kind_words
from federation.web.language import screen_text as t
from federation.web.pages import page
from federation.web.visit import Visit

READ, WRITE = Right("sources.read"), Right("sources.write")
INTERVALS = (
    ("900", t("every quarter of an hour")),
    ("3600", t("every hour")),
    ("21600", t("every six hours")),
    ("86400", t("every day")),
    ("604800", t("every week")),
)
SHOWN_RUNS = 20
POINTERS = {
    "/name": "name", "/kind": "kind", "/url": "url", "/every": "every", "/options": "options", "/tlp": "tlp",
    "/audience": "audience",
}  # fmt: skip


@page("/admin/sources", act="page_admin_sources", right=READ)
async def list_sources(visit: Visit) -> ASGIResponse:
    """List the sources, with a form for a new one."""
    return await _sources(visit, Form())


async def _sources(
    visit: Visit, form: Form, *, status: int = 200, added: AddedSource | None = None
) -> ASGIResponse:
    """``added``: a new source with its secret, shown this once."""
    return visit.page(
        "admin/sources.html",
        status=status,
        alternate="/v1/sources",
        form=form,
        sources=await sources.all(visit.node),
        added=added,
        kinds=[(name, kind_words(visit, name)) for name in KINDS],
        intervals=[(seconds, visit.text(text)) for seconds, text in INTERVALS],
        labels=[(label, f"TLP:{label}") for label in TLPS],
    )


@page("/admin/sources", act="page_admin_source_add", right=WRITE, method="POST")
async def add_source(visit: Visit) -> ASGIResponse:
    """Add a source; the secret of one that is pushed to is shown this once."""
    form = await visit.read_form()
    values: dict[str, Any] = {
        name: value for name in ("name", "kind", "url", "tlp", "audience") if (value := form.value(name))
    }
    if values.get("url") and form.value("every").isdigit():
        values["every"] = int(form.value("every")[:9])
    if form.is_set("private"):
        values["private"] = True
    try:
        if text := form.value("options"):
            values["options"] = decode_json(text.encode())
        new: SourceSettings = check_draft(values, SourceSettings)
        added = await sources.add(visit.node, new, by=visit.caller)
    except Refused as error:
        form.refuse_all(error.faults, visit.language, POINTERS)
        if not error.faults:
            form.refuse("", error.message.to_text(visit.language))
        return await _sources(visit, form, status=400)
    if added.secret is not None:
        visit.form = None
        return await _sources(visit, Form(), added=added)
    return visit.to(f"/admin/sources/{added.name}", notice="saved")


@page("/admin/sources/{source:str}", act="page_admin_source", right=READ)
async def show_source(visit: Visit, source: str) -> ASGIResponse:
    """Show a source: the last run, the next one, the reports, and the records that it no longer gives."""
    stored = await sources.find(visit.node, source)
    runs = await sources.runs(visit.node, source)
    return visit.page(
        "admin/source.html",
        alternate=f"/v1/sources/{source}",
        source=stored,
        runs=runs[:SHOWN_RUNS],
        report=runs[0] if runs else None,
        disappeared=await sources.disappeared(visit.node, source),
        plurals=PLURALS,
    )


@page("/admin/sources/{source:str}/runs/{number:int}", act="page_admin_source_run", right=READ)
async def show_run(visit: Visit, source: str, number: int) -> ASGIResponse:
    """Show the report of a run."""
    report = await sources.find_run(visit.node, source, number)
    return visit.page(
        "admin/source_run.html",
        alternate=f"/v1/sources/{source}/runs/{number}",
        source=await sources.find(visit.node, source),
        report=report,
        plurals=PLURALS,
    )


@page("/admin/sources/{source:str}", act="page_admin_source_act", right=WRITE, method="POST")
async def change_source(visit: Visit, source: str) -> ASGIResponse:
    """Run, pause, resume or remove a source."""
    form = await visit.read_form()
    act = form.value("do")
    if act == "remove":
        await sources.remove(visit.node, source, by=visit.caller)
        return visit.to("/admin/sources", notice="removed")
    if act == "run":
        report = await source_runs.run_now(visit.node, source, by=visit.caller)
        return visit.to(f"/admin/sources/{source}/runs/{report.number}")
    if act == "pause":
        change = SourceChange(state="paused")
    elif act == "resume":
        change = SourceChange(state="active")
    else:
        raise NotFound("there is no such page here")
    await sources.change(visit.node, source, change, by=visit.caller)
    return visit.to(f"/admin/sources/{source}", notice="saved")


HANDLERS = (list_sources, add_source, show_source, show_run, change_source)
