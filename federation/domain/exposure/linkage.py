"""The same software under several ids: what says so, and how far the word of one record reaches.

Operators register what they run under keys of their own, so one product is several solutions: arnia/glpi and
megalis/glpi. What makes them one is what their records name: the repository, a package (purl, CPE), and the
addresses of ``same_as``: an entry of Wikidata or of a catalogue, or another operator's record. A name or a
home page makes nothing the same.

**A record speaks for itself and for the records it names, and for nobody else.** Two solutions are one
software where what the one names, and what the records it names name, meets what the other does. So a record
that names the repository of one product and the package of another makes these two no neighbours: whoever
writes it stretches what is said of its own deployments, and of nobody else's. Nothing spreads from one such
pair to the next.

What rests only on the word of the incident's side about a record that does not return it is not *certain*:
nobody on the other side has said so, and it makes a question (unknown), never an answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from federation.domain.content.solution import Solution
from federation.domain.document import Document
from federation.domain.values import END, KEY_PATTERN, OPERATOR_PATTERN

MAX_URI_LENGTH = 500
"""Bytes of an identifier that is compared; longer ones are left alone."""
MAX_STEPS = 3
"""Records that name records that name records: as many, one after the other."""
MAX_ADOPTED = 100
"""Records that one speaks for, directly and through others, at most."""
MAX_LINKS_PER_SOLUTION = 10
"""Solutions of one operator that are taken for one software, at most: one that has many leaves room."""
MAX_LISTED = 100
"""Solutions whose reason is told in one answer, at most."""


class NamedBy(msgspec.Struct, frozen=True):
    """What the record of a solution says it is."""

    solution: str
    """Whose record says so."""
    names: str
    """What it names: an address, a package, or another solution."""


class Link(msgspec.Struct, frozen=True):
    """Why a solution is taken for another one."""

    certain: bool
    because: tuple[NamedBy, ...]
    """From the one to the other, each of these records says so."""


class LinkedSolution(msgspec.Struct, frozen=True):
    """A solution whose deployments are counted since it is the software that an incident names otherwise."""

    solution: str
    """Whose deployments are counted."""
    named: str
    """The solution that the incident names."""
    certain: bool
    """False when only the side of the incident says so: then what would be affected is unknown."""
    because: tuple[NamedBy, ...]
    """Who says so, from the one to the other."""


# What identifies a product


def identifiers(document: Document[Solution]) -> tuple[str, ...]:
    """What the record of a solution says it is: each thing in one form, however it was written.

    Other solutions as ``origin/key``, everything else as a URI.
    """
    content = document.content
    if content is None:
        return ()
    said = [content.repository or ""]
    for package in content.packages:
        said += [package.purl or "", package.cpe or ""]
    found = dict.fromkeys(map(identifier, (*said, *document.same_as)))
    itself = f"{document.origin}/{document.key}"
    return tuple(one for one in found if one is not None and one != itself)


def identifier(uri: str) -> str | None:
    """The one form of what identifies a product; None for what does not identify one."""
    scheme, _, rest = uri.partition(":")
    match scheme.lower():
        case "pkg":
            found = _package(rest)
        case "cpe":
            found = _platform(rest)
        case "http" | "https" | "git" | "ssh" | "git+https" | "git+http" | "git+ssh":
            found = _address(f"https:{rest}")
        case _:
            found = f"{scheme}:{rest}".lower() if rest else None
    return found if found and len(found.encode()) <= MAX_URI_LENGTH else None


def is_record(named: str) -> bool:
    """Whether what is named is another solution of the federation."""
    return ":" not in named


_ID = "/".join(one.removeprefix("^").removesuffix(END) for one in (OPERATOR_PATTERN, KEY_PATTERN))
_RECORD = re.compile(rf"/v1/solutions/({_ID})/?")
_WIKIDATA = re.compile(r"(?:wiki|entity)/(q[0-9]{1,12})")
_COMPTOIR = re.compile(r"(?:[a-z]{2}/)?softwares/([0-9]{1,9})")
_BRANCH = re.compile(r"(?:/-)?/tree/[^/]+$")
FORGES = {"github.com": "github", "gitlab.com": "gitlab", "bitbucket.org": "bitbucket", "codeberg.org": ""}
"""Where the name of a repository has an owner before it (who is no product), each with its purl type."""


def _address(url: str) -> str | None:
    """One form of an address: no scheme, ``www.``, ``.git`` or last slash, and small letters."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip(".").removeprefix("www."), parts.port
    except ValueError:
        return None
    if record := _RECORD.fullmatch(parts.path[parts.path.find("/v1/solutions/") :]):
        return record[1]
    path = re.sub(r"/+", "/", parts.path).strip("/").lower()
    if host in ("wikidata.org", "m.wikidata.org") and (found := _WIKIDATA.fullmatch(path)):
        return f"https://www.wikidata.org/entity/{found[1].upper()}"
    if host == "comptoir-du-libre.org" and (found := _COMPTOIR.fullmatch(path)):
        path = f"softwares/{found[1]}"
    path = _BRANCH.sub("", path).removesuffix(".git")
    query = f"?{parts.query.lower()}" if parts.query else ""
    if not host or not (path or query) or (host in FORGES and "/" not in path):
        return None  # a front page is that of many products
    return f"https://{host}{f':{port}' if port not in (None, 80, 443) else ''}/{path}{query}"


