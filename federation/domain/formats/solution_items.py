"""Solutions of catalogues as items of a source: members, defaults, and what was interpreted.

A solution needs name, summary, kind, status, licence and themes. Catalogues often lack some: they get a
default, and the item says which. A name and an address of no person is taken over: contacts, authors and
contractors are not read at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec

from federation.domain.canonical import check_depth
from federation.domain.content.solution import THEMES, Solution
from federation.domain.draft import Draft, check_draft
from federation.domain.errors import Invalid, Refused
from federation.domain.formats.advisory import MAX_KEY, short_hash
from federation.domain.formats.foreign_values import clean_line, clean_text, clean_url, language_of
from federation.domain.formats.licences import read_licence
from federation.domain.formats.repository import parse_address
from federation.domain.sources.reading import Item, Reading, ReadingFault

MAX_SUMMARY = 1_000
"""Characters of a summary; longer ones are cut."""
MAX_ENTRIES = 20_000
"""Entries of a catalogue that are read in one file, at most."""
MAX_OTHER_BYTES = 10_000
"""Bytes of a member beside the entries; longer ones are not read."""
MAX_WORDS = 100
"""Texts of a list of an entry that are read: categories, keywords."""
MAX_FAULTS = 1_000
"""Faults of a source that are reported, at most."""
MAX_NOTES = 20
"""Notes of an item, at most."""
DEFAULT_STATUS = "beta"
"""The status of software whose source names neither a status nor a release."""
_KEY_CHARACTERS = re.compile(r"[^A-Za-z0-9._~-]+")


class SolutionItem:
    """The item of a solution, while it is put together."""

    def __init__(self, place: str, language: str = "en") -> None:
        self.place = place
        self._language = language
        self.content: dict[str, Any] = {}
        self.same_as: list[str] = []
        self.changed_at: datetime | None = None
        self._notes: list[str] = []

    def note(self, note: str) -> None:
        """Report a default, or what was interpreted or left out: ``member: why``."""
        if note not in self._notes and len(self._notes) < MAX_NOTES:
            self._notes.append(note)

    def set(self, member: str, value: Any) -> None:
        """A member that the source gives; nothing where it gives none."""
        if value not in (None, "", [], {}, ()):
            self.content[member] = value

    def set_url(self, member: str, value: Any, read: Callable[[Any], str | None] = clean_url) -> None:
        """An address; one that a record may not have is left out, and reported."""
        if value in (None, ""):
            return
        url = read(value)
        if url is None:
            self.note(f"{member}: it is no address that a record may have, left out")
        self.set(member, url)

    def set_name(self, value: Any) -> None:
        """Raises Invalid where there is none."""
        name = clean_line(value)
        if name is None:
            raise Invalid("it names no software", pointer="/name")
        self.content["name"] = name

    def set_licence(self, value: Any) -> None:
        licence, note = read_licence(value if isinstance(value, str) else None)
        if note:
            self.note(note)
        self.content["licence"] = licence

    def set_themes(self, words: Iterable[str], note: str = "") -> None:
        """Themes of the list, in any form of their words; those that it does not have are reported."""
        themes: list[str] = []
        unknown: list[str] = []
        for word in words:
            theme = re.sub(r"[\s_]+", "-", word.strip().lower())
            if theme in THEMES and theme not in themes:
                themes.append(theme)
            elif theme not in THEMES:
                unknown.append(word)
        if unknown:
            words = clean_line(", ".join(unknown)[:200], 80) or "some"
            self.note(f"themes: {words} left out, not of the list")
        if not themes:
            self.note("themes: none is named, taken as other")
        elif note:
            self.note(note)
        self.content["themes"] = themes[:20] or ["other"]

    def set_status(self, status: Any, *, default: str = DEFAULT_STATUS) -> None:
        word = status.strip().lower() if isinstance(status, str) else ""
        if word in ("concept", "development", "beta", "stable", "obsolete"):
            self.content["status"] = word
            return
        reason = "it is not one of the standard" if word else "none is named"
        self.note(f"status: {reason}, taken as {default}")
        self.content["status"] = default

    def set_texts(self, member: str, texts: Mapping[str, Any], max_length: int) -> None:
        """Texts by language. ``it-IT`` is ``it`` where no text is in ``it`` alone."""
        found: dict[str, str] = {}
        for tag in sorted(texts, key=len):
            language, clean = language_of(tag), clean_text(texts[tag], max_length)
            if clean is None:
                continue
            if language is None:
                self.note(f"{member}: a text in a language that is no tag of BCP 47 is left out")
                continue
            primary = language.split("-")[0]
            if primary != language and primary not in found:
                self.note(f"{member}: {language} was read as {primary}")
                language = primary
            found.setdefault(language, clean)
        self.set(member, dict(list(found.items())[:30]))

    def add_same_as(self, uri: str | None) -> None:
        """Another address of the same software."""
        if uri and uri not in self.same_as and clean_url(uri) is not None and len(self.same_as) < 50:
            self.same_as.append(uri)

    def build(self, *, identity: str, key: str) -> Item:
        """The item. Raises Invalid where the source gives what no solution may have."""
        if not self.content.get("summary"):
            self.note("summary: none is given, taken from the name")
            self.content["summary"] = {self._language: self.content["name"]}
        members: dict[str, Any] = {"content": self.content}
        if self.same_as:
            members["same_as"] = self.same_as
        shape: Any = Draft[Solution]
        check_draft(members, shape)
        return Item(
            type=Solution.plural,
            key=key,
            members=members,
            place=self.place,
            identity=identity,
            changed_at=self.changed_at,
            defaulted=tuple(self._notes),
        )


class Readings:
    """Items and faults of one source; an item that is there twice is a fault."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._keys: dict[str, str] = {}
        self._faults: list[ReadingFault] = []

    def add(self, item: Item) -> None:
        if item.identity in self._items or item.key in self._keys:
            self.refuse(item.place, Invalid("the source has it twice; the first entry counts"))
            return
        self._items[item.identity] = item
        self._keys[item.key] = item.identity

    def read(
        self, entries: Iterable[Any], name: str, reader: Callable[[Mapping[str, Any], str], Item]
    ) -> None:
        """Read the entries of a list of that name. An entry that cannot be read is a fault."""
        for index, entry in enumerate(entries):
            place = f"{name}[{index}]"
            try:
                self.add(reader(read_entry(entry), place))
            except Invalid as error:
                self.refuse(place, error)

    def refuse(self, place: str, error: Refused) -> None:
        pointer = error.pointer.removeprefix("/content") if error.pointer else None
        self.add_fault(ReadingFault(place, error.detail, pointer))

    def add_fault(self, fault: ReadingFault) -> None:
        """Of faults beyond ``MAX_FAULTS`` it is only said that there are some."""
        if len(self._faults) < MAX_FAULTS:
            self._faults.append(fault)
        elif len(self._faults) == MAX_FAULTS:
            more = Invalid("this entry and others behind it were left out, too")
            self._faults.append(ReadingFault(fault.place, more.detail))

    def reading(self, *, is_complete: bool = True) -> Reading:
        return Reading(tuple(self._items.values()), tuple(self._faults), is_complete)


