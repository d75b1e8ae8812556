"""Characters that nobody can see, and texts that have two forms, in what writers and peers send."""

import re
import unicodedata
from typing import Any

import pytest

from federation.domain import canonical
from federation.domain.content.solution import Solution
from federation.domain.record_reading import UNKNOWN_TYPE
from federation.domain.unassigned import UNICODE_VERSION, first_unassigned
from tests.domain.builders import (
    a_body,
    a_document,
    a_record,
    a_solution,
    not_understood,
    received,
    refused_document,
    refused_draft,
    sent,
)


def span(first: int, last: int) -> list[str]:
    return [chr(n) for n in range(first, last + 1)]


HIDDEN = {
    "C0": [*span(0x00, 0x08), *span(0x0B, 0x1F)],
    "DEL and C1": span(0x7F, 0x9F),
    "bidi controls": ["\u061c", "\u200e", "\u200f", *span(0x202A, 0x202E), *span(0x2066, 0x2069)],
    "zero-width": ["\u180e", "\u200b", "\u200c", "\u200d", *span(0x2060, 0x2064), "\ufeff"],
    "deprecated format controls": span(0x206A, 0x206F),
}
ALL_HIDDEN = [
    pytest.param(character, id=f"U+{ord(character):04X}") for group in HIDDEN.values() for character in group
]
SEEN = [
    " ", "~", "\u00a0", "\u2010", "\u200a", "\u2029", "\u202f", "\u205f", "\u2070", "\u060c", "\u180f",
    "é", "«",
    "’", "😀", "☎\ufe0f", "ﻹ", "\ufffd",
]  # fmt: skip


@pytest.mark.parametrize("character", ALL_HIDDEN)
def test_a_character_nobody_can_see_is_refused_to_a_writer_and_not_understood_of_a_peer(
    character: str,
) -> None:
    for text in (character, f"a{character}b", f"{character}a", f"a{character}"):
        for refusal, pointer in [
            (refused_draft(a_solution(name=text)), "/content/name"),
            (not_understood(a_document(content=a_solution(name=text))), "/content/name"),
        ]:
            assert f"U+{ord(character):04X}" in refusal.detail
            assert refusal.pointer == pointer


@pytest.mark.parametrize("character", SEEN)
def test_its_neighbours_that_can_be_seen_are_taken(character: str) -> None:
    name = f"a{character}b"
    assert name.encode() in a_record(a_solution(name=name)).document
    assert name.encode() in received(a_document(content=a_solution(name=name))).document


def test_line_feeds_and_tabs_are_taken_within_a_text_and_line_feeds_refused_at_its_end() -> None:
    taken = {"fr": "\n- un\n\t- deux\t"}
    assert a_record(a_solution(description=taken)).document.count(b"\\n") == 2
    assert received(a_document(content=a_solution(description=taken)))
    for text in ("a\n", "\n", "a\n\n", "\\\n", '"\n'):
        for refusal, pointer in (
            (refused_draft(a_solution(description={"fr": text})), "/content/description/fr"),
            (
                not_understood(a_document(content=a_solution(description={"fr": text}))),
                "/content/description/…",
            ),
        ):
            assert refusal.pointer == pointer
            assert "ends with a line feed" in refusal.detail


@pytest.mark.parametrize("text", ["\\n", "a\\", "\\", "\\\\n", "\\u0000", '"', '\\"', 'n"', '\nn"', "\\b"])
def test_a_backslash_that_is_a_character_is_not_an_escape(text: str) -> None:
    assert a_record(a_solution(name=text))
    assert received(a_document(content=a_solution(name=text)))


@pytest.mark.parametrize("character", ["\x00", "\x1f", "\r"])
def test_a_control_character_is_seen_behind_backslashes_and_quotes(character: str) -> None:
    for before in ("\\", "\\\\", '"', '\\"', "\n", "\t"):
        assert refused_draft(a_solution(name=before + character)).pointer == "/content/name"


@pytest.mark.parametrize(
    ("composed", "decomposed"), [("é", "e\u0301"), ("Ω", "\u2126"), ("가", "\u1100\u1161"), ("Å", "A\u030a")]
)
def test_a_text_is_taken_in_normal_form_c_only(composed: str, decomposed: str) -> None:
    assert unicodedata.normalize("NFC", decomposed) == composed
    assert a_record(a_solution(name=composed))
    assert received(a_document(content=a_solution(name=composed)))
    for refusal in (
        refused_draft(a_solution(name=decomposed)),
        not_understood(a_document(content=a_solution(name=decomposed))),
    ):
        assert refusal.pointer == "/content/name"
        assert "NFC" in refusal.detail


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"content": a_solution(ai={"base_models": ["a", "b\u200b"]})}, "/content/ai/base_models/1"),
        (
            {"content": a_solution(releases=[{"version": "1"}, {"version": "2\u200b"}])},
            "/content/releases/1/version",
        ),
        ({"content": a_solution(), "same_as": ["https://example.org/\u200b"]}, "/same_as/0"),
        ({"content": a_solution(), "same_as": ["https://example.org/a\n"]}, "/same_as/0"),
    ],
)
def test_the_pointer_names_the_text_at_fault(members: dict[str, Any], pointer: str) -> None:
    assert refused_draft(**members).pointer == pointer
    assert not_understood(a_document(**members)).pointer == pointer


