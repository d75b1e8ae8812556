"""People of the operator: add, change, remove and find them, and their calendar addresses.

A change holds from the next request on: each session reads its person anew.
"""

from __future__ import annotations

import msgspec

from federation.domain.audit import actor_of
from federation.domain.errors import Invalid, NotFound
from federation.domain.feed import printable
from federation.domain.invitation import fingerprint, new_secret
from federation.domain.person import (
    MAX_CALENDAR_ADDRESSES,
    MAX_PEOPLE,
    Person,
    ceiling_of,
    check_name,
    check_role,
    mint_person_id,
)
from federation.domain.values import as_instant
from federation.domain.visibility import Caller, Ceiling
from federation.node.node import Node
from federation.store.database import Writing

CALENDAR_SCOPES = frozenset(
    {"meetings.read", "consultations.read", "purchases.read", "incidents.read", "deadlines.read"}
)
"""What a calendar is made of."""


async def add(node: Node, *, name: str, role: str, ceiling: Ceiling | None = None, by: Caller) -> Person:
    """Add a person, who cannot log in yet. The ceiling is GREEN unless given; an administrator's is RED.

    Raises Invalid.
    """
    checked_role = check_role(role)
    person = Person(
        id=mint_person_id(),
        name=check_name(name),
        role=checked_role,
        ceiling=ceiling_of(checked_role, ceiling),
        created_at=as_instant(node.clock()),
    )
    async with node.store.write() as tx:
        await add_in(tx, person, by=actor_of(by))
    return person


async def add_in(tx: Writing, person: Person, *, by: str) -> None:
    """Store a new person in a transaction. Raises Invalid where there are too many."""
    await tx.people.lock()
    if len(await tx.people.all()) >= MAX_PEOPLE:
        raise Invalid("there are {maximum} people already; remove one first", maximum=MAX_PEOPLE)
    await tx.people.add(person)
    await tx.audit.note("person.added", actor=by, subject=person.actor, detail=_rights(person))


async def change(
    node: Node,
    id_: str,
    *,
    name: str | None = None,
    role: str | None = None,
    ceiling: Ceiling | None = None,
    by: Caller,
) -> Person:
    """Give a person another name, role or ceiling; None leaves it as it is.

    A new role without a ceiling has that of the role where the present one cannot stay: an administrator's is
    RED, and somebody who is administrator no longer has GREEN. With another role their sessions end.
    Raises NotFound, Invalid.
    """
    async with node.store.write() as tx:
        await tx.people.lock()
        person = await tx.people.find(id_)
        if person is None:
            raise unknown_person(id_)
        new_role = check_role(role) if role is not None else person.role
        stays = person.ceiling if "administrator" not in (person.role, new_role) else None
        if new_role == person.role:
            stays = person.ceiling
        changed = msgspec.structs.replace(
            person,
            name=check_name(name) if name is not None else person.name,
            role=new_role,
            ceiling=ceiling_of(new_role, ceiling if ceiling is not None else stays),
        )
        await change_in(tx, person, changed, by=actor_of(by))
    return changed


async def change_in(tx: Writing, person: Person, changed: Person, *, by: str) -> None:
    """Store a changed person in a transaction; nothing where nothing changes."""
    if changed == person:
        return
    await tx.people.change(changed)
    if changed.role != person.role:
        await tx.sessions.end_all(person.id)
    detail = {**_rights(changed), **{f"former_{key}": value for key, value in _rights(person).items()}}
    await tx.audit.note("person.changed", actor=by, subject=changed.actor, detail=detail)


async def remove(node: Node, id_: str, *, by: Caller) -> Person:
    """Remove a person. Their sessions, calendar addresses, passkeys and subscriptions end at once.

    Raises NotFound.
    """
    async with node.store.write() as tx:
        person = await tx.people.find(id_)
        if person is None or not await tx.people.remove(id_):
            raise unknown_person(id_)
        await tx.audit.note("person.removed", actor=actor_of(by), subject=person.actor)
    return person


async def all(node: Node) -> tuple[Person, ...]:
    """Everybody, by name."""
    async with node.store.read() as tx:
        return await tx.people.all()


async def find(node: Node, id_: str) -> Person:
    """Find a person. Raises NotFound."""
    async with node.store.read_by_key() as tx:
        person = await tx.people.find(id_)
    if person is None:
        raise unknown_person(id_)
    return person


async def new_calendar_address(node: Node, id_: str) -> str:
    """The secret of a new calendar address of a person, returned this once. Raises NotFound, Invalid."""
    secret = new_secret()
    async with node.store.write() as tx:
        await tx.people.lock()
        if await tx.people.find(id_) is None:
            raise unknown_person(id_)
        if await tx.people.number_of_calendar_addresses(id_) >= MAX_CALENDAR_ADDRESSES:
            raise Invalid(
                "you have {maximum} calendar addresses already; end them first",
                maximum=MAX_CALENDAR_ADDRESSES,
            )
        await tx.people.add_calendar_address(fingerprint(secret), id_, node.clock())
    return secret


async def end_calendar_addresses(node: Node, id_: str) -> None:
    """End every calendar address of a person."""
    async with node.store.write() as tx:
        await tx.people.remove_calendar_addresses(id_)


async def calendar_caller(node: Node, secret: str) -> Caller | None:
    """The caller that a calendar address stands for: its person, below GREEN whatever their ceiling.

    An address is shared and stored by programs more easily than a login. None where there is no such address.
    """
    hash_ = fingerprint(secret)
    async with node.store.read_by_key() as tx:
        person = await tx.people.find_calendar_reader(hash_)
    if person is None:
        return None
    async with node.store.autocommit() as writing:
        await writing.people.note_calendar_use(hash_, node.clock())
    caller = person.caller(node.operator)
    return msgspec.structs.replace(caller, scopes=caller.scopes & CALENDAR_SCOPES, ceiling=Ceiling())


def unknown_person(id_: str) -> NotFound:
    return NotFound("there is no person {id}", id=printable(id_, 80))


def _rights(person: Person) -> dict[str, str | int]:
    return {
        "name": person.name,
        "role": person.role,
        "ceiling": person.ceiling.label,
        **({"groups": " ".join(sorted(person.ceiling.groups))} if person.ceiling.groups else {}),
    }
