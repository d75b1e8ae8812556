"""Alerts: one for each event and subscription, signed, delivered with patience."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from federation.domain.alert import (
    ATTEMPT_LEASE,
    ATTEMPT_TIMEOUT,
    MAX_DELIVERY_TIME,
    AlertState,
    NewSubscription,
    next_wait,
    signature,
)
from federation.domain.content.incident import Incident
from federation.domain.errors import Invalid, Unreachable
from federation.domain.values import as_instant
from federation.domain.visibility import Caller, itself
from federation.node import alert_delivery, alert_scan, alerts, records
from federation.node.node import Node
from federation.server import maintenance
from federation.store.alerts import MAX_DUE_PER_SUBSCRIPTION
from federation.sync.network import Network
from tests.api.http_client import NextDoor, fine, refused
from tests.conftest import Databases
from tests.domain.builders import a_group, a_statement, an_incident
from tests.exposure.deployments import a_vulnerability, copy, copy_unread, cve, running
from tests.nodes import a_node, a_token, browsing, introduce, publish
from tests.store.stepwise_transactions import looking, waits
from tests.waiting import until


class Receiver(NextDoor):
    """Takes webhooks in this process, and answers what it was told to."""

    def __init__(self) -> None:
        self.status = 204
        self.taken: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.down = False
        self.asks_for: float | None = None
        """Seconds."""
        self.nodes = {}

    async def post_webhook(self, url: str, body: bytes, headers: dict[str, str], *, private: bool) -> int:
        if self.down:
            raise Unreachable("the webhook cannot be called: it is down")
        if self.asks_for is not None:
            raise Unreachable("the webhook answered 429", retry_after=self.asks_for)
        self.taken.append((headers, json.loads(body)))
        return self.status

    def events(self) -> list[tuple[str, str]]:
        return sorted((body["type"], body["data"]["id"]) for _, body in self.taken)


@pytest.fixture
def receiver(arnia: Node) -> Receiver:
    arnia._outside = found = Receiver()
    return found


async def subscribed(node: Node, *events: str, **more: Any) -> alerts.Subscribed:
    wanted = NewSubscription(events=events, webhook="https://itsm.example.org/hook?x=1", **more)  # type: ignore[arg-type]
    return await alerts.subscribe(node, wanted, by=itself("arnia"))


async def listed(node: Node, *, parked: bool = False) -> tuple[AlertState, ...]:
    async with node.store.read() as tx:
        return await tx.alerts.listed(parked=parked)


async def settle(node: Node) -> None:
    """Notice and deliver, as often as there is something."""
    await alert_scan.add_alerts(node)
    while await alert_delivery.deliver(node):
        pass


async def test_each_event_makes_one_alert_however_often_it_is_looked_for(
    arnia: Node, megalis: Node, receiver: Receiver
) -> None:
    elsewhere = an_incident(affects=[{"solution": "arnia/other"}])
    await publish(arnia, "incident", "old", elsewhere)
    await subscribed(
        arnia, *("incident.published", "incident.changed", "incident.affects-mine", "peer.stale")
    )
    await introduce(arnia, megalis)
    await cve(arnia)
    await publish(arnia, "deployment", "one", running())
    lately = datetime.now(UTC)
    await copy(arnia, "incident", "megalis/out", elsewhere, created_at=lately, updated_at=lately)
    for _ in range(3):
        await settle(arnia)
    assert receiver.events() == [
        ("incident.affects-mine", "arnia/cve"),
        ("incident.published", "arnia/cve"),
        ("incident.published", "megalis/out"),
    ], "what was there before is no news"
    await cve(arnia, severity="critical")
    arnia.clock = lambda: datetime.now(UTC) + timedelta(hours=1)
    await settle(arnia)
    await settle(arnia)
    assert receiver.events() == [
        ("incident.affects-mine", "arnia/cve"),
        ("incident.changed", "arnia/cve"),
        ("incident.published", "arnia/cve"),
        ("incident.published", "megalis/out"),
        ("peer.stale", "megalis"),
    ]


async def test_an_incident_that_is_not_understood_has_its_alerts_and_no_content(
    arnia: Node, receiver: Receiver
) -> None:
    await subscribed(
        arnia, "incident.published", "incident.affects-mine", "record.rejected", "peer.stale", "peer.paused"
    )
    await publish(arnia, "deployment", "one", running("10.0.18"))
    lately = as_instant(datetime.now(UTC))
    times = {"created_at": lately, "updated_at": lately}
    for name, content in {
        "worse": a_vulnerability(severity="catastrophic", title={"fr": "canari"}),
        "other": a_vulnerability(severity="catastrophic", affects=[{"solution": "x/y"}]),
        "no": "no object",
    }.items():
        await copy_unread(arnia, "incident", f"megalis/{name}", content, **times)
    await settle(arnia)
    await settle(arnia)
    assert receiver.events() == [
        ("incident.affects-mine", "megalis/no"),
        ("incident.affects-mine", "megalis/worse"),
        ("incident.published", "megalis/no"),
        ("incident.published", "megalis/other"),
        ("incident.published", "megalis/worse"),
    ]
    assert all(body["data"]["not_understood"] is True for _, body in receiver.taken)
    assert [body["data"]["unknown"] for _, body in receiver.taken if "unknown" in body["data"]] == [1, 1]
    assert "canari" not in json.dumps(receiver.taken)


async def test_processes_that_look_at_once_make_one_alert(arnia: Node, dsn: str, receiver: Receiver) -> None:
    await subscribed(arnia, "incident.published")
    async with a_node("arnia", dsn) as other:
        other._outside = receiver
        for number in range(5):
            await publish(arnia, "incident", f"i{number}", an_incident())
            await asyncio.gather(*(alert_scan.add_alerts(node) for node in (arnia, other, arnia, other)))
            await asyncio.gather(*(alert_delivery.deliver(node) for node in (arnia, other, arnia, other)))
    assert receiver.events() == [("incident.published", f"arnia/i{number}") for number in range(5)]


async def test_an_incident_without_my_statement_is_told_after_so_many_hours(
    arnia: Node, receiver: Receiver
) -> None:
    await subscribed(arnia, "incident.unanswered", unanswered_hours=24)
    await publish(arnia, "deployment", "one", running())
    await cve(arnia)
    await settle(arnia)
    assert receiver.taken == []
    arnia.clock = lambda: datetime.now(UTC) + timedelta(hours=25)
    await settle(arnia)
    await settle(arnia)
    assert receiver.events() == [("incident.unanswered", "arnia/cve")]
    assert receiver.taken[0][1]["data"]["deployments"] == ["arnia/one"]


async def test_who_has_answered_in_time_is_not_reminded(arnia: Node, receiver: Receiver) -> None:
    await subscribed(arnia, "incident.unanswered", unanswered_hours=1)
    await publish(arnia, "deployment", "one", running())
    await cve(arnia)
    await publish(arnia, "statement", "s", a_statement(incident="arnia/cve"))
    arnia.clock = lambda: datetime.now(UTC) + timedelta(hours=25)
    await settle(arnia)
    assert receiver.taken == []


async def test_above_green_an_alert_holds_ids_and_links_and_no_content(
    arnia: Node, receiver: Receiver
) -> None:
    await subscribed(arnia, "incident.published", "incident.affects-mine")
    await publish(arnia, "group", "close", a_group(members=["megalis"]))
    await publish(arnia, "deployment", "one", running())
    labels = {"GREEN": {}, "AMBER": {"audience": "close"}, "AMBER+STRICT": {"audience": "close"}, "RED": {}}
    for number, (tlp, more) in enumerate(labels.items()):
        content = an_incident(
            kind="vulnerability", title={"fr": f"canari-{tlp}"}, aliases=[f"CVE-2099-{number}"],
            affects=[{"solution": "arnia/glpi", "range": "vers:all/*"}],
        )  # fmt: skip
        await publish(arnia, "incident", f"i{number}", content, tlp=tlp, **more)
    await settle(arnia)
    told = json.dumps([body for _, body in receiver.taken])
    assert len(receiver.taken) == 8
    assert "canari-GREEN" in told
    for tlp in ("AMBER", "RED"):
        assert f"canari-{tlp}" not in told
    assert "CVE-2099-1" not in told


async def test_what_an_incident_says_is_told_as_far_as_it_may_be_read_when_it_is_told(
    arnia: Node, receiver: Receiver
) -> None:
    """It is moved, retracted or withdrawn before the receiver answers."""
    lately = {"created_at": datetime.now(UTC), "updated_at": datetime.now(UTC)}
    await subscribed(arnia, "incident.published", "incident.changed", "incident.affects-mine")
    await publish(arnia, "deployment", "one", running())
    titled = a_vulnerability(title={"fr": "canari"}, aliases=[])
    await publish(arnia, "incident", "moved", titled)
    await publish(arnia, "incident", "retracted", titled)
    await publish(arnia, "incident", "stays", titled)
    await copy(arnia, "incident", "megalis/withdrawn", titled, **lately)
    receiver.down = True
    await settle(arnia)
    assert len(await listed(arnia)) == 8
    await publish(arnia, "incident", "moved", titled, tlp="RED")
    await records.retract(arnia, Incident, "arnia", "retracted", by=itself("arnia"))
    async with arnia.store.write() as tx:
        place = next(p for p in await tx.feeds.all() if p.origin == "megalis")
        await tx.pulled_records.purge(place.id, [("incident", "withdrawn", 2, 2)])
        rows = await tx.records._session.connection.fetch("SELECT data, name, subject FROM alerts")
        assert b"canari" not in b"".join(row["data"] for row in rows), "nothing of it is kept, either"
    receiver.down = False
    arnia.clock = lambda: datetime.now(UTC) + timedelta(hours=1)
    await settle(arnia)
    with_content = {
        (body["type"], body["data"]["id"]) for _, body in receiver.taken if "title" in body["data"]
    }
    assert with_content == {("incident.published", "arnia/stays")}
    assert len(receiver.taken) == 10
    (body,) = (body for _, body in receiver.taken if "title" in body["data"])
    assert {name: body["data"][name] for name in ("title", "kind", "status", "severity")} == {
        "title": {"fr": "canari"}, "kind": "vulnerability", "status": "open", "severity": "high",
    }  # fmt: skip


async def test_a_webhook_is_signed_and_its_identifier_stays_the_same(arnia: Node, receiver: Receiver) -> None:
    made = await subscribed(arnia, "incident.published")
    await cve(arnia)
    receiver.status = 500
    await settle(arnia)
    (one,) = await listed(arnia)
    assert (one.attempts, one.failure, one.delivered_at) == (1, "the webhook answered 500", None)
    assert await alert_delivery.deliver(arnia) == 0, "not before its time"
    receiver.status = 200
    arnia.clock = lambda: datetime.now(UTC) + timedelta(minutes=5)
    assert await alert_delivery.deliver(arnia) == 1
    (first, _), (second, body) = receiver.taken
    assert first["webhook-id"] == second["webhook-id"] == one.id
    raw = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    assert second["webhook-signature"] == signature(
        made.secret, one.id, int(second["webhook-timestamp"]), raw
    )
    (one,) = await listed(arnia)
    assert one.delivered_at


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the reference implementation."""
    secret, id_ = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert (
        signature(secret, id_, 1614265330, b'{"test": 2432232314}')
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


async def test_what_is_not_taken_for_a_day_is_parked_and_can_be_replayed(
    arnia: Node, receiver: Receiver
) -> None:
    await subscribed(arnia, "incident.published")
    await cve(arnia)
    receiver.down = True
    moment = [datetime.now(UTC)]
    arnia.clock = lambda: moment[0]
    await alert_scan.add_alerts(arnia)
    attempts = 0
    while not await listed(arnia, parked=True):
        await alert_delivery.deliver(arnia)
        attempts += 1
        moment[0] += timedelta(hours=2)
        assert attempts < 20
    assert attempts >= 11, "tried for a day"
    assert timedelta(hours=24) == MAX_DELIVERY_TIME
    assert await alert_delivery.deliver(arnia) == 0
    receiver.down = False
    (one,) = await listed(arnia, parked=True)
    await alerts.replay(arnia, one.id, by=itself("arnia"))
    assert await alert_delivery.deliver(arnia) == 1
    assert await listed(arnia, parked=True) == ()


async def test_a_process_that_dies_before_it_noted_the_delivery_leaves_it_to_the_next(
    arnia: Node, receiver: Receiver
) -> None:
    await subscribed(arnia, "incident.published")
    await cve(arnia)
    await alert_scan.add_alerts(arnia)
    async with arnia.store.write() as tx:
        (due,) = await tx.alerts.claim(arnia.clock())  # and no more is heard of it
    assert await alert_delivery.deliver(arnia) == 0
    arnia.clock = lambda: datetime.now(UTC) + timedelta(minutes=3)
    assert await alert_delivery.deliver(arnia) == 1
    assert receiver.taken[0][0]["webhook-id"] == due.alert.id


async def test_a_receiver_that_is_gone_is_told_of_nothing_more(arnia: Node, receiver: Receiver) -> None:
    await subscribed(arnia, "incident.published")
    await cve(arnia)
    receiver.status = 410
    await settle(arnia)
    (one,) = await listed(arnia, parked=True)
    assert one.failure == "the receiver is gone (410)"
    await records.retract(arnia, Incident, "arnia", "cve", by=itself("arnia"))
    await publish(arnia, "incident", "other", an_incident())
    await settle(arnia)
    assert len(receiver.taken) == 1


async def test_a_receiver_that_asks_for_time_is_given_it(arnia: Node, receiver: Receiver) -> None:
    await subscribed(arnia, "incident.published")
    await cve(arnia)
    receiver.asks_for = 600.0
    await settle(arnia)
    receiver.asks_for = None
    now = datetime.now(UTC)
    arnia.clock = lambda: now + timedelta(minutes=9)
    assert await alert_delivery.deliver(arnia) == 0, "it asked for ten minutes"
    arnia.clock = lambda: now + timedelta(minutes=11)
    assert await alert_delivery.deliver(arnia) == 1


def test_waits_grow_and_are_not_the_same_for_all() -> None:
    waits = [next_wait(attempt).total_seconds() for attempt in range(1, 30)]
    assert 2.5 <= waits[0] <= 5
    assert all(3_600 <= wait <= 7_200 for wait in waits[15:])
    assert len({next_wait(9) for _ in range(9)}) > 5


# Where a webhook may be


@pytest.mark.parametrize(
    "url",
    [
        "http://itsm.example.org/", "https://user:secret@itsm.example.org/", "https://127.0.0.1/", "http://localhost/x",
        "https://10.0.0.1/", "https://169.254.169.254/latest", "https://[::1]/", "ftp://itsm.example.org/",
    ],
)  # fmt: skip
async def test_a_webhook_is_at_a_public_address_over_https(arnia: Node, url: str) -> None:
    with pytest.raises(Invalid) as refusal:
        await alerts.subscribe(
            arnia, NewSubscription(events=("peer.stale",), webhook=url), by=itself("arnia")
        )
    assert refusal.value.pointer == "/webhook"
    with pytest.raises(Unreachable):
        await _network(arnia).post_webhook(url, b"{}", {}, private=False)


async def test_where_it_is_allowed_a_webhook_of_ones_own_network_is_called(arnia: Node) -> None:
    seen: list[bytes] = []
    async with _listening(seen) as url:
        sent = {"webhook-id": "x"}
        assert await _network(arnia).post_webhook(f"{url}/hook?a=b", b'{"a":1}', sent, private=True) == 204
    assert seen[0].startswith(b"POST /hook?a=b HTTP/1.1\r\n")
    assert b"webhook-id: x" in seen[0]
    assert seen[0].endswith(b'{"a":1}')


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        ("429 Too Many Requests\r\nretry-after: 120", 120),
        ("503 Service Unavailable\r\nRetry-After: 5", 5),
        ("503 Service Unavailable", None),
        ("429 Too Many Requests\r\nretry-after: Fri, 31 Dec 2027 23:59:59 GMT", None),
        ("500 Internal Server Error\r\nretry-after: 120", None),
    ],
)
async def test_a_webhook_that_asks_to_be_left_alone_is_heard(
    arnia: Node, answer: str, asked: int | None
) -> None:
    async with _listening([], answer) as url:
        calling = _network(arnia).post_webhook(f"{url}/hook", b"{}", {"webhook-id": "x"}, private=True)
        if asked is None:
            assert await calling == int(answer[:3])
            return
        with pytest.raises(Unreachable, match=f"the webhook answered {answer[:3]}") as refusal:
            await calling
    assert refusal.value.retry_after == asked


