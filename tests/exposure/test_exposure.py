"""Who is hit, who has answered, and whom that leaves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from federation.domain.content.deployment import Deployment
from federation.domain.content.incident import Incident
from federation.domain.errors import NotFound, Retracted
from federation.domain.exposure.answers import CopyAge, IncidentExposure
from federation.domain.territories.bodies import bodies as register
from federation.domain.visibility import anonymous, itself
from federation.node import exposure, exposure_index, exposure_statements, records
from federation.node import peers as node_peers
from federation.node.node import Node
from tests.domain.builders import a_statement, an_incident
from tests.exposure.deployments import (
    CHALON,
    DIJON,
    GLPI,
    MACON,
    RANGE,
    RENNES,
    a_vulnerability,
    bodies,
    copy,
    cve,
    hits,
    running,
    told,
)
from tests.nodes import as_peer, introduce, publish

PEOPLE = {body.siren: body.population for body in register()}
JUSTIFIED: dict[str, Any] = {"status": "known_not_affected", "justification": "vulnerable_code_not_present"}


async def test_each_operator_is_told_with_its_deployments_bodies_and_inhabitants(arnia: Node) -> None:
    await cve(arnia)
    await publish(arnia, "deployment", "one", running("10.0.17", bodies(CHALON, MACON)))
    await publish(arnia, "deployment", "two", running("10.0.18", bodies(DIJON)))
    await copy(arnia, "deployment", "megalis/a", running("10.0.6", bodies(RENNES)))
    await copy(arnia, "deployment", "megalis/b", running(None, bodies(DIJON)))
    found = await hits(arnia)
    assert set(found) == {"arnia", "megalis"}
    own, other = found["arnia"], found["megalis"]
    assert (own.affected.deployments, own.unknown.deployments, own.not_affected) == (1, 0, 1)
    assert (own.affected.communes, own.affected.inhabitants) == (2, PEOPLE[CHALON] + PEOPLE[MACON])
    assert own.affected.reasons == {"in-range": 1}
    assert (other.affected.communes, other.affected.inhabitants) == (1, PEOPLE[RENNES])
    assert (other.unknown.deployments, other.unknown.reasons) == (1, {"no-version": 1})
    assert other.unknown.inhabitants == PEOPLE[DIJON]
    whole = (await told(arnia)).total
    assert (whole.operators, whole.answered) == (2, 0)
    assert (whole.affected.communes, whole.affected.deployments) == (3, 2)


async def test_a_body_that_two_deployments_or_two_operators_serve_counts_once(arnia: Node) -> None:
    await cve(arnia)
    await publish(arnia, "deployment", "one", running("10.0.17", bodies(CHALON, MACON)))
    await publish(arnia, "deployment", "two", running("10.0.16", bodies(MACON)))
    await copy(arnia, "deployment", "megalis/a", running("10.0.6", bodies(MACON, RENNES)))
    await copy(
        arnia, "deployment", "megalis/b", running("10.0.6", {"kind": "territory", "territory": ["71"]})
    )
    found = await hits(arnia)
    assert (found["arnia"].affected.deployments, found["arnia"].affected.communes) == (2, 2)
    whole = (await told(arnia)).total.affected
    assert (whole.deployments, whole.communes) == (4, 563 + 1)
    assert whole.inhabitants == PEOPLE[RENNES] + sum(
        body.population for body in register() if body.departement == "71" and body.kind == "commune"
    )


async def test_bodies_that_are_not_known_are_told_apart(arnia: Node) -> None:
    await cve(arnia)
    other = {"identifiers": [{"scheme": "0002", "value": "130025265"}]}
    await publish(arnia, "deployment", "one", running(coverage={"kind": "count", "count": 40}))
    await publish(arnia, "deployment", "two", running(coverage={"kind": "list", "beneficiaries": [other]}))
    await copy(arnia, "deployment", "megalis/a", running(coverage={"kind": "list", "beneficiaries": [other]}))
    await copy(
        arnia, "deployment", "megalis/b", running(coverage={"kind": "territory", "territory": ["BE-VLG"]})
    )
    whole = (await told(arnia)).total.affected
    assert (whole.communes, whole.others, whole.counted, whole.areas) == (0, 1, 40, 1)
    assert (whole.bodies, whole.inhabitants) == (1, 0)


async def test_an_answer_clears_what_is_fixed_or_not_affected(arnia: Node) -> None:
    await cve(arnia)
    for key, version in (("one", "10.0.17"), ("two", None)):
        await publish(arnia, "deployment", key, running(version))
    await copy(arnia, "deployment", "megalis/a", running("10.0.6", bodies(RENNES)))
    await copy(arnia, "statement", "megalis/s", a_statement(incident="arnia/cve", status="fixed"))
    await publish(
        arnia, "statement", "s", a_statement(incident="arnia/cve", **JUSTIFIED, deployments=["arnia/two"])
    )
    found = await hits(arnia)
    assert found["megalis"].answer == "fixed"
    assert (found["megalis"].affected.deployments, found["megalis"].cleared.communes) == (0, 1)
    assert found["megalis"].unconfirmed == 1, "its record still says 10.0.6"
    own = found["arnia"]
    assert (own.affected.deployments, own.unknown.deployments, own.cleared.deployments) == (1, 0, 1)
    answer = await told(arnia)
    assert (answer.total.operators, answer.total.answered) == (2, 2)
    assert answer.total.answers == {"fixed": 1, "known_not_affected": 1}
    assert answer.summary["en"].startswith("2 of 2 operators answered; 1 commune,")
    await publish(arnia, "statement", "s2", a_statement(incident="arnia/cve"))
    assert (await hits(arnia))["arnia"].affected.reasons == {"in-range": 1, "stated": 1}


async def test_the_latest_of_several_statements_holds_for_what_it_speaks_of(arnia: Node) -> None:
    await cve(arnia)
    moment = [datetime(2026, 3, 1, tzinfo=UTC)]
    arnia.clock = lambda: moment[0]
    for key in ("one", "two"):
        await publish(arnia, "deployment", key, running())
    said_in_turn: list[dict[str, Any]] = [
        {"status": "fixed"},
        {"status": "known_affected", "deployments": ["arnia/one"]},
        {"status": "under_investigation", "deployments": ["arnia/two"]},
    ]
    for number, said in enumerate(said_in_turn):
        moment[0] += timedelta(hours=1)
        await publish(arnia, "statement", f"s{number}", a_statement(incident="arnia/cve", **said))
    own = (await hits(arnia))["arnia"]
    assert (own.affected.deployments, own.cleared.deployments, own.answer) == (2, 0, "under_investigation")
    assert [one.status for one in own.statements] == ["under_investigation", "known_affected", "fixed"]
    moment[0] += timedelta(hours=1)
    await publish(
        arnia, "statement", "s0", a_statement(incident="arnia/cve", status="fixed", deployments=["arnia/one"])
    )
    own = (await hits(arnia))["arnia"]
    assert (own.affected.deployments, own.cleared.deployments) == (1, 1)


async def test_an_operator_of_whom_all_is_unknown_is_concerned(arnia: Node) -> None:
    await cve(arnia)
    await copy(arnia, "deployment", "megalis/a", running(None))
    answer = await told(arnia)
    assert (answer.total.operators, answer.total.unknown.deployments) == (1, 1)
    assert answer.summary["en"].endswith("0 fixed; 1 deployment unknown")
    assert answer.summary["fr"].startswith("0 opérateur sur 1 a répondu ; 0 commune, 0 habitant exposé ;")
    assert answer.summary["fr"].endswith("0 corrigé ; 1 déploiement à vérifier")


async def test_what_is_said_to_be_affected_is_so_but_for_what_is_not_in_use(arnia: Node) -> None:
    about = [{"solution": GLPI, "range": "vers:generic/<9", "deployments": ["arnia/named"]}]
    await cve(arnia, affects=about)
    for key, status in (("named", "production"), ("other", "production"), ("planned", "planned")):
        await publish(arnia, "deployment", key, running("10.0.17", status=status))
    assert (await hits(arnia))["arnia"].affected.reasons == {"named": 1}
    await publish(arnia, "statement", "s", a_statement(incident="arnia/cve", status="known_affected"))
    own = (await hits(arnia))["arnia"]
    assert own.affected.reasons == {"named": 1, "stated": 1}
    assert own.not_affected == 1


@pytest.mark.parametrize(
    ("said", "version", "unconfirmed"),
    [
        ({"status": "fixed"}, "10.0.17", 1),
        ({"status": "fixed"}, None, 0),
        (JUSTIFIED, "10.0.17", 0),
        (JUSTIFIED, None, 0),
    ],
)
async def test_what_is_said_to_be_fixed_and_still_named_as_hit_is_told(
    arnia: Node, said: dict[str, Any], version: str | None, unconfirmed: int
) -> None:
    await cve(arnia)
    await publish(arnia, "deployment", "one", running(version))
    await publish(arnia, "deployment", "two", running("10.0.18"))
    await publish(arnia, "statement", "s", a_statement(incident="arnia/cve", **said))
    own = (await hits(arnia))["arnia"]
    assert (own.cleared.deployments, own.unconfirmed, own.not_affected) == (1, unconfirmed, 1)


async def test_the_versions_that_are_hit_are_told_the_most_frequent_first_and_where_they_are_listed(
    arnia: Node,
) -> None:
    await cve(arnia, affects=[{"solution": GLPI, "range": RANGE, "deployments": ["arnia/d0"]}])
    for number, version in enumerate(("10.0.1", "10.0.2", "10.0.2", "10.0.1", "10.0.3", None, "10.0.18")):
        await publish(arnia, "deployment", f"d{number}", running(version))
    own = (await hits(arnia))["arnia"]
    link = "http://arnia.test/v1/deployments?origin=arnia&solution=arnia%2Fglpi"
    assert [(one.version, one.verdict, one.deployments, one.list) for one in own.versions] == [
        ("10.0.2", "affected", 2, f"{link}&version=10.0.2"),
        (None, "unknown", 1, link),
        ("10.0.1", "affected", 1, f"{link}&version=10.0.1"),
        ("10.0.3", "affected", 1, f"{link}&version=10.0.3"),
    ]
    assert msgspec.to_builtins(own.versions[1]).keys() == {
        "solution", "verdict", "reason", "deployments", "list", "because",
    }  # fmt: skip


async def test_nobody_answers_for_another_operator(arnia: Node) -> None:
    await cve(arnia)
    await publish(arnia, "deployment", "one", running())
    await copy(
        arnia, "statement", "megalis/s",
        a_statement(incident="arnia/cve", status="fixed", deployments=["arnia/one"]),
    )  # fmt: skip
    found = await hits(arnia)
    assert (found["arnia"].affected.deployments, found["arnia"].answer) == (1, None)
    assert found["megalis"].cleared.deployments == 0


async def test_a_flood_of_statements_of_one_operator_hides_nobody_elses_answer(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cve(arnia)
    for operator in ("megalis", "recia"):
        await copy(arnia, "deployment", f"{operator}/one", running())
        await copy(
            arnia, "statement", f"{operator}/said", a_statement(incident="arnia/cve", status="fixed"),
            updated_at=datetime(2026, 1, 1, tzinfo=UTC), created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )  # fmt: skip
    for number in range(9):
        await copy(arnia, "statement", f"maximilien/s{number}", a_statement(incident="arnia/cve"))
    monkeypatch.setattr(exposure_statements, "MAX_PAGE", 2)
    monkeypatch.setattr(exposure_statements, "MAX_STATEMENTS", 4)
    found = await hits(arnia)
    assert (found["megalis"].answer, found["recia"].answer) == ("fixed", "fixed")
    # Without being asked for by name they would not be among the newest.
    monkeypatch.setattr(exposure_statements, "MAX_ROUNDS", 1)
    found = await hits(arnia)
    assert (found["megalis"].answer, found["recia"].answer) == (None, None)


async def test_an_answer_to_the_same_advisory_as_another_operator_published_it_counts(arnia: Node) -> None:
    await cve(arnia)
    await copy(arnia, "incident", "megalis/glpi-2025", a_vulnerability())
    await copy(arnia, "deployment", "megalis/a", running("10.0.6"))
    await copy(arnia, "statement", "megalis/s", a_statement(incident="megalis/glpi-2025", status="fixed"))
    assert (await hits(arnia))["megalis"].answer == "fixed"
    await cve(arnia, aliases=["CVE-2099-1"])
    assert (await hits(arnia))["megalis"].answer is None


@pytest.mark.case("a09", "An answer to one CVE does not clear an incident that is also about another one")
async def test_an_answer_to_one_cve_does_not_clear_an_incident_of_two(arnia: Node) -> None:
    first, second = "CVE-2099-7501", "CVE-2099-7502"
    await cve(arnia, aliases=["DSA-7575-1", first, second])
    await copy(arnia, "deployment", "megalis/a", running("10.0.6"))
    for number, alias in enumerate((first, second), 1):
        await copy(arnia, "incident", f"megalis/{alias}", a_vulnerability(aliases=[alias]))
        answer = a_statement(incident=f"megalis/{alias}", **JUSTIFIED)
        await copy(arnia, "statement", f"megalis/s{number}", answer)
        found = (await hits(arnia))["megalis"]
        cleared = number == 2
        assert (found.affected.deployments, found.cleared.deployments) == (not cleared, cleared)
        assert found.answer == ("known_not_affected" if cleared else None)
        assert len(found.statements) == number


async def test_deployments_that_an_incident_names_are_hit_whatever_their_version(arnia: Node) -> None:
    named = ["arnia/one", "megalis/a", "megalis/gone", "recia/planned"]
    await publish(
        arnia, "incident", "out",
        an_incident(affects=[{"solution": GLPI, "deployments": named}]),
    )  # fmt: skip
    await publish(arnia, "deployment", "one", running("10.0.18", bodies(CHALON)))
    await publish(arnia, "deployment", "two", running("10.0.18", bodies(MACON)))
    await copy(arnia, "deployment", "megalis/a", running(None, bodies(CHALON)))
    await copy(arnia, "deployment", "recia/planned", running(status="planned"))
    answer = await told(arnia, "out")
    assert answer.total.affected.reasons == {"named": 2}
    assert answer.total.affected.communes == 1, "the second of arnia's is not down"
    assert answer.not_here == ("megalis/gone",), "a reference may dangle, and that is told"
    found = await hits(arnia, "out")
    assert [one.id for one in found["arnia"].deployments] == ["arnia/one"]
    assert found["recia"].not_affected == 1 if "recia" in found else True


async def test_what_is_named_and_in_a_group_as_well_is_counted_once(arnia: Node) -> None:
    await publish(
        arnia, "incident", "cve",
        a_vulnerability(affects=[{"solution": GLPI, "range": "vers:all/*", "deployments": ["arnia/one"]}]),
    )  # fmt: skip
    await publish(arnia, "deployment", "one", running("10.0.17", bodies(CHALON, MACON)))
    await publish(arnia, "deployment", "two", running("10.0.17", bodies(MACON)))
    own = (await hits(arnia))["arnia"]
    assert own.affected.reasons == {"named": 1, "every-version": 1}
    assert own.affected.communes == 2
    assert sorted(one.id for one in own.deployments) == ["arnia/one", "arnia/two"]
    await publish(
        arnia, "statement", "s", a_statement(incident="arnia/cve", status="fixed", deployments=["arnia/one"])
    )
    own = (await hits(arnia))["arnia"]
    assert (own.affected.communes, own.cleared.communes) == (1, 2)


async def test_a_statement_speaks_of_what_it_names_also_when_that_is_not_here(arnia: Node) -> None:
    await cve(arnia)
    await publish(arnia, "deployment", "one", running())
    fixed = {"incident": "arnia/cve", "status": "fixed"}
    await publish(arnia, "statement", "dangling", a_statement(**fixed, deployments=["arnia/gone"]))
    await publish(arnia, "statement", "elsewhere", a_statement(**{**fixed, "incident": "megalis/gone"}))
    own = (await hits(arnia))["arnia"]
    assert (own.affected.deployments, own.cleared.deployments, own.answer) == (1, 0, "fixed")
    assert [one.id for one in own.statements] == ["arnia/dangling"]


async def test_a_withdrawn_incident_leaves_what_was_answered_and_nothing_to_look_for(arnia: Node) -> None:
    named = [{"solution": GLPI, "range": "vers:all/*", "deployments": ["arnia/one", "megalis/gone"]}]
    await cve(arnia, affects=named)
    await publish(arnia, "deployment", "one", running())
    await publish(arnia, "statement", "s", a_statement(incident="arnia/cve", status="known_affected"))
    assert (await told(arnia)).not_here == ("megalis/gone",)
    await cve(arnia, affects=named, status="withdrawn")
    answer = await told(arnia)
    assert answer.not_here == ()
    assert (answer.total.answered, answer.total.affected.deployments, answer.total.cleared.deployments) == (
        1,
        0,
        0,
    )
    assert (await hits(arnia))["arnia"].deployments == ()
    assert (await exposure.bodies_of_incident(arnia, "arnia", "cve", by=itself("arnia")))[0] == ()
    assert (await exposure.of_own(arnia, by=itself("arnia")))[0].incidents == ()


async def test_a_withdrawn_incident_hits_nobody(arnia: Node) -> None:
    await cve(arnia)
    await publish(arnia, "deployment", "one", running())
    assert (await told(arnia)).total.affected.deployments == 1
    await cve(arnia, status="withdrawn")
    answer = await told(arnia)
    assert not answer.open
    assert (answer.total.affected.deployments, answer.total.operators) == (0, 0)


async def test_an_incident_that_is_over_is_told_and_not_listed_as_open(arnia: Node) -> None:
    await cve(arnia, status="fixed")
    await publish(arnia, "deployment", "one", running())
    answer = await told(arnia)
    assert not answer.open
    assert answer.total.affected.deployments == 1
    assert (await exposure.of_solution(arnia, "arnia", "glpi", by=itself("arnia"))).incidents == ()
    assert (await exposure.of_own(arnia, by=itself("arnia")))[0].incidents == ()


async def test_hidden_absent_and_retracted_incidents_are_refused(arnia: Node) -> None:
    with pytest.raises(NotFound):
        await told(arnia, "none")
    await cve(arnia)
    await records.retract(arnia, Incident, "arnia", "cve", by=itself("arnia"))
    with pytest.raises(Retracted):
        await told(arnia)
    with pytest.raises(NotFound):
        await exposure.of_solution(arnia, "arnia", "nothing", by=itself("arnia"))


async def test_planned_and_retired_deployments_are_not_hit(arnia: Node) -> None:
    await cve(arnia)
    for status in ("planned", "pilot", "production", "suspended", "retired"):
        await publish(arnia, "deployment", status, running(status=status))
    own = (await hits(arnia))["arnia"]
    assert (own.affected.deployments, own.not_affected) == (3, 2)


async def test_what_changes_is_told_at_once(arnia: Node) -> None:
    """Revised, moved to another audience, retracted, withdrawn by a peer: nothing stale is told."""
    await cve(arnia)
    await publish(arnia, "group", "close", {"name": "Close", "members": ["megalis"]})
    await publish(arnia, "deployment", "one", running("10.0.17", bodies(CHALON)))
    assert (await hits(arnia))["arnia"].affected.communes == 1
    await publish(arnia, "deployment", "one", running("10.0.17", bodies(CHALON, MACON)))
    assert (await hits(arnia))["arnia"].affected.communes == 2
    await publish(
        arnia, "deployment", "one", running("10.0.17", bodies(MACON)), tlp="AMBER", audience="close"
    )
    assert (await hits(arnia))["arnia"].affected.communes == 1
    await publish(arnia, "deployment", "one", running("10.0.18"), tlp="AMBER", audience="close")
    assert (await hits(arnia))["arnia"].affected.deployments == 0
    await publish(arnia, "deployment", "one", running("10.0.17"))
    await records.retract(arnia, Deployment, "arnia", "one", by=itself("arnia"))
    assert (await told(arnia)).total.operators == 0
    await copy(arnia, "deployment", "megalis/a", running("10.0.6"))
    assert (await hits(arnia))["megalis"].affected.deployments == 1
    async with arnia.store.write() as tx:
        place = next(p for p in await tx.feeds.all() if p.origin == "megalis")
        await tx.pulled_records.purge(place.id, [("deployment", "a", 2, 2)])
    assert "megalis" not in await hits(arnia)
    await copy(arnia, "deployment", "megalis/a", running("10.0.6"), revision=3)
    assert (await hits(arnia))["megalis"].affected.deployments == 1
    async with arnia.store.write() as tx:
        place = next(p for p in await tx.feeds.all() if p.origin == "megalis")
        await tx.copies.purge(place)
    assert "megalis" not in await hits(arnia)


async def test_groups_brought_in_bit_by_bit_are_those_brought_in_at_once(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cve(arnia)
    chance = __import__("random").Random(4)
    sirens = [body.siren for body in register()[:300] if body.siren]
    for number in range(60):
        key = f"d{chance.randint(0, 20)}"
        coverage: dict[str, Any] = chance.choice(
            (
                bodies(*chance.sample(sirens, 3)),
                {"kind": "territory", "territory": [chance.choice(("71", "FR-BRE", "XX"))]},
                {"kind": "count", "count": number + 1},
                {
                    "kind": "list",
                    "beneficiaries": [{"identifiers": [{"scheme": "0088", "value": str(number % 4)}]}],
                },
            )
        )
        if chance.random() < 0.2 and await _is_there(arnia, key):
            await records.retract(arnia, Deployment, "arnia", key, by=itself("arnia"))
        else:
            version = chance.choice(("10.0.1", "10.0.17", "10.0.18", None))
            await publish(arnia, "deployment", key, running(version, coverage))
        if number % 7 == 0:
            await exposure_index.refresh(arnia)
    step_by_step = _without_time(await told(arnia))
    async with arnia.store.write() as tx:
        await tx.exposure._session.connection.execute("UPDATE exposure SET arrival = 0, register = 'another'")
    monkeypatch.setattr("federation.store.exposure_index.WINDOW", 9)
    monkeypatch.setattr("federation.store.exposure_index.WINDOW_BYTES", 2_000)
    assert _without_time(await told(arnia)) == step_by_step
    async with arnia.store.read() as tx:
        groups = await tx.exposure.of_solutions([GLPI], visible_to=itself("arnia"))
    assert all(group.deployments > 0 for group in groups)


async def test_groups_are_begun_anew_when_a_withdrawal_may_have_been_missed(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This node was away for longer than withdrawals are kept: nothing tells that something left."""
    await cve(arnia)
    await copy(arnia, "deployment", "megalis/left", running("10.0.6"))
    await copy(arnia, "deployment", "megalis/stays", running("10.0.6"))
    assert (await hits(arnia))["megalis"].affected.deployments == 2
    async with arnia.store.write() as tx:
        place = next(p for p in await tx.feeds.all() if p.origin == "megalis")
        await tx.pulled_records.purge(place.id, [("deployment", "left", 2, 2)])
        await tx.exposure._session.connection.execute("DELETE FROM withdrawals")
    for number in range(9):
        await publish(arnia, "deployment", f"d{number}", running())
    async with arnia.store.write() as tx:
        await tx.exposure._session.connection.execute("UPDATE node SET arrivals_from = arrival - 1")
    monkeypatch.setattr("federation.store.exposure_index.WINDOW", 2)
    found = await hits(arnia)
    assert {name: hit.affected.deployments for name, hit in found.items()} == {"arnia": 9, "megalis": 1}
    # It comes to its end, although it passes what no withdrawal is kept of, and is not begun again.
    async with arnia.store.read() as reading:
        assert (await reading.exposure.index_state()).lag == 0
    # That withdrawals were dropped which had been seen is no reason to.
    async with arnia.store.write() as tx:
        await tx.exposure._session.connection.execute(
            "UPDATE node SET arrivals_from = arrival; UPDATE deployed_groups SET counted = counted + 1000"
        )
    assert (await told(arnia)).total.affected.counted >= 1000, "what was brought in was left"
    # But when they are dropped while it goes on, it is.
    async with arnia.store.write() as tx:
        await tx.exposure._session.connection.execute(
            "UPDATE exposure SET arrival = 4, begun_at = 3; UPDATE node SET arrivals_from = 5"
        )
    assert (await told(arnia)).total.affected.counted == 0


