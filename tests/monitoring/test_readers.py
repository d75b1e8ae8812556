"""Webhooks of monitoring are read strictly where an outage depends on it, and leniently elsewhere."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from federation.domain.errors import Invalid
from federation.domain.formats.monitoring.alertmanager import read_alertmanager
from federation.domain.formats.monitoring.event import MAX_DELIVERY_BYTES, MAX_EVENTS, Delivery
from federation.domain.formats.monitoring.grafana import read_grafana
from federation.domain.formats.monitoring.uptime_kuma import read_uptime_kuma
from tests.monitoring.webhooks import (
    HOST,
    SECRET,
    TEST_OF_UPTIME_KUMA,
    alertmanager,
    an_alert,
    grafana,
    uptime_kuma,
)

TEN = datetime(2026, 3, 1, 10, 0, 0, 123456, UTC)
Read = Callable[[bytes], Delivery]


@pytest.mark.parametrize(("read", "write"), [(read_alertmanager, alertmanager), (read_grafana, grafana)])
def test_an_alert_that_fires_is_open_and_one_that_is_resolved_has_both_times(
    read: Read, write: Callable[..., bytes]
) -> None:
    resolved = an_alert(state="resolved", ends_at="2026-03-01T12:20:00.5+02:00", fingerprint="b")
    down, up = read(write(an_alert(), resolved)).events
    assert (down.fingerprint, down.state, down.starts_at, down.ends_at) == (
        "c6eadffa33fcdf37", "firing", TEN, None,
    )  # fmt: skip
    assert (up.state, up.starts_at) == ("resolved", TEN)
    assert up.ends_at == datetime(2026, 3, 1, 10, 20, 0, 500_000, UTC)
    assert (down.name, down.labels["deployment"]) == ("InstanceDown", "glpi-dijon")
    assert down.summary is not None
    assert HOST in down.summary


def test_an_alert_that_fires_is_open_though_it_names_the_time_it_is_given_up() -> None:
    (event,) = read_alertmanager(alertmanager(an_alert(ends_at="2026-03-01T10:04:00Z"))).events
    assert (event.state, event.ends_at) == ("firing", None)


def test_an_alert_at_fault_is_left_out_with_its_place_and_the_others_are_read() -> None:
    faulty: list[Any] = [
        an_alert(state="suppressed"), an_alert(starts_at="yesterday"),
        an_alert(starts_at="0001-01-01T00:00:00Z"), an_alert(fingerprint=""),
        an_alert(fingerprint="\x00heartbeat"), an_alert(state="resolved"),
        an_alert(starts_at="1969-12-31T23:00:00Z"), 7,
    ]  # fmt: skip
    message = json.loads(alertmanager(an_alert(), truncatedAlerts=3))
    message["alerts"] = [*faulty, an_alert()]
    delivery = read_alertmanager(json.dumps(message).encode())
    assert [event.place for event in delivery.events] == ["alerts[8]"]
    assert [(fault.place, fault.member) for fault in delivery.faults] == [
        ("alerts[0]", "status"), ("alerts[1]", "startsAt"), ("alerts[2]", "startsAt"),
        ("alerts[3]", "fingerprint"), ("alerts[4]", "fingerprint"), ("alerts[5]", "endsAt"),
        ("alerts[6]", "startsAt"), ("alerts[7]", ""),
    ]  # fmt: skip
    assert delivery.omitted == 3


@pytest.mark.parametrize(
    ("read", "body", "pointer"),
    [
        (read_alertmanager, grafana(an_alert()), "/version"),
        (read_grafana, alertmanager(an_alert()), "/version"),
        (read_grafana, b'{"ruleId": 7, "evalMatches": [], "state": "alerting"}', "/ruleId"),
        (read_alertmanager, b'{"version": "4"}', "/alerts"),
        (read_alertmanager, alertmanager(*[an_alert()] * (MAX_EVENTS + 1)), "/alerts"),
        (read_uptime_kuma, b'{"title": "custom"}', "/heartbeat"),
        (read_uptime_kuma, b"[]", ""),
        (read_uptime_kuma, b"{", None),
        (read_uptime_kuma, b'"' + b"x" * MAX_DELIVERY_BYTES + b'"', None),
        (read_alertmanager, b'{"alerts":' * 5_000, None),
    ],
)  # fmt: skip
def test_what_is_no_delivery_of_this_program_is_refused(read: Read, body: bytes, pointer: str | None) -> None:
    with pytest.raises(Invalid) as refusal:
        read(body)
    assert refusal.value.pointer == pointer


def test_a_heartbeat_of_uptime_kuma_is_an_event_of_its_monitor() -> None:
    (down,) = read_uptime_kuma(uptime_kuma()).events
    assert (down.fingerprint, down.state, down.starts_at) == (
        "monitor 29",
        "firing",
        TEN.replace(microsecond=123_000),
    )
    assert down.labels == {"alertname": "GLPI of Dijon", "urgent": "", "deployment": "glpi-dijon"}
    (up,) = read_uptime_kuma(uptime_kuma(1, "2026-03-01 10:20:00")).events
    assert (up.state, up.starts_at, up.ends_at) == (
        "resolved",
        None,
        datetime(2026, 3, 1, 10, 20, tzinfo=UTC),
    )
    newer = uptime_kuma(1, "2026-03-01 10:20:00", lastDownTime="2026-03-01 10:00:00.123")
    (up,) = read_uptime_kuma(newer).events
    assert up.starts_at == TEN.replace(microsecond=123_000)


@pytest.mark.parametrize("body", [TEST_OF_UPTIME_KUMA, uptime_kuma(2), uptime_kuma(3)])
def test_a_test_a_pending_check_and_maintenance_are_no_events(body: bytes) -> None:
    assert read_uptime_kuma(body) == Delivery(())


@pytest.mark.parametrize(
    ("heartbeat", "member"),
    [
        ({"status": 4}, "status"), ({"status": True}, "status"), ({"time": None}, "time"),
        ({"monitorID": "x"}, "monitorID"),
    ],
)  # fmt: skip
def test_a_heartbeat_at_fault_names_its_member(heartbeat: dict[str, Any], member: str) -> None:
    message = json.loads(uptime_kuma())
    message["heartbeat"] |= heartbeat
    (fault,) = read_uptime_kuma(json.dumps(message).encode()).faults
    assert fault.member == member


def test_passwords_and_answers_of_the_service_are_not_read() -> None:
    assert SECRET in uptime_kuma().decode()
    assert SECRET not in repr(read_uptime_kuma(uptime_kuma()))


EXAMPLES: tuple[tuple[Read, bytes], ...] = (
    (read_alertmanager, alertmanager(an_alert(), an_alert(state="resolved", ends_at="2026-03-01T10:20:00Z"))),
    (read_grafana, grafana(an_alert())),
    (read_uptime_kuma, uptime_kuma()),
    (read_uptime_kuma, TEST_OF_UPTIME_KUMA),
)


def test_a_broken_delivery_is_refused_or_read_and_nothing_else() -> None:
    chance = random.Random(20)
    for _ in range(300):
        read, body = chance.choice(EXAMPLES)
        broken = bytearray(body)
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(broken))
            broken[at : at + chance.randint(0, 3)] = chance.choice(
                [b"\0", b"[", b'"', b"9", b"\xff", b"null", b"-"]
            )
        try:
            delivery = read(bytes(broken))
        except Invalid:
            continue
        assert len(delivery.events) + len(delivery.faults) <= MAX_EVENTS
