"""Lists, and GET and PUT of one record: the answer to each kind of request, by status."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import httpx2
import pytest
from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api import handlers as api_handlers
from federation.domain.content.solution import Solution
from federation.domain.visibility import itself
from federation.edge.limits import Limits
from federation.edge.operations import Operation
from federation.node import records as node_records
from federation.node.node import Node
from federation.server.observed import ObservedApplication
from federation.telemetry import Metrics
from tests.domain.builders import a_body, a_deployment, a_solution
from tests.nodes import a_token, app_of, browsing, publish

Ask = Callable[..., Any]


@pytest.fixture
async def token(arnia: Node) -> dict[str, str]:
    async with browsing(arnia) as client:
        return await a_token(arnia, client)


@pytest.fixture
async def client(arnia: Node) -> AsyncIterator[httpx2.AsyncClient]:
    with app_of(arnia, Limits(rate=10, anonymous=10)) as app:
        transport = httpx2.ASGITransport(app=ObservedApplication(app, Metrics()), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=arnia.url) as browser:
            yield browser


REQUESTS: dict[str, tuple[str, str, dict[str, str], int]] = {
    "a record": ("GET", "/v1/solutions/arnia/glpi", {}, 200),
    "its head": ("HEAD", "/v1/solutions/arnia/glpi", {}, 200),
    "a record that is had": ("GET", "/v1/solutions/arnia/glpi", {"if-none-match": "*"}, 304),
    "a record that is not there": ("GET", "/v1/solutions/arnia/none", {}, 404),
    "a record of nobody": ("GET", "/v1/solutions/nobody/glpi", {}, 404),
    "a retracted record": ("GET", "/v1/solutions/arnia/gone", {}, 410),
    "no key": ("GET", "/v1/solutions/arnia/%20", {}, 400),
    "no origin": ("GET", "/v1/solutions//glpi", {}, 404),
    "a slash at the end": ("GET", "/v1/solutions/arnia/glpi/", {}, 200),
    "an encoded slash": ("GET", "/v1/solutions/arnia%2Fglpi", {}, 200),
    "no collection": ("GET", "/v1/nothing/arnia/glpi", {}, 404),
    "another method": ("PATCH", "/v1/solutions/arnia/glpi", {}, 415),
    "a body": ("GET", "/v1/solutions/arnia/glpi", {"content-length": "3"}, 400),
    "a long query": ("GET", f"/v1/solutions/arnia/glpi?{'x' * 9_000}", {}, 413),
    "a token that is none": ("GET", "/v1/solutions/arnia/glpi", {"authorization": "Bearer x"}, 401),
    "another scheme": ("GET", "/v1/solutions/arnia/glpi", {"authorization": "Basic x"}, 401),
    "a host that is none": ("GET", "/v1/solutions/arnia/glpi", {"host": "a b"}, 400),
    "a list": ("GET", "/v1/solutions", {}, 200),
    "its first page": ("GET", "/v1/solutions?limit=1&q=glpi&total=true", {}, 200),
    "a page that is encoded": ("GET", "/v1/solutions?q=%C3%A9&limit=%31", {}, 200),
    "the head of a list": ("HEAD", "/v1/solutions", {}, 200),
    "a list with its provenance": ("GET", "/v1/solutions", {"prefer": "provenance"}, 200),
    "a list of nothing": ("GET", "/v1/solutions?origin=nobody", {}, 200),
    "a list with a slash at the end": ("GET", "/v1/solutions/", {}, 200),
    "a list of what there is not": ("GET", "/v1/nothing", {}, 404),
    "a list by what there is not": ("GET", "/v1/solutions?colour=red", {}, 400),
    "a list by a question that is none": ("GET", "/v1/solutions?q=%FF", {}, 400),
    "a list in a form that there is not": ("GET", "/v1/solutions", {"accept": "text/csv"}, 200),
    "a list with a body": ("GET", "/v1/solutions", {"content-length": "3"}, 400),
    "a list with a token that is none": ("GET", "/v1/solutions", {"authorization": "Bearer x"}, 401),
}


async def test_a_step_around_all_operations_is_on_every_answer(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A marker around the sequence is on every answer, refusals too."""
    respond = api_handlers.respond

    async def marked(operation: Operation, function: Any, request: Request[Any, Any, Any]) -> ASGIResponse:
        response = await respond(operation, function, request)

        async def send_marked(scope: Any, receive: Any, send: Any) -> None:
            async def with_marker(message: Any) -> None:
                if message["type"] == "http.response.start":
                    message = {**message, "headers": [*message["headers"], (b"x-marker", b"around")]}
                await send(message)

            await response(scope, receive, with_marker)

        return cast("ASGIResponse", send_marked)

    monkeypatch.setattr(api_handlers, "respond", marked)
    for path in ("/v1/solutions", "/v1/solutions/arnia/none", "/v1/peers", "/health/live"):
        assert (await client.get(path)).headers.get_list("x-marker") == ["around"], path


