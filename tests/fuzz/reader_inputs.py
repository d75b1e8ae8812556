"""Readers to be fuzzed, and inputs made from real ones by seeded mutation.

A module ``tests/fuzz/readers_*.py`` registers readers: its ``READERS`` is a tuple of :class:`Reader`. The
program (``tests/fuzz/readers.py``) finds them by that name.
"""

from __future__ import annotations

import importlib
import io
import json
import pkgutil
import random
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import tests.fuzz

MAX_MUTATIONS = 6
"""Mutations of one input."""
MAX_MEMBER_BYTES = 4 * 1_048_576
"""Bytes of a member of an archive that is mutated inside."""
TOKENS = (
    b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"\xe2\x80\xae",
    b"\r", b"\n", b"\r\n", b"\t", b";", b",", b'"', b'""', b"'", b"=", b"+", b"@", b"=1+1", b"#REF!",
    b"#N/A", b"-1", b"0", b"1e999", b"NaN", b"99999999999999999999999", b"1" * 400, b"9007199254740993",
    b"31/02/2024", b"2024-13-01", b"9999-12-31", b"null", b"true", b"{", b"}", b"[", b"]", b"{}", b"[]",
    b"[" * 200, b'{"a":' * 200, b"<", b">", b"/>", b"&amp;", b"&a;", b"<!DOCTYPE a [<!ENTITY a 'b'>]>",
    b"<![CDATA[", b"]]>", b"<!--", b"&x *x", b"*a", b"&a [*a]", b"---", b"- ", b": ", b"|", b">",
    b"!!python/object", b"<<: *a", b"%", b"\\", b"\\u0000", b"\\ud800", b"../../etc/passwd",
    b"javascript:1", b"http://user:pass@[::1]/", b"a" * 5_000, b" " * 5_000, b"71076", b"217100767",
    b"oui", b"[" * 900 + b"]" * 900, b'{"a":' * 900 + b"1" + b"}" * 900,
)  # fmt: skip
"""Bytes that readers of texts, tables, JSON, YAML and XML stumble over."""


ODD_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 1e308, 2**53 + 1, 2**63, 10**30, [], {}, [None], [[]], {"": None}, {"a": {}},
    "", " ", "0", "\0", "\ud800", "\u202e", "a" * 5_000, "-", "*", "/", "..", "fr", "RED", "217100767",
    "2024-13-01", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "CVE-2099-10001", "<1", ">=2|<1",
    "vers:generic/*", "vers:semver/>=2|<1", "pkg:npm/%00@1", "cpe:2.3:a:*:*",
    "https://[", "http://user:pass@[::1]/", "javascript:1", "mailto:a@b",
)  # fmt: skip
"""Values of JSON that stand where other ones are expected."""
MAX_JSON_CHANGES = 4
"""Changes of one JSON document."""
DEPTH = 900
"""Arrays inside one another: near the depth that decoders of JSON accept."""
_DEEP = "arrays inside one another"
_DEEP_JSON = json.dumps(_DEEP).encode()
"""Stands for them while a document is changed, since nothing in Python copies them."""


class Reader(NamedTuple):
    """A reader of hostile bytes: it returns something, or raises ``Invalid``."""

    name: str
    read: Callable[[bytes], Any]
    examples: Callable[[], Sequence[bytes]]
    """Inputs that it reads, or that are like those; called once."""


def registered() -> tuple[Reader, ...]:
    """All readers of the modules ``tests/fuzz/readers_*.py``, by name."""
    found: dict[str, Reader] = {}
    for module in pkgutil.iter_modules(tests.fuzz.__path__):
        if module.name.startswith("readers_"):
            for reader in importlib.import_module(f"tests.fuzz.{module.name}").READERS:
                assert reader.name not in found, f"two readers are called {reader.name}"
                found[reader.name] = reader
    return tuple(found[name] for name in sorted(found))


def make_input(examples: Sequence[bytes], chance: random.Random) -> bytes:
    """One of the examples, mutated; now and then as it is."""
    raw = chance.choice(examples)
    if chance.random() < 0.02:
        return raw
    if raw.startswith(b"PK\x03\x04") and chance.random() < 0.8:
        return _mutate_archive(raw, examples, chance)
    if raw[:1] in (b"{", b"[") and chance.random() < 0.6:
        return _mutate_json(raw, chance)
    return mutate(raw, examples, chance)


def mutate(raw: bytes, examples: Sequence[bytes], chance: random.Random) -> bytes:
    """The bytes with some changes."""
    data = bytearray(raw)
    for _ in range(chance.randint(1, MAX_MUTATIONS)):
        chance.choice(_MUTATIONS)(data, examples, chance)
    return bytes(data)


