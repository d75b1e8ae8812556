"""Publishing, revising, patching, retracting; preconditions; who may write."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
import uuid
from typing import Any

import httpx2
import pytest

from federation.api.examples import DRAFTS, KEYS
from federation.domain.registry import TYPES
from federation.node.node import Node
from tests.api.http_client import fine, left_behind, patch, put, refused
from tests.domain.builders import a_solution, an_incident
from tests.nodes import publish


@pytest.mark.parametrize("kind", TYPES.values(), ids=lambda kind: kind.type)
async def test_each_type_is_published_read_and_retracted(own: httpx2.AsyncClient, kind: Any) -> None:
    at = f"/v1/{kind.plural}/arnia/{KEYS[kind.type]}"
    created = await own.put(at, json=DRAFTS[kind.type])
    assert fine(created, 201)["type"] == kind.type
    assert created.headers["location"] == f"http://arnia.test{at}"
    read = await own.get(at)
    assert (read.status_code, read.content) == (200, created.content)
    assert (await own.delete(at)).status_code == 204
    refused(await own.get(at), 410, "retracted")


async def test_the_same_content_again_is_the_same_revision(own: httpx2.AsyncClient, arnia: Node) -> None:
    first = await put(own, "solutions/glpi", a_solution())
    before = await left_behind(arnia)
    again = await put(own, "solutions/glpi", dict(reversed(a_solution().items())))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.content == first.content
    assert again.headers["etag"] == first.headers["etag"]
    assert await left_behind(arnia) == before


async def test_other_content_is_the_next_revision(own: httpx2.AsyncClient) -> None:
    first = await put(own, "solutions/glpi", a_solution())
    second = await put(own, "solutions/glpi", a_solution(status="beta"))
    assert second.status_code == 200
    one, two = first.json(), second.json()
    assert (one["revision"], two["revision"]) == (1, 2)
    assert two["created_at"] == one["created_at"]
    assert two["updated_at"] >= one["updated_at"]
    assert first.headers["etag"] != second.headers["etag"]


async def test_the_etag_is_the_hash_of_the_bytes(own: httpx2.AsyncClient) -> None:
    await put(own, "solutions/glpi", a_solution())
    answer = await own.get("/v1/solutions/arnia/glpi")
    assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
    assert answer.headers["content-type"] == "application/json"
    assert "last-modified" in answer.headers
    assert "no-cache" in answer.headers["cache-control"]
    assert answer.headers["vary"] == "authorization"


async def test_a_minted_key_is_a_uuid_of_version_seven_and_of_now(own: httpx2.AsyncClient) -> None:
    before = time.time()
    first = await own.post("/v1/solutions", json={"content": a_solution()})
    second = await own.post("/v1/solutions", json={"content": a_solution()})
    after = time.time()
    keys = [uuid.UUID(fine(answer, 201)["key"]) for answer in (first, second)]
    assert keys[0] != keys[1]
    for key in keys:
        assert (key.version, key.variant) == (7, uuid.RFC_4122)
        assert before - 0.001 <= (key.int >> 80) / 1000 <= after
    assert first.headers["location"] == f"http://arnia.test/v1/solutions/arnia/{keys[0]}"
    assert (await own.get(first.headers["location"])).content == first.content


# Merge patch


async def test_a_patch_changes_what_it_names_and_leaves_the_rest(own: httpx2.AsyncClient) -> None:
    await put(own, "solutions/glpi", a_solution(homepage="https://glpi.example"))
    now = fine(await patch(own, "solutions/glpi", {"content": {"status": "beta"}}), 200)
    assert now["revision"] == 2
    assert now["content"] == a_solution(homepage="https://glpi.example", status="beta")


async def test_null_in_a_patch_removes(own: httpx2.AsyncClient) -> None:
    content = a_solution(homepage="https://glpi.example", summary={"fr": "Parc", "en": "Assets"})
    await put(own, "solutions/glpi", content, same_as=["https://www.wikidata.org/entity/Q1"])
    change = {"same_as": None, "content": {"homepage": None, "summary": {"en": None}}}
    now = fine(await patch(own, "solutions/glpi", change), 200)
    assert now["content"] == a_solution(summary={"fr": "Parc"})
    assert "same_as" not in now


async def test_an_array_in_a_patch_takes_the_place_of_the_old_one(own: httpx2.AsyncClient) -> None:
    await put(own, "solutions/glpi", a_solution(themes=["ai", "erp"]))
    now = fine(await patch(own, "solutions/glpi", {"content": {"themes": ["crm"]}}), 200)
    assert now["content"]["themes"] == ["crm"]


async def test_a_patch_that_changes_nothing_is_no_revision(own: httpx2.AsyncClient) -> None:
    first = await put(own, "solutions/glpi", a_solution())
    same = await patch(own, "solutions/glpi", {"content": {"status": "stable", "homepage": None}})
    assert (same.status_code, same.content) == (200, first.content)


@pytest.mark.parametrize(
    "member", ["type", "origin", "key", "revision", "created_at", "updated_at", "content/nonsense"]
)
async def test_a_patch_of_what_is_not_the_writers_is_refused(
    own: httpx2.AsyncClient, arnia: Node, member: str
) -> None:
    await put(own, "solutions/glpi", a_solution())
    before = await left_behind(arnia)
    change: Any = 7
    for name in reversed(member.split("/")):
        change = {name: change}
    refused(await patch(own, "solutions/glpi", change), 400, "invalid", pointer=f"/{member}")
    assert await left_behind(arnia) == before


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"content": {"status": "great"}}, "/content/status"),
        ({"content": {"name": None}}, "/content/name"),
        ({"content": None}, "/content"),
        ({"content": {"themes": []}}, "/content/themes"),
        ({"tlp": "AMBER"}, "/audience"),
    ],
)
async def test_the_result_of_a_patch_must_keep_the_schema(
    own: httpx2.AsyncClient, arnia: Node, change: Any, pointer: str
) -> None:
    await put(own, "solutions/glpi", a_solution())
    before = await left_behind(arnia)
    refused(await patch(own, "solutions/glpi", change), 400, "invalid", pointer=pointer)
    assert await left_behind(arnia) == before


async def test_a_patch_is_an_object(own: httpx2.AsyncClient) -> None:
    await put(own, "solutions/glpi", a_solution())
    changes: list[Any] = [[], "x", 1, None, True]
    for change in changes:
        refused(await patch(own, "solutions/glpi", change), 400, "invalid")


async def test_what_is_not_there_cannot_be_patched(own: httpx2.AsyncClient) -> None:
    refused(await patch(own, "solutions/glpi", {"tlp": "GREEN"}), 404, "not-found")
    await put(own, "solutions/glpi", a_solution())
    assert fine(await patch(own, "solutions/glpi", {"tlp": "GREEN"}))["tlp"] == "GREEN"
    await own.delete("/v1/solutions/arnia/glpi")
    refused(await patch(own, "solutions/glpi", {"tlp": "GREEN"}), 410, "retracted")


# Retracting


async def test_a_retracted_record_is_gone_and_goes_on_where_it_was(own: httpx2.AsyncClient) -> None:
    await put(own, "solutions/glpi", a_solution())
    gone = await own.delete("/v1/solutions/arnia/glpi")
    assert (gone.status_code, gone.content) == (204, b"")
    assert re.fullmatch(r'"[0-9a-f]{64}"', gone.headers["etag"])
    refused(await own.get("/v1/solutions/arnia/glpi"), 410, "retracted")
    back = await put(own, "solutions/glpi", a_solution())
    assert fine(back, 201)["revision"] == 3
    assert (await own.get("/v1/solutions/arnia/glpi")).content == back.content


async def test_retracting_again_changes_nothing(own: httpx2.AsyncClient, arnia: Node) -> None:
    await put(own, "solutions/glpi", a_solution())
    first = await own.delete("/v1/solutions/arnia/glpi")
    before = await left_behind(arnia)
    again = await own.delete("/v1/solutions/arnia/glpi")
    assert (again.status_code, again.headers["etag"]) == (204, first.headers["etag"])
    assert await left_behind(arnia) == before


async def test_what_never_was_cannot_be_retracted(own: httpx2.AsyncClient) -> None:
    refused(await own.delete("/v1/solutions/arnia/glpi"), 404, "not-found")


async def test_a_key_is_free_in_another_type(own: httpx2.AsyncClient) -> None:
    await put(own, "solutions/one", a_solution())
    refused(await own.get("/v1/incidents/arnia/one"), 404, "not-found")
    assert fine(await put(own, "incidents/one", an_incident()), 201)["revision"] == 1


# Preconditions


async def test_who_has_the_bytes_is_not_sent_them_again(own: httpx2.AsyncClient) -> None:
    tag = (await put(own, "solutions/glpi", a_solution())).headers["etag"]
    at = "/v1/solutions/arnia/glpi"
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        same = await own.get(at, headers={"if-none-match": known})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert (await own.get(at, headers={"if-none-match": '"other"'})).status_code == 200
    await put(own, "solutions/glpi", a_solution(status="beta"))
    assert (await own.get(at, headers={"if-none-match": tag})).status_code == 200


async def test_a_write_counts_on_the_state_it_names(own: httpx2.AsyncClient) -> None:
    old = (await put(own, "solutions/glpi", a_solution())).headers["etag"]
    at = {"if-match": old}
    new = (await put(own, "solutions/glpi", a_solution(status="beta"), headers=at)).headers["etag"]
    late = await put(own, "solutions/glpi", a_solution(status="obsolete"), headers=at)
    assert "revision 2" in refused(late, 412, "precondition-failed")["detail"]
    refused(await patch(own, "solutions/glpi", {"tlp": "RED"}, if_match=old), 412, "precondition-failed")
    refused(await own.delete("/v1/solutions/arnia/glpi", headers=at), 412, "precondition-failed")
    now = await own.get("/v1/solutions/arnia/glpi")
    assert (now.headers["etag"], now.json()["content"]["status"]) == (new, "beta")
    assert (await patch(own, "solutions/glpi", {"tlp": "RED"}, if_match=new)).status_code == 200


async def test_if_match_needs_a_record(own: httpx2.AsyncClient) -> None:
    anything = {"if-match": "*"}
    refused(await put(own, "solutions/glpi", a_solution(), headers=anything), 412, "precondition-failed")
    await put(own, "solutions/glpi", a_solution())
    assert (await put(own, "solutions/glpi", a_solution(), headers=anything)).status_code == 200
    await own.delete("/v1/solutions/arnia/glpi")
    refused(await put(own, "solutions/glpi", a_solution(), headers=anything), 412, "precondition-failed")


async def test_if_match_does_not_take_a_weak_tag(own: httpx2.AsyncClient) -> None:
    """RFC 9110, 13.1.1: If-Match compares strongly."""
    tag = (await put(own, "solutions/glpi", a_solution())).headers["etag"]
    change = a_solution(status="beta")
    weak = await put(own, "solutions/glpi", change, headers={"if-match": f"W/{tag}"})
    refused(weak, 412, "precondition-failed")
    assert (await put(own, "solutions/glpi", change, headers={"if-match": tag})).status_code == 200


async def test_publishing_only_what_is_not_there_yet(own: httpx2.AsyncClient) -> None:
    fresh = {"if-none-match": "*"}
    assert (await put(own, "solutions/glpi", a_solution(), headers=fresh)).status_code == 201
    refused(
        await put(own, "solutions/glpi", a_solution(status="beta"), headers=fresh), 412, "precondition-failed"
    )
    await own.delete("/v1/solutions/arnia/glpi")
    assert (await put(own, "solutions/glpi", a_solution(), headers=fresh)).status_code == 201


async def test_of_two_lost_updates_one_is_told(own: httpx2.AsyncClient) -> None:
    seen = (await put(own, "solutions/glpi", a_solution())).headers["etag"]
    for _ in range(5):
        answers = await asyncio.gather(
            *(
                put(own, "solutions/glpi", a_solution(name=f"{seen[1:9]} {who}"), headers={"if-match": seen})
                for who in range(4)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
        (winner,) = (answer for answer in answers if answer.status_code == 200)
        assert (await own.get("/v1/solutions/arnia/glpi")).content == winner.content
        seen = winner.headers["etag"]


async def test_of_several_first_ones_one_is_first(own: httpx2.AsyncClient) -> None:
    for key in ("a", "b", "c"):
        answers = await asyncio.gather(
            *(
                put(own, f"solutions/{key}", a_solution(name=f"n{who}"), headers={"if-none-match": "*"})
                for who in range(4)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [201, 412, 412, 412]


async def test_patches_at_the_same_time_are_all_kept(own: httpx2.AsyncClient) -> None:
    await put(own, "solutions/glpi", a_solution())
    languages = ["en", "de", "es", "it", "br", "oc"]
    answers = await asyncio.gather(
        *(patch(own, "solutions/glpi", {"content": {"summary": {tag: "x"}}}) for tag in languages)
    )
    assert {answer.status_code for answer in answers} == {200}
    now = (await own.get("/v1/solutions/arnia/glpi")).json()
    assert set(now["content"]["summary"]) == {"fr", *languages}
    assert now["revision"] == 1 + len(languages)


# Whose records


@pytest.mark.parametrize("verb", ["put", "patch", "delete", "updates"])
async def test_only_the_origin_writes_and_the_problem_says_who_may(
    own: httpx2.AsyncClient, arnia: Node, verb: str
) -> None:
    before = await left_behind(arnia)
    at = "/v1/incidents/megalis/one"
    match verb:
        case "put":
            answer = await own.put(at, json={"content": an_incident()})
        case "patch":
            answer = await own.patch(
                at, content=b"{}", headers={"content-type": "application/merge-patch+json"}
            )
        case "delete":
            answer = await own.delete(at)
        case _:
            answer = await own.post(f"{at}/updates", json={"text": {"fr": "x"}})
    told = refused(answer, 403, "not-the-writer")
    assert "megalis" in told["detail"]
    assert "its own node" in told["detail"]
    assert await left_behind(arnia) == before


async def test_another_origin_is_refused_before_the_body_is_looked_at(own: httpx2.AsyncClient) -> None:
    answer = await own.put(
        "/v1/solutions/megalis/one", content=b"nonsense", headers={"content-type": "application/json"}
    )
    refused(answer, 403, "not-the-writer")


@pytest.mark.parametrize("key", ["a b", "é", ".hidden", "a%00b", "x" * 129, "%2e%2e", "a;b"])
async def test_a_key_that_is_none_is_refused(own: httpx2.AsyncClient, key: str) -> None:
    answer = await own.put(f"/v1/solutions/arnia/{key}", json={"content": a_solution()})
    assert answer.status_code in (400, 404)
    assert answer.headers["content-type"] == "application/problem+json"
    good = await own.put(f"/v1/solutions/arnia/{'x' * 128}", json={"content": a_solution()})
    assert good.status_code == 201


# Audiences


async def test_an_audience_must_be_a_group_of_this_node(own: httpx2.AsyncClient, arnia: Node) -> None:
    before = await left_behind(arnia)
    draft = {"tlp": "AMBER", "audience": "security"}
    refused(await put(own, "solutions/glpi", a_solution(), **draft), 400, "invalid", pointer="/audience")
    assert await left_behind(arnia) == before
    await publish(arnia, "group", "security", {"name": "Security", "members": ["megalis"]})
    assert fine(await put(own, "solutions/glpi", a_solution(), **draft), 201)["audience"] == "security"


async def test_a_group_is_always_red_and_named_like_a_feed(own: httpx2.AsyncClient) -> None:
    group = {"name": "Security", "members": ["megalis"]}
    refused(await put(own, "groups/security", group, tlp="CLEAR"), 400, "invalid")
    for reserved in ("public", "federation", "private", "A.b"):
        refused(await put(own, f"groups/{reserved}", group), 400, "invalid")
    assert fine(await put(own, "groups/security", group), 201)["tlp"] == "RED"
