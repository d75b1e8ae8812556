"""A flood of alerts of one operator is one digest for each receiver, and hides nothing of one's own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from federation.domain.alert import FLOOD_QUIET, Letter, NewSubscription
from federation.domain.feed import FeedName
from federation.domain.visibility import itself
from federation.node import alert_delivery, alert_floods, alert_scan, alerts
from federation.node.node import Node
from tests.api.http_client import refused
from tests.domain.builders import an_incident
from tests.exposure.commands import said, told
from tests.exposure.deployments import a_vulnerability, copy, running
from tests.exposure.test_alerts import Receiver, listed, settle, subscribed
from tests.nodes import a_token, browsing, introduce, publish

ELSEWHERE = [{"solution": "arnia/other"}]


@pytest.fixture
def receiver(arnia: Node) -> Receiver:
    arnia._outside = found = Receiver()
    return found


@pytest.fixture
def moment(arnia: Node) -> list[datetime]:
    """The time of arnia's clock, which a test moves."""
    now = [datetime.now(UTC)]
    arnia.clock = lambda: now[0]
    return now


async def incidents(node: Node, origin: str, keys: list[str], at: datetime, **members: Any) -> None:
    content = an_incident(**{"affects": ELSEWHERE, **members})
    for key in keys:
        await copy(node, "incident", f"{origin}/{key}", content, created_at=at, updated_at=at)


async def test_below_the_ceiling_each_alert_is_delivered_by_itself_and_in_order(
    arnia: Node,
    receiver: Receiver,
    moment: list[datetime],
) -> None:
    await subscribed(arnia, "incident.published")
    keys = [f"i{number:02}" for number in range(20)]
    await incidents(arnia, "megalis", keys, moment[0])
    await settle(arnia)
    taken = [body["data"]["id"] for _, body in receiver.taken]
    assert taken == [f"megalis/{key}" for key in keys]
    moment[0] += timedelta(hours=1, seconds=1)
    await incidents(arnia, "megalis", ["later"], moment[0])
    await settle(arnia)
    assert receiver.events()[-1] == ("incident.published", "megalis/later")
    assert not any(body["type"] == "alerts.withheld" for _, body in receiver.taken)


async def test_beyond_the_ceiling_one_digest_says_how_many_and_how_many_are_ours(
    arnia: Node,
    receiver: Receiver,
    moment: list[datetime],
) -> None:
    arnia.alerts_an_hour = 5
    await publish(arnia, "deployment", "one", running())
    await subscribed(arnia, "incident.published")
    await incidents(arnia, "megalis", [f"i{number:03}" for number in range(40)], moment[0])
    for number in range(3):
        await copy(
            arnia, "incident", f"megalis/ours{number}", a_vulnerability(aliases=[f"CVE-2099-{number}"]),
            created_at=moment[0], updated_at=moment[0], tlp="GREEN",
        )  # fmt: skip
    await incidents(arnia, "recia", ["quiet"], moment[0])
    for _ in range(3):
        await settle(arnia)
    assert len(receiver.taken) == 6
    assert ("incident.published", "recia/quiet") in receiver.events(), "another operator is heard"
    moment[0] += FLOOD_QUIET
    for _ in range(3):
        await settle(arnia)
    assert len(receiver.taken) == 7, "one digest"
    headers, digest = receiver.taken[-1]
    assert digest["type"] == "alerts.withheld"
    data = digest["data"]
    assert (data["id"], data["withheld"], data["affecting"]) == ("megalis", 38, 3)
    assert data["message"].startswith(
        f"megalis: 38 more alerts since {moment[0] - FLOOD_QUIET:%H:%M} UTC; 3 of"
    )
    assert headers["webhook-id"]
    withheld = await alerts.list_alerts(
        arnia, by=itself("arnia"), parked=False, withheld=True, origin="megalis"
    )
    assert len(withheld) == 38
    async with browsing(arnia) as client:
        token = await a_token(arnia, client)
        link = data["link"].removeprefix(arnia.url)
        answer = (await client.get(link, headers=token)).json()
        assert len(answer["alerts"]) == 38
        assert all(one["withheld"] and one["origin"] == "megalis" for one in answer["alerts"])
        found = (await client.get(data["incidents"].removeprefix(arnia.url), headers=token)).json()
        assert found["items"], "the incidents themselves are listed, too"
        assert refused(await client.get("/v1/alerts?withheld=1", headers=token), 400, "invalid")
        assert refused(await client.get("/v1/alerts?origin=%00", headers=token), 400, "invalid")
        assert refused(await client.get("/v1/alerts?other=true", headers=token), 400, "invalid")


