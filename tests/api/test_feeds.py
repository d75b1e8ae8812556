"""Feeds: heads, waiting, pages, streams, cursors."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import httpx2
import pytest

from federation.api import heads as api_heads
from federation.api import requests
from federation.domain.content.solution import Solution
from federation.domain.feed import FeedName, mint_epoch
from federation.domain.visibility import itself
from federation.node import epochs, feed_snapshots, records, retention
from federation.node.node import Node
from federation.store.entries import EntriesReader
from tests.api.http_client import Stopwatch, executed, fine, lines, on_the_wire, put, refused
from tests.domain.builders import a_solution
from tests.nodes import a_node, publish
from tests.waiting import MAX_WAIT_SECONDS, wait_for_waiter

HOUR = 3_600
"""Seconds of a wait that no test sees the end of: an answer was woken."""
PUBLIC = "/v1/feeds/arnia/public/changes"
NDJSON = {"accept": "application/x-ndjson"}


async def some(node: Node, number: int, **envelope: Any) -> None:
    for n in range(number):
        await publish(node, "solution", f"s{n}", a_solution(name=f"n{n}"), **envelope)


async def epoch(client: httpx2.AsyncClient) -> str:
    found: str = fine(await client.get("/v1/feeds"), 200)["feeds"][0]["epoch"]
    return found


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that lets callers wait for an hour."""
    monkeypatch.setattr(requests, "MAX_WAIT_SECONDS", HOUR)


# Heads


async def test_heads_say_where_each_feed_ends(own: httpx2.AsyncClient, arnia: Node) -> None:
    await some(arnia, 3)
    await publish(arnia, "solution", "green", a_solution(), tlp="GREEN")
    await own.delete("/v1/solutions/arnia/s0")
    feeds = {feed["audience"]: feed for feed in fine(await own.get("/v1/feeds"), 200)["feeds"]}
    assert (feeds["public"]["seq"], feeds["public"]["count"]) == (4, 2)
    assert (feeds["federation"]["seq"], feeds["federation"]["count"]) == (1, 1)
    assert {feed["origin"] for feed in feeds.values()} == {"arnia"}
    assert "private" not in feeds


async def test_heads_that_have_not_moved_are_not_sent_again(own: httpx2.AsyncClient, arnia: Node) -> None:
    tag = (await own.get("/v1/feeds")).headers["etag"]
    same = await own.get("/v1/feeds", headers={"if-none-match": tag})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    await some(arnia, 1)
    moved = await own.get("/v1/feeds", headers={"if-none-match": tag})
    assert moved.status_code == 200
    assert moved.headers["etag"] != tag


@pytest.mark.usefixtures("patient")
async def test_who_waits_is_answered_as_soon_as_something_is_published(
    own: httpx2.AsyncClient, arnia: Node
) -> None:
    tag = (await own.get("/v1/feeds")).headers["etag"]
    waiting = asyncio.ensure_future(
        own.get("/v1/feeds", headers={"if-none-match": tag, "prefer": f"respond-async, wait={HOUR}"})
    )
    await wait_for_waiter(arnia)
    assert not waiting.done()
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        await publish(arnia, "solution", "one", a_solution())
        answer = await waiting
    assert answer.headers["preference-applied"] == f"wait={HOUR}"
    assert {"public": 1}.items() <= {f["audience"]: f["seq"] for f in fine(answer, 200)["feeds"]}.items()


@pytest.mark.usefixtures("patient")
async def test_who_waits_is_answered_when_another_process_publishes(
    own: httpx2.AsyncClient, arnia: Node, dsn: str
) -> None:
    tag = (await own.get("/v1/feeds")).headers["etag"]
    async with a_node("arnia", dsn) as other:
        waiting = asyncio.ensure_future(
            own.get("/v1/feeds", headers={"if-none-match": tag, "prefer": f"wait={HOUR}"})
        )
        await wait_for_waiter(arnia)
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            await publish(other, "solution", "one", a_solution())
            assert (await waiting).status_code == 200


@pytest.mark.usefixtures("patient")
async def test_who_waits_in_vain_is_told_after_the_time(own: httpx2.AsyncClient, arnia: Node) -> None:
    tag = (await own.get("/v1/feeds")).headers["etag"]
    with Stopwatch() as watch:
        waiting = asyncio.ensure_future(
            own.get("/v1/feeds", headers={"if-none-match": tag, "prefer": "wait=1"})
        )
        await wait_for_waiter(arnia)
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            await publish(arnia, "solution", "hidden", a_solution(), tlp="RED")  # moves no feed
            assert (await waiting).status_code == 304
    assert watch.seconds > 0.9


