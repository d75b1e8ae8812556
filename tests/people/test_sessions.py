"""A session holds for whom it was begun, for as long as it may, with the rights of now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from federation.domain.errors import NotFound
from federation.domain.invitation import fingerprint
from federation.domain.person import ROLE_SCOPES
from federation.domain.visibility import Ceiling, itself
from federation.node import people, sessions
from federation.node.node import Node
from tests.audit.audit_trail import entries
from tests.people.people import Clock, a_person
from tests.store.stepwise_transactions import looking

BY = itself("arnia")


@pytest.fixture
async def clock(arnia: Node) -> AsyncIterator[Clock]:
    before = arnia.clock
    arnia.clock = clock = Clock()
    yield clock
    arnia.clock = before


async def test_a_session_names_its_person_with_their_rights(arnia: Node, clock: Clock) -> None:
    anne = await a_person(arnia, "Anne", "editor", "arnia/security")
    secret = await sessions.begin(arnia, anne.id, logout_hint="hint")
    assert len(secret) == 43
    session = await sessions.session(arnia, secret)
    assert session is not None
    caller = session.caller
    assert (caller.node, caller.operator, caller.person, caller.person_name) == (
        "arnia", "arnia", anne.id, "Anne",
    )  # fmt: skip
    assert caller.scopes == ROLE_SCOPES["editor"]
    assert caller.ceiling == Ceiling("AMBER", frozenset({"arnia/security"}))
    assert caller.own
    assert not caller.sees_all
    assert (session.created, session.authenticated_at) == (clock.now, clock.now)
    assert session.expires_at == clock.now + timedelta(hours=12)
    assert session.logout_hint == "hint"
    (noted,) = await entries(arnia, "person.logged-in")
    assert noted.actor == f"Anne ({anne.id})"
    assert (await people.find(arnia, anne.id)).logged_in_at is not None


@pytest.mark.parametrize("secret", ["", "x", "A" * 43, "A" * 44, "\ud800" * 43, "é" * 43])
async def test_a_secret_that_was_never_given_is_no_session(arnia: Node, secret: str) -> None:
    anne = await a_person(arnia)
    real = await sessions.begin(arnia, anne.id)
    assert await sessions.session(arnia, secret) is None
    assert await sessions.session(arnia, real) is not None


async def test_each_login_has_a_secret_of_its_own_and_the_database_has_none(arnia: Node, dsn: str) -> None:
    anne = await a_person(arnia)
    first, second = await sessions.begin(arnia, anne.id), await sessions.begin(arnia, anne.id)
    assert first != second
    async with looking(dsn) as look:
        rows = await look.fetch("SELECT * FROM sessions")
    assert {row["hash"] for row in rows} == {fingerprint(first), fingerprint(second)}
    assert not any(secret in str(dict(row)) for row in rows for secret in (first, second))
    with pytest.raises(NotFound):
        await sessions.begin(arnia, "person-0")


async def test_a_session_ends_twelve_hours_after_the_login(arnia: Node, clock: Clock) -> None:
    anne = await a_person(arnia)
    secret = await sessions.begin(arnia, anne.id)
    clock.move(hours=11, minutes=59)
    assert await sessions.session(arnia, secret) is not None, "a reader may be idle for long"
    clock.move(minutes=1)
    assert await sessions.session(arnia, secret) is None


async def test_a_session_of_an_administrator_ends_after_an_hour_without_a_request(
    arnia: Node, clock: Clock
) -> None:
    chief = await a_person(arnia, role="administrator")
    secret = await sessions.begin(arnia, chief.id)
    for _ in range(3):
        clock.move(minutes=59)
        session = await sessions.session(arnia, secret)
        assert session is not None
        assert session.expires_at == clock.now + timedelta(hours=1)
    clock.move(minutes=60)
    assert await sessions.session(arnia, secret) is None
    clock.move(minutes=-1)
    assert await sessions.session(arnia, secret) is None, "it has ended"


async def test_requests_are_noted_once_a_minute(arnia: Node, clock: Clock, dsn: str) -> None:
    anne = await a_person(arnia)
    secret = await sessions.begin(arnia, anne.id)
    begun = clock.now
    async with looking(dsn) as look:
        for seconds, noted in (
            (59, begun),
            (1, begun + timedelta(minutes=1)),
            (30, begun + timedelta(minutes=1)),
        ):
            clock.move(seconds=seconds)
            assert await sessions.session(arnia, secret) is not None
            assert await look.fetchval("SELECT seen_at FROM sessions") == noted


async def test_an_authentication_is_fresh_for_five_minutes(arnia: Node, clock: Clock) -> None:
    anne = await a_person(arnia)
    session = await sessions.session(arnia, await sessions.begin(arnia, anne.id))
    assert session is not None
    assert sessions.is_fresh(session, clock.now)
    assert sessions.is_fresh(session, clock.now + timedelta(minutes=4, seconds=59))
    assert not sessions.is_fresh(session, clock.now + timedelta(minutes=5))
    assert not sessions.is_fresh(session, clock.now - timedelta(seconds=1))


async def test_a_change_of_rights_holds_at_the_next_request(arnia: Node) -> None:
    anne = await a_person(arnia, "Anne", "editor", "arnia/security")
    secret = await sessions.begin(arnia, anne.id)
    await people.change(arnia, anne.id, ceiling=Ceiling(), by=BY)
    session = await sessions.session(arnia, secret)
    assert session is not None
    assert session.caller.ceiling == Ceiling("GREEN")
    await people.change(arnia, anne.id, role="administrator", by=BY)
    assert await sessions.session(arnia, secret) is None, "another role is another login"


async def test_a_session_is_ended_alone_or_with_all_of_its_person(arnia: Node) -> None:
    anne, other = await a_person(arnia), await a_person(arnia, "Other")
    first, second, third = [await sessions.begin(arnia, anne.id) for _ in range(3)]
    others = await sessions.begin(arnia, other.id)
    await sessions.end(arnia, first)
    await sessions.end(arnia, first)
    assert [bool(await sessions.session(arnia, secret)) for secret in (first, second)] == [False, True]
    await sessions.end_all(arnia, anne.id)
    assert [bool(await sessions.session(arnia, s)) for s in (second, third, others)] == [False, False, True]


async def test_the_session_used_longest_ago_gives_way(
    arnia: Node, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS_OF_PERSON", 2)
    anne = await a_person(arnia)
    secrets = []
    for _ in range(3):
        secrets.append(await sessions.begin(arnia, anne.id))
        clock.move(minutes=1)
    assert [bool(await sessions.session(arnia, secret)) for secret in secrets] == [False, True, True]


async def test_what_has_expired_is_dropped(arnia: Node, clock: Clock, dsn: str) -> None:
    anne = await a_person(arnia)
    await sessions.begin(arnia, anne.id)
    clock.move(hours=1)
    secret = await sessions.begin(arnia, anne.id)
    clock.move(hours=11)
    await sessions.drop_expired(arnia)
    async with looking(dsn) as look:
        assert await look.fetchval("SELECT count(*) FROM sessions") == 1
    assert await sessions.session(arnia, secret) is not None
