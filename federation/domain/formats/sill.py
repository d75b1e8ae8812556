"""The SILL, the French State's list of recommended free software (Licence Ouverte 2.0), in its three forms.

1. The file of 2018 to 2022 with keys of one letter (``i`` name, ``l`` licence, ``co`` number at the Comptoir
   du Libre, ``st`` R recommended, O in observation, FR no longer recommended).
2. ``/sill/api/sill.json``: numbers, ``softwareExternalData``, times in milliseconds.
3. ``/sill/api/v2/catalogi.json``: the same with names of schema.org, times of ISO 8601.

People (referents, authors) are not read. What the SILL no longer recommends is a solution all the same,
since operators may run it; the item says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from federation.domain.errors import Invalid
from federation.domain.formats.foreign_values import (
    MAX_TEXT,
    clean_line,
    clean_text,
    day_of,
    instant_of,
    repository_url,
)
from federation.domain.formats.sill_themes import theme_words
from federation.domain.formats.solution_items import (
    MAX_SUMMARY,
    MAX_WORDS,
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

MAX_SILL_BYTES = 32 * 1_048_576
"""Bytes of the file, at most. That of 2026 has some six million."""
_ENDED = "status: the SILL recommends it no longer"
_RECOMMENDED = "status: the SILL names none, taken as stable, since it is in use"


def read_sill(raw: bytes) -> Reading:
    """The solutions of the SILL. Raises Invalid where the file is no list of JSON."""
    entries, _ = entries_of(raw, None, MAX_SILL_BYTES)
    readings = Readings()
    readings.read(entries, "", _read_entry)
    return readings.reading()


def _read_entry(members: Mapping[str, Any], place: str) -> Item:
    read: Callable[[SolutionItem, Mapping[str, Any]], None]
    if "i" in members:
        number, name, read = members.get("id"), members.get("i"), _read_letters
    else:
        number, name, read = members.get("id"), _plain_name(members.get("name")), _read_api
    item = SolutionItem(place, "fr")
    number = clean_line(number, 20)
    if number is None or not number.isascii() or not number.isdigit():
        raise Invalid("it has no number of the SILL", pointer="/id")
    item.set_name(name)
    item.content["kind"] = "software"
    item.note("kind: the SILL names none, taken as software")
    item.content["status"] = "stable"
    item.note(_RECOMMENDED)
    item.add_same_as(sill_url(item.content["name"]))
    read(item, members)
    return item.build(identity=f"sill:{int(number)}", key=f"sill-{int(number)}")


def _read_letters(item: SolutionItem, members: Mapping[str, Any]) -> None:
    """The members of an entry of 2018 to 2022."""
    function = clean_line(members.get("f"), MAX_SUMMARY)
    summary = {
        "fr": clean_line(members.get("fr-desc"), MAX_SUMMARY) or function,
        "en": clean_line(members.get("en-desc"), MAX_SUMMARY),
    }
    item.set_texts("summary", summary, MAX_SUMMARY)
    if function and function != summary["fr"]:
        item.set("description", {"fr": function})
    item.set_licence(members.get("l"))
    _set_themes(item, [members.get("c"), members.get("se")])
    item.set_url("repository", members.get("sources"), repository_url)
    item.set_url("homepage", members.get("website"))
    item.set_url("documentation", members.get("doc"))
    item.add_same_as(comptoir_url(members.get("co")))
    if members.get("st") == "FR":
        item.note(_ENDED)


def _read_api(item: SolutionItem, members: Mapping[str, Any]) -> None:
    """The members of an entry of the API, in either version."""
    external = group_of(members, "softwareExternalData")
    description = members.get("description") or external.get("description")
    texts = description if isinstance(description, dict) else {"fr": description}
    item.set_texts(
        "summary", {tag: clean_line(text, MAX_SUMMARY) for tag, text in texts.items()}, MAX_SUMMARY
    )
    item.set_texts("description", {"fr": members.get("generalInfoMd")}, MAX_TEXT)
    item.set_licence(members.get("license") or external.get("license"))
    _set_themes(item, words_of(members.get("applicationCategories")) or words_of(members.get("categories")))
    item.set_url(
        "repository",
        members.get("codeRepositoryUrl") or external.get("codeRepositoryUrl") or external.get("sourceUrl"),
        repository_url,
    )
    item.set_url("homepage", members.get("url") or external.get("url") or external.get("websiteUrl"))
    item.set_url(
        "documentation",
        members.get("softwareHelp") or external.get("softwareHelp") or external.get("documentationUrl"),
    )
    _set_release(item, group_of(members, "latestVersion"))
    source = members.get("sourceSlug") or external.get("sourceSlug")
    if source in (None, "wikidata"):
        wikidata = members.get("externalId") or external.get("externalId") or members.get("wikidataId")
        item.add_same_as(wikidata_url(wikidata))
    comptoir = group_of(members, "comptoirDuLibreSoftware").get("id") or members.get("comptoirDuLibreId")
    item.add_same_as(comptoir_url(comptoir))
    identifiers = members.get("identifiers")
    for identifier in identifiers[:MAX_WORDS] if isinstance(identifiers, list) else ():
        if isinstance(identifier, dict) and _is_catalogue(identifier):
            item.add_same_as(identifier["url"])
    if members.get("dereferencing"):
        item.note(_ENDED)
    item.changed_at = instant_of(members.get("updateTime"))


def _is_catalogue(identifier: Mapping[str, Any]) -> bool:
    """True for an identifier of a catalogue of software; others are of publications and persons."""
    site = group_of(identifier, "subjectOf").get("additionalType")
    return site in ("wikidata", "ComptoirDuLibre", "FramaLibre") and isinstance(identifier.get("url"), str)


def _plain_name(name: Any) -> Any:
    """A name that may be one for each language."""
    if isinstance(name, dict):
        return name.get("fr") or name.get("en") or next(iter(name.values()), None)
    return name


def _set_themes(item: SolutionItem, categories: list[Any]) -> None:
    words = [word for category in categories if isinstance(category, str) for word in theme_words(category)]
    item.set_themes(dict.fromkeys(words), "themes: they were made of the categories of the SILL")


def _set_release(item: SolutionItem, latest: Mapping[str, Any]) -> None:
    version = clean_text(latest.get("semVer") or latest.get("version"), 100)
    if version is None:
        return
    release = {"version": version}
    published = latest.get("publicationTime") or latest.get("releaseDate")
    if (moment := instant_of(published)) is not None:
        release["released_at"] = moment.date().isoformat()
    elif published and (day := day_of(published)):
        release["released_at"] = day
    item.set("releases", [release])
