"""Lists of records as files for spreadsheets: bounded, and by label."""

from __future__ import annotations

import json

import httpx2
import pytest

from federation.api import record_tables
from federation.api.examples import DRAFTS, KEYS
from federation.domain.registry import TYPES
from federation.node.node import Node
from tests.api.http_client import fine, put, refused
from tests.api.table_files import rows_of
from tests.domain.builders import a_solution
from tests.exposure.deployments import copy_unread


@pytest.mark.parametrize("form", ["csv", "xlsx", "ods"])
async def test_a_list_is_a_table_of_what_its_caller_may_see(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient, peer: httpx2.AsyncClient, form: str
) -> None:
    for tlp in ("CLEAR", "GREEN", "RED"):
        name = f"=canary-{tlp.lower()}"
        fine(await put(own, f"solutions/{tlp.lower()}", a_solution(name=name), tlp=tlp))
    found = {}
    for caller, client in (("anyone", anyone), ("peer", peer), ("own", own)):
        head, *rows = rows_of(await client.get(f"/v1/solutions.{form}?sort=id"), form)
        found[caller] = [row[head.index("key")] for row in rows]
    assert found == {
        "anyone": ["clear"],
        "peer": ["clear", "green"],
        "own": ["clear", "green", "red"],
    }
    record = dict(zip(head, rows[0], strict=True))
    assert record["name"] == ("'=canary-clear" if form == "csv" else "=canary-clear")
    assert record["revision"] == "1"
    assert json.loads(record["summary"]) == {"fr": "Gestion de parc"}
    assert json.loads(record["themes"]) == ["it-asset-management"]
    assert record["description"] == ""
    for kind in sorted(TYPES.values(), key=lambda kind: kind.type != "group"):
        content, key = DRAFTS[kind.type]["content"], KEYS[kind.type]
        draft = {**DRAFTS[kind.type], "same_as": ["https://example.org/x"]}
        fine(await own.put(f"/v1/{kind.plural}/arnia/{key}", json=draft))
        head, *rows = rows_of(await own.get(f"/v1/{kind.plural}.{form}?origin=arnia"), form)
        written = next(dict(zip(head, row, strict=True)) for row in rows if row[1] == key)
        assert json.loads(written["same_as"]) == ["https://example.org/x"]
        assert written.keys() >= content.keys()


async def test_a_table_ends_at_its_bounds_and_leads_to_the_rest(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        await put(own, f"solutions/s{number}", a_solution())

    async def walk(query: str) -> list[list[str]]:
        address, pages = f"/v1/solutions.csv?{query}", []
        while address:
            answer = await anyone.get(address)
            pages.append([row[1] for row in rows_of(answer, "csv")[1:]])
            link = answer.headers.get("link")
            address = link.partition("<")[2].partition(">")[0] if link else ""
        return pages

    assert await walk("sort=id") == [["s0", "s1", "s2", "s3", "s4"]]
    monkeypatch.setattr(record_tables, "MAX_ROWS", 3)
    assert await walk("sort=id") == [["s0", "s1", "s2"], ["s3", "s4"]]
    monkeypatch.setattr(record_tables, "MAX_PAGE", 2)
    monkeypatch.setattr(record_tables, "MAX_BYTES", 1)
    assert await walk("sort=id") == [["s0", "s1"], ["s2", "s3"], ["s4"]]


async def test_a_table_counts_what_is_not_understood_and_refuses_as_the_list_does(
    anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    whole = await anyone.get("/v1/solutions.csv")
    assert record_tables.NOT_UNDERSTOOD not in whole.headers
    await copy_unread(arnia, "solution", "megalis/x", {"kind": "hologram"}, tlp="CLEAR")
    await copy_unread(arnia, "solution", "megalis/y", {"kind": "hologram"}, tlp="GREEN")
    assert (await anyone.get("/v1/solutions.csv")).headers[record_tables.NOT_UNDERSTOOD] == "1"
    refused(await anyone.get("/v1/solutions.csv?colour=red"), 400, "invalid", pointer="?colour")
    assert (await anyone.get("/v1/solutions.pdf")).status_code == 404
