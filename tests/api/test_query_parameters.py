"""Every operation takes the query parameters that it declares, and refuses all others."""

from __future__ import annotations

import re

import httpx2
import pytest
from litestar import Litestar

from federation.edge.operations import Operation, Parameter, table
from federation.node.node import Node
from tests.api.http_client import NDJSON, fine, left_behind, lines, ndjson, put, refused
from tests.domain.builders import a_solution, an_incident

SAMPLES = {
    "origin": "arnia", "key": "x", "operator": "megalis", "audience": "public", "code": "invalid",
    "id": "0" * 36, "form": "cve", "name": "docs.js", "body_id": "cog:71076", "file": "none.json",
    "feed_file": "all.atom", "label": "white", "source": "shelf", "number": "1",
}  # fmt: skip


def address_of(operation: Operation) -> str:
    return re.sub(r"\{(\w+):\w+\}", lambda match: SAMPLES[match[1]], operation.path)


def headers_of(operation: Operation) -> dict[str, str]:
    return {"content-type": operation.media_types[0]} if operation.bodies else {}


def a_value(parameter: Parameter) -> str:
    schema = parameter.about["schema"]
    schema = schema.get("items", schema)
    if schema.get("type") == "boolean":
        return "true"
    return str(next(iter(schema.get("enum", ())), schema.get("const", "1")))


async def answered(
    operation: Operation, query: str, own: httpx2.AsyncClient, peer: httpx2.AsyncClient
) -> httpx2.Response:
    client = peer if operation.right.caller == "peer" else own
    address = f"{address_of(operation)}?{query}"
    return await client.request(operation.method, address, headers=headers_of(operation))


async def test_every_operation_refuses_a_parameter_that_it_does_not_declare(
    app: Litestar, arnia: Node, own: httpx2.AsyncClient, peer: httpx2.AsyncClient
) -> None:
    seen, before = 0, await left_behind(arnia)
    for operation in table(app):
        if operation.is_page:
            continue
        answer = await answered(operation, "colour=red", own, peer)
        assert answer.status_code == 400, (operation.id, answer.status_code, answer.text[:300])
        assert "colour" in answer.text
        if answer.headers["content-type"].startswith("application/problem+json"):
            told = refused(answer, 400, "invalid", pointer="?colour")
            assert told["errors"][0]["code"] == "unknown-parameter"
        seen += 1
    assert seen > 80
    assert await left_behind(arnia) == before


async def test_pages_for_people_take_what_links_carry(app: Litestar, anyone: httpx2.AsyncClient) -> None:
    pages = [op for op in table(app) if op.is_page and op.method == "GET" and op.tag != "pages"]
    calendar = "/calendar/{file:str}"  # of a person: there is none here
    assert {page.path for page in pages} == {
        "/docs", "/problems/{code:str}", "/assets/{name:str}", calendar,
    }  # fmt: skip
    for page in pages:
        if page.path == calendar:
            continue
        answer = await anyone.get(f"{address_of(page)}?utm_source=x&utm_source=y")
        assert answer.status_code == 200, page.path


async def test_a_parameter_with_one_value_is_refused_a_second(
    app: Litestar, own: httpx2.AsyncClient, peer: httpx2.AsyncClient
) -> None:
    seen = 0
    for operation in table(app):
        for parameter in operation.parameters:
            if parameter.place != "query" or operation.is_page:
                continue
            query = "&".join([f"{parameter.name}={a_value(parameter)}"] * 2)
            answer = await answered(operation, query, own, peer)
            faults = {
                (fault["pointer"], fault["code"])
                for fault in (answer.json().get("errors", []) if answer.status_code == 400 else [])
            }
            twice = (f"?{parameter.name}", "duplicate-parameter")
            assert (twice in faults) == (not parameter.is_list), (operation.id, parameter.name, answer.text)
            seen += 1
    assert seen > 100