def _network(node: Node) -> Network:
    return Network(node.operator, node.keyring)


@asynccontextmanager
async def _listening(seen: list[bytes], said: str = "204 No Content") -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head + await reader.read(7))
        writer.write(f"HTTP/1.1 {said}\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_an_email_needs_a_mail_server(arnia: Node) -> None:
    with pytest.raises(Invalid) as refusal:
        await alerts.subscribe(
            arnia, NewSubscription(events=("peer.stale",), email="soc@arnia.example.org"), by=itself("arnia")
        )
    assert refusal.value.pointer == "/email"


async def test_over_http_subscriptions_alerts_and_deadlines_are_ones_own(
    arnia: Node, receiver: Receiver, databases: Databases
) -> None:
    async with browsing(arnia) as own, browsing(arnia) as anyone:
        own.headers.update(await a_token(arnia, own))
        wanted = {"events": ["incident.published"], "webhook": "https://itsm.example.org/"}
        made = fine(await own.post("/v1/subscriptions", json=wanted), 201)
        assert made["secret"].startswith("whsec_")
        shown = (await own.get("/v1/subscriptions")).text
        assert made["id"] in shown
        assert made["secret"] not in shown
        await cve(arnia)
        await settle(arnia)
        (one,) = fine(await own.get("/v1/alerts"), 200)["alerts"]
        assert one["delivered_at"]
        assert fine(await own.get("/v1/alerts?parked=true"), 200)["alerts"] == []
        for asked, name in (
            ("parked=maybe", "parked"), ("parked=", "parked"), ("limit=1", "limit"), ("parked=true&x=1", "x"),
        ):  # fmt: skip
            refused(await own.get(f"/v1/alerts?{asked}"), 400, "invalid", pointer=f"?{name}")
        refused(await own.post("/v1/alerts/none/replay"), 404, "not-found")
        assert (await own.post(f"/v1/alerts/{one['id']}/replay")).status_code == 204
        assert await alert_delivery.deliver(arnia) == 1
        deadline = {"title": "Fuite", "regimes": ["gdpr"], "aware_at": "2026-01-30T08:30:00Z"}
        kept = fine(await own.put("/v1/deadlines/arnia/2026-1", json=deadline), 200)
        assert kept["next"]["due_at"].startswith("2026-02-02T08:30:00")
        assert fine(await own.get("/v1/deadlines"), 200)["deadlines"][0]["key"] == "2026-1"
        for method in ("GET", "DELETE"):
            refused(await own.request(method, "/v1/deadlines/megalis/2026-1"), 403, "not-the-writer")
        refused(await own.put("/v1/deadlines/megalis/2026-1", json=deadline), 403, "not-the-writer")
        ics = await own.get("/v1/deadlines.ics")
        assert b"UID:2026-1-gdpr-notification@arnia.test\r\n" in ics.content
        assert ics.headers["content-type"].startswith("text/calendar")
        assert b"gdpr-notification" in ics.content
        for path in (
            "/v1/subscriptions",
            "/v1/alerts",
            "/v1/deadlines",
            "/v1/deadlines/arnia/2026-1",
            "/v1/deadlines.ics",
        ):
            refused(await anyone.get(path), 401, "unauthenticated")
        assert (await own.delete("/v1/deadlines/arnia/2026-1")).status_code == 204
        refused(await own.get("/v1/deadlines/arnia/2026-1"), 404, "not-found")
        assert (await own.delete(f"/v1/subscriptions/{made['id']}")).status_code == 204
        refused(await own.delete(f"/v1/subscriptions/{made['id']}"), 404, "not-found")
        refused(await own.post("/v1/subscriptions", json={"events": ["x"]}), 400, "invalid")


async def test_the_version_that_a_probe_found_is_noted(arnia: Node) -> None:
    moment = [datetime(2026, 3, 1, tzinfo=UTC)]
    arnia.clock = lambda: moment[0]
    await publish(arnia, "deployment", "one", running("10.0.17"))
    async with browsing(arnia) as own:
        own.headers.update(await a_token(arnia, own))
        path = "/v1/deployments/arnia/one/version"
        found = fine(await own.post(path, json={"version": "10.0.18", "attestation": "probed"}), 200)
        assert (found["revision"], found["content"]["version_state"]) == (2, "exact")
        assert found["content"]["version_as_of"].startswith("2026-03-01")
        again = {"version": "10.0.18", "attestation": "probed"}
        assert fine(await own.post(path, json=again), 200)["revision"] == 2, "an hourly probe makes no news"
        moment[0] += timedelta(days=2)
        assert fine(await own.post(path, json=again), 200)["revision"] == 3
        assert fine(await own.post(path, json={}), 200)["content"]["version_state"] == "unknown"
        refused(await own.post("/v1/deployments/arnia/none/version", json=again), 404, "not-found")
        refused(await own.post("/v1/deployments/megalis/x/version", json=again), 403, "not-the-writer")
        refused(await own.post(path, json={"version": 1}), 400, "invalid", pointer="/version")


# Who is told of what, and of what not


@pytest.fixture
def moment(arnia: Node) -> list[datetime]:
    """The time at arnia's node, which the test moves."""
    found = [datetime.now(UTC)]
    arnia.clock = lambda: found[0]
    return found


async def test_who_subscribes_when_the_only_receiver_is_gone_hears_no_old_news(
    arnia: Node, receiver: Receiver
) -> None:
    await subscribed(arnia, "incident.published")
    await cve(arnia)
    receiver.status = 410
    await settle(arnia)
    await publish(arnia, "incident", "meanwhile", an_incident())
    receiver.status, receiver.taken = 204, []
    await subscribed(arnia, "incident.published")
    await publish(arnia, "incident", "now", an_incident())
    await settle(arnia)
    assert receiver.events() == [("incident.published", "arnia/now")]


async def test_who_subscribes_while_alerts_are_made_misses_nothing(
    arnia: Node, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at who is to be told and the making of alerts somebody subscribes, another leaves."""
    leaves = await subscribed(arnia, "incident.published", "incident.affects-mine")
    await subscribed(arnia, "incident.changed")
    looked = alert_scan._own_incidents

    async def meanwhile(node: Node, by: Caller) -> Any:
        found = await looked(node, by)
        monkeypatch.setattr(alert_scan, "_own_incidents", looked)
        await alerts.unsubscribe(arnia, leaves.id, by=itself("arnia"))
        await subscribed(arnia, "incident.published")
        await publish(arnia, "incident", "after", an_incident())
        return found

    await publish(arnia, "incident", "before", an_incident())
    monkeypatch.setattr(alert_scan, "_own_incidents", meanwhile)
    await settle(arnia)
    await settle(arnia)
    assert ("incident.published", "arnia/after") in receiver.events()


async def test_an_incident_whose_first_revision_never_came_is_published_once(
    arnia: Node, receiver: Receiver, moment: list[datetime]
) -> None:
    """A feed has the last revision only: what was corrected at once arrives as revision 2."""
    await subscribed(arnia, "incident.published", "incident.changed")
    made = {"created_at": moment[0] + timedelta(minutes=1)}
    for revision in (2, 3):
        updated = {"updated_at": moment[0] + timedelta(minutes=revision)}
        await copy(arnia, "incident", "megalis/out", an_incident(), revision=revision, **made, **updated)
        await settle(arnia)
    assert receiver.events() == [
        ("incident.changed", "megalis/out"),
        ("incident.changed", "megalis/out"),
        ("incident.published", "megalis/out"),
    ]


async def test_what_was_there_before_somebody_subscribed_is_changed_and_not_published(
    arnia: Node, receiver: Receiver, moment: list[datetime]
) -> None:
    await subscribed(arnia, "incident.published", "incident.changed")
    before = {"created_at": moment[0] - timedelta(days=2), "updated_at": moment[0]}
    await copy(arnia, "incident", "megalis/there", an_incident(), revision=4, **before)
    await settle(arnia)
    assert receiver.events() == [("incident.changed", "megalis/there")]


async def test_what_arrives_retracted_was_never_published(
    arnia: Node, receiver: Receiver, moment: list[datetime]
) -> None:
    await subscribed(arnia, "incident.published", "incident.changed")
    moment[0] += timedelta(minutes=1)
    await publish(arnia, "incident", "one", an_incident())
    await records.retract(arnia, Incident, "arnia", "one", by=itself("arnia"))
    await settle(arnia)
    assert receiver.events() == [("incident.changed", "arnia/one")]


async def test_what_a_new_peer_brings_of_long_ago_is_no_news(
    arnia: Node, receiver: Receiver, moment: list[datetime]
) -> None:
    await subscribed(arnia, "incident.published", "incident.changed", "incident.affects-mine")
    await publish(arnia, "deployment", "one", running())
    long_ago, lately = moment[0] - timedelta(days=31), moment[0] - timedelta(days=29)
    ages = {"old": (long_ago, long_ago), "touched": (long_ago, lately), "new": (lately, lately)}
    ages["revised-old"] = (long_ago, long_ago)
    for key, (created, updated) in ages.items():
        await copy(
            arnia, "incident", f"megalis/{key}", an_incident(affects=[{"solution": "x/y"}]),
            revision=1 if key in ("old", "new") else 4, created_at=created, updated_at=updated,
        )  # fmt: skip
    await copy(arnia, "incident", "megalis/hits", a_vulnerability(), created_at=long_ago, updated_at=long_ago)
    await settle(arnia)
    assert receiver.events() == [
        ("incident.affects-mine", "megalis/hits"),
        ("incident.changed", "megalis/touched"),
        ("incident.published", "megalis/new"),
    ]


async def test_what_goes_on_is_not_told_again_when_its_alert_is_forgotten(
    arnia: Node, receiver: Receiver, moment: list[datetime]
) -> None:
    events = ("incident.published", "incident.changed", "incident.affects-mine", "incident.unanswered")
    await subscribed(arnia, *events)
    await publish(arnia, "deployment", "one", running())
    await cve(arnia)
    await cve(arnia, severity="low")
    here = [{"deployments": ["arnia/one"]}]
    await publish(arnia, "incident", "over", an_incident(affects=here))
    await settle(arnia)
    await publish(arnia, "incident", "over", an_incident(affects=here, status="resolved"))
    moment[0] += timedelta(days=2)
    await settle(arnia)
    told = receiver.events()
    moment[0] += timedelta(days=91)
    await alert_scan.purge(arnia)
    assert sorted(one.event for one in await listed(arnia)) == [
        "incident.affects-mine",
        "incident.unanswered",
    ]
    await settle(arnia)
    assert receiver.events() == told
    # When it is over, its alerts are over, too; and what is revised after so long is not published again.
    await cve(arnia, status="fixed")
    await settle(arnia)
    assert receiver.events() == sorted([*told, ("incident.changed", "arnia/cve")])
    moment[0] += timedelta(days=91)
    await alert_scan.purge(arnia)
    assert await listed(arnia) == ()


async def test_an_alert_that_nobody_has_replayed_is_forgotten_one_that_waits_is_not(
    arnia: Node, receiver: Receiver, moment: list[datetime]
) -> None:
    await subscribed(arnia, "incident.published")
    receiver.down = True
    for key in ("parked", "waits"):
        await publish(arnia, "incident", key, an_incident())
        await settle(arnia)
        moment[0] += timedelta(days=1, hours=1)
        if key == "parked":
            await settle(arnia)
    assert len(await listed(arnia, parked=True)) == 1
    moment[0] += timedelta(days=80)
    await alert_scan.purge(arnia)
    assert len(await listed(arnia)) == 2
    moment[0] += timedelta(days=20)
    await alert_scan.purge(arnia)
    assert [one.subject for one in await listed(arnia)] == ["arnia/waits"]


async def test_more_open_incidents_than_a_page_are_all_told(
    arnia: Node, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_scan, "MAX_PAGE", 2)
    await subscribed(arnia, "incident.affects-mine")
    await publish(arnia, "deployment", "one", running())
    for number in range(5):
        await publish(arnia, "incident", f"i{number}", a_vulnerability(aliases=[f"CVE-2099-{number}"]))
    await settle(arnia)
    assert [subject for _, subject in receiver.events()] == [f"arnia/i{number}" for number in range(5)]


async def test_a_process_that_has_just_begun_does_not_take_its_own_absence_for_a_peers(
    arnia: Node, megalis: Node, receiver: Receiver, moment: list[datetime]
) -> None:
    await subscribed(arnia, "peer.stale")
    await introduce(arnia, megalis)
    moment[0] += timedelta(days=1)
    assert await alert_scan.add_alerts(arnia, started_at=moment[0] - timedelta(minutes=1)) == 0
    assert await alert_scan.add_alerts(arnia, started_at=moment[0] - timedelta(minutes=11)) == 1
    assert await alert_scan.add_alerts(arnia, started_at=moment[0] - timedelta(minutes=11)) == 0


async def test_a_peer_is_silent_since_it_last_answered(
    arnia: Node, megalis: Node, receiver: Receiver, moment: list[datetime]
) -> None:
    await subscribed(arnia, "peer.stale")
    await introduce(arnia, megalis)
    async with arnia.store.write() as tx:
        await tx.peers.note_answers({"megalis": None})
        await tx.records._session.connection.execute("UPDATE peers SET added_at = now() - interval '9 days'")
    moment[0] += timedelta(minutes=9)
    assert await alert_scan.add_alerts(arnia) == 0
    moment[0] += timedelta(minutes=2)
    assert await alert_scan.add_alerts(arnia) == 1
    # It answers, and is silent again: that is another event.
    async with arnia.store.write() as tx:
        await tx.records._session.connection.execute("UPDATE peers SET contacted_at = now() + interval '1 h'")
    assert await alert_scan.add_alerts(arnia) == 0
    moment[0] += timedelta(hours=2)
    assert await alert_scan.add_alerts(arnia) == 1
    assert await alert_scan.add_alerts(arnia) == 0


async def test_a_peer_that_is_suspended_is_not_silent(
    arnia: Node, megalis: Node, receiver: Receiver, moment: list[datetime]
) -> None:
    await subscribed(arnia, "peer.stale")
    await introduce(arnia, megalis)
    async with arnia.store.write() as tx:
        await tx.records._session.connection.execute("UPDATE peers SET state = 'suspended'")
    moment[0] += timedelta(days=1)
    await settle(arnia)
    assert receiver.taken == []


async def test_a_record_that_is_rejected_is_told_with_its_reason_and_nothing_of_it(
    arnia: Node, receiver: Receiver
) -> None:
    await subscribed(arnia, "record.rejected")
    await copy(arnia, "deployment", "megalis/a", running())
    async with arnia.store.write() as tx:
        await tx.records._session.connection.execute(
            "INSERT INTO rejected_entries (feed, type, key, seq, revision, reason, detail)"
            " SELECT id, 'incident', 'x', 7, 1, 'bad-document', 'canari' FROM feeds WHERE origin = 'megalis'"
        )
    for _ in range(2):
        await settle(arnia)
    ((_, body),) = receiver.taken
    assert body["data"] == {
        "id": "megalis/x", "type": "incident", "reason": "bad-document", "link": "http://arnia.test/v1/peers",
    }  # fmt: skip


async def test_a_process_looks_when_something_arrives_and_now_and_then_and_rests(
    arnia: Node, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, looks, took = [0.0], [0], [0.0]
    looked = alert_scan.add_alerts

    async def notice(node: Node, **more: Any) -> int:
        looks[0] += 1
        clock[0] += took[0]
        return await looked(node, **more)

    monkeypatch.setattr(alert_scan, "monotonic", lambda: clock[0])
    monkeypatch.setattr(alert_scan, "add_alerts", notice)
    scan = alert_scan.AlertScan(arnia)
    await subscribed(arnia, "incident.published")

    async def look(seconds: float) -> tuple[int, int]:
        """How many alerts were made, and how many looks there have been."""
        clock[0] += seconds
        return await scan.run(arnia), looks[0]

    assert await look(0) == (0, 1), "it may have been away"
    assert await look(14.9) == (0, 1), "nothing has arrived"
    await publish(arnia, "incident", "one", an_incident())
    assert await look(0) == (1, 2)
    assert await look(14.9) == (0, 2)
    assert await look(0.1) == (0, 3), "what has not been done is nothing that arrives"
    took[0] = 2.0
    await publish(arnia, "incident", "two", an_incident())
    assert await look(0) == (1, 4)
    await publish(arnia, "incident", "three", an_incident())
    assert await look(5.9) == (0, 4), "a look took long: it is not the only thing to be done here"
    assert await look(0.1) == (1, 5)


async def test_what_hits_us_is_worked_out_for_who_wants_to_know(
    arnia: Node, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def own(_: Node, __: Caller) -> Any:
        raise AssertionError("nobody has asked")

    monkeypatch.setattr(alert_scan, "_own_incidents", own)
    await subscribed(arnia, "incident.published", "peer.stale")
    await cve(arnia)
    assert await alert_scan.add_alerts(arnia) == 1
    await subscribed(arnia, "incident.unanswered")
    with pytest.raises(AssertionError):
        await alert_scan.add_alerts(arnia)


async def test_nobody_leaves_or_comes_while_alerts_are_made(
    arnia: Node, dsn: str, receiver: Receiver
) -> None:
    """Else an alert would be made for who is gone, and fail for all."""
    made = await subscribed(arnia, "incident.published")
    async with arnia.store.write() as tx:
        await tx.alerts.lock()
        comes = asyncio.create_task(subscribed(arnia, "incident.published"))
        leaves = asyncio.create_task(alerts.unsubscribe(arnia, made.id, by=itself("arnia")))
        async with looking(dsn) as look, arnia.store.read() as reading:
            await waits(look, 2)
            assert [one.id for one in await reading.alerts.subscriptions()] == [made.id]
    await asyncio.gather(comes, leaves)
    async with arnia.store.read() as reading:
        assert [one.id for one in await reading.alerts.subscriptions()] == [comes.result().id]


async def test_a_receiver_that_is_tried_and_says_that_it_is_gone_is_told_so(
    arnia: Node, receiver: Receiver
) -> None:
    made = await subscribed(arnia, "incident.published")
    receiver.status = 410
    with pytest.raises(Unreachable, match="gone"):
        await alert_delivery.send_test(arnia, made.id, by=itself("arnia"))
    receiver.status = 204
    await alert_delivery.send_test(arnia, made.id, by=itself("arnia"))
    headers, body = receiver.taken[-1]
    assert (body["type"], body["data"]["id"]) == ("subscription.test", made.id)
    raw = json.dumps(body, separators=(",", ":")).encode()
    assert headers["webhook-signature"] == signature(
        made.secret, headers["webhook-id"], int(headers["webhook-timestamp"]), raw
    )
    assert await listed(arnia) == ()


# Receivers that do not answer


class Several(Receiver):
    """Receivers of their own for each URL."""

    def __init__(self) -> None:
        super().__init__()
        self.silent = asyncio.Event()
        self.fault: Exception | None = None

    async def post_webhook(self, url: str, body: bytes, headers: dict[str, str], *, private: bool) -> int:
        if self.fault is not None:
            raise self.fault
        if "silent" in url:
            await self.silent.wait()
            raise Unreachable("the webhook did not answer in time")
        return await super().post_webhook(url, body, headers, private=private)


@pytest.fixture
def several(arnia: Node) -> Several:
    arnia._outside = found = Several()
    return found


async def test_a_receiver_that_says_nothing_holds_up_nobody_else(
    arnia: Node, several: Several, moment: list[datetime]
) -> None:
    silent = NewSubscription(events=("incident.published",), webhook="https://silent.example.org/")
    await alerts.subscribe(arnia, silent, by=itself("arnia"))
    for number in range(30):
        await publish(arnia, "incident", f"i{number}", an_incident())
    await alert_scan.add_alerts(arnia)
    waiting = asyncio.create_task(alert_delivery.deliver(arnia))
    await subscribed(arnia, "incident.published")
    await publish(arnia, "incident", "last", an_incident())
    await alert_scan.add_alerts(arnia)
    other = asyncio.create_task(alert_delivery.deliver(arnia))

    async def taken() -> bool:
        return bool(several.taken)

    await until(taken)
    assert several.events() == [("incident.published", "arnia/last")]
    several.silent.set()
    await asyncio.gather(waiting, other)
    # What was waiting for it waits with it.
    tried = sum(one.attempts for one in await listed(arnia))
    assert tried <= 2 * MAX_DUE_PER_SUBSCRIPTION + 1
    for _ in range(3):
        await alert_delivery.deliver(arnia)
    assert sum(one.attempts for one in await listed(arnia)) == tried


async def test_a_process_tells_others_while_some_keep_it_waiting(arnia: Node, several: Several) -> None:
    silent = NewSubscription(events=("incident.published",), webhook="https://silent.example.org/")
    await alerts.subscribe(arnia, silent, by=itself("arnia"))
    await publish(arnia, "incident", "first", an_incident())
    await alert_scan.add_alerts(arnia)
    house = asyncio.create_task(maintenance.deliver_alerts_forever(arnia))

    async def tried() -> bool:
        return bool((await listed(arnia))[0].attempts)

    async def told() -> bool:
        return bool(several.taken)

    await until(tried)
    await subscribed(arnia, "incident.published")
    await publish(arnia, "incident", "last", an_incident())
    await alert_scan.add_alerts(arnia)
    await until(told)
    house.cancel()
    with pytest.raises(asyncio.CancelledError):
        await house
    assert several.events() == [("incident.published", "arnia/last")]


async def test_an_attempt_that_ends_after_another_has_begun_changes_nothing(
    arnia: Node, several: Several, moment: list[datetime]
) -> None:
    """A process was stopped for longer than its lease: meanwhile another has told it."""
    silent = NewSubscription(events=("incident.published",), webhook="https://silent.example.org/")
    await alerts.subscribe(arnia, silent, by=itself("arnia"))
    await cve(arnia)
    await alert_scan.add_alerts(arnia)
    late = asyncio.create_task(alert_delivery.deliver(arnia))

    async def tried() -> bool:
        return bool((await listed(arnia))[0].attempts)

    await until(tried)
    moment[0] += ATTEMPT_LEASE + timedelta(seconds=1)
    async with arnia.store.write() as tx:
        (due,) = await tx.alerts.claim(moment[0])
        assert await tx.alerts.claim(moment[0]) == ()
        await tx.alerts.mark_delivered(due.alert.id)
    several.silent.set()
    await late
    (one,) = await listed(arnia)
    assert (one.delivered_at is not None, one.next_try_at, one.failure) == (True, None, None)


@pytest.mark.parametrize("status", [300, 302, 304, 404, 429, 500])
async def test_what_is_no_2xx_is_not_taken(arnia: Node, receiver: Receiver, status: int) -> None:
    await subscribed(arnia, "incident.published")
    await cve(arnia)
    receiver.status = status
    await settle(arnia)
    (one,) = await listed(arnia)
    assert (one.failure, one.delivered_at) == (f"the webhook answered {status}", None)


async def test_a_fault_of_our_own_is_noted_and_tried_again(
    arnia: Node, several: Several, moment: list[datetime]
) -> None:
    await subscribed(arnia, "incident.published")
    await cve(arnia)
    await alert_scan.add_alerts(arnia)
    several.fault = ValueError("a secret of the program")
    await alert_delivery.deliver(arnia)
    (one,) = await listed(arnia)
    assert (one.failure, one.parked_at) == ("it could not be delivered; the node's log says why", None)
    moment[0] += timedelta(hours=25)
    await alert_delivery.deliver(arnia)
    (one,) = await listed(arnia, parked=True)
    assert one.attempts == 2


async def test_an_attempt_ends_before_its_lease_does(
    arnia: Node, several: Several, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ATTEMPT_TIMEOUT < ATTEMPT_LEASE
    monkeypatch.setattr(alert_delivery, "ATTEMPT_TIMEOUT", timedelta(seconds=0.2))
    silent = NewSubscription(events=("incident.published",), webhook="https://silent.example.org/")
    await alerts.subscribe(arnia, silent, by=itself("arnia"))
    await cve(arnia)
    await settle(arnia)
    (one,) = await listed(arnia)
    assert one.failure == "it was not taken within 0.2 seconds"


async def test_all_that_waits_for_a_receiver_that_is_gone_is_parked(arnia: Node, receiver: Receiver) -> None:
    await subscribed(arnia, "incident.published")
    for number in range(9):
        await publish(arnia, "incident", f"i{number}", an_incident())
    receiver.status = 410
    await settle(arnia)
    assert len(await listed(arnia, parked=True)) == 9
    assert len(receiver.taken) <= 4
    async with arnia.store.read() as tx:
        assert [one.active for one in await tx.alerts.subscriptions()] == [False]


async def test_no_more_subscriptions_than_there_may_be(
    arnia: Node, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "MAX_SUBSCRIPTIONS", 2)
    found = await asyncio.gather(*(subscribed(arnia, "peer.stale") for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(one, Invalid) for one in found) == 2
