"""The replacement of a set: what is not in the upload goes, and nothing goes by mistake."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from federation.api import planned_uploads, spool, upload_lines, upload_report, uploads
from federation.api.spool import Spool
from federation.domain.errors import Unavailable
from federation.node import record_sets, upload_plans
from federation.node.node import Node
from federation.node.upload_plans import UploadPlan
from tests.api.http_client import NDJSON, fine, lines, ndjson, on_the_wire, put, refused, upload
from tests.api.test_bulk import a_line, counts, everything
from tests.chaos.started import started_node, stuck
from tests.domain.builders import a_deployment, a_solution
from tests.store.stepwise_transactions import looking

BULK = "/v1/solutions/bulk"


def declared(*uploaded: Any, records: int | None = None) -> bytes:
    return ndjson({"records": len(uploaded) if records is None else records}, *uploaded)


async def planned(client: httpx2.AsyncClient, body: bytes, set_name: str = "inventory") -> dict[str, Any]:
    """The end of the report of a dry run."""
    answer = await client.post(
        f"{BULK}?set={set_name}&replace=true&dry_run=true", content=body, headers=NDJSON
    )
    assert answer.status_code == 200, answer.text
    return lines(answer)[-1]


async def replace(
    client: httpx2.AsyncClient, body: bytes, digest: str, set_name: str = "inventory"
) -> httpx2.Response:
    query = f"set={set_name}&replace=true&digest={digest}"
    return await client.post(f"{BULK}?{query}", content=body, headers=NDJSON)


async def live(client: httpx2.AsyncClient) -> list[str]:
    page = fine(await client.get("/v1/solutions?sort=id&limit=500"), 200)
    return [item["key"] for item in page["items"]]


@pytest.fixture
async def stored(own: httpx2.AsyncClient) -> None:
    """Three records in the set, one in another one, one in none, and one of another type."""
    assert await uploaded(own, "inventory", a_line("a"), a_line("b"), a_line("c")) == 3
    assert await uploaded(own, "other", a_line("o")) == 1
    fine(await put(own, "solutions/alone", a_solution()), 201)
    deployment = ndjson({"key": "d", "content": a_deployment()})
    fine(await own.post("/v1/deployments/bulk?set=inventory", content=deployment, headers=NDJSON), 200)


async def uploaded(client: httpx2.AsyncClient, set_name: str, *values: Any) -> int:
    answer = await client.post(f"{BULK}?set={set_name}", content=ndjson(*values), headers=NDJSON)
    summary = lines(answer)[-1]["summary"]
    assert summary["refused"] == 0, answer.text
    return int(summary["received"])


async def test_what_is_not_in_the_upload_goes_and_nothing_else(own: httpx2.AsyncClient, stored: None) -> None:
    body = declared(a_line("a"), a_line("b", status="beta"), a_line("n"))
    plan = await planned(own, body)
    assert plan["summary"] == counts(received=3, created=1, revised=1, unchanged=1, retracted=1)
    assert plan["retracts"] == ["c"]
    assert plan["removals"] == [{"audience": "public", "removed": 1, "live": 5, "pauses": False}]
    done = await replace(own, body, plan["digest"])
    assert lines(done) == [{"summary": plan["summary"]}]
    assert await live(own) == ["a", "alone", "b", "n", "o"]
    assert (await own.get("/v1/deployments/arnia/d")).status_code == 200
    # The next night: nothing to do, and the digest is another one.
    again = await planned(own, body)
    assert again["summary"] == counts(received=3, unchanged=3)
    assert again["digest"] != plan["digest"]
    assert lines(await replace(own, body, again["digest"]))[-1]["summary"] == again["summary"]


async def test_a_set_that_is_replaced_by_nothing_is_empty_then(own: httpx2.AsyncClient, stored: None) -> None:
    plan = await planned(own, declared())
    assert plan["retracts"] == ["a", "b", "c"]
    fine(await replace(own, declared(), plan["digest"]), 200)
    assert await live(own) == ["alone", "o"]


async def test_without_the_digest_of_the_dry_run_nothing_is_done(
    own: httpx2.AsyncClient, stored: None, dsn: str
) -> None:
    body = declared(a_line("a"), a_line("new"))
    before = await everything(dsn)
    for query in ("", f"&digest={'0' * 64}"):
        answer = await own.post(f"{BULK}?set=inventory&replace=true{query}", content=body, headers=NDJSON)
        problem = refused(answer, 409, "plan-changed")
        assert problem["retracts"] == ["b", "c"]
        assert problem["summary"] == counts(received=2, created=1, unchanged=1, retracted=2)
        assert await everything(dsn) == before
    fine(await replace(own, body, problem["digest"]), 200)
    assert await live(own) == ["a", "alone", "new", "o"]


@pytest.mark.parametrize("change", ["revised", "retracted", "published", "moved"])
async def test_a_plan_that_has_changed_is_refused_with_the_new_digest(
    own: httpx2.AsyncClient, stored: None, change: str
) -> None:
    body = declared(a_line("a"), a_line("new"))
    plan = await planned(own, body)
    match change:
        case "revised":
            fine(await put(own, "solutions/b", a_solution(status="beta")), 200)
        case "retracted":
            fine(await own.delete("/v1/solutions/arnia/c"), 204)
        case "published":
            fine(await put(own, "solutions/new", a_solution(status="beta")), 201)
        case "moved":
            await uploaded(own, "other", a_line("b"))
    before = await live(own)
    problem = refused(await replace(own, body, plan["digest"]), 409, "plan-changed")
    assert await live(own) == before
    assert problem["digest"] != plan["digest"]
    fine(await replace(own, body, problem["digest"]), 200)


BAD: dict[str, tuple[bytes, int, str | None]] = {
    "a refused line": (declared(a_line("a"), a_line("b", status="great")), 400, None),
    "a line that is no JSON": (ndjson({"records": 2}, a_line("a")) + b"nonsense\n", 400, None),
    "a key twice": (declared(a_line("a"), a_line("a")), 400, None),
    "a line that retracts": (declared(a_line("a"), {"key": "b", "retract": True}), 400, None),
    "a group that there is not": (
        declared(a_line("a"), {**a_line("b"), "tlp": "AMBER", "audience": "nobody"}), 400, None,
    ),
    "fewer than declared": (declared(a_line("a"), records=2), 400, "/records"),
    "more than declared": (declared(a_line("a"), a_line("b"), records=1), 400, "/records"),
    "nothing at all": (b"", 400, "/records"),
    "no declaration": (ndjson(a_line("a")), 400, "/records"),
    "a declaration of more": (ndjson({"records": 1, "lines": 2}, a_line("a")), 400, "/records"),
    "a declaration of nonsense": (ndjson({"records": -1}, a_line("a")), 400, "/records"),
    "a cut line": (declared(a_line("a"), a_line("b"))[:-20], 400, None),
}  # fmt: skip


@pytest.mark.parametrize(("body", "status", "pointer"), BAD.values(), ids=BAD)
async def test_nothing_is_changed_by_a_mistake(
    own: httpx2.AsyncClient, stored: None, dsn: str, body: bytes, status: int, pointer: str | None
) -> None:
    before = await everything(dsn)
    problem = refused(await replace(own, body, "0" * 64), status, "invalid", pointer=pointer)
    if pointer is None:
        assert [line["line"] for line in problem["refused"]] == [3]
    assert await everything(dsn) == before


async def test_a_dry_run_with_a_refused_line_has_no_digest(own: httpx2.AsyncClient, stored: None) -> None:
    plan = await planned(own, declared(a_line("a"), a_line("b", status="great")))
    assert plan["summary"] == counts(received=2, unchanged=1, refused=1)
    assert "digest" not in plan
    refused(
        await own.post(f"{BULK}?set=inventory&replace=true&dry_run=true", content=b"", headers=NDJSON),
        400, "invalid", pointer="/records",
    )  # fmt: skip


async def test_a_connection_that_breaks_changes_nothing(dsn: str) -> None:
    async with on_the_wire(dsn) as (_, client):
        await upload(client, ndjson(a_line("a")))
        await client.post(f"{BULK}?set=inventory", content=ndjson(a_line("b")), headers=NDJSON)
        body = declared(a_line("a", status="beta"), a_line("c"))
        plan = await planned(client, body)
        before = (await everything(dsn))[1:]  # a task signs meanwhile, and is counted
        url = urlsplit(str(client.base_url))
        _, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(
            f"POST {BULK}?set=inventory&replace=true&digest={plan['digest']} HTTP/1.1\r\n"
            f"Host: {url.netloc}\r\n"
            "Content-Type: application/x-ndjson\r\n"
            f"Authorization: {client.headers['authorization']}\r\n"
            f"Content-Length: {len(body) + 100}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        writer.transport.abort()
        assert await planned(client, body) == plan
        assert (await everything(dsn))[1:] == before
        fine(await replace(client, body, plan["digest"]), 200)
        assert await live(client) == ["a", "c"]


# Sets


async def test_a_record_that_is_revised_in_another_way_stays_in_its_set(
    own: httpx2.AsyncClient, stored: None
) -> None:
    fine(await put(own, "solutions/c", a_solution(status="beta")), 200)
    assert (await upload(own, ndjson(a_line("b", status="beta"))))[1]["revised"] == 1
    assert (await planned(own, declared(a_line("a"))))["retracts"] == ["b", "c"]


@pytest.mark.parametrize("way", ["DELETE", "a line", "a replacement"])
async def test_a_record_that_was_retracted_and_published_again_is_in_no_set(
    own: httpx2.AsyncClient, stored: None, way: str
) -> None:
    if way == "DELETE":
        fine(await own.delete("/v1/solutions/arnia/c"), 204)
    elif way == "a line":
        assert (await upload(own, ndjson({"key": "c", "retract": True})))[1]["retracted"] == 1
    else:
        body = declared(a_line("a"), a_line("b"))
        fine(await replace(own, body, (await planned(own, body))["digest"]), 200)
    fine(await put(own, "solutions/c", a_solution()), 201)
    assert (await planned(own, declared(a_line("a"))))["retracts"] == ["b"]


async def test_a_record_is_in_the_set_that_it_was_uploaded_into_last(
    own: httpx2.AsyncClient, stored: None
) -> None:
    query = f"{BULK}?set=inventory&dry_run=true"
    told, end = lines(await own.post(query, content=ndjson(a_line("o")), headers=NDJSON))
    assert told == {"line": 1, "key": "o", "action": "unchanged", "from_set": "other"}
    assert end["summary"]["unchanged"] == 1
    await uploaded(own, "inventory", a_line("o"))
    assert (await planned(own, declared(), "other"))["summary"] == counts()
    assert (await planned(own, declared()))["retracts"] == ["a", "b", "c", "o"]


async def test_json_declares_its_records_in_the_first_element(own: httpx2.AsyncClient, stored: None) -> None:
    accept = {"accept": "application/json"}
    query = f"{BULK}?set=inventory&replace=true"
    body = [{"records": 1}, a_line("a")]
    plan = fine(await own.post(f"{query}&dry_run=true", json=body, headers=accept), 200)
    assert plan["retracts"] == ["b", "c"]
    assert plan["lines"] == [{"line": 1, "key": "a", "action": "unchanged"}]
    for wrong in ([a_line("a")], [], [{"records": 2}, a_line("a")], [{"records": 1, "more": 1}, a_line("a")]):
        refused(await own.post(f"{query}&digest={plan['digest']}", json=wrong), 400, "invalid")
    done = fine(await own.post(f"{query}&digest={plan['digest']}", json=body, headers=accept), 200)
    assert done == {"refused": [], "summary": counts(received=1, unchanged=1, retracted=2)}
    assert await live(own) == ["a", "alone", "o"]


# Many


async def test_a_set_of_several_batches_is_replaced(
    own: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "BATCH_LINES", 3)
    monkeypatch.setattr(record_sets, "MAX_MEMBERS", 2)
    monkeypatch.setattr(upload_plans, "MAX_MEMBERS", 2)
    monkeypatch.setattr(spool, "BLOCK_BYTES", 200)
    monkeypatch.setattr(upload_report, "MAX_NAMED", 4)
    monkeypatch.setattr(planned_uploads, "MAX_NAMED", 4)
    await uploaded(own, "inventory", *(a_line(f"s{n:02}") for n in range(20)))
    body = declared(*(a_line(f"s{n:02}", status="beta") for n in range(10, 27)))
    plan = await planned(own, body)
    assert plan["summary"] == counts(received=17, created=7, revised=10, retracted=10)
    assert plan["retracts"] == [f"s{n:02}" for n in range(4)], "the first ones; all are counted"
    assert lines(await replace(own, body, plan["digest"]))[-1]["summary"] == plan["summary"]
    assert await live(own) == [f"s{n:02}" for n in range(10, 27)]
    page = fine(await own.get("/v1/solutions?limit=500"), 200)
    assert {item["content"]["status"] for item in page["items"]} == {"beta"}


async def test_a_replacement_has_as_many_records_as_an_upload(
    own: httpx2.AsyncClient, stored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_lines, "MAX_LINES", 2)
    fine(await replace(own, body := declared(a_line("a"), a_line("b")), (await planned(own, body))["digest"]))
    refused(await replace(own, declared(*map(a_line, "abx"), records=2), "0" * 64), 413, "too-large")
    assert await live(own) == ["a", "alone", "b", "o"]


async def test_more_than_a_bound_is_not_retracted_at_once(
    own: httpx2.AsyncClient, stored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_plans, "MAX_RETRACTED", 2)
    refused(await replace(own, declared(), "0" * 64), 400, "invalid", pointer="?set")
    body = declared(a_line("a"))
    fine(await replace(own, body, (await planned(own, body))["digest"]), 200)


async def test_so_many_are_spooled_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "MAX_SPOOLS", 1)
    async with Spool() as first:
        with pytest.raises(Unavailable, match="being checked"):
            async with Spool():
                pass
        await first.add(b"one")
        await first.add(b"two")
        assert [batch async for batch in first.batches(1)] == [[b"one\n"], [b"two\n"]]
    async with Spool() as another:
        assert [batch async for batch in another.batches(4)] == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
async def test_a_disk_that_is_full_is_an_answer(
    own: httpx2.AsyncClient, stored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", lambda: open("/dev/full", "wb", buffering=0))  # noqa: SIM115
    body = declared(a_line("a"))
    plan = await planned(own, body)
    refused(await replace(own, body, plan["digest"]), 503, "unavailable")
    monkeypatch.undo()
    fine(await replace(own, body, plan["digest"]), 200)


# Other writers in between


async def test_a_record_that_another_writer_revises_in_between_is_left_and_nothing_is_retracted(
    own: httpx2.AsyncClient, stored: None, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = declared(a_line("a", status="beta"), a_line("b", status="beta"))
    plan = await planned(own, body)
    write = UploadPlan.write

    async def late(self: UploadPlan, batch: Any) -> Any:
        fine(await put(own, "solutions/b", a_solution(name="By hand")), 200)
        return await write(self, batch)

    monkeypatch.setattr(UploadPlan, "write", late)
    problem = refused(await replace(own, body, plan["digest"]), 409, "conflict")
    assert [(line["line"], line["key"], line["code"]) for line in problem["refused"]] == [
        (3, "b", "conflict")
    ]
    assert problem["summary"] == counts(received=2, revised=1, refused=1)
    assert await live(own) == ["a", "alone", "b", "c", "o"]
    assert (await own.get("/v1/solutions/arnia/b")).json()["content"]["name"] == "By hand"


@pytest.mark.parametrize("change", ["revised", "moved"])
async def test_a_record_that_leaves_the_plan_in_between_is_not_retracted(
    own: httpx2.AsyncClient, stored: None, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    body = declared(a_line("a"))
    plan = await planned(own, body)
    retract = UploadPlan.retract

    async def late(self: UploadPlan) -> AsyncIterator[Any]:
        if change == "revised":
            fine(await put(own, "solutions/b", a_solution(status="beta")), 200)
        else:
            await uploaded(own, "other", a_line("b"))
        async for outcomes in retract(self):
            yield outcomes

    monkeypatch.setattr(UploadPlan, "retract", late)
    problem = refused(await replace(own, body, plan["digest"]), 409, "conflict")
    assert [(line.get("line"), line["key"]) for line in problem["refused"]] == [(None, "b")]
    assert problem["summary"] == counts(received=1, unchanged=1, retracted=1, refused=1)
    assert await live(own) == ["a", "alone", "b", "o"]


async def test_two_replacements_of_a_set_are_not_mixed(
    own: httpx2.AsyncClient, stored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would retract what the other one has found unchanged, and nothing would be left."""
    first, second = declared(a_line("a"), a_line("b")), declared(a_line("c"))
    plan, other_plan = await planned(own, first), await planned(own, second)
    other_set = declared(a_line("p"))
    third_plan = await planned(own, other_set, "other")
    retract = UploadPlan.retract

    async def late(self: UploadPlan) -> AsyncIterator[Any]:
        monkeypatch.undo()
        problem = refused(await replace(own, second, other_plan["digest"]), 409, "conflict")
        assert "another upload" in problem["detail"]
        fine(await replace(own, other_set, third_plan["digest"], "other"), 200)
        async for outcomes in retract(self):
            yield outcomes

    monkeypatch.setattr(UploadPlan, "retract", late)
    fine(await replace(own, first, plan["digest"]), 200)
    assert await live(own) == ["a", "alone", "b", "p"]
    again = await planned(own, second)
    fine(await replace(own, second, again["digest"]), 200)
    assert await live(own) == ["alone", "c", "p"]


