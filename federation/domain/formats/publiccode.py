"""publiccode.yml of any version (https://yml.publiccode.tools, 0.1 to 0.7), read leniently.

Most files of French administrations are not valid: members are missing, empty or of another type, licences
are in small letters. What is missing and needed gets a default that the item reports. Keys are found in any
case, with hyphens or without (``landing-url`` of 0.1, ``landingURL``, ``landingUrl``).

Left out on purpose: contacts, contractors, copyright holders and funders, who may be persons; sections of a
country; pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from federation.domain.errors import Invalid
from federation.domain.formats.foreign_values import (
    MAX_TEXT,
    clean_line,
    clean_text,
    clean_url,
    day_of,
    instant_of,
    repository_url,
)
from federation.domain.formats.publiccode_packages import package_purl
from federation.domain.formats.solution_items import (
    MAX_SUMMARY,
    Readings,
    SolutionItem,
    repository_identity,
    words_of,
)
from federation.domain.formats.yaml_reading import read_yaml
from federation.domain.sources.reading import Item, Reading

KNOWN_VERSIONS = ("0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7")
"""Versions of the standard that are read as they are meant; another one is read, too, and reported."""
MAX_PACKAGES = 50
_KINDS = {"configurationfiles": "configuration"}
_SOFTWARE = ("standalone", "addon", "library")
"""Beginnings of software types that are software."""
_MAINTENANCE = frozenset({"internal", "contract", "community", "none"})


class Section:
    """The members of a mapping, by their names in small letters without hyphens."""

    def __init__(self, value: Any) -> None:
        self._members: dict[str, Any] = {}
        for name, member in value.items() if isinstance(value, Mapping) else ():
            self._members.setdefault(_plain(name), member)

    def get(self, *names: str) -> Any:
        """The first of some members that is there and not empty."""
        for name in names:
            if (value := self._members.get(_plain(name))) not in (None, "", [], {}):
                return value
        return None

    def section(self, name: str) -> Section:
        return Section(self._members.get(_plain(name)))

    def __contains__(self, name: str) -> bool:
        return _plain(name) in self._members


def _plain(name: str) -> str:
    return name.replace("-", "").replace("_", "").lower()


def read_publiccode(raw: bytes, *, place: str = "publiccode.yml", repository: str | None = None) -> Reading:
    """The solution of a publiccode.yml. Raises Invalid.

    ``repository``: the address that the file was found at, for a file that names none.
    """
    readings = Readings()
    readings.add(read_software(raw, place=place, repository=repository))
    return readings.reading()


def read_software(raw: bytes, *, place: str, repository: str | None = None) -> Item:
    """The item of a publiccode.yml. Raises Invalid."""
    document = read_yaml(raw)
    members = Section(document.value)
    version = _version(members)
    url = repository_url(members.get("url"))
    item = SolutionItem(place)
    for note in document.notes:
        item.note(note)
    if version not in KNOWN_VERSIONS:
        item.note("publiccodeYmlVersion: it is not one that is known here")
    if url is None and repository is not None:
        url = repository_url(repository)
        item.note("repository: none is named, taken from the address of the file")
    if url is None:
        raise Invalid("it names no repository that a record may have", pointer="/url")
    item.set_name(members.get("name"))
    item.set("repository", url)
    _read_members(item, members)
    identity, key = repository_identity(url)
    return item.build(identity=identity, key=key)


def _version(members: Section) -> str:
    """The version of the standard, without a last number. Raises Invalid for a file of another kind."""
    version = members.get("publiccodeYmlVersion", "publiccodeYamlVersion")
    if isinstance(version, str) and len(version) <= 20:
        numbers = version.strip().removeprefix("v").split(".")
        return ".".join(numbers[:2])
    if version is None and all(name in members for name in ("name", "url", "description", "legal")):
        return ""
    raise Invalid("it is no publiccode.yml: publiccodeYmlVersion is missing", pointer="/publiccodeYmlVersion")


def _read_members(item: SolutionItem, members: Section) -> None:
    releases = list(_releases(item, members))
    item.set("releases", releases)
    item.set("kind", _kind(item, clean_line(members.get("softwareType")) or ""))
    item.set_status(members.get("developmentStatus"), default="stable" if releases else "beta")
    item.set_licence(members.section("legal").get("license", "licence"))
    item.set_themes([*words_of(members.get("categories")), *words_of(members.get("tags"))])
    _read_descriptions(item, members.section("description"), members.get("description"))
    item.set_url("homepage", members.get("landingURL"))
    item.set("steward", _steward(members))
    maintenance = clean_line(members.section("maintenance").get("type")) or ""
    if maintenance.lower() in _MAINTENANCE:
        item.set("maintenance", maintenance.lower())
    elif maintenance:
        item.note("maintenance: it is not one of the standard, left out")
    item.set("packages", _packages(item, members.get("packages")))
    item.changed_at = instant_of(members.get("lastUpdated"))


def _kind(item: SolutionItem, software_type: str) -> str:
    plain = _plain(software_type)
    if not plain:
        item.note("kind: no softwareType is given, taken as software")
    elif not plain.startswith(_SOFTWARE) and plain not in _KINDS:
        item.note("kind: the softwareType is not one of the standard, taken as software")
    return _KINDS.get(plain, "software")


def _read_descriptions(item: SolutionItem, section: Section, value: Any) -> None:
    """Summary, description and documentation, from the texts by language."""
    languages = {tag: Section(texts) for tag, texts in value.items()} if isinstance(value, Mapping) else {}
    if isinstance(value, str):
        languages = {"en": Section({"shortDescription": value})}
        item.note("summary: its language is not named, taken as en")
    summaries = {
        tag: clean_line(texts.get("shortDescription", "genericName", "longDescription"), MAX_SUMMARY)
        for tag, texts in languages.items()
    }
    item.set_texts("summary", summaries, MAX_SUMMARY)
    long = {tag: texts.get("longDescription") for tag, texts in languages.items()}
    item.set_texts("description", long, MAX_TEXT)
    pages = [url for texts in languages.values() if (url := clean_url(texts.get("documentation")))]
    item.set("documentation", pages[0] if pages else None)


def _steward(members: Section) -> str | None:
    """The organisation that publishes the software; no name that a contact has, who is a person."""
    name = clean_line(
        members.section("organisation").get("name") or members.section("legal").get("repoOwner")
    )
    contacts = members.section("maintenance").get("contacts")
    persons = {clean_line(Section(contact).get("name")) for contact in contacts or () if contact}
    return None if name in persons else name


def _releases(item: SolutionItem, members: Section) -> Iterator[dict[str, str]]:
    """The version that the file calls the latest one."""
    latest = members.section("latestRelease")
    version = clean_text(members.get("softwareVersion") or latest.get("version"), 100)
    if version is None:
        return
    date = members.get("releaseDate") or latest.get("date")
    release = {"version": version}
    if (day := day_of(date)) is not None:
        release["released_at"] = day
    elif date:
        item.note("releases: the date of the release is none, left out")
    yield release


def _packages(item: SolutionItem, value: Any) -> list[dict[str, str]]:
    """Packages by their addresses in registries, as catalogues of the State list them."""
    purls: dict[str, None] = {}
    for entry in value[:MAX_PACKAGES] if isinstance(value, list) else ():
        package = Section(entry)
        purl = package_purl(package.get("systemName"), package.get("url"))
        if purl is None:
            item.note("packages: one whose address names no package is left out")
        else:
            purls[purl] = None
    return [{"purl": purl} for purl in purls]
