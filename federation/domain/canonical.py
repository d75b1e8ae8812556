"""Canonical JSON: the one form in which a document is written, and what JSON and texts are refused.

RFC 8785 for a schema without floats and with ASCII member names: members sorted, no white space, shortest
escapes, UTF-8."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from federation.domain.errors import Invalid
from federation.domain.faults import MAX_FAULTS, Fault
from federation.domain.messages import Message
from federation.domain.unassigned import UNICODE_VERSION, first_unassigned
from federation.domain.values import SAFE_INTEGER

MAX_DEPTH = 32
"""Objects and arrays inside one another, at most."""


def canonical(value: Any) -> bytes:
    """The canonical bytes of a value of the schema."""
    return msgspec.json.encode(value, order="sorted")


def decode_json(body: bytes) -> Any:
    """Decode JSON of unknown make: UTF-8, not too deep, no member twice. Raises Invalid."""
    check_depth(body)
    try:
        value = msgspec.json.decode(body)
        # Every difference between what was sent, less white space, and what it says is a duplicate
        # member, an escape that was not needed or a number written oddly. Only the first is refused,
        # so the slow look is for the few bodies where the lengths differ.
        # A number with an exponent can grow, and hide as many bytes as a duplicate member has.
        if _EXPONENT.search(body) or len(msgspec.json.format(body, indent=-1)) != len(
            msgspec.json.encode(value)
        ):
            _refuse_duplicates(json.loads(body, object_pairs_hook=_Members))
    except UnicodeDecodeError:
        raise Invalid("the body is not UTF-8") from None
    except msgspec.DecodeError as error:
        raise Invalid("the body is not JSON: {reason}", reason=str(error)) from None
    except (RecursionError, ValueError) as error:
        raise Invalid("the body is not JSON that is read here: {reason}", reason=str(error)) from None
    return value


_EXPONENT = re.compile(rb"[0-9][eE]")


class _Members(dict[str, Any]):
    """An object, and the name of a member that was there twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice: str | None = None
        seen: set[str] = set()
        if len(self) != len(pairs):
            for name, _ in pairs:
                if name in seen:
                    self.twice = name
                    break
                seen.add(name)


def _refuse_duplicates(value: Any) -> None:
    faults = list(islice(_duplicates(value), MAX_FAULTS + 1))
    if faults:
        raise Invalid.of(faults)


