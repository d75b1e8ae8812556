"""Links between solutions that are the same software, and the reach of one record's word.

Operators register what they run under keys of their own, so one product is several solutions: arnia/glpi and
megalis/glpi. Their records make them one by what they name: the repository, a package (purl, CPE), and the
addresses of ``same_as``: an entry of Wikidata or of a catalogue, or another operator's record. A name or a
home page makes nothing the same.

Some identifiers are *doubtful*: at most forges the page of a group looks like that of a repository, an image
without its registry may be any, and two CPEs may differ in hyphens and underscores alone. The record then has
the identifier alone, and once more with the name of its solution. Two that share it and the name are one
software; where only the identifier is shared it makes a question. An address that is written as that of a
clone, or of a page within a repository, is no group's.

**A record speaks for itself and for the records it names, and for nobody else.** Two solutions are one
software where what the one names, and what the records it names name, meets what the other does. So a record
that names the repository of one product and the package of another makes these two no neighbours: its writer
stretches the exposure of its own deployments, and of nobody else's. Nothing spreads from one such pair to the
next.

A link that rests only on the word of the incident's side about a record that does not return it is not
*certain*: nobody on the other side confirms it, and it makes a question (unknown), never an answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote, unquote_plus, urlsplit

import msgspec

from federation.domain.content.solution import Solution
from federation.domain.document import Document
from federation.domain.formats.cpe import parse_cpe
from federation.domain.formats.names import NO_VALUE, cpe_name, read_purl
from federation.domain.formats.repository import FLAT_FORGES, PURL_FORGES, parse_address
from federation.domain.values import END, KEY_PATTERN, OPERATOR_PATTERN

IDENTIFIERS_EDITION = 3
"""Raised when identifiers get another form, or codes another territory: what is stored is then made anew."""
MAX_URI_BYTES = 500
"""Bytes of an identifier that is compared; longer ones are ignored."""
MAX_STEPS = 3
"""Records that name the next one, in a row, at most."""
MAX_ADOPTED = 100
"""Records that one speaks for, directly and through others, at most."""
MAX_LINKS_PER_SOLUTION = 10
"""Linked solutions of one operator, at most: one that has many leaves room for the others."""
MAX_LISTED = 100
"""Links that one answer explains, at most."""


class NamedBy(msgspec.Struct, frozen=True):
    """An identifier in the record of a solution."""

    solution: str
    """The solution of the record."""
    names: str
    """The identifier: an address, a package, or another solution."""


class Link(msgspec.Struct, frozen=True):
    """The reason that a solution is the same software as another one."""

    certain: bool
    because: tuple[NamedBy, ...]
    """The records that say so, from one solution to the other."""


class LinkedSolution(msgspec.Struct, frozen=True):
    """A solution whose deployments are counted since it is the software that an incident names otherwise."""

    solution: str
    """The solution whose deployments are counted."""
    named: str
    """The solution that the incident names."""
    certain: bool
    """False when only the side of the incident says so: then what would be affected is unknown."""
    because: tuple[NamedBy, ...]
    """The records that say so, from one solution to the other."""


# Identifiers


def identifiers(document: Document[Solution]) -> tuple[str, ...]:
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
    purl = read_purl(text)
    if purl is None:
        return None
    if host := PURL_FORGES.get(purl.type):
        return _address(f"https://{host}/{purl.namespace}/{purl.name}")
    return f"pkg:{'/'.join(part for part in (purl.type, purl.namespace, purl.name) if part)}"


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


# Links


class Links:
    """For solutions that incidents name, the others that are the same software."""

    def __init__(self, by_named: Mapping[str, Mapping[str, Link]], *, more: bool = False) -> None:
        self._by_named = by_named
        self.more = more
        """True when there are more that were not read."""

    @property
    def solutions(self) -> frozenset[str]:
        """All solutions that are linked with one of those named."""
        return frozenset(solution for links in self._by_named.values() for solution in links)

    def between(self, named: str, solution: str) -> Link | None:
        linked = self._by_named.get(named)
        return linked.get(solution) if linked else None

    def of(self, named: Iterable[str]) -> Links:
        """The links of some of the solutions that are named."""
        return Links(
            {solution: self._by_named[solution] for solution in named if solution in self._by_named},
            more=self.more,
        )

    def to_view(self, pairs: Iterable[tuple[str, str]]) -> tuple[LinkedSolution, ...]:
        """The reason for each pair (solution named, solution counted), in order; ``MAX_LISTED`` at most."""
        reasons = []
        for solution, named in sorted({(solution, named) for named, solution in pairs})[:MAX_LISTED]:
            link = self.between(named, solution)
            if link is not None:
                reasons.append(LinkedSolution(solution, named, link.certain, link.because))
        return tuple(reasons)


NO_LINKS = Links({})


def links(
    named: str, identifiers_: Mapping[str, Sequence[str]], namers: Mapping[str, Sequence[str]]
) -> tuple[dict[str, Link], bool]:
    """The solutions that are the same software as the one that an incident names; True when there are more.

    ``identifiers_`` are those in the records of solutions, ``namers`` the solutions whose records have an
    identifier: of both no more than the caller may see. Of several reasons a certain one is the answer, then
    a short one.
    """
    linked: dict[str, Link] = {}
    by_origin: Counter[str] = Counter()
    more = False

    def add(solution: str, certain: bool, because: tuple[NamedBy, ...]) -> bool:
        """Link a solution that is not linked yet; False when there is no more room for its operator."""
        nonlocal more
        origin = solution.partition("/")[0]
        if solution not in linked and solution != named:
            if by_origin[origin] >= MAX_LINKS_PER_SOLUTION:
                more = True
                return False
            by_origin[origin] += 1
            linked[solution] = Link(certain, because)
        return True

    def proven(product: str, *speaking: str) -> bool:
        """True where one of these records leaves no doubt about a doubtful identifier that it has."""
        proof = proof_of(product)
        return any(proof in identifiers_.get(id_, ()) or id_ in namers.get(proof, ()) for id_ in speaking)

    returned = _adopt(identifiers_, {named: ()}, only_returned=True)
    adopted = _adopt(identifiers_, returned, only_returned=False)
    more |= len(adopted) >= MAX_ADOPTED
    for certain, speaking in ((True, returned), (False, adopted)):
        # The records it speaks for; those that name the same product; and those that name one of these.
        new = {solution: because for solution, because in speaking.items() if add(solution, certain, because)}
        for solution, chain in tuple(new.items()):
            for product in identifiers_.get(solution, ()):
                for namer in () if is_record(product) else namers.get(product, ()):
                    if certain and is_doubtful(product) and not proven(product, solution, namer):
                        continue
                    because = (*chain, NamedBy(solution, product), NamedBy(namer, product))
                    if namer not in new and add(namer, certain, because):
                        new[namer] = because
        reached = set(new)
        for _ in range(MAX_STEPS):
            before, new = new, {}
            for solution, chain in before.items():
                for namer in namers.get(solution, ()):
                    because = (*chain, NamedBy(namer, solution))
                    if namer not in reached and add(namer, certain, because):
                        new[namer] = because
                        reached.add(namer)
    return linked, more


def _adopt(
    identifiers_: Mapping[str, Sequence[str]],
    begin: Mapping[str, tuple[NamedBy, ...]],
    *,
    only_returned: bool,
) -> dict[str, tuple[NamedBy, ...]]:
    """The records that those of ``begin`` speak for, these among them, each with the records that say so.

    ``only_returned``: only those that name the record that names them.
    """
    adopted = dict(begin)
    new = list(begin)
    for _ in range(MAX_STEPS):
        reached: list[str] = []
        for solution in new:
            for record in filter(is_record, identifiers_.get(solution, ())):
                is_returned = solution in identifiers_.get(record, ())
                if record in adopted or len(adopted) >= MAX_ADOPTED or (only_returned and not is_returned):
                    continue
                back = (NamedBy(record, solution),) if is_returned else ()
                adopted[record] = (*adopted[solution], NamedBy(solution, record), *back)
                reached.append(record)
        new = reached
    return adopted
