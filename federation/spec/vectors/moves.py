"""Entries of two feeds of one origin, and the records of a reader after each.

A reader pulls the feeds of an origin one after the other, so that it may read of a move in either order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from federation.api.entries import entry_line
from federation.domain.canonical import canonical
from federation.spec.vectors.samples import solution_document, with_content
from federation.spec.vectors.signing import sha256

PUBLIC, FEDERATION = "arnia/public", "arnia/federation"
LABELS = {PUBLIC: "CLEAR", FEDERATION: "GREEN"}
REGRESSING, CHANGED = "regressing-revision", "changed-at-same-revision"

Step = dict[str, Any]


def _line(feed: str, seq: int, op: str, revision: int, document: dict[str, Any] | None) -> dict[str, str]:
    raw = None if document is None else canonical(document)
    hash_ = None if raw is None else bytes.fromhex(sha256(raw))
    retracted = {"upsert": False, "delete": True, "withdraw": None}[op]
    line = entry_line((seq, retracted, "solution", "glpi", revision, hash_, raw))
    return {"feed": feed, "line": line.decode()}


def _upsert(feed: str, seq: int, revision: int, **content: Any) -> dict[str, str]:
    document = {**with_content(**content), "revision": revision, "tlp": LABELS[feed]}
    return _line(feed, seq, "upsert", revision, document)


def _delete(feed: str, seq: int, revision: int) -> dict[str, str]:
    document = solution_document(revision=revision, tlp=LABELS[feed])
    return _line(
        feed, seq, "delete", revision, {n: v for n, v in document.items() if n not in ("content", "same_as")}
    )


def _withdraw(feed: str, seq: int, revision: int) -> dict[str, str]:
    return _line(feed, seq, "withdraw", revision, None)


def _stored(feed: str, seq: int, revision: int, op: str = "upsert") -> list[dict[str, Any]]:
    """The one record that the reader has."""
    return [{"feed": feed, "type": "solution", "key": "glpi", "op": op, "revision": revision, "seq": seq}]


def _step(entry: dict[str, str], records: list[dict[str, Any]], reason: str | None = None) -> Step:
    verdict = {"verdict": "accepted"} if reason is None else {"verdict": "rejected", "reason": reason}
    return {**entry, **verdict, "records": records}


def sequences() -> Iterator[dict[str, Any]]:
    """Sequences of entries that begin at a reader without records."""
    for name, steps in (*_in_one_feed(), *_between_feeds(), *_contradictions()):
        yield {"name": name, "steps": steps}


def _in_one_feed() -> Iterator[tuple[str, list[Step]]]:
    first = _step(_upsert(PUBLIC, 1, 1), _stored(PUBLIC, 1, 1))
    yield (
        "a record is revised and retracted",
        [
            first,
            _step(_upsert(PUBLIC, 2, 2), _stored(PUBLIC, 2, 2)),
            _step(_delete(PUBLIC, 3, 3), _stored(PUBLIC, 3, 3, "delete")),
            _step(_upsert(PUBLIC, 4, 4), _stored(PUBLIC, 4, 4)),
        ],
    )
    yield (
        "revisions in between are not delivered",
        [first, _step(_upsert(PUBLIC, 9, 7), _stored(PUBLIC, 9, 7))],
    )
    yield "an entry is delivered twice", [first, first]
    yield "a record is given another number", [first, _step(_upsert(PUBLIC, 5, 1), _stored(PUBLIC, 5, 1))]
    yield (
        "a content that is not understood takes the place of one that is, and is replaced",
        [
            first,
            _step(_upsert(PUBLIC, 2, 2, kind="later"), _stored(PUBLIC, 2, 2)),
            _step(_upsert(PUBLIC, 3, 3), _stored(PUBLIC, 3, 3)),
        ],
    )
    yield "a record is withdrawn", [first, _step(_withdraw(PUBLIC, 2, 2), [])]
    yield (
        "a reader that lost an audience is admitted again",
        [
            first,
            _step(_withdraw(PUBLIC, 2, 1), []),
            _step(_upsert(PUBLIC, 3, 1), _stored(PUBLIC, 3, 1)),
        ],
    )


def _between_feeds() -> Iterator[tuple[str, list[Step]]]:
    first = _step(_upsert(PUBLIC, 1, 1), _stored(PUBLIC, 1, 1))
    moved = _stored(FEDERATION, 1, 2)
    yield (
        "a record moves; its withdrawal is read first",
        [
            first,
            _step(_withdraw(PUBLIC, 2, 2), []),
            _step(_upsert(FEDERATION, 1, 2), moved),
        ],
    )
    yield (
        "a record moves; its new revision is read first",
        [
            first,
            _step(_upsert(FEDERATION, 1, 2), moved),
            _step(_withdraw(PUBLIC, 2, 2), moved),
        ],
    )
    yield (
        "a record moves and comes back",
        [
            first,
            _step(_upsert(FEDERATION, 1, 2), moved),
            _step(_withdraw(PUBLIC, 2, 2), moved),
            _step(_upsert(PUBLIC, 3, 3), _stored(PUBLIC, 3, 3)),
            _step(_withdraw(FEDERATION, 2, 3), _stored(PUBLIC, 3, 3)),
        ],
    )
    yield (
        "a record comes back; the withdrawal is read first",
        [
            _step(_upsert(FEDERATION, 1, 2), moved),
            _step(_withdraw(FEDERATION, 2, 3), []),
            _step(_upsert(PUBLIC, 3, 3), _stored(PUBLIC, 3, 3)),
        ],
    )
    yield (
        "an entry that was overtaken by the move is skipped",
        [
            _step(_upsert(FEDERATION, 1, 2), moved),
            _step(_upsert(PUBLIC, 1, 1), moved),
        ],
    )
    yield (
        "a retracted record that has moved before",
        [
            first,
            _step(_upsert(FEDERATION, 1, 2), moved),
            _step(_delete(FEDERATION, 2, 3), _stored(FEDERATION, 2, 3, "delete")),
            _step(_withdraw(PUBLIC, 2, 2), _stored(FEDERATION, 2, 3, "delete")),
        ],
    )


def _contradictions() -> Iterator[tuple[str, list[Step]]]:
    third = _step(_upsert(PUBLIC, 1, 3), _stored(PUBLIC, 1, 3))
    yield (
        "a lower revision in the same feed",
        [
            third,
            _step(_upsert(PUBLIC, 2, 2), _stored(PUBLIC, 1, 3), REGRESSING),
        ],
    )
    yield (
        "the same revision with another content, and a later one that is right",
        [
            third,
            _step(_upsert(PUBLIC, 2, 3, later=1), _stored(PUBLIC, 1, 3), CHANGED),
            _step(_upsert(PUBLIC, 4, 4, later=1), _stored(PUBLIC, 4, 4)),
        ],
    )
    yield (
        "a lower revision is withdrawn",
        [
            third,
            _step(_withdraw(PUBLIC, 2, 2), _stored(PUBLIC, 1, 3), REGRESSING),
        ],
    )
    yield (
        "a revision lower than the one with which it was withdrawn",
        [
            third,
            _step(_withdraw(PUBLIC, 2, 4), []),
            _step(_upsert(PUBLIC, 3, 3), [], REGRESSING),
        ],
    )
    yield (
        "the same revision with another content in another feed",
        [
            third,
            _step(_upsert(FEDERATION, 1, 3), _stored(PUBLIC, 1, 3), CHANGED),
        ],
    )
