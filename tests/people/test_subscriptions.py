"""A subscription of a person has alerts of what the person sees, and is theirs."""

from __future__ import annotations

import pytest

from federation.domain.alert import AlertEvent, NewSubscription
from federation.domain.errors import Forbidden, Invalid, MissingScope, NotFound
from federation.domain.visibility import Caller, Ceiling, itself
from federation.node import alert_delivery, alert_scan, alerts, people
from federation.node.node import Node
from tests.domain.builders import a_group
from tests.exposure.deployments import CHALON, a_vulnerability, bodies, copy, running
from tests.exposure.test_alerts import Receiver, settle
from tests.exposure.test_alerts import receiver as receiver  # a fixture
from tests.exposure.test_seeing import ALL
from tests.nodes import publish
from tests.people.people import a_person

BY = itself("arnia")
INCIDENT_EVENTS: tuple[AlertEvent, ...] = ("incident.published", "incident.changed", "incident.affects-mine")


async def a_reader(node: Node, *groups: str, name: str = "Anne", role: str = "reader") -> Caller:
    return (await a_person(node, name, role, *groups)).caller(node.operator)


async def subscribe(
    node: Node, by: Caller, *events: AlertEvent, private: bool = False, unanswered_hours: int = 24
) -> str:
    url = f"https://{by.person or 'own'}.example.org/"
    new = NewSubscription(
        events=events or INCIDENT_EVENTS, webhook=url, private=private, unanswered_hours=unanswered_hours
    )
    return (await alerts.subscribe(node, new, by=by)).id


async def subjects(node: Node, by: Caller) -> set[tuple[str, str]]:
    return {
        (state.event, state.subject.partition("/")[2])
        for state in await alerts.list_alerts(node, by=by, parked=False)
    }


async def test_alerts_are_of_incidents_that_the_person_sees(arnia: Node, receiver: Receiver) -> None:
    await publish(arnia, "group", "close", a_group(members=["megalis"]))
    green = await a_reader(arnia)
    amber = await a_reader(arnia, "arnia/close", name="Other")
    chief = await a_reader(arnia, name="Chief", role="administrator")
    for by in (green, amber, chief, BY):
        await subscribe(arnia, by)
    await publish(arnia, "incident", "green", a_vulnerability(aliases=["CVE-2026-1"]), tlp="GREEN")
    for key, envelope in (("amber", {"tlp": "AMBER", "audience": "close"}), ("red", {"tlp": "RED"})):
        await publish(arnia, "incident", key, a_vulnerability(aliases=[f"{key.upper()}-1"]), **envelope)
    assert await alert_scan.add_alerts(arnia) == 1 + 2 + 3 + 3
    await settle(arnia)
    published = {key: ("incident.published", key) for key in ("green", "amber", "red")}
    assert await subjects(arnia, green) == {published["green"]}
    assert await subjects(arnia, amber) == {published["green"], published["amber"]}
    assert await subjects(arnia, chief) == await subjects(arnia, BY) == set(published.values())
    sent = [body["data"]["id"] for _, body in receiver.taken]
    assert sorted(sent) == ["arnia/amber"] * 3 + ["arnia/green"] * 4 + ["arnia/red"] * 2


async def test_that_an_incident_affects_the_operator_is_reported_as_the_person_sees_it(
    arnia: Node, receiver: Receiver
) -> None:
    """A hidden deployment makes no alert, is not counted, and a hidden incident is not named."""
    green = await a_reader(arnia)
    for by in (green, BY):
        await subscribe(arnia, by, "incident.affects-mine", "incident.unanswered", unanswered_hours=1)
    await publish(arnia, "incident", "cve", a_vulnerability(affects=ALL), tlp="GREEN")
    await publish(arnia, "deployment", "secret", running("7.1", bodies(CHALON)), tlp="RED")
    await settle(arnia)
    assert await subjects(arnia, green) == set()
    assert await subjects(arnia, BY) == {("incident.affects-mine", "cve")}
    await publish(arnia, "deployment", "shown", running("7.2", bodies(CHALON)), tlp="GREEN")
    await publish(arnia, "incident", "hidden", a_vulnerability(affects=ALL), tlp="RED")
    await settle(arnia)
    assert await subjects(arnia, green) == {("incident.affects-mine", "cve")}
    last = receiver.taken[-1][1]["data"]
    assert (last["id"], last["affected"], last["deployments"]) == ("arnia/cve", 1, ["arnia/shown"])
    assert "hidden" not in str(last)
    assert "secret" not in str(last)


async def test_each_ceiling_has_its_own_deployments(arnia: Node, receiver: Receiver) -> None:
    """One alert for each, of the deployments that its person sees, whatever another person sees."""
    await publish(arnia, "group", "close", a_group(members=["megalis"]))
    await publish(arnia, "group", "far", a_group(members=["megalis"]))
    for groups in ((), ("arnia/close",), ("arnia/far",)):
        await subscribe(arnia, await a_reader(arnia, *groups), "incident.affects-mine")
    await publish(arnia, "incident", "cve", a_vulnerability(affects=ALL), tlp="GREEN")
    await publish(arnia, "deployment", "green", running("7.1", bodies(CHALON)), tlp="GREEN")
    for group in ("close", "far"):
        await publish(arnia, "deployment", group, running("7.2", bodies(CHALON)), tlp="AMBER", audience=group)
    await settle(arnia)
    assert sorted(sorted(body["data"]["deployments"]) for _, body in receiver.taken) == [
        ["arnia/close", "arnia/green"],
        ["arnia/far", "arnia/green"],
        ["arnia/green"],
    ]


