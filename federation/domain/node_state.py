"""The state of the node's row, by which a process notices what other processes did."""

from __future__ import annotations

import msgspec


class NodeState(msgspec.Struct, frozen=True):
    """The epoch of the node and its counters, each of which only grows."""

    epoch: str
    arrival: int
    """Number of the last change stored here, of any origin."""
    trust: int
    """Changes of clients, keys, tokens and peers."""
    signed: int
    """Checkpoints signed here."""
    published: int
    """Changes of the node's own records."""
    arrivals_from: int
    """Cursors in the change log before it have missed tombstones."""

    @property
    def heads(self) -> int:
        """Grows whenever the heads of the node's own feeds change."""
        return self.published + self.signed