async def test_only_the_nodes_own_clients_replace(peer: httpx2.AsyncClient, arnia: Node) -> None:
    answer = await replace(peer, declared(), "0" * 64)
    assert answer.status_code == 403


# Kills


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="ends processes with their parent, by prctl")
@pytest.mark.parametrize(("held", "left"), [("b", "abcd"), ("d", "abcd")], ids=["storing", "retracting"])
async def test_a_replacement_that_is_killed_retracts_nothing_and_can_be_repeated(
    dsn: str, held: str, left: str
) -> None:
    """The process is stopped where a row is held by somebody else, and killed there."""
    body = declared(a_line("a", status="beta"), a_line("b", status="beta"))
    async with looking(dsn) as other:
        async with started_node("arnia", dsn) as (pid, client):
            await client.post(f"{BULK}?set=inventory", content=ndjson(*map(a_line, "abcd")), headers=NDJSON)
            plan = await planned(client, body)
            assert plan["retracts"] == ["c", "d"]
            async with other.transaction():
                await other.execute("SELECT 1 FROM records WHERE key = $1 FOR UPDATE", held)
                replacing = asyncio.create_task(replace(client, body, plan["digest"]))
                await stuck(dsn, "%ORDER BY key FOR UPDATE%")
                os.kill(pid, signal.SIGKILL)
                with pytest.raises(httpx2.HTTPError):
                    await replacing
        async with started_node("arnia", dsn) as (_, client):
            assert await live(client) == list(left)
            plan = await planned(client, body)
            assert plan["summary"]["retracted"] == 2
            fine(await replace(client, body, plan["digest"]), 200)
            assert await live(client) == ["a", "b"]


async def test_a_set_is_that_of_one_type(arnia: Node) -> None:
    async with arnia.store.write() as tx:
        await tx.record_sets.add("solution", ["x"], "inventory")
        await tx.record_sets.add("deployment", ["x"], "other")
        assert await tx.record_sets.sets_of("solution", ["x", "y"]) == {"x": "inventory"}
        assert await tx.record_sets.members("solution", "inventory", origin="arnia", limit=9) == []
