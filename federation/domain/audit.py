"""The audit trail: what was done to this node, in a chain that shows where it was changed.

Each entry is canonical JSON and is hashed with the hash before it. From time to time the node signs the
last hash: a checkpoint. Who changes an entry must rehash all that follow, and then a checkpoint does not
hold; who holds the private key as well can forge those too, which is why one is kept elsewhere.

Nothing grows without bound: texts are cut, and refused access is counted (:class:`Refusals`). No token,
assertion or secret belongs into an entry; what has the form of a JWT is taken out all the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from federation.domain.document import canonical
from federation.domain.errors import Unauthenticated
from federation.domain.feed import printable
from federation.domain.values import SAFE_INTEGER, as_instant

Event = Literal[
    "client.added",
    "client.revoked",
    "client.secret-changed",
    "peer.invited",
    "peer.registered",
    "peer.activated",
    "peer.suspended",
    "peer.resumed",
    "peer.left",
    "peer.forgotten",
    "peer.keys-changed",
    "key.rotated",
    "group.changed",
    "visibility.changed",
    "token.revoked",
    "access.refused",
    "epoch.minted",
    "removal.confirmed",
    "subscription.added",
    "subscription.removed",
    "node.started",
    "node.stopped",
]

EVENTS: dict[Event, str] = {
    "client.added": "A client of one's own was made.",
    "client.revoked": "A client was cut off.",
    "client.secret-changed": "A client was given another secret, or its former one was dropped.",
    "peer.invited": "An invitation was made.",
    "peer.registered": "An operator's node joined with an invitation and waits to be activated.",
    "peer.activated": "A peer was activated: records are exchanged from then on.",
    "peer.suspended": "A peer was suspended: its tokens are refused, its feeds are not read.",
    "peer.resumed": "A suspended peer was let in again.",
    "peer.left": "A peer left, or was made to leave; its id stays bound to its key.",
    "peer.forgotten": "A peer that had left was forgotten: its id may join with another key.",
    "peer.keys-changed": "A peer's keys changed.",
    "key.rotated": "The node was given a new key.",
    "group.changed": "A group was published, revised or retracted; the members that came and went.",
    "visibility.changed": "A record was moved to another audience.",
    "token.revoked": "An access token was revoked before its time.",
    "access.refused": "Requests were refused (401, 403, 429): how often since the last such entry.",
    "epoch.minted": "A new epoch began: the database was restored or promoted, or an administrator said so.",
    "removal.confirmed": "An administrator let many removals of a peer's records happen.",
    "subscription.added": "Somebody is told of events from now on, by webhook or e-mail.",
    "subscription.removed": "Somebody is told of events no more.",
    "node.started": "A process of the node began to serve.",
    "node.stopped": "A process of the node ended in order.",
}
"""What is noted, and what it means."""

OPERATOR = "operator"
"""Actor: the administrator at the command line."""
ITSELF = "node"
"""Actor: the node, of its own accord."""
ANONYMOUS = "anonymous"
"""Actor: somebody who proved no identity."""

MOST_TEXT = 500
"""Characters of an actor or a subject; what is longer is cut."""
MOST_DETAIL = 4_000
"""Characters of a text of the detail."""
MOST_DETAILS = 20
"""Members of the detail."""

GENESIS = bytes(32)
"""The hash before the first entry."""

CHECKPOINT = "federation-audit+jwt"
"""``typ`` of a checkpoint."""

Detail = dict[str, str | int]

_JWT = re.compile(r"eyJ[\w-]{5,}\.[\w-]+(\.[\w-]*)*")


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done."""

    n: int
    at: str
    """RFC 3339 in UTC, by the clock of the database: one for all processes."""
    event: str
    actor: str
    """The client's id, a peer's operator, ``operator``, ``node`` or ``anonymous``."""
    subject: str
    """What it was done to."""
    detail: Detail


class Note(NamedTuple):
    """An entry that has no number yet."""

    event: Event
    actor: str
    subject: str
    detail: Detail


class AuditRow(NamedTuple):
    """An entry at rest."""

    n: int
    entry: bytes
    hash: bytes


class SignedAuditCheckpoint(NamedTuple):
    """A checkpoint at rest: the last entry it covers, and the node's signature over its hash."""

    n: int
    jws: str


