"""Sets of own records: an upload names the set that its records are in, and can replace it.

A record stays in its set when it is revised in another way. It leaves it when it is retracted, or uploaded
into another one.
"""

from __future__ import annotations

from collections.abc import Mapping

from federation.domain.errors import Refused
from federation.node.edits import WriteResult
from federation.store.database import Writing

MAX_MEMBERS = 1_000
"""Members that are read or retracted at a time."""


class SetStep:
    """Puts the records of an upload into a set, in the transaction that stores them."""

    def __init__(self, type_name: str, name: str) -> None:
        self._type = type_name
        self._name = name

    async def begin(self, tx: Writing) -> None:
        """Nothing comes first."""

    async def finish(self, tx: Writing, outcomes: Mapping[str, WriteResult | Refused]) -> None:
        """Note the set of every record that was not refused."""
        keys = [
            key for key, outcome in outcomes.items()
            if not isinstance(outcome, Refused) and not outcome.retracted
        ]  # fmt: skip
        if keys:
            await tx.record_sets.add(self._type, keys, self._name)


class MembershipStep:
    """Reads the sets of records that are to be retracted, in the transaction that does it."""

    def __init__(self, type_name: str, keys: list[str]) -> None:
        self._type = type_name
        self._keys = keys
        self.sets: dict[str, str] = {}

    async def begin(self, tx: Writing) -> None:
        """Read them. The transaction has the locks of the records, so nobody changes their sets."""
        self.sets = await tx.record_sets.sets_of(self._type, self._keys)

    async def finish(self, tx: Writing, outcomes: Mapping[str, WriteResult | Refused]) -> None:
        """Nothing comes last: a record that is retracted leaves its set."""