def _package(said: str) -> str | None:
    """A purl without version, qualifiers and place within; where it is a repository, that."""
    kind, _, name = re.split(r"[?#]", said.lstrip("/"), maxsplit=1)[0].lower().partition("/")
    owner, slash, last = name.strip("/").rpartition("/")
    name = f"{owner}{slash}{last.partition('@')[0]}".replace("%40", "@")
    if not kind or not name or name.endswith("/"):
        return None
    if host := next((host for host, type_ in FORGES.items() if type_ == kind), None):
        return _address(f"https://{host}/{name}")
    return f"pkg:{kind}/{name.replace('_', '-') if kind == 'pypi' else name}"


def _platform(said: str) -> str | None:
    """A CPE as far as its product: neither version nor edition."""
    parts = re.split(r"(?<!\\):", said.removeprefix("2.3:").removeprefix("/").lower())
    if len(parts) < 3 or any(part in ("", "*", "-") for part in parts[:3]):
        return None
    return f"cpe:2.3:{':'.join(parts[:3])}"


# Who speaks for whom


class Links:
    """For solutions that incidents name, the others that are the same software."""

    def __init__(self, found: Mapping[str, Mapping[str, Link]], *, more: bool = False) -> None:
        self._found = found
        self.more = more
        """Whether there are others than were looked at."""

    @property
    def solutions(self) -> frozenset[str]:
        """All that are the same as one of those asked for."""
        return frozenset(solution for several in self._found.values() for solution in several)

    def between(self, named: str, solution: str) -> Link | None:
        several = self._found.get(named)
        return several.get(solution) if several else None

    def of(self, named: Iterable[str]) -> Links:
        """Those of some of the solutions that are named."""
        return Links({one: self._found[one] for one in named if one in self._found}, more=self.more)

    def to_view(self, pairs: Iterable[tuple[str, str]]) -> tuple[LinkedSolution, ...]:
        """Why the second of each pair is taken for the first, in order; as many as are told."""
        found = []
        for solution, named in sorted({(solution, named) for named, solution in pairs})[:MAX_LISTED]:
            link = self.between(named, solution)
            if link is not None:
                found.append(LinkedSolution(solution, named, link.certain, link.because))
        return tuple(found)


NONE = Links({})


def links(
    named: str, says: Mapping[str, Sequence[str]], namers: Mapping[str, Sequence[str]]
) -> tuple[dict[str, Link], bool]:
    """The solutions that are the same software as the one that an incident names, and whether there are more.

    ``says`` has what records name (:func:`identifiers`), ``namers`` the solutions whose records name
    something: of both no more than the caller may see. Of several reasons a certain one is told, then a
    short one.
    """
    found: dict[str, Link] = {}
    of_each: Counter[str] = Counter()
    more = False

    def is_taken(solution: str, certain: bool, because: tuple[NamedBy, ...]) -> bool:
        """Note that it is the same, if it is not noted yet; False when there is no more room."""
        nonlocal more
        origin = solution.partition("/")[0]
        if solution not in found and solution != named:
            if of_each[origin] >= MAX_LINKS_PER_SOLUTION:
                more = True
                return False
            of_each[origin] += 1
            found[solution] = Link(certain, because)
        return True

    returned = _adopted(named, says, {named: ()}, only_returned=True)
    every = _adopted(named, says, returned, only_returned=False)
    more |= len(every) >= MAX_ADOPTED
    for certain, speaking in ((True, returned), (False, every)):
        # Those it speaks for; who names the same product as they do; and who says that it is one of these.
        new = {one: because for one, because in speaking.items() if is_taken(one, certain, because)}
        for solution, so_far in tuple(new.items()):
            for product in says.get(solution, ()):
                for other in () if is_record(product) else namers.get(product, ()):
                    because = (*so_far, NamedBy(solution, product), NamedBy(other, product))
                    if other not in new and is_taken(other, certain, because):
                        new[other] = because
        reached = set(new)
        for _ in range(MAX_STEPS):
            before, new = new, {}
            for solution, so_far in before.items():
                for other in namers.get(solution, ()):
                    because = (*so_far, NamedBy(other, solution))
                    if other not in reached and is_taken(other, certain, because):
                        new[other] = because
                        reached.add(other)
    return found, more


def _adopted(
    named: str,
    says: Mapping[str, Sequence[str]],
    begun: Mapping[str, tuple[NamedBy, ...]],
    *,
    only_returned: bool,
) -> dict[str, tuple[NamedBy, ...]]:
    """The records that one speaks for, itself among them, each with how it comes to do so."""
    found = dict(begun)
    new = list(begun)
    for _ in range(MAX_STEPS):
        reached: list[str] = []
        for solution in new:
            for other in filter(is_record, says.get(solution, ())):
                is_returned = solution in says.get(other, ())
                if other in found or len(found) >= MAX_ADOPTED or (only_returned and not is_returned):
                    continue
                back = (NamedBy(other, solution),) if is_returned else ()
                found[other] = (*found[solution], NamedBy(solution, other), *back)
                reached.append(other)
        new = reached
    return found
