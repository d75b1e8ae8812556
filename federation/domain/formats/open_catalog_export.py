"""Entries of an open-catalog-api 1.4 (``/v1/software``, ``/publishers``, ``/catalogs``), in its own shapes.

Its ids are UUIDs of version 4 by pattern. Those here are made of the names of records, so that they are the
same at every node and after every start; nothing of them is random.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from federation.domain.content.operator import Operator
from federation.domain.content.solution import Solution
from federation.domain.document import Document
from federation.domain.formats.publiccode_export import Publication, has_publiccode, write_publiccode
from federation.domain.formats.repository import FLAT_FORGES, parse_address
from federation.domain.values import END

MAX_URL = 255
"""Characters of an address, at most (its schema)."""
MAX_PUBLICCODE = 99_999
MAX_DESCRIPTION = 255
MAX_CODE_HOSTING = 255
ROOT = "∅"
"""``alternativeId`` of the catalogue whose entries name none."""
DRIVER = "open-catalog-api"

CatalogId = Annotated[
    str,
    Meta(pattern="^[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89ab][a-f0-9]{3}-[a-f0-9]{12}" + END, max_length=36),
]
CatalogUrl = Annotated[str, Meta(min_length=1, max_length=MAX_URL)]


class CatalogSoftware(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A solution, with its publiccode.yml."""

    id: CatalogId
    catalog_id: CatalogId | None = None
    """The catalogue of another operator; absent for solutions of this one."""
    url: CatalogUrl
    publiccode_yml: str
    active: bool | None = None
    created_at: str
    updated_at: str


class CodeHosting(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A repository, or a group of them."""

    url: CatalogUrl
    group: bool
    created_at: str
    updated_at: str


class CatalogPublisher(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An operator that publishes solutions with a repository."""

    id: CatalogId
    catalog_id: CatalogId | None = None
    alternative_id: str
    """The id of the operator."""
    description: str
    email: str | None = None
    code_hosting: tuple[CodeHosting, ...]
    active: bool | None = None
    created_at: str
    updated_at: str


class CatalogSource(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A list that a catalogue is made of."""

    driver: str
    url: str


class SoftwareCatalog(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The solutions of one operator."""

    id: CatalogId
    name: str
    alternative_id: str
    active: bool | None = None
    sources: tuple[CatalogSource, ...]
    created_at: str
    updated_at: str


def entry_id(kind: str, name: str) -> str:
    """The id of an entry: made of its kind and name, with the form of a UUID of version 4."""
    digest = hashlib.sha256(f"{kind}\0{name}".encode()).digest()[:16]
    return str(uuid.UUID(bytes=digest, version=4))


def software(
    document: Document[Solution], *, operator: str, url: str, catalog: str | None
) -> CatalogSoftware | None:
    """The entry of a solution; None for one that a catalogue of source code cannot hold."""
    solution = document.content
    if solution is None or solution.repository is None or not has_publiccode(solution):
        return None
    text = write_publiccode(Publication(solution, operator, url))
    if len(solution.repository) > MAX_URL or len(text) > MAX_PUBLICCODE:
        return None
    return CatalogSoftware(
        id=entry_id("software", f"{document.origin}/{document.key}"),
        catalog_id=catalog,
        url=solution.repository,
        publiccode_yml=text,
        active=True,
        created_at=document.created_at,
        updated_at=document.updated_at,
    )


def publisher(
    document: Document[Operator], repositories: Iterable[str], *, catalog: str | None
) -> CatalogPublisher | None:
    """The entry of an operator; None for one without a repository."""
    operator = document.content
    places = dict(map(_hosting, repositories))
    hosting = tuple(
        CodeHosting(url=url, group=is_group, created_at=document.created_at, updated_at=document.updated_at)
        for url, is_group in list(places.items())[:MAX_CODE_HOSTING]
        if len(url) <= MAX_URL
    )
    if operator is None or not hosting:
        return None
    return CatalogPublisher(
        id=entry_id("publisher", document.origin),
        catalog_id=catalog,
        alternative_id=document.origin,
        description=operator.name[:MAX_DESCRIPTION],
        email=operator.contact,
        code_hosting=hosting,
        active=True,
        created_at=document.created_at,
        updated_at=document.updated_at,
    )


def _hosting(repository: str) -> tuple[str, bool]:
    """The group of a repository where its form shows one, else the repository; and which of the two it is."""
    address = parse_address(repository)
    page = repository.partition("?")[0].partition("#")[0].rstrip("/").removesuffix(".git")
    segments = page.partition("://")[2].split("/")
    if address is None or not (address.host in FLAT_FORGES or address.is_repository) or len(segments) < 3:
        return repository, False
    return page.rpartition("/")[0] + "/", True


def catalog_id(origin: str, home: str | None) -> str | None:
    """The id of an operator's catalogue; None where its record names no node that serves it."""
    return entry_id("catalog", origin) if home else None


def catalog(document: Document[Operator], *, is_root: bool) -> SoftwareCatalog | None:
    """The catalogue of an operator; None for another one whose record names no node."""
    operator = document.content
    if operator is None or not (is_root or operator.node):
        return None
    sources: tuple[CatalogSource, ...] = ()
    if not is_root:
        url = f"{(operator.node or '').rstrip('/')}/catalog/v1/software"
        sources = (CatalogSource(driver=DRIVER, url=url),)
    return SoftwareCatalog(
        id=entry_id("catalog", document.origin),
        name=operator.name,
        alternative_id=ROOT if is_root else document.origin,
        active=True,
        sources=sources,
        created_at=document.created_at,
        updated_at=document.updated_at,
    )
