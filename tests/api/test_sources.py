"""Sources and imports over HTTP: rights, secrets, reports."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from federation.domain.sources.source import SourceSettings
from federation.domain.visibility import itself
from federation.node import sources
from federation.node.node import Node
from tests.api.http_client import fine, refused
from tests.domain.builders import a_solution
from tests.nodes import a_token
from tests.sources.web_server import WebServer, a_file, an_item

BYTES = {"content-type": "application/octet-stream"}


pytestmark = pytest.mark.usefixtures("list_kind")


async def add(client: httpx2.AsyncClient, **members: Any) -> Any:
    return fine(await client.post("/v1/sources", json={"name": "shelf", "kind": "list", **members}), 201)


async def test_a_source_is_added_run_paused_and_removed(own: httpx2.AsyncClient, web: WebServer) -> None:
    assert await add(own, url=web.url, every=600, private=True) == {"name": "shelf", "secret": None}
    web.serve(an_item("glpi", a_solution()))
    dry = fine(await own.post("/v1/sources/shelf/runs?dry_run=true"), 200)
    assert (dry["counts"]["created"], dry["dry_run"]) == (1, True)
    done = fine(await own.post("/v1/sources/shelf/runs"), 200)
    assert (done["number"], done["lines"][0]["key"]) == (1, "glpi")
    assert fine(await own.get("/v1/sources/shelf/runs/1"), 200) == done
    listed = fine(await own.get("/v1/sources/shelf/runs"), 200)["runs"]
    assert [(run["number"], run["lines"]) for run in listed] == [(1, [])]
    (source,) = fine(await own.get("/v1/sources"), 200)["sources"]
    assert (source["name"], source["records"], source["has_secret"]) == ("shelf", 1, False)
    changed = fine(await own.patch("/v1/sources/shelf", json={"state": "paused"}), 200)
    assert (changed["state"], changed["next_at"]) == ("paused", None)
    fine(await own.delete("/v1/sources/shelf"), 204)
    refused(await own.get("/v1/sources/shelf"), 404, "not-found")
    fine(await own.get("/v1/solutions/arnia/glpi"), 200)


async def test_a_source_of_wrong_settings_is_refused_with_the_member(own: httpx2.AsyncClient) -> None:
    for members, pointer in (
        ({"kind": "nothing"}, "/kind"),
        ({"url": "https://example.org"}, "/every"),
        ({"url": "http://example.org", "every": 600}, "/url"),
        ({"url": "http://127.0.0.1/x", "every": 600}, "/url"),
        ({"url": "https://169.254.169.254/", "every": 600}, "/url"),
        ({"url": "https://example.org", "every": 1}, "/every"),
        ({"options": {"columns": {}}}, "/options/columns"),
        ({"tlp": "AMBER"}, "/audience"),
        ({"audience": "group"}, "/audience"),
        ({"name": "A B"}, "/name"),
    ):
        body = {"name": "shelf", "kind": "list", **members}
        refused(await own.post("/v1/sources", json=body), 400, "invalid", pointer=pointer)
    await add(own)
    refused(await own.post("/v1/sources", json={"name": "shelf", "kind": "list"}), 409, "conflict")


async def test_a_file_is_imported_with_a_report(own: httpx2.AsyncClient) -> None:
    await add(own)
    file = a_file(an_item("glpi", a_solution()), {"fault": "line not understood"})
    dry = fine(await own.post("/v1/imports?source=shelf&dry_run=true", content=file, headers=BYTES), 200)
    assert dry["counts"] == {
        "created": 1, "revised": 0, "unchanged": 0, "retracted": 0, "rejected": 1, "disappeared": 0,
        "person": 0,
    }  # fmt: skip
    refused(await own.get("/v1/solutions/arnia/glpi"), 404, "not-found")
    done = fine(await own.post("/v1/imports?source=shelf", content=file, headers=BYTES), 200)
    assert done["trigger"] == "upload"
    assert {(line["outcome"], line["place"]) for line in done["lines"]} == {
        ("created", "items[0]"),
        ("rejected", "items[1]"),
    }
    fine(await own.get("/v1/solutions/arnia/glpi"), 200)
    shrunk = a_file(an_item("matomo", a_solution()))
    plan = fine(
        await own.post("/v1/imports?source=shelf&replace=true&dry_run=true", content=shrunk, headers=BYTES)
    )
    path = "/v1/imports?source=shelf&replace=true"
    problem = refused(await own.post(path, content=shrunk, headers=BYTES), 409, "plan-changed")
    assert "digest of its dry run" in problem["detail"]
    done = fine(await own.post(f"{path}&digest={plan['digest']}", content=shrunk, headers=BYTES), 200)
    assert (done["counts"]["created"], done["counts"]["retracted"]) == (1, 1)
    for path in (
        "/v1/imports",
        "/v1/imports?as=csaf&replace=true",
        "/v1/imports?source=none",
        "/v1/imports?as=x",
    ):
        status = 404 if path.endswith("none") else 400
        assert (await own.post(path, content=file, headers=BYTES)).status_code == status, path


async def test_a_file_on_its_own_has_a_source_of_its_kind(own: httpx2.AsyncClient, arnia: Node) -> None:
    advisory = b'{"dataType": "CVE_RECORD"}'
    dry = fine(await own.post("/v1/imports?as=cve&dry_run=true", content=advisory, headers=BYTES), 200)
    assert dry["counts"]["rejected"] == 1
    assert fine(await own.get("/v1/sources"), 200)["sources"] == [], "a dry run adds nothing"
    fine(await own.post("/v1/imports?as=cve", content=advisory, headers=BYTES), 200)
    (source,) = fine(await own.get("/v1/sources"), 200)["sources"]
    assert (source["name"], source["kind"], source["url"]) == ("uploads-cve", "cve", None)


async def test_rights_of_sources_and_imports(
    anyone: httpx2.AsyncClient, peer: httpx2.AsyncClient, arnia: Node
) -> None:
    await sources.add(arnia, SourceSettings(name="shelf", kind="list"), by=itself("arnia"))
    paths = (
        ("GET", "/v1/sources", "sources.read"),
        ("GET", "/v1/sources/shelf", "sources.read"),
        ("GET", "/v1/sources/shelf/runs", "sources.read"),
        ("GET", "/v1/sources/shelf/runs/1", "sources.read"),
        ("POST", "/v1/sources", "sources.write"),
        ("PATCH", "/v1/sources/shelf", "sources.write"),
        ("POST", "/v1/sources/shelf/runs", "sources.write"),
        ("POST", "/v1/imports?source=shelf", "imports.write"),
        ("DELETE", "/v1/sources/shelf", "sources.write"),
    )
    scopes = {"sources.read", "sources.write", "imports.write"}
    headers = {
        scope: await a_token(arnia, anyone, *(scopes - {scope}), name=scope.replace(".", "-"))
        for scope in scopes
    }
    for method, path, scope in paths:
        body: dict[str, Any] = {} if method in ("GET", "DELETE") or path.endswith("runs") else {"json": {}}
        if path.startswith("/v1/imports"):
            body = {"content": b"x", "headers": BYTES}
        refused(await anyone.request(method, path, **body), 401, "unauthenticated")
        assert (await peer.request(method, path, **body)).status_code == 403, path
        with_scope = {**body, "headers": {**body.get("headers", {}), **headers[scope]}}
        assert (
            scope in refused(await anyone.request(method, path, **with_scope), 403, "missing-scope")["detail"]
        )
    private = {"name": "inner", "kind": "list", "url": "http://127.0.0.1:1/", "every": 600, "private": True}
    token = await a_token(arnia, anyone, "sources.write", name="w")
    problem = refused(await anyone.post("/v1/sources", json=private, headers=token), 403, "missing-scope")
    assert "node.admin" in problem["detail"]
    token = await a_token(arnia, anyone, "imports.write", name="i")
    file = a_file(an_item("glpi", a_solution()))
    answer = await anyone.post("/v1/imports?source=shelf", content=file, headers={**BYTES, **token})
    assert "solutions.write" in refused(answer, 403, "missing-scope")["detail"]