def _without_time(answer: IncidentExposure) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(answer)
    return {name: value for name, value in found.items() if name not in ("as_of", "current_through")}


async def _is_there(node: Node, key: str) -> bool:
    try:
        return not (await records.find(node, Deployment, "arnia", key, by=itself("arnia"))).retracted
    except NotFound:
        return False


async def test_the_age_and_the_state_of_each_copy_are_told(arnia: Node, megalis: Node) -> None:
    await cve(arnia)
    await introduce(arnia, megalis)
    assert (await hits(arnia))["megalis"].copy == CopyAge("stale", None), "it never answered"
    async with arnia.store.write() as tx:
        await tx.peers.note_answers({"megalis": None})
    copy_ = (await hits(arnia))["megalis"].copy
    assert copy_.state == "unverified"
    assert copy_.age_seconds is not None
    assert copy_.age_seconds < 60
    arnia.clock = lambda: datetime.now(UTC) + timedelta(hours=1)
    assert (await hits(arnia))["megalis"].copy.state == "stale"
    assert (await hits(arnia))["arnia"].copy == CopyAge("own", 0)


async def test_what_an_operator_that_left_has_told_in_public_is_told_as_such(
    arnia: Node, megalis: Node
) -> None:
    await publish(arnia, "incident", "cve", a_vulnerability(), tlp="CLEAR")
    await introduce(arnia, megalis)
    await copy(arnia, "deployment", "megalis/a", running("10.0.6"), tlp="CLEAR")
    await copy(arnia, "deployment", "megalis/b", running("10.0.6"))
    await copy(
        arnia,
        "statement",
        "megalis/s",
        a_statement(incident="arnia/cve", status="known_affected"),
        tlp="CLEAR",
    )
    await copy(arnia, "statement", "megalis/t", a_statement(incident="arnia/cve", status="fixed"))
    assert (await hits(arnia))["megalis"].affected.deployments + (await hits(arnia))[
        "megalis"
    ].cleared.deployments == 2

    await node_peers.accept_disconnect(arnia, "megalis")
    left = (await hits(arnia))["megalis"]
    assert left.copy.state == "left"
    assert (left.affected.deployments, left.answer) == (1, "known_affected")
    for caller in (anonymous("arnia"), await as_peer(arnia, "recia")):
        shown = (await hits(arnia, by=caller))["megalis"]
        assert shown.copy.state == "stale", "the state of a peer is for the operator itself"
        assert (shown.affected.deployments, shown.answer) == (1, "known_affected")


