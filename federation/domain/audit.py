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

from federation.domain.canonical import canonical
from federation.domain.errors import Unauthenticated
from federation.domain.feed import printable
from federation.domain.values import SAFE_INTEGER, as_instant
from federation.domain.visibility import Caller

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
    "peer.excluded",
    "peer.exclusion-lifted",
    "peer.forgotten",
    "peer.keys-changed",
    "key.rotated",
    "openpgp-key.added",
    "openpgp-key.revoked",
    "group.changed",
    "visibility.changed",
    "label.changed",
    "person.added",
    "person.changed",
    "person.removed",
    "person.invited",
    "person.logged-in",
    "passkey.added",
    "passkey.removed",
    "token.revoked",
    "access.refused",
    "epoch.minted",
    "removal.confirmed",
    "quota.changed",
    "quota.confirmed",
    "subscription.added",
    "subscription.removed",
    "source.added",
    "source.changed",
    "source.removed",
    "source.secret-changed",
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
    "peer.excluded": "An operator, no active peer, was excluded: members withhold GREEN records from it.",
    "peer.exclusion-lifted": "The exclusion of an operator was lifted.",
    "peer.forgotten": "A peer that had left was forgotten: its id may join with another key.",
    "peer.keys-changed": "A peer's keys changed.",
    "key.rotated": "The node was given a new key.",
    "openpgp-key.added": "The node was given a new OpenPGP key, which signs its CSAF documents.",
    "openpgp-key.revoked": "An OpenPGP key of the node was revoked.",
    "group.changed": "A group was published, revised or retracted; the members that came and went.",
    "visibility.changed": "A record was moved to another audience.",
    "label.changed": "The label of new records whose writer names none was changed.",
    "person.added": "A person was added: they may log in once they are invited.",
    "person.changed": "A person was given another name, role or ceiling.",
    "person.removed": "A person was removed; their sessions and calendar addresses ended.",
    "person.invited": "An invitation to log in was made for a person.",
    "person.logged-in": "A person logged in.",
    "passkey.added": "A person added a passkey.",
    "passkey.removed": "A passkey of a person was removed.",
    "token.revoked": "An access token was revoked before its time.",
    "access.refused": "Requests were refused (401, 403, 429): how often since the last such entry.",
    "epoch.minted": "A new epoch began: the database was restored or promoted, or an administrator said so.",
    "removal.confirmed": "An administrator let many removals of a peer's records happen.",
    "quota.changed": "A peer was given bounds of its own, or lost them.",
    "quota.confirmed": "An administrator let a peer go on that would go beyond its quota.",
    "subscription.added": "Somebody is told of events from now on, by webhook or e-mail.",
    "subscription.removed": "Somebody is told of events no more.",
    "source.added": "A source of records was added.",
    "source.changed": "A source was paused or resumed, or given another interval.",
    "source.removed": "A source was removed; its records stayed.",
    "source.secret-changed": "A source that is pushed to was given another secret.",
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


def actor_of(caller: Caller) -> str:
    """The actor that a caller is noted as: a person by name and id, a client by id, else the operator."""
    if caller.person is not None:
        return f"{caller.person_name} ({caller.person})" if caller.person_name else caller.person
    return caller.client or OPERATOR


MAX_TEXT_LENGTH = 500
"""Characters of an actor or a subject; what is longer is cut."""
MAX_DETAIL_LENGTH = 4_000
"""Characters of a text of the detail."""
MAX_DETAIL_MEMBERS = 20
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
    """A client's id, a person's name and id, a peer's operator, ``operator``, ``node`` or ``anonymous``."""
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
    """Make a note within its bounds. Raises ValueError for an unknown event."""
    if event not in EVENTS:
        raise ValueError(f"{event} is no event of the audit trail")
    return Note(
        event,
        _limit_text(actor, MAX_TEXT_LENGTH),
        _limit_text(subject, MAX_TEXT_LENGTH),
        {
            _limit_text(name, 60): _limit_text(value, MAX_DETAIL_LENGTH)
            if isinstance(value, str)
            else max(-SAFE_INTEGER, min(int(value), SAFE_INTEGER))
            for name, value in list((detail or {}).items())[:MAX_DETAIL_MEMBERS]
        },
    )


def _limit_text(text: str, limit: int) -> str:
    return printable(_JWT.sub("(token)", text[: 2 * limit]), limit)


def link(previous: bytes, entry: bytes) -> bytes:
    """The hash of an entry: SHA-256 of the hash before it and its bytes."""
    return hashlib.sha256(previous + entry).digest()


def chain_rows(notes: Iterable[Note], n: int, previous: bytes, at: datetime) -> list[AuditRow]:
    """The rows that these notes make after entry ``n``, whose hash is ``previous``."""
    rows = []
    for entry_note in notes:
        n += 1
        raw = canonical(AuditEntry(n=n, at=as_instant(at), **entry_note._asdict()))
        previous = link(previous, raw)
        rows.append(AuditRow(n, raw, previous))
    return rows


# Checkpoints


class AuditCheckpointClaims(msgspec.Struct, frozen=True):
    """Claims of a checkpoint: at this time the node's entry ``n`` had this hash."""

    iss: str
    """The node's operator."""
    n: int
    hash: str
    iat: int


Reader = Callable[[str], dict[str, Any]]
"""Gives the claims of a checkpoint whose signature holds; else raises Unauthenticated."""


def read_claims(jws: str, read: Reader) -> AuditCheckpointClaims | None:
    """Read the claims of a checkpoint; None when its signature does not hold."""
    try:
        return msgspec.convert(read(jws), AuditCheckpointClaims)
    except (Unauthenticated, msgspec.ValidationError):
        return None


# Verifying


# Refused access
