"""The acts of a meeting's operator, one form each: agenda; minutes with decisions and tasks; closing.

A form has a row for each entry and some empty ones; an entry whose text is emptied is removed. Texts are
written in the language of the page, those of other languages stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from litestar.response.base import ASGIResponse

from federation.domain.content.meeting import Meeting
from federation.edge.operations import Right
from federation.web.forms import MAX_WHOLE_NUMBER, Form, whole_number
from federation.web.labels import LABELS
from federation.web.language import screen_text as t
from federation.web.listing import value_words
from federation.web.own_records import OwnRecord, own_record, publish_form
from federation.web.pages import page
from federation.web.rendering import in_language
from federation.web.visit import Visit

WRITE = Right("meetings.write")
EMPTY_ROWS = 3
"""Rows of a form for further entries."""
MAX_MINUTES_BYTES = 400_000
"""Bytes of a form with minutes: 64 KiB of text are three times as many, percent-encoded."""
MAX_ROW = 9_999
"""The largest number of a row of a form."""
Made = tuple[dict[str, Any], dict[str, str]]
"""The members of the content that a form sets, and the fields by the pointers that faults may have."""
AGENDA = "/meetings/{origin:str}/{key:str}/agenda"
MINUTES = "/meetings/{origin:str}/{key:str}/minutes"
CLOSING = "/meetings/{origin:str}/{key:str}/closing"


@page(AGENDA, act="page_agenda", right=WRITE)
async def agenda(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Show the form of the agenda."""
    return await _form(visit, origin, key, "meeting_agenda.html")


