"""What a peer sends and cannot be taken is set aside with its reason, and stops nothing."""

from __future__ import annotations

import itertools
import json
import string
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from federation.domain import projection
from federation.domain.content.solution import Solution
from federation.domain.draft import Draft, check_draft
from federation.domain.entry import FeedEntry, RejectedEntry
from federation.domain.errors import Invalid
from federation.domain.visibility import itself
from federation.node import feeds, records
from federation.node.node import Node
from federation.server import maintenance
from federation.store import rejected as store_rejected
from federation.sync.pull import pull
from tests.domain.builders import a_document, a_solution, without
from tests.nodes import publish
from tests.store.stepwise_transactions import counts_are_true
from tests.sync.peers import Told, a_head, an_entry, held, reasons, take


def bad(seq: int, **members: Any) -> dict[str, Any]:
    return a_document(key=f"k{seq}", **members)


def spaced(seq: int) -> bytes:
    return json.dumps(bad(seq), ensure_ascii=False).encode()


BAD: dict[str, tuple[FeedEntry, str]] = {
    "a hash of something else": (an_entry(2, hash="0" * 64), "bad-hash"),
    "no hash": (an_entry(2, hash=None), "bad-hash"),
    "another record's document": (an_entry(2, a_document(key="other"), key="k2"), "bad-document"),
    "another revision's document": (an_entry(2, bad(2, revision=3), revision=2), "bad-document"),
    "another type's document": (an_entry(2, bad(2), type="weather"), "bad-document"),
    "a forged origin": (an_entry(2, bad(2, origin="recia")), "bad-document"),
    "our own origin": (an_entry(2, bad(2, origin="arnia")), "bad-document"),
    "a document for others": (an_entry(2, bad(2, tlp="GREEN")), "wrong-audience"),
    "a document for a group": (an_entry(2, bad(2, tlp="AMBER", audience="rssi")), "wrong-audience"),
    "a document for nobody": (an_entry(2, bad(2, tlp="RED")), "wrong-audience"),
    "not canonical": (an_entry(2, spaced(2)), "bad-document"),
    "not JSON": (an_entry(2, b"{"), "bad-document"),
    "not an object": (an_entry(2, b"[]"), "bad-document"),
    "no UTF-8": (an_entry(2, b'{"a":"\xff"}'), "bad-document"),
    "an upsert without content": (an_entry(2, bad(2, content=None), op="upsert"), "bad-document"),
    "a delete with content": (an_entry(2, bad(2), op="delete"), "bad-document"),
    "a NUL in a label": (an_entry(2, bad(2, tlp="\x00")), "bad-document"),
    "a number that is no integer": (an_entry(2, bad(2, later=1.5)), "bad-document"),
    "a name that is not ASCII": (an_entry(2, bad(2, **{"été": 1})), "bad-document"),
    "too deep": (an_entry(2, b"[" * 60 + b"]" * 60), "bad-document"),
    "a year nobody knows": (an_entry(2, bad(2, updated_at="9999-12-31T23:59:59Z")), "bad-document"),
}


def _pairs(size: int) -> Iterator[str]:
    letters = map("".join, itertools.product(string.ascii_lowercase, repeat=size))
    return (f"{a}-{b}" for a, b in itertools.pairwise(letters))


WORDY: dict[str, Callable[[], Iterator[str]]] = {
    "unique words": lambda: (f"w{n}" for n in itertools.count(10**7)),
    "compounds of letters of four bytes": lambda: (
        f"{chr(n)}{chr(n + 1)}-{chr(n + 2)}{chr(n + 3)}" for n in itertools.cycle(range(0x20000, 0x2A6D0, 4))
    ),
    "short compounds": lambda: itertools.cycle(_pairs(3)),
    "addresses": lambda: (f"{a}.fr/{b}" for a, b in (pair.split("-") for pair in itertools.cycle(_pairs(3)))),
}
"""Words of which PostgreSQL makes more than they are."""