@pytest.mark.usefixtures("patient")
async def test_a_wait_ends_when_the_node_stops(own: httpx2.AsyncClient, arnia: Node) -> None:
    tag = (await own.get("/v1/feeds")).headers["etag"]
    waiting = asyncio.ensure_future(
        own.get("/v1/feeds", headers={"if-none-match": tag, "prefer": f"wait={HOUR}"})
    )
    await wait_for_waiter(arnia)
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        arnia.stop()
        assert (await waiting).status_code == 304


async def test_a_preference_that_is_none_is_ignored(own: httpx2.AsyncClient) -> None:
    tag = (await own.get("/v1/feeds")).headers["etag"]
    for prefer in ("wait=", "wait=x", "wait=-1", "wait=1.5", "return=minimal"):
        answer = await own.get("/v1/feeds", headers={"if-none-match": tag, "prefer": prefer})
        assert (answer.status_code, "preference-applied" in answer.headers) == (304, False)


@pytest.mark.usefixtures("patient")
async def test_who_has_no_token_is_answered_at_once(anyone: httpx2.AsyncClient) -> None:
    tag = (await anyone.get("/v1/feeds")).headers["etag"]
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        answer = await anyone.get("/v1/feeds", headers={"if-none-match": tag, "prefer": f"wait={HOUR}"})
    assert answer.status_code == 304
    assert "preference-applied" not in answer.headers


@pytest.mark.usefixtures("patient")
async def test_a_peer_that_joins_a_group_while_it_waits_is_shown_the_feed(
    peer: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node
) -> None:
    await put(own, "groups/close", {"name": "Close", "members": []})
    await put(own, "solutions/one", a_solution(), tlp="AMBER", audience="close")
    tag = (await peer.get("/v1/feeds")).headers["etag"]
    waiting = asyncio.ensure_future(
        peer.get("/v1/feeds", headers={"if-none-match": tag, "prefer": f"wait={HOUR}"})
    )
    await wait_for_waiter(arnia)
    await put(own, "groups/close", {"name": "Close", "members": ["megalis"]})
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        feeds = fine(await waiting, 200)["feeds"]
    assert "close" in {feed["audience"] for feed in feeds}


# News with the heads


WAITING = {"prefer": "wait=20", **NDJSON}


async def told_while_waiting(node: Node, client: httpx2.AsyncClient, act: Any) -> list[dict[str, Any]]:
    """The lines that who waits at the heads is answered with when this is done."""
    tag = (await client.get("/v1/feeds")).headers["etag"]
    waiting = asyncio.ensure_future(client.get("/v1/feeds", headers={"if-none-match": tag, **WAITING}))
    await wait_for_waiter(node)
    await act
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        answer = await waiting
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.content.splitlines()]


async def test_what_is_new_comes_with_the_heads_to_who_waits_for_lines(
    peer: httpx2.AsyncClient, arnia: Node
) -> None:
    await publish(arnia, "solution", "before", a_solution())
    heads, place, entry = await told_while_waiting(
        arnia, peer, publish(arnia, "solution", "one", a_solution())
    )
    (head,) = (head for head in heads["feeds"] if head["audience"] == "public")
    assert place == {"feed": "arnia/public", "after": f"{head['epoch']}.1"}
    assert (entry["seq"], entry["key"], head["seq"]) == (2, "one", 2)
    (asked,) = fine(await peer.get(PUBLIC, params={"after": place["after"]}), 200)["entries"]
    assert entry == asked


