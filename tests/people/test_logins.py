"""An invitation lets its person in, once and for ten minutes, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from federation.domain.errors import CommandFailed, Invalid, NotFound
from federation.domain.login import LoginState, PersonInvitation, code_hash, read_code
from federation.domain.visibility import itself
from federation.node import login_states, logins, people
from federation.node.node import Node
from federation.settings.environment import read
from tests.audit.audit_trail import entries
from tests.exposure.commands import ran, said, told
from tests.people.people import Clock, a_person
from tests.store.stepwise_transactions import looking

BY = itself("arnia")


@pytest.fixture
async def clock(arnia: Node) -> AsyncIterator[Clock]:
    before = arnia.clock
    arnia.clock = clock = Clock()
    yield clock
    arnia.clock = before


async def invited(arnia: Node, name: str = "Anne", role: str = "reader") -> PersonInvitation:
    return await logins.invite_new(arnia, name=name, role=role, by=BY)


async def test_a_link_and_a_code_let_their_person_in_once(arnia: Node) -> None:
    for accept in ("link", "code"):
        invitation = await invited(arnia)
        assert len(invitation.secret) == 43
        assert await logins.is_open(arnia, invitation.id)

        async def use(invitation: PersonInvitation = invitation, accept: str = accept) -> str:
            if accept == "link":
                return await logins.accept_link(arnia, invitation.id, invitation.secret)
            return await logins.accept_code(arnia, invitation.id, f" {invitation.code.lower()} ")

        assert await use() == invitation.person.id
        assert not await logins.is_open(arnia, invitation.id)
        with pytest.raises(NotFound):
            await use()


async def test_an_invitation_holds_for_ten_minutes(arnia: Node, clock: Clock) -> None:
    first, second, third = [await invited(arnia) for _ in range(3)]
    clock.move(minutes=9, seconds=59)
    assert await logins.accept_link(arnia, first.id, first.secret) == first.person.id
    clock.move(seconds=1)
    assert not await logins.is_open(arnia, second.id)
    with pytest.raises(NotFound):
        await logins.accept_link(arnia, second.id, second.secret)
    with pytest.raises(NotFound):
        await logins.accept_code(arnia, third.id, third.code)


async def test_another_secret_lets_nobody_in(arnia: Node) -> None:
    mine, theirs = await invited(arnia), await invited(arnia, "Other")
    for id_, secret in (
        (mine.id, theirs.secret),
        (mine.id, ""),
        (mine.id, "A" * 43),
        ("x" * 500, mine.secret),
        ("\x00", mine.secret),  # (PostgreSQL stores no NUL)
    ):
        with pytest.raises(NotFound):
            await logins.accept_link(arnia, id_, secret)
    with pytest.raises(Invalid):
        await logins.accept_code(arnia, mine.id, theirs.code)
    with pytest.raises(NotFound):
        await logins.accept_code(arnia, "\x00", mine.code)
    assert await logins.accept_link(arnia, mine.id, mine.secret) == mine.person.id


async def test_a_code_is_tried_five_times_and_the_link_holds_on(arnia: Node) -> None:
    invitation = await invited(arnia)
    for text in ("", "K7QM", "K7QM-2XR0", "é" * 8, "x" * 100_000):
        with pytest.raises(Invalid) as refusal:
            await logins.accept_code(arnia, invitation.id, text)
        assert refusal.value.pointer == "/code"
    wrong = "2222-2222" if invitation.code != "2222-2222" else "3333-3333"
    outcomes = await asyncio.gather(
        *(logins.accept_code(arnia, invitation.id, wrong) for _ in range(8)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Invalid"] * 5 + ["NotFound"] * 3
    with pytest.raises(NotFound):
        await logins.accept_code(arnia, invitation.id, invitation.code)
    assert await logins.accept_link(arnia, invitation.id, invitation.secret) == invitation.person.id


async def test_a_new_invitation_replaces_the_one_before(arnia: Node) -> None:
    first = await invited(arnia)
    second = await logins.invite(arnia, first.person.id, by=BY)
    other = await invited(arnia, "Other")
    with pytest.raises(NotFound):
        await logins.accept_link(arnia, first.id, first.secret)
    assert await logins.accept_link(arnia, second.id, second.secret) == first.person.id
    await people.remove(arnia, other.person.id, by=BY)
    with pytest.raises(NotFound):
        await logins.accept_link(arnia, other.id, other.secret)
    with pytest.raises(NotFound):
        await logins.invite(arnia, other.person.id, by=BY)


async def test_the_database_has_no_secret_and_the_trail_names_who_invited(arnia: Node, dsn: str) -> None:
    chief = await a_person(arnia, "Chief", "administrator")
    invitation = await logins.invite_new(arnia, name="Anne", role="reader", by=chief.caller("arnia"))
    async with looking(dsn) as look:
        (row,) = await look.fetch("SELECT * FROM person_invitations")
    assert invitation.secret not in str(dict(row))
    assert row["code_hash"] == code_hash(read_code(invitation.code), invitation.id)
    (noted,) = await entries(arnia, "person.invited")
    assert (noted.actor, noted.subject) == (chief.actor, invitation.person.actor)
    assert invitation.secret not in str(noted)
    assert invitation.code not in str(noted)


async def test_a_login_under_way_holds_once_for_its_kind_and_its_time(arnia: Node, clock: Clock) -> None:
    state = LoginState(person="person-1", nonce="n")
    first = await login_states.remember(arnia, "passkey", state)
    assert await login_states.take(arnia, "new-passkey", first) is None
    assert await login_states.take(arnia, "passkey", first[:-1] + "!") is None
    assert await login_states.take(arnia, "passkey", first) == state
    assert await login_states.take(arnia, "passkey", first) is None
    second = await login_states.remember(arnia, "passkey", state, timedelta(minutes=5))
    clock.move(minutes=5)
    assert await login_states.take(arnia, "passkey", second) is None


async def test_the_oldest_login_under_way_gives_way(
    arnia: Node, clock: Clock, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = LoginState()
    async with looking(dsn) as look:
        await look.execute(
            "INSERT INTO login_states SELECT sha256(n::text::bytea), 'passkey', '{}', $1"
            " FROM generate_series(1, 9999) AS n",
            clock.now + timedelta(minutes=20),
        )
    first = await login_states.remember(arnia, "passkey", state)
    clock.move(seconds=1)
    second = await login_states.remember(arnia, "passkey", state)
    assert await login_states.take(arnia, "passkey", first) is None
    assert await login_states.take(arnia, "passkey", second) == state


async def test_a_login_link_of_the_demonstration_holds_once_where_the_settings_allow_it(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    anne = await a_person(arnia)
    with pytest.raises(Invalid, match="FEDERATION_DEMO_LINKS"):
        await logins.demo_link(arnia, anne.id)
    monkeypatch.setattr(arnia, "has_demo_links", True)
    path = await logins.demo_link(arnia, anne.id)
    secret = path.removeprefix("/login/demo/")
    with pytest.raises(NotFound):
        await logins.demo_link(arnia, "person-0")
    monkeypatch.setattr(arnia, "has_demo_links", False)
    with pytest.raises(NotFound):
        await logins.accept_demo_link(arnia, secret)
    monkeypatch.setattr(arnia, "has_demo_links", True)
    assert await logins.accept_demo_link(arnia, secret) == anne.id
    with pytest.raises(NotFound):
        await logins.accept_demo_link(arnia, secret)


def test_login_links_are_for_the_loopback_interface() -> None:
    settings = {"FEDERATION_OPERATOR": "arnia", "FEDERATION_DEMO_LINKS": "yes"}
    assert read(settings).demo_links
    assert not read({"FEDERATION_OPERATOR": "arnia"}).demo_links
    with pytest.raises(CommandFailed, match="FEDERATION_DEMO_LINKS"):
        read(settings | {"FEDERATION_URL": "https://arnia.example.org"})
    with pytest.raises(CommandFailed, match="yes or no"):
        read(settings | {"FEDERATION_DEMO_LINKS": "1"})


async def test_the_command_invites_somebody_new_and_somebody_who_is_listed(arnia: Node, dsn: str) -> None:
    shown = await told(dsn, "person", "invite", "--name", "Anne", "--role", "administrator")
    id_ = shown["person"]["id"]
    assert (shown["person"]["role"], shown["person"]["ceiling"]["label"]) == ("administrator", "RED")
    page, _, secret = shown["link"].partition("#")
    assert page == shown["page"]
    assert page.startswith("http://127.0.0.1:8470/invitation/")
    assert await logins.accept_link(arnia, page.rpartition("/")[2], secret) == id_
    text = await said(dsn, "person", "invite", id_)
    code = text.rpartition("code ")[2].strip()
    page = text.partition("JavaScript: ")[2].split()[0]
    assert await logins.accept_code(arnia, page.rpartition("/")[2], code) == id_
    for words in ((), ("--name", "X"), (id_, "--role", "reader"), (id_, "--name", "X", "--role", "reader")):
        status, text = await ran(dsn, "person", "invite", *words)
        assert status == 2, text
    status, text = await ran(dsn, "person", "invite", "person-0")
    assert (status, "no person person-0" in text) == (1, True)
