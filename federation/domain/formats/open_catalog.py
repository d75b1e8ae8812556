"""Pages of a catalogue that speaks the open-catalog-api 1.4 (``/v1/software``): Italy's, or that of a node.

Each entry carries the publiccode.yml of the software as its publisher wrote it; it is read as such a file
is. A page links to the next one by a query string; where to go is said by :func:`next_page`, which never
leaves the address of the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from federation.domain.errors import Invalid
from federation.domain.formats.foreign_values import MAX_URL, clean_line, instant_of, repository_url
from federation.domain.formats.publiccode import read_software
from federation.domain.formats.solution_items import Readings, entries_of
from federation.domain.sources.reading import Item, Reading

MAX_PAGE_BYTES = 32 * 1_048_576
"""Bytes of a page, at most: a hundred entries, each with a file of up to a hundred thousand characters."""
MAX_CURSOR = 1_000
"""Characters of a link to another page, at most."""


class CatalogPage(msgspec.Struct, frozen=True):
    """A page of a catalogue."""

    reading: Reading
    following: str | None
    """The query string of the next page, as the catalogue gives it; None on the last one."""


def read_open_catalog(raw: bytes) -> CatalogPage:
    """The solutions of a page. Raises Invalid where it is none.

    Software that the catalogue says is inactive is left out, and reported. A page alone is not complete.
    """
    entries, others = entries_of(raw, "data", MAX_PAGE_BYTES)
    readings = Readings()
    readings.read(entries, "data", _read_entry)
    following = _following(others.get("links"))
    return CatalogPage(readings.reading(is_complete=following is None), following)


def _read_entry(members: Mapping[str, Any], place: str) -> Item:
    if members.get("active") is False:
        raise Invalid("the catalogue says that it is not active", pointer="/active")
    publiccode = members.get("publiccodeYml")
    if not isinstance(publiccode, str) or not publiccode.strip():
        raise Invalid("it has no publiccode.yml", pointer="/publiccodeYml")
    number = clean_line(members.get("id"), 100)
    at = f"{place} ({number})" if number else place
    item = read_software(
        publiccode.encode(errors="replace"), place=at, repository=repository_url(members.get("url"))
    )
    changed_at = instant_of(members.get("updatedAt"))
    return msgspec.structs.replace(item, changed_at=changed_at) if changed_at is not None else item


def _following(links: Any) -> str | None:
    """The query string behind ``links.next``: that alone, or within an address."""
    following = links.get("next") if isinstance(links, dict) else None
    if not isinstance(following, str) or not 0 < len(following) <= MAX_CURSOR:
        return None
    query = following.partition("?")[2] if "?" in following else following
    # The document of the API calls it a bare cursor; its program sends a query string.
    return query if "=" in query.rstrip("=") else urlencode({"page[after]": query})


def next_page(url: str, following: str) -> str | None:
    """The address of the next page of a list: the same place, with the parameters of the link.

    None where it would be the same page again, or is too long.
    """
    parts = urlsplit(url)
    before = dict(parse_qsl(parts.query, keep_blank_values=True))
    try:
        after = {**before, **dict(parse_qsl(following, keep_blank_values=True, max_num_fields=20))}
    except ValueError:
        return None
    if after == before:
        return None
    address = parts._replace(query=urlencode(after), fragment="").geturl()
    return address if len(address) <= MAX_URL else None