def _duplicates(value: Any, at: str = "") -> Iterator[Fault]:
    if isinstance(value, _Members):
        if value.twice is not None:
            yield Fault(
                pointer=f"{at}/{escape_pointer(value.twice)}",
                code="duplicate-member",
                message=Message("the member {name} is there twice", {"name": value.twice}),
                rule=22,
            )
        for name, inner in value.items():
            yield from _duplicates(inner, f"{at}/{escape_pointer(name)}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _duplicates(inner, f"{at}/{index}")


# A text that does not end reaches to the end of the body, and is read once: possessive, no way back.
_TEXTS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKET = bytes(code for code in range(256) if code not in b"[]{}")


def check_depth(body: bytes) -> None:
    """Refuse JSON nested deeper than ``MAX_DEPTH`` before anything decodes it. Raises Invalid."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    # Pairs with nothing between them are taken away, level by level: a walk from bracket to bracket would
    # take a second of a document that has little else.
    brackets = _TEXTS.sub(b"", body).translate(_BRACKETS, _NO_BRACKET)
    brackets += b"]" * (brackets.count(b"[") - brackets.count(b"]"))  # a body that was cut is as deep
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    # (What is left without a pair is no JSON, as its decoder says then.)
    if b"[]" in brackets or brackets.count(b"[") > MAX_DEPTH:
        raise Invalid("the JSON is nested deeper than {maximum} levels", maximum=MAX_DEPTH)


FORBIDDEN_CHARACTERS = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u206f\ufeff\U000e0000-\U000e007f]"
)
"""Control characters except line feed and tab, bidirectional controls, zero-width characters and tags.

The class holds the characters themselves, so it means the same to every engine of regular expressions that
reads code points (Python, RE2, ECMA-262 with ``u``): written as a JSON text it needs no escapes of its own.
"""
_FORBIDDEN = re.compile(FORBIDDEN_CHARACTERS)
_HAS_THIS_UNICODE = unicodedata.unidata_version == UNICODE_VERSION
"""Whether what this Python can print are the characters of the version that texts are held to."""

# In UTF-8: control characters, and what begins a character from U+0300 on. Nothing below changes under NFC
# (Unicode Standard Annex 15, 5.1). The controls from U+0080 to U+009F are looked for by their two bytes.
_NOT_LATIN = bytes(
    code for code in range(256) if code >= 0xCC or (code < 0x80 and _FORBIDDEN.match(chr(code)))
)

_C1 = re.compile(rb"\xc2[\x80-\x9f]")

# In canonical JSON the only escapes are \" \\ \n \t and those of forbidden control characters. A line
# feed may not be last in a text: to Python's regular expressions `$` matches before it.
_FORBIDDEN_ESCAPE = re.compile(rb'(?<!\\)(?:\\\\)*\\([^"\\nt]|n")')


def has_plain_text(raw: bytes) -> bool:
    """Return True for a canonical document in whose texts ``check_text`` finds no fault."""
    return _is_plain(raw) and not (b"\\" in raw and _FORBIDDEN_ESCAPE.search(raw))


def check_text(raw: bytes) -> None:
    """Refuse a canonical document whose texts other nodes may not read as they were meant.

    Control characters except line feed and tab, bidirectional controls, zero-width characters, code points
    without a character in Unicode ``UNICODE_VERSION``, and texts that are not NFC. Raises Invalid with a
    pointer to the member at fault.
    """
    if has_plain_text(raw):
        return
    if faults := list(islice(_text_faults(msgspec.json.decode(raw)), MAX_FAULTS + 1)):
        raise Invalid.of(faults)
    raise Invalid("the text holds characters that are not allowed")


def _text_faults(value: Any) -> Iterator[Fault]:
    for pointer, string in strings_of(value):
        if (message := text_problem(string)) is not None:
            yield Fault(pointer=pointer, code="text", message=message, rule=20)


def text_problem(string: str) -> Message | None:
    """The reason that a writer may not have this text; None for one that it may."""
    if forbidden := _FORBIDDEN.search(string):
        template = "the text holds U+{point:04X}, which is not allowed"
        return Message(template, {"point": ord(forbidden.group())})
    if (unassigned := first_unassigned(string)) is not None:
        template = "the text holds U+{point:04X}, which is no character of Unicode {version}"
        return Message(template, {"point": ord(unassigned), "version": UNICODE_VERSION})
    if not unicodedata.is_normalized("NFC", string):
        return Message("the text is not in Unicode normal form C (NFC)")
    if string.endswith("\n"):
        return Message("the text ends with a line feed")
    return None


def _is_plain(raw: bytes) -> bool:
    """Return True for UTF-8 text in NFC of allowed characters; the cheapest test comes first."""
    if len(raw.translate(None, _NOT_LATIN)) == len(raw) and not (b"\xc2" in raw and _C1.search(raw)):
        return True
    text = raw.decode()
    # (What can be printed is allowed, and that is quicker to know.)
    is_allowed = (_HAS_THIS_UNICODE and text.isprintable()) or (
        not _FORBIDDEN.search(text) and first_unassigned(text) is None
    )
    return is_allowed and unicodedata.is_normalized("NFC", text)


def strings_of(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield f"{at}/{escape_pointer(name)}", name
            yield from strings_of(inner, f"{at}/{escape_pointer(name)}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from strings_of(inner, f"{at}/{index}")


def escape_pointer(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


# Numbers with a fraction or an exponent, long ones, and names that are not ASCII; or texts that look so.
# (A name's last character that is not ASCII is looked for: from each of them to the end of a long text would
# take minutes.)
SUSPECT = re.compile(rb'[:\[,]-?[0-9]+[.eE]|[0-9]{16}|[\x80-\xff][\x00-\x21\x23-\x7f]*":')


def check_subset(value: Any, at: str = "") -> None:
    """Refuse what RFC 8785 writes in another way than we do. Raises Invalid."""
    if isinstance(value, float):
        raise Invalid("the schema has no floats", pointer=at)
    if isinstance(value, int) and not -SAFE_INTEGER <= value <= SAFE_INTEGER:
        raise Invalid("integers are within ±{maximum}", pointer=at, maximum=SAFE_INTEGER)
    if isinstance(value, dict):
        for name, inner in value.items():
            if not name.isascii():
                raise Invalid("names of members are ASCII", pointer=f"{at}/{escape_pointer(name)}")
            check_subset(inner, f"{at}/{escape_pointer(name)}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            check_subset(inner, f"{at}/{index}")
