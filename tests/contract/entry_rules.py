"""The rules of entries and of moves, and of answers to a reader, written a second time (``rules.py``)."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from tests.contract.rules import OPERATOR, sha256, written

MAX_BYTES, MAX_DEPTH, MAX_NUMBER = 1_048_576, 32, 2**53 - 1
TYPE = re.compile(r"[a-z][a-z0-9-]{0,62}")
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")
GROUP = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
TIME = re.compile(
    r"[0-9]{4}-(0[1-9]|1[0-2])-([0-2][0-9]|3[01])T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
)
HASH = re.compile(r"[0-9a-f]{64}")
FORBIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
    r"\U000e0000-\U000e007f]"
)
AUDIENCES = {"CLEAR": "public", "GREEN": "federation", "RED": "private"}
BAD_DOCUMENT = ("rejected", "bad-document")


class Bad(Exception):
    """A document of the wrong form."""


def whole(parts: Any) -> Any:
    """A text or an array with its repetitions written out."""
    if isinstance(parts, str):
        return parts
    pieces = [part["repeat"] for part in parts if isinstance(part, dict) for _ in range(part.get("times", 0))]
    if pieces and not isinstance(parts[0], str):
        return pieces
    return "".join(part if isinstance(part, str) else part["repeat"] * part["times"] for part in parts)


def is_number(value: Any, least: int = 1) -> bool:
    return type(value) is int and least <= value <= MAX_NUMBER


def judge(line: str, feed: str, known_types: set[str]) -> tuple[str, str | None]:
    """Verdict and reason on the line of a feed, as far as it needs no schema of a type."""
    try:
        entry = json.loads(line)
        json.dumps(entry, ensure_ascii=False).encode()  # (halves of surrogate pairs are no text)
    except ValueError:
        return "ends-the-stream", None
    if not isinstance(entry, dict) or not is_number(entry.get("seq")):
        return "ends-the-stream", None
    if (
        entry.get("op") not in ("upsert", "delete", "withdraw")
        or not TYPE.fullmatch(str(entry.get("type")))
        or not KEY.fullmatch(str(entry.get("key")))
        or not is_number(entry.get("revision"))
        or not (entry.get("hash") is None or HASH.fullmatch(entry["hash"]))
    ):
        return "rejected", "unreadable"
    if entry["op"] == "withdraw":
        return "understood", None
    _, found, raw = line.partition('"document":')
    if not found or sha256(raw[:-1].encode()) != entry.get("hash"):
        return "rejected", "bad-hash"
    try:
        document = read_document(raw[:-1], entry, feed.partition("/")[0])
    except (Bad, ValueError):
        return BAD_DOCUMENT
    if document["type"] == "group" or audience(document) != feed.partition("/")[2]:
        return "rejected", "wrong-audience"
    if (entry["op"] == "upsert") != ("content" in document):
        return BAD_DOCUMENT
    if "content" not in document:
        return "understood", None
    if document["type"] not in known_types:
        return "not-understood", "type"
    return ("understood", None) if all(map(is_good_text, texts(document))) else ("not-understood", "text")


def read_document(raw: str, entry: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """A document of the right form. Raises Bad or ValueError."""
    if len(raw.encode()) > MAX_BYTES or depth(raw) > MAX_DEPTH:
        raise Bad("size")
    document = json.loads(raw)
    check_subset(document)
    if written(document).decode() != raw or not isinstance(document, dict):
        raise Bad("not canonical")
    names = {name: document.get(name) for name in ("type", "origin", "key", "revision")}
    if names != {"origin": origin, **{name: entry[name] for name in ("type", "key", "revision")}}:
        raise Bad("another record")
    if not is_number(document["revision"]) or not OPERATOR.fullmatch(origin):
        raise Bad("names")
    for name in ("created_at", "updated_at"):
        if not is_time(document.get(name)):
            raise Bad("times")
    if audience(document) is None or document.get("content", ...) is None:
        raise Bad("label")
    return document


def is_time(value: Any) -> bool:
    if not isinstance(value, str) or not TIME.fullmatch(value):
        return False
    year, month, day = (int(part) for part in value[:10].split("-"))
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    return 1970 <= year <= 2200 and 1 <= day <= days[month - 1]


def audience(document: Mapping[str, Any]) -> str | None:
    """The audience of a label; None where they do not go together."""
    label, group = document.get("tlp"), document.get("audience")
    if label in ("AMBER", "AMBER+STRICT"):
        named = isinstance(group, str) and GROUP.fullmatch(group) and group not in AUDIENCES.values()
        return group if named else None
    return AUDIENCES.get(str(label)) if group is None else None


def depth(raw: str) -> int:
    """Objects and arrays inside one another, without decoding them."""
    deepest = level = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', raw, re.DOTALL):
        level += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token.group(), 0)
        deepest = max(deepest, level)
    return deepest


def check_subset(value: Any) -> None:
    if isinstance(value, dict):
        if not all(name.isascii() for name in value):
            raise Bad("a name beyond ASCII")
        for inner in value.values():
            check_subset(inner)
    elif isinstance(value, list):
        for inner in value:
            check_subset(inner)
    elif isinstance(value, float) or (type(value) is int and abs(value) > MAX_NUMBER):
        raise Bad("a number")


def texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for name, inner in value.items() for text in (name, *texts(inner))]
    return [text for inner in value for text in texts(inner)] if isinstance(value, list) else []


def is_good_text(text: str) -> bool:
    return not (
        FORBIDDEN.search(text)
        or text.endswith("\n")
        or not unicodedata.is_normalized("NFC", text)
        or any(unicodedata.category(character) == "Cn" for character in text)
    )


class Copies:
    """Copies of the feeds of one origin: records, and the revisions with which they left a feed."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], dict[str, Any]] = {}
        self.left: dict[tuple[str, str, str], int] = {}

    def apply(self, feed: str, entry: Mapping[str, Any]) -> str | None:
        """Apply a valid entry; returns the reason where it is rejected."""
        name = entry["type"], entry["key"]
        stored, revision = self.records.get(name), entry["revision"]
        left = self.left.get((feed, *name), 0)
        here = stored is None or stored["feed"] == feed or stored["revision"] < left
        known = max(stored["revision"] if stored else 0, left)
        if entry["op"] == "withdraw":
            if here and known > revision:
                return "regressing-revision"
            self.left[feed, *name] = revision
            if stored and stored["feed"] == feed:
                del self.records[name]
            return None
        if stored and stored["revision"] == revision and stored["hash"] != entry["hash"]:
            return "changed-at-same-revision"
        if revision < known:
            return "regressing-revision" if here else None
        self.records[name] = {
            "feed": feed,
            **{n: entry[n] for n in ("type", "key", "op", "revision", "seq", "hash")},
        }
        return None


def reaction(exchange: Mapping[str, Any]) -> str:
    """The action of a reader after an answer."""
    status = exchange["answer"]["status"]
    try:
        problem = json.loads(exchange["answer"]["body"])
        code = problem.get("code") or re.split("[:/]", problem.get("type", ""))[-1]
    except ValueError:
        code = ""
    if status >= 500:
        return "wait-or-ask-relays"
    if exchange["from"] == "relay":
        return "nothing"
    if exchange["request"]["path"] == "/oauth2/token":
        return "wait"
    by_code = {
        (403, "audience-revoked"): "drop-the-feed",
        (409, "epoch-changed"): "compare-and-repair",
        (410, "cursor-expired"): "compare-and-repair",
        (400, "cursor-in-future"): "stop-with-an-alarm",
    }
    return by_code.get((status, code), "new-token" if status == 401 else "wait")