async def test_callers_that_wait_are_answered_by_one_reading_of_the_database(
    peer: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = 0
    read = EntriesReader.own_deltas

    async def counted(self: EntriesReader, *args: Any) -> Any:
        nonlocal readings
        readings += 1
        return await read(self, *args)

    monkeypatch.setattr(EntriesReader, "own_deltas", counted)
    await publish(arnia, "solution", "before", a_solution())
    await arnia.notifier.refresh()
    tag = (await peer.get("/v1/feeds")).headers["etag"]
    waiting = [
        asyncio.ensure_future(client.get("/v1/feeds", headers={"if-none-match": tag, **WAITING}))
        for client in (peer, own, peer)
    ]
    await wait_for_waiter(arnia, 3)
    readings = 0
    await publish(arnia, "solution", "one", a_solution())
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        answers = await asyncio.gather(*waiting)
    assert readings == 1
    assert len({answer.content for answer in answers}) == 1
    assert len(answers[0].content.splitlines()) == 3


async def test_of_several_records_at_once_none_is_left_out(peer: httpx2.AsyncClient, arnia: Node) -> None:
    await publish(arnia, "solution", "before", a_solution())

    async def several() -> None:
        await asyncio.gather(*(publish(arnia, "solution", f"s{n}", a_solution()) for n in range(4)))

    lines = await told_while_waiting(arnia, peer, several())
    seqs = [line["seq"] for line in lines if "key" in line]
    assert seqs == list(range(2, 2 + len(seqs))), "as many as there were, and none left out"
    assert seqs


async def test_who_does_not_wait_is_told_the_heads_alone(peer: httpx2.AsyncClient, arnia: Node) -> None:
    await publish(arnia, "solution", "one", a_solution())
    answer = await peer.get("/v1/feeds", headers=NDJSON)
    (line,) = answer.content.splitlines()
    assert json.loads(line) == fine(await peer.get("/v1/feeds"), 200)
    assert answer.headers["etag"] == (await peer.get("/v1/feeds")).headers["etag"]


async def test_more_than_a_page_of_news_is_left_to_be_asked_for(
    peer: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_snapshots, "MAX_INLINE_ENTRIES", 2)

    async def upload(keys: str) -> None:
        body = b"".join(json.dumps({"key": key, "content": a_solution()}).encode() + b"\n" for key in keys)
        headers = {"content-type": "application/x-ndjson"}
        fine(await own.post("/v1/solutions/bulk", content=body, headers=headers), 200)

    assert len(await told_while_waiting(arnia, peer, upload("abc"))) == 1
    assert len(await told_while_waiting(arnia, peer, upload("de"))) == 1 + 1 + 2


async def test_news_of_many_bytes_are_left_to_be_asked_for(
    peer: httpx2.AsyncClient, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(await told_while_waiting(arnia, peer, publish(arnia, "solution", "one", a_solution()))) == 3
    monkeypatch.setattr(feed_snapshots, "MAX_INLINE_BYTES", 100)
    assert len(await told_while_waiting(arnia, peer, publish(arnia, "solution", "two", a_solution()))) == 1


async def test_news_of_a_group_are_for_its_members(
    peer: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node
) -> None:
    for group, members in (("close", []), ("near", ["megalis"])):
        await put(own, f"groups/{group}", {"name": group, "members": members})
        await put(own, "solutions/first", a_solution(), tlp="AMBER", audience=group)

    async def in_both() -> None:
        await put(own, "solutions/hidden", a_solution(name="canary"), tlp="AMBER", audience="close")
        await put(own, "solutions/shown", a_solution(), tlp="AMBER", audience="near")

    lines = await told_while_waiting(arnia, peer, in_both())
    assert "canary" not in json.dumps(lines)
    assert {line.get("feed") for line in lines if "feed" in line} <= {"arnia/near"}
    assert {line["key"] for line in lines if "key" in line} == {"shown"}


async def told_at_once(
    client: httpx2.AsyncClient, tag: str, **headers: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The heads, and the lines after them, that who names a state is answered with."""
    answer = await client.get("/v1/feeds", headers={"if-none-match": tag, **NDJSON, **headers})
    assert answer.status_code == 200
    heads, *news = [json.loads(line) for line in answer.content.splitlines()]
    return heads, news


@pytest.mark.parametrize("prefer", [{"prefer": "wait=20"}, {}])
async def test_who_comes_too_late_to_wait_is_told_what_is_new_since_the_state_it_names(
    peer: httpx2.AsyncClient, arnia: Node, prefer: dict[str, str]
) -> None:
    await publish(arnia, "solution", "before", a_solution())
    tag = (await peer.get("/v1/feeds")).headers["etag"]
    await publish(arnia, "solution", "one", a_solution())
    await publish(arnia, "solution", "two", a_solution())
    heads, (place, *entries) = await told_at_once(peer, tag, **prefer)
    (head,) = (head for head in heads["feeds"] if head["audience"] == "public")
    assert place == {"feed": "arnia/public", "after": f"{head['epoch']}.1"}
    assert [(entry["seq"], entry["key"]) for entry in entries] == [(2, "one"), (3, "two")]


async def test_a_state_that_was_forgotten_is_as_one_that_was_never_told(
    peer: httpx2.AsyncClient, arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_heads, "MAX_HEADS", 2 * 2)  # two states of two feeds
    tags = []
    for key in ("one", "two", "three"):
        tags.append((await peer.get("/v1/feeds")).headers["etag"])
        await publish(arnia, "solution", key, a_solution())
    assert (await told_at_once(peer, tags[0]))[1] == []
    assert len((await told_at_once(peer, tags[2]))[1]) == 2
    assert (await told_at_once(peer, '"unknown"'))[1] == []


async def test_the_tag_of_anothers_state_shows_nothing_that_one_may_not_see(
    peer: httpx2.AsyncClient, own: httpx2.AsyncClient, anyone: httpx2.AsyncClient
) -> None:
    await put(own, "groups/close", {"name": "Close", "members": []})
    await put(own, "solutions/first", a_solution(), tlp="AMBER", audience="close")
    tag = (await own.get("/v1/feeds")).headers["etag"]
    await put(own, "solutions/hidden", a_solution(name="canary"), tlp="AMBER", audience="close")
    await put(own, "solutions/shown", a_solution())
    for client in (peer, anyone):
        heads, news = await told_at_once(client, tag)
        assert "close" not in {head["audience"] for head in heads["feeds"]}
        assert "canary" not in json.dumps(news)
    _, news = await told_at_once(own, tag)
    assert {line["key"] for line in news if "key" in line} == {"hidden", "shown"}, "who may see it is told"


async def test_who_has_left_a_group_is_not_told_what_is_new_in_it(
    peer: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    await put(own, "groups/close", {"name": "Close", "members": ["megalis"]})
    await put(own, "solutions/first", a_solution(), tlp="AMBER", audience="close")
    tag = (await peer.get("/v1/feeds")).headers["etag"]
    await put(own, "solutions/second", a_solution(), tlp="AMBER", audience="close")
    _, news = await told_at_once(peer, tag)
    assert {line["key"] for line in news if "key" in line} == {"second"}
    await put(own, "groups/close", {"name": "Close", "members": ["recia"]})
    heads, news = await told_at_once(peer, tag)
    assert (news, "close" in {head["audience"] for head in heads["feeds"]}) == ([], False)


async def test_of_another_epoch_nothing_is_told_as_new(peer: httpx2.AsyncClient, arnia: Node) -> None:
    await publish(arnia, "solution", "before", a_solution())
    tag = (await peer.get("/v1/feeds")).headers["etag"]
    await epochs.begin_epoch(arnia, "restored")
    await publish(arnia, "solution", "one", a_solution())
    assert (await told_at_once(peer, tag))[1] == [], "what is held is to be compared first"
    tag = (await peer.get("/v1/feeds")).headers["etag"]
    await publish(arnia, "solution", "two", a_solution())
    assert [line["key"] for line in (await told_at_once(peer, tag))[1][1:]] == ["two"]


async def test_of_a_feed_that_is_not_kept_from_there_on_nothing_is_told_as_new(
    peer: httpx2.AsyncClient, arnia: Node
) -> None:
    tags = [(await peer.get("/v1/feeds")).headers["etag"]]
    for key in ("one", "two"):
        await publish(arnia, "solution", key, a_solution())
        tags.append((await peer.get("/v1/feeds")).headers["etag"])
    await records.retract(arnia, Solution, "arnia", "one", by=itself("arnia"))
    tags.append((await peer.get("/v1/feeds")).headers["etag"])
    await publish(arnia, "solution", "three", a_solution())
    async with arnia.store.write() as tx:
        place = await tx.feeds.find(FeedName("arnia", "public"))
        assert place is not None
        await retention.drop_tombstones(tx, place.id, 3)
    told = [[line["key"] for line in (await told_at_once(peer, tag))[1][1:]] for tag in tags]
    assert told == [["two", "three"], [], [], ["three"]], "who was there before would miss that one is gone"


async def test_who_asks_for_one_origin_or_as_somebody_else_is_told_the_heads_alone(
    own: httpx2.AsyncClient, peer: httpx2.AsyncClient, arnia: Node
) -> None:
    await epochs.begin_epoch(arnia, "so that no state was told before")
    tag = (await own.get("/v1/feeds")).headers["etag"]
    for name, operator in (("origin", "arnia"), ("as", "megalis")):
        await publish(arnia, "solution", f"before-{name}", a_solution())
        headers = {"if-none-match": tag, **NDJSON}
        answer = await own.get("/v1/feeds", params={name: operator}, headers=headers)
        (heads,) = answer.content.splitlines()
        assert {head["audience"] for head in json.loads(heads)["feeds"]} == {"public", "federation"}
        await publish(arnia, "solution", f"after-{name}", a_solution())
        assert (await told_at_once(own, answer.headers["etag"]))[1] == [], "it was no state of all feeds"
    assert len((await told_at_once(own, tag))[1]) == 1 + 4


# Pages


async def test_a_page_embeds_the_very_bytes(anyone: httpx2.AsyncClient, arnia: Node) -> None:
    outcome = await publish(arnia, "solution", "one", a_solution())
    answer = await anyone.get(PUBLIC)
    (entry,) = fine(answer, 200)["entries"]
    assert outcome.document in answer.content
    assert entry["hash"] == hashlib.sha256(outcome.document).hexdigest()
    assert (entry["seq"], entry["op"], entry["type"], entry["key"], entry["revision"]) == (
        1, "upsert", "solution", "one", 1,
    )  # fmt: skip


async def test_a_feed_is_the_records_in_the_order_they_last_changed(
    own: httpx2.AsyncClient, arnia: Node
) -> None:
    await some(arnia, 3)
    await publish(arnia, "solution", "s0", a_solution(status="beta"))
    await own.delete("/v1/solutions/arnia/s1")
    await publish(arnia, "solution", "s2", a_solution(), tlp="GREEN")
    entries = fine(await own.get(PUBLIC), 200)["entries"]
    assert [(e["seq"], e["op"], e["key"], e["revision"]) for e in entries] == [
        (4, "upsert", "s0", 2), (5, "delete", "s1", 2), (6, "withdraw", "s2", 2),
    ]  # fmt: skip
    assert "content" not in entries[1]["document"]
    assert entries[2].keys() == {"seq", "op", "type", "key", "revision"}


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
async def test_pages_lead_to_the_head(anyone: httpx2.AsyncClient, arnia: Node, limit: int) -> None:
    await some(arnia, 5)
    found, after, more = [], "", True
    while more:
        page = fine(await anyone.get(f"{PUBLIC}?limit={limit}&after={after}"), 200)
        assert len(page["entries"]) <= limit
        found += [entry["seq"] for entry in page["entries"]]
        after, more = page["cursor"], page["more"]
    assert found == [1, 2, 3, 4, 5]
    last = fine(await anyone.get(f"{PUBLIC}?after={after}"), 200)
    assert last == {"entries": [], "cursor": after, "more": False}


async def test_a_stream_can_be_resumed_after_any_line(anyone: httpx2.AsyncClient, arnia: Node) -> None:
    await some(arnia, 5)
    whole = await anyone.get(f"{PUBLIC}?limit=2", headers=NDJSON)
    assert whole.headers["content-type"] == "application/x-ndjson"
    of = whole.headers["federation-epoch"]
    entries = lines(whole)
    assert [entry["seq"] for entry in entries] == [1, 2, 3, 4, 5]
    for number in range(6):
        rest = await anyone.get(f"{PUBLIC}?limit=2&after={of}.{number}", headers=NDJSON)
        assert lines(rest) == entries[number:]


async def test_a_stream_is_whole_lines_over_a_real_connection(dsn: str) -> None:
    async with on_the_wire(dsn) as (node, client):
        await some(node, 30)
        async with client.stream("GET", f"{PUBLIC}?limit=7", headers=NDJSON) as answer:
            got = [json.loads(line)["seq"] async for line in answer.aiter_lines()]
        assert got == list(range(1, 31))
        page = fine(await client.get(f"{PUBLIC}?limit=7"), 200)
        assert [entry["seq"] for entry in page["entries"]] == list(range(1, 8))


# Cursors


@pytest.mark.parametrize("form", ["application/json", "application/x-ndjson"])
async def test_a_cursor_that_does_not_fit_is_refused_with_what_to_do(
    anyone: httpx2.AsyncClient, arnia: Node, dsn: str, form: str
) -> None:
    await some(arnia, 5)
    of, accept = await epoch(anyone), {"accept": form}
    other = mint_epoch()

    async def ask(after: str) -> httpx2.Response:
        return await anyone.get(PUBLIC, params={"after": after}, headers=accept)

    for garbage in (
        "x", "5", f"{of}.", f"{of}.-1", f"{of}.5 ", f"{of.upper()}.x", f"{of}.{'9' * 17}", f"{of}.\u0665",
        f"{of}.5\n", "\x00", "💥", f"{of}.5.5",
    ):  # fmt: skip
        refused(await ask(garbage), 400, "invalid")
    refused(await ask(f"{of}.6"), 400, "cursor-in-future")
    refused(await ask(f"{of}.{'9' * 16}"), 400, "cursor-in-future")
    refused(await ask(f"{other}.5"), 409, "epoch-changed")
    for good in (0, 1, 2, 5):
        assert (await ask(f"{of}.{good}")).status_code == 200
    await executed(dsn, "UPDATE feeds SET retained_from = 3 WHERE audience = 'public'")
    refused(await ask(f"{of}.2"), 410, "cursor-expired")
    for good in (0, 3, 5):
        assert (await ask(f"{of}.{good}")).status_code == 200


async def test_what_a_page_cannot_be_asked(anyone: httpx2.AsyncClient) -> None:
    for asked in (
        "limit=0", "limit=1001", "limit=x", "limit=", "limit=1&limit=2", "since=1", "limit=%C2%B2",
        "after=%FF", "after=%00", "after=x&after=y", "%FF=1",
    ):  # fmt: skip
        refused(await anyone.get(f"{PUBLIC}?{asked}"), 400, "invalid")
    assert (await anyone.get(f"{PUBLIC}?limit=1000&after=")).status_code == 200


async def test_the_form_of_an_answer_is_what_accept_asks_for(anyone: httpx2.AsyncClient) -> None:
    for accept, form in {
        "*/*": "json", "application/json": "json", "application/*": "json", "application/x-ndjson": "ndjson",
        "text/html, application/x-ndjson;q=0.9": "ndjson", "APPLICATION/X-NDJSON": "ndjson",
    }.items():  # fmt: skip
        answer = await anyone.get(PUBLIC, headers={"accept": accept})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].endswith(form), accept
    refused(await anyone.get(PUBLIC, headers={"accept": "text/html"}), 406, "not-acceptable")


async def test_accept_is_read_with_its_weights(anyone: httpx2.AsyncClient) -> None:
    """RFC 9110, 12.4.2."""
    weighed = {"accept": "application/json;q=0.1, application/x-ndjson"}
    assert (await anyone.get(PUBLIC, headers=weighed)).headers["content-type"].endswith("ndjson")
    never = {"accept": "application/x-ndjson;q=0, application/json"}
    assert (await anyone.get(PUBLIC, headers=never)).headers["content-type"].endswith("json")
    assert not (await anyone.get(PUBLIC, headers=never)).headers["content-type"].endswith("ndjson")


# Audiences


async def test_who_is_no_longer_in_an_audience_is_told_to_drop_its_copies(
    peer: httpx2.AsyncClient, anyone: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    await put(own, "groups/close", {"name": "Close", "members": ["megalis"]})
    await put(own, "solutions/one", a_solution(), tlp="AMBER", audience="close")
    at = "/v1/feeds/arnia/close/changes"
    assert [entry["key"] for entry in fine(await peer.get(at), 200)["entries"]] == ["one"]
    refused(await anyone.get(at), 403, "audience-revoked")
    await put(own, "groups/close", {"name": "Close", "members": []})
    for headers in ({}, NDJSON):
        told = refused(await peer.get(at, headers=headers), 403, "audience-revoked")
        assert "drop" in told["detail"]


async def test_feeds_that_are_not_for_the_caller(
    anyone: httpx2.AsyncClient, peer: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    refused(await anyone.get("/v1/feeds/arnia/federation/changes"), 403, "audience-revoked")
    assert (await peer.get("/v1/feeds/arnia/federation/changes")).status_code == 200
    for client in (anyone, peer, own):
        refused(await client.get("/v1/feeds/arnia/private/changes"), 403, "audience-revoked")
        refused(await client.get("/v1/feeds/megalis/public/changes"), 404, "not-found")
        refused(await client.get("/v1/feeds/arnia/a%00b/changes"), 400, "invalid")
