"""Find the solutions that an advisory is about, by its packages, repository or name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from federation.domain.content.solution import Solution
from federation.domain.formats import cpe, purl
from federation.domain.formats.advisory import Product
from federation.domain.formats.ecosystems import repository_names


class Found(msgspec.Struct, frozen=True):
    """A solution that a product of an advisory is, or may be."""

    solution: str
    by_name_only: bool = False
    """True where no identifier says so: it makes a question."""
    is_numbered_otherwise: bool = False
    """True where the advisory has the versions of a distribution's package, and not those of the solution."""


class Catalogue:
    """The solutions that this node knows, by the names that advisories give them."""

    def __init__(self, solutions: Iterable[tuple[str, Solution]], *, always: tuple[str, ...] = ()) -> None:
        self._always = always
        self._by_name: dict[str, list[str]] = {}
        for id_, solution in solutions:
            for name in names_of(solution):
                self._by_name.setdefault(name, []).append(id_)

    def find(self, product: Product) -> Sequence[Found]:
        """The solutions that a product is: by its identifiers, else by its name."""
        if self._always:
            return [Found(solution) for solution in self._always]
        strong = self._ids_of(name for name in product.names if not name.startswith("name:"))
        if strong:
            return [Found(solution) for solution in strong]
        weak = self._ids_of(name for name in product.names if name.startswith("name:"))
        return [Found(solution, by_name_only=True) for solution in weak]

    def _ids_of(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(id_ for name in names for id_ in self._by_name.get(name, ())))


def names_of(solution: Solution) -> Iterator[str]:
    """Names that advisories may give a solution, as :class:`Product` writes them."""
    for package in solution.packages:
        if package.purl and (name := purl.identity_of(package.purl)):
            yield name
        if package.cpe and (name := cpe.identity_of(package.cpe)):
            yield name
    if solution.repository:
        yield from repository_names(solution.repository)
    yield f"name:{solution.name}".lower()
