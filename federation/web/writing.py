"""Write records: a form for each type, a review with the names of those who will see it, then publication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar.response.base import ASGIResponse

from federation.domain.errors import (
    MissingScope,
    NotFound,
    PreconditionFailed,
)
from federation.domain.record_content import Content
from federation.domain.registry import TYPES
from federation.edge.operations import Right
from federation.node import records
from federation.node.audiences import audience
from federation.node.records import Preconditions
from federation.web.language import screen_text as t
from federation.web.listing import Filter, read_listing
from federation.web.pages import page
from federation.web.record_forms import RecordForm, Review, find_live
from federation.web.record_types import FIELDS
from federation.web.visit import Visit

MAX_RECORD_FORM_BYTES = 262_144
"""Bytes of the form of a record: two texts of 64 KiB, percent-encoded."""
WRITE = Right("incidents.write")
_PAGES = {
    "operator": "/operators/{origin}",
    "group": "/write/group/{key}",
    "offer": "/solutions/{solution}",
    "participation": "/consultations/{consultation}",
}
"""Pages of records that have none at the path of the record."""
_AFTER_RETRACTION = {
    "group": "/write?type=group",
    **{kind: _PAGES[kind] for kind in ("offer", "participation")},
}
"""Pages that follow the retraction of a record, where its type has no list."""


class OwnRow(msgspec.Struct, frozen=True):
    """A record of ours in the list of those that can be changed."""

    title: Any = None
    name: Any = None
    solution: str = ""
    consultation: str = ""


@page("/write", act="page_write", right=WRITE)
async def choices(visit: Visit) -> ASGIResponse:
    """Show what can be written and, of one type, what we have written."""
    kinds = [kind for kind in FIELDS if visit.may(f"{TYPES[kind].plural}.write")]
    chosen = visit.parameter("type")
    listing = None
    if chosen in kinds:
        own = (("origin", visit.node.operator),)
        filters = (Filter("q", t("Words")),)
        listing = await read_listing(visit, TYPES[chosen], OwnRow, filters, narrowed=own, macro="own")
    return visit.page("write_choices.html", kinds=kinds, chosen=chosen, listing=listing)


@page("/write/{type_name:str}", act="page_write_new", right=WRITE)
async def new_form(visit: Visit, type_name: str) -> ASGIResponse:
    """Show the form of a new record."""
    kind = _kind(visit, type_name)
    if type_name == "operator":
        return visit.to(f"/write/operator/{visit.node.operator}")
    writing = RecordForm(visit, kind, FIELDS[type_name], None, None)
    writing.fill(visit.query)
    return await _form_page(writing)


@page(
    "/write/{type_name:str}",
    act="page_write_new_sent",
    right=WRITE,
    method="POST",
    max_bytes=MAX_RECORD_FORM_BYTES,
)
async def new_sent(visit: Visit, type_name: str) -> ASGIResponse:
    """Review or publish a new record."""
    writing = RecordForm(visit, _kind(visit, type_name), FIELDS[type_name], None, None)
    return await _sent(writing)


@page("/write/{type_name:str}/{key:str}", act="page_write_record", right=WRITE)
async def form(visit: Visit, type_name: str, key: str) -> ASGIResponse:
    """Show the form of a record of ours."""
    writing = await record_form(visit, type_name, key)
    writing.fill(visit.query)
    return await _form_page(writing)


@page(
    "/write/{type_name:str}/{key:str}",
    act="page_write_record_sent",
    right=WRITE,
    method="POST",
    max_bytes=MAX_RECORD_FORM_BYTES,
)
async def sent(visit: Visit, type_name: str, key: str) -> ASGIResponse:
    """Review or publish a change of a record of ours."""
    return await _sent(await record_form(visit, type_name, key))


async def record_form(visit: Visit, type_name: str, key: str) -> RecordForm:
    """The form of a record of ours; of one's own operator also before there is a record. Raises NotFound."""
    kind = _kind(visit, type_name)
    try:
        stored = await find_live(visit, kind, key)
    except NotFound:
        if type_name != "operator" or key != visit.node.operator:
            raise
        return RecordForm(visit, kind, FIELDS[type_name], key, None)
    return RecordForm(visit, kind, FIELDS[type_name], key, stored)


