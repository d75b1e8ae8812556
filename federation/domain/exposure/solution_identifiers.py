"""The identifiers of the product that the record of a solution names, each in one form.

Some identifiers are *doubtful*: at most forges the page of a group looks like that of a repository, an image
without its registry may be any, and two CPEs may differ in hyphens and underscores alone. The record then has
the identifier alone, and once more with the name of its solution. Two that share it and the name are one
software; where only the identifier is shared it makes a question. An address that is written as that of a
clone, or of a page within a repository, is no group's.
"""

from __future__ import annotations

import re
from typing import Protocol
from urllib.parse import quote, unquote_plus, urlsplit

from federation.domain.content.solution import Package
from federation.domain.formats.cpe import parse_cpe
from federation.domain.formats.names import NO_VALUE, cpe_name, purl_name
from federation.domain.formats.repository import FLAT_FORGES, parse_address
from federation.domain.values import END, KEY_PATTERN, OPERATOR_PATTERN

IDENTIFIERS_EDITION = 3
"""Raised when identifiers get another form, or codes another territory: what is stored is then made anew."""
MAX_URI_BYTES = 500
"""Bytes of an identifier that is compared; longer ones are ignored."""


class Product(Protocol):
    """The members of a solution's content that say what it is."""

    @property
    def name(self) -> str: ...
    @property
    def repository(self) -> str | None: ...
    @property
    def packages(self) -> tuple[Package, ...]: ...


