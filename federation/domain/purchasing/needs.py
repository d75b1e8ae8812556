"""The needs of a consultation, added up from the participations that a caller may see.

1. Each need counts by its quantity at the deadline (``deadline.py``); later changes stand apart as late.
2. A participation that was withdrawn in time counts for nothing. One that was withdrawn later still counts.
3. Quantities are those of a participation as a whole. So they are added up by unit and by operator, and by
   size of the bodies only where all bodies of a participation are of one size.
4. Bodies count once, whichever participations and identifiers name them.
5. Operators that take part without a quantity are missing, and members that have not answered; who sees no
   participation of members is told of nobody.

No sum is 0 for want of something to add up: it is None.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from federation.domain.content.consultation import Consultation
from federation.domain.content.participation import Participation
from federation.domain.exposure.answers import CopyAge
from federation.domain.organisation import Identifier
from federation.domain.purchasing.answers import (
    BandNeeds,
    ConsultationNeeds,
    GivenNeed,
    MissingNeed,
    MissingReason,
    NeedsTime,
    OperatorNeeds,
    ParticipationNeeds,
    Reach,
    UnitNeeds,
    UnitQuantity,
)
from federation.domain.purchasing.bodies import BodySum, band_range
from federation.domain.purchasing.deadline import NeedsDeadline, counted, deadline_of
from federation.domain.purchasing.sentences import summary
from federation.domain.values import as_instant

MAX_PARTICIPATIONS = 500
"""Participations of one consultation that are added up, those changed last."""
MAX_OTHER_UNITS = 100
"""Units that participations have and the consultation has not, at most, in the order of their names."""
WITHDRAWN = "withdrawn"


class StoredConsultation(msgspec.Struct, frozen=True):
    """A consultation, and when its record was last revised."""

    id: str
    updated_at: datetime
    content: Consultation


class StoredParticipation(msgspec.Struct, frozen=True):
    """A participation, its operator, and when its record was last revised."""

    origin: str
    id: str
    updated_at: datetime
    content: Participation


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Facts beside the participations that the sums need."""

    now: datetime
    rests_on: Reach
    members: Collection[str] | None
    """Operators of the federation; None for a caller that does not see what is for members."""
    copies: Mapping[str, CopyAge] = {}
    """Age and verification of each operator's records."""
    identifiers: Mapping[str, tuple[Identifier, ...]] = {}
    """Register numbers of operators that take part for themselves."""
    more: bool = False
    """True where there are participations beyond those given."""
    not_understood: int = 0


def add_up(
    consultation: StoredConsultation,
    participations: Sequence[StoredParticipation],
    around: Surroundings,
) -> ConsultationNeeds:
    """The needs of a consultation."""
    deadline = deadline_of(consultation.content, consultation.updated_at)
    lines = [_Line(entry, deadline, around) for entry in sorted(participations, key=lambda entry: entry.id)]
    giving, taking_part = BodySum(), BodySum()
    seen = several = 0
    for line in lines:
        if line.takes_part:
            taking_part.add(line.bodies)
        if line.gives:
            giving.add(line.bodies)
            covered = line.bodies.bodies
            several |= seen & covered
            seen |= covered
    by_operator: dict[str, list[_Line]] = {}
    for line in lines:
        by_operator.setdefault(line.origin, []).append(line)
    units = tuple(_units(consultation.content, by_operator))
    operators = tuple(_operator(name, own, around) for name, own in by_operator.items())
    at_least = giving.is_inexact or around.more or around.not_understood > 0
    missing = _missing(consultation.content, by_operator, around)
    return ConsultationNeeds(
        consultation=consultation.id,
        status=consultation.content.status,
        as_of=as_instant(around.now),
        rests_on=around.rests_on,
        deadline=_time(consultation.content, deadline, around.now),
        summary=summary(units, giving.to_view(), missing, at_least=at_least, rests_on=around.rests_on),
        units=units,
        bodies=giving.to_view(),
        taking_part=taking_part.to_view(),
        in_several=several.bit_count(),
        at_least=at_least,
        operators=operators,
        bands=tuple(_bands(lines, giving)),
        across_bands=_sums(need for line in lines if line.gives and line.band is None for need in line.needs),
        missing=missing,
        more=around.more,
        not_understood=around.not_understood,
    )


class _Line:
    """A participation, with the quantities that count."""

    def __init__(self, stored: StoredParticipation, deadline: NeedsDeadline, around: Surroundings) -> None:
        content = stored.content
        self.origin = stored.origin
        self.bodies = BodySum.of(content, stored.origin, around.identifiers)
        in_time = deadline.certain is None or min(around.now, stored.updated_at) <= deadline.certain
        self.takes_part = content.state != WITHDRAWN or not in_time
        self.needs = [] if not self.takes_part else _given(content, deadline, around.now)
        self.gives = any(need.quantity is not None for need in self.needs)
        self.band = self.bodies.band() if self.gives else None
        self.view = ParticipationNeeds(
            id=stored.id,
            state=content.state,
            updated_at=as_instant(stored.updated_at),
            decided_on=content.decided_on,
            counts=self.takes_part,
            bodies=self.bodies.to_view(),
            needs=tuple(self.needs),
        )


