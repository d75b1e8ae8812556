"""Exclusions: this node's own, and the origins that exclude an operator by their signed checkpoints."""

from __future__ import annotations

from sqlalchemy import Text, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from federation.domain.checkpoint import MAX_EXCLUSIONS
from federation.domain.errors import Conflict
from federation.store.statements import Session, Statement, param
from federation.store.tables import exclusions
from federation.store.trust import COUNT_TRUST_CHANGE

_LIST = Statement(select(exclusions.c.operator).order_by(exclusions.c.operator))
_COUNT = Statement(select(func.count()).select_from(exclusions))
_ADD = Statement(insert(exclusions).values(operator=param("operator", Text)).on_conflict_do_nothing())
_REMOVE = Statement(delete(exclusions).where(exclusions.c.operator == param("operator", Text)))
FIND_VIEWER = """
SELECT
    ARRAY(
        SELECT key FROM records
        WHERE type = 'group' AND origin = $1 AND NOT retracted
            AND facets @> ARRAY['group.member=' || $2::text]
    ),
    ARRAY(
        SELECT origin FROM copies JOIN feeds ON feeds.id = copies.feed
        WHERE excludes <> '{}' AND $2::text = ANY(excludes) AND audience = 'federation'
    )
"""
"""The groups of node $1 that operator $2 is in, and the origins that exclude it: for each peer request."""


class ExclusionsReader:
    """Exclusions, for reading."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def own(self) -> tuple[str, ...]:
        """The operators that this node excludes, sorted by code point as they are signed."""
        return tuple(sorted(row[0] for row in await self._session.all(_LIST)))

    async def viewer(self, operator: str, *, node: str) -> tuple[frozenset[str], frozenset[str]]:
        """The groups of this node that an operator is in, and the origins that exclude it."""
        row = await self._session.connection.fetchrow(FIND_VIEWER, node, operator)
        return frozenset(row[0]), frozenset(row[1])


class ExclusionsWriter(ExclusionsReader):
    """Exclusions, in a transaction that may change them."""

    async def add(self, operator: str) -> bool:
        """Exclude an operator; False if it is excluded already. Raises Conflict beyond ``MAX_EXCLUSIONS``."""
        if await self._session.run(_ADD, operator=operator) == 0:
            return False
        # It locks the row ``node``: of two that add at once, the second one counts the first.
        await self._session.run(COUNT_TRUST_CHANGE)
        if (await self._session.value(_COUNT) or 0) > MAX_EXCLUSIONS:
            raise Conflict(
                "{maximum} operators are excluded already, and a signature holds no more: lift an "
                "exclusion with `federation peer exclude OPERATOR --lift`, or suspend with --local",
                maximum=MAX_EXCLUSIONS,
            )
        return True

    async def remove(self, operator: str) -> bool:
        """Lift an exclusion; False if there is none."""
        removed = await self._session.run(_REMOVE, operator=operator) == 1
        if removed:
            await self._session.run(COUNT_TRUST_CHANGE)
        return removed
