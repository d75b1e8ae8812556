"""Names of operators, and whom to call there: from their own records, as far as the caller may see them."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from federation.domain.content.operator import Operator
from federation.domain.visibility import Caller
from federation.node.node import Node
from federation.store.database import Reading


class Contact(msgspec.Struct, frozen=True):
    """An operator's name and addresses, as its own record has them."""

    operator: str
    name: str
    contact: str
    security_contact: str
    telephone: str | None
    security_telephone: str | None


class _Content(msgspec.Struct):
    name: str
    contact: str
    security_contact: str
    telephone: str | None = None
    security_telephone: str | None = None


class _Record(msgspec.Struct):
    origin: str
    key: str
    content: _Content


_record = msgspec.json.Decoder(_Record)


async def contacts_of(node: Node, operators: Collection[str], *, by: Caller) -> dict[str, Contact]:
    """The contacts of operators by id; those without a record that the caller may see are left out."""
    if not operators:
        return {}
    async with node.store.read() as tx:
        return await read_contacts(tx, operators, by=by)


async def read_contacts(tx: Reading, operators: Collection[str], *, by: Caller) -> dict[str, Contact]:
    """Read it together with others of one answer."""
    # An operator speaks for itself, under its own id.
    ids = [f"{operator}/{operator}" for operator in operators]
    documents = await tx.records.documents(Operator.type, ids, visible_to=by)
    return {record.origin: _contact(record) for record in map(_record.decode, documents)}


def _contact(record: _Record) -> Contact:
    content = record.content
    return Contact(
        record.origin,
        content.name,
        content.contact,
        content.security_contact,
        content.telephone,
        content.security_telephone,
    )
