"""The bodies of participations: each counted once, and by their size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from federation.domain.content.deployment import Bodies
from federation.domain.content.participation import Participation
from federation.domain.content.tariff import NumberRange
from federation.domain.exposure.coverage import Resolved, Tally, bits, covered_bodies, resolve, tally
from federation.domain.organisation import Identifier, Organisation
from federation.domain.territories.bodies import bodies

BANDS = (0, 500, 2_000, 3_500, 10_000, 20_000, 50_000, 100_000)
"""The first number of inhabitants of each band: thresholds of French local law and of usual tariffs."""


class BodySum:
    """Bodies of several coverages; one in several of them counts once."""

    def __init__(self) -> None:
        self._tokens = 0
        self._elsewhere: set[str] = set()
        self._counted = 0
        self._areas = 0

    def add(self, coverage: BodySum) -> None:
        self._tokens |= coverage._tokens
        self._elsewhere |= coverage._elsewhere
        self._counted += coverage._counted
        self._areas += coverage._areas

    @classmethod
    def of(
        cls, participation: Participation, operator: str, identifiers: Mapping[str, tuple[Identifier, ...]]
    ) -> BodySum:
        """The bodies of a participation; without a list, the operator itself by its ``identifiers``."""
        made = cls()
        resolved = _resolve(participation, identifiers.get(operator, ()))
        if resolved is None:
            made._elsewhere.add(f"operator:{operator}")
            return made
        made._tokens, made._elsewhere = bits(resolved.tokens), set(resolved.elsewhere)
        made._counted, made._areas = resolved.counted, resolved.areas
        return made

    @property
    def bodies(self) -> int:
        """The bodies of the register, as a set."""
        return covered_bodies(self._tokens)

    @property
    def is_inexact(self) -> bool:
        """True where only a number is given, or a territory is not in the register."""
        return bool(self._counted or self._areas)

    def band(self) -> int | None:
        """The band that all of these bodies are in; None where they are in several, or in an unknown one."""
        if self._elsewhere or self.is_inexact:
            return None
        covered = self.bodies
        within = [index for index, mask in enumerate(_masks()) if covered & mask]
        return within[0] if len(within) == 1 else None

    def by_band(self) -> Iterator[int]:
        """The number of bodies of each band."""
        covered = self.bodies
        for mask in _masks():
            yield (covered & mask).bit_count()

    def to_view(self) -> Tally:
        return tally(self._tokens, others=len(self._elsewhere), counted=self._counted, areas=self._areas)


def band_range(index: int) -> NumberRange:
    """The numbers of inhabitants of a band, both inside."""
    to = BANDS[index + 1] - 1 if index + 1 < len(BANDS) else None
    return NumberRange(from_=BANDS[index], to=to)


def _resolve(participation: Participation, identifiers: tuple[Identifier, ...]) -> Resolved | None:
    if participation.coverage is not None:
        return resolve(participation.coverage)
    if not identifiers:
        return None
    return resolve(Bodies(beneficiaries=(Organisation(identifiers=identifiers),)))


@cache
def _masks() -> tuple[int, ...]:
    """For each band, the bodies of the register that are of this size."""
    numbers: list[list[int]] = [[] for _ in BANDS]
    for number, body in enumerate(bodies()):
        band = max(index for index, first in enumerate(BANDS) if body.population >= first)
        numbers[band].append(number)
    return tuple(bits(listed) for listed in numbers)
