"""Verification of the audit trail: hashes and checkpoints, row by row, to the first fault."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from federation.domain.audit import (
    GENESIS,
    AuditCheckpointClaims,
    AuditEntry,
    AuditRow,
    Reader,
    SignedAuditCheckpoint,
    link,
    read_claims,
)

FaultKind = Literal["missing", "changed", "out-of-chain", "rewritten", "truncated", "bad-checkpoint"]

FAULTS: dict[FaultKind, str] = {
    "missing": "There is no entry of this number, and there are later ones.",
    "changed": "The entry and the hash before it do not give its hash.",
    "out-of-chain": "The entry is another one's: it was moved, numbered anew or put in.",
    "rewritten": "The chain holds, but a checkpoint was signed over another hash: all was hashed anew.",
    "truncated": "A checkpoint was signed over an entry beyond the last one: the end was cut off.",
    "bad-checkpoint": "The checkpoint was not signed by a key of this node, or it is for another entry.",
}
"""What can be wrong, and what it means."""


class ChainFault(msgspec.Struct, frozen=True):
    """The first fault of a trail: its entry and its kind."""

    n: int
    what: FaultKind
    detail: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a verification: the number of entries that hold."""

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
        self._awaited = [(checkpoint.n, checkpoint.jws, "the checkpoint") for checkpoint in checkpoints]
        for number, jws in enumerate(elsewhere, 1):
            name = f"checkpoint {number} of those kept elsewhere"
            claims = read_claims(jws, read)
            if claims is None:
                self._fail(0, "bad-checkpoint", f"{name} was not signed by a key of this node")
                return
            self._awaited.append((claims.n, jws, name))
        # The last comes first to be taken off the end.
        self._awaited.sort(key=lambda checkpoint: checkpoint[0], reverse=True)
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

    def _fail(self, n: int, kind: FaultKind, detail: str) -> bool:
        self.fault = ChainFault(n, kind, detail)
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
