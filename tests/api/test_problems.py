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
from federation.api.openapi import document
from federation.api.problems import PROBLEMS
from federation.domain import errors
from federation.domain.faults import FAULT_CODES
from federation.edge.operations import ANYONE, Operation
from federation.edge.statuses import CODES, STATUS
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


async def test_the_type_of_a_problem_is_the_same_at_every_node_and_its_code_is_published(
    anyone: httpx2.AsyncClient, app: Litestar
) -> None:
    told = refused(await anyone.get("/v1/solutions/arnia/none"), 404, "not-found")
    assert told["type"] == "urn:federation:problem:not-found"
    schema = document(app, "https://any.example.org")["components"]["schemas"]
    assert set(schema["Problem"]["properties"]["code"]["x-extensible-enum"]) == set(PROBLEMS) == set(CODES)
    assert tuple(schema["FaultDetail"]["properties"]["code"]["x-extensible-enum"]) == FAULT_CODES


async def test_a_refusal_is_in_the_language_that_the_caller_reads(own: httpx2.AsyncClient) -> None:
    body = {"content": a_solution(status="Stable", homepage="ftp://example.org", summary="x")}
    answers = {}
    for header in ("fr-FR,fr;q=0.9,en;q=0.8", "en", "de", "nl, fr;q=0.1, en;q=0.5"):
        headers = {"accept-language": header}
        answer = await own.put("/v1/solutions/arnia/x", json=body, headers=headers)
        answers[header] = refused(answer, 400, "invalid")
        assert answer.headers["content-language"] == ("fr" if header.startswith("fr") else "en")
        assert "accept-language" in answer.headers["vary"].lower()
    french, *english = answers.values()
    assert english[0] == english[1] == english[2]
    assert english[0]["title"] == "The request is not valid"
    assert french["title"] == "La demande n'est pas valable"
    assert [fault["detail"] for fault in french["errors"]] == [
        "attendu : un objet, et c'est un texte",
        "Stable n'est pas l'une de ces valeurs : beta, concept, development, obsolete, stable",
        "attendu : l'adresse d'une page, comme https://forge.example.org/proprietaire/nom ; elle commence par"
        " ftp:",
    ]

    def sides(told: dict[str, Any]) -> list[tuple[str, str]]:
        return [(fault["pointer"], fault["code"]) for fault in told["errors"]]

    assert sides(french) == sides(english[0])
    assert french["errors"][1]["allowed"] == ["beta", "concept", "development", "obsolete", "stable"]


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/v1/solutions?status=Stable&colour=red", 400, "ne peut pas être demandé ici"),
        ("GET", "/v1/solutions/arnia/none", 404, "il n'y a pas de solution arnia/none"),
        ("GET", "/nowhere", 404, "ce chemin n'existe pas ici"),
        ("DELETE", "/v1/solutions", 405, "Le chemin ne prend pas cette méthode"),
        ("GET", "/v1/changes", 401, "un jeton de portée changes.read est nécessaire"),
        ("GET", f"/v1/solutions?q={'x' * 8_200}", 413, "8192 octets"),
    ],
)
async def test_whatever_refuses_it_does_so_in_french_where_that_is_asked_for(
    anyone: httpx2.AsyncClient, method: str, path: str, status: int, words: str
) -> None:
    answer = await anyone.request(method, path, headers={"accept-language": "fr"})
    assert answer.status_code == status
    assert words in answer.text
    assert answer.headers["content-language"] == "fr"


async def test_the_page_of_a_problem_has_its_title_in_both_languages(anyone: httpx2.AsyncClient) -> None:
    page = await anyone.get("/problems/retracted")
    assert "The record has been retracted" in page.text
    assert "L&#x27;enregistrement a été retiré" in page.text
