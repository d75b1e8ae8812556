"""The exposure index: questions only read, wait for the refresher, and say through when they are current."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from federation.domain.content.deployment import Deployment
from federation.domain.errors import Unavailable
from federation.domain.visibility import itself
from federation.node import exposure, exposure_index, records
from federation.node.exposure_index import IndexRefresher
from federation.node.node import Node
from federation.store.database import Store, Writing
from tests.exposure.deployments import GLPI, cve, running
from tests.nodes import a_node, a_token, browsing, publish

OWN = itself("arnia")
INCIDENT = "/v1/incidents/arnia/cve/exposure"
ROUTES = (INCIDENT, f"{INCIDENT}/bodies", f"/v1/solutions/{GLPI}/exposure", "/v1/exposure?mine=true")


@pytest.fixture
async def client(arnia: Node) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of arnia's own, with every scope."""
    async with browsing(arnia) as client:
        client.headers.update(await a_token(arnia, client))
        yield client


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tasks that opened a write transaction."""
    names: list[str] = []
    write = Store.write

    def noted(self: Store, **members: Any) -> AbstractAsyncContextManager[Writing]:
        task = asyncio.current_task()
        names.append(task.get_name() if task else "")
        return write(self, **members)

    monkeypatch.setattr(Store, "write", noted)
    return names


def stop_refresher(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refresh(self: IndexRefresher, node: Node) -> None:
        pass

    monkeypatch.setattr(IndexRefresher, "refresh", refresh)


def affected(answer: dict[str, Any]) -> int:
    """The deployments, or bodies, that an answer of any route counts."""
    if "total" in answer:
        return int(answer["total"]["affected"]["deployments"])
    if "bodies" in answer:
        return len(answer["bodies"])
    if "solution" in answer:
        return int(answer["affected"]["deployments"])
    return sum(line["exposure"]["affected"]["deployments"] for line in answer["incidents"])


@pytest.mark.parametrize("route", ROUTES)
async def test_a_question_opens_no_write_transaction_and_counts_all_that_had_arrived(
    arnia: Node, client: httpx2.AsyncClient, writers: list[str], route: str
) -> None:
    await cve(arnia)
    before = (await client.get(route)).json()
    assert affected(before) == 0
    await publish(arnia, "deployment", "one", running())
    writers.clear()
    asked = datetime.now(UTC)
    after = (await client.get(route)).json()
    assert affected(after) == 1
    assert writers == ["exposure index"], "the refresher wrote, and nobody else"
    assert asked - timedelta(seconds=1) <= datetime.fromisoformat(after["current_through"])
    assert datetime.fromisoformat(after["current_through"]) <= datetime.now(UTC)
    assert affected((await client.get(route)).json()) == 1
    assert writers == ["exposure index"], "the index was current"
    await records.retract(arnia, Deployment, "arnia", "one", by=OWN)
    assert affected((await client.get(route)).json()) == 0


@pytest.mark.parametrize("route", ROUTES)
async def test_without_a_refresher_a_question_is_answered_503_after_its_time_and_never_with_less(
    arnia: Node, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    await cve(arnia)
    await publish(arnia, "deployment", "one", running())
    assert affected((await client.get(route)).json()) == 1
    stop_refresher(monkeypatch)
    monkeypatch.setattr(exposure_index, "MAX_WAIT_SECONDS", 0.2)
    assert affected((await client.get(route)).json()) == 1, "the index is current without it"
    await publish(arnia, "deployment", "two", running())
    answer = await client.get(route)
    assert (answer.status_code, answer.json()["detail"]) == (
        503,
        "records that have arrived are still being counted; try again in a moment",
    )
    assert "retry-after" in answer.headers
    await exposure_index.refresh(arnia)
    assert affected((await client.get(route)).json()) == (1 if "bodies" in route else 2)


async def test_a_question_waits_for_what_had_arrived_when_it_came_and_not_for_more(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.store.exposure_index.WINDOW", 1)
    await cve(arnia)
    stop_refresher(monkeypatch)
    await exposure_index.refresh(arnia)
    await publish(arnia, "deployment", "one", running())
    question = asyncio.create_task(exposure.of_incident(arnia, "arnia", "cve", by=OWN))
    async with asyncio.timeout(10):
        while not arnia.index_signal.waiting:
            await asyncio.sleep(0.001)
        await publish(arnia, "deployment", "two", running())
        async with arnia.store.write() as tx:
            assert await tx.exposure.refresh() == 1, "the second one is left"
        answer = await question
    assert answer.total.affected.deployments == 1
    assert answer.current_through < answer.as_of
    assert arnia.index_signal.waiting == 0


async def test_a_question_notices_the_refresh_of_another_process(
    arnia: Node, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cve(arnia)
    stop_refresher(monkeypatch)
    await publish(arnia, "deployment", "one", running())
    async with a_node("arnia", dsn) as process:
        question = asyncio.create_task(exposure.of_incident(arnia, "arnia", "cve", by=OWN))
        await asyncio.sleep(0)
        await exposure_index.refresh(process)
        async with asyncio.timeout(5):
            assert (await question).total.affected.deployments == 1


async def test_an_index_that_is_begun_anew_during_the_question_is_no_answer(arnia: Node) -> None:
    await cve(arnia)
    await publish(arnia, "deployment", "one", running())
    async with exposure_index.current(arnia) as (tx, _):
        assert len(await tx.exposure.of_solutions([GLPI], visible_to=OWN)) == 1

    async def begun_anew() -> None:
        async with exposure_index.current(arnia) as (tx, _):
            async with arnia.store.write() as writing:
                await writing.exposure._session.connection.execute("UPDATE exposure SET register = 'another'")
            await tx.exposure.of_solutions([GLPI], visible_to=OWN)

    with pytest.raises(Unavailable):
        await begun_anew()


async def test_a_refresh_that_fails_is_tried_again(
    arnia: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exposure_index, "RETRY_SECONDS", 0.01)
    failures: list[Exception] = [Unavailable("the database went away"), ZeroDivisionError()]
    refresh = IndexRefresher.refresh

    async def failing(self: IndexRefresher, node: Node) -> None:
        if failures:
            raise failures.pop()
        await refresh(self, node)

    monkeypatch.setattr(IndexRefresher, "refresh", failing)
    await cve(arnia)
    await publish(arnia, "deployment", "one", running())
    assert (await exposure.of_incident(arnia, "arnia", "cve", by=OWN)).total.affected.deployments == 1
    messages = [record.message for record in caplog.records if record.name == "federation.exposure"]
    assert messages == [
        "refreshing the exposure index failed",
        "refreshing the exposure index has to wait",
    ]


async def test_while_nobody_asks_the_index_is_refreshed_from_time_to_time(arnia: Node) -> None:
    await publish(arnia, "deployment", "one", running())
    async with exposure_index.running(arnia, seconds=0.01), asyncio.timeout(10):
        while True:
            async with arnia.store.read() as tx:
                if not (await tx.exposure.index_state()).lag:
                    break
            await asyncio.sleep(0.01)