def repository_identity(url: str) -> tuple[str, str]:
    """The identity of the software of a repository, and the key of its record.

    ``https://github.com/Owner/Name.git`` and ``https://github.com/owner/name/`` are one:
    ``repository:github.com/owner/name``, with the key ``github.com~owner~name``.
    """
    address = parse_address(url)
    name = address.url.removeprefix("https://") if address else url.partition("://")[2].rstrip("/")
    return f"repository:{name}", key_of(name.replace("/", "~"))


def key_of(name: str) -> str:
    """A key made of a name; a long one, or one with other characters, ends with a hash of the name."""
    key = _KEY_CHARACTERS.sub("-", name).strip("-._~")
    if key == name and 0 < len(key) <= MAX_KEY:
        return key
    return f"{key[: MAX_KEY - 17] or 'x'}-{short_hash(name)}"


def wikidata_url(entity: Any) -> str | None:
    """The address of an entity of Wikidata; None for what is no id of one."""
    if isinstance(entity, str) and re.fullmatch(r"[Qq][1-9][0-9]{0,11}", entity.strip()):
        return f"https://www.wikidata.org/entity/{entity.strip().upper()}"
    return None


def comptoir_url(number: Any) -> str | None:
    """The address of an entry of the Comptoir du Libre."""
    if isinstance(number, int) and not isinstance(number, bool):
        number = str(number)
    if isinstance(number, str) and re.fullmatch(r"[1-9][0-9]{0,8}", number.strip()):
        return f"https://comptoir-du-libre.org/fr/softwares/{number.strip()}"
    return None


def sill_url(name: str) -> str:
    """The address of an entry of the SILL, which is found there by its name."""
    return f"https://code.gouv.fr/sill/detail?name={quote(name, safe='')}"


def entries_of(raw: bytes, member: str | None, max_bytes: int) -> tuple[list[msgspec.Raw], dict[str, Any]]:
    """The entries of a catalogue in JSON, each to be decoded alone, and the other members of the file.

    ``member``: the one that has the entries; None where the file is their list. Raises Invalid.
    """
    if len(raw) > max_bytes:
        raise Invalid("the file has more than {maximum} bytes", maximum=max_bytes)
    check_depth(raw)
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        if member is None:
            entries, others = msgspec.json.decode(raw, type=list[msgspec.Raw]), {}
        else:
            members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
            entries = msgspec.json.decode(members.pop(member, b"null"), type=list[msgspec.Raw])
            short = {name: value for name, value in members.items() if len(value) <= MAX_OTHER_BYTES}
            others = {name: msgspec.json.decode(value) for name, value in short.items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid("it is not a catalogue of this form") from None
    if len(entries) > MAX_ENTRIES:
        raise Invalid("the catalogue has more than {maximum} entries", maximum=MAX_ENTRIES)
    return entries, others


def read_entry(entry: msgspec.Raw) -> dict[str, Any]:
    """The members of an entry. Raises Invalid."""
    try:
        value = msgspec.json.decode(entry)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid("an entry of the catalogue is not JSON in UTF-8") from None
    if not isinstance(value, dict):
        raise Invalid("an entry of a catalogue is a JSON object")
    return value


def group_of(members: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A member that is a group of members; an empty one where it is something else."""
    value = members.get(name)
    return value if isinstance(value, dict) else {}


def words_of(value: Any) -> list[str]:
    """The texts of a list, or a text alone; a bounded number of them."""
    words = value if isinstance(value, list) else [value]
    return [word for word in words[:MAX_WORDS] if isinstance(word, str) and word.strip()]
