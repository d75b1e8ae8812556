"""Practices: what operators have achieved or learnt, for others to use."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar.response.base import ASGIResponse

from federation.domain.content.practice import Practice
from federation.edge.operations import Right
from federation.web.contributions import contribute, contributions_about
from federation.web.entries import Entry
from federation.web.labels import LABELS
from federation.web.language import screen_text as t
from federation.web.list_files import Column, list_file, listing_file
from federation.web.listing import Filter, list_answer, read_listing, value_words
from federation.web.markdown import in_words
from federation.web.pages import page
from federation.web.records import open_record, source_of
from federation.web.rendering import in_language
from federation.web.theme_names import THEME_NAMES
from federation.web.visit import Visit

READ = Right("practices.read", open=True)
KINDS = ("comment", "question", "answer")
"""Contributions to a practice."""


class PracticeRow(msgspec.Struct, frozen=True):
    """The members of a practice that the list shows."""

    title: dict[str, str]
    summary: dict[str, str]
    kind: str
    date: str | None = None
    themes: tuple[str, ...] = ()


FILTERS = (
    Filter("q", t("Words")),
    Filter("kind", t("Kind"), values=tuple(LABELS["practice_kind"]), kind="practice_kind"),
    Filter("theme", t("Theme"), values=tuple(sorted(THEME_NAMES)), kind="theme"),
    Filter("audience_kind", t("Useful to"), values=tuple(LABELS["body_kind"]), kind="body_kind"),
    Filter("solution", t("Solution"), hint=t("its identifier, for example arnia/glpi")),
    Filter("origin", t("Operator"), hint=t("its identifier, for example arnia")),
)
COLUMNS = (
    Column(t("Title"), lambda visit, entry: in_language(visit.language, entry.content.title)[0]),
    Column(t("Summary"), lambda visit, entry: in_language(visit.language, entry.content.summary)[0]),
    Column(t("Kind"), lambda visit, entry: value_words(visit, "practice_kind", entry.content.kind)),
    Column(
        t("Themes"),
        lambda visit, entry: ", ".join(value_words(visit, "theme", theme) for theme in entry.content.themes),
    ),
    Column(t("Date"), lambda visit, entry: entry.content.date),
    Column(t("Operator"), lambda visit, entry: entry.origin),
    Column(t("Identifier"), lambda visit, entry: entry.id),
    Column(t("Updated"), lambda visit, entry: entry.updated_at),
)


@page("/practices", act="page_practices", right=READ)
async def practices(visit: Visit) -> ASGIResponse:
    """List practices."""
    return list_answer(visit, "practices.html", await read_listing(visit, Practice, PracticeRow, FILTERS))


@list_file("/practices", act="page_practices_file", right=READ)
async def practices_file(visit: Visit) -> ASGIResponse:
    """The list of practices as a file."""
    return await listing_file(visit, Practice, PracticeRow, FILTERS, COLUMNS)


@page("/practices/{origin:str}/{key:str}", act="page_practice", right=READ)
async def practice(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Show a practice: what was done, with which results, and what others may use."""
    entry = await open_record(visit, Practice, origin, key)
    return entry if not isinstance(entry, Entry) else await _show(visit, entry)


@page(
    "/practices/{origin:str}/{key:str}/contributions",
    act="page_practice_contribution",
    right=Right("contributions.write"),
    method="POST",
)
async def practice_contribution(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Add a comment, a question or an answer to a practice."""
    entry = await open_record(visit, Practice, origin, key)
    if not isinstance(entry, Entry):
        return entry
    return await contribute(visit, entry, KINDS) or await _show(visit, entry, status=400)


async def _show(visit: Visit, entry: Entry[Any], status: int = 200) -> ASGIResponse:
    contributions = await contributions_about(visit, entry, KINDS)
    return visit.page(
        "practice.html",
        status=status,
        alternate=f"/v1/practices/{entry.id}",
        entry=entry,
        source=await source_of(visit, entry, *(entry.origin for entry in contributions.entries)),
        body=await in_words(entry.content.body, visit.language),
        contributions=contributions,
        is_ours=entry.origin == visit.node.operator and visit.may("practices.write"),
    )


HANDLERS = (practices, practices_file, practice, practice_contribution)
