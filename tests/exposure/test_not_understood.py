"""A record that is not understood counts as unknown: it never makes an answer "not affected"."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from federation.domain.alert import NewSubscription
from federation.domain.content.incident import Incident
from federation.domain.errors import NotFound
from federation.domain.record import Record
from federation.domain.values import as_instant
from federation.domain.visibility import anonymous, itself
from federation.node import alert_scan, alerts, exposure, exposure_query, exposure_statements, records
from federation.node.node import Node
from tests.domain.builders import NOW, a_deployment, a_solution
from tests.exposure.deployments import (
    CHALON,
    GLPI,
    RENNES,
    a_vulnerability,
    bodies,
    copy,
    copy_unread,
    cve,
    hits,
    running,
    told,
)
from tests.nodes import as_peer, publish

REPOSITORY = "https://github.com/glpi-project/glpi"
FIXED: dict[str, Any] = {"incident": "arnia/cve", "status": "fixed"}
LATER: dict[str, Any] = {"incident": "arnia/cve", "status": "compromised"}
"""A status of a later version."""


def at(hours: int) -> dict[str, str]:
    return {"updated_at": as_instant(NOW + timedelta(hours=hours))}


# Deployments


async def test_a_deployment_that_is_not_understood_is_unknown_whatever_its_version(arnia: Node) -> None:
    await cve(arnia)
    await copy(arnia, "deployment", "megalis/known", running("10.0.18", bodies(CHALON)))
    await copy_unread(
        arnia, "deployment", "megalis/later", running("10.0.18", bodies(RENNES), status="migrating")
    )
    found = (await hits(arnia))["megalis"]
    assert (found.affected.deployments, found.not_affected) == (0, 1)
    assert found.unknown.reasons == {"not-understood": 1}
    assert found.unknown.communes == 1, "its coverage can be read"
    (version,) = found.versions
    assert (version.solution, version.verdict, version.reason) == (GLPI, "unknown", "not-understood")
    assert version.because is not None
    assert version.because.settled_by is not None
    assert "upgrade" in version.because.settled_by["en"]


@pytest.mark.parametrize("content", [a_deployment(solution=["x/a", "x/b"]), "no object", {"solution": 1}])
async def test_a_deployment_whose_solution_cannot_be_read_may_be_of_any(arnia: Node, content: Any) -> None:
    await cve(arnia)
    await copy_unread(arnia, "deployment", "megalis/later", content)
    found = (await hits(arnia))["megalis"]
    assert found.unknown.reasons == {"not-understood": 1}
    assert [(version.solution, version.list) for version in found.versions] == [("", None)]


async def test_a_deployment_whose_solution_cannot_be_read_is_asked_about_by_every_open_incident(
    arnia: Node,
) -> None:
    await publish(arnia, "incident", "cve", a_vulnerability(), tlp="GREEN")
    await publish(arnia, "incident", "over", a_vulnerability(status="fixed"), tlp="GREEN")
    megalis = await as_peer(arnia, "megalis")
    assert (await exposure.of_own(arnia, by=megalis))[0].incidents == ()
    await copy_unread(arnia, "deployment", "megalis/later", running(status="migrating") | {"solution": 1})
    (line,) = (await exposure.of_own(arnia, by=megalis))[0].incidents
    assert line.incident.id == "arnia/cve"
    assert line.exposure.unknown.reasons == {"not-understood": 1}


async def test_a_deployment_of_another_solution_is_none_of_the_incident(arnia: Node) -> None:
    await cve(arnia)
    await copy_unread(
        arnia, "deployment", "megalis/later", a_deployment(solution="arnia/other", status="migrating")
    )
    assert "megalis" not in await hits(arnia)


async def test_a_deployment_that_is_understood_again_counts_as_before(arnia: Node) -> None:
    await cve(arnia)
    await copy(arnia, "deployment", "megalis/a", running("10.0.6"))
    await copy_unread(arnia, "deployment", "megalis/a", running("10.0.6", status="migrating"), revision=2)
    assert (await hits(arnia))["megalis"].unknown.reasons == {"not-understood": 1}
    assert (await hits(arnia))["megalis"].affected.deployments == 0
    await copy(arnia, "deployment", "megalis/a", running("10.0.6"), revision=3)
    found = (await hits(arnia))["megalis"]
    assert (found.affected.deployments, found.unknown.deployments) == (1, 0)


async def test_who_may_not_see_it_does_not_learn_that_it_is_there(arnia: Node) -> None:
    await publish(arnia, "incident", "cve", a_vulnerability(), tlp="CLEAR")
    await copy_unread(arnia, "deployment", "megalis/later", running(status="migrating"))
    assert await hits(arnia, by=anonymous("arnia")) == {}
    assert set(await hits(arnia, by=await as_peer(arnia, "recia"))) == {"megalis"}


# Statements


@pytest.mark.parametrize("key", ["same", "another"])
@pytest.mark.parametrize("content", [LATER, {**LATER, "incident": 7}, "no object"])
async def test_a_statement_that_is_not_understood_takes_back_what_an_older_one_cleared(
    arnia: Node, key: str, content: Any
) -> None:
    await cve(arnia)
    await copy(arnia, "deployment", "megalis/a", running("10.0.6"))
    await copy(arnia, "statement", "megalis/same", FIXED, tlp="GREEN")
    found = (await hits(arnia))["megalis"]
    assert (found.cleared.deployments, found.answer) == (1, "fixed")
    await copy_unread(arnia, "statement", f"megalis/{key}", content, revision=2, **at(1))
    found = (await hits(arnia))["megalis"]
    assert (found.cleared.deployments, found.affected.deployments, found.answer) == (0, 1, None)
    assert found.statements_not_understood == 1
    await copy(arnia, "statement", "megalis/new", FIXED, tlp="GREEN", updated_at=NOW + timedelta(hours=2))
    found = (await hits(arnia))["megalis"]
    assert (found.cleared.deployments, found.answer) == (1, "fixed"), "a newer one answers again"


async def test_a_version_that_is_left_out_is_unknown_after_a_statement_that_is_not_understood(
    arnia: Node,
) -> None:
    """It may be the operator's word that it is affected all the same."""
    await cve(arnia)
    await copy(arnia, "deployment", "megalis/a", running("10.0.18", bodies(RENNES)))
    await copy(arnia, "deployment", "megalis/planned", running("10.0.6", status="planned"))
    assert "megalis" not in await hits(arnia)
    await copy_unread(arnia, "statement", "megalis/s", LATER)
    found = (await hits(arnia))["megalis"]
    assert (found.unknown.reasons, found.not_affected) == ({"not-understood": 1}, 1)
    assert found.unknown.communes == 1


