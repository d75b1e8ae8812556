"""Events of monitoring open, extend and resolve outages, once, in whatever order they are delivered."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from federation.domain.content.incident import Incident, NewUpdate
from federation.domain.formats.monitoring.alertmanager import read_alertmanager
from federation.domain.formats.monitoring.uptime_kuma import read_uptime_kuma
from federation.domain.query import Query
from federation.domain.sources.outages import MAX_LINES, EventOptions, Labelled, label_of_outage
from federation.domain.visibility import Caller, anonymous, itself
from federation.node import records
from federation.node.node import Node
from federation.node.source_events import EventLine, EventSource, apply_delivery, check_heartbeat
from tests.domain.builders import a_deployment, a_group, a_solution
from tests.monitoring.webhooks import HOST, SECRET, alertmanager, an_alert, uptime_kuma
from tests.nodes import publish

OWN = itself("arnia")
SOURCE = EventSource("supervision")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(minute: int, second: int = 0) -> str:
    return f"2026-03-01T10:{minute:02d}:{second:02d}Z"


@pytest.fixture
async def node(arnia: Node) -> Node:
    arnia.clock = lambda: NOON
    await publish(arnia, "solution", "glpi", a_solution(name="GLPI"))
    await publish(arnia, "deployment", "glpi-dijon", a_deployment(solution="arnia/glpi"))
    return arnia


async def deliver(node: Node, *alerts: dict[str, Any], source: EventSource = SOURCE) -> tuple[EventLine, ...]:
    delivery = read_alertmanager(alertmanager(*alerts))
    return (await apply_delivery(node, source, delivery, by=OWN)).lines


async def down(node: Node, starts_at: str, **alert: Any) -> EventLine:
    (line,) = await deliver(node, an_alert(starts_at=starts_at, **alert))
    return line


async def up(node: Node, starts_at: str, ends_at: str, **alert: Any) -> EventLine:
    (line,) = await deliver(node, an_alert(state="resolved", starts_at=starts_at, ends_at=ends_at, **alert))
    return line


async def kuma(node: Node, status: int, time: str, **more: Any) -> EventLine:
    delivery = read_uptime_kuma(uptime_kuma(status, time, **more))
    (line,) = (await apply_delivery(node, SOURCE, delivery, by=OWN)).lines
    return line


async def outages(node: Node, by: Caller = OWN) -> list[dict[str, Any]]:
    """The outages that a caller sees, newest first."""
    documents, _, _ = await records.collect(node, Query(kind=Incident), by=by)
    found = [json.loads(document) for document in documents]
    return sorted(found, key=lambda outage: outage["content"]["started_at"], reverse=True)


async def test_an_alert_opens_an_outage_of_its_deployment_and_resolves_it(node: Node) -> None:
    line = await down(node, at(0), severity="critical")
    assert line.outcome == "opened"
    (outage,) = await outages(node)
    content = outage["content"]
    assert (outage["key"], outage["tlp"]) == (line.key, "CLEAR")
    assert content["title"] == {"en": "Outage of GLPI (glpi-dijon)", "fr": "Panne de GLPI (glpi-dijon)"}
    assert (content["kind"], content["status"], content["severity"]) == (
        "outage",
        "investigating",
        "critical",
    )
    assert content["affects"] == [{"deployments": ["arnia/glpi-dijon"]}]
    assert content["started_at"] == "2026-03-01T10:00:00.000000Z"
    assert (await up(node, at(0), at(20))).outcome == "resolved"
    (outage,) = await outages(node)
    assert outage["content"]["status"] == "resolved"
    assert outage["content"]["resolved_at"] == "2026-03-01T10:20:00.000000Z"
    assert [line["status"] for line in outage["content"]["updates"]] == ["investigating", "resolved"]


async def test_the_same_delivery_again_changes_nothing(node: Node) -> None:
    await down(node, at(0))
    (before,) = await outages(node)
    assert (await down(node, at(0))).outcome == "unchanged"
    assert await outages(node) == [before]
    await up(node, at(0), at(20))
    (before,) = await outages(node)
    assert (await up(node, at(0), at(20))).outcome == "unchanged"
    assert (await up(node, at(0), at(25))).outcome == "unchanged"
    assert await outages(node) == [before]


async def test_deliveries_of_two_programs_at_once_open_one_outage(node: Node) -> None:
    lines = await asyncio.gather(*(down(node, at(0)) for _ in range(4)))
    assert sorted(line.outcome for line in lines) == ["opened", "unchanged", "unchanged", "unchanged"]
    assert len(await outages(node)) == 1


async def test_a_late_delivery_opens_nothing_again(node: Node) -> None:
    assert (await up(node, at(0), at(20))).outcome == "resolved"  # the first message comes later, or never
    assert (await down(node, at(0))).outcome == "unchanged"
    assert (await down(node, at(10))).outcome == "unchanged"
    (outage,) = await outages(node)
    assert outage["content"]["status"] == "resolved"
    await down(node, at(40))
    assert (await up(node, at(0), at(20))).outcome == "unchanged"
    assert [outage["content"]["status"] for outage in await outages(node)] == ["investigating", "resolved"]


async def test_what_comes_back_soon_is_the_same_outage_and_later_another_one(node: Node) -> None:
    await down(node, at(0))
    await up(node, at(0), at(5))
    assert (await down(node, at(14, 59))).outcome == "extended"
    (outage,) = await outages(node)
    assert outage["content"]["status"] == "investigating"
    assert "resolved_at" not in outage["content"]
    assert (await up(node, at(14, 59), at(20))).outcome == "resolved"
    assert (await up(node, at(0), at(5))).outcome == "unchanged"
    assert (await down(node, at(30))).outcome == "opened"
    newest, first = await outages(node)
    assert [(line["at"][14:19], line["status"]) for line in first["content"]["updates"]] == [
        ("00:00", "investigating"), ("05:00", "resolved"), ("14:59", "investigating"), ("20:00", "resolved"),
    ]  # fmt: skip
    assert newest["content"]["started_at"] == "2026-03-01T10:30:00.000000Z"
    assert newest["key"] < first["key"]


async def test_the_timeline_of_what_flaps_is_bounded(node: Node) -> None:
    for second in range(0, 2 * MAX_LINES, 2):
        start = f"2026-03-01T10:{second // 60:02d}:{second % 60:02d}Z"
        end = f"2026-03-01T10:{(second + 1) // 60:02d}:{(second + 1) % 60:02d}Z"
        assert (await up(node, start, end)).outcome == "resolved"
    (outage,) = await outages(node)
    assert len(outage["content"]["updates"]) == MAX_LINES
    assert "further changes are not listed" in outage["content"]["updates"][-1]["text"]["en"]
    assert outage["content"]["resolved_at"] == "2026-03-01T10:03:19.000000Z"


async def test_uptime_kuma_resolves_what_is_open_and_ignores_the_rest(node: Node) -> None:
    assert (await kuma(node, 1, "2026-03-01 09:00:00")).outcome == "unchanged"
    assert (await kuma(node, 0, "2026-03-01 10:00:00")).outcome == "opened"
    assert (await kuma(node, 1, "2026-03-01 09:59:00")).outcome == "unchanged"
    assert (await kuma(node, 1, "2026-03-01 10:04:00")).outcome == "resolved"
    assert (await kuma(node, 0, "2026-03-01 10:02:00")).outcome == "unchanged"
    assert [outage["content"]["status"] for outage in await outages(node)] == ["resolved"]


async def test_work_of_people_on_an_outage_stays(node: Node) -> None:
    key = (await down(node, at(0))).key
    note = NewUpdate(text={"fr": "Le fournisseur est prévenu."}, status="identified", at=at(10))
    await records.append_update(node, note, "arnia", key, by=OWN)
    assert (await down(node, at(0))).outcome == "unchanged"
    assert (await up(node, at(0), at(8))).outcome == "resolved"  # though the line of a person is later
    (outage,) = await outages(node)
    assert outage["content"]["updates"][1]["text"] == {"fr": "Le fournisseur est prévenu."}
    await records.retract(node, Incident, "arnia", key, by=OWN)
    assert (await down(node, at(0))).outcome == "unchanged"
    assert await outages(node) == []


@pytest.mark.parametrize("named", ["", "glpi", "megalis/glpi-dijon", "../x"])
async def test_a_deployment_that_is_not_known_is_reported_and_not_guessed(node: Node, named: str) -> None:
    unknown = an_alert(starts_at=at(0), fingerprint="a", deployment=named)
    lines = await deliver(node, unknown, an_alert(starts_at=at(1)))
    assert [line.outcome for line in lines] == ["refused", "opened"]
    assert lines[0].error is not None
    assert "deployment" in lines[0].error.detail
    assert len(await outages(node)) == 1


async def test_a_deployment_is_named_by_its_id_too_and_by_another_label(node: Node) -> None:
    source = EventSource("supervision", EventOptions(deployment_label="service"))
    alert = an_alert(starts_at=at(0), deployment="", service="arnia/glpi-dijon")
    (line,) = await deliver(node, alert, source=source)
    assert line.outcome == "opened"


async def test_texts_and_hosts_of_alerts_are_not_published_unless_the_source_says_so(node: Node) -> None:
    await down(node, at(0))
    await up(node, at(0), at(5))
    shown = json.dumps(await outages(node, by=anonymous("arnia")))
    assert "glpi-dijon" in shown
    assert SECRET not in shown
    assert HOST not in shown
    assert "InstanceDown" not in shown
    source = EventSource("other", EventOptions(with_texts=True), Labelled("GREEN"))
    await deliver(node, an_alert(starts_at=at(0)), source=source)
    (green,) = [outage for outage in await outages(node) if outage["tlp"] == "GREEN"]
    assert HOST in green["content"]["summary"]["fr"]


async def test_an_outage_is_never_wider_than_a_deployment_for_a_group(node: Node) -> None:
    await publish(node, "group", "dsi", a_group())
    await publish(node, "deployment", "ged", a_deployment(solution="arnia/glpi"), tlp="AMBER", audience="dsi")
    await publish(node, "deployment", "paie", a_deployment(solution="arnia/glpi"), tlp="RED")
    await down(node, at(0), deployment="ged")
    await down(node, at(0), deployment="paie", fingerprint="b")
    labels = {
        outage["content"]["affects"][0]["deployments"][0]: outage["tlp"] for outage in await outages(node)
    }
    assert labels == {"arnia/ged": "AMBER", "arnia/paie": "RED"}
    assert await outages(node, by=anonymous("arnia")) == []


async def test_the_name_of_a_solution_is_shown_to_those_who_may_see_it(node: Node) -> None:
    await publish(node, "solution", "secret", a_solution(name="Projet Confidentiel"), tlp="RED")
    await publish(node, "deployment", "projet", a_deployment(solution="arnia/secret"))
    await down(node, at(0), deployment="projet")
    (outage,) = await outages(node)
    assert outage["content"]["title"]["en"] == "Outage of projet"


@pytest.mark.parametrize(
    ("wanted", "deployment", "label"),
    [
        (Labelled(), Labelled("GREEN"), Labelled()),
        (Labelled("GREEN"), Labelled("CLEAR"), Labelled("GREEN")),
        (Labelled("CLEAR"), Labelled("AMBER", "dsi"), Labelled("AMBER", "dsi")),
        (Labelled("AMBER", "rssi"), Labelled("AMBER", "dsi"), Labelled("RED")),
        (Labelled("AMBER", "rssi"), Labelled("AMBER+STRICT", "dsi"), Labelled("RED")),
        (Labelled("AMBER+STRICT", "dsi"), Labelled("AMBER", "dsi"), Labelled("AMBER+STRICT", "dsi")),
        (Labelled("RED"), Labelled("AMBER", "dsi"), Labelled("RED")),
        (Labelled("AMBER", "dsi"), Labelled("RED"), Labelled("RED")),
    ],
)  # fmt: skip
def test_the_label_of_an_outage(wanted: Labelled, deployment: Labelled, label: Labelled) -> None:
    assert label_of_outage(wanted, deployment) == label


async def test_an_event_of_a_clock_that_is_ahead_is_reported(node: Node) -> None:
    assert (await down(node, "2026-03-01T12:11:00Z")).outcome == "refused"
    assert (await down(node, "2026-03-01T12:09:00Z")).outcome == "opened"


async def test_a_heartbeat_that_does_not_come_is_an_outage_only_where_the_source_says_so(node: Node) -> None:
    last = NOON - timedelta(minutes=30)
    (line,) = await deliver(node, an_alert(alertname="Watchdog", starts_at=at(0)))
    assert line.outcome == "heartbeat"
    assert await check_heartbeat(node, SOURCE, last, by=OWN) is None
    expected = EventSource("supervision", EventOptions(heartbeat_seconds=900))
    assert await check_heartbeat(node, expected, last, by=OWN) == last + timedelta(minutes=15)
    assert await check_heartbeat(node, expected, NOON - timedelta(minutes=15), by=OWN) is None
    assert await outages(node) == []

    opens = EventSource("supervision", EventOptions(heartbeat_seconds=900, heartbeat_deployment="glpi-dijon"))
    await check_heartbeat(node, opens, last, by=OWN)
    await check_heartbeat(node, opens, last, by=OWN)
    (outage,) = await outages(node)
    assert outage["content"]["started_at"] == "2026-03-01T11:45:00.000000Z"
    assert await check_heartbeat(node, opens, NOON, by=OWN) is None
    (outage,) = await outages(node)
    assert (outage["content"]["status"], len(outage["content"]["updates"])) == ("resolved", 2)
    unknown = EventSource("supervision", EventOptions(heartbeat_seconds=900, heartbeat_deployment="nowhere"))
    with pytest.raises(Exception, match="nowhere"):
        await check_heartbeat(node, unknown, last, by=OWN)


async def test_fingerprints_of_two_sources_are_apart(node: Node) -> None:
    await down(node, at(0))
    (line,) = await deliver(node, an_alert(starts_at=at(0)), source=EventSource("other"))
    assert line.outcome == "opened"
    assert len(await outages(node)) == 2