async def test_what_became_hidden_is_neither_sent_nor_listed(arnia: Node, receiver: Receiver) -> None:
    green = await a_reader(arnia)
    await subscribe(arnia, green)
    receiver.down = True
    for key in ("narrowed", "stays"):
        await publish(arnia, "incident", key, a_vulnerability(aliases=[key.upper()]), tlp="GREEN")
    await settle(arnia)
    assert len(await subjects(arnia, green)) == 2
    await publish(arnia, "incident", "narrowed", a_vulnerability(aliases=["NARROWED"]), tlp="RED")
    assert await subjects(arnia, green) == {("incident.published", "stays")}
    receiver.down = False
    ids = [state.id for state in await alerts.list_alerts(arnia, by=BY, parked=False)]
    await alerts.replay(arnia, *ids, by=BY)
    await settle(arnia)
    assert receiver.events() == [("incident.published", "arnia/stays")]


async def test_a_lower_ceiling_holds_for_alerts_that_wait(arnia: Node, receiver: Receiver) -> None:
    await publish(arnia, "group", "close", a_group(members=["megalis"]))
    amber = await a_reader(arnia, "megalis/close")
    await subscribe(arnia, amber)
    receiver.down = True
    times = {"created_at": arnia.clock(), "updated_at": arnia.clock()}
    await copy(arnia, "incident", "megalis/x", a_vulnerability(), tlp="AMBER", audience="close", **times)
    await settle(arnia)
    assert await subjects(arnia, amber) == {("incident.published", "x")}
    await people.change(arnia, amber.person or "", ceiling=Ceiling(), by=BY)
    assert await subjects(arnia, (await people.find(arnia, amber.person or "")).caller("arnia")) == set()
    receiver.down = False
    (state,) = await alerts.list_alerts(arnia, by=BY, parked=False)
    await alerts.replay(arnia, state.id, by=BY)
    await settle(arnia)
    assert receiver.taken == []


async def test_a_person_has_their_own_subscriptions_alone(arnia: Node, receiver: Receiver) -> None:
    anne, other = await a_reader(arnia), await a_reader(arnia, name="Other")
    chief = await a_reader(arnia, name="Chief", role="administrator")
    mine, theirs, operators = [await subscribe(arnia, by) for by in (anne, other, BY)]
    await publish(arnia, "incident", "cve", a_vulnerability(), tlp="GREEN")
    await settle(arnia)

    async def seen(by: Caller) -> set[str]:
        return {stored.id for stored in await alerts.list_subscriptions(arnia, by=by)}

    assert await seen(anne) == {mine}
    assert await seen(chief) == await seen(BY) == {mine, theirs, operators}
    of_alerts = {
        state.subscription: state.id for state in await alerts.list_alerts(arnia, by=BY, parked=False)
    }
    assert of_alerts.keys() == {mine, theirs, operators}
    for id_ in (theirs, operators, "absent"):
        with pytest.raises(NotFound, match=f"no subscription {id_}"):
            await alerts.unsubscribe(arnia, id_, by=anne)
        with pytest.raises(NotFound, match="no subscription"):
            await alert_delivery.send_test(arnia, id_, by=anne)
        with pytest.raises(NotFound, match="no subscription"):
            await alerts.replay_parked(arnia, id_, by=anne)
        with pytest.raises(NotFound, match="no alert"):
            await alerts.replay(arnia, of_alerts.get(id_, "absent"), by=anne)
    assert await alerts.replay_parked(arnia, by=anne) == 0
    await alerts.replay(arnia, of_alerts[mine], by=anne)
    await alert_delivery.send_test(arnia, mine, by=anne)
    await alerts.unsubscribe(arnia, mine, by=anne)
    await alerts.unsubscribe(arnia, theirs, by=chief)
    assert await seen(BY) == {operators}


async def test_a_person_subscribes_within_their_rights(arnia: Node, receiver: Receiver) -> None:
    anne = await a_reader(arnia)
    chief = await a_reader(arnia, name="Chief", role="administrator")
    events: tuple[AlertEvent, ...] = ("peer.stale", "record.rejected", "peer.paused")
    for event in events:
        with pytest.raises(Forbidden) as refusal:
            await subscribe(arnia, anne, "incident.published", event)
        assert refusal.value.pointer == "/events"
    with pytest.raises(MissingScope):
        await subscribe(arnia, anne, private=True)
    await subscribe(arnia, chief, *events)
    for _ in range(alerts.MAX_SUBSCRIPTIONS_OF_PERSON):
        await subscribe(arnia, anne)
    with pytest.raises(Invalid, match="you have 10 subscriptions"):
        await subscribe(arnia, anne)
    await subscribe(arnia, BY)


async def test_the_subscriptions_of_a_person_go_with_them(arnia: Node, receiver: Receiver) -> None:
    anne = await a_reader(arnia)
    await subscribe(arnia, anne)
    operators = await subscribe(arnia, BY)
    await people.remove(arnia, anne.person or "", by=BY)
    assert [stored.id for stored in await alerts.list_subscriptions(arnia, by=BY)] == [operators]
