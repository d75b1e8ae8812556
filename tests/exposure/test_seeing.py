"""Nobody learns through an exposure what TLP hides from them: every route, every caller, every label."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx2
import pytest

from federation.node.node import Node
from tests.api.http_client import fine, refused
from tests.domain.builders import a_group, a_statement
from tests.exposure.deployments import CHALON, DIJON, MACON, RENNES, a_vulnerability, bodies, copy, running
from tests.exposure.test_alerts import Receiver, settle
from tests.matrix import rules
from tests.matrix.callers_and_records import World, a_world
from tests.nodes import a_token, browsing, publish

ROUTES = (
    "/v1/incidents/arnia/cve/exposure",
    "/v1/incidents/arnia/cve/exposure/bodies",
    "/v1/solutions/arnia/glpi/exposure",
    "/v1/exposure?mine=true",
)
COMMUNES = {"CLEAR": CHALON, "GREEN": MACON, "AMBER": DIJON, "AMBER+STRICT": RENNES, "RED": "213501158"}
NAMES = {
    "CLEAR": "Chalon-sur-Saône",
    "GREEN": "Mâcon",
    "AMBER": "Dijon",
    "AMBER+STRICT": "Rennes",
    "RED": "Fougères",
}
SEEING = (rules.OWN, rules.MEMBER, rules.ORIGIN, rules.NEIGHBOUR, rules.OUTSIDER, rules.ANYONE)


class Hidden(NamedTuple):
    """Records of one label and origin, with a token in everything that an exposure could tell."""

    origin: str
    tlp: str

    @property
    def token(self) -> str:
        return f"7.7.{'CLEAR GREEN AMBER AMBER+STRICT RED'.split().index(self.tlp)}{len(self.origin)}77"

    @property
    def slug(self) -> str:
        return f"canary-{self.tlp.lower().replace('+', '-')}"

    async def publish(self, node: Node) -> None:
        envelope: dict[str, Any] = {"tlp": self.tlp}
        if self.tlp.startswith("AMBER"):
            envelope["audience"] = "close"
        records: tuple[tuple[str, str, dict[str, Any]], ...] = (
            ("deployment", self.slug, running(self.token, bodies(COMMUNES[self.tlp]))),
            ("deployment", f"{self.slug}-2", running(None, bodies(COMMUNES[self.tlp]))),
            (
                "statement",
                self.slug,
                a_statement(
                    incident="arnia/cve",
                    status="under_investigation",
                    deployments=[f"{self.origin}/{self.slug}"],
                ),
            ),
            ("incident", self.slug, a_vulnerability(aliases=[self.slug.upper()], affects=ALL)),
        )
        for type_name, key, content in records:
            if self.origin == node.operator:
                await publish(node, type_name, key, content, **envelope)
            else:
                await copy(node, type_name, f"{self.origin}/{key}", content, **envelope)


ALL = [{"solution": "arnia/glpi", "range": "vers:generic/<8"}]
EVERYTHING = [Hidden(origin, tlp) for origin in (rules.HERE, rules.THERE) for tlp in rules.TLPS]


async def answers(world: World, caller: str) -> dict[str, Any]:
    """What a caller is told, without the time."""
    found: dict[str, Any] = {}
    for route in ROUTES:
        answer = await world.callers[caller].get(route)
        told = answer.json()
        told.pop("as_of", None)
        told.pop("current_through", None)
        for one in told.get("operators", ()):
            one["copy"]["age_seconds"] = None
        found[route] = (answer.status_code, told)
    return found


@pytest.fixture
async def world(arnia: Node) -> Any:
    async with a_world(arnia) as world:
        await publish(arnia, "incident", "cve", a_vulnerability(affects=ALL), tlp="CLEAR")
        await publish(arnia, "solution", "glpi", {**SOLUTION}, tlp="CLEAR")
        yield world


SOLUTION = {
    "name": "GLPI", "summary": {"fr": "Parc"}, "kind": "software", "status": "stable",
    "licence": "MIT", "themes": ["it-asset-management"],
}  # fmt: skip


async def test_every_answer_is_the_one_without_the_records_that_are_hidden(world: World, arnia: Node) -> None:
    """For each caller and each record: either it may see it, or nothing at all changes in what it is told."""
    before = {caller: await answers(world, caller) for caller in SEEING}
    for caller in SEEING:
        assert before[caller][ROUTES[0]][0] == 200
    seen_by_some = 0
    for hidden in EVERYTHING:
        await hidden.publish(arnia)
        for caller in SEEING:
            after = await answers(world, caller)
            if rules.sees(caller, "deployment", hidden.origin, hidden.tlp):
                seen_by_some += 1
                assert hidden.token in json.dumps(after[ROUTES[0]][1]), (caller, hidden)
            else:
                assert after == before[caller], (caller, hidden)
            before[caller] = after
    assert seen_by_some > 15
    for caller in SEEING:
        told = json.dumps(before[caller], ensure_ascii=False)
        for hidden in EVERYTHING:
            may_see = rules.sees(caller, "deployment", hidden.origin, hidden.tlp)
            assert (hidden.token in told) == may_see, (caller, hidden)
        for tlp, name in NAMES.items():
            somewhere = any(
                rules.sees(caller, "deployment", origin, tlp) for origin in (rules.HERE, rules.THERE)
            )
            assert (name in told) == somewhere, (caller, tlp)


async def test_who_may_no_longer_see_is_told_no_more(world: World, arnia: Node) -> None:
    hidden = Hidden("arnia", "AMBER")
    await hidden.publish(arnia)
    member = world.callers[rules.MEMBER]
    assert hidden.token in (await member.get(ROUTES[0])).text
    await publish(arnia, "group", "close", a_group(members=["recia"]))
    assert hidden.token not in (await member.get(ROUTES[0])).text
    for caller in rules.TURNED_AWAY:
        for route in ROUTES:
            assert (await world.callers[caller].get(route)).status_code == 401, (caller, route)
    for route in ROUTES:
        refused(await world.callers[rules.POOR].get(route), 403, "missing-scope")
    refused(await world.callers[rules.ANYONE].get(ROUTES[3]), 401, "unauthenticated")
    # Of its own deployments a peer sees those that are held here and not hidden.
    await Hidden("megalis", "GREEN").publish(arnia)
    await Hidden("megalis", "AMBER").publish(arnia)
    told = fine(await world.callers[rules.ORIGIN].get(ROUTES[3]), 200)
    assert told["operator"] == "megalis"
    listed = {one["id"] for line in told["incidents"] for one in line["exposure"]["deployments"]}
    assert listed == {"megalis/canary-green", "megalis/canary-green-2"}


@pytest.fixture
async def own(arnia: Node) -> AsyncIterator[httpx2.AsyncClient]:
    """The operator's own IT system, with every scope."""
    async with browsing(arnia) as client:
        client.headers.update(await a_token(arnia, client))
        yield client


