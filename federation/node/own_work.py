"""The operator's own records that wait for somebody: old and unknown versions, tasks, needs to give."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

import msgspec

from federation.domain.content.consultation import Consultation
from federation.domain.content.meeting import Meeting
from federation.domain.content.participation import Participation
from federation.domain.content.solution import Solution
from federation.domain.query import MAX_PAGE, Query
from federation.domain.record_content import Content
from federation.domain.visibility import Caller
from federation.node import exposure_index, records
from federation.node.node import Node

MAX_GROUPS = 500
"""Versions of deployments that are looked at, at most."""
NEEDING = ("idea", "gathering", "convention")
"""Statuses of consultations that needs can be given for."""


class VersionNote(msgspec.Struct, frozen=True):
    """Deployments of one version that want a look."""

    solution: str
    version: str | None
    deployments: int
    reason: str
    """``unknown``, ``rolling``, ``not-understood``, ``unsupported`` or ``ended``."""
    ended_on: str | None = None
    """The end of support."""


class Task(msgspec.Struct, frozen=True):
    """A task of the operator, from a meeting."""

    meeting: str
    key: str
    text: dict[str, str]
    due: str | None
    overdue: bool


class OpenNeed(msgspec.Struct, frozen=True):
    """A consultation that needs can be given for."""

    consultation: str
    title: dict[str, str]
    needs_until: str | None
    state: str | None
    """The state of the operator's participation; None without one."""


class _Release(msgspec.Struct):
    version: str
    support: str | None = None
    eol_at: str | None = None


class _Solution(msgspec.Struct):
    releases: tuple[_Release, ...] = ()


class _Task(msgspec.Struct):
    key: str
    text: dict[str, str]
    owner: str | None = None
    due: str | None = None
    done_on: str | None = None


class _Meeting(msgspec.Struct):
    status: str = "planned"
    tasks: tuple[_Task, ...] = ()


class _Consultation(msgspec.Struct):
    title: dict[str, str]
    needs_until: str | None = None


class _Participation(msgspec.Struct):
    consultation: str
    state: str


class _Record(msgspec.Struct):
    origin: str
    key: str
    content: msgspec.Raw

    @property
    def id(self) -> str:
        return f"{self.origin}/{self.key}"


_record = msgspec.json.Decoder(_Record)


async def version_notes(node: Node, *, by: Caller) -> tuple[VersionNote, ...]:
    """Versions of the operator's deployments in use that are unknown, or no longer supported."""
    groups = await exposure_index.groups_in_use(node, "operators", [node.operator], MAX_GROUPS, visible_to=by)
    origins = sorted({group.solution.partition("/")[0] for group, _ in groups if group.solution})
    releases = {
        (record.id, release.version): release
        for record in await _collect(node, Solution, (("origin", tuple(origins)),), by) if origins
        for release in msgspec.json.decode(record.content, type=_Solution).releases
    }  # fmt: skip
    today = node.clock().date()
    notes: dict[tuple[str, str | None, str, str | None], int] = {}
    for group, _ in groups:
        reason, ended_on = _reason(
            group.version, group.version_state, releases.get((group.solution, group.version or "")), today
        )
        if not group.understood:
            reason, ended_on = "not-understood", None
        if reason is not None:
            key = (group.solution, group.version, reason, ended_on)
            notes[key] = notes.get(key, 0) + group.deployments
    listed = [VersionNote(key[0], key[1], number, key[2], key[3]) for key, number in notes.items()]
    return tuple(sorted(listed, key=lambda note: (note.reason != "unsupported", -note.deployments)))


def _reason(
    version: str | None, state: str | None, release: _Release | None, today: date
) -> tuple[str | None, str | None]:
    if version is None or state == "unknown":
        return ("rolling" if state == "rolling" else "unknown"), None
    if state == "rolling":
        return "rolling", None
    if release is not None and release.eol_at is not None and date.fromisoformat(release.eol_at) < today:
        return "ended", release.eol_at
    if release is not None and release.support == "unsupported":
        return "unsupported", None
    return None, None


async def open_tasks(node: Node, *, by: Caller) -> tuple[Task, ...]:
    """Tasks of meetings that the operator has and that are not done, the one due first first."""
    today = node.clock().date().isoformat()
    tasks = [
        Task(record.id, task.key, task.text, task.due, task.due is not None and task.due < today)
        for record in await _collect(node, Meeting, (("owner", (node.operator,)),), by)
        if (meeting := msgspec.json.decode(record.content, type=_Meeting)).status != "cancelled"
        for task in meeting.tasks
        if task.owner == node.operator and task.done_on is None
    ]
    return tuple(sorted(tasks, key=lambda task: task.due or "9999"))


async def open_needs(node: Node, *, by: Caller) -> tuple[OpenNeed, ...]:
    """Consultations that needs can still be given for, with what the operator has said."""
    now = node.clock()
    states = {
        participation.consultation: participation.state
        for record in await _collect(node, Participation, (("origin", (node.operator,)),), by)
        for participation in [msgspec.json.decode(record.content, type=_Participation)]
    }
    needs = []
    for record in await _collect(node, Consultation, (("status", NEEDING),), by):
        consultation = msgspec.json.decode(record.content, type=_Consultation)
        until = consultation.needs_until
        if until is None or datetime.fromisoformat(until) >= now:
            needs.append(OpenNeed(record.id, consultation.title, until, states.get(record.id)))
    return tuple(sorted(needs, key=lambda need: need.needs_until or "9999"))


async def _collect(
    node: Node, kind: type[Content], facets: tuple[tuple[str, tuple[str, ...]], ...], by: Caller
) -> Iterable[_Record]:
    documents, _, _ = await records.collect(node, Query(kind=kind, facets=facets, limit=MAX_PAGE), by=by)
    return map(_record.decode, documents)