def _given(content: Participation, deadline: NeedsDeadline, now: datetime) -> list[GivenNeed]:
    given = []
    for need in content.needs:
        quantity = counted(need, deadline, now)
        is_present = quantity.counts == need.quantity and quantity.uncertain is None and quantity.late is None
        given.append(
            GivenNeed(
                unit=need.unit,
                quantity=quantity.counts,
                uncertain=quantity.uncertain,
                late=quantity.late,
                # An estimate belongs to the present quantity.
                estimated_cents=need.estimated_cents if is_present else None,
                given_at=need.given_at,
            )
        )
    return given


def _total(numbers: Iterable[int | None]) -> int | None:
    """The sum of the numbers that are there; None where none is."""
    present = [number for number in numbers if number is not None]
    return sum(present) if present else None


def _sums(needs: Iterable[UnitQuantity]) -> tuple[UnitQuantity, ...]:
    """The sums by unit, in the order of their names."""
    by_unit: dict[str, list[UnitQuantity]] = {}
    for need in needs:
        by_unit.setdefault(need.unit, []).append(need)
    return tuple(
        UnitQuantity(
            unit=unit,
            quantity=_total(need.quantity for need in found),
            uncertain=_total(need.uncertain for need in found),
            late=_total(need.late for need in found),
            estimated_cents=_total(need.estimated_cents for need in found),
        )
        for unit, found in sorted(by_unit.items())
    )


def _units(consultation: Consultation, by_operator: Mapping[str, Sequence[_Line]]) -> Iterable[UnitNeeds]:
    """The sums of the units of the consultation, then of those that participations have besides."""
    needs: dict[str, list[GivenNeed]] = {}
    giving: dict[str, set[str]] = {}
    asked = {name for name, own in by_operator.items() if any(line.takes_part for line in own)}
    for operator, own in by_operator.items():
        for need in (need for line in own for need in line.needs):
            needs.setdefault(need.unit, []).append(need)
            if need.quantity is not None:
                giving.setdefault(need.unit, set()).add(operator)
    units: dict[str, dict[str, str] | None] = {unit.key: unit.label for unit in consultation.units}
    others = sorted(needs.keys() - units.keys())[:MAX_OTHER_UNITS]
    for key, label in (*units.items(), *((other, None) for other in others)):
        (total,) = _sums(needs.get(key, ())) or (UnitQuantity(unit=key, quantity=None),)
        yield UnitNeeds(
            **msgspec.structs.asdict(total),
            label=label,
            operators=len(giving.get(key, ())),
            missing=tuple(sorted(asked - giving.get(key, set()))) if label is not None else (),
        )


def _operator(name: str, own: Sequence[_Line], around: Surroundings) -> OperatorNeeds:
    bodies = BodySum()
    for line in own:
        if line.takes_part:
            bodies.add(line.bodies)
    return OperatorNeeds(
        operator=name,
        copy=around.copies.get(name, CopyAge("unknown", None)),
        needs=_sums(need for line in own for need in line.needs),
        bodies=bodies.to_view(),
        participations=tuple(line.view for line in own),
    )


def _bands(lines: Sequence[_Line], giving: BodySum) -> Iterable[BandNeeds]:
    """The bands that have bodies."""
    for index, bodies in enumerate(giving.by_band()):
        if bodies:
            needs = (need for line in lines if line.gives and line.band == index for need in line.needs)
            yield BandNeeds(population=band_range(index), bodies=bodies, needs=_sums(needs))


def _missing(
    consultation: Consultation, by_operator: Mapping[str, Sequence[_Line]], around: Surroundings
) -> tuple[MissingNeed, ...] | None:
    if around.members is None:
        return None
    asked = [unit.key for unit in consultation.units]
    missing = []
    for operator in sorted({*around.members, *by_operator}):
        own = by_operator.get(operator)
        if own is None:
            missing.append(MissingNeed(operator=operator, reason="no-answer"))
            continue
        taking_part = [line for line in own if line.takes_part]
        needs = [need for line in taking_part for need in line.needs]
        given = {need.unit for need in needs if need.quantity is not None}
        without = tuple(unit for unit in asked if unit not in given)
        if not taking_part or (given and not without):
            continue
        if given:
            missing.append(MissingNeed(operator=operator, reason="some-units", units=without))
        else:
            is_late = any(need.late is not None or need.uncertain is not None for need in needs)
            reason: MissingReason = "late" if is_late else "no-need"
            missing.append(MissingNeed(operator=operator, reason=reason, units=without))
    return tuple(missing)


def _time(consultation: Consultation, deadline: NeedsDeadline, now: datetime) -> NeedsTime:
    return NeedsTime(
        needs_until=consultation.needs_until,
        counts_until=as_instant(deadline.certain) if deadline.certain else None,
        late_after=as_instant(deadline.late) if deadline.late else None,
        is_over=deadline.is_over(now),
    )
