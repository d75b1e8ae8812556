"""Texts in a document: each range of forbidden code points, its neighbours, and what else writers avoid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from federation.spec.vectors.entries import SCHEMA, TEXT, UNDERSTOOD, entry_case
from federation.spec.vectors.samples import solution_document, with_content

FORBIDDEN = (
    (0x00, 0x08), (0x0B, 0x1F), (0x7F, 0x9F), (0x61C, 0x61C), (0x180E, 0x180E), (0x200B, 0x200F),
    (0x202A, 0x202E), (0x2060, 0x2064), (0x2066, 0x206F), (0xFEFF, 0xFEFF), (0xE0000, 0xE007F),
)  # fmt: skip
"""First and last code point of each range that writers avoid."""
ALLOWED = (
    0x09,
    0x20,
    0x7E,
    0xA0,
    0xAD,
    0x61B,
    0x61D,
    0x180D,
    0x180F,
    0x200A,
    0x2010,
    0x2029,
    0x202F,
    0x205F,
    0x2070,
)
"""Code points beside these ranges, and others that look empty and are allowed."""
UNASSIGNED = (0x378, 0x2065, 0x1C80 + 9, 0x1FAE8, 0x323B0, 0xE0080, 0x10FFFF)
"""Code points to which Unicode 14.0 assigns no character."""


def text_cases() -> Iterator[dict[str, Any]]:
    """Documents with a text in a member that no reader knows, so that no schema has a say."""
    for first, last in FORBIDDEN:
        for code in sorted({first, last}):
            yield _case(f"a text with U+{code:04X}", f"a{chr(code)}b", TEXT)
    for code in ALLOWED:
        yield _case(f"a text with U+{code:04X}, which is allowed", f"a{chr(code)}b", UNDERSTOOD)
    for code in UNASSIGNED:
        yield _case(f"a text with U+{code:04X}, which is no character", f"a{chr(code)}b", TEXT)
    yield _case("a text in normal form C", "Caf\u00e9", UNDERSTOOD)
    yield _case("a text that is not in normal form C", "Cafe\u0301", TEXT)
    yield _case("a text with a line feed within", "a\nb", UNDERSTOOD)
    yield _case("a text that ends with a line feed", "a\n", TEXT)
    yield entry_case(
        "the name of a member with a character that is not seen", with_content(**{"a\x7f": 1}), TEXT
    )
    yield entry_case("an envelope with a URI that is none", solution_document(same_as=["none"]), SCHEMA)


def _case(name: str, text: str, verdict: str) -> dict[str, Any]:
    return entry_case(name, with_content(later=text), verdict)
