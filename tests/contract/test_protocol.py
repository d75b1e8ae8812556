"""A reader that was written from ``docs/reference/protocol.md`` alone, at a node that serves."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from federation.domain.registry import TYPES
from federation.domain.visibility import itself
from federation.node import checkpoints, records, retention
from federation.node.node import Node
from tests.contract.rules import digest, leaf, leaves, root, sha256, signed, verdict
from tests.domain.builders import a_solution
from tests.nodes import browsing, publish

FEED = "arnia/public"


class Reader:
    """Holds a copy of one feed: records by type and key, and a cursor."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http
        self.records: dict[tuple[str, str], dict[str, Any]] = {}
        self.epoch, self.seq, self.retained_from = "", 0, 0

    async def head(self) -> dict[str, Any]:
        heads: list[dict[str, Any]] = (await self.http.get("/v1/feeds")).json()["feeds"]
        return next(head for head in heads if f"{head['origin']}/{head['audience']}" == FEED)

    async def claims(self, jws: str, now: float) -> dict[str, Any]:
        jwks = (await self.http.get("/.well-known/jwks.json")).json()
        assert verdict(jws, FEED, jwks, now) == "valid"
        assert verdict(jws, "arnia/federation", jwks, now) == "refused"
        said = signed(jws, "federation-checkpoint+jwt", jwks)
        assert said is not None
        return said

    async def lines(self, **asked: str) -> httpx2.Response:
        """``changes`` as a stream."""
        return await self.http.get(
            f"/v1/feeds/{FEED}/changes", params=asked, headers={"accept": "application/x-ndjson"}
        )

    async def pull(self) -> None:
        answer = await self.lines(**({"after": f"{self.epoch}.{self.seq}"} if self.epoch else {}))
        assert answer.status_code == 200
        self.epoch = answer.headers["federation-epoch"]
        for line in answer.text.splitlines():
            self.take(line)

    def take(self, line: str) -> None:
        entry = json.loads(line)
        names = list(entry)
        assert names[0] == "seq"
        assert names[-1] == ("revision" if entry["op"] == "withdraw" else "document")
        assert entry["seq"] > self.seq
        self.seq = entry["seq"]
        if entry["op"] == "withdraw":
            self.records.pop((entry["type"], entry["key"]), None)
            return
        raw = line[line.index('"document":') + len('"document":') : -1]
        assert sha256(raw.encode()) == entry["hash"]
        self.records[entry["type"], entry["key"]] = entry

    def forget_tombstones(self, until: int) -> None:
        self.retained_from = until
        self.records = {n: r for n, r in self.records.items() if r["op"] == "upsert" or r["seq"] > until}

    def leaves(self) -> dict[str, list[str]]:
        return leaves(self.records.values(), self.retained_from)

    def state(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "seq": self.seq,
            "retained_from": self.retained_from,
            "count": sum(record["op"] == "upsert" for record in self.records.values()),
            "root": root(digest(some) for some in self.leaves().values()),
        }


def said_of(claims: dict[str, Any]) -> dict[str, Any]:
    return {name: claims[name] for name in ("epoch", "seq", "retained_from", "count", "root")}


@pytest.fixture
async def reader(arnia: Node) -> AsyncIterator[Reader]:
    """Somebody without a token, at a node with a record of every fate."""
    for n in range(5):
        await publish(arnia, "solution", f"k{n}", a_solution(name=f"Numérique {n}"))
    await publish(arnia, "solution", "k1", a_solution(name="Revised"))
    await records.retract(arnia, TYPES["solution"], "arnia", "k2", by=itself("arnia"))
    await publish(arnia, "solution", "k3", a_solution(), tlp="RED")
    await checkpoints.sign_checkpoints(arnia)
    async with browsing(arnia) as client:
        yield Reader(client)


async def test_a_copy_that_was_read_from_zero_is_what_was_signed(reader: Reader, arnia: Node) -> None:
    head = await reader.head()
    await reader.pull()
    claims = await reader.claims(head["checkpoint"], arnia.clock().timestamp())
    assert reader.state() == said_of(claims)
    assert (claims["seq"], claims["count"]) == (8, 3)
    assert {name: head[name] for name in ("epoch", "seq", "retained_from", "count")}.items() <= claims.items()
    del reader.records["solution", "k0"]
    assert reader.state() != said_of(claims)


async def test_a_stream_is_resumed_after_any_line(reader: Reader) -> None:
    whole = (await reader.lines()).text.splitlines(keepends=True)
    epoch = (await reader.head())["epoch"]
    assert [json.loads(line)["seq"] for line in whole] == [1, 5, 6, 7, 8]
    for n, line in enumerate(whole):
        rest = await reader.lines(after=f"{epoch}.{json.loads(line)['seq']}")
        assert rest.text == "".join(whole[n + 1 :])


