"""What may replace a record that was retracted: as far as other records say so.

A tombstone has no content, so nothing is known from the record itself. Other records that name a solution as
the same software are known from their identifiers (``node/linkage``).
"""

from __future__ import annotations

from federation.domain.content.solution import Solution
from federation.domain.query import Query
from federation.domain.record_content import Content
from federation.domain.visibility import Caller
from federation.node import exposure_index
from federation.node.linkage import linked_solutions
from federation.node.node import Node
from federation.store.together import Together

MAX_REPLACEMENTS = 10
"""Records that may replace one, at most."""


async def of_record(
    node: Node, kind: type[Content], origin: str, key: str, *, by: Caller
) -> tuple[tuple[str, ...], int]:
    """Ids of records that say that they are the same as this one; and the number of live ones of its origin.

    It is up to ``MAX_TOTAL``, as that of a list.
    """
    if kind is Solution:
        await exposure_index.catch_up(node)
    async with node.store.read() as tx:
        query = Query(kind=kind, facets=(("origin", (origin,)),), limit=1, total=True)
        async with Together(tx) as reads:
            search = reads.start(reads.tx.records.search(query, visible_to=by))
            named = [f"{origin}/{key}"] if kind is Solution else []
            links = reads.start(linked_solutions(reads.tx, named, visible_to=by))
    return tuple(sorted(links.result().solutions)[:MAX_REPLACEMENTS]), search.result().total or 0