def _kind(visit: Visit, type_name: str) -> type[Content]:
    if type_name not in FIELDS:
        raise NotFound("there is no such page here")
    kind = TYPES[type_name]
    if not visit.may(f"{kind.plural}.write"):
        raise MissingScope("your role does not have the right {scope}", scope=f"{kind.plural}.write")
    return kind


async def _sent(writing: RecordForm) -> ASGIResponse:
    visit, do = writing.visit, writing.form.value("do")
    if writing.is_overtaken:
        return await _form_page(writing, status=412, overtaken=writing.rebase())
    if do.startswith("add:") or do == "edit":
        return await _form_page(writing, extra_row=do.removeprefix("add:"))
    review = await writing.review()
    if review is None:
        return await _form_page(writing, status=400)
    if do != "publish":
        return _review_page(writing, review)
    if writing.is_widened(review) and not writing.form.is_set("widen"):
        writing.form.refuse("widen", visit.text(t("Tick this box: more operators would see the record.")))
        return _review_page(writing, review, status=400)
    if not await writing.publish(review):
        current = await record_form(visit, writing.kind.type, writing.key or "")
        return await _form_page(current, status=412, overtaken=current.rebase())
    content = msgspec.to_builtins(review.draft.content)
    return visit.to(_page_of(visit, writing.kind, writing.key or "", content), notice="published")


async def _form_page(
    writing: RecordForm, *, status: int = 200, extra_row: str = "", overtaken: Any = None
) -> ASGIResponse:
    view = await writing.view(extra_row)
    return writing.visit.page("write.html", status=status, overtaken=overtaken, **view)


def _review_page(writing: RecordForm, review: Review, *, status: int = 200) -> ASGIResponse:
    writing.form.fields["key"] = [writing.key or ""]
    return writing.visit.page(
        "write_review.html",
        status=status,
        form=writing.form,
        kind=writing.kind.type,
        key=writing.key,
        is_new=writing.stored is None,
        review=review,
        is_widened=writing.is_widened(review),
    )


def _page_of(visit: Visit, kind: type[Content], key: str, content: Mapping[str, Any]) -> str:
    path = _PAGES.get(kind.type, f"/{kind.plural}/{{origin}}/{{key}}")
    named = {name: content.get(name, "") for name in ("solution", "consultation")}
    return path.format(origin=visit.node.operator, key=key, **named)


@page("/write/{type_name:str}/{key:str}/retract", act="page_retract", right=WRITE)
async def retract_form(visit: Visit, type_name: str, key: str) -> ASGIResponse:
    """Show what retracting a record of ours does at the others."""
    return await _retract_page(await record_form(visit, type_name, key))


@page("/write/{type_name:str}/{key:str}/retract", act="page_retract_sent", right=WRITE, method="POST")
async def retract_sent(visit: Visit, type_name: str, key: str) -> ASGIResponse:
    """Retract a record of ours in the state that was shown."""
    writing = await record_form(visit, type_name, key)
    try:
        await records.retract(
            visit.node,
            writing.kind,
            visit.node.operator,
            key,
            by=visit.caller,
            preconditions=Preconditions(match=frozenset({writing.form.value("revision")})),
        )
    except PreconditionFailed:
        return await _retract_page(writing, status=412)
    path = _AFTER_RETRACTION.get(type_name, f"/{writing.kind.plural}")
    named = {name: writing.content.get(name, "") for name in ("solution", "consultation")}
    return visit.to(path.format(**named), notice="retracted")


async def _retract_page(writing: RecordForm, *, status: int = 200) -> ASGIResponse:
    if writing.stored is None:
        raise NotFound("{name} does not exist", name=f"{writing.visit.node.operator}/{writing.key}")
    visit, base = writing.visit, writing.base
    title = base["content"].get(writing.kind.title_member or "", "")
    return visit.page(
        "retract.html",
        status=status,
        kind=writing.kind.type,
        key=writing.key,
        title={"fr": title} if isinstance(title, str) else title,
        revision=writing.revision,
        audience=await audience(visit.node, base["tlp"], base.get("audience"), by=visit.caller),
        back=_page_of(visit, writing.kind, writing.key or "", writing.content),
    )


HANDLERS = (
    choices,
    new_form,
    new_sent,
    form,
    sent,
    retract_form,
    retract_sent,
)
