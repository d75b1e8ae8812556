"""Reports of uploads and of replaced sets, as nodes of different versions answer them."""

from __future__ import annotations

import httpx2
import msgspec
import pytest

from federation.client import Conflict, UnexpectedAnswer, UploadIncomplete
from federation.client import sender as sender_module
from federation.client.uploads import MAX_REFUSALS, MAX_UPLOAD_ATTEMPTS, RefusedRecord, UploadReport
from federation.domain.content.solution import Solution
from tests.client.test_sender import FakeNode, calling, problem
from tests.domain.builders import a_solution

GLPI = msgspec.convert(a_solution(), Solution)
SUMMARY = {"received": 2, "created": 1, "revised": 0, "unchanged": 0, "refused": 1, "later": 7}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits take no time."""
    monkeypatch.setattr(sender_module, "FIRST_WAIT_SECONDS", 0.0)


def report(*lines: object) -> httpx2.Response:
    return httpx2.Response(200, content=b"".join(msgspec.json.encode(line) + b"\n" for line in lines))


async def test_a_report_of_any_version_is_read() -> None:
    fault = {"pointer": "/content/name", "detail": "too short", "code": "length"}
    for line in (
        {"line": 2, "status": 400, "title": "t", "detail": "too short", "pointer": "/content/name"},
        {"line": 2, "status": 400, "title": "t", "detail": "too short", "code": "invalid", "errors": [fault]},
    ):
        node = FakeNode(report(line, {"summary": SUMMARY}))
        async with calling(node) as client:
            done = await client.solutions.upload([("one", GLPI), ("two", GLPI)], set_name="inventory")
        assert (done.received, done.created, done.refused) == (2, 1, 1)
        (refused,) = done.refusals
        assert (refused.number, refused.key, refused.errors[0].pointer) == (2, "two", "/content/name")
        assert dict(node.requests[0].url.params) == {"set": "inventory"}


async def test_a_report_without_its_summary_is_asked_for_again() -> None:
    cut = report({"line": 1, "status": 503, "title": "t", "detail": "the database is away"})
    node = FakeNode(cut, httpx2.ReadError("reset"), report({"summary": SUMMARY}))
    async with calling(node) as client:
        assert (await client.solutions.upload([("one", GLPI)])).created == 1
    bodies = {request.content for request in node.requests}
    assert len(node.requests) == 3
    assert len(bodies) == 1
    node = FakeNode(*[cut] * MAX_UPLOAD_ATTEMPTS)
    async with calling(node) as client:
        with pytest.raises(UploadIncomplete, match="the database is away"):
            await client.solutions.upload([("one", GLPI)])
    async with calling(FakeNode(httpx2.Response(200, text="<html>"))) as client:
        with pytest.raises(UnexpectedAnswer):
            await client.solutions.upload([("one", GLPI)])


def test_the_refusals_of_a_report_are_bounded_and_all_are_counted() -> None:
    refusal = RefusedRecord(number=1, status=400, title="t", detail="d")
    whole = UploadReport()
    for _ in range(3):
        whole.add(UploadReport(refused=MAX_REFUSALS - 1, refusals=[refusal] * (MAX_REFUSALS - 1)))
    assert whole.refused == 3 * (MAX_REFUSALS - 1)
    assert len(whole.refusals) == MAX_REFUSALS


PLAN = {
    "refused": [],
    "summary": {"received": 1, "created": 0, "revised": 0, "unchanged": 1, "retracted": 1, "refused": 0},
    "digest": "d" * 64,
    "retracts": ["two"],
    "removals": [{"audience": "public", "removed": 1, "live": 2, "pauses": True}],
}


async def test_a_replacement_is_tried_first_and_done_with_the_digest_of_its_plan() -> None:
    node = FakeNode(httpx2.Response(200, json=PLAN), httpx2.Response(200, json={"summary": PLAN["summary"]}))
    async with calling(node) as client:
        plan = await client.solutions.plan_replacement("inventory", 1, [("one", GLPI)])
        assert (plan.digest, plan.retracts, plan.pauses_peers) == ("d" * 64, ("two",), True)
        assert (plan.summary.unchanged, plan.summary.retracted) == (1, 1)
        assert (await plan.carry_out()).retracted == 1
    dry, real = node.requests
    assert dry.content.splitlines()[0] == b'{"records":1}'
    assert dry.content == real.content
    assert dict(dry.url.params) == {"set": "inventory", "replace": "true", "dry_run": "true"}
    assert dict(real.url.params) == {"set": "inventory", "replace": "true", "digest": "d" * 64}


async def test_a_replacement_that_may_be_done_is_told_apart_from_one_that_is_not() -> None:
    changed = problem(409, "plan-changed")
    plan = httpx2.Response(200, json=PLAN)
    async with calling(FakeNode(plan, changed)) as client:
        with pytest.raises(Conflict):
            await (await client.solutions.plan_replacement("inventory", 1, [("one", GLPI)])).carry_out()
    async with calling(FakeNode(plan, httpx2.ReadError("reset"), changed)) as client:
        with pytest.raises(UploadIncomplete, match="plan again"):
            await (await client.solutions.plan_replacement("inventory", 1, [("one", GLPI)])).carry_out()
    refused = {**PLAN, "digest": None, "refused": [{"line": 2, "status": 400, "title": "t", "detail": "d"}]}
    async with calling(FakeNode(httpx2.Response(200, json=refused))) as client:
        trial = await client.solutions.plan_replacement("inventory", 1, [("one", GLPI)])
        assert trial.refusals[0].number == 2
        with pytest.raises(ValueError, match="refused"):
            await trial.carry_out()