def too_wordy(words: Iterator[str] | None = None) -> dict[str, Any]:
    """A solution of nearly a megabyte of words, half of them French."""
    words = WORDY["unique words"]() if words is None else words

    def much() -> str:
        text, size = [], 0
        while size < 16_000:
            text.append(next(words))
            size += len(text[-1].encode()) + 1
        return " ".join(text)

    return a_solution(
        summary={f"{language}-{a}{b}": much() for language in ("fr", "en") for a in "abc" for b in "abcde"},
        description={
            f"{language}-{a}{b}": much() for language in ("fr", "en") for a in "abc" for b in "abcde"
        },
    )


@pytest.mark.parametrize(("entry", "reason"), BAD.values(), ids=BAD)
async def test_a_bad_entry_is_rejected_and_stops_nothing(
    arnia: Node, look: Any, entry: FeedEntry, reason: str
) -> None:
    taken = await take(arnia, an_entry(1), entry, an_entry(3))
    assert await held(arnia) == {"k1": 1, "k3": 1}
    assert await reasons(arnia) == {"k2": reason}
    assert taken.rejected == {reason: 1}
    assert taken.entries == 3
    assert await look.fetchval("SELECT head FROM feeds WHERE origin = 'megalis'") == 3
    assert not await held(arnia, "recia")
    await counts_are_true(look)


@pytest.mark.parametrize(("entry", "reason"), BAD.values(), ids=BAD)
async def test_a_later_good_revision_clears_it(arnia: Node, entry: FeedEntry, reason: str) -> None:
    await take(arnia, an_entry(1), entry)
    assert await reasons(arnia) == {"k2": reason}
    await take(arnia, an_entry(5, a_document(key="k2", revision=4, type=entry.type)))
    assert await reasons(arnia) == {}
    assert await held(arnia) == {"k1": 1, "k2": 4}


async def test_a_later_good_revision_in_the_same_slice_clears_it(arnia: Node) -> None:
    await take(arnia, an_entry(2, hash="0" * 64), an_entry(3, a_document(key="k2", revision=2)))
    assert await held(arnia) == {"k2": 2}
    assert await reasons(arnia) == {}


async def test_a_later_bad_revision_in_the_same_slice_is_set_aside(arnia: Node) -> None:
    worse = an_entry(3, a_document(key="k2", revision=2), hash="0" * 64)
    await take(arnia, an_entry(2), worse)
    assert await held(arnia) == {"k2": 1}
    assert await reasons(arnia) == {"k2": "bad-hash"}


async def test_a_withdrawal_clears_it(arnia: Node) -> None:
    await take(arnia, an_entry(2, hash="0" * 64))
    await take(arnia, an_entry(3, op="withdraw", key="k2", revision=2))
    assert await reasons(arnia) == {}


async def test_a_revision_that_goes_back_is_set_aside_and_what_is_held_stays(arnia: Node, look: Any) -> None:
    new = a_document(key="k", revision=3, content=a_solution(name="new"))
    old = a_document(key="k", revision=2, content=a_solution(name="old"))
    await take(arnia, an_entry(1, new))
    await take(arnia, an_entry(2, old), an_entry(3))
    assert await held(arnia) == {"k": 3, "k3": 1}
    assert await reasons(arnia) == {"k": "regressing-revision"}
    await take(arnia, an_entry(4, {**new, "revision": 4}))
    assert await reasons(arnia) == {}
    await counts_are_true(look)


@pytest.mark.parametrize("together", [True, False])
async def test_another_content_at_the_same_revision_is_set_aside(
    arnia: Node, look: Any, together: bool
) -> None:
    was = an_entry(1, a_document(key="k"))
    changed = an_entry(2, a_document(key="k", content=a_solution(name="changed")))
    if together:
        await take(arnia, was, changed, an_entry(3))
    else:
        await take(arnia, was)
        await take(arnia, changed, an_entry(3))
    found = await records.find(arnia, Solution, "megalis", "k", by=itself("arnia"))
    assert b"changed" not in found.document
    assert found.hash.hex() == was.hash
    assert await reasons(arnia) == {"k": "changed-at-same-revision"}
    assert await held(arnia) == {"k": 1, "k3": 1}
    await counts_are_true(look)


