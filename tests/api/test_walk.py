"""A list read to its end in the documented way has every record, though a writer revises them meanwhile."""

from __future__ import annotations

import json
import random
import re

import httpx2
import pytest

from tests.api.http_client import put
from tests.domain.builders import a_solution

RECORDS = 10_000
A_PAGE = 500
REVISED = 5
"""Records that the writer revises between two pages."""

pytestmark = pytest.mark.long


async def upload(own: httpx2.AsyncClient, keys: list[str]) -> None:
    lines = b"".join(json.dumps({"key": key, "content": a_solution()}).encode() + b"\n" for key in keys)
    report = await own.post(
        "/v1/solutions/bulk", content=lines, headers={"content-type": "application/x-ndjson"}
    )
    summary = json.loads(report.content.splitlines()[-1])["summary"]
    assert summary["created"] == len(keys), report.text


async def test_a_list_read_by_id_has_every_record_once_while_a_writer_revises_them(
    own: httpx2.AsyncClient,
) -> None:
    keys = [f"s{number:05}" for number in range(RECORDS)]
    await upload(own, keys)
    chance, version = random.Random(18), 0

    async def revise() -> None:
        nonlocal version
        for key in chance.sample(keys, REVISED):
            version += 1
            answer = await put(own, f"solutions/{key}", a_solution(summary={"fr": f"Révision {version}"}))
            assert answer.status_code == 200, answer.text

    async def walk(url: str) -> list[str]:
        """The keys of all pages, in order; a writer revises some between two pages."""
        seen: list[str] = []
        following: str | None = url
        while following:
            answer = await own.get(following)
            seen += [item["key"] for item in answer.json()["items"]]
            following = answer.json().get("next")
            await revise()
        return seen

    # The first page of a list names the order that is for reading to the end, and that order is followed.
    first = await own.get(f"/v1/solutions?origin=arnia&limit={A_PAGE}")
    (url,) = re.findall(r'<([^>]+)>; rel="urn:federation:rel:walk"', first.headers["link"])
    assert "sort=id" in url
    assert "origin=arnia" in url
    seen = await walk(url)
    assert len(seen) == len(set(seen))
    assert set(seen) == set(keys)
    assert "rel:walk" not in (await own.get(url)).headers["link"]
    # The negative twin: in the order of time the records that were revised meanwhile are missing.
    assert set(await walk(f"/v1/solutions?limit={A_PAGE}")) < set(keys)


async def test_the_change_log_has_every_record_while_a_writer_revises_them(own: httpx2.AsyncClient) -> None:
    keys = [f"s{number:05}" for number in range(2_000)]
    await upload(own, keys)
    chance = random.Random(18)
    latest: dict[str, int] = {}
    cursor, more, url = "", True, "/v1/changes?limit=100"
    while more:
        page = (await own.get(f"{url}&after={cursor}" if cursor else url)).json()
        latest |= {entry["key"]: entry["revision"] for entry in page["entries"]}
        cursor, more = page["cursor"], page["more"]
        if len(latest) < len(keys):
            for key in chance.sample(keys, REVISED):
                await put(own, f"solutions/{key}", a_solution(summary={"fr": f"Révision {len(latest)}"}))
    assert set(latest) == set(keys)
    for key in chance.sample(keys, 50):
        assert (await own.get(f"/v1/solutions/arnia/{key}")).json()["revision"] == latest[key]
