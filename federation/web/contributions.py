"""Contributions beneath a record: what operators add to it, and the form to add something.

    contributions=await contributions_about(visit, entry, KINDS)

shows them by ``contributed.section(…)`` of ``contributions.html``. The form of a page leads to
:func:`contribute`, which publishes a record of this operator with the label of the subject.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from litestar.response.base import ASGIResponse

from federation.domain.content.contribution import Contribution
from federation.domain.document import Document, mint_key
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Invalid
from federation.node import contributions, records
from federation.node.contributions import Contributions
from federation.web.entries import Entry
from federation.web.forms import Form
from federation.web.listing import value_words
from federation.web.rendering import in_language
from federation.web.visit import Visit

LABELS = ("CLEAR", "GREEN")
"""Labels of the subjects that members contribute to: a group means something at its origin alone."""


class Contributed(NamedTuple):
    """The contributions to a record, and what its visitor may add."""

    entries: tuple[Document[Contribution], ...]
    more: bool
    not_understood: int
    subject: Entry[Any]
    kinds: tuple[tuple[str, str], ...]
    """Kinds that the visitor may add, with their words; empty: nothing."""
    is_narrow: bool
    """True for a record for a group: members write to its operator instead."""
    tasks: tuple[tuple[str, str], ...]
    """Keys of the tasks that may be reported done, with their texts."""
    new_key: str
    """The key of what the form adds: the same one when it is sent twice."""


async def contributions_about(
    visit: Visit, entry: Entry[Any], kinds: Sequence[str], tasks: Sequence[Any] = ()
) -> Contributed:
    """The contributions to a record, as far as its visitor may see them."""
    found = await contributions.beneath(visit.node, entry.type, entry.id, by=visit.caller)
    return contributed(visit, entry, found, kinds, tasks)


def contributed(
    visit: Visit, entry: Entry[Any], found: Contributions, kinds: Sequence[str], tasks: Sequence[Any] = ()
) -> Contributed:
    """Contributions that have been read, as their page shows them."""
    may_add = visit.may("contributions.write")
    return Contributed(
        entries=found.entries,
        more=found.more,
        not_understood=found.not_understood,
        subject=entry,
        kinds=tuple((kind, value_words(visit, "contribution_kind", kind)) for kind in kinds)
        if may_add and entry.tlp in LABELS
        else (),
        is_narrow=may_add and entry.tlp not in LABELS,
        tasks=tuple((task.key, in_language(visit.language, task.text)[0]) for task in tasks),
        new_key=mint_key(),
    )


async def contribute(visit: Visit, entry: Entry[Any], kinds: Sequence[str]) -> ASGIResponse | None:
    """Publish what the form says. None where the form has noted what is wrong with it."""
    form = await visit.read_form()
    kind, text = form.value("kind"), form.value("text")
    if entry.tlp not in LABELS:
        form.refuse("", visit.text("This record is for a group: write to its operator instead."))
        return None
    if kind not in kinds:
        form.refuse("kind", visit.text("Choose one of the list."))
        return None
    content: dict[str, Any] = {"about": {"type": entry.type, "id": entry.id}, "kind": kind}
    if text:
        content["text"] = {visit.language: text}
    if kind == "task-done":
        content["task"] = form.value("task")
    shape: Any = Draft[Contribution]
    try:
        draft = check_draft({"tlp": entry.tlp, "content": content}, shape)
        key = form.value("key") or mint_key()
        await records.publish(visit.node, Contribution, draft, visit.node.operator, key, by=visit.caller)
    except Invalid as error:
        refuse(
            form, visit, error, {"/content/text": "text", "/content/task": "task", "/content/kind": "kind"}
        )
        return None
    return visit.to(f"/{_plural(entry.type)}/{entry.id}", notice="published")


def refuse(form: Form, visit: Visit, error: Invalid, fields: dict[str, str]) -> None:
    """Note a refusal beside the fields that it is about."""
    if error.faults:
        form.refuse_all(error.faults, visit.language, fields)
    else:
        form.refuse("", error.message.to_text(visit.language))


def _plural(type_name: str) -> str:
    return f"{type_name}s"