async def test_an_incident_that_is_hidden_answers_as_one_that_is_not_there(
    arnia: Node, own: httpx2.AsyncClient
) -> None:
    await publish(arnia, "incident", "secret", a_vulnerability(), tlp="GREEN")
    async with browsing(arnia) as anyone:
        for route in ("exposure", "exposure/bodies"):
            hidden = await anyone.get(f"/v1/incidents/arnia/secret/{route}")
            absent = await anyone.get(f"/v1/incidents/arnia/nothing/{route}")
            assert hidden.status_code == absent.status_code == 404
            assert hidden.content.replace(b"secret", b"nothing") == absent.content
            fine(await own.get(f"/v1/incidents/arnia/secret/{route}"), 200)


@pytest.mark.parametrize(
    ("route", "pointer"),
    [
        ("/v1/exposure", "?mine"),
        ("/v1/exposure?mine=false", "?mine"),
        ("/v1/exposure?mine=true&theme=ai", "?theme"),
        ("/v1/exposure?mine=true&limit=0", "?limit"),
        ("/v1/exposure?mine=true&after=x", "?after"),
        ("/v1/incidents/arnia/cve/exposure?mine=true", "?mine"),
        ("/v1/solutions/arnia/glpi/exposure?q=x", "?q"),
        ("/v1/incidents/arnia/cve/exposure/bodies?limit=1", "?limit"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_name(
    own: httpx2.AsyncClient, route: str, pointer: str
) -> None:
    refused(await own.get(route), 400, "invalid", pointer=pointer)


async def test_a_page_of_ones_own_names_the_next_one(own: httpx2.AsyncClient, arnia: Node) -> None:
    await publish(arnia, "incident", "cve", a_vulnerability(affects=ALL))
    await publish(arnia, "deployment", "one", running("7.1"))
    await publish(arnia, "incident", "cve2", a_vulnerability(affects=ALL))
    seen: list[str] = []
    route: str | None = "/v1/exposure?mine=true&limit=1"
    while route:
        told = fine(await own.get(route), 200)
        seen += [line["incident"]["id"] for line in told["incidents"]]
        route = told["next"]
    assert sorted(seen) == ["arnia/cve", "arnia/cve2"]


LOCAL = (
    "/v1/subscriptions", "/v1/alerts", "/v1/alerts?parked=true", "/v1/deadlines", "/v1/deadlines.ics",
    "/v1/deadlines/arnia/canary-deadline", "/v1/deadlines/arnia/none",
)  # fmt: skip


async def test_alerts_and_deadlines_are_nobodys_but_the_operators(world: World, arnia: Node) -> None:
    """Whoever else asks gets the same bytes whether there is one or not: not even how many there are."""

    async def told(caller: str) -> list[tuple[int, bytes]]:
        client = world.callers[caller]
        asked = [await client.get(route) for route in LOCAL]
        asked += [
            await client.delete("/v1/deadlines/arnia/canary-deadline"),
            await client.put("/v1/deadlines/arnia/canary-deadline", json=A_DEADLINE),
            await client.post("/v1/subscriptions", json=A_SUBSCRIPTION),
        ]
        return [(one.status_code, one.content) for one in asked]

    others = (rules.MEMBER, rules.ORIGIN, rules.NEIGHBOUR, rules.OUTSIDER, rules.ANYONE)
    before = {caller: await told(caller) for caller in others}
    own = world.callers[rules.OWN]
    arnia._outside = Receiver()
    fine(await own.put("/v1/deadlines/arnia/canary-deadline", json=A_DEADLINE), 200)
    fine(await own.post("/v1/subscriptions", json=A_SUBSCRIPTION), 201)
    await publish(arnia, "incident", "canary-incident", a_vulnerability(title={"fr": "canary"}))
    await settle(arnia)
    assert "canary" in (await own.get("/v1/deadlines.ics")).text
    assert "canary-incident" in (await own.get("/v1/alerts")).text
    for caller in others:
        after = await told(caller)
        assert after == before[caller]
        assert {status for status, _ in after} == {401 if caller == rules.ANYONE else 403}, caller
        assert all(b"canary" not in body for _, body in after)


A_DEADLINE = {"title": "canary", "regimes": ["gdpr"], "aware_at": "2026-01-30T08:30:00Z"}
A_SUBSCRIPTION = {"events": ["incident.published"], "webhook": "https://canary.example.org/"}


async def test_a_solution_that_only_hidden_records_speak_of_is_not_there(world: World, arnia: Node) -> None:
    route = "/v1/solutions/arnia/{}/exposure"
    await publish(arnia, "deployment", "hidden", {**running(), "solution": "arnia/secret"}, tlp="RED")
    about = [{"solution": "arnia/secret", "range": "vers:all/*"}]
    await publish(arnia, "incident", "hidden", a_vulnerability(affects=about), tlp="AMBER", audience="close")
    assert (
        fine(await world.callers[rules.OWN].get(route.format("secret")), 200)["affected"]["deployments"] == 1
    )
    seen = fine(await world.callers[rules.MEMBER].get(route.format("secret")), 200)
    assert (len(seen["incidents"]), seen["affected"]["deployments"]) == (1, 0)
    for caller in (rules.NEIGHBOUR, rules.OUTSIDER, rules.ANYONE):
        hidden = await world.callers[caller].get(route.format("secret"))
        absent = await world.callers[caller].get(route.format("nothing"))
        assert hidden.status_code == absent.status_code == 404
        assert hidden.content.replace(b"secret", b"nothing") == absent.content


async def test_the_version_of_a_hidden_deployment_is_refused_as_that_of_none(
    world: World, arnia: Node
) -> None:
    await publish(arnia, "deployment", "hidden", running("7.7.canary"), tlp="RED")
    for caller in (rules.MEMBER, rules.NEIGHBOUR, rules.ANYONE):
        post = world.callers[caller].post
        hidden, absent = [
            await post(f"/v1/deployments/arnia/{key}/version", json={"version": "1"})
            for key in ("hidden", "absent")
        ]
        assert hidden.status_code == absent.status_code in (401, 403)
        assert hidden.content.replace(b"hidden", b"absent") == absent.content
