"""Identity and age of the documents that incidents are made of.

A document is identified by the namespace of its publisher and its own id (CSAF 2.1, 3.2.2.13.4); an id alone
is unique at one publisher only. Its age is its version, where its form orders versions, and else the time of
its last change. An older copy changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from federation.domain.addresses import address_problem
from federation.domain.content.incident import document_identity
from federation.domain.formats.advisory import Finding, parse_instant, short_hash, text
from federation.domain.values import as_instant

MAX_NAME = 300
"""Characters of a publisher's namespace and of a document's id, at most (``Incident.source``)."""
_URL = re.compile(r"https?://[^\s\"<>\\^`{|}]{1,2000}")
_INTEGER = re.compile(r"0|[1-9][0-9]{0,17}")
_SEMVER = re.compile(
    r"([0-9]{1,18})\.([0-9]{1,18})\.([0-9]{1,18})(?:-([0-9A-Za-z.-]{1,80}))?(?:\+[0-9A-Za-z.-]{1,80})?"
)


def is_url(text_: str) -> bool:
    """True for a URL as a record may have it."""
    return _URL.fullmatch(text_) is not None and address_problem(text_) is None


def source_of(finding: Finding, sha256: str) -> dict[str, Any]:
    """The source of an incident: the document it is made from."""
    source: dict[str, Any] = {"url": finding.url, "sha256": sha256}
    if finding.publisher:
        source["publisher"] = _namespace(finding.publisher)
    if finding.document:
        source["document"] = text(finding.document, MAX_NAME)
    if finding.version:
        source["version"] = text(finding.version, 100)
    if finding.modified is not None:
        source["modified_at"] = as_instant(finding.modified)
    return source


def describes(finding: Finding, source: Mapping[str, Any]) -> bool:
    """True where an incident's source is the document of a finding, in whatever version.

    Incidents of earlier programs name no document: their URL is of the same site, and the caller has found
    them by the document's id.
    """
    if "document" in source and finding.document:
        return (source.get("publisher", ""), source["document"]) == (
            _namespace(finding.publisher),
            text(finding.document, MAX_NAME),
        )
    return _host(source.get("url", "")) in {_host(finding.url), _host(finding.publisher)}


def identity_of(finding: Finding) -> str:
    """The document of a finding, as its incidents are found by it."""
    return document_identity(_namespace(finding.publisher), text(finding.document, MAX_NAME))


class OwnIncident(NamedTuple):
    """A stored incident of this operator: its key and its content."""

    key: str
    content: Mapping[str, Any]

    @property
    def source(self) -> Mapping[str, Any]:
        source: Mapping[str, Any] = self.content.get("source", {})
        return source


def stored_keys(findings: Sequence[Finding], incidents: Sequence[OwnIncident]) -> dict[str, str]:
    """The key of the stored incident of each finding by the finding's id, where its document has one.

    An incident keeps its key when its vulnerability gets another name: it is found by an id that no other
    vulnerability of the document has, or, where an earlier program has named it by its place, by its title.
    """
    keys = {incident.key for incident in incidents}
    found = {finding.id: finding.key for finding in findings if finding.key in keys}
    for name_of in (_identifiers, _titles):
        free = [incident for incident in incidents if incident.key not in found.values()]
        wanted = [finding for finding in findings if finding.id not in found]
        for finding in wanted:
            names = name_of(finding)
            matching = [incident for incident in free if names & _names(incident)]
            rivals = [other for other in wanted if names & name_of(other)]
            if len(matching) == 1 and len(rivals) == 1:
                found[finding.id] = matching[0].key
    return found


def _identifiers(finding: Finding) -> set[str]:
    return {name.upper() for name in finding.identifiers}


def _titles(finding: Finding) -> set[str]:
    return set() if finding.identifiers else {f"title {text(finding.title, 300)}"}


def _names(incident: OwnIncident) -> set[str]:
    names = {alias.upper() for alias in incident.content.get("aliases", ())}
    if "document" not in incident.source:
        names |= {f"title {title}" for title in incident.content.get("title", {}).values()}
    return names


def key_apart(finding: Finding) -> str:
    """A key for a finding whose own key is taken by a document of another publisher."""
    suffix = short_hash(_namespace(finding.publisher) or _host(finding.url), finding.document or finding.id)[
        :8
    ]
    return f"{finding.key[:119]}~{suffix}"


def _namespace(publisher: str) -> str:
    """A namespace in one form: scheme and host in lower case, without a last slash."""
    try:
        parts = urlsplit(publisher.strip())
    except ValueError:
        return text(publisher, MAX_NAME) if publisher else ""
    url = parts._replace(scheme=parts.scheme.lower(), netloc=parts.netloc.lower()).geturl().rstrip("/")
    return text(url, MAX_NAME) if url else ""


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or url).lower()
    except ValueError:
        return url


def age(finding: Finding, source: Mapping[str, Any]) -> int | None:
    """1 where a finding is newer than the document that ``source`` names, -1 where it is older, 0 where both
    are of one age; None where that cannot be compared."""
    version = source.get("version")
    order = _compare_versions(finding.version, version) if finding.version and version else None
    if order:
        return order
    modified = parse_instant(source.get("modified_at"))
    if finding.modified is None and finding.published and modified and finding.published < modified:
        return -1  # as it was published first: no later change is noted
    if finding.modified is None or modified is None:
        return order
    return (finding.modified > modified) - (finding.modified < modified)


def describe_age(version: str | None, modified: str | None) -> str:
    """A version and a time in words, for reports."""
    words = [f"version {version}" if version else "", f"of {modified}" if modified else ""]
    return " ".join(word for word in words if word)


def _compare_versions(version: str, other: str) -> int | None:
    """Integer or semantic versioning (CSAF 2.1, 3.1.13); None where the two differ in kind or are neither."""
    if _INTEGER.fullmatch(version) and _INTEGER.fullmatch(other):
        return (int(version) > int(other)) - (int(version) < int(other))
    first, second = _SEMVER.fullmatch(version), _SEMVER.fullmatch(other)
    if first is None or second is None:
        return None
    left, right = _precedence(first), _precedence(second)
    return (left > right) - (left < right)


def _precedence(match: re.Match[str]) -> tuple[Any, ...]:
    """A key that orders as SemVer 2.0, 11 does: build metadata does not count."""
    numbers = tuple(int(match[part]) for part in (1, 2, 3))
    if match[4] is None:
        return (*numbers, 1, ())
    parts = tuple(
        (0, int(part), "") if re.fullmatch(r"[0-9]{1,80}", part) else (1, 0, part)
        for part in match[4].split(".")
    )
    return (*numbers, 0, parts)