@pytest.mark.parametrize(("method", "path", "headers", "status"), REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("own", [True, False], ids=["own", "anonymous"])
async def test_a_request_for_records_is_answered_with_its_status(
    arnia: Node,
    client: httpx2.AsyncClient,
    token: dict[str, str],
    own: bool,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
) -> None:
    await publish(arnia, "solution", "glpi", a_solution())
    await publish(arnia, "solution", "gone", a_solution())
    await node_records.retract(arnia, Solution, "arnia", "gone", by=itself("arnia"))
    answer = await client.request(method, path, headers={**(token if own else {}), **headers})
    if own or method == "GET":
        assert answer.status_code == status
    else:
        assert answer.status_code in (status, 401)


JSON = {"content-type": "application/json"}
SAME = a_body(a_solution())
OTHER = a_body(a_solution(name="Another"))
WRITES: dict[str, tuple[str, dict[str, str], bytes, int]] = {
    "what is there already": ("arnia/glpi", JSON, SAME, 200),
    "what a change would do": ("arnia/glpi?dry_run=true", JSON, OTHER, 200),
    "a question that is none": ("arnia/glpi?dry=true", JSON, OTHER, 400),
    "a member that is none": ("arnia/glpi", JSON, b'{"content":{"nome":"x"}}', 400),
    "no JSON": ("arnia/glpi", JSON, b"{", 400),
    "no body": ("arnia/glpi", JSON, b"", 400),
    "another form": ("arnia/glpi", {"content-type": "text/plain"}, SAME, 415),
    "a compressed body": ("arnia/glpi", {**JSON, "content-encoding": "gzip"}, SAME, 415),
    "too long a body": ("arnia/glpi", JSON, b" " * 1_048_577, 413),
    "a revision that is gone": ("arnia/glpi", {**JSON, "if-match": '"0"'}, OTHER, 412),
    "one that is to be new": ("arnia/glpi", {**JSON, "if-none-match": "*"}, OTHER, 412),
    "another operator's": ("megalis/glpi", JSON, SAME, 403),
    "no key": ("arnia/%20", JSON, SAME, 400),
    "a token that is none": ("arnia/glpi", {**JSON, "authorization": "Bearer x"}, SAME, 401),
}


@pytest.mark.parametrize(("path", "headers", "body", "status"), WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("own", [True, False], ids=["own", "anonymous"])
async def test_a_write_that_changes_nothing_is_answered_with_its_status(
    arnia: Node,
    client: httpx2.AsyncClient,
    token: dict[str, str],
    own: bool,
    path: str,
    headers: dict[str, str],
    body: bytes,
    status: int,
) -> None:
    await publish(arnia, "solution", "glpi", a_solution())
    held = await node_records.find(arnia, Solution, "arnia", "glpi", by=itself("arnia"))
    answer = await client.put(
        f"/v1/solutions/{path}", headers={**(token if own else {}), **headers}, content=body
    )
    if own:
        assert answer.status_code == status
    else:
        assert answer.status_code == (status if status in (413, 415) else 401)
    assert await node_records.find(arnia, Solution, "arnia", "glpi", by=itself("arnia")) == held


async def test_a_record_and_its_revision_are_stored(
    arnia: Node, client: httpx2.AsyncClient, token: dict[str, str]
) -> None:
    path = "/v1/solutions/arnia/new"
    for body, status in ((SAME, 201), (OTHER, 200)):
        answer = await client.put(path, headers={**token, **JSON}, content=body)
        found = await client.get(path, headers=token)
        assert answer.status_code == status
        assert answer.headers["etag"] == found.headers["etag"]
        assert answer.headers.get("location") == (f"{arnia.url}{path}" if status == 201 else None)
        assert answer.content == found.content


async def test_a_client_that_only_reads_does_not_write(arnia: Node, client: httpx2.AsyncClient) -> None:
    weak = await a_token(arnia, client, "solutions.read", name="weak")
    refused = await client.put("/v1/solutions/arnia/glpi", headers={**weak, **JSON}, content=SAME)
    assert refused.status_code == 403


async def test_what_may_not_be_seen_is_not_there(
    arnia: Node, client: httpx2.AsyncClient, token: dict[str, str]
) -> None:
    await publish(arnia, "deployment", "d1", a_deployment())
    hidden = await client.get("/v1/deployments/arnia/d1")
    absent = await client.get("/v1/deployments/arnia/d2")
    assert (hidden.status_code, absent.status_code) == (404, 404)
    assert hidden.text.replace("d1", "d2") == absent.text
    assert (await client.get("/v1/deployments/arnia/d1", headers=token)).status_code == 200


async def test_a_list_has_no_more_than_may_be_seen(
    arnia: Node, client: httpx2.AsyncClient, token: dict[str, str]
) -> None:
    await publish(arnia, "solution", "glpi", a_solution())
    await publish(arnia, "solution", "canary", a_solution(), tlp="RED")
    for headers, keys in (({}, ["glpi"]), (token, ["canary", "glpi"])):
        items = (await client.get("/v1/solutions?sort=id", headers=headers)).json()["items"]
        assert [one["key"] for one in items] == keys


@pytest.mark.parametrize("path", ["/v1/solutions/arnia/glpi", "/v1/solutions"])
async def test_a_token_without_the_scope_is_refused(
    arnia: Node, client: httpx2.AsyncClient, path: str
) -> None:
    weak = await a_token(arnia, client, "deployments.read", name="weak")
    assert (await client.get(path, headers=weak)).status_code == 403


@pytest.mark.parametrize("path", ["/v1/solutions/arnia/glpi", "/v1/solutions"])
async def test_the_rate_is_limited(
    arnia: Node, client: httpx2.AsyncClient, token: dict[str, str], path: str
) -> None:
    await publish(arnia, "solution", "glpi", a_solution())
    statuses = [(await client.get(path, headers=token)).status_code for _ in range(40)]
    assert statuses[0] == 200
    assert 429 in statuses


async def test_a_bug_is_told_without_internals(
    arnia: Node,
    client: httpx2.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("what nobody should read")

    monkeypatch.setattr(node_records, "find", broken)
    answer = await client.get("/v1/solutions/arnia/glpi")
    assert answer.status_code == 500
    assert b"nobody" not in answer.content
