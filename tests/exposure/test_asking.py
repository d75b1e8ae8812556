"""What is asked of exposure: whose it is, of when, how much, and how long one waits for it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import pytest

from federation.domain.content.deployment import Deployment, NewVersion
from federation.domain.content.solution import Solution
from federation.domain.errors import Forbidden, Invalid, NotFound, NotTheWriter, Retracted
from federation.domain.exposure.answers import CopyAge
from federation.domain.feed import FeedName
from federation.domain.visibility import anonymous, itself
from federation.node import copy_ages, deployments, exposure, exposure_index, records
from federation.node.exposure_index import IndexRefresher
from federation.node.node import Node
from federation.store.body_sets import covering
from federation.store.exposure_index import ExposureWriter, _by_size
from tests.domain.builders import a_solution, a_statement, an_incident
from tests.exposure.deployments import (
    CHALON,
    GLPI,
    MACON,
    a_vulnerability,
    bodies,
    copy,
    cve,
    hits,
    running,
    told,
)
from tests.nodes import a_token, browsing, introduce, publish
from tests.waiting import MAX_WAIT_SECONDS

OWN = itself("arnia")


async def executed(node: Node, statement: str) -> None:
    async with node.store.write() as tx:
        await tx.exposure._session.connection.execute(statement)


# Whose, and what is hit


async def test_ones_own_deployments_are_listed_at_oneself(arnia: Node) -> None:
    await cve(arnia)
    await publish(arnia, "deployment", "one", running())
    await copy(arnia, "deployment", "megalis/a", running())
    found = await hits(arnia)
    assert [one.id for one in found["arnia"].deployments] == ["arnia/one"]
    assert found["megalis"].deployments == ()


async def test_mine_are_those_that_are_hit_or_may_be_and_no_others(arnia: Node) -> None:
    await publish(arnia, "deployment", "safe", running("11.0.0"))
    await cve(arnia)
    assert (await exposure.of_own(arnia, by=OWN))[0].incidents == ()
    await publish(arnia, "deployment", "unsure", running(None))
    (line,) = (await exposure.of_own(arnia, by=OWN))[0].incidents
    assert (line.exposure.affected.deployments, line.exposure.unknown.deployments) == (0, 1)
    await publish(arnia, "statement", "s", a_statement(incident="arnia/cve", status="fixed"))
    assert (await exposure.of_own(arnia, by=OWN))[0].incidents == ()
    with pytest.raises(Forbidden):
        await exposure.of_own(arnia, by=anonymous("arnia"))


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"version": "10.0", "version_state": "exact"}, "in-range"),
        ({"version": "10.0"}, "version-coarse"),
        ({"version": "10.0.17", "version_state": "rolling"}, "rolling"),
        ({"version": "10.0.17", "version_state": "unknown"}, "version-unsure"),
        ({"version_state": "unknown"}, "no-version"),
    ],
)
async def test_what_is_known_of_a_version_decides(arnia: Node, members: dict[str, Any], reason: str) -> None:
    await cve(arnia)
    await publish(arnia, "deployment", "one", {**running(None), **members})
    own = (await hits(arnia))["arnia"]
    assert {**own.affected.reasons, **own.unknown.reasons} == {reason: 1}


async def test_versions_and_deployments_say_why_and_what_would_settle_it(arnia: Node) -> None:
    await cve(arnia)
    await publish(arnia, "deployment", "one", {**running("10.0.17"), "version_state": "exact"})
    await publish(arnia, "deployment", "two", {**running(None), "version": "10.0"})
    own = (await hits(arnia))["arnia"]
    for rows in (own.versions, own.deployments):
        by_reason = {row.reason: row.because for row in rows}
        affected, unknown = by_reason["in-range"], by_reason["version-coarse"]
        assert affected is not None
        assert (affected.rule, affected.entry, affected.settled_by) == ("in-range", 0, None)
        assert affected.range is not None
        assert affected.range.startswith("vers:")
        assert unknown is not None
        assert (unknown.rule, unknown.entry) == ("version-coarse", 0)
        assert unknown.settled_by is not None
        assert set(unknown.settled_by) == {"en", "fr"}


async def test_a_solution_tells_what_is_unknown_too_and_is_there_as_long_as_it_is(arnia: Node) -> None:
    await cve(arnia)
    await publish(arnia, "deployment", "one", running(None, bodies(CHALON)))
    await publish(arnia, "deployment", "two", running(None, bodies(MACON)))
    found = await exposure.of_solution(arnia, "arnia", "glpi", by=OWN)
    assert (found.unknown.deployments, found.unknown.communes, found.affected.deployments) == (2, 2, 0)
    with pytest.raises(Invalid):
        await exposure.of_solution(arnia, "arnia", "../x", by=OWN)
    await publish(arnia, "solution", "alone", a_solution())
    assert (await exposure.of_solution(arnia, "arnia", "alone", by=OWN)).incidents == ()
    await records.retract(arnia, Solution, "arnia", "alone", by=OWN)
    with pytest.raises(NotFound):
        await exposure.of_solution(arnia, "arnia", "alone", by=OWN)


async def test_an_alias_names_ones_own_incident_before_others(arnia: Node) -> None:
    await cve(arnia)
    lately = datetime.now(UTC) + timedelta(minutes=1)
    for origin in ("aaa", "megalis"):
        await copy(arnia, "incident", f"{origin}/x", a_vulnerability(), created_at=lately, updated_at=lately)
    assert await exposure.find(arnia, "CVE-2025-24799", by=OWN) == ("arnia", "cve")
    assert await exposure.find(arnia, "megalis/x", by=OWN) == ("megalis", "x")
    with pytest.raises(Invalid):
        await exposure.find(arnia, "megalis/../x", by=OWN)
    with pytest.raises(NotFound):
        await exposure.find(arnia, "CVE-2099-1", by=OWN)


# Bringing in


async def test_another_edition_of_the_register_begins_anew_though_nothing_has_arrived(arnia: Node) -> None:
    await cve(arnia)
    await publish(arnia, "deployment", "one", running())
    await told(arnia)
    await executed(arnia, "UPDATE deployed_groups SET counted = counted + 1000")
    assert (await told(arnia)).total.affected.counted == 1000, "what was brought in is left"
    await executed(arnia, "UPDATE exposure SET register = 'of another year'")
    assert (await told(arnia)).total.affected.counted == 0


async def test_a_group_that_nothing_is_left_of_is_gone(arnia: Node) -> None:
    await publish(arnia, "deployment", "one", running())
    await exposure_index.refresh(arnia)
    await records.retract(arnia, Deployment, "arnia", "one", by=OWN)
    await exposure_index.refresh(arnia)
    async with arnia.store.read() as tx:
        assert await tx.exposure.of_solutions([GLPI], visible_to=OWN) == ()


async def lag(node: Node) -> int:
    async with node.store.read() as tx:
        return (await tx.exposure.index_state()).lag


async def test_in_the_background_all_is_counted_as_long_as_nothing_else_arrives(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.store.exposure_index.WINDOW", 1)
    for number in range(4):
        await publish(arnia, "deployment", f"d{number}", running())
    assert await lag(arnia) == 4
    refresher = IndexRefresher()
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        await refresher.refresh(arnia)
    assert await lag(arnia) == 0
    await refresher.refresh(arnia)


async def test_while_much_arrives_it_is_left_for_later_but_not_for_ever(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposure_index, "BULK_RECORDS", 1)
    monkeypatch.setattr(exposure_index, "MAX_SKIPPED_REFRESHES", 2)
    refresher = IndexRefresher()

    async def lag_after(name: str) -> int:
        """The lag after a refresh before which two more records have arrived."""
        for number in range(2):
            await publish(arnia, "deployment", f"{name}{number}", running())
        await arnia.notifier.refresh()
        await refresher.refresh(arnia)
        return await lag(arnia)

    assert [await lag_after(name) for name in "abc"] == [2, 4, 0]
    assert await lag_after("d") == 2
    await refresher.refresh(arnia)  # nothing has arrived since
    assert await lag(arnia) == 0
    # A question does not wait for that.
    assert await lag_after("e") == 2
    with arnia.index_signal.asking():
        assert await lag_after("f") == 0


async def test_while_somebody_publishes_it_is_counted_in_small_windows(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows: list[int | None] = []
    refresh = ExposureWriter.refresh

    async def noted(self: ExposureWriter, max_changes: int | None = None) -> int:
        windows.append(max_changes)
        return await refresh(self, max_changes)

    monkeypatch.setattr(ExposureWriter, "refresh", noted)
    monkeypatch.setattr(exposure_index, "SMALL_WINDOW", 1)
    monkeypatch.setattr(exposure_index, "REST_RATIO", 0)
    monkeypatch.setattr(exposure_index, "QUIET_SECONDS", 3_600.0)
    refresher = IndexRefresher()

    async def more(name: str) -> None:
        for number in range(3):
            await publish(arnia, "deployment", f"{name}{number}", running())
        await arnia.notifier.refresh()

    await more("a")
    await refresher.refresh(arnia)
    assert windows == [1, 1, 1]
    await more("b")
    with arnia.index_signal.asking():
        await refresher.refresh(arnia)
    assert windows[3:] == [None], "a question waits"
    monkeypatch.setattr(exposure_index, "QUIET_SECONDS", 0.0)
    await more("c")
    await refresher.refresh(arnia)
    assert windows[4:] == [None], "nobody publishes"


async def test_others_have_their_turn_while_it_is_brought_in(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        await publish(arnia, "deployment", f"d{number}", running())
    turns = 0

    async def sleep(seconds: float) -> None:
        nonlocal turns
        turns += 1

    monkeypatch.setattr("federation.store.exposure_index.TURN_DEPLOYMENTS", 2)
    monkeypatch.setattr("federation.store.exposure_index.asyncio.sleep", sleep)
    async with arnia.store.write() as tx:
        await tx.exposure.refresh()
    assert turns >= 4, "two for what is read, two for what it adds"


def test_documents_are_read_in_slices_of_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federation.store.exposure_index.WINDOW_BYTES", 10)

    def sliced(*sizes: int | None) -> list[list[str]]:
        rows = [("o", str(n), size) for n, size in enumerate(sizes)]
        return [[key for _, key in names] for names in _by_size(rows)]

    assert sliced() == []
    assert sliced(4, 6) == [["0", "1"]]
    assert sliced(4, 6, 1) == [["0", "1"], ["2"]]
    assert sliced(40, 1, 1) == [["0"], ["1", "2"]], "one that is larger is read by itself"
    assert sliced(9, None, None, 1, 1) == [["0", "1", "2", "3"], ["4"]], "what is gone has no size"


def test_numbers_are_bodies_of_the_register_or_below_zero_others() -> None:
    found = covering([0, 3, -1, -3])
    assert (found.tokens, found.elsewhere) == (0b1001, 0b101)
    assert (covering([]).tokens, covering([]).elsewhere) == (0, 0)


# How old each part is


class Shown(NamedTuple):
    """What ``feed_view`` tells of a copy."""

    state: str
    age_seconds: int | None


async def test_the_copy_of_each_operator_is_the_worst_of_its_own_feeds(
    arnia: Node, megalis: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cve(arnia)
    await introduce(arnia, megalis)
    async with arnia.store.write() as tx:
        await tx.feeds.open(FeedName("megalis", "public"), None)
        await tx.feeds.open(FeedName("megalis", "federation"), None)
        await tx.feeds.open(FeedName("recia", "public"), None)
        await tx.peers.note_answers({"megalis": None})
    states = {
        ("megalis", "public"): Shown("verified", 7), ("megalis", "federation"): Shown("verified", 9),
        ("recia", "public"): Shown("diverged", 1_000), ("arnia", "public"): Shown("diverged", 1_000),
    }  # fmt: skip
    monkeypatch.setattr(
        copy_ages, "feed_view", lambda place, _copy, _now: states[place.origin, place.audience]
    )
    every = {FeedName(*name): object() for name in states}
    monkeypatch.setattr("federation.store.copies.CopiesReader.all", _answering(every))

    async def copy_of(operator: str) -> CopyAge:
        return (await hits(arnia))[operator].copy

    assert await copy_of("megalis") == CopyAge("verified", 9)
    states["megalis", "public"] = Shown("diverged", None)
    assert await copy_of("megalis") == CopyAge("diverged", 9)
    states["megalis", "public"] = Shown("unverified", None)
    assert await copy_of("megalis") == CopyAge("unverified", 9)
    states["megalis", "public"] = Shown("verified", 7)
    # What was proved of one that does not answer any more is not worth more than that.
    arnia.clock = lambda: datetime.now(UTC) + timedelta(hours=1)
    assert await copy_of("megalis") == CopyAge("stale", 9)
    states["megalis", "public"] = Shown("diverged", 7)
    assert await copy_of("megalis") == CopyAge("diverged", 9)


def _answering(value: Any) -> Any:
    async def answer(*_: Any) -> Any:
        return value

    return answer


# The version that runs


async def content_of(node: Node, key: str = "one") -> dict[str, Any]:
    stored = await records.find(node, Deployment, "arnia", key, by=OWN)
    found: dict[str, Any] = msgspec.json.decode(stored.document)
    return {**found["content"], "revision": found["revision"]}


async def test_a_version_is_noted_as_it_was_found_and_when(arnia: Node) -> None:
    moment = [datetime(2026, 3, 1, tzinfo=UTC)]
    arnia.clock = lambda: moment[0]
    await publish(arnia, "deployment", "one", running("10.0.17"))

    async def noted(**said: Any) -> tuple[Any, ...]:
        await deployments.set_version(arnia, NewVersion(**said), "arnia", "one", by=OWN)
        found = await content_of(arnia)
        return (
            found["revision"], found.get("version"), found["version_state"], found["version_as_of"][:16]
        )  # fmt: skip

    assert await noted(version="10.0.18") == (2, "10.0.18", "exact", "2026-03-01T00:00")
    moment[0] += timedelta(hours=23)
    assert await noted(version="10.0.18") == (2, "10.0.18", "exact", "2026-03-01T00:00")
    assert await noted(version="10.0.18", version_state="rolling") == (
        3, "10.0.18", "rolling", "2026-03-01T23:00",
    )  # fmt: skip
    moment[0] += timedelta(days=1)
    assert await noted(version="10.0.18", version_state="rolling") == (
        4, "10.0.18", "rolling", "2026-03-02T23:00",
    )  # fmt: skip
    # Who says when it was found is believed, also that it was a while ago.
    found_at = "2026-03-02T20:00:00Z"
    assert await noted(version="10.0.18", version_state="rolling", as_of=found_at) == (
        5, "10.0.18", "rolling", "2026-03-02T20:00",
    )  # fmt: skip
    assert await noted() == (6, None, "unknown", "2026-03-02T23:00")


async def test_a_version_is_noted_of_ones_own_deployments_that_are_there(arnia: Node) -> None:
    await publish(arnia, "deployment", "one", running())
    await copy(arnia, "deployment", "megalis/a", running())
    new = NewVersion(version="1")
    with pytest.raises(NotTheWriter):
        await deployments.set_version(arnia, new, "megalis", "a", by=OWN)
    with pytest.raises(NotFound):
        await deployments.set_version(arnia, new, "arnia", "none", by=OWN)
    await records.retract(arnia, Deployment, "arnia", "one", by=OWN)
    with pytest.raises(Retracted):
        await deployments.set_version(arnia, new, "arnia", "one", by=OWN)


async def test_an_incident_that_names_nothing_that_is_here_hits_nobody(arnia: Node) -> None:
    named = [{"deployments": ["megalis/gone", "arnia/gone"]}]
    await publish(arnia, "incident", "out", an_incident(affects=named))
    answer = await told(arnia, "out")
    assert (answer.total.operators, answer.not_here) == (0, ("arnia/gone", "megalis/gone"))


async def test_a_dry_run_of_a_version_notes_nothing(arnia: Node) -> None:
    await publish(arnia, "deployment", "one", running())
    before = await records.find(arnia, Deployment, "arnia", "one", by=OWN)
    async with browsing(arnia) as client:
        headers = await a_token(arnia, client, "deployments.write")
        at = "/v1/deployments/arnia/one/version"
        answer = await client.post(f"{at}?dry_run=true", json={"version": "11.0.0"}, headers=headers)
        assert (answer.status_code, answer.json()["dry_run"]) == (200, True)
        assert (await records.find(arnia, Deployment, "arnia", "one", by=OWN)).hash == before.hash
        answer = await client.post(at, json={"version": "11.0.0"}, headers=headers)
        assert (answer.status_code, answer.json()["content"]["version"]) == (200, "11.0.0")
