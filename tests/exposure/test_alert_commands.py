"""``federation subscription``, ``alert`` and ``deadline``: as the API, for who has the machine."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from federation.cli import main
from federation.cli.console import message_of
from federation.domain.alert import EVENTS
from federation.domain.deadline import ReportingDeadline
from federation.domain.errors import Conflict, Invalid, NotFound
from federation.domain.faults import Fault
from federation.domain.messages import Message
from federation.domain.visibility import itself
from federation.node import alert_delivery, alert_scan, deadlines
from federation.node import status as node_status
from federation.node.node import Node
from federation.telemetry import Metrics
from tests.api.http_client import refused
from tests.audit.audit_trail import entries
from tests.domain.builders import an_incident
from tests.exposure.commands import ran, said, told
from tests.exposure.mail_server import mail_server
from tests.exposure.test_alerts import Receiver, settle
from tests.nodes import a_token, browsing, publish

HOOK = "https://itsm.example.org/hook/a-secret-path"


async def test_somebody_is_subscribed_listed_and_removed(arnia: Node, dsn: str) -> None:
    assert "there are no subscriptions" in await said(dsn, "subscription", "list")
    made = await told(
        dsn, "subscription", "add", "--webhook", HOOK, "--event", "incident.published",
        "--event", "incident.unanswered", "--unanswered-hours", "6",
    )  # fmt: skip
    assert made["secret"].startswith("whsec_")
    (one,) = await told(dsn, "subscription", "list")
    assert (one["id"], one["webhook"], one["unanswered_hours"], one["active"]) == (made["id"], HOOK, 6, True)
    text = await said(dsn, "subscription", "list")
    assert text.strip() == f"{made['id']}  {HOOK}  incident.published incident.unanswered  (unanswered: 6 h)"
    assert made["secret"] not in text + str(one)
    assert await said(dsn, "subscription", "remove", made["id"]) == f"{made['id']} is removed\n"
    assert await ran(dsn, "subscription", "remove", made["id"]) == (
        1,
        f"federation: there is no subscription {made['id']}\n",
    )
    noted = [*await entries(arnia, "subscription.added"), *await entries(arnia, "subscription.removed")]
    assert [(one.actor, one.subject) for one in noted] == [("operator", made["id"])] * 2
    assert noted[0].detail == {"to": "itsm.example.org", "events": "incident.published incident.unanswered"}


REFUSED = [
    (["--event", "incident.published"], "name one of --webhook and --email"),
    (["--event", "x", "--webhook", HOOK], "'x' is not one of 'incident.published'"),
    (["--event", "peer.stale", "--webhook", "http://itsm.example.org/"], "a webhook is https"),
    (["--event", "peer.stale", "--webhook", "https://10.0.0.1/"], "not public"),
    (["--event", "peer.stale", "--webhook", "nonsense"], "(at /webhook)"),
    (["--event", "peer.stale", "--webhook", HOOK, "--email", "a@example.org"], "name one of"),
    (["--event", "peer.stale", "--email", "a@example.org"], "FEDERATION_SMTP_URL is not set"),
    (["--event", "peer.stale", "--webhook", HOOK, "--unanswered-hours", "0"], "unanswered-hours"),
    (["--webhook", HOOK], "Missing option '--event'"),
]


@pytest.mark.parametrize(("words", "why"), REFUSED, ids=lambda v: str(v)[-30:])
async def test_what_nobody_could_be_told_so_is_refused(
    arnia: Node, dsn: str, words: list[str], why: str
) -> None:
    status, text = await ran(dsn, "subscription", "add", *words)
    assert status in (1, 2)
    assert why in " ".join(text.split())
    assert await told(dsn, "subscription", "list") == []


async def test_a_dry_run_changes_nothing(arnia: Node, dsn: str) -> None:
    words = ("subscription", "add", "--event", "peer.stale", "--dry-run", "--webhook")
    assert await said(dsn, *words, HOOK) == f"alerts would be sent to {HOOK}\n"
    assert (await ran(dsn, *words, "https://10.0.0.1/"))[0] == 1
    assert await said(dsn, *words, "https://10.0.0.1/", "--private")
    assert await told(dsn, "subscription", "list") == []
    key = ("deadline", "add", "2026-1", "--title", "Fuite", "--regime", "gdpr")
    assert (await told(dsn, *key, "--dry-run"))["key"] == "2026-1"
    assert await told(dsn, "deadline", "list") == []


async def test_a_subscription_is_tried_out(arnia: Node, dsn: str) -> None:
    async with mail_server() as box:
        mail = {"SMTP_URL": f"smtp+plain://127.0.0.1:{box.port}", "MAIL_FROM": "node@arnia.example.org"}
        words = ("subscription", "add", "--event", "peer.stale", "--email", "soc@arnia.example.org")
        made = await told(dsn, *words, **mail)
        assert made["secret"] is None, "nothing is signed with it"
        (noted,) = await entries(arnia, "subscription.added")
        assert noted.detail == {"to": "soc@arnia.example.org", "events": "peer.stale"}
        assert (
            await said(dsn, "subscription", "test", made["id"], **mail)
            == "soc@arnia.example.org has accepted it\n"
        )
        box.answers["RCPT"] = ["550 5.1.1 no such mailbox"]
        status, text = await ran(dsn, "subscription", "test", made["id"], **mail)
        assert (status, text) == (1, "federation: the mail server refused it: 550 5.1.1 no such mailbox\n")
    assert len(box.letters) == 1


async def test_alerts_are_listed_with_what_became_of_them_and_replayed(arnia: Node, dsn: str) -> None:
    receiver = Receiver()
    arnia._outside = receiver
    made = await told(dsn, "subscription", "add", "--event", "incident.published", "--webhook", HOOK)
    assert await said(dsn, "alert", "list") == "there are no alerts\n"
    assert await said(dsn, "alert", "list", "--parked") == "no alert was given up\n"
    for key in ("one", "two"):
        await publish(arnia, "incident", key, an_incident())
    receiver.status = 500
    await settle(arnia)
    text = await said(dsn, "alert", "list")
    assert "incident.published  arnia/two  waiting, tried once: the webhook answered 500  " in text
    arnia.clock = lambda: datetime.now(UTC) + timedelta(hours=25)
    await alert_delivery.deliver(arnia)
    parked = await told(dsn, "alert", "list", "--parked")
    assert {one["subject"] for one in parked} == {"arnia/one", "arnia/two"}
    assert await told(dsn, "alert", "list", "--subscription", "another") == []
    assert len(await told(dsn, "alert", "list", "--limit", "1")) == 1
    first = parked[0]["id"]
    assert await told(dsn, "alert", "replay", first, "--dry-run") == {"dry_run": True, "alerts": [first]}
    assert len(await told(dsn, "alert", "list", "--parked")) == 2
    # One that is not there: nothing is done at all.
    status, why = await ran(dsn, "alert", "replay", first, "none")
    assert (status, why) == (1, "federation: there is no alert none\n")
    assert len(await told(dsn, "alert", "list", "--parked")) == 2
    receiver.status = 200
    assert await told(dsn, "alert", "replay", first) == {"replayed": 1}
    await settle(arnia)
    status, why = await ran(dsn, "alert", "replay", "--parked", "--subscription", "none")
    assert (status, why) == (1, "federation: there is no subscription none\n")
    assert await said(dsn, "alert", "replay", "--parked", "--subscription", made["id"]) == (
        "1 will be delivered again\n"
    )
    await settle(arnia)
    assert await told(dsn, "alert", "list", "--parked") == []
    assert "delivered" in await said(dsn, "alert", "list")
    async with arnia.store.write() as tx:
        await tx.records._session.connection.execute("UPDATE alerts SET parked_at = now()")
    assert await told(dsn, "alert", "replay", "--parked", "--dry-run") == {
        "dry_run": True, "alerts": [one["id"] for one in await told(dsn, "alert", "list")],
    }  # fmt: skip
    other = await told(dsn, "subscription", "add", "--event", "peer.stale", "--webhook", HOOK)
    assert await told(dsn, "alert", "replay", "--parked", "--subscription", other["id"]) == {"replayed": 0}
    assert await told(dsn, "alert", "replay", "--parked") == {"replayed": 2}
    assert {one["attempts"] for one in await told(dsn, "alert", "list")} == {0}, "as if they were new"
    for words in ((), ("x", "--parked"), ("x", "--subscription", "y")):
        assert (await ran(dsn, "alert", "replay", *words))[0] == 1


async def test_a_deadline_is_added_noted_as_done_exported_and_removed(
    arnia: Node, dsn: str, tmp_path: Path
) -> None:
    assert await said(dsn, "deadline", "list") == "there are no deadlines\n"
    start = ("deadline", "add", "2026-1", "--title", "Fuite; grave", "--regime", "nis2", "--regime", "gdpr")
    found = await told(dsn, *start, "--aware-at", "2026-01-30T09:30:00+01:00", "--incident", "arnia/x")
    assert found["deadline"]["aware_at"].startswith("2026-01-30T08:30:00")
    assert found["next"]["step"] == "nis2-early-warning"
    assert found["next"]["due_at"].startswith("2026-01-31T08:30:00")
    status, why = await ran(dsn, *start)
    assert (status, why) == (1, "federation: there is a deadline 2026-1 already\n")
    text = await said(dsn, "deadline", "list")
    assert "2026-1  Fuite; grave  (aware 2026-01-30T08:30Z)" in text
    assert "2026-02-02T08:30Z  OVERDUE" in text
    done = ("deadline", "done", "2026-1")
    await said(dsn, *done, "nis2-early-warning", "--at", "2026-01-30T20:00:00Z", "--reference", "ANSSI-1")
    await said(dsn, *done, "nis2-notification", "--at", "2026-01-31T20:00:00Z")
    text = await said(dsn, *done, "nis2-notification", "--at", "2026-02-01T20:00:00Z")
    assert "2026-02-02T08:30Z  done 2026-02-01T20:00Z" in text
    assert "2026-03-01T20:00Z" in text, "a month after it was sent"
    calendar = await said(dsn, "deadline", "ics")
    assert calendar.startswith("BEGIN:VCALENDAR\nVERSION:2.0\n")
    assert "SUMMARY:nis2-final-report: Fuite\\; grave" in calendar
    assert "nis2-early-warning" not in calendar
    await said(dsn, "deadline", "ics", str(tmp_path / "deadlines.ics"))
    assert (tmp_path / "deadlines.ics").read_bytes().startswith(b"BEGIN:VCALENDAR\r\n")
    status, why = await ran(dsn, "deadline", "ics", str(tmp_path / "none" / "x.ics"))
    assert (status, "cannot be written" in why) == (1, True)
    assert await said(dsn, "deadline", "remove", "2026-1") == "2026-1 is removed\n"
    for words in (("remove", "2026-1"), ("done", "2026-1", "gdpr-notification")):
        assert await ran(dsn, "deadline", *words) == (1, "federation: there is no deadline 2026-1\n")


NOT_ADDED = [
    (("../x", "--title", "t", "--regime", "gdpr"), "../x"),
    (("k", "--title", "", "--regime", "gdpr"), "(at /title)"),
    (("k", "--title", "t\u202e", "--regime", "gdpr"), "U+202E, which is not allowed (at /title)"),
    (("k", "--title", "t\rX-INJECTED:1", "--regime", "gdpr"), "U+000D, which is not allowed (at /title)"),
    (("k", "--title", "t", "--regime", "x"), "'x' is not one of"),
    (("k", "--title", "t", "--regime", "gdpr", "--aware-at", "2026-01-30T09:30:00"), "its zone"),
    (("k", "--title", "t", "--regime", "gdpr", "--aware-at", "yesterday"), "'yesterday' is no time"),
    (("k", "--title", "t", "--regime", "gdpr", "--aware-at", "9999-01-30T09:30:00Z"), "/aware_at"),
    (("k", "--title", "t", "--regime", "gdpr", "--incident", "x"), "(at /incident)"),
]


@pytest.mark.parametrize(("words", "why"), NOT_ADDED, ids=lambda v: str(v)[-20:])
async def test_what_is_no_deadline_is_refused_with_what_is_at_fault(
    arnia: Node, dsn: str, words: tuple[str, ...], why: str
) -> None:
    status, text = await ran(dsn, "deadline", "add", *words)
    assert status in (1, 2)
    assert why in " ".join(text.split())
    assert await told(dsn, "deadline", "list") == []


async def test_a_step_of_other_rules_is_not_noted(arnia: Node, dsn: str) -> None:
    await said(dsn, "deadline", "add", "k", "--title", "t", "--regime", "gdpr")
    status, why = await ran(dsn, "deadline", "done", "k", "nis2-notification")
    assert (status, why) == (1, "federation: nis2-notification is not a step of gdpr (at /done/0/step)\n")


async def test_the_deadline_that_is_due_next_comes_first_and_what_is_done_last(arnia: Node, dsn: str) -> None:
    for key, aware in (("a", "2026-01-03"), ("b", "2026-01-01"), ("c", "2026-01-02")):
        words = ("--title", key, "--regime", "gdpr", "--aware-at", f"{aware}T00:00:00Z")
        await said(dsn, "deadline", "add", key, *words)
    assert [one["key"] for one in await told(dsn, "deadline", "list")] == ["b", "c", "a"]
    await said(dsn, "deadline", "done", "b", "gdpr-notification")
    assert [one["key"] for one in await told(dsn, "deadline", "list")] == ["c", "a", "b"]
    status, why = await ran(dsn, "deadline", "done", "a", "gdpr-notification", "--reference", "x\u202e")
    assert (status, "U+202E" in why) == (1, True)


A_DEADLINE = ReportingDeadline(title="Fuite", regimes=("gdpr",), aware_at="2026-01-30T08:30:00Z")


async def test_no_deadline_is_kept_that_would_not_be_listed(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "MAX_DEADLINES", 2)
    found = await asyncio.gather(
        *(
            deadlines.set_deadline(arnia, A_DEADLINE, "arnia", f"k{number}", by=itself("arnia"))
            for number in range(4)
        ),
        return_exceptions=True,
    )
    assert [type(one) for one in found if isinstance(one, Exception)] == [Invalid, Invalid]
    kept = [one.key for one in await deadlines.list_deadlines(arnia, by=itself("arnia"))]
    assert len(kept) == 2
    await deadlines.set_deadline(arnia, A_DEADLINE, "arnia", kept[0], by=itself("arnia"))
    with pytest.raises(Conflict):
        await deadlines.set_deadline(arnia, A_DEADLINE, "arnia", kept[0], by=itself("arnia"), new=True)
    with pytest.raises(NotFound):
        await deadlines.find(arnia, "arnia", "none", by=itself("arnia"))


async def test_alerts_that_were_not_taken_are_counted_for_who_watches_the_node(arnia: Node, dsn: str) -> None:
    receiver = Receiver()
    arnia._outside = receiver
    await said(dsn, "subscription", "add", "--event", "incident.published", "--webhook", HOOK)

    async def counted() -> list[str]:
        page = (await node_status.metrics_page(arnia, Metrics())).decode()
        return [
            line.partition("pending")[2] for line in page.splitlines() if line.startswith("federation_alerts")
        ]

    await publish(arnia, "incident", "one", an_incident())
    await alert_scan.add_alerts(arnia)
    assert await counted() == ['{state="waiting"} 0.0', '{state="parked"} 0.0'], "it has not been tried yet"
    receiver.status = 500
    await settle(arnia)
    assert await counted() == ['{state="waiting"} 1.0', '{state="parked"} 0.0']
    receiver.status = 410
    arnia.clock = lambda: datetime.now(UTC) + timedelta(hours=1)
    await settle(arnia)
    assert await counted() == ['{state="waiting"} 0.0', '{state="parked"} 1.0']


async def test_over_http_a_private_address_is_for_administrators(arnia: Node, dsn: str) -> None:
    """Else every IT system could find out what answers in the operator's own network."""
    wanted = {"events": ["peer.stale"], "webhook": "https://itsm.example.org/", "private": True}
    arnia._outside = Receiver()
    async with browsing(arnia) as own:
        own.headers.update(await a_token(arnia, own, "subscriptions.write"))
        refused(await own.post("/v1/subscriptions", json=wanted), 403, "missing-scope")
        assert (await own.post("/v1/subscriptions", json={**wanted, "private": False})).status_code == 201
        both = await a_token(arnia, own, "subscriptions.write", "node.admin", name="admin")
        assert (await own.post("/v1/subscriptions", json=wanted, headers=both)).status_code == 201
    assert [one.actor for one in await entries(arnia, "subscription.added")] == ["client-erp", "client-admin"]


@pytest.mark.parametrize(
    "words",
    [
        ("subscription", "add"),
        ("subscription", "test"),
        ("alert", "replay"),
        ("deadline", "add"),
        ("deadline", "done"),
    ],
)
def test_the_commands_explain_themselves(words: tuple[str, ...]) -> None:
    told = CliRunner().invoke(main, [*words, "--help"])
    assert told.exit_code == 0
    assert "Usage" in told.output
    if words == ("subscription", "add"):
        for event in EVENTS:
            assert event in told.output


def test_a_command_prints_all_faults_of_a_refusal_in_one_line() -> None:
    faults = [Fault(pointer=f"/m{number}", message=Message("wrong")) for number in range(7)]
    assert message_of(Invalid.of(faults[:2])) == "wrong (at /m0); wrong (at /m1)"
    assert message_of(Invalid.of(faults)).endswith("wrong (at /m4); and 2 more")
    assert message_of(Invalid("{name} is missing", pointer="/title", name="title")) == "title is missing"
    assert message_of(Invalid("nothing of it")) == "nothing of it"
