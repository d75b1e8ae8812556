"""Following the change log: pages and events, cursors, broken connections, and a node that is killed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from federation.client import (
    Change,
    Client,
    CursorExpired,
    EpochChanged,
    SnapshotEnd,
    TokenRefused,
    UnexpectedAnswer,
)
from federation.client import changes as changes_module
from federation.client import sender as sender_module
from federation.domain.content.solution import Solution
from federation.node.node import Node
from tests.client.conftest import client_of
from tests.domain.builders import a_document, a_solution
from tests.nodes import a_client, answers, free_port, publish, served
from tests.waiting import MAX_WAIT_SECONDS

PROJECT = Path(__file__).parents[2]
EPOCH = "0123456789abcdef"


def a_change(number: int, **members: Any) -> dict[str, Any]:
    document = a_document(key=f"k{number}")
    raw = msgspec.json.encode(document)
    return {
        "cursor": f"{EPOCH}.{number}", "op": "upsert", "origin": "megalis", "type": "solution",
        "key": f"k{number}", "revision": 1, "hash": hashlib.sha256(raw).hexdigest(), "document": document,
        **members,
    }  # fmt: skip


def a_page(*changes: dict[str, Any], cursor: str, more: bool = False) -> httpx2.Response:
    return httpx2.Response(200, json={"entries": list(changes), "cursor": cursor, "more": more})


def events(*changes: dict[str, Any], refused: str | None = None, broken: bool = False) -> httpx2.Response:
    """A stream of events, which ends, says that it is refused, or breaks."""
    text = ": the change log of this node\n\n"
    for change in changes:
        text += f"id: {change['cursor']}\nevent: upsert\ndata: {msgspec.json.encode(change).decode()}\n\n"
    if refused is not None:
        text += f'event: refused\ndata: {{"code":"{refused}"}}\n\n'

    async def stream() -> AsyncIterator[bytes]:
        yield text.encode()
        if broken:
            raise httpx2.ReadError("reset")

    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream())


def refusal(status: int, code: str) -> httpx2.Response:
    return httpx2.Response(status, json={"type": f"x/{code}", "title": "t", "status": status})


class Script:
    """Answers one request after the other, and notes what each asked for."""

    def __init__(self, *replies: httpx2.Response | Exception) -> None:
        self.replies = list(replies)
        self.asked: list[tuple[str, str | None]] = []

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        stream = "text/event-stream" in request.headers["accept"]
        position = request.headers.get("last-event-id") if stream else request.url.params.get("after")
        self.asked.append(("events" if stream else "page", position))
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def client(self) -> Client:
        return Client("https://node.example.org", transport=httpx2.MockTransport(self), trust_env=False)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits take no time."""
    monkeypatch.setattr(sender_module, "FIRST_WAIT_SECONDS", 0.0)


async def take(changes: AsyncIterator[Any], number: int) -> list[Any]:
    taken: list[Any] = []
    async with asyncio.timeout(MAX_WAIT_SECONDS), aclosing(changes):  # type: ignore[type-var] # it is a generator
        async for change in changes:
            taken.append(change)
            if len(taken) == number:
                return taken
    return taken


async def test_the_log_is_read_to_the_present_and_on_from_a_cursor(arnia: Node) -> None:
    async with client_of(arnia) as client:
        for number in range(3):
            await publish(arnia, "solution", f"k{number}", a_solution())
        changes = [change async for change in client.changes()]
        assert [change.key for change in changes] == ["k0", "k1", "k2"]
        record = changes[0].record
        assert record is not None
        assert isinstance(record.content, Solution)
        assert hashlib.sha256(record.raw).hexdigest() == changes[0].hash
        assert [change.key async for change in client.changes(after=changes[0].cursor)] == ["k1", "k2"]
        await client.solutions.retract("k1")
        (change,) = [change async for change in client.changes(after=changes[-1].cursor)]
        assert (change.op, change.key, change.revision) == ("delete", "k1", 2)
        with pytest.raises(EpochChanged):
            await anext(client.changes(after=f"{EPOCH}.1"))
        with pytest.raises(ValueError, match="follow"):
            client.changes(restart=True)  # type: ignore[call-overload]


async def test_a_follower_goes_on_after_the_last_change_that_it_got(impatient: None) -> None:
    script = Script(
        a_page(a_change(1), cursor=f"{EPOCH}.1", more=True),
        a_page(a_change(2), cursor=f"{EPOCH}.2"),
        events(a_change(3), broken=True),
        httpx2.ConnectError("refused"),
        refusal(503, "unavailable"),
        a_page(a_change(4), cursor=f"{EPOCH}.4"),
        events(refused="unauthenticated"),
        a_page(cursor=f"{EPOCH}.4"),
        events(a_change(5)),
        a_page(a_change(6), cursor=f"{EPOCH}.6"),
    )
    async with script.client() as client:
        changes = await take(client.changes(follow=True), 6)
    assert [change.key for change in changes] == [f"k{number}" for number in range(1, 7)]
    assert script.asked == [
        ("page", None), ("page", f"{EPOCH}.1"), ("events", f"{EPOCH}.2"),
        ("page", f"{EPOCH}.3"), ("page", f"{EPOCH}.3"), ("page", f"{EPOCH}.3"), ("events", f"{EPOCH}.4"),
        ("page", f"{EPOCH}.4"), ("events", f"{EPOCH}.4"), ("page", f"{EPOCH}.5"),
    ]  # fmt: skip


