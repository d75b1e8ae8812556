"""Readers to be fuzzed, and inputs made from real ones by seeded mutation.

A module ``tests/fuzz/readers_*.py`` registers readers: its ``READERS`` is a tuple of :class:`Reader`. The
program (``tests/fuzz/readers.py``) finds them by that name.
"""

from __future__ import annotations

import importlib
import io
import pkgutil
import random
import zipfile
from collections.abc import Callable, Sequence
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
    b"oui",
)  # fmt: skip
"""Bytes that readers of texts, tables, JSON, YAML and XML stumble over."""


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
