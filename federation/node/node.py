"""The node: its identity, its database, its keys and its notifier.

The verbs are functions of this package that take the node, one module for each noun. A refusal is an error of
``domain/errors.py``, raised here or below; the edges (HTTP, command line) only translate.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from federation.domain.errors import Unreachable
from federation.domain.node_state import NodeState
from federation.domain.peer import OtherNodes
from federation.domain.quota import Allowance, Quota
from federation.domain.refusals import Refusals
from federation.domain.rejection_lines import RejectionLines
from federation.node.feed_snapshots import FeedSnapshots
from federation.node.index_signal import IndexSignal
from federation.node.keys import Keyring
from federation.node.notifier import ChangeNotifier
from federation.node.offer_index import OfferIndex
from federation.node.used_proofs import UsedProofs
from federation.outbound.oidc import IdentityProvider
from federation.store.database import Store

TOMBSTONES_DAYS = 90
"""Days that a tombstone is stored, unless the settings say otherwise."""


DEFAULT_QUOTA = Quota()
"""The bounds of each peer, unless the settings say otherwise."""
ALERTS_AN_HOUR = 20
"""Alerts of one origin that a subscription gets one by one, unless the settings say otherwise."""


class Node:
    """One operator's node, over its database."""

    def __init__(
        self,
        *,
        operator: str,
        url: str,
        name: str,
        store: Store,
        keyring: Keyring,
        state: NodeState,
        outside: OtherNodes | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        tombstones_days: int = TOMBSTONES_DAYS,
        security_contact: str | None = None,
        time_zone: tzinfo = UTC,
        texts_dir: Path | None = None,
        quota: Quota = DEFAULT_QUOTA,
        alerts_an_hour: int = ALERTS_AN_HOUR,
        has_demo_links: bool = False,
        identity_provider: IdentityProvider | None = None,
    ) -> None:
        self.operator = operator
        self.url = url
        self.name = name
        self.store = store
        self.keyring = keyring
        self.clock = clock
        self.tombstones_days = tombstones_days
        """Days that tombstones and withdrawals are stored."""
        self.security_contact = security_contact
        """URL for reports of weaknesses."""
        self.time_zone = time_zone
        """Time zone in which pages show moments."""
        self.texts_dir = texts_dir
        """Directory with the operator's own texts of pages."""
        self.quota = quota
        """The bounds of each peer that has none of its own."""
        self.alerts_an_hour = alerts_an_hour
        """Alerts of one origin that a subscription gets one by one within an hour."""
        self.has_demo_links = has_demo_links
        """True where login links of the demonstration hold."""
        self.identity_provider = identity_provider
        """The operator's identity provider, by which people log in."""
        self.allowances: defaultdict[str, Allowance] = defaultdict(Allowance)
        """What each origin may still store, as this process knows it."""
        self.rejection_lines = RejectionLines()
        """The lines of the log about rejected entries."""
        self._outside = outside
        self.notifier = ChangeNotifier(store, state)
        self.feed_snapshots = FeedSnapshots(operator, store, self.notifier)
        self.used_proofs = UsedProofs(store)
        self._reading_keys = asyncio.Lock()
        self.notifier.on_trust_change(self.read_keys)
        self.index_signal = IndexSignal()
        self.offer_index = OfferIndex()
        self.refusals = Refusals()
        """Refused access, counted here and noted in the audit trail by ``housekeeping.py``."""
        self.stopping = asyncio.Event()
        """Set when the process has been asked to end: waits end, streams close."""

    @property
    def others(self) -> OtherNodes:
        """Other nodes. Raises Unreachable in a process that has no way to them."""
        if self._outside is None:
            raise Unreachable("this process has no network")
        return self._outside

    async def read_keys(self) -> None:
        """Load the keys from the database."""
        # One at a time: a slow reader must not put back what a later one has replaced.
        async with self._reading_keys, self.store.read() as tx:
            self.keyring.reload(await tx.keys.all())

    def stop(self) -> None:
        """End waits and streams: the process is to stop."""
        self.stopping.set()
        self.offer_index.stop()
        self.notifier.wake()
        self.feed_snapshots.wake()