async def test_it_takes_nothing_from_the_operator_s_word_that_it_is_affected_nor_from_others(
    arnia: Node,
) -> None:
    await cve(arnia)
    for operator in ("megalis", "recia"):
        await copy(arnia, "deployment", f"{operator}/a", running("10.0.18"))
        await copy(arnia, "statement", f"{operator}/s", {**FIXED, "status": "known_affected"}, tlp="GREEN")
    await copy(arnia, "deployment", "siveer/a", running("10.0.6"))
    await copy(arnia, "statement", "siveer/s", FIXED, tlp="GREEN")
    await copy_unread(arnia, "statement", "megalis/later", LATER, **at(1))
    found = await hits(arnia)
    assert found["megalis"].affected.reasons == found["recia"].affected.reasons == {"stated": 1}
    assert found["siveer"].cleared.deployments == 1


async def test_a_statement_on_another_incident_changes_nothing(arnia: Node) -> None:
    await cve(arnia)
    await copy(arnia, "deployment", "megalis/a", running("10.0.6"))
    await copy(arnia, "statement", "megalis/s", FIXED, tlp="GREEN")
    await copy_unread(arnia, "statement", "megalis/later", {**LATER, "incident": "arnia/other"}, **at(1))
    assert (await hits(arnia))["megalis"].cleared.deployments == 1