async def test_a_withdrawal_that_goes_back_is_set_aside(arnia: Node) -> None:
    await take(arnia, an_entry(1, a_document(key="k", revision=5)))
    await take(arnia, an_entry(2, op="withdraw", key="k", revision=4))
    assert await held(arnia) == {"k": 5}
    assert await reasons(arnia) == {"k": "regressing-revision"}
    await take(arnia, an_entry(3, op="withdraw", key="k", revision=6))
    assert await held(arnia) == {}


async def test_the_same_entry_again_changes_nothing(arnia: Node, look: Any) -> None:
    await take(arnia, an_entry(1), an_entry(2, op="withdraw", key="gone"))
    before = await look.fetch("SELECT r::text FROM records r ORDER BY 1")
    await look.execute("UPDATE feeds SET head = 0 WHERE origin = 'megalis'")
    await take(arnia, an_entry(1), an_entry(2, op="withdraw", key="gone"))
    assert await look.fetch("SELECT r::text FROM records r ORDER BY 1") == before
    await counts_are_true(look)


async def test_a_peer_cannot_touch_the_records_of_another(arnia: Node) -> None:
    """The origin of an entry is that of its feed; the same key of another origin is another record."""
    own = await publish(arnia, "solution", "glpi", a_solution())
    await take(
        arnia,
        an_entry(1, a_document(key="glpi", revision=9)),
        an_entry(2, op="withdraw", key="glpi", revision=10),
    )
    found = await records.find(arnia, Solution, "arnia", "glpi", by=itself("arnia"))
    assert (found.hash, found.retracted) == (own.hash, False)
    assert await held(arnia) == {}


@pytest.mark.parametrize("words", WORDY.values(), ids=WORDY)
async def test_a_document_too_wordy_to_be_indexed_is_held_like_any(
    arnia: Node, look: Any, words: Any
) -> None:
    """PostgreSQL indexes at most 1 MiB of words of a text; a document may have as much."""
    content = too_wordy(words())
    await take(arnia, an_entry(1), an_entry(2, a_document(key="k2", content=content)), an_entry(3))
    assert await held(arnia) == {"k1": 1, "k2": 1, "k3": 1}
    own = await publish(arnia, "solution", "wordy", content)
    assert own.revision == 1
    # (With the places of the words, which the limit does not count.)
    assert await look.fetchval("SELECT max(pg_column_size(search::text::tsvector)) FROM records") < 900_000


async def test_own_records_that_the_database_does_not_take_are_refused_in_a_sentence(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "MAX_SEARCHED_BYTES", 10**9)
    with pytest.raises(Invalid, match="the record cannot be stored: SQLSTATE 54000"):
        await publish(arnia, "solution", "wordy", too_wordy())
    shape: Any = Draft
    drafts = {
        key: check_draft({"content": content}, shape[Solution])
        for key, content in (("a", a_solution()), ("b", too_wordy()))
    }
    with pytest.raises(Invalid, match="one of these 2 records cannot be stored"):
        await records.upload(arnia, Solution, drafts, by=itself("arnia"))


async def test_what_was_set_aside_says_why_and_never_shows_the_content(arnia: Node, look: Any) -> None:
    secret = "canaryofthecontent"
    await take(
        arnia,
        an_entry(1, a_document(key="k1", content=a_solution(name=secret, kind=secret))),
        an_entry(2, a_document(key="k2", tlp=secret)),
        an_entry(3, a_document(key="k3", content=a_solution(name=secret)), hash="0" * 64),
        an_entry(4, a_document(key="k4", created_at="2026-02-30T00:00:00Z", same_as=[f"urn:{secret}"])),
        an_entry(5, a_document(key="k5", content=a_solution(name=f"{secret}\u202e"))),
    )
    asides = await look.fetch("SELECT s::text FROM rejected_entries s")
    assert len(asides) == 3
    assert not [row[0] for row in asides if secret in row[0]]
    marks = await look.fetch("SELECT not_understood FROM records WHERE not_understood IS NOT NULL")
    assert len(marks) == 2
    assert not [row[0] for row in marks if secret in row[0]]