def note(event: Event, actor: str, subject: str, detail: Mapping[str, str | int] | None = None) -> Note:
    """What is to be noted, within its bounds. Raises ValueError for an event that has no meaning here."""
    if event not in EVENTS:
        raise ValueError(f"{event} is no event of the audit trail")
    return Note(
        event,
        _bounded(actor, MOST_TEXT),
        _bounded(subject, MOST_TEXT),
        {
            _bounded(name, 60): _bounded(value, MOST_DETAIL)
            if isinstance(value, str)
            else max(-SAFE_INTEGER, min(int(value), SAFE_INTEGER))
            for name, value in list((detail or {}).items())[:MOST_DETAILS]
        },
    )


def _bounded(text: str, most: int) -> str:
    return printable(_JWT.sub("(token)", text[: 2 * most]), most)


def link(previous: bytes, entry: bytes) -> bytes:
    """The hash of an entry: SHA-256 of the hash before it and its bytes."""
    return hashlib.sha256(previous + entry).digest()


def chained(notes: Iterable[Note], n: int, previous: bytes, at: datetime) -> list[AuditRow]:
    """The rows that these notes make after entry ``n``, whose hash is ``previous``."""
    rows = []
    for one in notes:
        n += 1
        raw = canonical(AuditEntry(n=n, at=as_instant(at), **one._asdict()))
        previous = link(previous, raw)
        rows.append(AuditRow(n, raw, previous))
    return rows


# Checkpoints


class AuditCheckpointClaims(msgspec.Struct, frozen=True):
    """What a checkpoint says: at this time the node's entry ``n`` had this hash."""

    iss: str
    """The node's operator."""
    n: int
    hash: str
    iat: int


Reader = Callable[[str], dict[str, Any]]
"""Gives the claims of a checkpoint whose signature holds; else raises Unauthenticated."""


def read_claims(jws: str, read: Reader) -> AuditCheckpointClaims | None:
    """What a checkpoint says; None when it does not hold."""
    try:
        return msgspec.convert(read(jws), AuditCheckpointClaims)
    except (Unauthenticated, msgspec.ValidationError):
        return None


# Verifying

What = Literal["missing", "changed", "out-of-chain", "rewritten", "truncated", "bad-checkpoint"]

FAULTS: dict[What, str] = {
    "missing": "There is no entry of this number, and there are later ones.",
    "changed": "The entry and the hash before it do not give its hash.",
    "out-of-chain": "The entry is another one's: it was moved, numbered anew or put in.",
    "rewritten": "The chain holds, but a checkpoint was signed over another hash: all was hashed anew.",
    "truncated": "A checkpoint was signed over an entry beyond the last one: the end was cut off.",
    "bad-checkpoint": "The checkpoint was not signed by a key of this node, or it is for another entry.",
}
"""What can be wrong, and what it means."""