async def test_a_flood_that_goes_on_has_its_digest_when_the_hour_is_over(
    arnia: Node,
    receiver: Receiver,
    moment: list[datetime],
) -> None:
    arnia.alerts_an_hour = 2
    await subscribed(arnia, "incident.published")
    for number in range(18):
        await incidents(arnia, "megalis", [f"i{number}"], moment[0])
        await settle(arnia)
        moment[0] += timedelta(minutes=4)
    types = [body["type"] for _, body in receiver.taken]
    assert types == ["incident.published"] * 2 + ["alerts.withheld"]
    assert receiver.taken[-1][1]["data"]["withheld"] == 16


async def test_each_receiver_has_a_ceiling_of_its_own_and_a_replay_delivers_what_was_withheld(
    arnia: Node,
    receiver: Receiver,
    moment: list[datetime],
    dsn: str,
) -> None:
    arnia.alerts_an_hour = 3
    await subscribed(arnia, "incident.published")
    await incidents(arnia, "megalis", ["a", "b", "c", "d"], moment[0])
    await settle(arnia)
    moment[0] += timedelta(seconds=1)
    await subscribed(arnia, "incident.changed")
    content = an_incident(affects=ELSEWHERE, severity="low")
    for key in ("a", "b"):
        await copy(
            arnia, "incident", f"megalis/{key}", content, revision=2, created_at=moment[0],
            updated_at=moment[0],
        )  # fmt: skip
    await settle(arnia)
    assert [kind for kind, _ in receiver.events()].count("incident.changed") == 2
    (one,) = await alerts.list_alerts(arnia, by=itself("arnia"), parked=False, withheld=True)
    assert (one.subject, one.delivered_at, one.next_try_at) == ("megalis/d", None, None)
    assert "megalis/d  withheld" in await said(dsn, "alert", "list", "--withheld")
    assert await told(dsn, "alert", "list", "--origin", "recia") == []
    await alerts.replay(arnia, one.id, by=itself("arnia"))
    moment[0] += timedelta(minutes=4)  # (A replay is due from now on, by the clock of the database.)
    await settle(arnia)
    assert ("incident.published", "megalis/d") in receiver.events()


async def test_more_than_are_stored_are_counted_all_the_same(
    arnia: Node,
    receiver: Receiver,
    moment: list[datetime],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alert_floods, "MAX_WITHHELD", 4)
    arnia.alerts_an_hour = 1
    await subscribed(arnia, "incident.published")
    await incidents(arnia, "megalis", [f"i{number}" for number in range(11)], moment[0])
    await settle(arnia)
    assert len(await listed(arnia)) == 1 + 4
    moment[0] += timedelta(hours=1)
    await settle(arnia)
    assert receiver.taken[-1][1]["data"]["withheld"] == 10


async def test_a_paused_peer_is_an_alert_and_is_never_withheld(
    arnia: Node,
    megalis: Node,
    receiver: Receiver,
    moment: list[datetime],
) -> None:
    arnia.alerts_an_hour = 1
    await introduce(arnia, megalis)
    await subscribed(arnia, "peer.paused", "incident.published")
    await incidents(arnia, "megalis", ["a", "b"], moment[0])
    async with arnia.store.write() as tx:
        await tx.feeds.open(FeedName("megalis", "group"), None)
        await tx.quotas.pause("megalis", "records", "11 records; 10 are allowed")
    for _ in range(2):
        await settle(arnia)
    paused = [body["data"] for _, body in receiver.taken if body["type"] == "peer.paused"]
    assert [(data["id"], data["reason"]) for data in paused] == [("megalis", "11 records; 10 are allowed")]
    async with arnia.store.write() as tx:
        await tx.quotas.resume("megalis")
        feed = await tx.feeds.open(FeedName("megalis", "group"), None)
        await tx.copies.pause(feed.id, "101 of 300 records are to be removed")
    await settle(arnia)
    paused = [body["data"] for _, body in receiver.taken if body["type"] == "peer.paused"]
    assert [data["reason"] for data in paused][1:] == ["101 of 300 records are to be removed"]


async def test_a_digest_goes_by_mail_as_well(
    arnia: Node,
    receiver: Receiver,
    moment: list[datetime],
) -> None:
    letters: list[Letter] = []

    async def mail(letter: Letter) -> None:
        letters.append(letter)

    sends: Callable[..., Any] = mail
    receiver.mail = sends  # type: ignore[method-assign]
    receiver.sends_mail = True
    arnia.alerts_an_hour = 1
    wanted = NewSubscription(events=("incident.published",), email="noc@example.org")
    await alerts.subscribe(arnia, wanted, by=itself("arnia"))
    await incidents(arnia, "megalis", ["a", "b", "c"], moment[0])
    await settle(arnia)
    moment[0] += FLOOD_QUIET
    await alert_scan.add_alerts(arnia)
    while await alert_delivery.deliver(arnia):
        pass
    assert [letter.subject for letter in letters] == [
        "[federation] incident.published: megalis/a",
        "[federation] alerts.withheld: megalis",
    ]
    assert "megalis: 2 more alerts since" in letters[1].text