async def test_unknown_types_and_unknown_members_are_kept_byte_for_byte(arnia: Node, look: Any) -> None:
    unknown = a_document(key="u", type="weather", content={"rain": [1, {"b": None}], "z": "ü"})
    grown = a_document(key="g", content={**a_solution(), "new_member": {"deep": [True]}}, new_top=1)
    gone = without(a_document(key="d", type="weather", revision=2), "content")
    entries = [an_entry(1, unknown), an_entry(2, grown), an_entry(3, gone)]
    taken = await take(arnia, *entries)
    assert taken.rejected == {}
    for entry in entries:
        row = await look.fetchrow("SELECT document, hash, retracted FROM records WHERE key = $1", entry.key)
        assert row["document"] == bytes(entry.document)
        assert row["hash"].hex() == entry.hash
        assert row["retracted"] == (entry.op == "delete")
    rows, _, _ = await feeds.change_log(arnia, None, by=itself("arnia"))
    assert [row[7] for row in rows] == [bytes(entry.document) for entry in entries]
    await counts_are_true(look)


# What cannot be read, and what cannot be stored


class AsRead(Told):
    """A feed whose entries are as the client has read them: some are set aside already."""

    def __init__(self, *entries: FeedEntry | RejectedEntry) -> None:
        super().__init__()
        self.entries = entries  # type: ignore[assignment]


def unread(seq: int, type: str = "?", key: str | None = None) -> RejectedEntry:
    name = f"?{seq}" if key is None else key
    return RejectedEntry(seq=seq, type=type, key=name, revision=0, reason="unreadable", detail="why")


async def test_what_cannot_be_read_stops_nothing_and_none_hides_another(arnia: Node, look: Any) -> None:
    source = AsRead(an_entry(1), unread(2), unread(3), unread(4, "solution", "k1"), an_entry(5))
    taken = await pull(arnia, source.head, source)
    assert taken.rejected == {"unreadable": 3}
    assert await reasons(arnia) == dict.fromkeys(("?2", "?3", "k1"), "unreadable")
    assert await held(arnia) == {"k1": 1, "k5": 1}
    assert await look.fetchval("SELECT head FROM feeds WHERE origin = 'megalis'") == 5
    await counts_are_true(look)


async def test_what_one_feed_can_have_set_aside_has_a_limit(
    arnia: Node, look: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store_rejected, "MAX_REJECTED", 10)
    bad = [an_entry(n, hash="0" * 64) for n in range(1, 9)]
    await take(arnia, *bad)
    assert [record.message for record in caplog.records].count("entry rejected") == 1
    more = [an_entry(n, a_document(key=f"k{n - 6}"), hash="0" * 64) for n in range(9, 30)]
    caplog.clear()
    taken = await take(arnia, *bad, *more)
    assert taken.rejected == {"bad-hash": 21}
    rows = await look.fetch("SELECT key, seq FROM rejected_entries ORDER BY seq")
    assert [(row["key"], row["seq"]) for row in rows] == [
        ("k1", 1), ("k2", 2), ("k3", 9), ("k4", 10), ("k5", 11), ("k6", 12), ("k7", 13), ("k8", 14),
        ("k9", 15), ("k10", 16),
    ], "those that are there are renewed, and there is room for two more"  # fmt: skip
    said = [record.message for record in caplog.records if record.name == "federation.sync"]
    assert said.count("entry rejected") == 0, "once within an hour for each reason; then their number"
    assert said.count("entries rejected that are not listed one by one") == 1
    arnia.clock = lambda: datetime.now(UTC) + timedelta(hours=1, seconds=1)
    caplog.clear()
    await maintenance.log_rejection_counts(arnia)
    assert [(line.message, line.peer, line.reason, line.entries) for line in caplog.records] == [  # type: ignore[attr-defined]
        ("more entries rejected", "megalis", "bad-hash", 15)
    ]
    await take(arnia, *bad, *more, an_entry(30, a_document(key="k1", revision=2)))
    assert "k1" not in await reasons(arnia)
    await take(arnia, *bad, *more, an_entry(30), an_entry(31, hash="0" * 64))
    assert "k31" in await reasons(arnia), "there is room again"


