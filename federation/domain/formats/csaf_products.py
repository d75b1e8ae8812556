"""The product tree and the product statuses of an incident, for a CSAF 2.0 document.

An entry of the incident claims no more in the document than in its record:

1. A readable range that an identifier led to is ``known_affected``, and a deployment that is named.
2. A range in words, no range, a solution found by its name only, a package of some releases of a
   distribution: the record answers "unknown", so the product is ``under_investigation``.
3. A version that is named as fixed is ``fixed``, unless an affected range of its solution contains it.
4. A product has the solution's package URLs and CPEs without their versions, so that nobody reads a version
   of the record as a bound. A solution found by its name only has none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from federation.domain.content.incident import Affected
from federation.domain.content.solution import Package, Solution
from federation.domain.exposure.matching import is_contradicted, range_problem
from federation.domain.formats.names import read_purl
from federation.domain.formats.purl import parse_purl

Status = Literal["known_affected", "known_not_affected", "fixed", "under_investigation"]
EVERY_VERSION = "vers:all/*"
_CPE_PART = r"(?:[?]*|[*]?)(?:[a-zA-Z0-9._-]|\\[\\*?!\"#$%&'()+,/:;<=>@\[\]^`{|}~])+(?:[?]*|[*]?)"
_CPE = re.compile(
    rf"cpe:2\.3:[aho*-](?::(?:{_CPE_PART}|[*-])){{5}}"
    rf"(?::(?:[a-zA-Z]{{2,3}}(?:-(?:[a-zA-Z]{{2}}|[0-9]{{3}}))?|[*-]))(?::(?:{_CPE_PART}|[*-])){{4}}"
)
"""A CPE 2.3 name, as the schema of CSAF 2.0 has it; without the older form with slashes."""
_NAMED_WITH_MORE = frozenset({"conan", "cran", "swift"})
"""Types of packages whose URLs need a version, a channel or a namespace (purl-spec)."""
_NOT_A_VERSION = re.compile(r"[<>]|after|all|before|earlier|later|prior|versions", re.IGNORECASE)
"""Words that make a range of a version (CSAF 2.0, 6.1.31)."""
MAX_PACKAGES = 5
"""Package URLs and CPEs of a solution that a product tree has, each."""


class Products(msgspec.Struct, frozen=True):
    """The product tree of a document, and the ids of products by status."""

    tree: dict[str, Any]
    status: dict[Status, list[str]]
    words: tuple[str, ...]
    """What the record says in words of products, for a note."""

    @property
    def concerned(self) -> list[str]:
        """Products that are affected or may be."""
        return [*self.status.get("known_affected", ()), *self.status.get("under_investigation", ())]


class _Tree:
    """Collects products; each has an id of its own."""

    def __init__(self, solutions: Mapping[str, Solution]) -> None:
        self._solutions = solutions
        self._branches: dict[str, list[dict[str, Any]]] = {}
        self._names: list[dict[str, Any]] = []
        self._ids: dict[tuple[Any, ...], str] = {}
        self._shared = Counter(solution.name.lower() for solution in solutions.values())
        self.status: dict[Status, list[str]] = {}

    def name_of(self, solution: str) -> str:
        """The name of a solution; with its id where another one has the same name."""
        record = self._solutions.get(solution)
        if record is None:
            return solution
        return record.name if self._shared[record.name.lower()] == 1 else f"{record.name} ({solution})"

    def add_solution(self, solution: str, status: Status, leaf: tuple[str, str], *, identified: bool) -> None:
        """Add the products of a solution below a leaf: one for each identifier, or one without any."""
        record, name = self._solutions.get(solution), self.name_of(solution)
        category, version = leaf
        for helper in _helpers(record.packages if record is not None and identified else ()):
            named = (solution, leaf, status, tuple(sorted(helper.items())))
            if named not in self._ids:
                product = self._product(named, f"{name} {version}", status)
                if helper:
                    product["product_identification_helper"] = helper
                branch = {"category": category, "name": version, "product": product}
                self._branches.setdefault(name, []).append(branch)

    def add_deployment(self, deployment: str, operator: str, status: Status) -> None:
        named = (deployment, status)
        if named not in self._ids:
            words = f"deployment {deployment}, operated by {operator}"
            self._names.append(self._product(named, words, status))

    def _product(self, named: tuple[Any, ...], name: str, status: Status) -> dict[str, Any]:
        self._ids[named] = id_ = f"CSAFPID-{len(self._ids) + 1:04}"
        self.status.setdefault(status, []).append(id_)
        return {"name": name, "product_id": id_}

    def to_tree(self) -> dict[str, Any]:
        branches = [
            {"branches": below, "category": "product_name", "name": name}
            for name, below in self._branches.items()
        ]
        return {
            **({"branches": branches} if branches else {}),
            **({"full_product_names": self._names} if self._names else {}),
        }


def products_of(affects: Sequence[Affected], solutions: Mapping[str, Solution]) -> Products:
    """The products of an incident's entries. ``solutions``: those that the readers may see."""
    tree = _Tree(solutions)
    words: list[str] = []
    for entry in affects:
        if entry.solution is not None:
            _add_entry(tree, entry, entry.solution, affects)
            words += _words_of(entry, tree.name_of(entry.solution))
        status: Status = "under_investigation" if entry.by_name_only else "known_affected"
        for deployment in entry.deployments:
            tree.add_deployment(deployment, deployment.partition("/")[0], status)
    return Products(tree.to_tree(), tree.status, tuple(dict.fromkeys(words)))