async def test_a_parameter_with_a_list_of_values_is_refused_any_other_and_names_them(
    app: Litestar, own: httpx2.AsyncClient, peer: httpx2.AsyncClient
) -> None:
    seen = 0
    for operation in table(app):
        for parameter in operation.parameters:
            schema = parameter.about["schema"]
            schema = schema.get("items", schema)
            if operation.is_page:
                continue
            if parameter.place == "query" and (schema.get("type") == "boolean" or "enum" in schema):
                answer = await answered(operation, f"{parameter.name}=Maybe", own, peer)
                told = refused(answer, 400, "invalid")
                (fault,) = (f for f in told["errors"] if f["pointer"] == f"?{parameter.name}")
                assert fault["code"] == "not-allowed"
                assert set(fault["allowed"]) == set(schema.get("enum", ("true", "false")))
                seen += 1
    assert seen > 50


async def test_a_dry_run_writes_nothing_wherever_it_can_be_asked_for(
    app: Litestar, arnia: Node, own: httpx2.AsyncClient
) -> None:
    """Operations that declare ``dry_run`` do not write; that all others refuse it is tested above."""
    await put(own, "solutions/x", a_solution())
    await put(own, "incidents/x", an_incident(), tlp="GREEN")
    before = await left_behind(arnia)
    asked = {operation.act for operation in table(app) if operation.dry_run}
    assert {"publish", "publish_new", "patch", "retract", "append_update", "set_version"} <= asked
    body = {"content": a_solution(name="Other")}
    update = {"text": {"fr": "x"}, "status": "identified"}
    for answer in (
        await own.put("/v1/solutions/arnia/x?dry_run=true", json=body),
        await own.put("/v1/solutions/arnia/y?dry_run=true", json=body),
        await own.post("/v1/solutions?dry_run=true", json=body),
        await own.delete("/v1/solutions/arnia/x?dry_run=true"),
        await own.post("/v1/incidents/arnia/x/updates?dry_run=true", json=update),
        await own.patch(
            "/v1/solutions/arnia/x?dry_run=true",
            content=b'{"tlp":"RED"}',
            headers={"content-type": "application/merge-patch+json"},
        ),
    ):
        fine(answer, 200)
    assert await left_behind(arnia) == before


@pytest.mark.parametrize("moment", ["2026-03-01T09:30:00%2B01:00", "2026-03-01T09:30:00+01:00", "2026-03-01"])
async def test_a_list_is_filtered_by_a_moment_with_an_offset(own: httpx2.AsyncClient, moment: str) -> None:
    await put(own, "solutions/x", a_solution())
    assert len(fine(await own.get(f"/v1/solutions?updated_since={moment}"))["items"]) == 1
    assert fine(await own.get(f"/v1/solutions?updated_before={moment}"))["items"] == []


async def test_a_moment_of_a_request_may_have_any_offset_and_is_stored_in_utc(
    own: httpx2.AsyncClient,
) -> None:
    content = an_incident(started_at="2026-03-01T09:30:00+01:00")
    fine(await put(own, "incidents/x", content, tlp="GREEN"), 201)
    for change in (
        await own.post(
            "/v1/incidents/arnia/x/updates",
            json={"at": "2026-03-01T10:00:00.1234567+01:00", "text": {"fr": "x"}, "status": "identified"},
        ),
        await own.patch(
            "/v1/incidents/arnia/x",
            content=b'{"content":{"detected_at":"2026-03-01 08:31:00-00:00"}}',
            headers={"content-type": "application/merge-patch+json"},
        ),
    ):
        fine(change, 200)
    stored = fine(await own.get("/v1/incidents/arnia/x"))["content"]
    assert stored["started_at"] == "2026-03-01T08:30:00Z"
    assert stored["detected_at"] == "2026-03-01T08:31:00Z"
    assert stored["updates"][0]["at"] == "2026-03-01T09:00:00.123456Z"
    # A client that read the record sends the lines of the timeline back in its own form.
    stored["updates"][0]["at"] = "2026-03-01T10:00:00.1234560+01:00"
    fine(await put(own, "incidents/x", {**stored, "severity": "low"}, tlp="GREEN"), 200)
    line = {"key": "y", "tlp": "GREEN", "content": {**content, "resolved_at": "2026-03-01T09:30:00+01:00"}}
    report = lines(await own.post("/v1/incidents/bulk", content=ndjson(line), headers=NDJSON))
    assert report[-1]["summary"]["created"] == 1, report