@pytest.mark.parametrize(
    ("incident", "on_it", "cleared"),
    [
        ({}, {"status": "known_affected"}, False),
        ({}, {"status": "compromised"}, False),
        ({"aliases": "later"}, {"status": "known_affected"}, False),
        (None, {"status": "known_affected"}, False),
        ({}, {"status": "fixed"}, True),
        ({"aliases": ["CVE-2026-1"]}, {"status": "known_affected"}, True),
        ({"aliases": ["CVE-2026-1"]}, {"status": "compromised"}, True),
    ],
)
async def test_a_statement_on_an_incident_that_is_not_understood_takes_back_what_an_older_one_cleared(
    arnia: Node, incident: dict[str, Any] | None, on_it: dict[str, Any], cleared: bool
) -> None:
    """Both incidents are, or may be, of one vulnerability."""
    await cve(arnia)
    await copy(arnia, "deployment", "megalis/a", running("10.0.6"))
    await copy(arnia, "statement", "megalis/s", FIXED, tlp="GREEN")
    later = a_vulnerability(severity="worst", **incident) if incident is not None else "no object"
    await copy_unread(arnia, "incident", "recia/later", later)
    content = {"incident": "recia/later", **on_it}
    if on_it["status"] == "compromised":
        await copy_unread(arnia, "statement", "megalis/later", content, **at(1))
    else:
        await copy(
            arnia,
            "statement",
            "megalis/later",
            content,
            tlp="GREEN",
            updated_at=NOW + timedelta(hours=1),
        )
    found = (await hits(arnia))["megalis"]
    assert (found.cleared.deployments, found.affected.deployments) == ((1, 0) if cleared else (0, 1))
    own, _ = await exposure.of_own(arnia, by=await as_peer(arnia, "megalis"))
    assert ("arnia/cve" in {line.incident.id for line in own.incidents}) is not cleared


