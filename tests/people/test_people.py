"""People are added, changed and removed, and each change holds at once and is noted."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from federation.domain.audit import actor_of
from federation.domain.errors import Invalid, NotFound
from federation.domain.person import MAX_CALENDAR_ADDRESSES, ROLE_SCOPES, ROLES
from federation.domain.scopes import SCOPES
from federation.domain.visibility import Caller, Ceiling, itself
from federation.node import people, sessions
from federation.node.node import Node
from tests.audit.audit_trail import entries
from tests.exposure.commands import ran, said, told
from tests.people.people import a_person

BY = itself("arnia")


def test_each_role_has_what_the_one_below_has_and_more() -> None:
    reader, editor, administrator = (ROLE_SCOPES[role] for role in ROLES)
    assert reader < editor < administrator <= SCOPES.keys()
    assert {scope for scope in reader if not scope.endswith(".read")} == {"subscriptions.write"}
    assert {"incidents.write", "deadlines.write"} <= editor - reader
    assert administrator - editor == {"node.admin", "peers.read", "sources.read", "sources.write"}
    assert not {"changes.read", "feeds.read"} & administrator, "these are for programs"


async def test_a_person_is_added_and_found(arnia: Node) -> None:
    anne = await people.add(arnia, name=" Anne Martin ", role="editor", by=BY)
    assert (anne.name, anne.role, anne.ceiling) == ("Anne Martin", "editor", Ceiling("GREEN"))
    found = await people.find(arnia, anne.id)
    assert msgspec.structs.replace(found, created_at=anne.created_at) == anne
    assert await people.all(arnia) == (found,)
    with pytest.raises(NotFound, match="person-0"):
        await people.find(arnia, "person-0")


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "x" * 101}, "/name"),
        ({"name": "Anne\nMartin"}, "/name"),
        ({"name": "Anne\u202eMartin"}, "/name"),
        ({"role": "root"}, "/role"),
        ({"role": "administrator", "ceiling": Ceiling("GREEN")}, "/ceiling"),
    ],
)
async def test_a_person_that_cannot_be_is_refused(arnia: Node, asked: dict[str, Any], pointer: str) -> None:
    wanted: dict[str, Any] = {"name": "Anne", "role": "reader", "by": BY} | asked
    with pytest.raises(Invalid) as refusal:
        await people.add(arnia, **wanted)
    assert refusal.value.pointer == pointer
    assert await people.all(arnia) == ()


async def test_the_ceiling_follows_the_role_and_is_what_was_chosen(arnia: Node) -> None:
    administrator = await a_person(arnia, role="administrator")
    assert administrator.ceiling == Ceiling("RED")
    demoted = await people.change(arnia, administrator.id, role="editor", by=BY)
    assert demoted.ceiling == Ceiling("GREEN"), "what an administrator sees does not stay"
    amber = Ceiling("AMBER", frozenset({"arnia/security"}))
    assert (await people.change(arnia, demoted.id, ceiling=amber, by=BY)).ceiling == amber
    assert (await people.change(arnia, demoted.id, role="reader", by=BY)).ceiling == amber
    assert (await people.change(arnia, demoted.id, name="A. Martin", by=BY)).ceiling == amber
    with pytest.raises(Invalid):
        await people.change(arnia, demoted.id, role="administrator", ceiling=amber, by=BY)
    assert (await people.change(arnia, demoted.id, role="administrator", by=BY)).ceiling == Ceiling("RED")
    with pytest.raises(NotFound):
        await people.change(arnia, "person-0", name="Nobody", by=BY)


async def test_acts_are_noted_with_the_name_of_who_did_them(arnia: Node) -> None:
    chief = await a_person(arnia, "Chief", "administrator")
    by = chief.caller("arnia")
    anne = await people.add(arnia, name="Anne", role="reader", by=by)
    await people.change(arnia, anne.id, by=by)
    await people.change(arnia, anne.id, role="editor", by=by)
    await people.remove(arnia, anne.id, by=by)
    noted = [entry for entry in await entries(arnia) if entry.event.startswith("person.")]
    assert [(entry.event, entry.actor) for entry in noted] == [
        ("person.added", "operator"),
        ("person.added", f"Chief ({chief.id})"),
        ("person.changed", f"Chief ({chief.id})"),
        ("person.removed", f"Chief ({chief.id})"),
    ]
    assert noted[2].subject == f"Anne ({anne.id})"
    assert (noted[2].detail["former_role"], noted[2].detail["role"]) == ("reader", "editor")
    assert actor_of(Caller(node="arnia", operator="arnia", client="client-erp")) == "client-erp"


async def test_a_removed_person_has_no_session_and_no_calendar_any_more(arnia: Node) -> None:
    anne, other = await a_person(arnia), await a_person(arnia, "Other")
    secrets = [await sessions.begin(arnia, person.id) for person in (anne, anne, other)]
    addresses = [await people.new_calendar_address(arnia, person.id) for person in (anne, other)]
    assert all([await sessions.session(arnia, secret) for secret in secrets])
    assert all([await people.calendar_caller(arnia, address) for address in addresses])
    await people.remove(arnia, anne.id, by=BY)
    assert [bool(await sessions.session(arnia, secret)) for secret in secrets] == [False, False, True]
    assert [bool(await people.calendar_caller(arnia, a)) for a in addresses] == [False, True]
    with pytest.raises(NotFound):
        await people.remove(arnia, anne.id, by=BY)


async def test_a_calendar_address_reads_no_more_than_green_and_is_bounded(arnia: Node) -> None:
    chief = await a_person(arnia, role="administrator")
    addresses = [await people.new_calendar_address(arnia, chief.id) for _ in range(MAX_CALENDAR_ADDRESSES)]
    caller = await people.calendar_caller(arnia, addresses[0])
    assert caller is not None
    assert (caller.person, caller.ceiling) == (chief.id, Ceiling("GREEN"))
    assert caller.scopes
    assert all(scope.endswith(".read") for scope in caller.scopes)
    assert await people.calendar_caller(arnia, addresses[0][:-1] + "!") is None
    with pytest.raises(Invalid, match="calendar addresses"):
        await people.new_calendar_address(arnia, chief.id)
    await people.end_calendar_addresses(arnia, chief.id)
    assert await people.calendar_caller(arnia, addresses[0]) is None
    assert await people.new_calendar_address(arnia, chief.id)


async def test_the_commands_add_list_change_and_remove(arnia: Node, dsn: str) -> None:
    added = await told(
        dsn, "person", "add", "Anne Martin", "--role", "editor", "--ceiling", "amber", "--group",
        "megalis/security",
    )  # fmt: skip
    assert added["ceiling"] == {"label": "AMBER", "groups": ["megalis/security"]}
    id_ = added["id"]
    assert await told(dsn, "person", "list") == [await told(dsn, "person", "change", id_)]
    assert await said(dsn, "person", "list") == (
        f"{id_}  Anne Martin  editor  sees AMBER megalis/security  never logged in\n"
    )
    assert (await told(dsn, "person", "change", id_, "--ceiling", "RED"))["ceiling"]["label"] == "RED"
    status, text = await ran(dsn, "person", "change", id_, "--ceiling", "GREEN", "--group", "x/y")
    assert (status, "names the groups" in text) == (1, True)
    assert await said(dsn, "person", "remove", id_) == f"Anne Martin ({id_}) is removed\n"
    assert await told(dsn, "person", "list") == []