@pytest.mark.parametrize("size", [1, 3, 500])
@pytest.mark.parametrize("at_fault", [{2}, {1, 2, 7}, set(range(1, 10))], ids=str)
async def test_a_record_that_the_database_does_not_take_is_set_aside_alone(
    arnia: Node, look: Any, monkeypatch: pytest.MonkeyPatch, size: int, at_fault: set[int]
) -> None:
    """Nothing is known that PostgreSQL refuses. Were there something, it must not stop the feed."""
    monkeypatch.setattr(projection, "MAX_SEARCHED_BYTES", 10**9)
    entries = [
        an_entry(n, a_document(key=f"k{n}", content=too_wordy() if n in at_fault else a_solution()))
        for n in range(1, 10)
    ]
    source = Told(*entries, slices=size)
    taken = await pull(arnia, source.head, source)
    assert (taken.entries, taken.rejected) == (9, {"not-storable": len(at_fault)})
    assert await reasons(arnia) == {f"k{n}": "not-storable" for n in at_fault}
    assert await held(arnia) == {f"k{n}": 1 for n in range(1, 10) if n not in at_fault}
    assert await look.fetchval("SELECT head FROM feeds WHERE origin = 'megalis'") == 9
    detail = await look.fetchval("SELECT detail FROM rejected_entries LIMIT 1")
    assert detail == "the record cannot be stored: SQLSTATE 54000"
    await counts_are_true(look)
    monkeypatch.undo()
    again = [an_entry(n + 9, a_document(key=f"k{n}", revision=2, content=too_wordy())) for n in at_fault]
    await take(arnia, *entries, *again)
    assert await reasons(arnia) == {}
    assert len(await held(arnia)) == 9


# Withdrawals


async def test_a_withdrawal_of_what_was_never_held_leaves_nothing(arnia: Node, look: Any) -> None:
    """A peer could name records without end, and there is nobody here to tell."""
    await take(arnia, an_entry(1), *(an_entry(n, op="withdraw", key=f"w{n}") for n in range(2, 9)))
    assert await look.fetchval("SELECT count(*) FROM withdrawals") == 0
    assert await look.fetchval("SELECT arrival FROM node") == 1
    assert await look.fetchval("SELECT head FROM feeds WHERE origin = 'megalis'") == 8
    await take(arnia, *(an_entry(n) for n in range(1, 9)), an_entry(9, a_document(key="w2")))
    assert await held(arnia) == {"k1": 1, "w2": 1}
    await counts_are_true(look)


async def test_a_withdrawal_of_what_was_held_is_told_once_and_again_when_it_is_withdrawn_anew(
    arnia: Node, look: Any
) -> None:
    entries = [an_entry(1, a_document(key="k")), an_entry(2, op="withdraw", key="k", revision=2)]
    await take(arnia, entries[0])
    await take(arnia, *entries)
    await take(arnia, *entries, an_entry(3, op="withdraw", key="k", revision=4))
    assert await look.fetchrow("SELECT key, seq, revision, arrived FROM withdrawals") == ("k", 3, 4, 3)
    rows, _, _ = await feeds.change_log(arnia, None, by=itself("arnia"))
    assert [(row[4], row[1]) for row in rows] == [("k", None)]
    await take(arnia, *entries, an_entry(3), an_entry(4, a_document(key="k", revision=3)))
    assert await reasons(arnia) == {"k": "regressing-revision"}


async def test_a_head_that_tells_nothing_new_asks_for_nothing(arnia: Node) -> None:
    source = Told(an_entry(1))
    await pull(arnia, source.head, source)
    await pull(arnia, source.head, source)
    assert len(source.asked) == 1
    assert source.asked == [None]
    assert a_head(1) == source.head
