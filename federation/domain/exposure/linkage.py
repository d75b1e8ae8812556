"""Links between solutions that are the same software, and the reach of one record's word.

Operators register what they run under keys of their own, so one product is several solutions: arnia/glpi and
megalis/glpi. Their records make them one by what they name: the repository, a package (purl, CPE), and the
addresses of ``same_as``: an entry of Wikidata or of a catalogue, or another operator's record. A name or a
home page makes nothing the same.

Where only a doubtful identifier is shared (``solution_identifiers``) it makes a question.

**A record speaks for itself and for the records it names, and for nobody else.** Two solutions are one
software where what the one names, and what the records it names name, meets what the other does. So a record
that names the repository of one product and the package of another makes these two no neighbours: its writer
stretches the exposure of its own deployments, and of nobody else's. Nothing spreads from one such pair to the
next.

A link that rests only on the word of the incident's side about a record that does not return it is not
*certain*: nobody on the other side confirms it, and it makes a question (unknown), never an answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from federation.domain.exposure.solution_identifiers import is_doubtful, is_record, proof_of

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


# Links


class Links:
    """For solutions that incidents name, the others that are the same software."""

    def __init__(
        self,
        by_named: Mapping[str, Mapping[str, Link]],
        *,
        more: bool = False,
        unread: frozenset[str] = frozenset(),
    ) -> None:
        self._by_named = by_named
        self.more = more
        """True when there are more that were not read."""
        self.unread = unread
        """Solutions whose identifiers are not understood: they may be the same software as any."""

    @property
    def solutions(self) -> frozenset[str]:
        """All solutions that are linked with one of those named."""
        return frozenset(solution for links in self._by_named.values() for solution in links)

    def between(self, named: str, solution: str) -> Link | None:
        linked = self._by_named.get(named)
        return linked.get(solution) if linked else None

    def of(self, named: Iterable[str]) -> Links:
        """The links of some of the solutions that are named."""
        listed = tuple(named)
        return Links(
            {solution: self._by_named[solution] for solution in listed if solution in self._by_named},
            more=self.more,
            unread=self.unread if listed else frozenset(),
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
