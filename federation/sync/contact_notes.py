"""Notes that peers answer, stored for all of them by one statement."""

from __future__ import annotations

import time

from federation.domain.errors import Refused
from federation.node import peer_contacts
from federation.node.node import Node

NOTE_SECONDS = 60.0
"""Between two times that the peers that still answer are noted."""


class ContactNotes:
    """The peers that have answered since they were last noted, each with the difference of its clock."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._answered: dict[str, int | None] = {}
        self._urgent = False
        self._stored_at = 0.0

    def note(self, operator: str, clock_difference: int | None, *, urgent: bool) -> None:
        """Note an answer. ``urgent``: it is the first, or ends failures, and is stored at the next look."""
        self._answered[operator] = clock_difference
        self._urgent = self._urgent or urgent

    def forget(self, operator: str) -> None:
        """It has failed since."""
        self._answered.pop(operator, None)

    async def store(self, *, at_once: bool = False) -> None:
        """Store what is due. What the database does not take now is stored the next time."""
        current = time.monotonic()
        if not self._answered or not (at_once or self._urgent or current - self._stored_at >= NOTE_SECONDS):
            return
        answered, self._answered = self._answered, {}
        urgent, self._urgent = self._urgent, False
        try:
            await peer_contacts.mark_answered(self._node, answered)
        except Refused:
            self._answered = answered | self._answered
            self._urgent = urgent or self._urgent
            raise
        self._stored_at = current
