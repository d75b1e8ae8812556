"""Sources of records: add, change, remove and find them.

A source writes with the rights of the node itself, so only somebody who may configure it adds one. Its
records stay when it is removed: they are then like any other of the operator's.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from federation.domain.audit import actor_of
from federation.domain.errors import Conflict, Invalid, MissingScope, NotFound, Unauthenticated, Unreachable
from federation.domain.feed import printable
from federation.domain.invitation import fingerprint, new_secret
from federation.domain.sources.kinds import Kind, kind_of, read_options
from federation.domain.sources.report import RunReport
from federation.domain.sources.source import (
    ALERT_AFTER_FAILURES,
    MAX_SOURCES,
    AddedSource,
    DisappearedRecord,
    ImportSource,
    SourceChange,
    SourceSettings,
)
from federation.domain.visibility import Caller, audience_of
from federation.node.node import Node
from federation.outbound.urls import check_source
from federation.store.source_items import RecordSource

MAX_LISTED_DISAPPEARED = 500
"""Records that a source no longer gives, of those that are listed."""
UPLOADS = "uploads-"
"""The name of a source of files that were uploaded without naming one begins so."""


async def add(node: Node, new: SourceSettings, *, by: Caller) -> AddedSource:
    """Add a source. Its first run is due at once. Raises Invalid, Conflict, MissingScope."""
    kind = check_source_settings(new)
    if new.private and by.scopes and "node.admin" not in by.scopes:
        raise MissingScope("private is for callers with the scope {scope}", scope="node.admin")
    secret = new_secret() if kind.way == "event" else None
    now = node.clock()
    async with node.store.write() as tx:
        await tx.sources.lock()
        sources = await tx.sources.all()
        if any(source.name == new.name for source in sources):
            raise Conflict("there is a source {name} already", name=new.name, pointer="/name")
        if len(sources) >= MAX_SOURCES:
            raise Invalid("there are {maximum} sources already; remove one first", maximum=MAX_SOURCES)
        due = now if new.url is not None else None
        await tx.sources.add(new, fingerprint(secret) if secret else None, now, due)
        detail = {"kind": new.kind, "host": (urlsplit(new.url).hostname or "") if new.url else ""}
        await tx.audit.note("source.added", actor=actor_of(by), subject=new.name, detail=detail)
    return AddedSource(new.name, secret)


def check_source_settings(new: SourceSettings) -> Kind:
    """The kind of a new source. Raises Invalid for settings that do not go together."""
    kind = kind_of(new.kind)
    if kind.way == "event" and new.url is not None:
        raise Invalid("a source of kind {kind} is not polled: leave out url", kind=new.kind, pointer="/url")
    if (new.url is None) != (new.every is None) and kind.way != "event":
        raise Invalid("url and every go together: name both, or none of them", pointer="/every")
    if new.url is not None:
        try:
            check_source(new.url, private=new.private)
        except Unreachable as error:
            raise Invalid(error.message, pointer="/url", fault="address") from None
    read_options(kind, new.options)
    if new.tlp is not None:
        audience_of(new.tlp, new.audience)
    elif new.audience is not None:
        raise Invalid("an audience goes with the label AMBER or AMBER+STRICT", pointer="/audience")
    return kind


async def all(node: Node) -> tuple[ImportSource, ...]:
    """Every source, by name."""
    async with node.store.read() as tx:
        return await tx.sources.all()


async def failing(node: Node) -> tuple[ImportSource, ...]:
    """The sources that failed several times in a row."""
    async with node.store.read() as tx:
        return await tx.sources.failing(ALERT_AFTER_FAILURES)


async def find(node: Node, name: str) -> ImportSource:
    """Find a source. Raises NotFound."""
    async with node.store.read() as tx:
        source = await tx.sources.find(name)
    if source is None:
        raise unknown_source(name)
    return source


async def change(node: Node, name: str, change: SourceChange, *, by: Caller) -> ImportSource:
    """Pause or resume a source, give it another interval, or have it run now. Raises NotFound, Invalid."""
    now = node.clock()
    async with node.store.write() as tx:
        await tx.sources.lock()
        source = await tx.sources.find(name)
        if source is None:
            raise unknown_source(name)
        if source.url is None and (change.run_now or change.every is not None):
            raise Invalid("the source {name} has no address; its files are uploaded or pushed", name=name)
        state = change.state or source.state
        next_at = source.next_at
        resumes = state == "active" and source.state == "paused"
        if state == "paused":
            next_at = None
        elif source.url is not None and (change.run_now or resumes or next_at is None):
            next_at = now
        await tx.sources.change(name, state, change.every or source.every, next_at)
        if state != source.state or change.every is not None:
            detail = {"state": state, "every": change.every or source.every or 0}
            await tx.audit.note("source.changed", actor=actor_of(by), subject=name, detail=detail)
        changed = await tx.sources.find(name)
    if changed is None:
        raise unknown_source(name)
    return changed


async def remove(node: Node, name: str, *, by: Caller) -> None:
    """Remove a source and its reports. Its records stay. Raises NotFound."""
    async with node.store.write() as tx:
        await tx.sources.lock()
        source = await tx.sources.find(name)
        if source is None:
            raise unknown_source(name)
        await tx.sources.remove(name)
        await tx.audit.note(
            "source.removed", actor=actor_of(by), subject=name, detail={"records": source.records}
        )


async def new_source_secret(node: Node, name: str, *, by: Caller) -> AddedSource:
    """Give a pushed source another secret, returned this once. Raises NotFound, Invalid."""
    secret = new_secret()
    async with node.store.write() as tx:
        await tx.sources.lock()
        source = await tx.sources.find(name)
        if source is None:
            raise unknown_source(name)
        if not source.has_secret:
            raise Invalid("the source {name} has no secret: nothing is pushed to it", name=name)
        await tx.sources.set_secret(name, fingerprint(secret))
        await tx.audit.note("source.secret-changed", actor=actor_of(by), subject=name)
    return AddedSource(name, secret)


async def pushing_source(node: Node, name: str, secret: str) -> ImportSource:
    """The source to which a monitoring system pushes. Raises Unauthenticated, also where there is none."""
    async with node.store.read() as tx:
        source, stored = await tx.sources.find(name), await tx.sources.secret_hash(name)
    given = fingerprint(secret)
    if source is None or stored is None or not hmac.compare_digest(stored, given):
        raise Unauthenticated("this is not the secret of the source")
    if source.state == "paused":
        raise Conflict("the source {name} is paused; nothing was changed", name=name)
    return source


async def runs(node: Node, name: str) -> tuple[RunReport, ...]:
    """The last runs of a source, newest first. Raises NotFound."""
    async with node.store.read() as tx:
        if await tx.sources.find(name) is None:
            raise unknown_source(name)
        return await tx.sources.runs(name)


async def find_run(node: Node, name: str, number: int) -> RunReport:
    """The report of a run. Raises NotFound."""
    async with node.store.read() as tx:
        report = await tx.sources.run(name, number)
    if report is None:
        raise NotFound(
            "there is no run {number} of the source {name}", number=number, name=printable(name, 80)
        )
    return report


async def disappeared(node: Node, name: str) -> tuple[DisappearedRecord, ...]:
    """Records that a source no longer gives, the last ones first."""
    async with node.store.read() as tx:
        items = await tx.source_items.disappeared(name, MAX_LISTED_DISAPPEARED)
    return tuple(
        DisappearedRecord(item.type, item.key, item.identity, item.disappeared_at)
        for item in items
        if item.disappeared_at is not None
    )


async def source_of_record(node: Node, type_name: str, key: str) -> RecordSource | None:
    """The source of an own record, and the members that a person changed since; None where it has none."""
    async with node.store.read() as tx:
        return await tx.source_items.source_of(type_name, key)


def unknown_source(name: str) -> NotFound:
    return NotFound("there is no source {name}", name=printable(name, 80))
