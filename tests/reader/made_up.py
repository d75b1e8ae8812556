"""Documents made up by chance: from the published schemas, then damaged in one or more ways."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.reader.schema_values import SchemaValues
from tests.reader.strange_values import FRACTIONS, OFFSETS, STRANGE_TEXTS, STRANGE_VALUES, YEARS

ROOT = Path(__file__).parents[2]
MAX_DOCUMENT_BYTES = 1024 * 1024


def placed(value: Any, chance: random.Random, change: Callable[[Any], Any]) -> Any:
    """The value with one part of it, at some depth, changed."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        name = chance.choice(list(value))
        return {**value, name: placed(value[name], chance, change)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        n = chance.randrange(len(value))
        return [*value[:n], placed(value[n], chance, change), *value[n + 1 :]]
    return change(value)


def nested(depth: int, chance: random.Random) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value} if chance.random() < 0.5 else [value]
    return value


class Entries:
    """Lines of feeds, valid and damaged, by chance."""

    def __init__(self, seed: int, schemas: Path = ROOT / "schemas") -> None:
        self.chance = random.Random(seed)
        read = (json.loads(path.read_text()) for path in sorted(schemas.glob("*.schema.json")))
        self.types = {schema["$id"].rpartition(":")[2]: schema for schema in read}

    def document(self) -> dict[str, Any]:
        """A document that its schema takes, with the envelope of a feed that it may be in."""
        chance = self.chance
        name = chance.choice(list(self.types))
        made: dict[str, Any] = SchemaValues(self.types[name], chance).value(self.types[name])
        made |= {"type": name, "origin": "arnia", "key": chance.choice(("glpi", "A.b_c~d-e", "x" * 128))}
        made["tlp"] = chance.choice(("CLEAR", "CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"))
        made.pop("audience", None)
        if made["tlp"].startswith("AMBER"):
            made["audience"] = chance.choice(("security", "rssi", "x" * 63))
        if chance.random() < 0.1:
            made.pop("content", None)
        if chance.random() < 0.1:
            made["type"] = "later-type"
        return made

    def line(self) -> tuple[str, bytes]:
        """A feed, and a line of it."""
        chance = self.chance
        document: Any = self.document()
        feed = f"arnia/{self.audience(document)}"
        for _ in range(chance.choice((0, 0, 1, 1, 1, 2, 3))):
            document = self.damaged(document)
        raw = self.written(document)
        if chance.random() < 0.15:
            raw = self.rewritten(raw)
        entry = self.entry(document, raw)
        if chance.random() < 0.1:
            feed = chance.choice(("arnia/public", "arnia/federation", "arnia/security", "megalis/public"))
        return feed, self.joined(entry, raw)

    @staticmethod
    def audience(document: dict[str, Any]) -> str:
        return document.get("audience") or {"GREEN": "federation"}.get(document["tlp"], "public")

    def damaged(self, document: Any) -> Any:
        chance = self.chance
        if not isinstance(document, dict):
            return document
        kind = chance.choice((0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9))
        if kind == 0 and document:
            name = chance.choice(list(document))
            return {other: value for other, value in document.items() if other != name}
        if kind == 1:
            return self.anywhere(document, lambda value: chance.choice(STRANGE_VALUES))
        if kind == 2:
            return self.anywhere(document, lambda value: chance.choice(STRANGE_TEXTS))
        if kind == 3:
            return self.anywhere(document, self.amended)
        if kind == 4 and isinstance(document.get("content"), dict):
            later = chance.choice((*STRANGE_VALUES, *STRANGE_TEXTS, nested(chance.randint(25, 36), chance)))
            return {**document, "content": {**document["content"], "later": later}}
        if kind == 5:
            name = chance.choice(("later", "signature", "content", "audience", "same_as", "__proto__", "é"))
            return {**document, name: chance.choice((*STRANGE_VALUES, *STRANGE_TEXTS))}
        if kind == 6:
            return {**document, "content": placed(document.get("content"), chance, self.amended)}
        if kind == 7:
            return self.anywhere(document, lambda value: nested(chance.randint(1, 40), chance))
        if kind == 8:
            return {**document, chance.choice(("created_at", "updated_at")): self.time()}
        if chance.random() < 0.01 and isinstance(document.get("content"), dict):
            content = {**document["content"], "later": "x" * self.padding(document)}
            return {**document, "content": content}
        return {**document, "content": placed(document.get("content"), chance, lambda value: [value] * 51)}

    def anywhere(self, document: dict[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
        """The document with a part changed: mostly of its content, since a wrong envelope hides the rest."""
        if "content" in document and self.chance.random() < 0.7:
            return {**document, "content": placed(document["content"], self.chance, change)}
        changed: dict[str, Any] = placed(document, self.chance, change)
        return changed

    def time(self) -> str:
        """A time, more or less."""
        chance = self.chance
        year, month, day = chance.choice(YEARS), chance.randint(0, 13), chance.randint(0, 32)
        date = chance.choice((f"{year:04}-{month:02}-{day:02}", "2026-02-29", "2024-02-29"))
        hour, minute, second = (
            chance.choice(numbers) for numbers in ((0, 8, 23, 24), (0, 30, 60), (0, 59, 60))
        )
        clock = f"{hour:02}:{minute:02}:{second:02}"
        return date + chance.choice("TTTt_ ") + clock + chance.choice(FRACTIONS) + chance.choice(OFFSETS)

    def padding(self, document: dict[str, Any]) -> int:
        """So many characters more make the document as long as is allowed, or one byte longer, or shorter."""
        content = {**document["content"], "later": ""}
        return (
            MAX_DOCUMENT_BYTES
            - len(self.written({**document, "content": content}))
            + self.chance.randint(-1, 1)
        )

    def amended(self, value: Any) -> Any:
        chance = self.chance
        if isinstance(value, str) and value:
            n = chance.randrange(len(value) + 1)
            near, far = chr(chance.randrange(0x20, 0x3000)), chr(chance.randrange(0x110000))
            part = chance.choice((*STRANGE_TEXTS[:40], near, far))
            return value[:n] + part[:5] + value[n + chance.randint(0, 1) :]
        if isinstance(value, bool) or not isinstance(value, int):
            return chance.choice(STRANGE_VALUES)
        return value + chance.choice((-1, 1, 2**53, -(2**53)))

    def written(self, value: Any) -> bytes:
        """Canonical bytes, as far as the value has them."""
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        if (
            "\\u00" in text
        ):  # `json` writes all control characters with their number, RFC 8785 some with a letter
            text = text.replace("\\u0008", "\\b").replace("\\u000c", "\\f")
        return text.encode("utf-8", "surrogatepass")

    def rewritten(self, raw: bytes) -> bytes:
        """The same document in other bytes, or bytes that are none."""
        chance = self.chance
        n = chance.randrange(len(raw))
        return chance.choice(
            (
                lambda: raw.replace(b":", b": ", 1),
                lambda: raw.replace(b"{", b'{"a":1,"a":1,', 1),
                lambda: raw.replace(b'"tlp"', b'"t\\u006cp"'),
                lambda: raw.replace(b"/", b"\\/"),
                lambda: re.sub(rb'"revision":([0-9]+)', rb'"revision":\1.0', raw),
                lambda: re.sub(rb'"revision":([0-9]+)', rb'"revision":-0', raw),
                lambda: json.dumps(json.loads(raw), ensure_ascii=True, sort_keys=True).encode(),
                lambda: raw[:n] + bytes((chance.randrange(256),)) + raw[n + 1 :],
                lambda: raw[:n] + raw[n + 1 :],
                lambda: raw[:n],
                lambda: b"\xef\xbb\xbf" + raw,
                lambda: raw + b" ",
                lambda: raw[: n // 2] + b"\xed\xa0\x80" + raw[n // 2 :],
                lambda: raw.replace(b"e", b"\xc3", 1),
            )
        )()

    def entry(self, document: Any, raw: bytes) -> dict[str, Any]:
        named = document if isinstance(document, dict) else {}
        entry = {
            "seq": self.chance.randint(1, 10**6),
            "op": "upsert" if "content" in named else "delete",
            "type": named.get("type", "solution"),
            "key": named.get("key", "glpi"),
            "revision": named.get("revision", 1),
            "hash": hashlib.sha256(raw).hexdigest(),
        }
        if self.chance.random() < 0.08:
            name = self.chance.choice(list(entry))
            if self.chance.random() < 0.3:
                del entry[name]
            else:
                entry[name] = self.chance.choice(
                    (
                        *STRANGE_VALUES,
                        "upsert",
                        "delete",
                        "withdraw",
                        "0" * 64,
                        "A" * 64,
                        "glpi",
                        "solution",
                        7,
                    )
                )
        return entry

    def joined(self, entry: dict[str, Any], raw: bytes) -> bytes:
        chance = self.chance
        head = self.plain(entry)
        if entry.get("op") == "withdraw" and chance.random() < 0.8:
            return self.plain({name: value for name, value in entry.items() if name != "hash"})
        if chance.random() < 0.02:
            head = head[:-1] + b',"later":[1,{"a":"}"}]}'
        if chance.random() < 0.01:
            return head
        line = (head[:-1] + b"," if head != b"{}" else b"{") + b'"document":' + raw + b"}"
        if chance.random() < 0.01:
            line = line[:-1] + b',"later":1}'
        if chance.random() < 0.01:
            n = chance.randrange(len(line))
            line = line[:n] + bytes((chance.randrange(256),)) + line[n + 1 :]
        return line.replace(b"\n", b" ")

    @staticmethod
    def plain(value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
