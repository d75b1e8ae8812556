"""A person below RED finds nothing above their ceiling, by any function, and writes nothing above it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from federation.domain.content.deployment import Deployment
from federation.domain.content.incident import Incident, NewUpdate
from federation.domain.content.solution import Solution
from federation.domain.content.statement import Statement
from federation.domain.deadline import CompletedStep, ReportingDeadline
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Forbidden, Invalid, NotFound
from federation.domain.query import read_query
from federation.domain.visibility import Caller, Ceiling, itself, may_see
from federation.node import copy_views, deadlines, exposure, feeds, records, search
from federation.node.edits import Retract
from federation.node.node import Node
from federation.node.records import Preconditions
from federation.node.upload_plans import UploadPlan
from tests.domain.builders import a_group, a_solution
from tests.exposure.deployments import a_vulnerability, cve
from tests.exposure.test_seeing import ALL, EVERYTHING, SOLUTION
from tests.nodes import publish
from tests.people.people import a_person

CEILINGS = {
    "green": Ceiling(),
    "amber of the group here": Ceiling("AMBER", frozenset({"arnia/close"})),
    "amber of the group there": Ceiling("AMBER", frozenset({"megalis/close"})),
    "red": Ceiling("RED"),
}
AUDIENCES = {
    "CLEAR": "public", "GREEN": "federation", "AMBER": "close", "AMBER+STRICT": "close", "RED": "private",
}  # fmt: skip


def a_caller(ceiling: Ceiling) -> Caller:
    return Caller(node="arnia", operator="arnia", person="person-1", person_name="Anne", ceiling=ceiling)


async def answers(node: Node, by: Caller) -> list[Any]:
    """Everything that functions for people return, without times."""
    found: list[Any] = []
    for kind in (Deployment, Statement, Incident, Solution):
        for asked in ([], [("sort", "id")], [("origin", "megalis")]):
            query = read_query(kind, [*asked, ("total", "true")])
            documents, _, total = await records.collect(node, query, by=by)
            found.append(([msgspec.json.decode(document) for document in documents], total))
    for words in ("canary", "canari", "glpi"):
        listed = await search.search(node, read_query(Incident, [("q", words), ("total", "true")]), by=by)
        found.append((listed.suggestion, listed.listed.total, len(listed.listed.documents)))
    found.append(await exposure.of_incident(node, "arnia", "cve", by=by))
    found.append((await exposure.bodies_of_incident(node, "arnia", "cve", by=by))[0])
    found.append(await exposure.of_solution(node, "arnia", "glpi", by=by))
    found.append((await exposure.of_own(node, by=by))[0])
    found.append(await copy_views.provenance(node, ("arnia", "megalis"), by=by))
    found.append([(head.name, head.seq) for head in await feeds.heads(node, by=by, origin="megalis")])
    told = msgspec.to_builtins(found)
    for answer in told:
        if isinstance(answer, dict):
            for name in ("as_of", "current_through"):
                answer.pop(name, None)
    return [told]


@pytest.mark.parametrize("name", CEILINGS)
async def test_every_answer_is_the_one_without_the_records_above_the_ceiling(arnia: Node, name: str) -> None:
    by = a_caller(CEILINGS[name])
    await publish(arnia, "group", "close", a_group(members=["megalis"]))
    await publish(arnia, "incident", "cve", a_vulnerability(affects=ALL), tlp="CLEAR")
    await publish(arnia, "solution", "glpi", SOLUTION, tlp="CLEAR")
    before = await answers(arnia, by)
    seen = 0
    for hidden in EVERYTHING:
        await hidden.publish(arnia)
        after = await answers(arnia, by)
        if may_see(hidden.origin, AUDIENCES[hidden.tlp], by):
            seen += 1
            assert hidden.token in str(after), hidden
        else:
            assert after == before, hidden
            with pytest.raises(NotFound) as refusal:
                await records.find(arnia, Incident, hidden.origin, hidden.slug, by=by)
            with pytest.raises(NotFound) as absent:
                await records.find(arnia, Incident, hidden.origin, "absent", by=by)
            assert refusal.value.detail.replace(hidden.slug, "absent") == absent.value.detail
        before = after
    assert seen == {"green": 4, "red": 10}.get(name, 6)
    # The change log is of everything, and so for those alone who see everything.
    rows, _, more = await feeds.change_log(arnia, None, by=by)
    assert bool(rows) == by.sees_all
    assert not more


def a_draft(name: str = "GLPI", **envelope: Any) -> Draft[Any]:
    shape: Any = Draft
    return check_draft({"content": a_solution(name=name), **envelope}, shape[Solution])  # type: ignore[no-any-return]


CLOSE = {"tlp": "AMBER", "audience": "close"}


async def an_editor(node: Node, *groups: str, label: str | None = None) -> Caller:
    return (await a_person(node, "Anne", "editor", *groups, label=label)).caller(node.operator)


async def test_an_editor_writes_under_labels_that_they_see_and_under_no_other(arnia: Node) -> None:
    await publish(arnia, "group", "close", a_group(members=["megalis"]))
    green, amber, red = (
        await an_editor(arnia), await an_editor(arnia, "arnia/close"), await an_editor(arnia, label="RED"),
    )  # fmt: skip
    allowed: dict[str, tuple[Caller, ...]] = {
        "CLEAR": (green, amber, red), "GREEN": (green, amber, red), "AMBER": (amber, red), "RED": (red,),
    }  # fmt: skip
    for label, callers in allowed.items():
        envelope = CLOSE if label == "AMBER" else {"tlp": label}
        for number, by in enumerate((green, amber, red)):
            key = f"{label.lower()}-{number}"
            if by in callers:
                assert (
                    await records.publish(arnia, Solution, a_draft(**envelope), "arnia", key, by=by)
                ).created
            else:
                for dry_run in (False, True):
                    with pytest.raises(Forbidden) as refusal:
                        await records.publish(
                            arnia, Solution, a_draft(**envelope), "arnia", key, by=by, dry_run=dry_run
                        )
                    assert refusal.value.pointer == "/tlp"
                with pytest.raises(NotFound):
                    await records.find(arnia, Solution, "arnia", key, by=itself("arnia"))
    # A group is RED, and one that does not exist is no other answer than one that is hidden.
    missing = {"tlp": "AMBER", "audience": "missing"}
    details = set()
    for envelope in (CLOSE, missing):
        with pytest.raises(Forbidden) as refusal:
            await records.publish(arnia, Solution, a_draft(**envelope), "arnia", "x", by=green)
        details.add(refusal.value.detail)
    assert len(details) == 1
    # Narrowing beyond the ceiling is refused, too; within it, it is not.
    with pytest.raises(Forbidden):
        await records.publish(arnia, Solution, a_draft(tlp="RED"), "arnia", "clear-0", by=green)
    assert (
        await records.publish(arnia, Solution, a_draft(tlp="GREEN"), "arnia", "clear-0", by=green)
    ).changed


async def test_a_hidden_record_is_as_if_it_were_not_there_but_its_key_is_taken(arnia: Node) -> None:
    await publish(arnia, "group", "close", a_group(members=["megalis"]))
    await cve(arnia, affects=ALL)
    for key in ("secret", "gone"):
        await publish(arnia, "solution", key, a_solution(name="Secret"), tlp="RED")
    await records.retract(arnia, Solution, "arnia", "gone", by=itself("arnia"))
    await publish(arnia, "incident", "secret", a_vulnerability(), tlp="RED")
    green, red = await an_editor(arnia), await an_editor(arnia, label="RED")
    update = NewUpdate(text={"fr": "canari"})
    for key in ("secret", "gone", "absent"):
        for act in (
            records.retract(arnia, Solution, "arnia", key, by=green),
            records.patch(arnia, Solution, {"content": {"name": "x"}}, "arnia", key, by=green),
            records.append_update(arnia, update, "arnia", key, by=green),
        ):
            with pytest.raises(NotFound) as refusal:
                await act
            assert "does not exist" in refusal.value.detail
    for key in ("secret", "gone"):
        with pytest.raises(Forbidden) as forbidden:
            await records.publish(arnia, Solution, a_draft(tlp="CLEAR"), "arnia", key, by=green)
        assert "RED" not in forbidden.value.detail
        matching = Preconditions(match=frozenset({"*"}))
        with pytest.raises(Exception, match="does not exist"):
            await records.publish(arnia, Solution, a_draft(), "arnia", key, by=green, preconditions=matching)
    assert (await records.append_update(arnia, update, "arnia", "secret", by=red)).changed
    assert (await records.publish(arnia, Solution, a_draft(tlp="RED"), "arnia", "gone", by=red)).created
    assert (await records.retract(arnia, Solution, "arnia", "secret", by=red)).retracted


async def test_an_upload_of_an_editor_does_nothing_above_their_ceiling(arnia: Node) -> None:
    own = itself("arnia")
    lines: dict[str, Draft[Any] | Retract] = {
        "shown": a_draft(tlp="GREEN"), "secret": a_draft(tlp="RED"), "old": a_draft(tlp="GREEN"),
    }  # fmt: skip
    await records.upload(arnia, Solution, lines, by=own, set_name="all")
    green = await an_editor(arnia)
    plan = UploadPlan(arnia, Solution, by=green, set_name="all", replaces=True)
    outcomes = await plan.add(
        {"secret": a_draft(tlp="GREEN"), "shown": a_draft("Two", tlp="GREEN"), "new": a_draft(tlp="RED")}
    )
    assert isinstance(outcomes["secret"], Forbidden)
    assert isinstance(outcomes["new"], Forbidden)
    async with plan.alone():
        await plan.close()
        assert list(plan.retractions) == ["old"], "what is hidden stays in the set"
        result = await plan.write({"shown": a_draft("Two", tlp="GREEN")})
        assert not isinstance(result["shown"], Exception)
        assert [list(batch) async for batch in plan.retract()] == [["old"]]
    refused = await records.upload(arnia, Solution, {"secret": Retract()}, by=green)
    assert isinstance(refused["secret"], NotFound)
    assert not (await records.find(arnia, Solution, "arnia", "secret", by=own)).retracted
    all_of_it = UploadPlan(arnia, Solution, by=own, set_name="all", replaces=True)
    async with all_of_it.alone():
        await all_of_it.close()
    assert sorted(all_of_it.retractions) == ["secret", "shown"]


def a_deadline(incident: str | None) -> ReportingDeadline:
    return ReportingDeadline(
        title="Report", regimes=("gdpr",), aware_at="2026-11-30T09:00:00Z", incident=incident
    )


async def test_a_deadline_is_for_those_who_may_see_its_incident(arnia: Node) -> None:
    own = itself("arnia")
    await publish(arnia, "incident", "secret", a_vulnerability(), tlp="RED")
    await publish(arnia, "incident", "known", a_vulnerability(), tlp="GREEN")
    for key, incident in (("hidden", "arnia/secret"), ("shown", "arnia/known"), ("none", None)):
        await deadlines.set_deadline(arnia, a_deadline(incident), "arnia", key, by=own)
    green, red = await an_editor(arnia), await an_editor(arnia, label="RED")
    assert {view.key for view in await deadlines.list_deadlines(arnia, by=green)} == {"shown", "none"}
    assert {view.key for view in await deadlines.list_deadlines(arnia, by=red)} == {"shown", "none", "hidden"}
    assert b"hidden" not in await deadlines.calendar(arnia, by=green)
    assert b"hidden" in await deadlines.calendar(arnia, by=red)
    done = CompletedStep(step="gdpr-notification", at="2026-11-30T10:00:00Z")
    for key in ("hidden", "absent"):
        for act in (
            deadlines.find(arnia, "arnia", key, by=green),
            deadlines.complete_step(arnia, done, "arnia", key, by=green),
            deadlines.remove_deadline(arnia, "arnia", key, by=green),
        ):
            with pytest.raises(NotFound, match=f"no deadline {key}"):
                await act
    with pytest.raises(Forbidden):
        await deadlines.set_deadline(arnia, a_deadline(None), "arnia", "hidden", by=green)
    for incident in ("arnia/secret", "arnia/absent"):
        with pytest.raises(Invalid) as refusal:
            await deadlines.set_deadline(arnia, a_deadline(incident), "arnia", "new", by=green)
        assert refusal.value.pointer == "/incident"
    await deadlines.complete_step(arnia, done, "arnia", "shown", by=green)
    await deadlines.remove_deadline(arnia, "arnia", "shown", by=green)
    await deadlines.remove_deadline(arnia, "arnia", "hidden", by=red)
    assert {view.key for view in await deadlines.list_deadlines(arnia, by=own)} == {"none"}
