"""Find the solutions that an advisory is about, by its packages, repository or name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from federation.domain.content.solution import Solution
from federation.domain.formats import cpe, purl
from federation.domain.formats.advisory import Product
from federation.domain.formats.ecosystems import repository_names


class Catalogue:
    """The solutions that this node knows, by the names that advisories give them."""

    def __init__(self, solutions: Iterable[tuple[str, Solution]], *, always: tuple[str, ...] = ()) -> None:
        self._always = always
        self._by_name: dict[str, list[str]] = {}
        for id_, solution in solutions:
            for name in names_of(solution):
                self._by_name.setdefault(name, []).append(id_)

    def find(self, product: Product) -> tuple[tuple[str, ...], str | None]:
        """The solutions that a product is, and a note where the name alone led to them."""
        if self._always:
            return self._always, None
        strong = self._ids_of(name for name in product.names if not name.startswith("name:"))
        if strong:
            return strong, None
        weak = self._ids_of(name for name in product.names if name.startswith("name:"))
        return weak, f"solution: {', '.join(weak)} was found by its name only" if weak else None

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
