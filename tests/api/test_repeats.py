"""Requests that are sent again: each is carried out once, whoever gives up waiting for its answer."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import httpx2
import pytest
from litestar import Request

from federation.api.examples import DRAFTS, SUBSCRIPTION
from federation.api.handlers import respond
from federation.api.idempotency import key_of
from federation.domain import repeat
from federation.domain.errors import Invalid
from federation.domain.registry import TYPES
from federation.domain.repeat import MAX_KEY_CHARACTERS, RequestName
from federation.edge.answers import answer
from federation.edge.operations import Operation, Right
from federation.node import repeats
from federation.node.node import Node
from federation.server import maintenance
from federation.store.record_writes import RecordsWriter
from tests.api.conftest import clicking
from tests.api.http_client import Case, fine, left_behind, operations, put, refused
from tests.chaos.started import started_node, stuck
from tests.domain.builders import a_deployment, a_solution, an_incident
from tests.nodes import a_token
from tests.store.stepwise_transactions import looking
from tests.waiting import MAX_WAIT_SECONDS

KEY = {"idempotency-key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}
AT = "/v1/incidents/arnia/2026-0042"
POSTS = [case for case in operations() if case.method == "POST"]
WITHOUT_KEY = {
    "token": "a token that is not used costs nothing, and its answer is a secret",
    "revoke": "revoked again is revoked",
    "introspect": "writes nothing",
    "join": "its invitation is good for one use, and the caller has no other name",
    "upload": "each line has its key: what is stored is unchanged the second time",
    "import_advisories": "each incident is found by its advisory: it is unchanged the second time",
    "replay": "the alert is sent again under its one id",
    "activate": "sets the state of a peer",
    "suspend": "sets the state of a peer",
    "resume": "sets the state of a peer",
    "retry": "sets the state of a peer",
    "leave": "sets the state of a peer",
    "confirm": "sets the state of a peer",
    "receipt": "the newest receipt of a peer counts, for as much as it says",
    "feedback": "one line for each entry and peer",
    "import_file": "each record is found by what the source gave: it is unchanged the second time",
    "run_source": "the same as for a file",
    "add_source": "a name that is there is refused",
    "receive_events": "an event that is known changes nothing",
}
"""Operations that make nothing twice, and why."""


async def stored_answers(node: Node) -> list[Any]:
    async with node.store.read() as tx:
        rows: list[Any] = await tx.records._session.connection.fetch("SELECT * FROM stored_answers")
        return rows


async def count(node: Node, table: str = "records") -> int:
    async with node.store.read() as tx:
        found: int = await tx.records._session.connection.fetchval(f"SELECT count(*) FROM {table}")
        return found


@pytest.fixture
async def incident(own: httpx2.AsyncClient) -> None:
    fine(await put(own, "incidents/2026-0042", an_incident(), tlp="CLEAR"), 201)


# The key


def with_header(*values: str) -> Any:
    headers = [(b"idempotency-key", value.encode()) for value in values]
    scope: Any = {"type": "http", "headers": headers}
    return Request(scope)


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ('"8e03978e-40d5"', "8e03978e-40d5"),
        ("8e03978e-40d5", "8e03978e-40d5"),
        ('"a,b;c(d)"', "a,b;c(d)"),
        (f'"{"x" * MAX_KEY_CHARACTERS}"', "x" * MAX_KEY_CHARACTERS),
    ],
)
def test_a_key_is_a_string_in_quotes_or_without_them(header: str, key: str) -> None:
    assert key_of(with_header(header)) == key


@pytest.mark.parametrize(
    "headers",
    [("",), ('""',), ('"a',), ("a,b",), ('"a";p=1',), ('"a b"',), ('"é"',), ("x" * (MAX_KEY_CHARACTERS + 1),),
     ('"a"', '"a"')],
)  # fmt: skip
def test_a_key_that_cannot_be_read_is_refused(headers: tuple[str, ...]) -> None:
    with pytest.raises(Invalid, match="Idempotency-Key"):
        key_of(with_header(*headers))


def test_a_request_without_a_key_has_none() -> None:
    assert key_of(with_header()) is None


@pytest.mark.parametrize("case", POSTS, ids=repr)
def test_every_post_takes_a_key_or_there_is_a_reason_why_it_need_not(case: Case) -> None:
    assert case.operation.takes_key != (case.act in WITHOUT_KEY)
    named = [parameter.name for parameter in case.operation.parameters]
    assert ("Idempotency-Key" in named) == case.operation.takes_key


# Carried out once


def requests_with_key() -> list[tuple[str, dict[str, Any]]]:
    return [
        *((f"/v1/{kind.plural}", DRAFTS[kind.type]) for kind in TYPES.values()),
        ("/v1/deployments/arnia/d1/version", {"version": "10.0.18"}),
        (f"{AT}/updates", {"text": {"fr": "Toujours là"}}),
    ]


@pytest.mark.parametrize(("path", "body"), requests_with_key(), ids=lambda value: str(value)[:50])
async def test_a_request_with_the_same_key_is_carried_out_once_and_answered_as_the_first_time(
    own: httpx2.AsyncClient, arnia: Node, incident: None, path: str, body: dict[str, Any]
) -> None:
    fine(await put(own, "solutions/glpi", a_solution()), 201)
    fine(await put(own, "deployments/d1", a_deployment()), 201)
    first = await own.post(path, json=body, headers=KEY)
    assert first.status_code in (200, 201), first.text
    before = await left_behind(arnia)
    again = await own.post(path, json=body, headers=KEY)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    for name in ("etag", "location", "content-type", "cache-control"):
        assert again.headers.get(name) == first.headers.get(name), name
    assert await left_behind(arnia) == before
    another = await own.post(path, json=body, headers={"idempotency-key": '"another"'})
    assert another.status_code == first.status_code
    if not path.endswith("/version"):
        assert another.content != first.content
        assert await left_behind(arnia) != before


async def test_a_request_without_a_key_is_carried_out_each_time(own: httpx2.AsyncClient, arnia: Node) -> None:
    body = {"content": a_solution()}
    assert {(await own.post("/v1/solutions", json=body)).status_code for _ in range(2)} == {201}
    assert await count(arnia) == 2
    assert await stored_answers(arnia) == []


async def test_the_first_answer_is_repeated_although_the_record_has_gone_on(
    own: httpx2.AsyncClient, arnia: Node
) -> None:
    first = await own.post("/v1/solutions", json={"content": a_solution()}, headers=KEY)
    key = first.json()["key"]
    fine(await put(own, f"solutions/{key}", a_solution(status="beta")), 200)
    fine(await own.delete(f"/v1/solutions/arnia/{key}"), 204)
    again = await own.post("/v1/solutions", json={"content": a_solution()}, headers=KEY)
    assert (again.status_code, again.content) == (201, first.content)


async def test_a_key_is_that_of_one_caller_and_one_operation(
    own: httpx2.AsyncClient, arnia: Node, app: Any
) -> None:
    body = {"content": a_solution()}
    async with clicking(app) as other:
        other.headers.update(await a_token(arnia, other, name="other"))
        assert (await own.post("/v1/solutions", json=body, headers=KEY)).status_code == 201
        assert (await other.post("/v1/solutions", json=body, headers=KEY)).status_code == 201
    draft = DRAFTS["operator"]
    assert (await own.post("/v1/operators", json=draft, headers=KEY)).status_code == 201
    assert await count(arnia) == 3


async def test_a_key_of_another_request_is_refused(
    own: httpx2.AsyncClient, arnia: Node, incident: None
) -> None:
    fine(await put(own, "incidents/other", an_incident(), tlp="CLEAR"), 201)
    body = {"content": a_solution()}
    fine(await own.post("/v1/solutions", json=body, headers=KEY), 201)
    line = {"text": {"fr": "Toujours là"}}
    fine(await own.post(f"{AT}/updates", json=line, headers=KEY), 200)
    before = await left_behind(arnia)
    other = {"content": a_solution(name="Another")}
    refused(await own.post("/v1/solutions", json=other, headers=KEY), 422, "idempotency-key-reused")
    elsewhere = await own.post("/v1/incidents/arnia/other/updates", json=line, headers=KEY)
    refused(elsewhere, 422, "idempotency-key-reused")
    assert await left_behind(arnia) == before
    fine(await own.post("/v1/solutions", json=body, headers=KEY), 201)


async def test_a_refusal_is_not_stored(own: httpx2.AsyncClient, arnia: Node) -> None:
    refused(await own.post("/v1/solutions", json={"content": {}}, headers=KEY), 400, "invalid")
    nowhere = {"content": a_solution(), "tlp": "AMBER", "audience": "nobody"}
    refused(await own.post("/v1/solutions", json=nowhere, headers=KEY), 400, "invalid")
    assert await stored_answers(arnia) == []
    fine(await own.post("/v1/solutions", json={"content": a_solution()}, headers=KEY), 201)


async def test_a_dry_run_is_not_stored(own: httpx2.AsyncClient, arnia: Node) -> None:
    body = {"content": a_solution()}
    for _ in range(2):
        preview = fine(await own.post("/v1/solutions?dry_run=true", json=body, headers=KEY), 200)
        assert preview["dry_run"] is True
    assert (await stored_answers(arnia), await count(arnia)) == ([], 0)
    fine(await own.post("/v1/solutions", json=body, headers=KEY), 201)
    fine(await own.post("/v1/solutions?dry_run=true", json=body, headers=KEY), 200)


async def test_a_key_that_cannot_be_read_changes_nothing(own: httpx2.AsyncClient, arnia: Node) -> None:
    answer = await own.post(
        "/v1/solutions", json={"content": a_solution()}, headers={"idempotency-key": '"a'}
    )
    assert "Idempotency-Key" in refused(answer, 400, "invalid")["detail"]
    assert await count(arnia) == 0


# At the same time, and half done


async def test_a_request_that_is_being_carried_out_is_not_carried_out_again(
    own: httpx2.AsyncClient, arnia: Node, dsn: str
) -> None:
    body = {"content": a_solution()}
    name = str(RequestName("client-own", "publishNewSolution", KEY["idempotency-key"].strip('"')))
    async with looking(dsn) as other:
        await other.execute("SELECT pg_advisory_lock(hashtextextended($1, 20261201))", name)
        refused(await own.post("/v1/solutions", json=body, headers=KEY), 409, "request-in-progress")
        assert await count(arnia) == 0
    fine(await own.post("/v1/solutions", json=body, headers=KEY), 201)


async def test_of_many_at_the_same_time_one_is_carried_out(own: httpx2.AsyncClient, arnia: Node) -> None:
    body = {"content": a_solution()}
    answers = await asyncio.gather(*(own.post("/v1/solutions", json=body, headers=KEY) for _ in range(6)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert await count(arnia) == 1


async def test_the_answer_is_stored_with_the_record_or_not_at_all(
    own: httpx2.AsyncClient, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"content": a_solution()}
    with monkeypatch.context() as broken:

        async def fail(*_: object, **__: object) -> None:
            raise RuntimeError("the process fails")

        broken.setattr(RecordsWriter, "upsert", fail)
        refused(await own.post("/v1/solutions", json=body, headers=KEY), 500, "internal-error")
    assert (await stored_answers(arnia), await count(arnia)) == ([], 0)
    fine(await own.post("/v1/solutions", json=body, headers=KEY), 201)
    assert (len(await stored_answers(arnia)), await count(arnia)) == (1, 1)


async def test_an_operation_that_declares_a_key_and_stores_no_answer_fails(
    own: httpx2.AsyncClient, app: Any
) -> None:
    """Else its callers would believe that they are safe."""
    operation = Operation(
        act="x", id="x", method="POST", path="/x", right=Right("solutions.write"), tag="node", takes_key=True
    )

    async def function(request: Any) -> Any:
        return answer(b"{}")

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    def asked(*headers: tuple[bytes, bytes]) -> Any:
        scope: Any = {
            "type": "http", "method": "POST", "path": "/x", "query_string": b"", "path_params": {},
            "litestar_app": app, "client": ("127.0.0.1", 1),
            "headers": [(b"authorization", own.headers["authorization"].encode()), *headers],
        }  # fmt: skip
        return Request(scope, receive=receive)

    forgotten = await respond(operation, function, asked((b"idempotency-key", b'"a"')))
    assert forgotten.status_code == 500
    assert (await respond(operation, function, asked())).status_code == 200


# Kills


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="ends processes with their parent, by prctl")
async def test_a_request_that_was_killed_before_its_commit_is_carried_out_by_its_repeat(dsn: str) -> None:
    body = {"content": a_solution()}
    async with looking(dsn) as other:
        async with started_node("arnia", dsn) as (pid, client), other.transaction():
            # The lock of numbering: the answer is written by then, and nothing is committed.
            await other.execute("SELECT 1 FROM node FOR UPDATE")
            asking = asyncio.create_task(client.post("/v1/solutions", json=body, headers=KEY))
            await stuck(dsn, "%WITH incoming AS%")
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(httpx2.HTTPError):
                await asking
        async with started_node("arnia", dsn) as (_, client):
            first = await client.post("/v1/solutions", json=body, headers=KEY)
            assert first.status_code == 201, first.text
            assert (await client.post("/v1/solutions", json=body, headers=KEY)).content == first.content
        assert await other.fetchval("SELECT count(*) FROM records WHERE type = 'solution'") == 1


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="ends processes with their parent, by prctl")
async def test_a_request_that_was_killed_after_its_commit_has_the_answer_of_then(dsn: str) -> None:
    body = {"content": a_solution()}
    async with looking(dsn) as other:
        async with started_node("arnia", dsn) as (pid, client):
            asking = asyncio.create_task(client.post("/v1/solutions", json=body, headers=KEY))
            async with asyncio.timeout(MAX_WAIT_SECONDS):
                while not await other.fetchval("SELECT count(*) FROM stored_answers"):
                    await asyncio.sleep(0)
            os.kill(pid, signal.SIGKILL)
            await asyncio.gather(asking, return_exceptions=True)
        key = await other.fetchval("SELECT key FROM records WHERE type = 'solution'")
        async with started_node("arnia", dsn) as (_, client):
            again = await client.post("/v1/solutions", json=body, headers=KEY)
            assert (again.status_code, again.json()["key"]) == (201, key)
        assert await other.fetchval("SELECT count(*) FROM records WHERE type = 'solution'") == 1


# Secrets


async def test_an_answer_with_a_secret_is_not_stored_and_a_repeat_says_what_to_do(
    own: httpx2.AsyncClient, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.node.alerts.check_subscription", lambda node, new: None)
    first = fine(await own.post("/v1/subscriptions", json=SUBSCRIPTION, headers=KEY), 201)
    (row,) = await stored_answers(arnia)
    assert first["secret"].encode() not in b"".join(v for v in row.values() if isinstance(v, bytes))
    assert row["body"] is None
    again = await own.post("/v1/subscriptions", json=SUBSCRIPTION, headers=KEY)
    assert "GET /v1/subscriptions" in refused(again, 409, "answer-not-stored")["detail"]
    assert first["secret"] not in again.text
    assert await count(arnia, "subscriptions") == 1
    fine(await own.post("/v1/subscriptions", json=SUBSCRIPTION), 201)
    assert await count(arnia, "subscriptions") == 2


# Bounds


async def test_a_caller_has_so_many_keys_and_those_it_has_go_on(
    own: httpx2.AsyncClient, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"content": a_solution()}
    first = await own.post("/v1/solutions", json=body, headers=KEY)
    for bound, value in (("MAX_KEYS", 1), ("MAX_STORED_BYTES", len(first.content))):
        with monkeypatch.context() as bounded:
            bounded.setattr(repeat, bound, value)
            full = await own.post("/v1/solutions", json=body, headers={"idempotency-key": '"new"'})
            refused(full, 429, "too-many-requests")
            assert 86_000 < int(full.headers["retry-after"]) <= 86_400
            assert (await own.post("/v1/solutions", json=body, headers=KEY)).content == first.content
    assert await count(arnia) == 1
    fine(await own.post("/v1/solutions", json=body, headers={"idempotency-key": '"new"'}), 201)


async def test_an_answer_is_repeated_for_a_day(own: httpx2.AsyncClient, arnia: Node) -> None:
    body = {"content": a_solution()}
    first = await own.post("/v1/solutions", json=body, headers=KEY)

    async def age(hours: float) -> None:
        async with arnia.store.write() as tx:
            await tx.records._session.connection.execute(
                f"UPDATE stored_answers SET at = now() - interval '{hours} hours'"
            )

    await age(23.9)
    await repeats.drop_expired_answers(arnia)
    assert (await own.post("/v1/solutions", json=body, headers=KEY)).content == first.content
    await age(24.1)
    later = await own.post("/v1/solutions", json=body, headers=KEY)
    assert later.status_code == 201
    assert later.content != first.content
    assert (await own.post("/v1/solutions", json=body, headers=KEY)).content == later.content
    await age(24.1)
    await maintenance._drop_old_tokens(arnia)
    assert await stored_answers(arnia) == []


# Lines of a timeline


LINE = {"at": "2026-03-01T09:00:00Z", "status": "identified", "text": {"fr": "Cause trouvée"}}


@pytest.fixture
async def appended(own: httpx2.AsyncClient, incident: None) -> dict[str, Any]:
    first: dict[str, Any] = fine(await own.post(f"{AT}/updates", json=LINE), 200)
    return first


async def test_a_line_that_is_sent_again_is_there_once(
    own: httpx2.AsyncClient, arnia: Node, appended: dict[str, Any]
) -> None:
    before = await left_behind(arnia)
    for line in (LINE, {name: LINE[name] for name in ("at", "text")}):
        assert fine(await own.post(f"{AT}/updates", json=line), 200) == appended
    # The writer that has not had the answer still names the state of before (RFC 9110, 13.1.1).
    stale = await own.post(f"{AT}/updates", json=LINE, headers={"if-match": '"0"'})
    assert fine(stale, 200) == appended
    assert await left_behind(arnia) == before


@pytest.mark.parametrize(
    "change",
    [{"at": "2026-03-01T09:00:01Z"}, {"status": "monitoring"}, {"text": {"fr": "Autre cause"}}],
    ids=str,
)
async def test_another_line_is_appended(
    own: httpx2.AsyncClient, appended: dict[str, Any], change: dict[str, Any]
) -> None:
    now = fine(await own.post(f"{AT}/updates", json={**LINE, **change}), 200)
    assert len(now["content"]["updates"]) == 2


async def test_a_line_that_is_sent_again_late_does_not_bring_its_status_back(
    own: httpx2.AsyncClient, appended: dict[str, Any]
) -> None:
    done = {"at": "2026-03-01T10:00:00Z", "status": "resolved", "text": {"fr": "Rétabli"}}
    resolved = fine(await own.post(f"{AT}/updates", json=done), 200)
    assert fine(await own.post(f"{AT}/updates", json=LINE), 200) == resolved
    assert resolved["content"]["status"] == "resolved"


async def test_a_line_without_a_time_is_appended_each_time(own: httpx2.AsyncClient, incident: None) -> None:
    line = {"text": {"fr": "Toujours là"}}
    for _ in range(2):
        now = fine(await own.post(f"{AT}/updates", json=line), 200)
    assert len(now["content"]["updates"]) == 2


async def test_another_state_is_refused_before_a_new_line(
    own: httpx2.AsyncClient, arnia: Node, appended: dict[str, Any]
) -> None:
    new = {**LINE, "at": "2026-03-01T11:00:00Z"}
    stale = await own.post(f"{AT}/updates", json=new, headers={"if-match": '"0"'})
    refused(stale, 412, "precondition-failed")
