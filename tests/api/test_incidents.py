"""The timeline of an incident."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest

from federation.node.node import Node
from tests.api.http_client import fine, left_behind, put, refused
from tests.domain.builders import an_incident

AT = "/v1/incidents/arnia/2026-0042"


@pytest.fixture
async def incident(own: httpx2.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = fine(await put(own, "incidents/2026-0042", an_incident(), tlp="CLEAR"), 201)
    return found


async def test_an_update_is_appended_and_moves_the_status(
    own: httpx2.AsyncClient, incident: dict[str, Any]
) -> None:
    told = {"text": {"fr": "Cause trouvée"}, "status": "identified", "at": "2026-03-01T09:00:00Z"}
    now = fine(await own.post(f"{AT}/updates", json=told), 200)
    assert now["revision"] == 2
    assert now["content"]["status"] == "identified"
    assert now["content"]["updates"] == [told]
    more = fine(await own.post(f"{AT}/updates", json={"text": {"fr": "Toujours là"}}), 200)
    assert [line["status"] for line in more["content"]["updates"]] == ["identified", "identified"]
    assert more["content"]["updates"][1]["at"].endswith("Z")
    assert (await own.get(AT)).json() == more


async def test_a_resolution_notes_its_time(own: httpx2.AsyncClient, incident: dict[str, Any]) -> None:
    told = {"text": {"fr": "Rétabli"}, "status": "resolved", "at": "2026-03-01T10:00:00Z"}
    now = fine(await own.post(f"{AT}/updates", json=told), 200)
    assert now["content"]["resolved_at"] == "2026-03-01T10:00:00Z"


async def test_updates_at_the_same_time_are_all_kept(
    own: httpx2.AsyncClient, incident: dict[str, Any]
) -> None:
    answers = await asyncio.gather(
        *(own.post(f"{AT}/updates", json={"text": {"fr": f"ligne {n}"}}) for n in range(6))
    )
    assert {answer.status_code for answer in answers} == {200}
    lines = (await own.get(AT)).json()["content"]["updates"]
    assert sorted(line["text"]["fr"] for line in lines) == [f"ligne {n}" for n in range(6)]


@pytest.mark.parametrize(
    ("update", "pointer"),
    [
        ({}, "/text"),
        ({"text": {}}, "/text"),
        ({"text": {"fr": "x"}, "status": "completed"}, "/status"),
        ({"text": {"fr": "x"}, "status": "fine"}, "/status"),
        ({"text": {"fr": "x"}, "at": "2026-02-30T00:00:00Z"}, "/at"),
        ({"text": {"fr": "x"}, "revision": 2}, "/revision"),
        ({"text": {"fr": "a\u202eb"}}, "/content/updates/0/text/fr"),
        ({"text": {"fr": "x"}, "status": "resolved", "at": "2026-02-01T00:00:00Z"}, "/content/resolved_at"),
    ],
)
async def test_an_update_that_breaks_a_rule_is_refused(
    own: httpx2.AsyncClient, arnia: Node, incident: dict[str, Any], update: Any, pointer: str
) -> None:
    before = await left_behind(arnia)
    refused(await own.post(f"{AT}/updates", json=update), 400, "invalid", pointer=pointer)
    assert await left_behind(arnia) == before


async def test_only_an_incident_that_is_there_has_a_timeline(
    own: httpx2.AsyncClient, incident: dict[str, Any]
) -> None:
    told = {"text": {"fr": "x"}}
    refused(await own.post("/v1/incidents/arnia/none/updates", json=told), 404, "not-found")
    refused(await own.post("/v1/solutions/arnia/2026-0042/updates", json=told), 404, "not-found")
    await own.delete(AT)
    refused(await own.post(f"{AT}/updates", json=told), 410, "retracted")


async def test_an_update_counts_on_the_state_it_names(
    own: httpx2.AsyncClient, incident: dict[str, Any]
) -> None:
    tag = (await own.get(AT)).headers["etag"]
    told = {"text": {"fr": "x"}}
    assert (await own.post(f"{AT}/updates", json=told, headers={"if-match": tag})).status_code == 200
    late = await own.post(f"{AT}/updates", json=told, headers={"if-match": tag})
    refused(late, 412, "precondition-failed")


async def test_an_incident_that_is_opened_again_is_resolved_when_it_is(own: httpx2.AsyncClient) -> None:
    await put(own, "incidents/again", an_incident())
    at = "/v1/incidents/arnia/again"
    for status, moment in (("resolved", "10"), ("investigating", "11"), ("resolved", "12")):
        line = {"text": {"fr": "…"}, "status": status, "at": f"2026-03-01T{moment}:00:00Z"}
        now = fine(await own.post(f"{at}/updates", json=line), 200)["content"]
        resolved = {"10": "2026-03-01T10:00:00Z", "12": "2026-03-01T12:00:00Z"}.get(moment)
        assert now.get("resolved_at") == resolved
    assert len(now["updates"]) == 3


async def test_the_timeline_is_append_only(own: httpx2.AsyncClient) -> None:
    def line(n: int) -> dict[str, Any]:
        return {"at": f"2026-03-01T1{n}:00:00Z", "status": "identified", "text": {"fr": f"Ligne {n}"}}

    lines = [line(n) for n in range(3)]
    await put(own, "incidents/kept", an_incident(updates=lines[:2]))
    at = "/v1/incidents/arnia/kept"
    for wrong in (
        [],
        lines[:1],
        [lines[1], lines[0]],
        [lines[0], {**lines[1], "text": {"fr": "Autre"}}, lines[2]],
    ):
        for answer in (
            await own.put(at, json={"content": an_incident(updates=wrong)}),
            await own.patch(
                at, content=json.dumps({"content": {"updates": wrong}}).encode(),
                headers={"content-type": "application/merge-patch+json"},
            ),
        ):  # fmt: skip
            told = refused(answer, 400, "invalid")
            assert told["errors"][0]["pointer"] == "/content/updates"
    fine(await own.put(at, json={"content": an_incident(updates=lines)}), 200)
    foreign = {**lines[2], "status": "fixed"}
    told = refused(
        await own.put(at, json={"content": an_incident(updates=[*lines, foreign])}), 400, "invalid"
    )
    assert told["errors"][0]["pointer"] == "/content/updates/3/status"


async def test_a_dry_run_of_an_update_appends_nothing(
    own: httpx2.AsyncClient, incident: dict[str, Any]
) -> None:
    line = {"text": {"fr": "Cause trouvée"}, "status": "identified"}
    preview = fine(await own.post(f"{AT}/updates?dry_run=true", json=line), 200)
    assert preview == {"dry_run": True, "effects": [], "records": 0}
    assert (await own.get(AT)).json() == incident
    assert fine(await own.post(f"{AT}/updates?dry_run=false", json=line), 200)["revision"] == 2
    refused(await own.post(f"{AT}/updates?dry=true", json=line), 400, "invalid", pointer="?dry")
    assert (await own.get(AT)).json()["revision"] == 2
