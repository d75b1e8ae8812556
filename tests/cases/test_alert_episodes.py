"""Alerts of incidents that affect the operator: once for a vulnerability, and again when it begins anew."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from federation.domain.content.incident import Incident
from federation.domain.exposure.affecting import AffectingIncident, Episodes, ends_episode, reopened_at
from federation.domain.exposure.answers import (
    AffectedCoverage,
    AffectedDeployment,
    CopyAge,
    IncidentSummary,
    OperatorExposure,
    OwnLine,
)
from federation.domain.exposure.coverage import tally
from tests.domain.builders import a_record, an_incident

NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


def line(
    id_: str,
    *aliases: str,
    affected: Iterable[str] = ("one",),
    unknown: Iterable[str] = (),
    kind: str = "vulnerability",
    exploitation: str | None = None,
    severity: str = "high",
    status: str = "open",
    published_at: str = "2026-03-01T08:00:00.000000Z",
) -> OwnLine:
    """An incident that affects these deployments of arnia, or may."""

    def coverage(number: int) -> AffectedCoverage:
        nobody = msgspec.structs.asdict(tally(0, others=0, counted=0, areas=0))
        return AffectedCoverage(**nobody, deployments=number)

    deployments = [
        AffectedDeployment(f"arnia/{name}", "arnia/glpi", "affected", "in-range") for name in affected
    ] + [AffectedDeployment(f"arnia/{name}", "arnia/glpi", "unknown", "no-version") for name in unknown]
    by_verdict = [sum(d.verdict == verdict for d in deployments) for verdict in ("affected", "unknown")]
    exposure = OperatorExposure(
        operator="arnia",
        copy=CopyAge("own", 0),
        answer=None,
        affected=coverage(by_verdict[0]),
        unknown=coverage(by_verdict[1]),
        cleared=coverage(0),
        not_affected=0,
        unconfirmed=0,
        statements=(),
        versions=(),
        deployments=tuple(deployments[:100]),
    )
    incident = IncidentSummary(
        id_, {"en": "x"}, kind, status, severity, aliases, exploitation, published_at, published_at
    )
    return OwnLine(incident, exposure, ())


class Scans:
    """Scans of a node, one after another; the rows that are stored between them."""

    def __init__(self) -> None:
        self.rows: dict[str, AffectingIncident] = {}
        self.sequence = 0
        self.named: set[str] = set()

    def scan(self, *lines: OwnLine, since: int | None = None) -> list[str]:
        """Names of the alerts that are new to a subscriber."""
        self.sequence += 1
        now = NOW + timedelta(minutes=self.sequence)
        since = self.sequence if since is None else since
        episodes = Episodes(self.rows, lines, now=now, since=since, through=self.sequence)
        self.rows |= {row.incident: row for row in episodes.changed}
        for name, row in self.rows.items():
            if row.ended_at is None and name not in episodes.current:
                self.rows[name] = msgspec.structs.replace(row, ended_at=now, through=self.sequence)
        names = dict.fromkeys(row.alert_name for row in episodes.current.values())
        new = [name for name in names if name not in self.named]
        self.named |= {*names}
        return new


CVE = "CVE-2025-24799"


@pytest.mark.case("d02", "an incident that is opened again is told again, once")
def test_each_episode_of_an_incident_has_one_alert() -> None:
    scans = Scans()
    outage = line("megalis/out", kind="outage")
    assert scans.scan(outage) == ["megalis/out"]
    assert scans.scan(outage) == [], "it lasts"
    assert scans.scan() == []
    assert scans.scan(outage) == ["megalis/out 2"]
    assert scans.scan(outage) == []
    assert scans.scan() == []
    assert scans.scan(outage) == ["megalis/out 3"]


@pytest.mark.case("d02", "a vulnerability that was mitigated and is open again is told again")
def test_a_mitigation_that_does_not_last_begins_an_episode() -> None:
    scans = Scans()
    assert scans.scan(line("megalis/v", CVE)) == ["megalis/v"]
    assert scans.scan(line("megalis/v", CVE, status="mitigated")) == []
    assert scans.scan(line("megalis/v", CVE, status="mitigated", severity="low")) == []
    assert scans.scan(line("megalis/v", CVE)) == ["megalis/v 2"]
    assert scans.scan(line("megalis/v", CVE)) == []
    assert scans.scan(line("recia/v", status="mitigated")) == ["recia/v"], "open, and new"
    assert scans.scan(line("recia/v", status="mitigated")) == []
    assert scans.scan(line("recia/v")) == ["recia/v 2"]


@pytest.mark.case("d02", "a revision of an open incident is not an opening")
def test_a_revision_is_no_new_episode() -> None:
    scans = Scans()
    assert scans.scan(line("megalis/v", CVE, severity="low")) == ["megalis/v"]
    assert scans.scan(line("megalis/v", CVE, severity="critical")) == []
    assert scans.scan(line("megalis/v", CVE, affected=["one", "two"])) == []


@pytest.mark.case("d01", "one vulnerability that several operators publish alerts once")
def test_one_vulnerability_of_three_operators_has_one_alert() -> None:
    scans = Scans()
    assert scans.scan(line("megalis/v", CVE)) == ["megalis/v"]
    assert scans.scan(line("megalis/v", CVE), line("recia/v", CVE, "GHSA-aaaa-bbbb-cccc")) == []
    three = line("megalis/v", CVE), line("recia/v", CVE.lower()), line("arnia/v", CVE)
    assert scans.scan(*three) == []
    assert Scans().scan(*three) == ["arnia/v"], "also when they come at once"
    assert scans.scan(line("recia/v", CVE)) == [], "where one is over, the others are no news"
    assert scans.scan(line("recia/v", CVE), line("arnia/v", CVE)) == ["arnia/v 2"], "opened again: told"


@pytest.mark.case("d01", "an alert stands for no other vulnerability and for no other deployment")
@pytest.mark.parametrize(
    ("second", "is_told"),
    [
        (line("recia/v", CVE, affected=["one"]), False),
        (line("recia/v", CVE, affected=[], unknown=["one"]), False),
        (line("recia/v", "CVE-2025-1"), True),
        (line("recia/v", CVE, "CVE-2025-20001"), True),
        (line("recia/v", CVE, affected=["two"]), True),
        (line("recia/v", CVE, affected=["one", "two"]), True),
        (line("recia/v", CVE, affected=["one"], unknown=["two"]), True),
        (line("recia/v", CVE, kind="security"), True),
        (line("recia/v", "CERTFR-2025-AVI-0200"), True),
        (line("recia/v"), True),
    ],
    ids=lambda value: value if isinstance(value, bool) else "/".join(value.incident.aliases) or "none",
)
def test_another_incident_shares_an_alert_only_where_that_says_all_of_it(
    second: OwnLine, is_told: bool
) -> None:
    scans = Scans()
    first = line("megalis/v", CVE, "CERTFR-2025-AVI-0200")
    assert scans.scan(first) == ["megalis/v"]
    assert scans.scan(first, second) == (["recia/v"] if is_told else [])


def test_what_was_a_question_and_is_certain_is_told() -> None:
    scans = Scans()
    asked = line("megalis/v", CVE, affected=[], unknown=["one"])
    assert scans.scan(asked) == ["megalis/v"]
    assert scans.scan(asked, line("recia/v", CVE, affected=["one"])) == ["recia/v"]


def test_an_incident_that_lists_many_vulnerabilities_silences_no_other_one() -> None:
    scans = Scans()
    many = line("megalis/v", *(f"CVE-2025-{n}" for n in range(24_790, 24_830)))
    assert scans.scan(many) == ["megalis/v"]
    assert scans.scan(many, line("recia/v", CVE)) == ["recia/v"]
    assert scans.scan(many, line("recia/v", CVE), line("arnia/v", CVE)) == []


def test_without_a_cve_number_other_identifiers_of_one_vulnerability_count() -> None:
    scans = Scans()
    first = line("megalis/v", CVE, "GHSA-aaaa-bbbb-cccc")
    assert scans.scan(first) == ["megalis/v"]
    assert scans.scan(first, line("recia/v", "GHSA-AAAA-bbbb-cccc")) == []
    assert scans.scan(first, line("arnia/v", "GHSA-dddd-bbbb-cccc")) == ["arnia/v"]


def test_two_incidents_together_affect_all_of_a_third_one() -> None:
    scans = Scans()
    both = line("megalis/v", CVE, affected=["one"]), line("recia/v", CVE, affected=["two"])
    assert scans.scan(*both) == ["megalis/v", "recia/v"]
    assert scans.scan(*both, line("arnia/v", CVE, affected=["one", "two"])) == []


def test_an_incident_that_comes_to_affect_more_has_its_own_alert() -> None:
    scans = Scans()
    first = line("megalis/v", CVE)
    assert scans.scan(first, line("recia/v", CVE)) == ["megalis/v"]
    assert scans.scan(first, line("recia/v", CVE, affected=["one", "two"])) == ["recia/v"]
    assert scans.scan(first, line("recia/v", CVE, affected=["one", "two"])) == []


def test_more_deployments_than_are_listed_are_not_taken_for_the_same() -> None:
    scans = Scans()
    first = line("megalis/v", CVE, affected=[f"d{n}" for n in range(101)])
    second = line("recia/v", CVE, affected=[*(f"d{n}" for n in range(100)), "other"])
    assert scans.scan(first, second) == ["megalis/v", "recia/v"]


@pytest.mark.case("d01", "that a vulnerability is exploited is told once more, for all incidents together")
def test_exploitation_is_told_once_more() -> None:
    scans = Scans()
    quiet = line("megalis/v", CVE), line("recia/v", CVE, exploitation="poc")
    assert scans.scan(*quiet) == ["megalis/v"]
    exploited = line("arnia/v", CVE, exploitation="active")
    assert scans.scan(*quiet, exploited) == ["megalis/v exploited"]
    assert scans.scan(*quiet, exploited) == []
    assert scans.scan(line("megalis/v", CVE, exploitation="active"), *quiet[1:], exploited) == []
    assert Scans().scan(exploited) == ["arnia/v"], "known from the beginning"


def test_three_that_were_withdrawn_and_are_open_again_have_one_alert() -> None:
    scans = Scans()
    three = line("megalis/v", CVE), line("recia/v", CVE), line("arnia/v", CVE)
    assert len(scans.scan(*three)) == 1
    scans.scan()
    assert scans.scan(*three[:1]) == ["megalis/v 2"]
    assert scans.scan(*three) == []


def test_a_reading_that_is_older_than_what_is_stored_changes_nothing() -> None:
    scans = Scans()
    outage = line("megalis/out", kind="outage")
    scans.scan(outage)
    scans.scan()
    assert scans.scan(outage, since=1) == [], "another process has found meanwhile that it is over"
    assert scans.scan(outage) == ["megalis/out 2"]


def test_an_alert_of_an_earlier_version_is_not_told_again() -> None:
    scans = Scans()
    scans.named = {"megalis/v"}
    scans.rows = {"megalis/v": AffectingIncident(incident="megalis/v", alert_name="megalis/v", began_at=NOW)}
    assert scans.scan(line("megalis/v", CVE, exploitation="active")) == []
    scans.scan()
    assert scans.scan(line("megalis/v", CVE)) == ["megalis/v 2"]


@pytest.mark.parametrize(
    ("members", "ends"),
    [
        ({"status": "investigating"}, False),
        ({"status": "monitoring"}, False),
        ({"status": "resolved"}, True),
        ({"status": "withdrawn"}, True),
        ({"kind": "vulnerability", "status": "fixed"}, True),
        ({"kind": "vulnerability", "status": "mitigated"}, False),
    ],
    ids=str,
)
def test_a_revision_that_says_that_it_is_over_ends_an_episode(members: dict[str, Any], ends: bool) -> None:
    record = a_record(an_incident(**members), Incident, origin="arnia", key="x")
    assert ends_episode(record) is ends


def test_the_last_opening_in_a_timeline_is_known() -> None:
    def opened(*lines: tuple[int, str]) -> datetime | None:
        updates = [
            {"at": f"2026-03-01T08:{minute:02}:00Z", "status": status, "text": {"en": status}}
            for minute, status in lines
        ]
        content = an_incident(**({"updates": updates} if lines else {}))
        return reopened_at(a_record(content, Incident, origin="arnia", key="x"), NOW)

    assert opened() is None
    assert opened((1, "investigating"), (2, "monitoring"), (3, "resolved")) is None
    first = [(1, "investigating"), (2, "resolved"), (3, "investigating")]
    assert opened(*first) == NOW.replace(minute=3)
    assert opened(*first, (4, "identified")) == NOW.replace(minute=3)
    assert opened(*first, (5, "resolved"), (6, "monitoring")) == NOW.replace(minute=6)
    assert opened(*first, (5, "resolved"), (31, "monitoring")) == NOW.replace(minute=3), "not to come"
    assert opened((2, "resolved"), (1, "investigating")) is None, "in the order of time"
    assert opened(*reversed(first)) == NOW.replace(minute=3)


@pytest.mark.case("d04", "a window that is over is overdue, and not open")
@pytest.mark.parametrize(
    ("status", "until", "overdue"),
    [
        ("scheduled", "2026-03-01T08:29:59Z", True),
        ("in_progress", "2026-03-01T08:29:59Z", True),
        ("scheduled", "2026-03-01T08:30:01Z", False),
        ("scheduled", None, False),
        ("verifying", "2026-03-01T08:29:59Z", False),
        ("completed", "2026-03-01T08:29:59Z", False),
    ],
)
def test_a_window_that_is_over_is_overdue(status: str, until: str | None, overdue: bool) -> None:
    window = {"scheduled_until": until} if until else {}
    content = an_incident(kind="maintenance", status=status, scheduled_for="2026-02-28T22:00:00Z", **window)
    assert msgspec.convert(content, Incident).is_overdue(NOW) is overdue
