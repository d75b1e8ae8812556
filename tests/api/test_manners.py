"""What HTTP expects of every answer beside its body: version, rate, other origins, methods, types, dates."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from email.utils import format_datetime
from typing import Any

import httpx2
import msgspec
import pytest
from litestar import Litestar, Request
from litestar.response.base import ASGIResponse

from federation.api.handlers import handles
from federation.domain.values import instant
from federation.domain.visibility import anonymous
from federation.edge.answers import json_answer
from federation.edge.limits import Limits
from federation.edge.operations import ANYONE, KEY, Deprecation, Operation, table
from federation.edge.standing_headers import API_VERSION, NAMES, RATE, standing_headers
from federation.edge.token_buckets import Rate, TokenBucket
from federation.node.node import Node
from federation.server.app import api
from federation.server.observed import ObservedApplication
from federation.telemetry import Metrics
from tests.api.http_client import FORM, put, refused
from tests.domain.builders import a_solution

EVIL = {"origin": "https://evil.example"}
ALLOW_ORIGIN = "access-control-allow-origin"


async def test_every_answer_names_the_version_of_the_contract(own: httpx2.AsyncClient) -> None:
    for path in ("/v1/solutions", "/v1/solutions/arnia/none", "/nowhere", "/health/live", "/docs"):
        assert (await own.get(path)).headers["api-version"] == API_VERSION
    document = msgspec.json.decode((await own.get("/v1/openapi.json")).content)
    assert document["info"]["version"] == API_VERSION


async def test_an_answer_tells_what_is_left_of_the_rate(app: Litestar, anyone: httpx2.AsyncClient) -> None:
    app.state.limits = Limits(anonymous=2, clock=lambda: 0.0)
    try:
        answers = [await anyone.get("/v1/solutions") for _ in range(5)]
        uncounted = await anyone.get("/health/live")
    finally:
        app.state.limits = Limits()
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"requests";q=4;w=2'}
    assert [answer.headers["ratelimit"] for answer in answers] == [
        '"requests";r=3;t=1',
        '"requests";r=2;t=1',
        '"requests";r=1;t=2',
        '"requests";r=0;t=2',
        '"requests";r=0;t=2',
    ]
    refused(answers[-1], 429, "too-many-requests")
    assert "ratelimit" not in uncounted.headers
    assert "ratelimit" not in (await anyone.get("/v1/solutions")).headers  # no limit


async def test_a_page_of_another_origin_reads_what_anybody_reads(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient
) -> None:
    await put(own, "solutions/one", a_solution())
    for path in (
        "/v1/solutions",
        "/v1/solutions/arnia/one",
        "/v1/solutions/arnia/none",
        "/v1/openapi.json",
        "/.well-known/federation",
    ):
        answer = await anyone.get(path, headers=EVIL)
        assert answer.headers[ALLOW_ORIGIN] == "*", path
        assert "etag" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers
    # With a token, and where one is needed, nothing lets another origin in.
    for client, path in ((own, "/v1/solutions"), (own, "/v1/changes"), (anyone, "/v1/changes")):
        assert ALLOW_ORIGIN not in (await client.get(path, headers=EVIL)).headers
    assert ALLOW_ORIGIN not in (await anyone.put("/v1/solutions/arnia/one", json={}, headers=EVIL)).headers
    assert ALLOW_ORIGIN not in (await anyone.post("/oauth2/token", content=b"x=y", headers=FORM)).headers


async def test_a_browser_that_asks_first_learns_that_it_can_read_and_send_no_token(
    anyone: httpx2.AsyncClient,
) -> None:
    def asking(method: str) -> dict[str, str]:
        return {**EVIL, "access-control-request-method": method}

    answer = await anyone.options("/v1/solutions", headers=asking("GET"))
    assert (answer.status_code, answer.headers[ALLOW_ORIGIN]) == (204, "*")
    assert answer.headers["access-control-allow-methods"] == "GET, HEAD"
    assert "authorization" not in answer.headers["access-control-allow-headers"]
    for path, method in (
        ("/v1/solutions", "POST"),
        ("/v1/solutions/arnia/one", "PUT"),
        ("/v1/changes", "GET"),
    ):
        refusal = await anyone.options(path, headers=asking(method))
        assert not [name for name in refusal.headers if name.startswith("access-control-")], path


async def test_head_is_among_the_methods_wherever_get_is(own: httpx2.AsyncClient) -> None:
    for path in ("/v1/solutions", "/v1/solutions/arnia/one", "/docs", "/v1/peers"):
        for answer in (await own.options(path), await own.request("TRACE", path)):
            assert {"GET", "HEAD", "OPTIONS"} <= set(answer.headers["allow"].split(", "))
    assert "HEAD" not in (await own.options("/v1/solutions/bulk")).headers["allow"]
    assert (await own.head("/v1/solutions")).status_code == 200


async def test_the_types_of_body_that_are_read_are_named(own: httpx2.AsyncClient) -> None:
    await put(own, "solutions/one", a_solution())
    path = "/v1/solutions/arnia/one"
    assert (await own.options(path)).headers["accept-patch"] == "application/merge-patch+json"
    assert "application/json" in (await own.options("/v1/solutions")).headers["accept-post"]
    xml = {"content-type": "application/xml"}
    answer = await own.patch(path, content=b"<a/>", headers=xml)
    refused(answer, 415, "unsupported-media-type")
    assert answer.headers["accept-patch"] == "application/merge-patch+json"
    assert (
        "application/json"
        in (await own.post("/v1/solutions", content=b"<a/>", headers=xml)).headers["accept-post"]
    )


async def test_a_record_that_has_not_changed_since_a_date_is_not_sent_again(
    own: httpx2.AsyncClient, arnia: Node
) -> None:
    document = (await put(own, "solutions/one", a_solution())).json()
    path = "/v1/solutions/arnia/one"
    first = await own.get(path)
    modified = first.headers["last-modified"]
    assert modified == format_datetime(instant(document["updated_at"]), usegmt=True)

    async def status(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await own.get(path, headers=named)).status_code

    assert await status(if_modified_since=modified) == 304
    assert await status(if_modified_since="Mon, 01 Jan 2024 00:00:00 GMT") == 200
    for other in (
        "yesterday",
        "Mon, 01 Jan 2124 00:00:00 -0000",  # names no time zone
        "Mon, 01 Jan 2024 00:00:00 +99999999999999999",
        # A revision that arrives late, or is of a clock that was set back, is older than a later date.
        "Mon, 01 Jan 2125 00:00:00 GMT",
    ):
        assert await status(if_modified_since=other) == 200
    # An ETag outranks the date (RFC 9110, 13.1.3).
    assert await status(if_modified_since=modified, if_none_match='"x"') == 200
    assert await status(if_modified_since="yesterday", if_none_match=first.headers["etag"]) == 304


@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"])
async def test_a_token_endpoint_refuses_as_oauth_says(
    app: Litestar, anyone: httpx2.AsyncClient, path: str
) -> None:
    def is_oauth(answer: httpx2.Response, status: int, error: str) -> None:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/json"
        body = answer.json()
        assert body["error"] == error
        assert body["error_description"]
        assert answer.headers["cache-control"] == "no-store"

    is_oauth(await anyone.post(path, content=b"x=" + b"y" * 20_000, headers=FORM), 413, "invalid_request")
    wrong = await anyone.post(path, content=b"{}", headers={"content-type": "application/json"})
    is_oauth(wrong, 415, "invalid_request")
    app.state.limits = Limits(anonymous=1, clock=lambda: 0.0)
    try:
        answers = [await anyone.post(path, content=b"x=y", headers=FORM) for _ in range(60)]
    finally:
        app.state.limits = Limits()
    is_oauth(answers[-1], 429, "temporarily_unavailable")
    assert int(answers[-1].headers["retry-after"]) >= 1


def test_every_operation_that_counts_credentials_of_clients_refuses_as_oauth_says(app: Litestar) -> None:
    for operation in table(app):
        is_endpoint = operation.path.startswith("/oauth2/") and operation.method == "POST"
        assert operation.oauth_errors == is_endpoint, operation.path


GOING = Operation(
    act="going",
    id="",
    method="GET",
    path="/going",
    right=ANYONE,
    tag="node",
    deprecation=Deprecation(date(2027, 1, 1), date(2028, 1, 1), "https://node.example.org/docs"),
)


@handles(GOING)
async def going(request: Request[Any, Any, Any]) -> ASGIResponse:
    """An operation that is to go."""
    return json_answer({}, headers={"link": '</next>; rel="next"'})


@pytest.fixture
async def with_an_end(arnia: Node) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an application with an operation that is to go."""
    app = api(arnia)
    app.register(going)
    transport = httpx2.ASGITransport(app=ObservedApplication(app, Metrics()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://arnia.test") as client:
        yield client


async def test_the_end_of_an_operation_is_announced_with_every_answer(
    with_an_end: httpx2.AsyncClient,
) -> None:
    answer = await with_an_end.get("/going")
    assert answer.headers["deprecation"] == "@1798761600"
    assert answer.headers["sunset"] == "Sat, 01 Jan 2028 00:00:00 GMT"
    links = answer.headers.get_list("link")
    assert '</next>; rel="next"' in links
    assert '<https://node.example.org/docs>; rel="deprecation"; type="text/html"' in links
    assert "deprecation" not in (await with_an_end.get("/v1/solutions")).headers


def test_every_header_that_answers_get_beside_their_own_is_known_by_its_name() -> None:
    """By these names it is noticed that an answer has one itself. It may have links beside the one here."""
    operation = msgspec.structs.replace(GOING, id="going")  # in the contract, so that it is public
    scope = {KEY: operation, RATE: TokenBucket(Rate(10, 20), 0.0), "caller": anonymous("arnia")}
    assert {name for name, _ in standing_headers(scope)} == NAMES | {b"link"}
