"""Alerts of a node: an incident that is opened again, one vulnerability of three operators, windows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from federation.domain.content.incident import Incident
from federation.domain.values import as_instant
from federation.domain.visibility import Caller
from federation.node import alert_scan
from federation.node.node import Node
from tests.api.http_client import fine
from tests.domain.builders import a_record, an_incident
from tests.exposure.deployments import GLPI, a_vulnerability, copy, running
from tests.exposure.test_alerts import Receiver, listed, receiver, settle, subscribed
from tests.nodes import a_token, browsing, publish

__all__ = ["receiver"]  # a fixture

HERE = [{"deployments": ["arnia/one"]}]


@pytest.mark.case("d02", "an incident that is opened again is told again, once")
@pytest.mark.parametrize(
    ("kind", "over", "again"),
    [
        ("outage", "resolved", "investigating"),
        ("degradation", "withdrawn", "monitoring"),
        ("maintenance", "completed", "in_progress"),
        ("vulnerability", "fixed", "open"),
        ("vulnerability", "mitigated", "open"),
    ],
)
async def test_an_incident_that_is_opened_again_is_told_again(
    arnia: Node, receiver: Receiver, kind: str, over: str, again: str
) -> None:
    await subscribed(arnia, "incident.affects-mine")
    await publish(arnia, "deployment", "one", running())

    async def revise(status: str, **members: Any) -> None:
        await publish(
            arnia, "incident", "x", an_incident(kind=kind, status=status, affects=HERE, **members)
            | ({"started_at": "2026-03-01T08:00:00Z"} if kind != "maintenance" else {}),
        )  # fmt: skip

    await revise(again)
    await settle(arnia)
    assert receiver.events() == [("incident.affects-mine", "arnia/x")]
    await revise(again, title={"fr": "Encore"})
    await settle(arnia)
    await revise(over)
    await settle(arnia)
    assert len(receiver.taken) == 1
    await revise(again)
    await settle(arnia)
    await settle(arnia)
    assert receiver.events() == [("incident.affects-mine", "arnia/x")] * 2
    assert [body["data"].get("reopened") for _, body in receiver.taken] == [None, True]
    # Between two scans.
    await revise(over)
    await revise(again)
    await settle(arnia)
    await revise(again, title={"fr": "Encore"})
    await settle(arnia)
    assert receiver.events() == [("incident.affects-mine", "arnia/x")] * 3


@pytest.mark.case("d02", "an incident that is opened again is told again over HTTP, too")
async def test_over_http_an_incident_that_is_opened_again_is_told_again(
    arnia: Node, receiver: Receiver
) -> None:
    await subscribed(arnia, "incident.affects-mine")
    await publish(arnia, "deployment", "one", running())
    await publish(arnia, "incident", "x", an_incident(affects=HERE))
    await settle(arnia)
    async with browsing(arnia) as own:
        own.headers.update(await a_token(arnia, own))
        for status in ("resolved", "investigating"):
            line = {"status": status, "text": {"en": status}}
            fine(await own.post("/v1/incidents/arnia/x/updates", json=line), 200)
    await settle(arnia)
    assert receiver.events() == [("incident.affects-mine", "arnia/x")] * 2


@pytest.mark.case("d02", "an incident that comes to affect the operator is told")
async def test_a_range_that_grows_is_told(arnia: Node, receiver: Receiver) -> None:
    await subscribed(arnia, "incident.affects-mine")
    await publish(arnia, "deployment", "one", running("10.0.17"))

    async def affecting(range_: str) -> None:
        await copy(
            arnia, "incident", "megalis/v", a_vulnerability(affects=[{"solution": GLPI, "range": range_}])
        )
        await settle(arnia)

    await affecting("vers:generic/<10.0.17")
    assert receiver.events() == []
    await affecting("vers:generic/<10.0.18")
    assert receiver.events() == [("incident.affects-mine", "megalis/v")]
    await affecting("vers:generic/<10.0.17")
    await affecting("vers:generic/<10.0.19")
    assert receiver.events() == [("incident.affects-mine", "megalis/v")] * 2


@pytest.mark.case("d01", "one vulnerability of several operators is told once, and by whom else")
async def test_one_vulnerability_of_three_operators_is_told_once(arnia: Node, receiver: Receiver) -> None:
    await subscribed(arnia, "incident.affects-mine", "incident.unanswered", unanswered_hours=1)
    await publish(arnia, "deployment", "one", running())
    await publish(arnia, "incident", "cve", a_vulnerability())
    await settle(arnia)
    for operator in ("megalis", "recia"):
        await copy(arnia, "incident", f"{operator}/cve", a_vulnerability())
        await settle(arnia)
    told = receiver.events()
    assert [event for event in told if event[0] == "incident.affects-mine"] == [
        ("incident.affects-mine", "arnia/cve")
    ]
    assert len([event for event in told if event[0] == "incident.unanswered"]) == 1
    # Who subscribes later has one, too, that names the others.
    await subscribed(arnia, "incident.affects-mine")
    await settle(arnia)
    (alert,) = (body for _, body in receiver.taken[len(told) :])
    assert (alert["data"]["id"], alert["data"]["same_vulnerability"]) == (
        "arnia/cve",
        ["megalis/cve", "recia/cve"],
    )
    await copy(arnia, "incident", "recia/other", a_vulnerability(aliases=["CVE-2025-24800"]))
    await settle(arnia)
    assert ("incident.affects-mine", "recia/other") in receiver.events()


@pytest.mark.case("d02", "of a peer's revisions the last one is enough, where its timeline tells")
async def test_an_incident_of_a_peer_that_was_over_in_between_is_told_again(
    arnia: Node, receiver: Receiver
) -> None:
    await subscribed(arnia, "incident.affects-mine")
    await publish(arnia, "deployment", "one", running())
    await publish(arnia, "incident", "x", an_incident(affects=HERE))
    await settle(arnia)

    async def revise(*statuses: str) -> None:
        now = as_instant(arnia.clock())
        updates = [{"at": now, "status": status, "text": {"en": status}} for status in statuses]
        content = an_incident(affects=HERE, updates=updates)
        record = a_record(content, Incident, origin="arnia", key="x", revision=2)
        async with arnia.store.write() as tx:
            await tx.affecting_incidents.note_revisions([record], arnia.clock())
        await settle(arnia)

    await revise("investigating", "monitoring")
    assert len(receiver.taken) == 1
    await revise("investigating", "resolved", "investigating")
    assert len(receiver.taken) == 2
    await revise()
    assert len(receiver.taken) == 2


@pytest.mark.case("d01", "a flood of one operator hides no alert of another one")
async def test_an_alert_that_is_withheld_stands_for_no_other_one(arnia: Node, receiver: Receiver) -> None:
    await subscribed(arnia, "incident.affects-mine")
    await publish(arnia, "deployment", "one", running())
    arnia.alerts_an_hour = 2
    for number in range(4):
        await copy(
            arnia, "incident", f"megalis/v{number}", a_vulnerability(aliases=[f"CVE-2025-1000{number}"])
        )
    await settle(arnia)
    assert len(receiver.taken) == 2
    for number in range(4):
        await copy(arnia, "incident", f"recia/v{number}", a_vulnerability(aliases=[f"CVE-2025-1000{number}"]))
    await settle(arnia)
    sent = {body["data"]["id"].partition("/v") for _, body in receiver.taken}
    assert len(sent) == len(receiver.taken) == 4
    assert {number for _, _, number in sent} == {"0", "1", "2", "3"}, "each is told once"
    await settle(arnia)
    assert len(receiver.taken) == 4


@pytest.mark.case("d02", "a peer whose copy is dropped and comes again opens nothing again")
async def test_an_incident_that_is_not_here_for_a_while_is_not_told_again(
    arnia: Node, receiver: Receiver
) -> None:
    await subscribed(arnia, "incident.affects-mine")
    await publish(arnia, "deployment", "one", running())
    await copy(arnia, "incident", "megalis/x", a_vulnerability())
    await settle(arnia)
    async with arnia.store.write() as tx:
        await tx.affecting_incidents._session.connection.execute(
            "DELETE FROM records WHERE type = 'incident' AND origin = 'megalis'"
        )
    await settle(arnia)
    await copy(arnia, "incident", "megalis/x", a_vulnerability())
    await settle(arnia)
    assert receiver.events() == [("incident.affects-mine", "megalis/x")]


@pytest.mark.case("d04", "a window that is over is overdue, and neither open nor told")
async def test_a_window_that_is_over_is_not_open(arnia: Node, receiver: Receiver) -> None:
    await subscribed(arnia, "incident.affects-mine", "incident.unanswered")
    await publish(arnia, "deployment", "one", running())

    async def window(status: str, until: str) -> None:
        await publish(
            arnia, "incident", "x", an_incident(
                kind="maintenance", status=status, affects=[{"solution": GLPI}],
                scheduled_for="2026-02-24T22:00:00Z", scheduled_until=until,
            ),
        )  # fmt: skip
        await settle(arnia)

    async with browsing(arnia) as own:
        own.headers.update(await a_token(arnia, own))

        async def asked() -> tuple[int, int, bool, bool]:
            """How many are open for the operator and for the solution; whether it is open, and overdue."""
            mine = fine(await own.get("/v1/exposure?mine=true"), 200)["incidents"]
            solution = fine(await own.get(f"/v1/solutions/{GLPI}/exposure"), 200)
            incident = fine(await own.get("/v1/incidents/arnia/x/exposure"), 200)
            return len(mine), len(solution["incidents"]), incident["open"], incident["incident"]["overdue"]

        for status in ("scheduled", "in_progress"):
            await window(status, "2026-02-25T05:00:00Z")
            assert await asked() == (0, 0, False, True)
        assert receiver.taken == [], "nothing late"
        await window("in_progress", "2199-01-01T00:00:00Z")
        assert await asked() == (1, 1, True, False)
        assert ("incident.affects-mine", "arnia/x") in receiver.events()


async def test_two_processes_do_not_open_again_what_one_of_them_has_read_before(
    arnia: Node, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One reads the incident as open; it is over, and another scan finds that first."""
    await subscribed(arnia, "incident.affects-mine")
    await publish(arnia, "deployment", "one", running())
    await publish(arnia, "incident", "x", an_incident(affects=HERE))
    await settle(arnia)
    read = alert_scan._own_incidents

    async def slowly(node: Node, by: Caller) -> Any:
        own = await read(node, by)
        monkeypatch.setattr(alert_scan, "_own_incidents", read)
        await publish(arnia, "incident", "x", an_incident(affects=HERE, status="resolved"))
        await alert_scan.add_alerts(node)
        return own

    monkeypatch.setattr(alert_scan, "_own_incidents", slowly)
    await settle(arnia)
    await settle(arnia)
    assert receiver.events() == [("incident.affects-mine", "arnia/x")]


async def test_episodes_that_ended_long_ago_are_forgotten_with_their_alerts(
    arnia: Node, receiver: Receiver
) -> None:
    await subscribed(arnia, "incident.affects-mine")
    await publish(arnia, "deployment", "one", running())
    for key in ("over", "lasts"):
        await publish(arnia, "incident", key, an_incident(affects=HERE))
    await settle(arnia)
    await publish(arnia, "incident", "over", an_incident(affects=HERE, status="resolved"))
    await settle(arnia)
    then = arnia.clock()

    def later() -> datetime:
        return then + timedelta(days=91)

    arnia.clock = later
    await alert_scan.purge(arnia)
    assert [alert.subject for alert in await listed(arnia)] == ["arnia/lasts"]
    async with arnia.store.read() as tx:
        assert {*await tx.affecting_incidents.lasting(["arnia/over"])} == {"arnia/lasts"}
    await settle(arnia)
    assert len(receiver.taken) == 2