@pytest.mark.parametrize(("state", "others"), [("active", "unverified"), ("suspended", "stale")])
async def test_the_state_of_a_peer_is_shown_to_the_operators_own_clients_alone(
    arnia: Node, megalis: Node, state: str, others: str
) -> None:
    await publish(arnia, "incident", "cve", a_vulnerability(), tlp="CLEAR")
    await introduce(arnia, megalis)
    await copy(arnia, "deployment", "megalis/a", running("10.0.6"), tlp="CLEAR")
    async with arnia.store.write() as tx:
        await tx.peers._session.connection.execute("UPDATE peers SET state = $1, contacted_at = now()", state)
    own = (await hits(arnia))["megalis"].copy.state
    assert own == (state if state == "suspended" else "unverified")
    shown = await hits(arnia, by=anonymous("arnia"))
    assert shown["megalis"].copy.state == others


async def test_a_peer_of_which_nothing_may_be_seen_is_not_named(arnia: Node, megalis: Node) -> None:
    await publish(arnia, "incident", "cve", a_vulnerability(), tlp="CLEAR")
    await introduce(arnia, megalis)
    await copy(arnia, "deployment", "megalis/a", running("10.0.6"))
    assert "megalis" in await hits(arnia)
    assert "megalis" not in await hits(arnia, by=anonymous("arnia"))
    assert "megalis" in await hits(arnia, by=await as_peer(arnia, "recia"))


