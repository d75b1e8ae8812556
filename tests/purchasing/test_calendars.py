"""Calendars: read by the library that others read them with, and nobody else's events in them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import icalendar
import pytest

from federation.domain.content.consultation import Consultation
from federation.domain.content.meeting import Meeting
from federation.domain.deadline import ReportingDeadline
from federation.domain.draft import check_draft
from federation.domain.formats.ical import CalendarEvent, calendar
from federation.domain.visibility import itself
from federation.edge.log_paths import logged_path
from federation.node import deadlines, people, records
from federation.node.node import Node
from tests.api.conftest import anyone, app, unattached
from tests.api.http_client import refused
from tests.domain.builders import COMMUNE, a_deployment, a_purchase, an_incident
from tests.exposure.deployments import copy
from tests.nodes import publish
from tests.people.people import a_person
from tests.purchasing.records import a_consultation, a_meeting

__all__ = ["anyone", "app", "unattached"]


def soon(days: float = 3) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_maintenance(**members: Any) -> dict[str, Any]:
    return an_incident(
        **{
            "kind": "maintenance",
            "status": "scheduled",
            "scheduled_for": soon(1),
            "scheduled_until": soon(2),
            **members,
        }
    )


def events(body: bytes) -> dict[str, Any]:
    """The events by their UID, as icalendar reads them; strictly."""
    read = icalendar.Calendar.from_ical(body)
    assert not read.errors
    found = {}
    for event in read.walk("VEVENT"):
        assert not event.errors
        found[str(event["UID"])] = event
    return found


# The format


@pytest.mark.parametrize(
    "text",
    [
        "Réunion; avec, des \\ signes\nsur deux lignes",
        "é€😀" * 60,
        "a\r\nATTENDEE:mailto:x@example.org",
        "\x07bell\x0band\x7fmore",
        "BEGIN:VEVENT\nEND:VCALENDAR",
        "C:\\new; a, b",
    ],
)
def test_no_text_ends_its_line(text: str) -> None:
    moment = datetime(2026, 4, 2, 8, tzinfo=UTC)
    event = CalendarEvent(
        uid="a/b@x", sequence=4, changed_at=moment, starts_at=moment, ends_at=moment + timedelta(hours=1),
        summary=text, description=text, location=text, url="https://example.org/a\r\nX:y", alarm_minutes=5,
    )  # fmt: skip
    body = calendar([event], product="test", name=text)
    assert all(len(line) <= 75 for line in body.split(b"\r\n"))
    assert body.count(b"\nBEGIN:VEVENT") == 1
    assert b"\nATTENDEE" not in body
    assert b"\nX:y" not in body
    read: Any = icalendar.Calendar.from_ical(body)
    (found,) = read.walk("VEVENT")
    assert not read.errors
    assert not found.errors
    expected = "".join(c for c in text.replace("\r\n", "\n") if c == "\n" or (c >= " " and c != "\x7f"))
    assert str(found["DESCRIPTION"]) == expected
    assert (found["DTSTART"].dt, found["DTEND"].dt, int(found["SEQUENCE"])) == (
        moment, moment + timedelta(hours=1), 4,
    )  # fmt: skip
    assert read["REFRESH-INTERVAL"].params["VALUE"] == "DURATION"


# The public calendar


async def test_the_public_calendar_has_what_is_public_and_nothing_else(
    arnia: Node, anyone: httpx2.AsyncClient
) -> None:
    await publish(arnia, "consultation", "postes", a_consultation(needs_until=soon()), tlp="CLEAR")
    await publish(
        arnia, "consultation", "without-end", {**a_consultation(), "needs_until": None}, tlp="CLEAR"
    )
    await publish(arnia, "incident", "window", a_maintenance(), tlp="CLEAR")
    await publish(arnia, "incident", "outage", an_incident(), tlp="CLEAR")
    await publish(arnia, "meeting", "open", a_meeting(starts_at=soon(), ends_at=soon(4)), tlp="CLEAR")
    await publish(arnia, "meeting", "canary-green", a_meeting(starts_at=soon(), ends_at=soon(4)), tlp="GREEN")
    await publish(arnia, "consultation", "canary-red", a_consultation(needs_until=soon()), tlp="RED")
    answer = await anyone.get("/calendar.ics?language=fr")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    found = events(answer.content)
    assert set(found) == {
        "arnia/postes@consultations.federation",
        "arnia/window@incidents.federation",
        "arnia/open@meetings.federation",
    }
    assert "canary" not in answer.text
    assert (
        str(found["arnia/postes@consultations.federation"]["SUMMARY"])
        == "Fin du recueil des besoins : Postes 2026"
    )
    assert str(found["arnia/open@meetings.federation"]["URL"]) == f"{arnia.url}/fr/meetings/arnia/open"
    again = await anyone.get("/calendar.ics?language=fr", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    assert (await anyone.get("/calendar.ics?language=de")).status_code == 400


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("type=meetings", {"open", "theirs"}),
        ("type=incidents", {"window"}),
        ("type=consultations", {"postes", "gone"}),
        ("origin=megalis", {"theirs"}),
        ("origin=arnia&type=meetings", {"open"}),
        ("theme=education", {"postes"}),
        ("theme=hr", set()),
        ("solution=arnia/glpi", {"window"}),
        ("theme=education&origin=megalis", set()),
    ],
)
async def test_a_part_of_the_public_calendar_has_its_events_alone(
    arnia: Node, anyone: httpx2.AsyncClient, query: str, keys: set[str]
) -> None:
    times = {"starts_at": soon(), "ends_at": soon(4)}
    asked = a_consultation(needs_until=soon(), themes=["education"])
    await publish(arnia, "consultation", "postes", asked, tlp="CLEAR")
    await publish(arnia, "consultation", "canary", asked, tlp="GREEN")
    await publish(arnia, "consultation", "gone", a_consultation(), tlp="CLEAR")
    await records.retract(arnia, Consultation, "arnia", "gone", by=itself("arnia"))
    await publish(arnia, "incident", "window", a_maintenance(), tlp="CLEAR")
    await publish(arnia, "meeting", "open", a_meeting(**times), tlp="CLEAR")
    await copy(arnia, "meeting", "megalis/theirs", a_meeting(**times), tlp="CLEAR")
    answer = await anyone.get(f"/calendar.ics?{query}")
    assert {uid.partition("@")[0].partition("/")[2] for uid in events(answer.content)} == keys


OF_BODIES = {
    "body=cog:71076": {"everywhere", "region", "window"},
    "body=0002:217100767": {"everywhere", "region", "window"},
    "body=cog:71076&type=consultations": {"everywhere", "region"},
    "body=cog:71076&type=meetings": set(),
    "body=cog:71076&theme=education": {"region"},
    "body=cog:71076&origin=megalis": set(),
    "body=cog:35238": {"everywhere", "elsewhere"},
    "body=0240:12345": {"everywhere"},
}


async def test_the_calendar_of_a_body_has_what_is_open_to_it_and_what_serves_it(
    arnia: Node, anyone: httpx2.AsyncClient
) -> None:
    territories = {"everywhere": [], "region": ["FR-BFC"], "elsewhere": ["FR-BRE"], "canary": []}
    for key, territory in territories.items():
        label = "GREEN" if key == "canary" else "CLEAR"
        more = {"themes": ["education"]} if key == "region" else {}
        asked = a_consultation(purchase=f"arnia/{key}", needs_until=soon(), **more)
        await publish(arnia, "purchase", key, a_purchase(territory=territory), tlp=label)
        await publish(
            arnia, "consultation", key, asked, tlp="CLEAR"
        )  # of a purchase that is not public, once
    await publish(arnia, "consultation", "canary-green", asked, tlp="GREEN")
    await publish(arnia, "consultation", "gone", asked, tlp="CLEAR")
    await records.retract(arnia, Consultation, "arnia", "gone", by=itself("arnia"))
    served = a_deployment(coverage={"kind": "list", "beneficiaries": [{"identifiers": [COMMUNE]}]})
    await publish(arnia, "deployment", "ent", served, tlp="CLEAR")
    await publish(arnia, "deployment", "canary", served, tlp="GREEN")
    await publish(arnia, "deployment", "other", a_deployment(), tlp="CLEAR")
    for key, deployment in {"window": "ent", "canary-window": "canary", "others": "other"}.items():
        maintenance = a_maintenance(affects=[{"deployments": [f"arnia/{deployment}"]}])
        await publish(arnia, "incident", key, maintenance, tlp="CLEAR")
    await publish(arnia, "meeting", "open", a_meeting(starts_at=soon(), ends_at=soon(4)), tlp="CLEAR")
    for query, keys in OF_BODIES.items():
        answer = await anyone.get(f"/calendar.ics?{query}")
        assert answer.status_code == 200, answer.text
        assert {uid.partition("@")[0].partition("/")[2] for uid in events(answer.content)} == keys, query


async def test_the_calendar_of_what_is_no_body_is_refused(anyone: httpx2.AsyncClient) -> None:
    for body, code in (("0002:217100768", "pattern"), ("Dijon", "pattern"), ("territory:ZZ", "not-allowed")):
        problem = refused(await anyone.get(f"/calendar.ics?body={body}"), 400, "invalid", pointer="?body")
        assert problem["errors"][0]["code"] == code


@pytest.mark.parametrize(
    "query", ["type=solutions", "theme=none", "colour=red", "type=meetings&type=meetings"]
)
async def test_a_part_that_does_not_exist_is_refused(anyone: httpx2.AsyncClient, query: str) -> None:
    assert (await anyone.get(f"/calendar.ics?{query}")).status_code == 400


async def test_a_revision_raises_the_sequence_and_what_is_cancelled_says_so(
    arnia: Node, anyone: httpx2.AsyncClient
) -> None:
    times = {"starts_at": soon(), "ends_at": soon(4)}
    for status in ("planned", "cancelled"):
        await publish(arnia, "meeting", "one", a_meeting(**times, status=status), tlp="CLEAR")
        event = events((await anyone.get("/calendar.ics")).content)["arnia/one@meetings.federation"]
        expected = (0, "CONFIRMED") if status == "planned" else (1, "CANCELLED")
        assert (int(event["SEQUENCE"]), str(event["STATUS"])) == expected
    await records.retract(arnia, Meeting, "arnia", "one", by=itself("arnia"))
    event = events((await anyone.get("/calendar.ics")).content)["arnia/one@meetings.federation"]
    assert (int(event["SEQUENCE"]), str(event["STATUS"])) == (2, "CANCELLED")


async def test_a_tombstone_of_what_was_not_public_is_in_no_public_calendar(
    arnia: Node, anyone: httpx2.AsyncClient
) -> None:
    for key, tlp in (("canary", "GREEN"), ("open", "CLEAR")):
        await publish(arnia, "consultation", key, a_consultation(), tlp=tlp)
        await records.retract(arnia, Consultation, "arnia", key, by=itself("arnia"))
    assert set(events((await anyone.get("/calendar.ics")).content)) == {"arnia/open@consultations.federation"}


# The calendar of a person


async def test_a_person_sees_what_is_green_by_a_secret_address_and_nothing_narrower(
    arnia: Node, anyone: httpx2.AsyncClient
) -> None:
    person = await a_person(arnia, "Anne", "administrator", label="RED")
    secret = await people.new_calendar_address(arnia, person.id)
    times = {"starts_at": soon(), "ends_at": soon(4)}
    await publish(arnia, "meeting", "green", a_meeting(**times), tlp="GREEN")
    await publish(arnia, "meeting", "canary-red", a_meeting(**times), tlp="RED")
    await copy(arnia, "meeting", "megalis/canary-amber", a_meeting(**times), tlp="AMBER", audience="circle")
    await copy(arnia, "meeting", "megalis/green", a_meeting(**times), tlp="GREEN")
    answer = await anyone.get(f"/calendar/{secret}.ics")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert set(events(answer.content)) == {
        "arnia/green@meetings.federation",
        "megalis/green@meetings.federation",
    }
    assert "canary" not in answer.text


async def test_an_address_ends_with_its_person_or_by_their_wish(
    arnia: Node, anyone: httpx2.AsyncClient
) -> None:
    first, second = await a_person(arnia, "Anne", "editor"), await a_person(arnia, "Bob", "reader")
    secrets = [await people.new_calendar_address(arnia, person.id) for person in (first, second)]
    for secret in secrets:
        assert (await anyone.get(f"/calendar/{secret}.ics")).status_code == 200
    await people.remove(arnia, first.id, by=itself("arnia"))
    await people.end_calendar_addresses(arnia, second.id)
    for secret in (*secrets, "wrong", secrets[0][:-1]):
        answer = await anyone.get(f"/calendar/{secret}.ics")
        assert answer.status_code == 404
        assert secret not in answer.text
    assert (await anyone.get(f"/calendar/{secrets[0]}")).status_code == 404


async def test_reporting_deadlines_are_for_those_who_may_read_them(
    arnia: Node, anyone: httpx2.AsyncClient
) -> None:
    draft = {"title": "Fuite", "regimes": ["gdpr"], "aware_at": soon(0)}
    deadline = check_draft(draft, ReportingDeadline)
    await deadlines.set_deadline(arnia, deadline, "arnia", "one", by=itself("arnia"))
    found = {}
    for role in ("reader", "editor"):
        secret = await people.new_calendar_address(arnia, (await a_person(arnia, role, role)).id)
        found[role] = set(events((await anyone.get(f"/calendar/{secret}.ics")).content))
    assert found["reader"] == set()
    assert {uid.partition("@")[0] for uid in found["editor"]} == {"one-gdpr-notification"}


async def test_the_secret_is_in_no_log(
    arnia: Node, anyone: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    secret = await people.new_calendar_address(arnia, (await a_person(arnia)).id)
    with caplog.at_level(logging.DEBUG):
        assert (await anyone.get(f"/calendar/{secret}.ics")).status_code == 200
        await anyone.get("/v1/meetings")
    paths = [getattr(record, "path", "") for record in caplog.records if record.name == "federation.requests"]
    assert paths == ["/calendar/…", "/v1/meetings"]
    assert not any(
        secret in str(record.__dict__) for record in caplog.records if record.name.startswith("federation")
    )
    assert logged_path("/calendar.ics") == "/calendar.ics"