async def test_of_very_many_statements_that_are_not_understood_none_is_forgotten(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One operator's flood does not hide that another one has taken something back."""
    monkeypatch.setattr(exposure_statements, "MAX_STATEMENTS", 3)
    await cve(arnia)
    await copy(arnia, "deployment", "megalis/a", running("10.0.6"))
    await copy(arnia, "statement", "megalis/s", FIXED, tlp="GREEN")
    await copy_unread(arnia, "statement", "megalis/later", LATER, **at(1))
    for n in range(4):
        await copy_unread(arnia, "statement", f"recia/{n}", {**LATER, "incident": "arnia/other"}, **at(2))
    found = (await hits(arnia))["megalis"]
    assert (found.cleared.deployments, found.affected.deployments) == (0, 1)


# Solutions


async def test_a_solution_whose_identifiers_can_be_read_is_linked_as_ever(arnia: Node) -> None:
    await publish(arnia, "solution", "glpi", a_solution(repository=REPOSITORY))
    await cve(arnia)
    await copy_unread(arnia, "solution", "megalis/glpi", a_solution(repository=REPOSITORY, kind="appliance"))
    await copy(arnia, "deployment", "megalis/a", {**running("10.0.6"), "solution": "megalis/glpi"})
    await copy_unread(
        arnia, "solution", "recia/x", a_solution(repository=f"{REPOSITORY}-x", kind="appliance")
    )
    await copy(arnia, "deployment", "recia/a", {**running("10.0.6"), "solution": "recia/x"})
    found = await hits(arnia)
    assert found["megalis"].affected.reasons == {"in-range": 1}
    assert "recia" not in found, "all that it names can be read, and is another software"


@pytest.mark.parametrize(
    "content", [a_solution(repository={"git": REPOSITORY}), a_solution(packages="later"), "no object"]
)
async def test_a_solution_whose_identifiers_cannot_be_read_may_be_the_same_software(
    arnia: Node, content: Any
) -> None:
    await publish(arnia, "solution", "glpi", a_solution(repository=REPOSITORY))
    await cve(arnia)
    await copy(arnia, "solution", "megalis/glpi", a_solution(repository=REPOSITORY))
    await copy(arnia, "deployment", "megalis/a", {**running("10.0.6"), "solution": "megalis/glpi"})
    assert (await hits(arnia))["megalis"].affected.deployments == 1
    await copy_unread(arnia, "solution", "megalis/glpi", content, revision=2)
    found = (await hits(arnia))["megalis"]
    assert (found.affected.deployments, found.unknown.reasons) == (0, {"not-understood": 1})
    of_solution = await exposure.of_solution(arnia, "arnia", "glpi", by=itself("arnia"))
    assert of_solution.unknown.deployments == 1


async def test_an_incident_of_a_solution_that_cannot_be_read_says_that_more_may_be_linked(
    arnia: Node,
) -> None:
    await cve(arnia, affects=[{"solution": "megalis/glpi", "range": "vers:generic/*"}])
    assert not (await told(arnia)).more_linked_solutions
    await copy_unread(arnia, "solution", "megalis/glpi", "no object")
    assert (await told(arnia)).more_linked_solutions


# Incidents


async def test_an_incident_that_is_not_understood_is_unknown_for_each_it_may_affect(arnia: Node) -> None:
    await copy(arnia, "deployment", "megalis/a", running("10.0.6"))
    await copy_unread(arnia, "incident", "recia/later", a_vulnerability(severity="catastrophic"))
    answer = await told(arnia, "later", origin="recia")
    assert (answer.open, answer.incident.not_understood, answer.incident.severity) == (
        True, True, "catastrophic",
    )  # fmt: skip
    assert answer.summary["en"].startswith("this node does not understand the incident")
    found = {entry.operator: entry.unknown.reasons for entry in answer.operators}
    assert found == {"megalis": {"not-understood": 1}, "arnia": {}}


@pytest.mark.parametrize(
    ("content", "is_listed"),
    [
        (a_vulnerability(severity="catastrophic"), True),
        (a_vulnerability(status="simmering"), True),
        (a_vulnerability(affects=[{"product": "x"}]), True),
        (a_vulnerability(affects={"solutions": [GLPI]}), True),
        ("no object", True),
        (a_vulnerability(affects=[{"solution": f"x/{n}"} for n in range(101)]), True),
        (a_vulnerability(severity="catastrophic", affects=[{"solution": "x/y"}]), False),
        (a_vulnerability(severity="catastrophic", affects=[{"deployments": ["arnia/one"]}]), True),
        (a_vulnerability(severity="catastrophic", affects=[{"deployments": ["x/one"]}]), False),
        (a_vulnerability(severity="catastrophic", status="fixed"), False),
    ],
)
async def test_an_incident_that_is_not_understood_may_affect_the_operator_itself(
    arnia: Node, content: Any, is_listed: bool
) -> None:
    await publish(arnia, "deployment", "one", running("10.0.18"))
    await copy_unread(arnia, "incident", "recia/later", content)
    own, _ = await exposure.of_own(arnia, by=itself("arnia"))
    assert own.incidents_not_understood == 1
    assert [line.incident.id for line in own.incidents] == (["recia/later"] if is_listed else [])
    for line in own.incidents:
        assert line.exposure.affected.deployments + line.exposure.unknown.deployments == 1
    of_solution = await exposure.of_solution(arnia, "arnia", "glpi", by=itself("arnia"))
    assert of_solution.incidents_not_understood == 1


async def test_of_many_incidents_that_are_not_understood_the_number_is_given(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposure_query, "MAX_PARTIAL_INCIDENTS", 2)
    await publish(arnia, "deployment", "one", running("10.0.18"))
    for n in range(3):
        await copy_unread(arnia, "incident", f"recia/{n}", a_vulnerability(severity="worst"), **at(n))
    own, _ = await exposure.of_own(arnia, by=itself("arnia"))
    assert [line.incident.id for line in own.incidents] == ["recia/2", "recia/1"]
    assert (own.incidents_not_understood, own.more_not_understood) == (3, True)
    assert (await exposure.of_solution(arnia, "arnia", "glpi", by=itself("arnia"))).more
    monkeypatch.setattr(exposure_query, "MAX_PARTIAL_INCIDENTS", 3)
    own, _ = await exposure.of_own(arnia, by=itself("arnia"))
    assert (own.incidents_not_understood, own.more_not_understood) == (3, False)


async def test_the_incidents_of_one_operator_that_are_not_understood_hide_none_of_another(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by their number nor by their length."""
    monkeypatch.setattr(exposure_query, "MAX_PARTIAL_INCIDENTS", 3)
    monkeypatch.setattr("federation.store.not_understood.MAX_BYTES", 20_000)
    await publish(arnia, "deployment", "one", running("10.0.18"))
    await copy_unread(arnia, "incident", "recia/later", a_vulnerability(severity="worst"), **at(0))
    for n in range(1, 5):
        flood = a_vulnerability(severity="worst", later="x" * 19_000)
        await copy_unread(arnia, "incident", f"megalis/{n}", flood, **at(n))
    own, _ = await exposure.of_own(arnia, by=itself("arnia"))
    assert "recia/later" in {line.incident.id for line in own.incidents}
    assert own.incidents_not_understood == 5


async def test_an_incident_that_is_not_understood_is_not_over(arnia: Node) -> None:
    """Its older revision affected the operator: that lasts until it is known to be over."""
    await publish(arnia, "deployment", "one", running("10.0.6"))
    await copy(arnia, "incident", "recia/cve", a_vulnerability(), tlp="GREEN")
    async with arnia.store.write() as tx:
        await tx.feeds._session.connection.execute(
            "INSERT INTO affecting_incidents (incident, alert_name, began_at) VALUES ($1, $1, $2)",
            "recia/cve",
            NOW,
        )
    later = await copy_unread(arnia, "incident", "recia/cve", a_vulnerability(severity="worst"), revision=2)
    assert await _lasting_after(arnia, later) == {"recia/cve"}
    over = await copy(
        arnia, "incident", "recia/cve", a_vulnerability(status="fixed"), tlp="GREEN", revision=3
    )
    assert await _lasting_after(arnia, over) == set()


@pytest.mark.parametrize(("read", "lasting"), [(1, {"recia/0", "recia/1"}), (2, {"recia/1"})])
async def test_of_those_that_were_not_read_no_episode_ends(
    arnia: Node, monkeypatch: pytest.MonkeyPatch, read: int, lasting: set[str]
) -> None:
    wanted = NewSubscription(events=("incident.affects-mine",), webhook="https://itsm.example.org/hook")
    await alerts.subscribe(arnia, wanted, by=itself("arnia"))
    await publish(arnia, "deployment", "one", running("10.0.6"))
    for n in range(2):
        later = a_vulnerability(severity="worst", aliases=[f"CVE-2026-{n}"])
        await copy_unread(arnia, "incident", f"recia/{n}", later, **at(n))
    await alert_scan.add_alerts(arnia)
    monkeypatch.setattr(exposure_query, "MAX_PARTIAL_INCIDENTS", read)
    over = a_vulnerability(severity="worst", affects=[{"solution": "x/y"}])
    await copy_unread(arnia, "incident", "recia/0", over, revision=2, **at(0))
    await alert_scan.add_alerts(arnia)
    async with arnia.store.read() as tx:
        assert set(await tx.affecting_incidents.lasting()) == lasting


async def _lasting_after(node: Node, record: Record) -> set[str]:
    async with node.store.write() as tx:
        await tx.affecting_incidents.note_revisions([record], node.clock())
        return set(await tx.affecting_incidents.lasting())


async def test_a_name_that_an_incident_may_have_is_not_answered_as_absent(arnia: Node) -> None:
    with pytest.raises(NotFound) as absent:
        await exposure.find(arnia, "CVE-2025-24799", by=itself("arnia"))
    assert "understand" not in absent.value.detail
    await copy_unread(arnia, "incident", "recia/later", a_vulnerability(severity="worst"))
    with pytest.raises(NotFound) as unknown:
        await exposure.find(arnia, "CVE-2025-24799", by=itself("arnia"))
    assert unknown.value.detail.endswith("that this version does not understand, and may be it: 1")
    stored = await records.find(arnia, Incident, "recia", "later", by=itself("arnia"))
    assert b"CVE-2025-24799" in stored.document
