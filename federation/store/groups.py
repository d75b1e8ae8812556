"""Groups of this node, and their members, by the records of type ``group``."""

from __future__ import annotations

from sqlalchemy import Text, select

from federation.store.statements import Session, Statement, param
from federation.store.tables import records

_FIND = Statement(
    select(records.c.key).where(
        records.c.type == "group",
        records.c.origin == param("node", Text),
        records.c.key == param("name", Text),
        ~records.c.retracted,
    )
)
_LIST_MEMBERS = """
SELECT substr(facet, length('group.member=') + 1) FROM records CROSS JOIN unnest(facets) AS facet
WHERE type = 'group' AND origin = $1 AND key = $2 AND NOT retracted AND facet LIKE 'group.member=%'
"""
_LIST_MEMBERSHIPS = """
SELECT substr(facet, length('group.member=') + 1), array_agg(key)
FROM records CROSS JOIN unnest(facets) AS facet
WHERE type = 'group' AND origin = $1 AND NOT retracted AND facet LIKE 'group.member=%'
GROUP BY facet
"""
"""The members of all groups of origin $1, and the groups of each."""


class GroupsReader:
    """Reads the groups of a node."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def exists(self, name: str, *, node: str) -> bool:
        """True if this node has a group of that name."""
        return await self._session.value(_FIND, node=node, name=name) is not None

    async def by_member(self, *, node: str) -> dict[str, frozenset[str]]:
        """The groups of this node, by the operators that are members of some."""
        rows = await self._session.connection.fetch(_LIST_MEMBERSHIPS, node)
        return {row[0]: frozenset(row[1]) for row in rows}

    async def members_of(self, name: str, *, node: str) -> frozenset[str]:
        """The members of a group of this node."""
        rows = await self._session.connection.fetch(_LIST_MEMBERS, node, name)
        return frozenset(row[0] for row in rows)