def _place(data: bytearray, chance: random.Random) -> int:
    return chance.randint(0, len(data))


def _flip(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _replace(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    start = _place(data, chance)
    data[start : start + chance.choice((1, 2, 5, 20))] = chance.choice(TOKENS)


def _insert(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    start = _place(data, chance)
    data[start:start] = chance.choice(TOKENS) * chance.choice((1, 1, 1, 3, 40))


def _delete(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    start = _place(data, chance)
    del data[start : start + chance.choice((1, 3, 20, 200, 2_000))]


def _repeat(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    start = _place(data, chance)
    part = bytes(data[start : start + chance.choice((1, 8, 60, 300))])
    data[start:start] = part * chance.choice((1, 2, 10, 100))


def _cut(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    if chance.random() < 0.3:
        del data[_place(data, chance) :]


def _splice(data: bytearray, examples: Sequence[bytes], chance: random.Random) -> None:
    other = chance.choice(examples)
    begin = chance.randint(0, len(other))
    start = _place(data, chance)
    data[start:start] = other[begin : begin + chance.choice((10, 100, 1_000))]


def _swap(data: bytearray, _: Sequence[bytes], chance: random.Random) -> None:
    lines = bytes(data).split(b"\n")
    if 2 <= len(lines) <= 20_000:
        first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
        lines[first], lines[second] = lines[second], lines[first]
        data[:] = b"\n".join(lines)


_MUTATIONS = (_flip, _replace, _replace, _insert, _insert, _delete, _repeat, _cut, _splice, _swap)


def _mutate_archive(raw: bytes, examples: Sequence[bytes], chance: random.Random) -> bytes:
    """The archive with a member that is mutated, removed or doubled: its check sums are right again."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = [
            (info.filename, archive.read(info))
            for info in archive.infolist()
            if info.file_size <= MAX_MEMBER_BYTES
        ]
    texts = [content for _, content in members]
    place = chance.randrange(len(members))
    name, content = members[place]
    match chance.randrange(12):
        case 0:
            del members[place]
        case 1:
            members.append((name + chance.choice(("", "x", "/")), content))
        case 2:
            members[place] = (chance.choice(members)[0], content)
        case _:
            members[place] = (name, mutate(content, texts, chance))
    out = io.BytesIO()
    form = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(out, "w", form) as archive:
        for number, (name, content) in enumerate(members):
            if name not in {earlier for earlier, _ in members[:number]}:  # (a second one would warn)
                archive.writestr(zipfile.ZipInfo(name), content, form)
    return out.getvalue()


def _mutate_json(raw: bytes, chance: random.Random) -> bytes:
    """The JSON document with members that are changed, removed, doubled or moved: it is JSON still."""
    try:
        root = [json.loads(raw)]
    except ValueError:
        return raw
    for _ in range(chance.randint(1, MAX_JSON_CHANGES)):
        _change_member(root, chance)
    return json.dumps(root[0]).encode().replace(_DEEP_JSON, b"[" * DEPTH + b"]" * DEPTH)


def _change_member(root: list[Any], chance: random.Random) -> None:
    """One change at a member that is chosen by chance."""
    places = list(_places(root))
    holder, name = chance.choice(places)
    match chance.randrange(8):
        case 0:
            del holder[name]
            if not root:
                root.append(None)
        case 1:
            other, member = chance.choice(places)
            holder[name] = _copy(other[member])
        case 2:
            holder[name] = [_copy(holder[name]) for _ in range(chance.choice((1, 2, 60)))]
        case 3 if isinstance(holder, dict):
            holder[str(chance.choice(ODD_VALUES))[:50]] = holder.pop(name)
        case 4 if isinstance(holder[name], list):
            holder[name] *= chance.choice((2, 2, 60))
        case 5 if isinstance(holder[name], str):
            text = bytearray(holder[name].encode(errors="replace"))
            chance.choice(_MUTATIONS)(text, [bytes(text)], chance)
            holder[name] = text.decode(errors="replace")
        case 6 if chance.random() < 0.2:
            holder[name] = _DEEP
        case _:
            holder[name] = _copy(chance.choice(ODD_VALUES))


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _places(root: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Each member of a JSON value, as its holder and its name there."""
    waiting: list[Any] = [root]
    while waiting:
        holder = waiting.pop()
        names = list(holder) if isinstance(holder, dict) else range(len(holder))
        for name in names:
            yield holder, name
            if isinstance(holder[name], (dict, list)):
                waiting.append(holder[name])
