"""The same software under two operators' keys is reached by one incident, and it is told why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from federation.domain.content.solution import Solution
from federation.domain.exposure.linkage import MAX_LINKS_PER_SOLUTION, LinkedSolution, NamedBy
from federation.domain.visibility import Caller, anonymous, itself
from federation.node import exposure, exposure_index, linkage, peers, records
from federation.node.node import Node
from tests.domain.builders import a_deployment, a_group, a_solution, a_statement, an_incident
from tests.exposure.deployments import (
    CHALON,
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
from tests.exposure.test_seeing import answers
from tests.matrix import rules
from tests.matrix.callers_and_records import World, a_world
from tests.nodes import introduce, publish

REPOSITORY = "https://github.com/glpi-project/glpi"
WIKIDATA = "https://www.wikidata.org/entity/Q1466580"
HERE = "https://arnia.example.org/v1/solutions"
THERE = "https://megalis.example.org/v1/solutions"
OTHER = "megalis/glpi"


def runs(solution: str, version: str | None = "10.0.6", *sirens: str) -> dict[str, Any]:
    """A deployment of a solution under any key."""
    return {**running(version, bodies(*(sirens or (RENNES,)))), "solution": solution}


async def two(node: Node, *, here: dict[str, Any], there: dict[str, Any], **envelope: Any) -> None:
    """GLPI as two operators have registered it, each with a deployment, and an incident of the one."""
    await cve(node)
    same_here, same_there = here.pop("same_as", ()), there.pop("same_as", ())
    await publish(node, "solution", "glpi", a_solution(**here), same_as=same_here)
    await copy(node, "solution", OTHER, a_solution(**there), same_as=same_there, **envelope)
    await publish(node, "deployment", "one", runs(GLPI, "10.0.17", CHALON))
    await copy(node, "deployment", "megalis/a", runs(OTHER))


async def reached(node: Node, **asked: Any) -> dict[str, tuple[int, int]]:
    """Deployments affected and unknown, by operator."""
    return {
        operator: (one.affected.deployments, one.unknown.deployments)
        for operator, one in (await hits(node, **asked)).items()
        if one.affected.deployments or one.unknown.deployments
    }


PURL, CPE = "pkg:composer/glpi/glpi", "cpe:2.3:a:glpi-project:glpi"
SHARED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "repository": ({"repository": REPOSITORY}, {"repository": f"{REPOSITORY}.git/"}, REPOSITORY),
    "purl": ({"packages": [{"purl": PURL}]}, {"packages": [{"purl": f"{PURL}@10.0"}]}, PURL),
    "cpe": ({"packages": [{"cpe": f"{CPE}:9"}]}, {"packages": [{"cpe": "cpe:/a:glpi-project:glpi"}]}, CPE),
    "wikidata": (
        {"same_as": [WIKIDATA]},
        {"same_as": ["http://www.wikidata.org/wiki/Q1466580"]},
        WIKIDATA,
    ),
    "same_as and repository": ({"same_as": [REPOSITORY]}, {"repository": REPOSITORY}, REPOSITORY),
}


@pytest.mark.parametrize(("here", "there", "names"), SHARED.values(), ids=SHARED)
async def test_what_both_records_name_makes_them_one_and_it_is_told_who_says_so(
    arnia: Node, here: dict[str, Any], there: dict[str, Any], names: str
) -> None:
    await two(arnia, here=dict(here), there=dict(there))
    found = await told(arnia)
    other = next(one for one in found.operators if one.operator == "megalis")
    assert (other.affected.deployments, other.affected.communes) == (1, 1)
    assert found.total.affected.deployments == 2
    assert [(one.solution, one.named, one.reason) for one in other.versions] == [(OTHER, GLPI, "in-range")]
    assert found.linked_solutions == (
        LinkedSolution(OTHER, GLPI, True, (NamedBy(GLPI, names), NamedBy(OTHER, names))),
    )
    assert not found.more_linked_solutions
    own = next(one for one in found.operators if one.operator == "arnia")
    assert [one.named for one in own.versions] == [None], "the incident names it itself"


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ({}, {}),
        ({"repository": REPOSITORY}, {"homepage": REPOSITORY}),
        ({"homepage": "https://glpi-project.org/x"}, {"homepage": "https://glpi-project.org/x"}),
        (
            {"repository": "https://github.com/glpi-project"},
            {"repository": "https://github.com/glpi-project"},
        ),
        ({}, {"based_on": [GLPI]}),
    ],
    ids=["name", "home page and repository", "home page", "owner", "based on"],
)
async def test_what_does_not_identify_a_product_makes_nothing_one(
    arnia: Node, here: dict[str, Any], there: dict[str, Any]
) -> None:
    await two(arnia, here=here, there=there)
    assert await reached(arnia) == {"arnia": (1, 0)}
    assert (await told(arnia)).linked_solutions == ()


async def test_whose_record_names_the_solution_of_the_incident_is_counted_by_its_own_word(
    arnia: Node,
) -> None:
    await two(arnia, here={}, there={"same_as": [f"{HERE}/{GLPI}"]})
    assert await reached(arnia) == {"arnia": (1, 0), "megalis": (1, 0)}
    (same,) = (await told(arnia)).linked_solutions
    assert (same.certain, same.because) == (True, (NamedBy(OTHER, GLPI),))


async def test_what_only_the_incidents_side_says_is_a_question_until_the_other_says_so_too(
    arnia: Node,
) -> None:
    await two(arnia, here={"same_as": [f"{THERE}/{OTHER}"]}, there={})
    await copy(arnia, "deployment", "megalis/fixed", runs(OTHER, "10.0.18"))
    found = (await hits(arnia))["megalis"]
    assert found.unknown.reasons == {"software-unsure": 1}
    assert (found.affected.deployments, found.not_affected) == (0, 1), "10.0.18 is not hit either way"
    (same,) = (await told(arnia)).linked_solutions
    assert (same.certain, same.because) == (False, (NamedBy(GLPI, OTHER),))
    await copy(arnia, "statement", "megalis/s", a_statement(incident="arnia/cve", deployments=["megalis/a"]))
    assert (await hits(arnia))["megalis"].affected.reasons == {"stated": 1}
    said = a_statement(incident="arnia/cve", status="under_investigation")
    await copy(arnia, "statement", "megalis/s", said, revision=2)
    assert await reached(arnia) == {"arnia": (1, 0), "megalis": (0, 1)}
    await copy(arnia, "solution", OTHER, a_solution(), same_as=[f"{HERE}/{GLPI}"], revision=2)
    assert await reached(arnia) == {"arnia": (1, 0), "megalis": (1, 0)}


async def test_the_chain_by_which_a_deployment_is_reached_is_told_link_by_link(arnia: Node) -> None:
    await two(arnia, here={"repository": REPOSITORY}, there={"repository": REPOSITORY})
    await copy(arnia, "solution", "recia/parc", a_solution(), same_as=[f"{THERE}/{OTHER}"])
    await copy(arnia, "deployment", "recia/a", runs("recia/parc"))
    assert await reached(arnia) == {"arnia": (1, 0), "megalis": (1, 0), "recia": (1, 0)}
    last = (await told(arnia)).linked_solutions[-1]
    assert last.because == (
        NamedBy(GLPI, REPOSITORY),
        NamedBy(OTHER, REPOSITORY),
        NamedBy("recia/parc", OTHER),
    )
    # And back to where it began.
    await copy(arnia, "solution", OTHER, a_solution(repository=REPOSITORY), same_as=[f"{HERE}/{GLPI}"],
               revision=2)  # fmt: skip
    await publish(
        arnia, "solution", "glpi", a_solution(repository=REPOSITORY), same_as=[f"{THERE}/recia/parc"]
    )
    assert await reached(arnia) == {"arnia": (1, 0), "megalis": (1, 0), "recia": (1, 0)}


async def test_a_peer_that_claims_to_be_everything_stretches_nobodys_exposure_but_its_own(
    arnia: Node,
) -> None:
    await cve(arnia)
    await publish(arnia, "solution", "glpi", a_solution(repository=REPOSITORY))
    await copy(
        arnia, "solution", "megalis/nextcloud", a_solution(packages=[{"purl": "pkg:docker/nextcloud"}])
    )
    await copy(arnia, "deployment", "megalis/a", runs("megalis/nextcloud"))
    await copy(arnia, "deployment", "evil/a", runs("evil/everything"))
    before = await told(arnia)
    assert await reached(arnia) == {}
    everything = [
        f"{HERE}/{GLPI}",
        f"{THERE}/megalis/nextcloud",
        REPOSITORY,
        "pkg:docker/nextcloud",
        WIKIDATA,
    ]
    await copy(arnia, "solution", "evil/everything", a_solution(), same_as=everything)
    after = await told(arnia)
    assert await reached(arnia) == {"evil": (1, 0)}
    assert [one.solution for one in after.linked_solutions] == ["evil/everything"]
    assert [one for one in after.operators if one.operator != "evil"] == [
        one for one in before.operators if one.operator != "evil"
    ]
    # An incident of its own that names it: a question to whom its word is not returned, and it is told whose
    # word it is.
    await copy(arnia, "incident", "evil/cve", a_vulnerability(affects=[
        {"solution": "evil/everything", "range": "vers:generic/*"}]))  # fmt: skip
    await copy(arnia, "solution", "evil/everything", a_solution(), same_as=everything[:2], revision=2)
    found = await hits(arnia, "cve", origin="evil")
    assert found["megalis"].unknown.reasons == {"software-unsure": 1}
    assert found["megalis"].affected.deployments == 0
    same = {one.solution: one for one in (await told(arnia, "cve", origin="evil")).linked_solutions}
    assert same["megalis/nextcloud"].because == (NamedBy("evil/everything", "megalis/nextcloud"),)
    # Where the software is told by its own record, one's own word and its record's meet: they are one.
    await copy(arnia, "solution", "evil/everything", a_solution(), same_as=everything, revision=3)
    assert (await hits(arnia, "cve", origin="evil"))["megalis"].affected.reasons == {"every-version": 1}


async def test_a_flood_of_solutions_of_one_operator_leaves_the_others_in_and_is_told(arnia: Node) -> None:
    await two(arnia, here={"repository": REPOSITORY}, there={"repository": REPOSITORY})
    for number in range(MAX_LINKS_PER_SOLUTION):
        await copy(arnia, "solution", f"aaa/x{number:02}", a_solution(repository=REPOSITORY))
    await copy(arnia, "deployment", "aaa/a", runs("aaa/x00"))
    assert not (await told(arnia)).more_linked_solutions
    await copy(arnia, "solution", "aaa/x99", a_solution(repository=REPOSITORY))
    await copy(arnia, "deployment", "aaa/b", runs("aaa/x99"))
    assert await reached(arnia) == {"aaa": (1, 0), "arnia": (1, 0), "megalis": (1, 0)}
    assert (await told(arnia)).more_linked_solutions
    for number in range(100, 200):
        await copy(arnia, "solution", f"aaa/x{number}", a_solution(repository=REPOSITORY))
    await exposure_index.refresh(arnia)
    async with arnia.store.read() as tx:
        found = await tx.linkage.solutions_naming([REPOSITORY], visible_to=itself("arnia"))
    assert len(found[REPOSITORY]) == MAX_LINKS_PER_SOLUTION + 1 + 2, "no more is read, however many there are"


async def test_as_much_is_looked_up_as_is_said_and_in_turn(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two(arnia, here={"repository": REPOSITORY}, there={"repository": REPOSITORY})
    monkeypatch.setattr(linkage, "MAX_NAMES", 1)
    found = await told(arnia)
    assert found.more_linked_solutions
    assert found.total.affected.deployments == 1
    monkeypatch.setattr(linkage, "MAX_NAMES", 5)
    assert (await told(arnia)).total.affected.deployments == 2
    await copy(arnia, "solution", "recia/glpi", a_solution(repository=REPOSITORY))
    await copy(arnia, "deployment", "recia/a", runs("recia/glpi"))
    assert (await told(arnia)).total.affected.deployments == 3
    with monkeypatch.context() as patch:
        patch.setattr(linkage, "MAX_LINKS", 1)
        found = await told(arnia)
        assert found.more_linked_solutions
        assert found.total.affected.deployments == 2
    monkeypatch.setattr(linkage, "MAX_SOLUTIONS", 0)
    found = await told(arnia)
    assert found.more_linked_solutions
    assert found.total.affected.deployments == 1


async def test_what_changes_in_the_record_of_a_solution_changes_who_is_hit(
    arnia: Node, megalis: Node
) -> None:
    both = {"arnia": (1, 0), "megalis": (1, 0)}
    await introduce(arnia, megalis)
    await two(arnia, here={"repository": REPOSITORY}, there={"repository": REPOSITORY})
    assert await reached(arnia) == both
    await copy(arnia, "solution", OTHER, a_solution(repository=f"{REPOSITORY}-agent"), revision=2)
    assert await reached(arnia) == {"arnia": (1, 0)}
    await copy(arnia, "solution", OTHER, a_solution(repository=REPOSITORY), revision=3)
    assert await reached(arnia) == both
    await copy(arnia, "solution", OTHER, None, revision=4)
    assert await reached(arnia) == {"arnia": (1, 0)}, "a tombstone says nothing"
    await copy(arnia, "solution", OTHER, a_solution(repository=REPOSITORY), revision=5)
    assert await reached(arnia) == both
    await records.retract(arnia, Solution, "arnia", "glpi", by=itself("arnia"))
    assert await reached(arnia) == {"arnia": (1, 0)}
    await publish(arnia, "solution", "glpi", a_solution(repository=REPOSITORY), tlp="RED")
    assert await reached(arnia) == both
    await copy(arnia, "solution", OTHER, a_solution(repository=REPOSITORY), revision=6, tlp="GREEN")
    assert await reached(arnia) == both
    await peers.accept_disconnect(arnia, "megalis")
    async with arnia.store.read() as tx:
        left = await tx.records.find("solution", "megalis", "glpi", visible_to=itself("arnia"))
    assert left is None, "what is not public of an operator that leaves is dropped"
    assert await reached(arnia) == {"arnia": (1, 0)}
    async with arnia.store.read() as tx:
        assert await tx.linkage.identifiers_of([OTHER], visible_to=itself("arnia")) == {}


async def test_brought_in_anew_it_is_what_it_was(arnia: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    await two(arnia, here={"repository": REPOSITORY}, there={"repository": REPOSITORY})
    before = (await told(arnia)).linked_solutions
    async with arnia.store.write() as tx:
        await tx.exposure._session.connection.execute(
            "UPDATE exposure SET register = '';"
            " UPDATE solution_identifiers SET key = 'stray' WHERE origin = 'arnia'"
        )
    monkeypatch.setattr("federation.store.exposure_index.WINDOW", 2)
    monkeypatch.setattr("federation.store.exposure_index.WINDOW_BYTES", 100)
    assert (await told(arnia)).linked_solutions == before
    assert len(before) == 1
    async with arnia.store.read() as tx:
        assert await tx.linkage.identifiers_of(["arnia/stray"], visible_to=itself("arnia")) == {}


async def test_a_service_that_is_down_is_not_down_elsewhere_and_broken_software_is_broken(
    arnia: Node,
) -> None:
    await two(arnia, here={"repository": REPOSITORY}, there={"repository": REPOSITORY})
    await publish(arnia, "incident", "out", an_incident(affects=[{"solution": GLPI}]))
    assert set(await reached(arnia, key="out")) == {"arnia"}
    await publish(arnia, "incident", "bug", an_incident(affects=[{"solution": GLPI, "range": RANGE}]))
    assert await reached(arnia, key="bug") == {"arnia": (1, 0), "megalis": (1, 0)}
    await publish(arnia, "incident", "hole", a_vulnerability(affects=[{"solution": GLPI}]))
    assert await reached(arnia, key="hole") == {"arnia": (0, 1), "megalis": (0, 1)}


async def test_what_an_incident_says_of_a_solution_itself_outranks_what_it_says_of_the_same_software(
    arnia: Node,
) -> None:
    await two(arnia, here={"repository": REPOSITORY}, there={"repository": REPOSITORY})
    await cve(
        arnia, affects=[{"solution": GLPI, "range": RANGE}, {"solution": OTHER, "range": "vers:generic/<10"}]
    )
    await copy(arnia, "deployment", "megalis/b", runs(OTHER, "9.5"))
    found = (await hits(arnia))["megalis"]
    assert (found.affected.deployments, found.not_affected) == (1, 1), "10.0.6 is in the other's range only"
    assert (await told(arnia)).linked_solutions == ()


async def test_mine_are_the_incidents_that_hit_the_same_software_under_another_key(arnia: Node) -> None:
    await publish(arnia, "solution", "glpi", a_solution(repository=REPOSITORY))
    await copy(arnia, "solution", OTHER, a_solution(repository=REPOSITORY))
    await publish(arnia, "deployment", "one", runs(GLPI, "10.0.17", CHALON))
    await copy(
        arnia, "incident", "megalis/cve", a_vulnerability(affects=[{"solution": OTHER, "range": RANGE}])
    )
    await copy(arnia, "incident", "megalis/out", an_incident(affects=[{"solution": OTHER}]))
    await copy(arnia, "incident", "megalis/x", a_vulnerability(affects=[{"solution": "megalis/x"}]))
    own, _ = await exposure.of_own(arnia, by=itself("arnia"))
    (line,) = own.incidents
    assert line.incident.id == "megalis/cve"
    assert [(one.id, one.named) for one in line.exposure.deployments] == [("arnia/one", OTHER)]
    assert [(one.solution, one.named) for one in line.linked_solutions] == [(GLPI, OTHER)]
    bodies_hit, _ = await exposure.bodies_of_incident(arnia, "megalis", "cve", by=itself("arnia"))
    assert [body.siren for body in bodies_hit] == [CHALON]
    await copy(arnia, "solution", OTHER, None, revision=2)
    assert (await exposure.of_own(arnia, by=itself("arnia")))[0].incidents == ()


async def test_what_else_an_incident_names_takes_no_room_from_what_concerns_mine(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two(arnia, here={"repository": REPOSITORY}, there={"repository": REPOSITORY})
    await copy(
        arnia, "incident", "megalis/cve", a_vulnerability(affects=[{"solution": OTHER, "range": RANGE}])
    )
    crowd = [{"solution": f"aaa/{number}", "range": RANGE} for number in range(9)]
    await copy(arnia, "incident", "evil/cve", a_vulnerability(affects=[*crowd, {"solution": GLPI}]))
    monkeypatch.setattr(linkage, "MAX_SOLUTIONS", 2)
    own, _ = await exposure.of_own(arnia, by=itself("arnia"))
    assert {line.incident.id for line in own.incidents} == {"arnia/cve", "evil/cve", "megalis/cve"}
    of_both = await exposure.of_solution(arnia, "arnia", "glpi", by=itself("arnia"))
    assert {line.total.affected.deployments for line in of_both.incidents} == {2, 0}


@pytest.mark.case("b04", "A group page at any forge makes no two products one for certain")
async def test_the_page_of_a_group_makes_a_question_and_a_clone_of_it_an_answer(arnia: Node) -> None:
    group = "https://gitlab.example.org/collectivite"
    await two(arnia, here={"repository": group}, there={"repository": group, "name": "Another product"})
    assert await reached(arnia) == {"arnia": (1, 0), "megalis": (0, 1)}
    (link,) = (await told(arnia)).linked_solutions
    assert not link.certain
    # Who writes it as a clone says that it is one repository; so does one that has the same name.
    clone = a_solution(repository=f"{group}.git", name="Another product")
    await copy(arnia, "solution", OTHER, clone, revision=2)
    assert await reached(arnia) == {"arnia": (1, 0), "megalis": (1, 0)}
    await copy(arnia, "solution", OTHER, a_solution(repository=group, name="glpi"), revision=3)
    assert await reached(arnia) == {"arnia": (1, 0), "megalis": (1, 0)}


async def test_a_solution_tells_the_incidents_of_the_same_software_under_another_key(arnia: Node) -> None:
    await two(arnia, here={"repository": REPOSITORY}, there={"repository": REPOSITORY})
    # There is a record that is both this and another product: its incidents are told, the other's are not.
    await copy(
        arnia, "solution", "evil/z", a_solution(), same_as=[REPOSITORY, "https://git.example.org/other"]
    )
    await copy(arnia, "solution", "recia/other", a_solution(repository="https://git.example.org/other"))
    for name in ("evil/z", "recia/other"):
        await copy(
            arnia, "incident", f"{name}-cve", a_vulnerability(affects=[{"solution": name}], aliases=[])
        )
        await copy(arnia, "deployment", f"{name}-a", runs(name, "10.0.1", MACON))
    await copy(arnia, "incident", "evil/out", an_incident(affects=[{"solution": "evil/z"}]))
    found = await exposure.of_solution(arnia, "megalis", "glpi", by=itself("arnia"))
    assert {line.incident.id for line in found.incidents} == {"arnia/cve", "evil/z-cve"}
    assert found.affected.deployments == 2 + 1
    assert {(one.named, one.solution) for one in found.linked_solutions} == {
        (GLPI, OTHER), (GLPI, "evil/z"), ("evil/z", OTHER), ("evil/z", GLPI),
    }  # fmt: skip
    other = await exposure.of_solution(arnia, "recia", "other", by=itself("arnia"))
    assert {line.incident.id for line in other.incidents} == {"recia/other-cve", "evil/z-cve"}


# Nobody learns of a link what is hidden from them


@pytest.fixture
async def world(arnia: Node) -> Any:
    async with a_world(arnia) as world:
        await publish(arnia, "incident", "cve", a_vulnerability(affects=AFFECTS), tlp="CLEAR")
        await publish(arnia, "solution", "glpi", a_solution(repository=REPOSITORY), tlp="CLEAR")
        for tlp in rules.TLPS:
            for origin in (rules.HERE, rules.THERE):
                solution = f"{origin}/{_slug(tlp)}"
                await _keep(arnia, "deployment", solution, {**runs(solution, "7.1", MACON)}, "CLEAR")
        yield world


AFFECTS = [{"solution": "arnia/glpi", "range": "vers:generic/<8"}]


def _slug(tlp: str) -> str:
    return f"canary-{tlp.lower().replace('+', '-')}"


async def _keep(node: Node, type_name: str, id_: str, content: dict[str, Any], tlp: str, **more: Any) -> None:
    envelope = {"tlp": tlp, **({"audience": "close"} if tlp.startswith("AMBER") else {}), **more}
    origin, _, key = id_.partition("/")
    if origin == node.operator:
        await publish(node, type_name, key, content, **envelope)
    else:
        await copy(node, type_name, id_, content, **envelope)


async def test_a_link_through_a_record_that_is_hidden_changes_nothing_in_any_answer(
    world: World, arnia: Node
) -> None:
    """The deployments are public; what makes them the same software is each label of each origin in turn."""
    callers = (rules.OWN, rules.MEMBER, rules.ORIGIN, rules.NEIGHBOUR, rules.OUTSIDER, rules.ANYONE)
    before = {caller: await answers(world, caller) for caller in callers}
    seen = hidden = 0
    for origin in (rules.HERE, rules.THERE):
        for tlp in rules.TLPS:
            solution = f"{origin}/{_slug(tlp)}"
            await _keep(arnia, "solution", solution, a_solution(repository=REPOSITORY), tlp)
            for caller in callers:
                after = await answers(world, caller)
                if rules.sees(caller, "solution", origin, tlp):
                    seen += 1
                    shown = json.dumps(after["/v1/incidents/arnia/cve/exposure"][1])
                    assert f'"solution": "{solution}", "named": "arnia/glpi"' in shown, (caller, solution)
                else:
                    hidden += 1
                    assert after == before[caller], (caller, solution)
                before[caller] = after
    assert min(seen, hidden) > 15


async def test_what_the_hidden_record_of_the_incidents_side_says_is_hidden_too(arnia: Node) -> None:
    await publish(arnia, "group", "close", a_group(members=["recia"]))
    member = Caller(node="arnia", operator="recia", groups=frozenset({"close"}))
    outsider = Caller(node="arnia", operator="maximilien")
    await cve(arnia)
    await publish(arnia, "solution", "glpi", a_solution(repository=REPOSITORY), tlp="AMBER", audience="close")
    await copy(arnia, "solution", OTHER, a_solution(repository=REPOSITORY))
    await copy(arnia, "deployment", "megalis/a", runs(OTHER))
    assert await reached(arnia, by=member) == {"megalis": (1, 0)}
    assert await reached(arnia, by=itself("arnia")) == {"megalis": (1, 0)}
    assert await reached(arnia, by=outsider) == {}
    # A chain is hidden where one of its links is.
    await copy(arnia, "solution", "recia/parc", a_solution(), same_as=[f"{THERE}/{OTHER}"], tlp="GREEN")
    await copy(arnia, "deployment", "recia/a", runs("recia/parc"), tlp="CLEAR")
    await copy(arnia, "deployment", "megalis/a", runs(OTHER), tlp="CLEAR", revision=2)
    await publish(arnia, "solution", "glpi", a_solution(repository=REPOSITORY), tlp="CLEAR")
    await cve(arnia, title={"en": "Now public"})
    await publish(arnia, "incident", "cve", a_vulnerability(), tlp="CLEAR")
    assert await reached(arnia, by=anonymous("arnia")) == {"megalis": (1, 0)}
    assert await reached(arnia, by=outsider) == {"megalis": (1, 0), "recia": (1, 0)}


async def test_what_is_hidden_takes_no_room_from_what_is_not(arnia: Node) -> None:
    await two(arnia, here={"repository": REPOSITORY}, there={"repository": REPOSITORY})
    await publish(arnia, "incident", "cve", a_vulnerability(), tlp="CLEAR")
    await copy(arnia, "deployment", "aaa/z", {**a_deployment(), **runs("aaa/z")}, tlp="CLEAR")
    await copy(arnia, "solution", "aaa/z", a_solution(repository=REPOSITORY))
    before = await told(arnia, by=anonymous("arnia"))
    assert [one.solution for one in before.linked_solutions] == ["aaa/z"]
    for number in range(MAX_LINKS_PER_SOLUTION + 2):
        await copy(arnia, "solution", f"aaa/x{number:02}", a_solution(repository=REPOSITORY), tlp="GREEN")
    after = await told(arnia, by=anonymous("arnia"))
    assert (after.linked_solutions, after.more_linked_solutions) == (before.linked_solutions, False)
    assert (await told(arnia)).more_linked_solutions, "who sees them is told that there are more"
