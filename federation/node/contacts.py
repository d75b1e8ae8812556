"""Names of operators, and whom to call there: from their own records, as far as the caller may see them."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from federation.domain.content.operator import Operator
from federation.domain.query import MAX_PAGE, Query
from federation.domain.visibility import Caller
from federation.node import records
from federation.node.node import Node


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
    query = Query(kind=Operator, facets=(("origin", tuple(sorted(operators))),), limit=MAX_PAGE)
    documents, _, _ = await records.collect(node, query, by=by)
    contacts = {}
    for record in map(_record.decode, documents):
        if record.origin == record.key:  # (an operator speaks for itself, under its own id)
            content = record.content
            contacts[record.origin] = Contact(
                record.origin,
                content.name,
                content.contact,
                content.security_contact,
                content.telephone,
                content.security_telephone,
            )
    return contacts
