"""Contributions: what operators say about a record, in order beneath it."""

from __future__ import annotations

import msgspec

from federation.domain.content.contribution import Contribution
from federation.domain.document import Document, check_id
from federation.domain.errors import NotFound
from federation.domain.query import Query
from federation.domain.visibility import Caller
from federation.node.node import Node
from federation.store.database import Reading
from federation.store.together import Together

MAX_SHOWN = 500
"""Contributions to one record that are shown, at most."""
_decoder = msgspec.json.Decoder(Document[Contribution])


class Contributions(msgspec.Struct, frozen=True):
    """The contributions to a record that a caller may see, in the order in which they were made."""

    entries: tuple[Document[Contribution], ...] = ()
    more: bool = False
    """True where there are more than ``MAX_SHOWN``."""
    not_understood: int = 0
    """Contributions, to any record, that this version does not understand: some may be about this one."""


async def beneath(node: Node, type_name: str, id_: str, *, by: Caller) -> Contributions:
    """What was said about a record, if the caller may see it. Raises NotFound."""
    async with node.store.read() as tx:
        return await read_beneath(tx, type_name, id_, by=by)


async def read_beneath(tx: Reading, type_name: str, id_: str, *, by: Caller) -> Contributions:
    """Read it together with others of one answer."""
    origin, _, key = id_.partition("/")
    check_id(origin, key)
    query = Query(
        kind=Contribution,
        facets=(("about", (id_,)), ("about_type", (type_name,))),
        limit=MAX_SHOWN,
        sort="id",
    )
    async with Together(tx) as reads:
        visible = reads.start(reads.tx.records.visible_ids(type_name, [id_], visible_to=by))
        search = reads.start(reads.tx.records.search(query, visible_to=by))
    if id_ not in visible.result():
        raise NotFound(
            "there is no {kind} {origin}/{key} that you may see", kind=type_name, origin=origin, key=key
        )
    listed = search.result()
    entries = sorted(
        map(_decoder.decode, listed.documents), key=lambda entry: (entry.created_at, entry.origin, entry.key)
    )
    return Contributions(tuple(entries), listed.page_key is not None, listed.not_understood)
