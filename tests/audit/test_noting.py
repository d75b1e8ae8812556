"""Each act is noted where it is done: who may see a record, who is in a group, who was refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from federation.domain.audit import ANONYMOUS, AuditEntry
from federation.domain.content.group import Group
from federation.domain.content.solution import Solution
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Unavailable, WriteConflict
from federation.domain.visibility import Caller, itself
from federation.node import audit, records
from federation.node.node import Node
from federation.store.audit import AuditWriter
from tests.audit.audit_trail import entries, holds, noted
from tests.domain.builders import a_group, a_solution
from tests.nodes import a_token, browsing, publish
from tests.store.stepwise_transactions import waits


def told(entry: AuditEntry) -> tuple[str, str, str, dict[str, Any]]:
    return entry.event, entry.actor, entry.subject, entry.detail


async def test_a_record_that_moves_to_another_audience_is_noted(arnia: Node) -> None:
    await publish(arnia, "group", "rssi", a_group(members=["megalis"]))
    await publish(arnia, "solution", "glpi", a_solution())
    await publish(arnia, "solution", "glpi", a_solution(name="GLPI 11"))
    await publish(arnia, "solution", "glpi", a_solution(), tlp="AMBER", audience="rssi")
    await publish(arnia, "solution", "glpi", a_solution(), tlp="AMBER+STRICT", audience="rssi")
    await publish(arnia, "solution", "glpi", a_solution(), tlp="RED")
    await records.retract(arnia, Solution, "arnia", "glpi", by=itself("arnia"))
    await publish(arnia, "solution", "glpi", a_solution())
    subject = "solution arnia/glpi"
    assert [told(entry) for entry in await entries(arnia, "visibility.changed")] == [
        ("visibility.changed", "operator", subject, {"from": "public", "to": "rssi", "revision": 3}),
        ("visibility.changed", "operator", subject, {"from": "rssi", "to": "private", "revision": 5}),
        ("visibility.changed", "operator", subject, {"from": "private", "to": "public", "revision": 7}),
    ]


async def test_what_becomes_of_a_group_is_noted(arnia: Node) -> None:
    by = Caller(node="arnia", operator="arnia", client="client-erp")
    shape: Any = Draft[Group]

    async def put(*members: str) -> None:
        draft = check_draft({"content": a_group(members=list(members))}, shape)
        await records.publish(arnia, Group, draft, "arnia", "rssi", by=by)

    await put("megalis", "recia")
    await put("megalis", "recia")
    await put("recia", "maximilien")
    await records.patch(arnia, Group, {"content": {"name": "Others"}}, "arnia", "rssi", by=by)
    await records.retract(arnia, Group, "arnia", "rssi", by=by)
    await put("recia")
    assert [told(entry)[1:] for entry in await entries(arnia, "group.changed")] == [
        ("client-erp", "arnia/rssi", detail)
        for detail in (
            {"act": "published", "added": "megalis recia", "removed": "", "members": 2, "revision": 1},
            {"act": "revised", "added": "maximilien", "removed": "megalis", "members": 2, "revision": 2},
            {"act": "revised", "added": "", "removed": "", "members": 2, "revision": 3},
            {"act": "retracted", "added": "", "removed": "maximilien recia", "members": 0, "revision": 4},
            {"act": "published", "added": "recia", "removed": "", "members": 1, "revision": 5},
        )
    ]


async def test_an_upload_notes_every_record_that_moves_and_none_that_is_refused(arnia: Node) -> None:
    shape: Any = Draft[Solution]
    keys = [f"s{n}" for n in range(20)]

    async def put(**envelope: Any) -> None:
        drafts = {key: check_draft({"content": a_solution(), **envelope}, shape) for key in keys}
        nowhere = check_draft({"content": a_solution(), "tlp": "AMBER", "audience": "nobody"}, shape)
        await records.upload(arnia, Solution, {**drafts, "refused": nowhere}, by=itself("arnia"))

    await put()
    assert await entries(arnia) == []
    await put(tlp="GREEN")
    found = await entries(arnia, "visibility.changed")
    assert sorted(entry.subject for entry in found) == sorted(f"solution arnia/{key}" for key in keys)
    await holds(arnia, len(keys))


async def test_a_write_that_is_begun_again_is_noted_once(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(arnia, "solution", "glpi", a_solution())
    append, attempts = AuditWriter.append, 0

    async def raced(self: AuditWriter) -> None:
        nonlocal attempts
        await append(self)
        attempts += 1
        if attempts < 3:
            raise WriteConflict

    monkeypatch.setattr(AuditWriter, "append", raced)
    await publish(arnia, "solution", "glpi", a_solution(), tlp="GREEN")
    assert attempts == 3
    await holds(arnia, 1)


# Refused access


async def test_refused_requests_are_counted_and_not_noted_one_by_one(arnia: Node) -> None:
    async with browsing(arnia) as client:
        reader = await a_token(arnia, client, "solution.read", name="reader")
        for _ in range(50):
            assert (await client.get("/v1/peers")).status_code == 401
            assert (await client.get("/v1/peers", headers=reader)).status_code == 403
        bad = {"authorization": "Bearer nonsense"}
        for n in range(10):
            assert (await client.get(f"/v1/solutions?q=word{n}", headers=bad)).status_code == 401
        assert (await client.get("/v1/solutions/arnia/none")).status_code == 404
        assert (await client.get("/v1/solutions?nonsense=1")).status_code == 400
        assert (await client.get("/v1/solutions")).status_code == 200
    assert await entries(arnia, "access.refused") == []
    await audit.note_refusals(arnia)
    found = {
        (entry.actor, entry.subject, *entry.detail.values())
        for entry in await entries(arnia, "access.refused")
    }
    assert found == {
        (ANONYMOUS, "peers", 50, "unauthenticated"),
        ("client-reader", "peers", 50, "missing-scope"),
        (ANONYMOUS, "list", 10, "unauthenticated"),
    }
    async with browsing(arnia) as client:
        await client.get("/v1/peers")
    await audit.note_refusals(arnia)
    assert len(await entries(arnia, "access.refused")) == 3, "one a minute"
    await audit.note_refusals(arnia, last=True)
    assert len(await entries(arnia, "access.refused")) == 4


async def test_nothing_that_was_sent_is_in_an_entry(arnia: Node) -> None:
    """No token, no path, no claimed name: who is not known could write anything there."""
    canary = "canary-7f3a"
    async with browsing(arnia) as client:
        for headers in ({"authorization": f"Bearer {canary}"}, {"authorization": f"Basic {canary}"}, {}):
            await client.get(f"/v1/peers?{canary}=1", headers={**headers, "user-agent": canary})
            await client.put(f"/v1/solutions/arnia/{canary}", json={canary: 1}, headers=headers)
        await client.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=(canary, canary))
    await audit.note_refusals(arnia, last=True)
    found = await entries(arnia)
    assert found
    assert canary not in repr(found)


async def test_counts_that_cannot_be_noted_now_are_noted_later(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: AuditWriter) -> None:
        raise Unavailable("the database went away")

    arnia.refusals.count("list", "unauthenticated", ANONYMOUS)
    with monkeypatch.context() as patch:
        patch.setattr(AuditWriter, "append", away)
        with pytest.raises(Unavailable):
            await audit.note_refusals(arnia)
    await noted(arnia)
    await audit.note_refusals(arnia, last=True)
    (entry,) = await entries(arnia, "access.refused")
    assert entry.detail == {"count": 1, "reason": "unauthenticated"}


async def test_counts_are_kept_when_noting_them_is_cut_short(arnia: Node, look: Any) -> None:
    from federation.store.audit import _LOCK

    arnia.refusals.count("list", "unauthenticated", ANONYMOUS)
    async with look.transaction():
        await look.execute(_LOCK)
        task = asyncio.create_task(audit.note_refusals(arnia))
        await waits(look)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await audit.note_refusals(arnia, last=True)
    assert [entry.detail["count"] for entry in await entries(arnia)] == [1]