class ChainFault(msgspec.Struct, frozen=True):
    """Where the trail is first at fault, and how."""

    n: int
    what: What
    detail: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What was found: how far the trail holds."""

    entries: int
    """Entries that hold, from the first one on."""
    checkpoints: int
    """Checkpoints that hold."""
    after_checkpoint: int
    """Entries after the last checkpoint: who has the database could change them unseen."""
    last_at: str | None
    """When the last entry that holds was noted."""
    fault: ChainFault | None


class ChainWalk:
    """Holds a trail against its hashes and checkpoints, row by row, to the first fault."""

    def __init__(
        self,
        operator: str,
        checkpoints: Iterable[SignedAuditCheckpoint],
        read: Reader,
        *,
        elsewhere: Iterable[str] = (),
        begin: tuple[int, bytes] = (0, GENESIS),
    ) -> None:
        self.fault: ChainFault | None = None
        self.n, self.hash = begin
        """The last entry that holds, and its hash."""
        self._held = 0
        self._covered = 0
        self._last: bytes | None = None
        self._operator = operator
        self._read = read
        self._awaited = [(one.n, one.jws, "the checkpoint") for one in checkpoints]
        for number, jws in enumerate(elsewhere, 1):
            name = f"checkpoint {number} of those kept elsewhere"
            claims = read_claims(jws, read)
            if claims is None:
                self._fail(0, "bad-checkpoint", f"{name} was not signed by a key of this node")
                return
            self._awaited.append((claims.n, jws, name))
        # The last comes first to be taken off the end.
        self._awaited.sort(key=lambda one: one[0], reverse=True)
        self._check()

    def take(self, row: AuditRow) -> bool:
        """Go on to the next row; False once a fault was found."""
        if self.fault is not None:
            return False
        expected = self.n + 1
        if row.n > expected:
            return self._fail(expected, "missing", f"entry {expected} is missing: {row.n} comes next")
        if row.n < expected:
            return self._fail(row.n, "out-of-chain", f"there are two entries {row.n}")
        named = _number(row.entry)
        if named is not None and named != row.n:
            return self._fail(row.n, "out-of-chain", f"entry {row.n} says that it is {named}")
        if link(self.hash, row.entry) != row.hash or named is None:
            return self._fail(row.n, "changed", f"entry {row.n} does not have its hash")
        self.n, self.hash, self._last = row.n, row.hash, row.entry
        return self._check()

    def end(self) -> Verdict:
        """There are no more rows: what was found."""
        if self.fault is None and self._awaited:
            beyond, jws, name = self._awaited[-1]
            if self._claims(beyond, jws, name) is not None:
                self._fail(self.n + 1, "truncated", f"{name} covers entry {beyond}; the last one is {self.n}")
        last = msgspec.json.decode(self._last, type=AuditEntry) if self._last else None
        return Verdict(
            entries=self.n,
            checkpoints=self._held,
            after_checkpoint=self.n - self._covered,
            last_at=last.at if last else None,
            fault=self.fault,
        )

    def _check(self) -> bool:
        """Hold the checkpoints up to this entry against it."""
        while self._awaited and self._awaited[-1][0] <= self.n:
            n, jws, name = self._awaited.pop()
            claims = self._claims(n, jws, name)
            if claims is None:
                return False
            if claims.hash != self.hash.hex():
                return self._fail(n, "rewritten", f"{name} was signed over another hash of entry {n}")
            self._held += 1
            self._covered = n
        return True

    def _claims(self, n: int, jws: str, name: str) -> AuditCheckpointClaims | None:
        claims = read_claims(jws, self._read)
        if claims is None:
            self._fail(n, "bad-checkpoint", f"{name} at {n} was not signed by a key of this node")
        elif n < 1 or claims.n != n or claims.iss != self._operator:
            self._fail(n, "bad-checkpoint", f"{name} at {n} was signed for entry {claims.n} of {claims.iss}")
            return None
        return claims

    def _fail(self, n: int, what: What, detail: str) -> bool:
        self.fault = ChainFault(n, what, detail)
        return False


def verify(
    rows: Iterable[AuditRow],
    checkpoints: Iterable[SignedAuditCheckpoint],
    read: Reader,
    *,
    operator: str,
    elsewhere: Iterable[str] = (),
) -> Verdict:
    """Hold rows, in the order of their numbers, against their hashes and the checkpoints."""
    walk = ChainWalk(operator, checkpoints, read, elsewhere=elsewhere)
    for row in rows:
        if not walk.take(row):
            break
    return walk.end()


def _number(entry: bytes) -> int | None:
    """The number that an entry says it has; None for what is no entry."""
    try:
        return msgspec.json.decode(entry, type=AuditEntry).n
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


# Refused access

MOST_REFUSALS = 200
"""Sorts of refused access that are counted apart; all further ones are counted together."""
REFUSALS_EVERY = 60.0
"""Seconds between two entries of the same sort: an attacker makes 201 entries a minute, at most."""
OTHERS = "others"


class RefusedAccess(NamedTuple):
    """A sort of refused access: what was asked for, why it was refused, and to whom."""

    act: str
    reason: str
    who: str


class _Count:
    __slots__ = ("noted", "since")

    def __init__(self) -> None:
        self.since = 0
        self.noted = float("-inf")


class Refusals:
    """Counts refused access in memory. A process that is killed forgets the last minute, at most."""

    def __init__(self) -> None:
        self._counts: dict[RefusedAccess, _Count] = {}

    def count(self, act: str, reason: str, who: str) -> None:
        """One more. ``who`` is what was proved, never what was only claimed: that could be anything."""
        sort = RefusedAccess(act, reason, who)
        if sort not in self._counts and len(self._counts) >= MOST_REFUSALS:
            sort = RefusedAccess(OTHERS, OTHERS, OTHERS)
        self._counts.setdefault(sort, _Count()).since += 1

    def take(self, now: float, *, last: bool = False) -> dict[RefusedAccess, int]:
        """What is to be noted at this time (monotonic, in seconds); with ``last``, everything."""
        due = {}
        for sort, count in list(self._counts.items()):
            if not last and now - count.noted < REFUSALS_EVERY:
                continue
            if count.since:
                due[sort] = count.since
                count.since, count.noted = 0, now
            else:
                del self._counts[sort]
        return due

    def put_back(self, taken: Mapping[RefusedAccess, int]) -> None:
        """What was taken could not be noted: it is still to be."""
        for sort, number in taken.items():
            self._counts.setdefault(sort, _Count()).since += number