async def test_a_solution_tells_all_its_open_incidents(arnia: Node) -> None:
    await cve(arnia)
    await publish(
        arnia, "incident", "cve2",
        a_vulnerability(aliases=["CVE-2099-2"], affects=[{"solution": GLPI, "range": "vers:generic/<9.6"}]),
    )  # fmt: skip
    await publish(arnia, "deployment", "one", running("10.0.17", bodies(CHALON, MACON)))
    await publish(arnia, "deployment", "two", running("9.5.13", bodies(MACON)))
    found = await exposure.of_solution(arnia, "arnia", "glpi", by=itself("arnia"))
    assert {line.incident.id: line.total.affected.communes for line in found.incidents} == {
        "arnia/cve": 2,
        "arnia/cve2": 1,
    }
    assert (found.affected.communes, found.affected.deployments) == (2, 2)
    assert not found.more


async def test_mine_are_the_open_incidents_that_hit_my_deployments(arnia: Node) -> None:
    await cve(arnia)
    await copy(arnia, "incident", "megalis/out", an_incident(affects=[{"deployments": ["arnia/mail"]}]))
    await copy(arnia, "incident", "megalis/other", an_incident(affects=[{"deployments": ["megalis/mail"]}]))
    await copy(arnia, "deployment", "megalis/a", running("10.0.6"))
    own, _ = await exposure.of_own(arnia, by=itself("arnia"))
    assert own.incidents == ()
    await publish(arnia, "deployment", "one", running("10.0.17"))
    await publish(arnia, "deployment", "mail", {**running(None), "solution": "megalis/mail"})
    own, place = await exposure.of_own(arnia, by=itself("arnia"))
    assert place is None
    assert {line.incident.id: [one.id for one in line.exposure.deployments] for line in own.incidents} == {
        "arnia/cve": ["arnia/one"],
        "megalis/out": ["arnia/mail"],
    }
    first, place = await exposure.of_own(arnia, by=itself("arnia"), limit=1)
    assert place is not None
    second, _ = await exposure.of_own(arnia, by=itself("arnia"), limit=1, after=place)
    assert {line.incident.id for line in (*first.incidents, *second.incidents)} == {
        "arnia/cve",
        "megalis/out",
    }


async def test_whom_to_call_are_the_bodies_that_are_hit(arnia: Node) -> None:
    await cve(arnia)
    await publish(arnia, "deployment", "one", running("10.0.17", bodies(CHALON, MACON)))
    await publish(arnia, "deployment", "two", running("10.0.18", bodies(DIJON)))
    found, _ = await exposure.bodies_of_incident(arnia, "arnia", "cve", by=itself("arnia"))
    assert [body.siren for body in found] == [CHALON, MACON]
