"""Every refusal is a problem (RFC 9457) that says what can be done, and nothing of the inside."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx2
import pytest
from litestar import Litestar, Request
from litestar.response.base import ASGIResponse

from federation.api.handlers import handles
from federation.api.operations import ANYONE, Operation
from federation.api.problem_details import STATUS
from federation.api.problems import PROBLEMS
from federation.domain import errors
from federation.node.node import Node
from federation.server.app import api
from federation.server.observed import ObservedApplication
from federation.telemetry import Metrics
from tests.api.http_client import JSON, executed, fine, put, refused
from tests.domain.builders import a_solution
from tests.waiting import until


def kinds(kind: type[errors.Refused] = errors.Refused) -> Iterator[type[errors.Refused]]:
    for inner in kind.__subclasses__():
        yield inner
        yield from kinds(inner)


def test_every_refusal_has_a_status_and_a_page() -> None:
    raised = {kind for kind in kinds() if kind is not errors.CursorRefused}
    assert raised == set(STATUS)
    assert all(400 <= status < 600 for status in STATUS.values())
    for kind, status in STATUS.items():
        assert PROBLEMS[kind.code].status == status


async def test_every_problem_has_a_page_at_the_node(anyone: httpx2.AsyncClient) -> None:
    for code, problem in PROBLEMS.items():
        page = await anyone.get(f"/problems/{code}")
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert code in page.text
        assert str(problem.status) in page.text
    refused(await anyone.get("/problems/none-such"), 404, "not-found")
    refused(await anyone.get("/problems/%3Cscript%3E"), 404, "not-found")


async def test_the_page_that_a_refusal_names_is_served(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient
) -> None:
    answers = [
        await anyone.get("/v1/solutions/arnia/none"),
        await anyone.get("/nowhere"),
        await anyone.request("TRACE", "/v1/solutions"),
        await anyone.get("/v1/changes"),
        await own.put("/v1/solutions/megalis/x", json={}),
        await own.put("/v1/solutions/arnia/x", content=b"{", headers=JSON),
        await own.put("/v1/solutions/arnia/x", content=b"{"),
    ]
    for answer in answers:
        told = answer.json()
        assert told["help"] == f"http://arnia.test/problems/{told['code']}"
        assert (await anyone.get(told["help"])).status_code == 200
        assert answer.headers["cache-control"] == "no-store"


async def test_what_the_framework_refuses_is_a_problem_too(anyone: httpx2.AsyncClient) -> None:
    for path in ("/nowhere", "/v1", "/v1/solutions/arnia", "/v1/solutions/arnia/a/b", "/v1/colours"):
        refused(await anyone.get(path), 404, "not-found")
    for method, path in (("DELETE", "/v1/solutions"), ("PUT", "/v1/feeds"), ("POST", "/health/live"),
                         ("PATCH", "/oauth2/token"), ("GET", "/oauth2/token")):  # fmt: skip
        answer = await anyone.request(method, path)
        refused(answer, 405, "method-not-allowed")
        assert method not in answer.headers["allow"]


async def test_a_bug_is_told_without_internals(
    app: Litestar, arnia: Node, caplog: pytest.LogCaptureFixture
) -> None:
    @handles(Operation(act="boom", id="", method="GET", path="/boom", right=ANYONE, tag="node"))
    async def boom(request: Request[Any, Any, Any]) -> ASGIResponse:
        raise RuntimeError("secret inside /etc/passwd")

    broken = api(arnia)
    broken.register(boom)
    transport = httpx2.ASGITransport(app=ObservedApplication(broken, Metrics()), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=arnia.url) as client:
        answer = await client.get("/boom")
        refused(answer, 500, "internal-error")
        for inside in ("secret", "passwd", "RuntimeError", "Traceback", "boom"):
            assert inside not in answer.text
        assert "RuntimeError: secret inside" in caplog.text
        assert (await client.get("/health/live")).status_code == 200


async def test_a_broken_database_is_told_without_internals(own: httpx2.AsyncClient, dsn: str) -> None:
    await executed(dsn, "ALTER TABLE records RENAME TO elsewhere")
    try:
        answers = [
            await own.get("/v1/solutions"),
            await own.get("/v1/solutions/arnia/x"),
            await put(own, "solutions/x", a_solution()),
        ]
    finally:
        await executed(dsn, "ALTER TABLE elsewhere RENAME TO records")
    for answer in answers:
        assert answer.status_code >= 500
        for inside in ("records", "relation", "asyncpg", "SELECT"):
            assert inside not in answer.text


async def test_a_request_whose_connection_the_database_ends_can_be_tried_again(
    own: httpx2.AsyncClient, dsn: str
) -> None:
    """A restart of PostgreSQL ends what is under way: 503 with Retry-After, and nothing half done."""
    await put(own, "solutions/x", a_solution())
    blocker = await asyncpg.connect(dsn)
    try:
        async with blocker.transaction():
            await blocker.execute("SELECT 1 FROM records FOR UPDATE")
            writing = asyncio.ensure_future(put(own, "solutions/x", a_solution(status="beta")))

            async def ended() -> bool:
                await blocker.execute("SELECT pg_stat_clear_snapshot()")
                return bool(
                    await blocker.fetchval(
                        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                        " WHERE application_name = 'federation' AND wait_event_type = 'Lock'"
                    )
                )

            await until(ended)
            answer = await writing
    finally:
        await blocker.close()
    refused(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "2"
    assert fine(await own.get("/v1/solutions/arnia/x"), 200)["revision"] == 1
    assert (await put(own, "solutions/x", a_solution(status="beta"))).status_code == 200
