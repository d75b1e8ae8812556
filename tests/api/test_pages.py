"""What the node says of itself: descriptor, health, metrics, documentation; and HEAD."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from litestar import Litestar

from federation.api.caller import Tokens
from federation.api.examples import DRAFTS
from federation.domain.scopes import SCOPES
from federation.node.node import Node
from federation.postgres import server
from federation.store import schema
from tests.api.conftest import clicking
from tests.api.http_client import fine, on_the_wire, operations, refused
from tests.domain.builders import a_solution
from tests.nodes import a_node, publish


async def test_live_and_ready(anyone: httpx2.AsyncClient, arnia: Node) -> None:
    assert fine(await anyone.get("/health/live"), 200) == {"status": "live"}
    assert fine(await anyone.get("/health/ready"), 200) == {"status": "ready"}
    arnia.stop()
    refused(await anyone.get("/health/ready"), 503, "unavailable")
    assert (await anyone.get("/health/live")).status_code == 200


async def test_a_node_without_its_database_lives_and_is_not_ready(
    unattached: Litestar, tmp_path: Path
) -> None:
    async with server.running(tmp_path, exclusive=True) as dsn:
        await schema.migrate(dsn, "arnia")
        node = a_node("arnia", dsn)
        unattached.state.node = await node.__aenter__()
        unattached.state.tokens = Tokens(unattached.state.node)
        async with clicking(unattached) as client:
            assert (await client.get("/health/ready")).status_code == 200
    try:
        async with clicking(unattached) as client:
            answer = await client.get("/health/ready")
            refused(answer, 503, "unavailable")
            assert answer.headers["retry-after"] == "2"
            refused(await client.get("/v1/solutions"), 503, "unavailable")
            assert (await client.get("/health/live")).status_code == 200
            assert (await client.get("/.well-known/jwks.json")).status_code == 200
    finally:
        await node.__aexit__(None, None, None)


async def test_metrics_are_for_administrators(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node
) -> None:
    await publish(arnia, "solution", "one", a_solution())
    refused(await anyone.get("/metrics"), 401, "unauthenticated")
    await own.get("/v1/solutions")
    answer = await own.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'federation_feed_head{audience="public",origin="arnia"} 1.0' in answer.text
    assert "federation_requests_total" in answer.text


async def test_the_descriptor_names_everything_a_peer_needs(anyone: httpx2.AsyncClient, arnia: Node) -> None:
    told = fine(await anyone.get("/.well-known/federation"), 200)
    assert (told["operator"], told["url"], told["issuer"]) == ("arnia", arnia.url, arnia.url)
    assert set(told["types"]) == {
        "solution", "deployment", "incident", "statement", "operator", "membership", "offer", "practice",
        "meeting", "contribution", "purchase", "consultation", "participation",
    }  # fmt: skip
    for where in (told["jwks_uri"], told["protocols"]["v1"] + "/openapi.json"):
        assert (await anyone.get(where)).status_code == 200
    assert "contact" not in told
    await publish(arnia, "operator", "arnia", DRAFTS["operator"]["content"])
    told = fine(await anyone.get("/.well-known/federation"), 200)
    assert told["security_contact"] == DRAFTS["operator"]["content"]["security_contact"]


async def test_the_security_contact_is_at_its_well_known_path_when_it_is_set(
    anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    answer = await anyone.get("/.well-known/security.txt")
    refused(answer, 404, "not-found")
    assert "FEDERATION_SECURITY_CONTACT" in answer.json()["detail"]
    arnia.security_contact = "mailto:security@arnia.example.org"
    answer = await anyone.get("/.well-known/security.txt")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    lines = [line.split(": ", 1) for line in answer.text.removesuffix("\n").split("\n")]
    assert [name for name, _ in lines] == ["Contact", "Expires", "Canonical", "Preferred-Languages"]
    values = dict(lines)
    assert values["Contact"] == arnia.security_contact
    assert values["Canonical"] == f"{arnia.url}/.well-known/security.txt"
    lasts = datetime.fromisoformat(values["Expires"]) - arnia.clock()
    assert timedelta(days=30) < lasts < timedelta(days=365)


async def test_the_authorization_server_describes_itself(anyone: httpx2.AsyncClient, arnia: Node) -> None:
    told = fine(await anyone.get("/.well-known/oauth-authorization-server"), 200)
    assert told["issuer"] == arnia.url
    assert told["token_endpoint"] == f"{arnia.url}/oauth2/token"
    assert set(told["scopes_supported"]) == set(SCOPES)
    assert told["grant_types_supported"] == ["client_credentials"]
    (key,) = fine(await anyone.get(told["jwks_uri"]), 200)["keys"]
    assert key["kid"] == arnia.keyring.kid
    assert "d" not in key, "a private key"


async def test_the_documentation_loads_nothing_from_another_host(anyone: httpx2.AsyncClient) -> None:
    for page in ("/docs",):
        answer = await anyone.get(page)
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert not re.search(r"https?:|\*", policy)
        loaded = re.findall(r'(?:src|href|action)="([^"]*)"', answer.text)
        assert len(loaded) >= 4
        for link in loaded:
            assert link.startswith("/")
            assert not link.startswith("//")
            found = await anyone.get(link)
            assert found.status_code == 200
            assert found.content
    style = (await anyone.get("/assets/swagger-ui.css")).text
    assert not re.search(r"@import|url\(\s*(?!['\"]?(?:data:|#))", style)
    start = (await anyone.get("/assets/docs.js")).text
    assert "//" not in re.sub(r"(?m)^\s*//.*$", "", start)


async def test_assets_are_only_those_there_are(anyone: httpx2.AsyncClient) -> None:
    for name in ("x", "%2e%2e%2fwellknown.py", "swagger-ui.LICENSE", "docs.js%00"):
        refused(await anyone.get(f"/assets/{name}"), 404, "not-found")
    assert (await anyone.get("/assets/docs.js")).status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/solutions/arnia/one", "/v1/solutions/arnia/none", "/health/live", "/docs"]
)
async def test_head_is_get_without_its_body(own: httpx2.AsyncClient, arnia: Node, path: str) -> None:
    await publish(arnia, "solution", "one", a_solution())
    got, head = await own.get(path), await own.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    for name in ("content-type", "content-length", "etag"):
        assert head.headers.get(name) == got.headers.get(name)


async def test_head_of_what_only_writes_is_not_allowed(own: httpx2.AsyncClient) -> None:
    assert (await own.head("/v1/solutions/bulk")).status_code in (404, 405)
    assert (await own.head("/oauth2/token")).status_code == 405


async def test_head_over_a_real_connection_leaves_it_usable(dsn: str) -> None:
    async with on_the_wire(dsn) as (node, client):
        await publish(node, "solution", "one", a_solution())
        for path in (
            "/v1/solutions/arnia/one",
            "/v1/solutions",
            "/v1/feeds/arnia/public/changes",
            "/nowhere",
        ):
            got, head = await client.get(path), await client.head(path)
            assert (head.status_code, head.content) == (got.status_code, b"")
            assert head.headers.get("content-length") == got.headers.get("content-length")
        stream = await client.head("/v1/changes", headers={"accept": "text/event-stream"})
        assert stream.status_code == 200
        assert (await client.get("/health/live")).status_code == 200


async def test_options_tells_the_methods(anyone: httpx2.AsyncClient) -> None:
    at, methods = "/v1/solutions/arnia/one", {"GET", "PUT", "PATCH", "DELETE"}
    answer = await anyone.options(at)
    assert answer.status_code == 204
    assert set(answer.headers["allow"].split(", ")) >= methods
    wrong = await anyone.post(at)
    assert wrong.status_code == 405
    assert set(wrong.headers["allow"].split(", ")) >= methods


def test_every_path_is_known_by_one_name() -> None:
    names = [(operation.method, operation.template) for operation in operations()]
    assert len(names) == len(set(names))
