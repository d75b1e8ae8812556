"""The verbs of the client on records, against a node."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from federation.api.examples import DEADLINE, DRAFTS
from federation.client import (
    Client,
    Forbidden,
    Invalid,
    NotFound,
    NotUnderstood,
    PreconditionFailed,
    RecordView,
    Retracted,
    UploadReport,
    merge_patch,
)
from federation.client.answers import CopyStatus, DeadlineStatus, PeersStatus, PeerStatus, Preview
from federation.domain.alert import NewSubscription
from federation.domain.content.deployment import Deployment
from federation.domain.content.incident import Incident
from federation.domain.content.solution import Solution
from federation.domain.content.statement import Statement
from federation.domain.deadline import ReportingDeadline
from federation.domain.draft import KeyedDraft
from federation.domain.registry import TYPES
from federation.node.copy_views import FeedView
from federation.node.deadlines import DeadlineView
from federation.node.node import Node
from federation.node.peer_views import PeersView, PeerView
from federation.node.previews import Preview as NodePreview
from tests.client.conftest import client_of
from tests.domain.builders import a_document, a_solution
from tests.nodes import introduce

GLPI = msgspec.convert(a_solution(), Solution)


def named(name: str) -> Solution:
    return msgspec.structs.replace(GLPI, name=name)


async def test_each_type_is_published_read_and_retracted(client: Client) -> None:
    for kind in TYPES.values():
        if kind.type == "membership":  # a node publishes its own
            continue
        collection = getattr(client, kind.plural)
        content = msgspec.convert(DRAFTS[kind.type]["content"], kind)
        key = "arnia" if kind.type == "operator" else "one"
        published = await collection.publish(key, content)
        assert published.created
        read = await collection.get(key)
        assert type(read.content) is kind
        assert (read.raw, read.etag, read.id) == (published.raw, published.etag, f"arnia/{key}")
        assert read.etag == f'"{hashlib.sha256(read.raw).hexdigest()}"'
        assert [record.id for record in (await collection.list()).items] == [read.id]
        await collection.retract(key)
        with pytest.raises(Retracted):
            await collection.get(key)


async def test_a_record_that_is_not_there_and_a_write_without_a_right_are_refused(
    arnia: Node, client: Client
) -> None:
    with pytest.raises(NotFound):
        await client.solutions.get("glpi")
    with pytest.raises(Forbidden) as caught:
        await client.solutions.publish("megalis/glpi", GLPI)
    assert caught.value.code == "not-the-writer"
    with pytest.raises(Invalid) as bad:
        await client.solutions.publish("glpi", named(""))
    assert [fault.pointer for fault in bad.value.errors] == ["/content/name"]


async def test_writes_are_conditional(client: Client) -> None:
    first = await client.solutions.publish("glpi", GLPI, only_new=True)
    with pytest.raises(PreconditionFailed):
        await client.solutions.publish("glpi", named("Other"), only_new=True)
    second = await client.solutions.publish("glpi", named("Second"), if_match=first.etag)
    assert (second.revision, second.created) == (2, False)
    for write in (
        client.solutions.publish("glpi", GLPI, if_match=first.etag),
        client.solutions.patch("glpi", {"content": {"name": "Third"}}, if_match=first.etag),
        client.solutions.retract("glpi", if_match=first.etag),
    ):
        with pytest.raises(PreconditionFailed):
            await write
    assert (
        await client.solutions.patch("glpi", {"content": {"name": "Third"}}, if_match=second.etag)
    ).revision == 3
    with pytest.raises(ValueError, match="only_new"):
        await client.solutions.publish("glpi", GLPI, if_match=second.etag, only_new=True)


async def test_a_record_is_refreshed_only_when_it_has_changed(client: Client) -> None:
    first = await client.solutions.publish("glpi", GLPI)
    assert await client.solutions.refresh(first) is first
    await client.solutions.publish("glpi", named("Second"))
    assert (await client.solutions.refresh(first)).content.name == "Second"


async def test_updates_at_the_same_time_are_all_applied(client: Client) -> None:
    await client.solutions.publish("glpi", GLPI)

    def add(alias: str) -> Any:
        return lambda content: msgspec.structs.replace(
            content, summary={**content.summary, alias: f"Text of {alias}"}
        )

    await asyncio.gather(
        *(client.solutions.update("glpi", add(tag), attempts=9) for tag in ("nl", "it", "pl"))
    )
    record = await client.solutions.get("glpi")
    assert {"nl", "it", "pl"} <= set(record.content.summary)
    assert (await client.solutions.update("glpi", lambda content: content)).revision == record.revision
    with pytest.raises(NotFound):
        await client.solutions.update("absent", lambda content: content)


async def test_an_update_gives_up_when_others_are_quicker_each_time(client: Client) -> None:
    await client.solutions.publish("glpi", GLPI)
    calls = 0

    async def interfere() -> None:
        await client.solutions.publish("glpi", named(f"Interference {calls}"))

    class Racing(type(client.solutions)):  # type: ignore[misc] # a collection in which somebody else writes first
        async def patch(self, *args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            await interfere()
            return await super().patch(*args, **options)

    racing = Racing(client.solutions._sender, Solution, client.operator)
    with pytest.raises(PreconditionFailed):
        await racing.update("glpi", lambda content: msgspec.structs.replace(content, name="Mine"), attempts=3)
    assert calls == 3


async def test_a_new_key_is_made_by_the_node(client: Client) -> None:
    records = [await client.solutions.publish_new(named(name)) for name in ("One", "Two")]
    assert len({record.id for record in records}) == 2
    assert all(record.created for record in records)


async def test_a_list_is_filtered_searched_and_walked_to_its_end(client: Client) -> None:
    await client.solutions.upload((f"key-{number:02}", named(f"Outil {number}")) for number in range(7))
    await client.solutions.publish("beta", msgspec.structs.replace(GLPI, status="beta"))
    walked = [record.key async for record in client.solutions.walk(limit=3)]
    assert walked == sorted(walked)
    assert len(walked) == 8
    page = await client.solutions.list(status=["beta", "obsolete"], total=True, limit=1)
    assert ([record.key for record in page.items], page.total, page.after) == (["beta"], 1, None)
    page = await client.solutions.list(limit=3)
    assert page.after is not None
    rest = await client.solutions.list(limit=100, after=page.after)
    assert len({record.key for record in (*page.items, *rest.items)}) == 8
    assert (await client.solutions.search("outil 4")).items[0].key == "key-04"
    with pytest.raises(Invalid, match="flavour"):
        await client.solutions.list(flavour="sweet")
    assert (await client.solutions.list(updated_since=datetime.now(UTC))).items == ()
    with pytest.raises(ValueError, match="time zone"):
        await client.solutions.list(updated_since=datetime(2026, 1, 1))  # noqa: DTZ001 - without a zone on purpose


async def test_many_records_are_uploaded_in_parts_with_progress(client: Client) -> None:
    reports: list[tuple[int, int]] = []

    def note(report: UploadReport) -> None:
        reports.append((report.received, report.refused))

    async def drafts() -> AsyncIterator[Any]:
        yield "one", GLPI
        yield KeyedDraft(key="two", content=named("Two"), tlp="GREEN")
        yield {"key": "three", "content": a_solution(name="Three")}
        yield {"key": "bad", "content": {**a_solution(), "licence": "none of these"}}
        yield "five", named("Five")

    report = await client.solutions.upload(drafts(), progress=note, lines_per_upload=2)
    assert (report.received, report.created, report.refused) == (5, 4, 1)
    (refused,) = report.refusals
    assert (refused.number, refused.key, refused.status) == (4, "bad", 400)
    assert refused.errors[0].pointer == "/content/licence"
    assert reports == [(2, 0), (4, 1), (5, 1)]
    assert (await client.solutions.upload([("one", GLPI)])).unchanged == 1
    assert (await client.solutions.upload([])).received == 0
    with pytest.raises(ValueError, match="lines_per_upload"):
        await client.solutions.upload([], lines_per_upload=100_001)


async def test_a_dry_run_changes_nothing(arnia: Node, megalis: Node, client: Client) -> None:
    await introduce(arnia, megalis)
    preview = await client.solutions.preview.publish("glpi", GLPI, tlp="GREEN")
    assert [(effect.key, effect.appears_at) for effect in preview.effects] == [("glpi", ("megalis",))]
    with pytest.raises(NotFound):
        await client.solutions.get("glpi")
    await client.solutions.publish("glpi", GLPI, tlp="GREEN")
    assert (await client.solutions.preview.patch("glpi", {"tlp": "RED"})).effects[0].disappears_from == (
        "megalis",
    )
    assert (await client.solutions.preview.retract("glpi")).records == 1
    assert (await client.solutions.get("glpi")).envelope.tlp == "GREEN"


async def test_an_incident_is_followed_up(client: Client) -> None:
    await client.solutions.publish("glpi", GLPI)
    deployment = msgspec.convert(DRAFTS["deployment"]["content"], Deployment)
    await client.deployments.publish("ours", deployment)
    incident = msgspec.convert(DRAFTS["incident"]["content"], Incident)
    await client.incidents.publish("leak", incident)
    updated = await client.incidents.append_update(
        "leak", {"en": "Cut off."}, status="mitigated", at=datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    )
    assert updated.content.status == "mitigated"
    assert updated.content.updates[0].at.startswith("2026-03-01T09:30:00")
    exposure = await client.exposure.of_incident("leak")
    assert exposure.incident.id == "arnia/leak"
    assert exposure.total.affected.deployments == 1
    assert [line.incident.id async for line in client.exposure.own()] == ["arnia/leak"]
    assert (await client.exposure.of_solution("glpi")).incidents[0].incident.id == "arnia/leak"
    assert (await client.exposure.bodies_of_incident("leak")).bodies
    statement = Statement(incident="arnia/leak", status="fixed")
    await client.statements.publish("leak", statement)
    noted = await client.deployments.set_version("ours", "10.0.18", version_state="exact")
    assert noted.content.version == "10.0.18"


async def test_deadlines_alerts_and_the_node_are_read(arnia: Node, megalis: Node, client: Client) -> None:
    await introduce(arnia, megalis)
    deadline = msgspec.convert(DEADLINE, ReportingDeadline)
    assert (await client.deadlines.set("leak", deadline)).steps
    assert [status.key for status in await client.deadlines.list()] == ["leak"]
    assert (await client.deadlines.get("leak")).deadline.title == deadline.title
    assert (await client.deadlines.calendar()).startswith(b"BEGIN:VCALENDAR")
    await client.deadlines.remove("leak")
    with pytest.raises(NotFound):
        await client.deadlines.get("leak")
    assert await client.alerts.list(parked=True) == ()
    assert await client.alerts.subscriptions() == ()
    with pytest.raises(Invalid):  # this node sends no e-mail
        await client.alerts.subscribe(
            NewSubscription(events=("incident.affects-mine",), email="a@example.org")
        )
    assert [(peer.operator, peer.state) for peer in (await client.peers()).peers] == [("megalis", "active")]
    assert {head.audience for head in await client.feeds()} >= {"public", "federation"}
    assert (await client.description()).operator == "arnia"
    assert await client.is_ready()
    assert (await client.request("GET", "/v1/solutions", parameters={"total": True}))["total"] == 0


async def test_a_client_with_few_scopes_has_these_rights_only(arnia: Node) -> None:
    async with client_of(arnia, "solutions.read") as reader:
        assert (await reader.solutions.list()).items == ()
        with pytest.raises(Forbidden) as caught:
            await reader.solutions.publish("glpi", GLPI)
    assert caught.value.code == "missing-scope"


def test_a_record_of_a_later_version_has_its_envelope_and_bytes() -> None:
    later = a_document(content=a_solution(kind="hologram"), tlp="VIOLET", mood="new")
    record = RecordView(msgspec.json.encode(later), Solution)
    assert (record.id, record.revision, record.envelope.tlp) == ("megalis/glpi", 1, "VIOLET")
    assert not record.understood
    assert record.to_builtins() == later
    with pytest.raises(NotUnderstood, match="megalis/glpi"):
        _ = record.content
    assert RecordView(msgspec.json.encode(a_document()), Solution).understood


def test_a_difference_leaves_what_neither_side_names() -> None:
    before = {"a": 1, "b": {"c": 1, "d": [1]}, "e": "x"}
    after = {"a": 1, "b": {"c": 2, "d": [1]}, "f": True}
    patch = merge_patch.difference(before, after)
    assert patch == {"b": {"c": 2}, "e": None, "f": True}
    assert merge_patch.apply(patch, {**before, "later": 1}) == {**after, "later": 1}
    assert merge_patch.difference(before, before) == {}
    assert merge_patch.difference({"a": 1}, {"a": True}) == {"a": True}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (PeersStatus, PeersView),
        (PeerStatus, PeerView),
        (CopyStatus, FeedView),
        (DeadlineStatus, DeadlineView),
        (Preview, NodePreview),
    ],
    ids=lambda shape: shape.__name__,
)
def test_an_answer_has_the_members_that_a_node_gives(
    ours: type[msgspec.Struct], theirs: type[msgspec.Struct]
) -> None:
    assert set(ours.__struct_fields__) <= set(theirs.__struct_fields__)


def test_every_type_of_record_has_a_collection() -> None:
    client = Client("http://127.0.0.1:1")
    for kind in TYPES.values():
        assert getattr(client, kind.plural)._kind is kind
