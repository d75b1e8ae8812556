"""Lines of a feed, and the verdict of a reader that stores nothing yet.

Verdicts: ``understood``, ``not-understood`` with a reason (``type``, ``schema``, ``text``), ``rejected`` with
a reason of the protocol, ``ends-the-stream`` for a line without a readable number.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from federation.api.entries import entry_line
from federation.domain.canonical import MAX_DEPTH, canonical
from federation.domain.document import MAX_DOCUMENT
from federation.spec.vectors.samples import (
    FEED,
    retracted_record,
    solution_document,
    solution_record,
    with_content,
)

UNDERSTOOD = "understood"
TYPE, SCHEMA, TEXT = ("not-understood type", "not-understood schema", "not-understood text")
BAD_HASH, BAD_DOCUMENT, WRONG_AUDIENCE, UNREADABLE = (
    f"rejected {reason}" for reason in ("bad-hash", "bad-document", "wrong-audience", "unreadable")
)
ENDS = "ends-the-stream"

REST = b',"op":"upsert","type":"solution","key":"glpi","revision":1'
"""The members of an entry between its number and its hash."""


def entry_case(
    name: str,
    document: dict[str, Any] | bytes,
    verdict: str,
    *,
    feed: str = str(FEED),
    op: str = "upsert",
    revision: int = 1,
    hash_: bytes | None = None,
) -> dict[str, Any]:
    """The line of a document, and its verdict."""
    raw = document if isinstance(document, bytes) else canonical(document)
    type_name = "solution" if isinstance(document, bytes) else document["type"]
    digest = hash_ or hashlib.sha256(raw).digest()
    row = (7, op == "delete", type_name, "glpi", revision, digest, raw)
    return line_case(name, entry_line(row), verdict, feed=feed)


def line_case(name: str, line: bytes, verdict: str, *, feed: str = str(FEED)) -> dict[str, Any]:
    """A line, and its verdict with its reason."""
    kind, _, reason = verdict.partition(" ")
    return {"name": name, "feed": feed, "line": line.decode(), "verdict": kind} | (
        {"reason": reason} if reason else {}
    )


def entry_cases() -> Iterator[dict[str, Any]]:
    """Lines of feeds of ``arnia``, one for each rule."""
    yield from _contents()
    yield from _envelopes()
    yield from _forms()
    yield from _operations()
    yield from _lines()


def _contents() -> Iterator[dict[str, Any]]:
    later = solution_document(type="later-type", content={"anything": [1, "two", None]})
    yield entry_case("a record", solution_document(), UNDERSTOOD)
    yield entry_case("a type that the reader does not know", later, TYPE)
    yield entry_case("a content of such a type that is no object", {**later, "content": 1}, TYPE)
    yield entry_case("a member that the reader does not know", with_content(later=True), UNDERSTOOD)
    yield entry_case(
        "an enumeration with a value that the reader does not know", with_content(kind="later"), SCHEMA
    )
    yield entry_case("a content that does not keep the schema of its type", with_content(kind=1), SCHEMA)
    nameless = solution_document()
    del nameless["content"]["name"]
    yield entry_case("a content without a member that its type needs", nameless, SCHEMA)
    yield entry_case("a content of a known type that is no object", solution_document(content=[]), SCHEMA)


def _envelopes() -> Iterator[dict[str, Any]]:
    yield entry_case(
        "a member of the envelope that the reader does not know", solution_document(later=1), UNDERSTOOD
    )
    group = solution_document(tlp="AMBER", audience="rssi")
    yield entry_case("a record for a group, in its feed", group, UNDERSTOOD, feed="arnia/rssi")
    yield entry_case("a record for a group, in another feed", group, WRONG_AUDIENCE)
    yield entry_case("a label of another feed", solution_document(tlp="GREEN"), WRONG_AUDIENCE)
    yield entry_case("a label that is in no feed", solution_document(tlp="RED"), WRONG_AUDIENCE)
    yield entry_case(
        "a record of the type group",
        solution_document(type="group", content={"name": "x", "members": ["recia"]}),
        WRONG_AUDIENCE,
    )
    yield entry_case("a document of another origin", solution_document(origin="megalis"), BAD_DOCUMENT)
    yield entry_case("a document of another key", solution_document(key="other"), BAD_DOCUMENT)
    yield entry_case("a document of another revision", solution_document(revision=2), BAD_DOCUMENT)
    yield entry_case("a label that there is not", solution_document(tlp="BLUE"), BAD_DOCUMENT)
    yield entry_case(
        "a label with an audience that it does not have", solution_document(audience="rssi"), BAD_DOCUMENT
    )
    yield entry_case("a label for a group without its name", solution_document(tlp="AMBER"), BAD_DOCUMENT)
    yield entry_case(
        "a group that is called as an audience",
        solution_document(tlp="AMBER", audience="public"),
        BAD_DOCUMENT,
    )
    yield entry_case(
        "a time that is none", solution_document(updated_at="2026-02-30T08:30:00Z"), BAD_DOCUMENT
    )
    for time, verdict in (
        ("2026-01-15T08:30:00.123456Z", UNDERSTOOD),
        ("2026-01-15T09:30:00+01:00", SCHEMA),
        ("2026-01-15T08:30:00.123456789Z", SCHEMA),
        ("2026-01-15T09:30:00+0100", BAD_DOCUMENT),
        ("2026-01-15T08:30:00", BAD_DOCUMENT),
        ("2026-01-15", BAD_DOCUMENT),
        ("1969-12-31T23:59:59Z", BAD_DOCUMENT),
        ("2201-01-01T00:00:00Z", BAD_DOCUMENT),
    ):
        yield entry_case(f"the time {time}", solution_document(updated_at=time, created_at=time), verdict)
    yield entry_case("a revision that is a text", solution_document(revision="1"), BAD_DOCUMENT)
    labelless = solution_document()
    del labelless["tlp"]
    yield entry_case("a document without a label", labelless, BAD_DOCUMENT)


def _forms() -> Iterator[dict[str, Any]]:
    raw = solution_record().document
    indented = json.dumps(solution_document(), ensure_ascii=False, sort_keys=True, indent=1).encode()
    yield entry_case("a document with white space", indented.replace(b"\n", b""), BAD_DOCUMENT)
    yield entry_case(
        "members in another order", raw.replace(b'{"content":', b'{"x":1,"content":', 1), BAD_DOCUMENT
    )
    twice = canonical(with_content(later=1)).replace(b'"later":1', b'"later":1,"later":1', 1)
    yield entry_case("a member that is there twice", twice, BAD_DOCUMENT)
    for number in ("-0", "1.0", "1.5", "1e3", "1E3", "1e0", "9007199254740992", "-9007199254740992"):
        odd = canonical(with_content(later=1)).replace(b'"later":1', b'"later":%s' % number.encode(), 1)
        yield entry_case(f"the number {number}", odd, BAD_DOCUMENT)
    for integer in (0, 9_007_199_254_740_991, -9_007_199_254_740_991):
        yield entry_case(f"the number {integer}", with_content(later=integer), UNDERSTOOD)
    for escaped in ("\\/", "\\u00e9", "\\u000a", "\\u001F", "\\u0022"):
        odd = canonical(with_content(later="x")).replace(
            b'"later":"x"', b'"later":"%s"' % escaped.encode(), 1
        )
        yield entry_case(f"the escape {escaped}", odd, BAD_DOCUMENT)
    half = canonical(with_content(later="x")).replace(b'"later":"x"', b'"later":"\\ud800"', 1)
    yield entry_case("the half of a surrogate pair, which is no JSON", half, ENDS)
    yield entry_case("a name of a member beyond ASCII", with_content(**{"é": 1}), BAD_DOCUMENT)
    yield entry_case("a content that is null", solution_document(content=None), BAD_DOCUMENT)
    yield entry_case("a document that is no object", b"[]", BAD_DOCUMENT)
    yield entry_case(
        "bytes that were altered", raw.replace(b"GLPI", b"GLPJ", 1), BAD_HASH, hash_=solution_record().hash
    )
    for depth, verdict in ((MAX_DEPTH, UNDERSTOOD), (MAX_DEPTH + 1, BAD_DOCUMENT)):
        nested: list[Any] = []
        for _ in range(depth - 3):  # the document, its content and this list
            nested = [nested]
        yield entry_case(
            f"{depth} objects and arrays inside one another", with_content(later=nested), verdict
        )


def _operations() -> Iterator[dict[str, Any]]:
    raw, removed = solution_record().document, retracted_record().document
    yield entry_case("a tombstone", removed, UNDERSTOOD, op="delete", revision=2)
    unknown = {**json.loads(removed), "type": "later-type"}
    yield entry_case(
        "a tombstone of a type that the reader does not know", unknown, UNDERSTOOD, op="delete", revision=2
    )
    yield entry_case("a tombstone that is said to be a record", removed, BAD_DOCUMENT, revision=2)
    yield entry_case("a record that is said to be a tombstone", raw, BAD_DOCUMENT, op="delete")
    withdrawal = entry_line((7, None, "solution", "glpi", 3, None, None))
    yield line_case("a withdrawal", withdrawal, UNDERSTOOD)
    ignored = withdrawal.replace(b"}", b',"hash":"%s","document":{}}' % (b"0" * 64), 1)
    yield line_case("a withdrawal with a hash and a document, which are ignored", ignored, UNDERSTOOD)


def _lines() -> Iterator[dict[str, Any]]:
    hash_ = solution_record().hash.hex().encode()
    document = solution_record().document
    whole = b'{"seq":7%s,"hash":"%s","document":%s}' % (REST, hash_, document)
    later = whole.replace(b'"hash"', b'"later":{"x":[1]},"hash"', 1)
    yield line_case("a member of the entry that the reader does not know", later, UNDERSTOOD)
    yield line_case("an entry without its hash", whole.replace(b'"hash":"%s",' % hash_, b"", 1), BAD_HASH)
    yield line_case("an entry without its document", whole[: whole.index(b',"document"')] + b"}", BAD_HASH)
    for name, before, after in (
        ("a revision in words", b'"revision":1', b'"revision":"one"'),
        ("a revision of 0", b'"revision":1', b'"revision":0'),
        ("an operation that there is not", b'"op":"upsert"', b'"op":"replace"'),
        ("a type that cannot be", b'"type":"solution"', b'"type":"Solution"'),
        ("a key that cannot be", b'"key":"glpi"', b'"key":"-"'),
        ("a hash in capital letters", hash_, hash_.upper()),
    ):
        yield line_case(name, whole.replace(before, after, 1), UNREADABLE)
    for name, number in (("in words", b'"7"'), ("0", b"0"), ("-7", b"-7"), ("7.5", b"7.5")):
        yield line_case(
            f"the number of an entry is {name}", whole.replace(b'"seq":7', b'"seq":' + number, 1), ENDS
        )
    yield line_case("an entry without a number", whole.replace(b'"seq":7,', b"", 1), ENDS)
    yield line_case("a line that is no JSON", whole[:-1], ENDS)
    yield line_case("a line that is no object", b"[7]", ENDS)


def size_cases() -> Iterator[dict[str, Any]]:
    """Documents just below, at and beyond the greatest length; their lines are described and not stored."""
    for length, verdict in (
        (MAX_DOCUMENT - 1, UNDERSTOOD),
        (MAX_DOCUMENT, UNDERSTOOD),
        (MAX_DOCUMENT + 1, BAD_DOCUMENT),
    ):
        times = length - len(canonical(with_content(later="")))
        case = entry_case(f"a document of {length} bytes", with_content(later="x" * times), verdict)
        before, _, after = case["line"].partition("x" * times)
        yield {**case, "line": [before, {"repeat": "x", "times": times}, after]}