def deployments_named(deployments: Sequence[str], operator: str, name: str, status: Status) -> Products:
    """The deployments that a statement speaks of; without any, all of its operator that are concerned.

    They have no identifiers: what an operator says of its deployments it does not say of the software.
    """
    tree = _Tree({})
    for deployment in deployments:
        tree.add_deployment(deployment, name, status)
    if not deployments:
        tree.add_deployment(f"{operator} (each one that the incident concerns)", name, status)
    return Products(tree.to_tree(), tree.status, ())


def is_certain(entry: Affected) -> bool:
    """True where an entry says of versions that they are affected; else it answers unknown."""
    return (
        entry.range is not None
        and range_problem(entry.range) is None
        and not entry.by_name_only
        and not entry.releases
    )


def _add_entry(tree: _Tree, entry: Affected, solution: str, affects: Sequence[Affected]) -> None:
    status: Status = "known_affected" if is_certain(entry) else "under_investigation"
    range_ = entry.range or entry.range_text or EVERY_VERSION
    identified = not entry.by_name_only
    tree.add_solution(solution, status, ("product_version_range", range_), identified=identified)
    if entry.by_name_only or entry.releases:
        return  # it may be about other software, or about one release: then nothing is known to be fixed
    others = [other for other in affects if other.solution == solution]
    for fixed in entry.fixed_in:
        plain = not _NOT_A_VERSION.search(fixed)
        if plain and not any(is_contradicted(other, fixed, "exact") for other in others):
            tree.add_solution(solution, "fixed", ("product_version", fixed), identified=identified)


def _words_of(entry: Affected, name: str) -> Iterator[str]:
    if entry.by_name_only:
        yield f"{name}: only a name led from the advisory to it, and no identifier."
    if entry.range_text is not None:
        yield f"{name}, affected versions in words: {entry.range_text}"
    elif entry.range is None:
        yield f"{name}: no range of versions is named."
    if entry.releases:
        yield f"{name}: the package of {', '.join(entry.releases)}."


def _helpers(packages: Sequence[Package]) -> Iterator[dict[str, str]]:
    """Pairs of a package URL and a CPE (CSAF 2.0, 3.1.3.3), both without a version; an empty one for none."""
    purls = [purl for package in packages if (purl := _without_version(package.purl)) is not None]
    cpes = [cpe for package in packages if (cpe := _any_version(package.cpe)) is not None]
    pairs = list(zip_longest(dict.fromkeys(purls[:MAX_PACKAGES]), dict.fromkeys(cpes[:MAX_PACKAGES])))
    for purl, cpe in pairs or [(None, None)]:
        yield {**({"cpe": cpe} if cpe else {}), **({"purl": purl} if purl else {})}


def _without_version(text: str | None) -> str | None:
    """A package URL in its canonical form without version, qualifiers and path; None for none."""
    purl = parse_purl(text) if text is not None and read_purl(text) is not None else None
    if purl is None or purl.type in _NAMED_WITH_MORE:
        return None
    path = "/".join(quote(part, safe="") for part in (*purl.namespace.split("/"), purl.name) if part)
    registry = dict(purl.qualifiers).get("repository_url") if purl.type in ("oci", "docker") else None
    return f"pkg:{purl.type}/{path}" + (f"?repository_url={quote(registry, safe='/')}" if registry else "")


def _any_version(cpe: str | None) -> str | None:
    if cpe is None or not _CPE.fullmatch(cpe):
        return None
    parts = re.split(r"(?<!\\):", cpe)
    return ":".join((*parts[:5], "*", "*", *parts[7:]))
