"""Append lines to the timeline of an incident of ours."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar.response.base import ASGIResponse

from federation.domain.content.incident import Incident, NewUpdate
from federation.domain.draft import check_draft
from federation.domain.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from federation.node import records
from federation.node.audiences import audience
from federation.node.previews import DryRun
from federation.node.records import Preconditions
from federation.web.form_content import FormContent
from federation.web.language import screen_text as t
from federation.web.pages import page
from federation.web.record_fields import UPDATE
from federation.web.record_forms import RecordForm, control_view
from federation.web.visit import Visit
from federation.web.writing import WRITE, record_form


@page("/write/{type_name:str}/{key:str}/update", act="page_update", right=WRITE)
async def update_form(visit: Visit, type_name: str, key: str) -> ASGIResponse:
    """Show the form of a new line in the timeline of an incident of ours."""
    writing = await _of_incident(visit, type_name, key)
    writing.form.fields["revision"] = [writing.revision]
    return _update_page(writing)


@page("/write/{type_name:str}/{key:str}/update", act="page_update_sent", right=WRITE, method="POST")
async def update_sent(visit: Visit, type_name: str, key: str) -> ASGIResponse:
    """Review the line, or append it."""
    writing = await _of_incident(visit, type_name, key)
    written, do = writing.form, writing.form.value("do")
    if do == "edit":
        return _update_page(writing)
    reading = FormContent(written, visit.node.time_zone)
    try:
        update = check_draft(reading.read({}, UPDATE), NewUpdate)
        await records.append_update(
            visit.node,
            update,
            visit.node.operator,
            key,
            by=visit.caller,
            preconditions=Preconditions(match=frozenset({written.value("revision")})),
            dry_run=do != "publish",
        )
    except DryRun:
        base = writing.base
        readers = await audience(visit.node, base["tlp"], base.get("audience"), by=visit.caller)
        return _update_page(writing, template="update_review.html", audience=readers)
    except PreconditionFailed:
        written.fields["revision"] = [writing.revision]
        written.refuse(
            "", visit.text(t("The incident was changed meanwhile. Look at its timeline, then go on."))
        )
        return _update_page(writing, status=412)
    except (Invalid, Forbidden, Conflict) as error:
        names = {pointer.removeprefix("/content"): name for pointer, name in reading.names.items()}
        written.refuse_all(error.faults, visit.language, names)
        return _update_page(writing, status=400)
    return visit.to(f"/incidents/{visit.node.operator}/{key}", notice="published")


async def _of_incident(visit: Visit, type_name: str, key: str) -> RecordForm:
    if type_name != Incident.type:
        raise NotFound("there is no such page here")
    return await record_form(visit, type_name, key)


def _update_page(
    writing: RecordForm, *, status: int = 200, template: str = "update.html", **view: Any
) -> ASGIResponse:
    content = writing.content
    lines = msgspec.convert(content.get("updates", []), list[dict[str, Any]])
    return writing.visit.page(
        template,
        status=status,
        form=writing.form,
        fields=UPDATE,
        key=writing.key,
        incident=content,
        lines=lines[::-1],
        rows={},
        **control_view(writing.visit),
        **view,
    )


HANDLERS = (update_form, update_sent)
