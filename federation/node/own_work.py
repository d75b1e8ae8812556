"""The operator's own records that wait for somebody: old and unknown versions, tasks, needs to give."""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from federation.domain.content.consultation import Consultation
from federation.domain.content.meeting import Meeting
from federation.domain.content.participation import Participation
from federation.domain.content.solution import Solution
from federation.domain.exposure.answers import OwnExposure
from federation.domain.query import MAX_PAGE, PageKey, Query
from federation.domain.record_content import Content
from federation.domain.visibility import Caller
from federation.node import exposure, exposure_index
from federation.node.deadlines import DeadlineView, read_deadlines
from federation.node.exposure_index import IndexCheck
from federation.node.node import Node
from federation.store.database import Reading
from federation.store.together import Together

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


class OwnWork(msgspec.Struct, frozen=True):
    """All that waits for the operator."""

    exposure: OwnExposure
    following: PageKey | None
    """Where the next page of incidents begins."""
    deadlines: tuple[DeadlineView, ...]
    tasks: tuple[Task, ...]
    needs: tuple[OpenNeed, ...]
    versions: tuple[VersionNote, ...]


async def of_own(
    node: Node, *, by: Caller, limit: int, after: PageKey | None, with_deadlines: bool
) -> OwnWork:
    """Read all of it together. Raises Forbidden for a caller without an operator.

    ``limit``: open incidents that are compared with the deployments, those after ``after``.
    """

    async def read(tx: Reading, check: IndexCheck) -> OwnWork:
        async with Together(tx) as reads:
            exposed = reads.start(
                exposure.read_own(
                    node, reads.tx, check, by=by, limit=limit, after=after, with_deployments=False
                )
            )
            due = reads.start(read_deadlines(node, reads.tx, by=by)) if with_deadlines else None
            tasks = reads.start(open_tasks(node, reads.tx, by=by))
            needs = reads.start(open_needs(node, reads.tx, by=by))
            versions = reads.start(version_notes(node, reads.tx, by=by))
        own, following = exposed.result()
        return OwnWork(
            own,
            following,
            due.result() if due is not None else (),
            tasks.result(),
            needs.result(),
            versions.result(),
        )

    return await exposure_index.ask(node, read)


async def version_notes(node: Node, tx: Reading, *, by: Caller) -> tuple[VersionNote, ...]:
    """Versions of the operator's deployments in use that are unknown, or no longer supported."""
    _, groups = await tx.exposure.groups_in_use("operators", [node.operator], MAX_GROUPS, visible_to=by)
    solutions = {group.solution for group, _ in groups if "/" in group.solution}
    documents = await tx.records.documents(Solution.type, solutions, visible_to=by)
    releases = {
        (record.id, release.version): release
        for record in map(_record.decode, documents)
        for release in msgspec.json.decode(record.content, type=_Solution).releases
    }
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


async def open_tasks(node: Node, tx: Reading, *, by: Caller) -> tuple[Task, ...]:
    """Tasks of meetings that the operator has and that are not done, the one due first first."""
    today = node.clock().date().isoformat()
    tasks = [
        Task(record.id, task.key, task.text, task.due, task.due is not None and task.due < today)
        for record in await _collect(tx, Meeting, (("owner", (node.operator,)),), by)
        if (meeting := msgspec.json.decode(record.content, type=_Meeting)).status != "cancelled"
        for task in meeting.tasks
        if task.owner == node.operator and task.done_on is None
    ]
    return tuple(sorted(tasks, key=lambda task: task.due or "9999"))


async def open_needs(node: Node, tx: Reading, *, by: Caller) -> tuple[OpenNeed, ...]:
    """Consultations that needs can still be given for, with what the operator has said."""
    now = node.clock()
    async with Together(tx) as reads:
        given = reads.start(_collect(reads.tx, Participation, (("origin", (node.operator,)),), by))
        consultations = reads.start(_collect(reads.tx, Consultation, (("status", NEEDING),), by))
    states = {
        participation.consultation: participation.state
        for record in given.result()
        for participation in [msgspec.json.decode(record.content, type=_Participation)]
    }
    needs = []
    for record in consultations.result():
        consultation = msgspec.json.decode(record.content, type=_Consultation)
        until = consultation.needs_until
        if until is None or datetime.fromisoformat(until) >= now:
            needs.append(OpenNeed(record.id, consultation.title, until, states.get(record.id)))
    return tuple(sorted(needs, key=lambda need: need.needs_until or "9999"))


async def _collect(
    tx: Reading, kind: type[Content], facets: tuple[tuple[str, tuple[str, ...]], ...], by: Caller
) -> list[_Record]:
    query = Query(kind=kind, facets=facets, limit=MAX_PAGE)
    documents, _, _ = await tx.records.collect(query, visible_to=by)
    return [*map(_record.decode, documents)]