class ProductRecord(Protocol):
    """The document of a solution, or as much of it as can be read."""

    @property
    def origin(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def same_as(self) -> tuple[str, ...]: ...
    @property
    def content(self) -> Product | None: ...


def identifiers(document: ProductRecord) -> tuple[str, ...]:
    """The identifiers in the record of a solution, each in one form, however it was written.

    Other solutions as ``origin/key``, everything else as a URI. A doubtful one is followed by one with the
    name of the solution, or with ``.git`` where the record itself leaves no doubt.
    """
    content = document.content
    if content is None:
        return ()
    uris = [content.repository or ""]
    for package in content.packages:
        uris += [package.purl or "", package.cpe or ""]
    name = re.sub(r"[\W_]+", "-", content.name.casefold()).strip("-")
    canonical: dict[str, None] = {}
    for uri in (*uris, *document.same_as):
        identified = identifier(uri)
        if identified is None:
            continue
        canonical[identified] = None
        if is_doubtful(identified) and _is_repository(uri):
            canonical[proof_of(identified)] = None
        elif is_doubtful(identified) and name:
            canonical[f"{identified}#{name}"] = None
        if identified.startswith(_CPE) and (loose := cpe_name(uri)) and _SEPARATORS.search(identified):
            canonical[loose] = None
            if name:
                canonical[f"{loose}#{name}"] = None
    itself = f"{document.origin}/{document.key}"
    return tuple(text for text in canonical if text != itself and len(text.encode()) <= MAX_URI_BYTES)


def identifier(uri: str) -> str | None:
    """The canonical form of an identifier of a product; None for a URI that identifies none."""
    scheme, _, rest = uri.partition(":")
    match scheme.lower():
        case "pkg":
            canonical = _package(uri)
        case "cpe":
            canonical = _platform(uri)
        case "http" | "https":
            canonical = _page(uri) or _address(uri)
        case "git" | "ssh" | "git+https" | "git+http" | "git+ssh" | "github" | "gitlab" | "bitbucket" | "scm":
            canonical = _address(uri)
        case _ if "@" in scheme:
            canonical = _address(uri)
        case _:
            canonical = f"{scheme}:{rest}".lower() if rest else None
    return canonical if canonical and len(canonical.encode()) <= MAX_URI_BYTES else None


def is_doubtful(identifier_: str) -> bool:
    """True for an identifier that may be of several products, as far as its form shows."""
    if identifier_.startswith("https://"):
        host, _, path = identifier_.removeprefix("https://").partition("/")
        is_clear = path.endswith(".git") or "#" in path or _ENTRY.search(path)
        return host not in _CLEAR_HOSTS and not is_clear
    if "#" in identifier_:
        return False
    if identifier_.startswith("cpe:"):
        return not identifier_.startswith(_CPE)
    return identifier_.startswith("pkg:oci/") and identifier_.count("/") == 1


def proof_of(identifier_: str) -> str:
    """The identifier that a record has beside a doubtful one, where it leaves no doubt."""
    return f"{identifier_}.git"


def _is_repository(uri: str) -> bool:
    if uri[:4].lower() == "pkg:":
        return not uri.lower().startswith("pkg:oci/")
    address = parse_address(uri)
    return address is not None and address.is_repository


def is_record(identifier_: str) -> bool:
    """True for the id of another solution of the federation."""
    return ":" not in identifier_


_ID = "/".join(pattern.removeprefix("^").removesuffix(END) for pattern in (OPERATOR_PATTERN, KEY_PATTERN))
_ENTRY = re.compile(r"[?&;](?:p=[^&;]*[.]git|(?:id|name)=[^&;]+)(?:[&;]|$)")
"""The repository in an address of gitweb, or the entry of a catalogue. Others sort a list, or search it."""
_RECORD = re.compile(rf"/v1/solutions/({_ID})/?")
_WIKIDATA = re.compile(r"(?:wiki|entity)/(q[0-9]{1,12})")
_COMPTOIR = re.compile(r"(?:[a-z]{2}/)?softwares/([0-9]{1,9})")
_SILL = re.compile(r"(?:sill/)?(?:[a-z]{2}/)?(?:detail|software|readme)")
_SILL_HOSTS = frozenset({"code.gouv.fr", "sill.code.gouv.fr", "sill.etalab.gouv.fr"})
_NAME = re.compile(r"(?:^|&)name=([^&]+)")
_CLEAR_HOSTS = FLAT_FORGES | {"www.wikidata.org", "comptoir-du-libre.org"}
"""Hosts whose addresses leave no doubt which product they are of."""


def _page(url: str) -> str | None:
    """The record of another node, or the entry of a catalogue, that an address is of."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").removeprefix("www.")
    except ValueError:
        return None
    if record := _RECORD.fullmatch(parts.path[parts.path.find("/v1/solutions/") :]):
        return record[1]
    path = re.sub(r"/+", "/", parts.path).strip("/").lower()
    if host in ("wikidata.org", "m.wikidata.org") and (entity := _WIKIDATA.fullmatch(path)):
        return f"https://www.wikidata.org/entity/{entity[1].upper()}"
    if host == "comptoir-du-libre.org" and (software := _COMPTOIR.fullmatch(path)):
        return f"https://comptoir-du-libre.org/softwares/{software[1]}"
    if host in _SILL_HOSTS and _SILL.fullmatch(path) and (name := _NAME.search(parts.query)):
        return f"https://code.gouv.fr/sill/detail?name={quote(unquote_plus(name[1]).lower())}"
    return None


def _address(url: str) -> str | None:
    address = parse_address(url)
    return address.url if address else None


def _package(text: str) -> str | None:
    """A purl without version and qualifiers; the address of a repository for a purl of a forge."""
    kind, _, rest = (purl_name(text) or "").partition(":")
    if not rest:
        return None
    return f"https://{rest}" if kind == "repository" else f"pkg:{rest}"


_CPE = "cpe:2.3:"
_SEPARATORS = re.compile("[-_]")
_SPECIAL = re.compile(r"[^\w.-]")


def _platform(text: str) -> str | None:
    """A CPE as far as its product: neither version nor edition."""
    cpe = parse_cpe(text)
    words = (cpe.part, cpe.vendor, cpe.product) if cpe else ("",)
    if not NO_VALUE.isdisjoint(words):
        return None
    return f"{_CPE}{':'.join(_SPECIAL.sub(lambda match: chr(92) + match[0], word) for word in words)}"