async def test_a_copy_is_repaired_from_the_signature_down(reader: Reader, arnia: Node) -> None:
    await reader.pull()
    true = reader.state()
    lost = reader.records.pop(("solution", "k0"))
    reader.records["solution", "k1"] = {**reader.records["solution", "k1"], "hash": sha256(b"altered")}
    shown = (await reader.http.get(f"/v1/feeds/{FEED}/digest")).json()
    claims = await reader.claims(shown["checkpoint"], arnia.clock().timestamp())
    assert root(shown["buckets"]) == shown["root"] == claims["root"]
    wanted = []
    for bucket, (theirs, lines) in enumerate(zip(shown["buckets"], reader.leaves().values(), strict=True)):
        if theirs != digest(lines):
            listed = (await reader.http.get(f"/v1/feeds/{FEED}/digest?bucket={bucket:02x}")).json()
            assert digest(listed["leaves"]) == theirs
            assert {n: listed[n] for n in ("epoch", "seq", "retained_from")}.items() <= claims.items()
            wanted += [line.rsplit(" ", 1)[1] for line in set(listed["leaves"]) - set(lines)]
    assert len(wanted) == 2
    for line in (await reader.lines(numbers=",".join(wanted))).text.splitlines():
        entry = json.loads(line)
        assert str(entry["seq"]) in wanted
        reader.records[entry["type"], entry["key"]] = entry
    assert reader.state() == true == said_of(claims)
    assert leaf(reader.records["solution", "k0"]) == leaf(lost)


async def test_who_was_away_for_too_long_drops_tombstones_with_the_origin(
    reader: Reader, arnia: Node
) -> None:
    await reader.pull()
    later = arnia.clock() + timedelta(days=arnia.tombstones_days + 1)
    arnia.clock = lambda: later
    await retention.drop_expired_tombstones(arnia)
    await checkpoints.sign_checkpoints(arnia)
    head = await reader.head()
    claims = await reader.claims(head["checkpoint"], later.timestamp())
    assert claims["retained_from"] == 8
    assert reader.state() != said_of(claims)
    reader.forget_tombstones(claims["retained_from"])
    assert reader.state() == said_of(claims)
    answers = {seq: (await reader.lines(after=f"{reader.epoch}.{seq}")).status_code for seq in (7, 8, 9)}
    assert answers == {7: 410, 8: 200, 9: 400}
    assert (await reader.lines(after=f"{'0' * 16}.1")).status_code == 409


async def test_a_stream_is_whole_lines_in_utf_8_and_nothing_where_there_is_no_entry(reader: Reader) -> None:
    whole = await reader.lines()
    assert whole.headers["content-type"] == "application/x-ndjson"
    assert whole.content.endswith(b"}\n")
    assert not whole.content.startswith(b"\xef\xbb\xbf")
    empty = await reader.lines(after=f"{whole.headers['federation-epoch']}.8")
    assert (empty.status_code, empty.content) == (200, b"")
    page = await reader.http.get(f"/v1/feeds/{FEED}/changes")
    assert page.headers["content-type"] == "application/json"
    assert page.json().keys() == {"entries", "cursor", "more"}


async def test_the_node_refuses_as_the_vectors_say(reader: Reader, arnia: Node) -> None:
    file = Path(__file__).parents[2] / "schemas" / "vectors" / "exchanges.json"
    answers = {case["name"]: case["answer"] for case in json.loads(file.read_text())["exchanges"]}
    epoch = (await reader.head())["epoch"]
    later = arnia.clock() + timedelta(days=arnia.tombstones_days + 1)
    arnia.clock = lambda: later
    await retention.drop_expired_tombstones(arnia)
    for name, path in (
        ("the cursor is of another epoch", f"{FEED}/changes?after={'0' * 16}.1"),
        ("the cursor is older than the tombstones", f"{FEED}/changes?after={epoch}.7"),
        ("the cursor is beyond the end", f"{FEED}/changes?after={epoch}.9"),
        ("the feed is not for us", "arnia/federation/changes"),
        ("the feed is not for us", "arnia/no-such-group/changes"),
        ("a relay has no copy of the feed", "recia/public/changes"),
    ):
        answer, expected = await reader.http.get(f"/v1/feeds/{path}"), answers[name]
        assert (answer.status_code, answer.headers["content-type"]) == (
            expected["status"], expected["headers"]["content-type"],
        )  # fmt: skip
        kinds = [re.split("[:/]", said["type"])[-1] for said in (answer.json(), json.loads(expected["body"]))]
        assert kinds[0] == kinds[1]
