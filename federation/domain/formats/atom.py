"""Feeds as feed readers subscribe to them (Atom, RFC 4287).

The id of an entry is the same at every node, and stays so when the record is revised. A feed of the same
entries is the same bytes, whenever it is written: its time is that of the newest entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

import msgspec

from federation.domain.formats.typed_cells import without_unprintable
from federation.domain.values import instant

MEDIA_TYPE = "application/atom+xml"
MAX_TITLE_CHARACTERS = 300
MAX_SUMMARY_CHARACTERS = 2_000
NEVER = "1970-01-01T00:00:00Z"
"""The time of a feed without entries (RFC 4287, 4.1.1 asks for one)."""


class AtomEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a feed."""

    id: str
    title: str
    published: str
    updated: str
    author: str
    page: str
    """Where people read it."""
    record: str
    """Where programs read it."""
    categories: tuple[tuple[str, str], ...] = ()
    """Terms, and their words in the language of the feed."""
    summary: str = ""


class AtomFeed(msgspec.Struct, frozen=True, kw_only=True):
    """A feed."""

    id: str
    title: str
    language: str
    address: str
    page: str
    publisher: str
    entries: Sequence[AtomEntry]


def atom_feed(feed: AtomFeed) -> bytes:
    """The feed as XML."""
    root = Element("feed", {"xmlns": "http://www.w3.org/2005/Atom", "xml:lang": feed.language})
    _texts(
        root,
        ("id", feed.id),
        ("title", feed.title[:MAX_TITLE_CHARACTERS]),
        ("updated", max((entry.updated for entry in feed.entries), default=NEVER, key=instant)),
    )
    _texts(SubElement(root, "author"), ("name", feed.publisher))
    _link(root, "self", feed.address, MEDIA_TYPE)
    _link(root, "alternate", feed.page, "text/html")
    for entry in feed.entries:
        _entry(root, entry)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root)


def _entry(root: Element, entry: AtomEntry) -> None:
    element = SubElement(root, "entry")
    _texts(
        element,
        ("id", entry.id),
        ("title", entry.title[:MAX_TITLE_CHARACTERS] or entry.id),
        ("published", entry.published),
        ("updated", entry.updated),
    )
    _texts(SubElement(element, "author"), ("name", entry.author))
    _link(element, "alternate", entry.page, "text/html")
    _link(element, "related", entry.record, "application/json")
    for term, label in entry.categories:
        SubElement(element, "category", {"term": _plain(term), "label": _plain(label)})
    if entry.summary:
        _texts(element, ("summary", entry.summary[:MAX_SUMMARY_CHARACTERS]))


def _texts(parent: Element, *members: tuple[str, str]) -> None:
    for name, text in members:
        SubElement(parent, name).text = _plain(text)


def _link(parent: Element, relation: str, address: str, media_type: str) -> None:
    SubElement(parent, "link", {"rel": relation, "type": media_type, "href": _plain(address)})


def _plain(text: str) -> str:
    return without_unprintable(text)
