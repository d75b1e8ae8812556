"""The solutions as a catalogue that others harvest: shapes of open-catalog-api 1.4, pages, labels, files."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from federation.domain.formats.open_catalog import read_open_catalog
from federation.domain.formats.publiccode import read_publiccode
from federation.node.node import Node
from tests.api.http_client import fine, refused
from tests.domain.builders import a_solution
from tests.domain.publiccode_rules import faults
from tests.nodes import a_token, publish

TEXT = {"type": "string", "minLength": 1}
ID = {
    "type": "string",
    "maxLength": 36,
    "pattern": "^[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89aAbB][a-f0-9]{3}-[a-f0-9]{12}$",
}
URL = {"type": "string", "format": "uri", "minLength": 1, "maxLength": 255}
TIMES = {
    "createdAt": {"type": "string", "format": "date-time"},
    "updatedAt": {"type": "string", "format": "date-time"},
}


def closed(required: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }


SHAPES = {
    "software": closed(
        ["id", "url", "publiccodeYml", *TIMES],
        {
            "id": ID, "publiccodeYml": {**TEXT, "maxLength": 99_999}, "url": URL,
            "active": {"type": "boolean"},
            "aliases": {"type": "array", "minItems": 1, "maxItems": 255, "items": URL}, "catalogId": ID,
            "vitality": TEXT, **TIMES,
        },
    ),
    "publishers": closed(
        ["id", "description", "codeHosting", *TIMES],
        {
            "id": ID, "description": {**TEXT, "maxLength": 255}, "alternativeId": {**TEXT, "maxLength": 255},
            "email": {"type": "string", "format": "email", "maxLength": 255}, "catalogId": ID,
            "active": {"type": "boolean"}, **TIMES,
            "codeHosting": {
                "type": "array", "minItems": 1, "maxItems": 255,
                "items": closed(["url", *TIMES], {"url": URL, "group": {"type": "boolean"}, **TIMES}),
            },
        },
    ),
    "catalogs": closed(
        ["id", "name", "sources", *TIMES],
        {
            "id": ID, "name": {**TEXT, "maxLength": 255}, "alternativeId": {**TEXT, "maxLength": 255},
            "active": {"type": "boolean"}, "publishersNamespace": TEXT, "scopes": {"type": "array"}, **TIMES,
            "sources": {
                "type": "array", "maxItems": 100,
                "items": closed(["url"], {"url": {**URL, "maxLength": 2048}, "driver": TEXT}),
            },
        },
    ),
}  # fmt: skip
"""The schemas of the OpenAPI document of the API (software-catalog-api.oas.yaml)."""
LINKS = closed(
    ["prev", "next"], {"prev": {"type": "null"}, "next": {"type": ["string", "null"], "maxLength": 255}}
)
OPERATOR = {
    "name": "ARNia", "country": "FR", "territory": ["FR-BFC"], "contact": "contact@arnia.example.org",
    "security_contact": "security@arnia.example.org", "node": "https://arnia.example.org",
}  # fmt: skip


def checked(name: str, answer: httpx2.Response) -> dict[str, Any]:
    """A page that has the shape of the API."""
    page: dict[str, Any] = fine(answer)
    items = {"type": "array", "maxItems": 100, "items": SHAPES[name]}
    schema = closed(["data", "links"], {"data": items, "links": LINKS})
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(page)
    return page


async def add(node: Node, key: str, tlp: str = "CLEAR", **members: Any) -> None:
    content = a_solution(
        **{"name": f"Software {key}", "repository": f"https://github.com/arnia/{key}", **members}
    )
    envelope: dict[str, Any] = {"tlp": tlp}
    if tlp in ("AMBER", "AMBER+STRICT"):
        envelope["audience"] = "partners"
    await publish(node, "solution", key, content, **envelope)


@pytest.fixture
async def catalogue(arnia: Node) -> Node:
    """A node with solutions of every label."""
    await publish(arnia, "operator", "arnia", OPERATOR, tlp="CLEAR")
    await publish(arnia, "group", "partners", {"name": "Partners", "members": ["arnia"]})
    for key in ("a", "b", "c"):
        await add(arnia, key)
    for tlp in ("GREEN", "AMBER", "AMBER+STRICT", "RED"):
        await add(arnia, f"canary-{tlp.replace('+', '-').lower()}", tlp)
    return arnia


async def test_software_has_the_shape_of_the_api_and_a_valid_publiccode_yml(
    catalogue: Node, anyone: httpx2.AsyncClient
) -> None:
    page = checked("software", await anyone.get("/catalog/v1/software"))
    assert page["links"] == {"prev": None, "next": None}
    assert [entry["url"] for entry in page["data"]] == [f"https://github.com/arnia/{key}" for key in "abc"]
    assert len({entry["id"] for entry in page["data"]}) == 3
    for entry in page["data"]:
        assert faults(entry["publiccodeYml"]) == []
    again = checked("software", await anyone.get("/catalog/v1/software"))
    assert again == page


async def test_what_one_node_answers_another_one_reads(catalogue: Node, anyone: httpx2.AsyncClient) -> None:
    answer = await anyone.get("/catalog/v1/software")
    reading = read_open_catalog(answer.content).reading
    assert reading.faults == ()
    assert [item.members["content"]["name"] for item in reading.items] == [
        "Software a",
        "Software b",
        "Software c",
    ]
    assert {item.members["content"]["licence"] for item in reading.items} == {"GPL-3.0-or-later"}


async def test_publishers_and_catalogues_have_their_shapes(
    catalogue: Node, anyone: httpx2.AsyncClient
) -> None:
    (publisher,) = checked("publishers", await anyone.get("/catalog/v1/publishers"))["data"]
    assert publisher["alternativeId"] == "arnia"
    assert publisher["email"] == "contact@arnia.example.org"
    assert [(place["url"], place["group"]) for place in publisher["codeHosting"]] == [
        ("https://github.com/arnia/", True)
    ]
    (catalog,) = checked("catalogs", await anyone.get("/catalog/v1/catalogs"))["data"]
    assert (catalog["alternativeId"], catalog["name"], catalog["sources"]) == ("∅", "ARNia", [])


async def test_pages_are_followed_to_the_end_by_their_links(
    catalogue: Node, anyone: httpx2.AsyncClient
) -> None:
    found: list[str] = []
    query: str | None = "?page[size]=1"
    for _ in range(20):
        page = checked("software", await anyone.get(f"/catalog/v1/software{query}"))
        assert len(page["data"]) <= 1
        found += [entry["url"] for entry in page["data"]]
        query = page["links"]["next"]
        if query is None:
            break
        assert parse_qs(query.removeprefix("?"))["page[size]"] == ["1"]
    assert query is None
    assert found == [f"https://github.com/arnia/{key}" for key in "abc"]


async def test_solutions_that_a_catalogue_of_source_code_cannot_hold_are_left_out(
    arnia: Node, anyone: httpx2.AsyncClient
) -> None:
    await add(arnia, "closed", licence="LicenseRef-proprietary")
    await add(arnia, "nowhere", repository=None)
    await add(arnia, "open")
    page = checked("software", await anyone.get("/catalog/v1/software"))
    assert [entry["url"] for entry in page["data"]] == ["https://github.com/arnia/open"]


async def test_nobody_without_a_token_reads_more_than_what_is_clear(
    catalogue: Node, anyone: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    for name in SHAPES:
        assert "canary" not in (await anyone.get(f"/catalog/v1/{name}?page[size]=100")).text
    for label in ("green", "amber", "amber-strict", "red"):
        path = f"/v1/solutions/arnia/canary-{label}.publiccode.yml"
        refused(await anyone.get(path), 404, "not-found")
        assert f"arnia/canary-{label}" in (await own.get(path)).text
    everything = checked("software", await own.get("/catalog/v1/software"))
    assert sum("canary" in entry["url"] for entry in everything["data"]) == 4
    assert (await own.get("/catalog/v1/software")).headers["cache-control"] == "private, no-cache"


async def test_a_token_without_the_scope_of_solutions_is_refused(
    arnia: Node, anyone: httpx2.AsyncClient
) -> None:
    headers = await a_token(arnia, anyone, "deployments.read")
    refused(await anyone.get("/catalog/v1/software", headers=headers), 403, "missing-scope")
    headers = await a_token(arnia, anyone, "solutions.read", name="reader")
    assert (await anyone.get("/catalog/v1/software", headers=headers)).status_code == 200


async def test_an_answer_is_sent_once_to_who_has_it(catalogue: Node, anyone: httpx2.AsyncClient) -> None:
    for path in ("/catalog/v1/software", "/catalog/v1/publishers", "/v1/solutions/arnia/a.publiccode.yml"):
        first = await anyone.get(path)
        assert first.headers["cache-control"] == "public, max-age=300"
        tag = {"if-none-match": first.headers["etag"]}
        again = await anyone.get(path, headers=tag)
        assert (again.status_code, again.content) == (304, b"")
    await add(catalogue, "a", summary={"fr": "Autre"})
    assert (await anyone.get("/v1/solutions/arnia/a.publiccode.yml", headers=tag)).status_code == 200


async def test_times_of_creation_choose_entries(catalogue: Node, anyone: httpx2.AsyncClient) -> None:
    for query, number in (
        ("from=2026-01-01T00:00:00Z", 3), ("from=2199-01-01T00:00:00Z", 0),
        ("to=2199-01-01T00:00:00Z", 3), ("to=1999-01-01T00:00:00Z", 0), ("all=true", 3),
    ):  # fmt: skip
        page = checked("software", await anyone.get(f"/catalog/v1/software?{query}"))
        assert len(page["data"]) == number, query


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("page[size]=0", "?page[size]"), ("page[size]=101", "?page[size]"), ("page[after]=x", "?page[after]"),
        ("from=yesterday", "?from"), ("unheard=1", "?unheard"), ("all=perhaps", "?all"),
    ],
)  # fmt: skip
async def test_a_wrong_parameter_is_named(anyone: httpx2.AsyncClient, query: str, pointer: str) -> None:
    for name in SHAPES:
        refused(await anyone.get(f"/catalog/v1/{name}?{query}"), 400, "invalid", pointer=pointer)


async def test_a_solution_is_a_publiccode_yml_at_its_address(
    catalogue: Node, anyone: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    answer = await anyone.get("/v1/solutions/arnia/a.publiccode.yml")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/yaml"
    assert faults(answer.text) == []
    assert answer.text.startswith("# Made of the record http://arnia.test/v1/solutions/arnia/a\n")
    assert re.search(r"^  contacts:\n  - name: ARNia$", answer.text, re.MULTILINE)
    (item,) = read_publiccode(answer.content).items
    assert item.members["content"]["name"] == "Software a"
    for name, status, code in (
        ("none.publiccode.yml", 404, "not-found"),
        ("x" * 130 + ".publiccode.yml", 400, "invalid"),
    ):
        refused(await anyone.get(f"/v1/solutions/arnia/{name}"), status, code)
    await own.delete("/v1/solutions/arnia/b")
    refused(await anyone.get("/v1/solutions/arnia/b.publiccode.yml"), 410, "retracted")


async def test_a_record_whose_key_ends_like_the_file_goes_first(
    arnia: Node, anyone: httpx2.AsyncClient
) -> None:
    await add(arnia, "x")
    await add(arnia, "x.publiccode.yml")
    assert fine(await anyone.get("/v1/solutions/arnia/x.publiccode.yml"))["key"] == "x.publiccode.yml"
    answer = await anyone.get("/v1/solutions/arnia/x.publiccode.yml.publiccode.yml")
    assert "url: https://github.com/arnia/x.publiccode.yml" in answer.text


async def test_the_reason_why_a_solution_has_no_file_is_said(arnia: Node, anyone: httpx2.AsyncClient) -> None:
    await add(arnia, "nowhere", repository=None)
    problem = refused(await anyone.get("/v1/solutions/arnia/nowhere.publiccode.yml"), 404, "not-found")
    assert "repository" in problem["detail"]
