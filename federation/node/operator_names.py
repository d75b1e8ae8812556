"""Names of operators, from their own records as far as the caller may see them."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from federation.domain.content.operator import Operator
from federation.domain.visibility import Caller
from federation.node.copy_views import Provenance, read_provenance
from federation.node.node import Node
from federation.store.database import Reading
from federation.store.together import Together


class _Content(msgspec.Struct):
    name: str


class _Record(msgspec.Struct):
    origin: str
    content: _Content


_record = msgspec.json.Decoder(_Record)


async def read_names(tx: Reading, operators: Collection[str], *, by: Caller) -> dict[str, str]:
    """The names of operators by id; those without a record that the caller may see are left out."""
    ids = [f"{operator}/{operator}" for operator in operators]
    documents = await tx.records.documents(Operator.type, ids, visible_to=by)
    return {record.origin: record.content.name for record in map(_record.decode, documents)}


async def names_of(node: Node, operators: Collection[str], *, by: Caller) -> dict[str, str]:
    """Read names over a connection of their own."""
    if not operators:
        return {}
    async with node.store.read() as tx:
        return await read_names(tx, operators, by=by)


async def sources_of(
    node: Node, origin: str, others: Collection[str], *, by: Caller
) -> tuple[tuple[Provenance, ...], dict[str, str]]:
    """The feeds of an operator, and its name with those of others that a page names; in one statement."""
    async with node.store.read() as tx, Together(tx) as reads:
        sources = reads.start(read_provenance(node, reads.tx, (origin,), by=by))
        names = reads.start(read_names(reads.tx, {origin, *others}, by=by))
    return sources.result(), names.result()
