"""Read in part what this version does not understand, so that exposure answers unknown and not "no".

Each member is decoded alone, by its present schema. A member that can be read keeps its meaning in all of v1;
one that cannot be read counts as if it said whatever affects most: every solution, every deployment, open.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from federation.domain.canonical import has_plain_text
from federation.domain.content.deployment import Coverage
from federation.domain.content.incident import STATUSES, Affected
from federation.domain.content.solution import Package
from federation.domain.document import SameAs
from federation.domain.exposure.solution_identifiers import identifiers
from federation.domain.values import Id, LanguageMap, Line, Url

UNKNOWN_SOLUTION = ""
"""The solution of a deployment whose own cannot be read: it may be any."""
NOT_UNDERSTOOD = "not-understood"
"""State of the version of deployments that are not understood, in the groups of exposure."""
ANY_IDENTIFIER = "not understood:"
"""Stands for the identifiers of a solution that cannot all be read: it may be the same software as any other.
(No record has it: an identifier has no space.)"""
IN_WORDS = r"^[a-z][a-z_-]{0,39}$"

Word = Annotated[str, Meta(pattern=IN_WORDS)]
"""A value of an enumeration, known or not."""


# Members


class _Document(msgspec.Struct):
    content: dict[str, msgspec.Raw] = {}
    same_as: msgspec.Raw = msgspec.Raw(b"[]")


_document = msgspec.json.Decoder(_Document)


@lru_cache
def _decoder(type_: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_)


def _members(document: bytes) -> tuple[dict[str, msgspec.Raw], msgspec.Raw]:
    """The members of a content, and ``same_as``; none of a content that is no object."""
    try:
        read = _document.decode(document)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}, msgspec.Raw(b"null")
    return read.content, read.same_as


def _read(raw: msgspec.Raw | None, type_: Any, otherwise: Any) -> Any:
    """The value of a member; ``otherwise`` where it is absent or cannot be read."""
    if raw is None:
        return otherwise
    try:
        return _decoder(type_).decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return otherwise


# Deployments


class PartialDeployment(msgspec.Struct, frozen=True):
    """What can be read of a deployment."""

    solution: str
    coverage: Coverage | None


def partial_deployment(document: bytes) -> PartialDeployment:
    """The solution and the coverage of a deployment, as far as they can be read."""
    members, _ = _members(document)
    return PartialDeployment(
        _read(members.get("solution"), Id, UNKNOWN_SOLUTION), _read(members.get("coverage"), Coverage, None)
    )


# Solutions


class _Product(msgspec.Struct, frozen=True):
    name: str
    repository: str | None
    packages: tuple[Package, ...]


class _PartialSolution(msgspec.Struct, frozen=True):
    origin: str
    key: str
    content: _Product
    same_as: tuple[str, ...]


_MISSING: Any = object()
_Packages = Annotated[tuple[Package, ...], Meta(max_length=50)]


def partial_identifiers(document: bytes, origin: str, key: str) -> tuple[str, ...]:
    """The identifiers of a solution that can be read, and ``ANY_IDENTIFIER`` where some cannot."""
    members, same_as = _members(document)
    name = _read(members.get("name"), Line, _MISSING)
    repository = _read(members.get("repository", msgspec.Raw(b"null")), Url | None, _MISSING)
    packages = _read(members.get("packages", msgspec.Raw(b"[]")), _Packages, _MISSING)
    others = _read(same_as, SameAs, _MISSING)
    product = _Product(
        "" if name is _MISSING else name,
        None if repository is _MISSING else repository,
        () if packages is _MISSING else packages,
    )
    solution = _PartialSolution(origin, key, product, () if others is _MISSING else others)
    found = identifiers(solution)
    return found if _MISSING not in (name, repository, packages, others) else (*found, ANY_IDENTIFIER)


# Statements


def partial_statement(document: bytes) -> str | None:
    """The incident that a statement is on; None where it cannot be read: it may be any."""
    incident: str | None = _read(_members(document)[0].get("incident"), Id, None)
    return incident


# Incidents


MAX_ALIASES = 1_000
"""Aliases of an incident that are read, at most."""


class PartialIncident(msgspec.Struct, frozen=True):
    """What can be read of an incident, under the names that an incident's content has."""

    title: dict[str, str]
    kind: str
    status: str
    severity: str
    affects: tuple[Affected, ...]
    affects_any: bool
    """Whether some of what it affects cannot be read."""
    aliases: tuple[str, ...] = ()
    """None: a statement on another incident must not answer it."""
    exploitation: str | None = None

    def is_overdue(self, now: datetime) -> bool:
        """Never: the end of a window may mean something else."""
        return False


_Aliases = Annotated[list[str], Meta(max_length=MAX_ALIASES)]


def partial_aliases(document: bytes) -> frozenset[str] | None:
    """The aliases of an incident; None where they cannot all be read: they may be any."""
    members, _ = _members(document)
    if not members:
        return None
    listed: list[str] | None = _read(members.get("aliases", msgspec.Raw(b"[]")), _Aliases, None)
    return None if listed is None else frozenset(listed)


MAX_ENTRIES = 100
"""Entries of an incident that are read, as many as one that is understood has."""
_Deployments = Annotated[tuple[Id, ...], Meta(max_length=1_000)]


class _PartialEntry(msgspec.Struct):
    solution: msgspec.Raw = msgspec.Raw()
    deployments: msgspec.Raw = msgspec.Raw(b"[]")
    range: msgspec.Raw = msgspec.Raw()
    range_text: msgspec.Raw = msgspec.Raw()


_OVER = frozenset({"resolved", "completed", "fixed", "withdrawn"})
_STATUSES = frozenset(status for statuses in STATUSES.values() for status in statuses)


def partial_incident(document: bytes) -> PartialIncident:
    """An incident as far as it can be read."""
    members, _ = _members(document)
    title = members.get("title")
    listed = _read(members.get("affects"), list[msgspec.Raw], None)
    entries = [_partial_entry(entry) for entry in (listed or ())[:MAX_ENTRIES]]
    return PartialIncident(
        title=_read(title, LanguageMap, {}) if title is not None and has_plain_text(bytes(title)) else {},
        kind=_read(members.get("kind"), Word, "unknown"),
        status=_read(members.get("status"), Word, "unknown"),
        severity=_read(members.get("severity"), Word, "unknown"),
        affects=tuple(entry for entry in entries if entry is not None),
        affects_any=not entries or None in entries or len(listed) > MAX_ENTRIES,
        exploitation=_read(members.get("exploitation"), Word, None),
    )


def _partial_entry(raw: msgspec.Raw) -> Affected | None:
    """An entry without the bounds of its range; None where neither solution nor deployments can be read."""
    entry = _read(raw, _PartialEntry, None)
    if entry is None:
        return None
    solution = _read(entry.solution, Id, None) if entry.solution else None
    deployments = _read(entry.deployments, _Deployments, None)
    if deployments is None or (solution is None and (entry.solution or not deployments)):
        return None
    # That there is a range makes it one of the software, and not of the place where it runs.
    has_range = bool(entry.range or entry.range_text)
    return Affected(
        solution=solution, deployments=deployments, range_text="not understood" if has_range else None
    )


def is_over(status: str) -> bool:
    """True for a status that ends an incident; a status of a later version may not."""
    return status in _OVER and status in _STATUSES
