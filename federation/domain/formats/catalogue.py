"""Find the solutions that an advisory is about: by identifiers, and by a name as a question.

1. A package URL, a CPE or a repository that both name: the same product.
2. Else a name that both have: perhaps the same product. It is not where both name a package of one registry
   and not the same one.

A vendor is no product. The package of a distribution is not the software that it was made of: it has numbers
and fixes of its own, so what such an advisory says of versions is a text for everybody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from federation.domain.content.solution import Solution
from federation.domain.formats.advisory import Product
from federation.domain.formats.names import (
    DISTRIBUTIONS,
    cpe_name,
    plain,
    purl_name,
    repository_name,
    vendor_name,
)


class Found(msgspec.Struct, frozen=True):
    """A solution that a product of an advisory is, or may be."""

    solution: str
    by_name_only: bool = False
    """True where no identifier says so: it makes a question."""
    is_numbered_otherwise: bool = False
    """True where the advisory has the versions of a distribution's package, and not those of the solution."""


class Names(msgspec.Struct, frozen=True):
    """The names of a product, apart by what they are worth."""

    identifiers: tuple[str, ...]
    """``purl:``, ``cpe:``, ``repository:``: equal ones mean the same product."""
    names: tuple[str, ...]
    """What another product may have, too."""

    @property
    def packages(self) -> dict[str, set[str]]:
        """Packages by type."""
        packages: dict[str, set[str]] = {}
        for identifier in self.identifiers:
            kind, _, rest = identifier.partition(":")
            if kind == "purl":
                packages.setdefault(rest.partition("/")[0], set()).add(rest)
        return packages

    @property
    def of_distributions(self) -> list[str]:
        """The packages of distributions among the identifiers."""
        return [
            f"purl:{package}"
            for type_, packages in self.packages.items()
            if type_ in DISTRIBUTIONS
            for package in sorted(packages)
        ]

    def contradicts(self, other: Names) -> bool:
        """True where both name packages of one registry, and none in common."""
        own, others = self.packages, other.packages
        return any(
            not any(_may_be_one(type_, first, second) for first in own[type_] for second in others[type_])
            for type_ in own.keys() & others.keys()
        )


def _may_be_one(type_: str, first: str, second: str) -> bool:
    """True for one package, and for one of a distribution that is named with and without the distribution."""
    if first == second:
        return True
    parts, other = first.split("/"), second.split("/")
    return type_ in DISTRIBUTIONS and parts[-1] == other[-1] and 2 in (len(parts), len(other))


class Catalogue:
    """The solutions that this node knows, by the names that advisories give them."""

    def __init__(self, solutions: Iterable[tuple[str, Solution]], *, always: tuple[str, ...] = ()) -> None:
        self._always = always
        self._names: dict[str, Names] = {}
        self._by_name: dict[str, list[str]] = {}
        for id_, solution in solutions:
            self._names[id_] = names = names_of(solution)
            for name in (*names.identifiers, *names.names):
                self._by_name.setdefault(name, []).append(id_)

    @property
    def has_solutions(self) -> bool:
        """False where an advisory concerns nothing."""
        return bool(self._always or self._names)

    def find(self, product: Product) -> Sequence[Found]:
        """The solutions that a product is or, where nothing identifies it, may be."""
        if self._always:
            return [Found(id_) for id_ in self._always]
        names = read_names(product.names)
        of_distributions = names.of_distributions
        if identified := self._ids_of(of_distributions or names.identifiers):
            return [Found(id_) for id_ in identified]
        return [
            Found(id_, by_name_only=True, is_numbered_otherwise=bool(of_distributions))
            for id_ in self._ids_of((*names.identifiers, *names.names))
            if not names.contradicts(self._names[id_])
        ]

    def _ids_of(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(id_ for name in names for id_ in self._by_name.get(name, ())))


def names_of(solution: Solution) -> Names:
    """The names that advisories may give a solution."""
    return _sort(_names_of(solution))


def _names_of(solution: Solution) -> Iterator[str | None]:
    for package in solution.packages:
        yield purl_name(package.purl) if package.purl else None
        yield cpe_name(package.cpe) if package.cpe else None
    yield repository_name(solution.repository) if solution.repository else None
    yield f"name:{plain(solution.name)}"


def read_names(names: Iterable[str]) -> Names:
    """The names of a product of an advisory (:class:`Product`), each in the form of a solution's names."""
    return _sort(map(_read_name, names))


def _read_name(name: str) -> str | None:
    kind, _, rest = name.partition(":")
    match kind:
        case "purl":
            return purl_name(f"pkg:{rest}")
        case "cpe":
            vendor, _, product = rest.replace("\\:", " ").replace("\\", "").partition(":")
            return vendor_name(vendor, product)
        case "repository" if "." in rest.partition("/")[0]:
            return repository_name(f"https://{rest}")
        case "repository":
            return f"name:{_pair(rest.split('/'))}"
        case _:
            return f"name:{plain(rest)}"


def _sort(names: Iterable[str | None]) -> Names:
    """The names, apart by what they are worth; an identifier gives a weaker name as well."""
    identifiers: list[str] = []
    weak: list[str] = []
    for name in names:
        kind, _, rest = (name or "").partition(":")
        parts = rest.partition("?")[0].split("/")
        match kind:
            case "purl" if parts[0] == "oci":
                if len(parts) > 2:
                    identifiers.append(f"purl:{rest}")
                weak.append(parts[-1])  # an image of this name may be in any registry
            case "purl":
                identifiers.append(f"purl:{rest}")
                if parts[0] in DISTRIBUTIONS:
                    weak.append(f"{parts[0]}/{parts[-1]}")  # which distribution it is of may be left out
            case "cpe":
                identifiers.append(f"cpe:{rest}")
                weak.append(_pair(rest.split(":")))
            case "repository" if len(parts) > 2 or "?" in rest:
                identifiers.append(f"repository:{rest}")
                # Vendor and product of an advisory are often those; a fork has them, too.
                weak.append(_pair(parts[-2:]))
            case "repository":
                weak.append(rest)  # perhaps the page of a group
            case _:
                weak.append(rest)
    return Names(
        tuple(dict.fromkeys(identifiers)), tuple(f"name:{name}" for name in dict.fromkeys(weak) if name)
    )


def _pair(words: Sequence[str]) -> str:
    return "/".join(map(plain, words))
