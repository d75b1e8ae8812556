"""What a peer sends and cannot be taken is set aside with its reason, and stops nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from federation.domain.feed import Entry
from federation.domain.solution import Solution
from federation.domain.visibility import itself
from federation.node import Node
from tests.domain.builders import a_document, a_solution, without
from tests.store.steps import counts_are_true
from tests.sync.peers import a_head, an_entry, held, reasons, take


def bad(seq: int, **members: Any) -> dict[str, Any]:
    return a_document(key=f"k{seq}", **members)


def spaced(seq: int) -> bytes:
    return json.dumps(bad(seq), ensure_ascii=False).encode()


BAD: dict[str, tuple[Entry, str]] = {
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
    "against the schema": (an_entry(2, bad(2, content=without(a_solution(), "licence"))), "bad-document"),
    "an upsert without content": (an_entry(2, bad(2, content=None), op="upsert"), "bad-document"),
    "a delete with content": (an_entry(2, bad(2), op="delete"), "bad-document"),
    "a NUL in a text": (an_entry(2, bad(2, content=a_solution(name="a\x00b"))), "bad-document"),
    "a NUL in an unknown member's name": (an_entry(2, bad(2, **{"a\x00b": "c"})), "bad-document"),
    "a NUL in a label": (an_entry(2, bad(2, tlp="\x00")), "bad-document"),
    "a hidden text": (an_entry(2, bad(2, content=a_solution(name="a\u202eb"))), "bad-document"),
    "too deep": (an_entry(2, b"[" * 60 + b"]" * 60), "bad-document"),
    "a year nobody knows": (an_entry(2, bad(2, updated_at="9999-12-31T23:59:59Z")), "bad-document"),
}


@pytest.mark.parametrize(("entry", "reason"), BAD.values(), ids=BAD)
async def test_a_bad_entry_is_set_aside_and_stops_nothing(
    arnia: Node, look: Any, entry: Entry, reason: str
) -> None:
    taken = await take(arnia, an_entry(1), entry, an_entry(3))
    assert await held(arnia) == {"k1": 1, "k3": 1}
    assert await reasons(arnia) == {"k2": reason}
    assert taken.set_aside == {reason: 1}
    assert taken.entries == 3
    assert await look.fetchval("SELECT head FROM feeds WHERE origin = 'megalis'") == 3
    assert not await held(arnia, "recia")
    await counts_are_true(look)


@pytest.mark.parametrize(("entry", "reason"), BAD.values(), ids=BAD)
async def test_a_later_good_revision_clears_it(arnia: Node, entry: Entry, reason: str) -> None:
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
    found = await arnia.find(Solution, "megalis", "k", by=itself("arnia"))
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
    from tests.nodes import publish

    own = await publish(arnia, "solution", "glpi", a_solution())
    await take(
        arnia,
        an_entry(1, a_document(key="glpi", revision=9)),
        an_entry(2, op="withdraw", key="glpi", revision=10),
    )
    found = await arnia.find(Solution, "arnia", "glpi", by=itself("arnia"))
    assert (found.hash, found.retracted) == (own.hash, False)
    assert await held(arnia) == {}


async def test_a_document_too_wordy_to_be_indexed_stops_nothing(arnia: Node) -> None:
    """PostgreSQL indexes at most 1 MiB of words of a text; a document may have as much."""
    words = iter(range(10**7, 10**8))

    def much() -> str:
        return " ".join(f"w{next(words)}" for _ in range(1_800))

    summary = {f"fr-{a}{b}": much() for a in "abcde" for b in "abcdef"}
    description = {f"fr-{a}{b}": much() for a in "abcde" for b in "abcdef"}
    wordy = a_document(key="k2", content=a_solution(summary=summary, description=description))
    while len(json.dumps(wordy)) > 1_040_000:
        description.popitem()
    await take(arnia, an_entry(1), an_entry(2, wordy), an_entry(3))
    assert {"k1", "k3"} <= (await held(arnia)).keys()


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
    asides = await look.fetch("SELECT s::text FROM set_aside s")
    assert len(asides) == 5
    assert not [row[0] for row in asides if secret in row[0]]


async def test_unknown_types_and_unknown_members_are_kept_byte_for_byte(arnia: Node, look: Any) -> None:
    unknown = a_document(key="u", type="weather", content={"rain": [1, {"b": None}], "z": "ü"})
    grown = a_document(key="g", content={**a_solution(), "new_member": {"deep": [True]}}, new_top=1)
    gone = without(a_document(key="d", type="weather", revision=2), "content")
    entries = [an_entry(1, unknown), an_entry(2, grown), an_entry(3, gone)]
    taken = await take(arnia, *entries)
    assert taken.set_aside == {}
    for entry in entries:
        row = await look.fetchrow("SELECT document, hash, retracted FROM records WHERE key = $1", entry.key)
        assert row["document"] == bytes(entry.document)
        assert row["hash"].hex() == entry.hash
        assert row["retracted"] == (entry.op == "delete")
    rows, _, _ = await arnia.arrivals(None, by=itself("arnia"))
    assert [row[7] for row in rows] == [bytes(entry.document) for entry in entries]
    await counts_are_true(look)


async def test_a_head_that_tells_nothing_new_asks_for_nothing(arnia: Node) -> None:
    from federation.sync.pull import pull
    from tests.sync.peers import Told

    source = Told(an_entry(1))
    await pull(arnia, source.head, source)
    await pull(arnia, source.head, source)
    assert len(source.asked) == 1
    assert source.asked == [None]
    assert a_head(1) == source.head