def test_a_group_whose_name_ends_in_a_line_feed_is_no_audience() -> None:
    members: dict[str, Any] = {"content": a_solution(), "tlp": "AMBER", "audience": "rssi\n"}
    assert refused_draft(**members).pointer == "/audience"
    assert refused_document(a_document(**members)).pointer == "/audience"


def test_the_pointer_names_a_language_to_the_writer_and_not_to_a_peer() -> None:
    content = a_solution(summary={"fr": "a", "en": "b\u200b"})
    assert refused_draft(content).pointer == "/content/summary/en"
    assert not_understood(a_document(content=content)).pointer == "/content/summary/…"


def test_a_control_character_in_a_name_that_a_peer_invents_is_not_understood() -> None:
    assert received(a_document(content=a_solution(a=1), a=1)).not_understood is None
    assert not_understood(a_document(content=a_solution(**{"a\x00": 1}))).pointer == "/content/…"
    assert not_understood(a_document(**{"a\x00": 1})).pointer == "/…"


@pytest.mark.parametrize("name", ["a\u200b", "e\u0301", "\u202eabc", "é"])
def test_a_name_that_a_peer_invents_is_ascii(name: str) -> None:
    assert refused_document(a_document(content=a_solution(**{name: 1}))).pointer == "/content/…"
    assert refused_document(a_document(**{name: 1})).pointer == "/…"


def test_a_text_of_a_type_that_is_not_known_is_not_looked_at() -> None:
    for text in ("c", "c\u200b"):
        reason = not_understood(a_document(type="recipe", content={"a": [{"b": text}]}), type_name="recipe")
        assert reason.detail == UNKNOWN_TYPE


# Unicode


def test_the_unassigned_code_points_are_those_of_the_version_that_is_named() -> None:
    if unicodedata.unidata_version != UNICODE_VERSION:
        pytest.skip(f"this Python has Unicode {unicodedata.unidata_version}")
    wrong = [
        code
        for code in range(0x110000)
        if (first_unassigned(chr(code)) is not None) != (unicodedata.category(chr(code)) == "Cn")
    ]
    assert wrong == []


@pytest.mark.parametrize("text", ["\u0378", "a\U0001fae8", "\ufdd0b", "\U0010ffff", "\U0001f600\U0003ffff"])
@pytest.mark.parametrize("has_this_unicode", [True, False])
def test_a_code_point_without_a_character_is_refused_to_a_writer_and_not_understood_of_a_peer(
    text: str, has_this_unicode: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if has_this_unicode and unicodedata.unidata_version != UNICODE_VERSION:
        pytest.skip(f"this Python has Unicode {unicodedata.unidata_version}")
    monkeypatch.setattr(canonical, "_HAS_THIS_UNICODE", has_this_unicode)
    assert a_record(a_solution(name="\U0001f600 \ue000 中"))
    assert received(a_document(content=a_solution(name="\U0001f600 \ue000 中"))).not_understood is None
    for refusal in (
        refused_draft(a_solution(name=text)),
        not_understood(a_document(content=a_solution(name=text))),
    ):
        assert refusal.pointer == "/content/name"
        assert refusal.detail.endswith("which is no character of Unicode 14.0.0")


def test_the_expression_of_forbidden_characters_is_one_that_others_can_read() -> None:
    """The characters themselves, in one class: no escape that engines write in several ways."""
    inner = canonical.FORBIDDEN_CHARACTERS.removeprefix("[").removesuffix("]")
    assert not set(inner) & set("[]\\^")
    assert inner.count("-") == sum(inner[n - 1 : n] == "-" for n in range(1, len(inner)))
    forbidden = re.compile(canonical.FORBIDDEN_CHARACTERS)
    assert [c for group in HIDDEN.values() for c in group if not forbidden.fullmatch(c)] == []
    assert [c for c in SEEN if forbidden.search(c)] == []


def test_an_escape_is_the_character_it_stands_for() -> None:
    body = a_body(a_solution(name="@"))
    assert sent(body.replace(b"@", rb"\u00e9\u20ac"), Solution).content.name == "é€"
    for escape in (rb"a\u200bb", rb"a\u0000b", rb"a\u202eb", rb"e\u0301"):
        content = sent(body.replace(b"@", escape)).content.name
        assert refused_draft(a_solution(name=content)).pointer == "/content/name"


@pytest.mark.parametrize(
    "character", [pytest.param(c, id=f"U+{ord(c):04X}") for c in "\U000e0001\U000e0041\U000e007f"]
)
def test_tag_characters_which_smuggle_ascii_unseen_are_refused(character: str) -> None:
    assert refused_draft(a_solution(name=f"GLPI{character}")).pointer == "/content/name"