async def test_a_cursor_that_has_expired_is_said_or_the_log_begins_again() -> None:
    expired = f"{EPOCH}.1"
    async with Script(refusal(410, "cursor-expired")).client() as client:
        with pytest.raises(CursorExpired):
            await take(client.changes(after=expired, follow=True), 1)
    script = Script(
        refusal(410, "cursor-expired"),
        a_page(a_change(7), cursor=f"{EPOCH}.8", more=True),
        a_page(a_change(9), cursor=f"{EPOCH}.9"),
        events(a_change(10)),
    )
    async with script.client() as client:
        changes = await take(client.changes(after=expired, follow=True, restart=True), 4)
    assert [change.cursor for change in changes] == [f"{EPOCH}.{number}" for number in (7, 9, 9, 10)]
    assert [isinstance(change, Change) and change.snapshot for change in changes] == [
        True,
        True,
        False,
        False,
    ]
    assert changes[2] == SnapshotEnd(cursor=f"{EPOCH}.9")
    assert script.asked[:2] == [("page", expired), ("page", None)]


async def test_a_snapshot_that_breaks_off_goes_on_and_has_one_end(impatient: None) -> None:
    script = Script(
        a_page(a_change(1), cursor=f"{EPOCH}.1", more=True),
        *(httpx2.ReadError("reset") for _ in range(5)),
        a_page(a_change(2), cursor=f"{EPOCH}.2"),
        events(a_change(3)),
    )
    async with script.client() as client:
        changes = await take(client.changes(follow=True, restart=True), 4)
    assert [(change.cursor[-1], getattr(change, "snapshot", None)) for change in changes] == [
        ("1", True), ("2", True), ("2", None), ("3", False),
    ]  # fmt: skip


async def test_an_epoch_that_changes_while_events_come_is_noticed() -> None:
    script = Script(a_page(cursor=f"{EPOCH}.0"), events(refused="epoch-changed"))
    async with script.client() as client:
        with pytest.raises(EpochChanged):
            await take(client.changes(follow=True), 1)


async def test_a_document_that_is_not_what_its_hash_names_is_refused() -> None:
    forged = a_change(1, hash="0" * 64)
    for replies in ([a_page(forged, cursor=f"{EPOCH}.1")], [a_page(cursor=f"{EPOCH}.0"), events(forged)]):
        async with Script(*replies).client() as client:
            with pytest.raises(UnexpectedAnswer, match="hash"):
                await take(client.changes(follow=True), 1)


async def test_a_follower_whose_client_was_revoked_ends(arnia: Node) -> None:
    async with client_of(arnia) as client:
        await publish(arnia, "solution", "k0", a_solution())
        await take(client.changes(), 1)
    async with Client(arnia.url, "nobody", "s", allow_http=True, trust_env=False,
                      transport=client._http._transport) as stranger:  # fmt: skip
        with pytest.raises(TokenRefused):
            await take(stranger.changes(follow=True), 1)


async def test_changes_come_when_they_happen(dsn: str, arnia: Node) -> None:
    credentials = await a_client(arnia)
    async with served("arnia", dsn, sync=False) as url, Client(url, *credentials, trust_env=False) as client:
        await publish(arnia, "solution", "k0", a_solution())
        following = asyncio.create_task(take(client.changes(follow=True), 2))
        await client.solutions.publish("k1", msgspec.convert(a_solution(), Solution))
        assert [change.key for change in await following] == ["k0", "k1"]


@pytest.mark.long
async def test_a_node_that_is_killed_and_started_again_loses_no_change(
    dsn: str, arnia: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "MAX_WAIT_SECONDS", 1.0)
    credentials = await a_client(arnia)
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    async def start() -> asyncio.subprocess.Process:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("FEDERATION_")
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "federation.cli", "serve",
            env={
                **environment, "PYTHONPATH": str(PROJECT), "FEDERATION_OPERATOR": "arnia",
                "FEDERATION_PORT": str(port), "FEDERATION_DATABASE_URL": dsn,
            },
            cwd=tmp_path, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await answers(f"{url}/health/ready")
        return process

    content = msgspec.convert(a_solution(), Solution)
    process = await start()
    try:
        async with Client(url, *credentials, trust_env=False) as client:
            taken: list[Change] = []

            async def follow() -> None:
                async for change in client.changes(follow=True):
                    taken.append(change)
                    if change.key == "last":
                        return

            follower = asyncio.create_task(follow())
            for number in range(3):
                await client.solutions.publish(f"before-{number}", content)
            process.send_signal(signal.SIGKILL)
            await process.wait()
            # While the node is down, another process of the same database goes on writing.
            for number in range(3):
                await publish(arnia, "solution", f"down-{number}", a_solution())
            process = await start()
            await client.solutions.publish("last", content)
            async with asyncio.timeout(MAX_WAIT_SECONDS):
                await follower
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    keys = list(dict.fromkeys(change.key for change in taken))
    assert keys == [*(f"before-{n}" for n in range(3)), *(f"down-{n}" for n in range(3)), "last"]
    assert changes_module.SILENCE_SECONDS > 15
