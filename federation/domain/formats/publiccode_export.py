"""A solution as a publiccode.yml 0.7 (https://yml.publiccode.tools), valid by the rules of its Go parser.

The standard asks for more than a solution has. What is missing is made of what is there, and a comment at
the beginning of the file says what: nothing else is invented. A solution without a repository, or with a
licence that is not of the SPDX list, has no publiccode.yml.

Length is counted in characters here and in grapheme clusters by the parser, of which a text never has more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from federation.domain.content.solution import PUBLICCODE_THEMES, Release, Solution
from federation.domain.errors import NotFound
from federation.domain.organisation import Organisation

VERSION = "0.7"
MEDIA_TYPE = "application/yaml"
MAX_SHORT = 150
"""Characters of ``shortDescription``, at most."""
MIN_LONG = 150
MAX_LONG = 10_000
"""Characters of ``longDescription``."""
_TYPES = {"service": "standalone/web", "configuration": "configurationFiles"}
_THEMES = {
    "cybersecurity": "it-security", "signature": "e-signature", "geodata": "geographic-information-systems",
    "education": "educational-content",
}  # fmt: skip
"""Categories for themes of this project."""
_SENTENCES = {
    "fr": (
        "{name} est un logiciel sous licence {licence}, dont le code source est à l'adresse {repository}.",
        "Cette description a été faite de la fiche de {operator} : elle est maintenue par cet opérateur"
        " et publiée à l'adresse {record}.",
        "Pour en savoir plus, écrivez à cet opérateur ou lisez la fiche complète à cette adresse.",
    ),
    "en": (
        "{name} is software under the licence {licence}, whose source code is at {repository}.",
        "This description was made of the record of {operator}, which maintains it and publishes it at"
        " {record}.",
        "To learn more, write to that operator or read the whole record at that address.",
    ),
}
"""Sentences that make a description long enough, one by one."""


class Publication(msgspec.Struct, frozen=True):
    """The record that a file is made of."""

    solution: Solution
    operator: str
    """The name of its operator."""
    url: str
    """The address of the record."""


def has_publiccode(solution: Solution) -> bool:
    """True for a solution that the standard can describe: open source, in a repository."""
    return bool(solution.repository) and "LicenseRef-" not in solution.licence


def write_publiccode(publication: Publication) -> str:
    """The file. Raises NotFound for a solution that has none."""
    solution = publication.solution
    if not solution.repository:
        raise NotFound("a publiccode.yml needs a repository, and this solution has none")
    if not has_publiccode(solution):
        raise NotFound("a publiccode.yml needs a licence of the SPDX list, and this solution has none")
    made: list[str] = []
    members = dict(_members(publication, made))
    comment = [f"# Made of the record {publication.url}"]
    comment += [f"# {line}" for line in made]
    body = yaml.dump(members, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=100)
    return "\n".join(comment) + "\n" + body


def _members(publication: Publication, made: list[str]) -> Iterator[tuple[str, Any]]:
    """The members of the file in the order of the standard; what they were made of goes to ``made``."""
    solution = publication.solution
    yield "publiccodeYmlVersion", VERSION
    yield "name", " ".join(solution.name.split())
    yield "url", solution.repository
    if solution.homepage:
        yield "landingURL", solution.homepage
    if (release := _latest(solution.releases)) is not None:
        yield "softwareVersion", release.version
        if release.released_at is not None:
            yield "releaseDate", release.released_at
    if isinstance(solution.steward, Organisation) and (uri := _uri(solution.steward)):
        name = {"name": solution.steward.name} if solution.steward.name else {}
        yield "organisation", {"uri": uri, **name}
    made.append("platforms: the record names none")
    yield "platforms", ["web"] if solution.kind == "service" else ["other"]
    if categories := list(_categories(solution.themes)):
        yield "categories", categories
    yield "developmentStatus", solution.status
    yield "softwareType", _TYPES.get(solution.kind, "standalone/other")
    yield "description", dict(_descriptions(publication, made))
    yield "legal", {"license": solution.licence}
    yield "maintenance", _maintenance(publication, made)
    languages = list(solution.summary)
    made.append("localisation: the languages are those of the record")
    yield "localisation", {"localisationReady": len(languages) > 1, "availableLanguages": languages}


def _latest(releases: tuple[Release, ...]) -> Release | None:
    """The release that came last, where times say which one, else the only one."""
    dated = [release for release in releases if release.released_at is not None]
    if dated:
        return max(dated, key=lambda release: release.released_at or "")
    return releases[0] if len(releases) == 1 else None


def _uri(organisation: Organisation) -> str | None:
    """An address that identifies a body: its page in the register of French enterprises."""
    for identifier in organisation.identifiers:
        if identifier.scheme == "0002":
            return f"https://annuaire-entreprises.data.gouv.fr/entreprise/{identifier.value}"
    return None


def _categories(themes: tuple[str, ...]) -> Iterator[str]:
    seen = set()
    for theme in themes:
        category = _THEMES.get(theme, theme)
        if category in _CATEGORIES and category not in seen:
            seen.add(category)
            yield category


_CATEGORIES = frozenset(PUBLICCODE_THEMES)


def _descriptions(publication: Publication, made: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    solution = publication.solution
    themes = [theme.replace("-", " ") for theme in solution.themes if theme != "other"]
    made.append("features: they are the themes of the record, else its summary")
    for tag, summary in solution.summary.items():
        short = " ".join(summary.split())
        long = _long(publication, tag, (solution.description or {}).get(tag) or summary, made)
        if len(short) > MAX_SHORT:
            short = short[: MAX_SHORT - 1].rstrip() + "…"
        texts: dict[str, Any] = {"shortDescription": short, "longDescription": long}
        if solution.documentation:
            texts["documentation"] = solution.documentation
        yield tag, {**texts, "features": themes or [short]}


def _long(publication: Publication, tag: str, text: str, made: list[str]) -> str:
    """A text of ``MIN_LONG`` to ``MAX_LONG`` characters, without spaces at ends of lines."""
    text = "\n".join(line.rstrip() for line in text.splitlines())
    if len(text) > MAX_LONG:
        return text[: MAX_LONG - 1].rstrip() + "…"
    if _clusters_at_least(text, MIN_LONG):
        return text
    made.append(f"longDescription ({tag}): sentences about the record follow the text, which is too short")
    solution = publication.solution
    values = {
        "name": solution.name, "licence": solution.licence, "repository": solution.repository,
        "operator": publication.operator, "record": publication.url,
    }  # fmt: skip
    for sentence in _SENTENCES["fr" if tag.split("-")[0] == "fr" else "en"]:
        text = f"{text.rstrip()}\n\n{sentence.format_map(values)}"
        if _clusters_at_least(text, MIN_LONG):
            break
    return text


def _clusters_at_least(text: str, number: int) -> bool:
    """True for a text that surely has so many grapheme clusters: no mark, joiner or emoji is counted."""
    return sum(1 for character in text if character < "\u0300") >= number


def _maintenance(publication: Publication, made: list[str]) -> dict[str, Any]:
    """The kind of maintenance, and a contact: an organisation, since records name no persons."""
    solution = publication.solution
    steward = solution.steward.name if isinstance(solution.steward, Organisation) else solution.steward
    kind = solution.maintenance
    if kind is None:
        kind = "internal" if steward else "community"
        made.append("maintenance: the record names no kind of it")
    elif kind == "contract":
        kind = "internal"
        made.append("maintenance: there is a contract, whose contractor and end the record does not name")
    if kind == "none":
        return {"type": kind}
    made.append("maintenance.contacts: an organisation, since records name no persons")
    return {"type": kind, "contacts": [{"name": steward or publication.operator}]}


_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_SafeDumper):  # type: ignore[misc] # one of two classes, by what is built in
    """Writes texts of several lines as blocks, and quotes what YAML 1.1 or 1.2 would read as no text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> Any:
    # YAML 1.2 and 1.1 differ in what is a number: a text that begins like one is quoted.
    style = "|" if "\n" in text else None if text[:1].isalpha() else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
