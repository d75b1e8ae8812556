"""The export of the Comptoir du Libre, version 1 (``comptoir-du-libre_export_v1.json``).

Software with its licence, its addresses, and its entries at Wikidata and in the SILL. Those who use or
support it are not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from federation.domain.errors import Invalid
from federation.domain.formats.foreign_values import clean_line, instant_of, repository_url
from federation.domain.formats.sill_themes import theme_words
from federation.domain.formats.solution_items import (
    Readings,
    SolutionItem,
    comptoir_url,
    entries_of,
    group_of,
    sill_url,
    wikidata_url,
    words_of,
)
from federation.domain.sources.reading import Item, Reading

MAX_COMPTOIR_BYTES = 32 * 1_048_576
"""Bytes of the export, at most."""


def read_comptoir(raw: bytes) -> Reading:
    """The solutions of an export. Raises Invalid where it is none."""
    entries, others = entries_of(raw, "softwares", MAX_COMPTOIR_BYTES)
    readings = Readings()
    readings.read(entries, "softwares", _read_software)
    number = others.get("number_of_software")
    is_complete = not isinstance(number, int) or number <= len(entries)
    return readings.reading(is_complete=is_complete)


def _read_software(members: Mapping[str, Any], place: str) -> Item:
    item = SolutionItem(place, "fr")
    address = comptoir_url(members.get("id"))
    if address is None:
        raise Invalid("it has no number of the Comptoir du Libre", pointer="/id")
    number = address.rpartition("/")[2]
    item.set_name(members.get("name"))
    item.content["kind"] = "software"
    item.note("kind: the Comptoir du Libre names none, taken as software")
    item.set_status(None, default="stable")
    item.set_licence(members.get("licence"))
    item.set_themes(
        dict.fromkeys(theme for word in words_of(members.get("keywords")) for theme in theme_words(word)),
        "themes: they were made of the keywords of the Comptoir du Libre",
    )
    resources = group_of(members, "external_resources")
    item.set_url("repository", resources.get("repository") or None, repository_url)
    item.set_url("homepage", resources.get("website"))
    item.add_same_as(address)
    item.add_same_as(wikidata_url(group_of(resources, "wikidata").get("id")))
    if group_of(resources, "sill").get("id") and (name := clean_line(members.get("name"))):
        item.add_same_as(_sill_page(group_of(resources, "sill")) or sill_url(name))
    item.changed_at = instant_of(members.get("modified"))
    return item.build(identity=f"comptoir:{number}", key=f"comptoir-{number}")


def _sill_page(sill: Mapping[str, Any]) -> str | None:
    """The page of the SILL that the export names, where it names the software."""
    url = sill.get("url")
    return url if isinstance(url, str) and "name=" in url else None