@page(AGENDA, act="page_agenda_sent", right=WRITE, method="POST")
async def agenda_sent(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Publish the agenda."""
    return await _publish(visit, origin, key, "meeting_agenda.html", _agenda)


@page(MINUTES, act="page_minutes", right=WRITE)
async def minutes(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Show the form of the minutes, decisions and tasks."""
    return await _form(visit, origin, key, "meeting_minutes.html")


@page(MINUTES, act="page_minutes_sent", right=WRITE, method="POST", max_bytes=MAX_MINUTES_BYTES)
async def minutes_sent(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Publish the minutes, decisions and tasks."""
    return await _publish(visit, origin, key, "meeting_minutes.html", _minutes)


@page(CLOSING, act="page_closing", right=WRITE)
async def closing(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Show the form that closes or cancels a meeting."""
    return await _form(visit, origin, key, "meeting_closing.html")


@page(CLOSING, act="page_closing_sent", right=WRITE, method="POST")
async def closing_sent(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Close or cancel a meeting, with the operators that were there."""
    return await _publish(visit, origin, key, "meeting_closing.html", _closing)


async def _form(
    visit: Visit, origin: str, key: str, template: str, record: OwnRecord | None = None, status: int = 200
) -> ASGIResponse:
    record = record or await own_record(visit, Meeting, origin, key)
    content: Meeting = record.content
    return visit.page(
        template,
        status=status,
        id=f"{origin}/{key}",
        record=record,
        content=content,
        points=_rows_of(visit, content.agenda, "title", ("minutes", "by")),
        decisions=_rows_of(visit, content.decisions, "text", ("on",)),
        tasks=_rows_of(visit, content.tasks, "text", ("owner", "due", "done_on")),
        minutes=in_language(visit.language, content.minutes)[0],
        statuses=[(value, value_words(visit, "meeting_status", value)) for value in LABELS["meeting_status"]],
        tlp=record.draft["tlp"],
        audience=record.draft.get("audience") or "",
    )


def _rows_of(
    visit: Visit, entries: Sequence[Any], text: str, members: tuple[str, ...]
) -> list[dict[str, Any]]:
    """The rows of a form: the entries, with their text in the language of the visitor, and empty ones."""
    rows = [
        {
            text: in_language(visit.language, getattr(entry, text))[0],
            **{member: getattr(entry, member) or "" for member in members},
        }
        for entry in entries
    ]
    return rows + [{} for _ in range(EMPTY_ROWS)]


async def _publish(
    visit: Visit,
    origin: str,
    key: str,
    template: str,
    read: Callable[[Visit, Form, Meeting], Made],
) -> ASGIResponse:
    record = await own_record(visit, Meeting, origin, key)
    form = await visit.read_form()
    members, fields = read(visit, form, record.content)
    content = {
        name: value
        for name, value in {**record.draft["content"], **members}.items()
        if value not in (None, [], {})
    }
    pointers = {f"/content/{pointer}": field for pointer, field in fields.items()}
    if await publish_form(visit, record, content, pointers):
        return visit.to(f"/meetings/{origin}/{key}", notice="published")
    return await _form(visit, origin, key, template, record, status=400)


def _agenda(visit: Visit, form: Form, content: Meeting) -> Made:
    rows = []
    for index in _rows(form, "title"):
        title = form.value(f"title-{index}")
        if not title:
            continue
        before = content.agenda[index].title if index < len(content.agenda) else None
        point: dict[str, Any] = {"title": _written(visit, before, title)}
        if (length := _number(visit, form, f"minutes-{index}")) is not None:
            point["minutes"] = length
        if form.value(f"by-{index}"):
            point["by"] = form.value(f"by-{index}")
        place = _number(visit, form, f"place-{index}")
        rows.append((index if place is None else place - 1, index, point))
    rows.sort(key=lambda row: row[:2])
    fields = {"agenda": f"title-{rows[0][1]}"} if rows else {}
    for number, (_, index, _point) in enumerate(rows):
        for member in ("title", "minutes", "by"):
            fields[f"agenda/{number}/{member}"] = f"{member}-{index}"
    return {"agenda": [point for _, _, point in rows]}, fields


def _minutes(visit: Visit, form: Form, content: Meeting) -> Made:
    text = form.value("minutes")
    others = {tag: words for tag, words in (content.minutes or {}).items() if tag != visit.language}
    fields = {"minutes": "minutes", f"minutes/{visit.language}": "minutes"}
    decisions: list[dict[str, Any]] = []
    tasks: list[dict[str, Any]] = []
    for index in _rows(form, "decision"):
        if not (words := form.value(f"decision-{index}")):
            continue
        before = content.decisions[index].text if index < len(content.decisions) else None
        on = form.value(f"on-{index}")
        fields |= {
            f"decisions/{len(decisions)}/text": f"decision-{index}",
            f"decisions/{len(decisions)}/on": f"on-{index}",
        }
        decisions.append({"text": _written(visit, before, words), **({"on": on} if on else {})})
    taken = {task.key for task in content.tasks}
    for index in _rows(form, "task"):
        if not (words := form.value(f"task-{index}")):
            continue
        is_known = index < len(content.tasks)
        key = content.tasks[index].key if is_known else _new_key(taken)
        taken.add(key)
        task = {"key": key, "text": _written(visit, content.tasks[index].text if is_known else None, words)}
        for member in ("owner", "due", "done_on"):
            fields[f"tasks/{len(tasks)}/{member}"] = f"{member}-{index}"
            if value := form.value(f"{member}-{index}"):
                task[member] = value
        fields[f"tasks/{len(tasks)}/text"] = f"task-{index}"
        tasks.append(task)
    written = _written(visit, content.minutes, text) if text else others
    return {"minutes": written, "decisions": decisions, "tasks": tasks}, fields


def _closing(visit: Visit, form: Form, content: Meeting) -> Made:
    attending = form.value("attending").replace(",", " ").split()
    members = {"status": form.value("status"), "attending": list(dict.fromkeys(attending))}
    return members, {"status": "status", "attending": "attending"}


def _rows(form: Form, name: str) -> list[int]:
    """The numbers of the rows that a form has, by the fields of one name."""
    numbers = [field.removeprefix(f"{name}-") for field in form.fields if field.startswith(f"{name}-")]
    return sorted({number for text in numbers if (number := whole_number(text, MAX_ROW)) is not None})


def _number(visit: Visit, form: Form, name: str) -> int | None:
    """A whole number that was typed; None for an empty field or with a fault noted."""
    text = form.value(name)
    if not text:
        return None
    number = whole_number(text, MAX_WHOLE_NUMBER)
    if number is None:
        form.refuse(name, visit.text(t("A whole number, such as 20.")))
    return number


def _written(visit: Visit, before: Mapping[str, str] | None, text: str) -> dict[str, str]:
    """A text in the language of the visitor; those of other languages stay."""
    if before is None:
        return {visit.language: text}
    shown, tag = in_language(visit.language, before)
    if text == shown.strip():
        return dict(before)  # also where it was shown in another language
    return {**before, tag if tag.partition("-")[0] == visit.language else visit.language: text}


def _new_key(taken: set[str]) -> str:
    return next(key for number in range(1, 10_000) if (key := f"t{number}") not in taken)


HANDLERS = (agenda, agenda_sent, minutes, minutes_sent, closing, closing_sent)
