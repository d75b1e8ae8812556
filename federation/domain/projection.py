"""Index values of a record: filters, bodies served, and the words that search reads."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from federation.domain.words import plain_words

MAX_SEARCHED_BYTES = 65_536
"""Bytes of a record that full-text search reads in all. PostgreSQL refuses a megabyte of words."""
TITLE_SEPARATOR = "\x1f"
"""Before the title in :attr:`Projection.other`; no text has it."""


class Projection(msgspec.Struct, frozen=True):
    """Index values of a record, derived from its content when it is stored, never exchanged."""

    facets: tuple[str, ...] = ()
    """``type.filter=value``, one for each value of each filter."""
    beneficiaries: tuple[str, ...] = ()
    """``scheme:value`` of the bodies a deployment serves."""
    french: str = ""
    """Texts in French. (Apart, since many records of one operator have the same.)"""
    other: str = ""
    """What is not French, ``TITLE_SEPARATOR``, and the title in all languages, whose words rank first. All of
    it is found by its French stems, whatever the language; and as it stands, should French take all of its
    words for ones like *le*."""


def texts(*maps: dict[str, str] | None) -> Iterator[tuple[bool, str]]:
    """The texts of language maps, each with whether it is French."""
    for language_map in maps:
        for tag, text in (language_map or {}).items():
            yield tag.split("-")[0] == "fr", text


def split_languages(words: list[tuple[bool, str]], titles: list[str]) -> tuple[str, str]:
    """The French texts, and the other ones with the titles; ``MAX_SEARCHED_BYTES`` in all, at most."""
    title = " ".join(titles)
    french = " ".join([text for is_french, text in words if is_french and text not in titles])
    other = " ".join([text for is_french, text in words if not is_french and text not in titles])
    # No character has more than four bytes.
    if (len(title) + len(french) + len(other) + 3) * 4 > MAX_SEARCHED_BYTES:
        return _split_long(words, titles)
    return plain_words(french), f"{plain_words(other)}{TITLE_SEPARATOR}{plain_words(title)}"


def _split_long(words: list[tuple[bool, str]], titles: list[str]) -> tuple[str, str]:
    """The same of texts that are cut: titles first, then the others in the order of their type."""
    parts = [(2, title) for title in titles]
    parts += [(int(is_french), text) for is_french, text in words if text not in titles]
    parts = _shorten(parts, MAX_SEARCHED_BYTES)
    joined = [" ".join([text for kind, text in parts if kind == wanted]) for wanted in (2, 1, 0)]
    # Plain words may be longer than the text: it is cut again, the title last.
    plain = _shorten([(0, plain_words(text)) for text in joined], MAX_SEARCHED_BYTES + 3)
    (_, title), (_, french), (_, other) = plain
    return french, f"{other}{TITLE_SEPARATOR}{title}"


def _shorten(parts: list[tuple[int, str]], room: int) -> list[tuple[int, str]]:
    shortened = []
    for kind, text in parts:
        part = text.encode()[: max(room - 1, 0)]  # (a space follows)
        room -= len(part) + 1
        shortened.append((kind, part.decode(errors="ignore")))
    return shortened
