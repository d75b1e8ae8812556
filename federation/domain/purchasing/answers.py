"""The answer about the needs of a consultation, as the API and the pages give it.

JSON members have the names of these fields. null is "nothing that you may see", and never 0.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from federation.domain.content.tariff import NumberRange
from federation.domain.exposure.answers import CopyAge
from federation.domain.exposure.coverage import Tally
from federation.domain.values import Cents, Count, Day, Instant

Reach = Literal["public", "federation", "all"]
"""Records that the sums rest on: the public ones, those for all members, or all that are stored here."""
MissingReason = Literal["no-answer", "no-need", "some-units", "late"]
"""``no-answer``: there is no participation that you may see; ``no-need``: takes part, without a quantity;
``some-units``: without a quantity of some units; ``late``: nothing was given in time."""


class UnitQuantity(msgspec.Struct, frozen=True, kw_only=True):
    """The quantity of a unit, by whether it was given in time."""

    unit: str
    quantity: Count | None
    """Given in time, and what counts; null where none was."""
    uncertain: Count | None = None
    """Given at a time that may be before the deadline or after it: not in `quantity`."""
    late: Count | None = None
    """Present quantities that were given or changed after the deadline: not in `quantity`, which has those of
    the deadline."""
    estimated_cents: Cents | None = None
    """Estimates that came with the quantities that count; null where none did."""


class UnitNeeds(UnitQuantity, frozen=True, kw_only=True):
    """The sum of a unit over all participations."""

    label: dict[str, str] | None
    """null: the consultation does not have this unit."""
    operators: Count
    """Operators with a quantity that counts."""
    missing: tuple[str, ...] = ()
    """Operators that take part and gave no quantity of it in time."""


class GivenNeed(UnitQuantity, frozen=True, kw_only=True):
    """A quantity of one participation."""

    given_at: Instant | None = None
    """Since when the present quantity has been the present one."""


class ParticipationNeeds(msgspec.Struct, frozen=True, kw_only=True):
    """A participation, and what it counts for."""

    id: str
    state: str
    updated_at: Instant
    decided_on: Day | None = None
    counts: bool
    """False: withdrawn in time. What was given in time counts even where it was withdrawn later."""
    bodies: Tally
    needs: tuple[GivenNeed, ...] = ()


class OperatorNeeds(msgspec.Struct, frozen=True, kw_only=True):
    """The needs of one operator, for all bodies of its participations."""

    operator: str
    copy: CopyAge
    needs: tuple[UnitQuantity, ...]
    bodies: Tally
    participations: tuple[ParticipationNeeds, ...]


class BandNeeds(msgspec.Struct, frozen=True, kw_only=True):
    """Bodies of a size, and the needs of the participations whose bodies all are of this size."""

    population: NumberRange
    bodies: Count
    """Bodies of the register; one in several participations counts once."""
    needs: tuple[UnitQuantity, ...] = ()


class MissingNeed(msgspec.Struct, frozen=True, kw_only=True):
    """An operator from which a need is missing."""

    operator: str
    reason: MissingReason
    units: tuple[str, ...] = ()
    """Those without a quantity, where it takes part."""


class NeedsTime(msgspec.Struct, frozen=True, kw_only=True):
    """The time by which needs count."""

    needs_until: Instant | None = None
    counts_until: Instant | None = None
    """What was given by then counts for certain; null: there is no deadline as yet."""
    late_after: Instant | None = None
    """What was given after that is late. Between the two, nobody here can say: a launch is known as a day."""
    is_over: bool = False


class ConsultationNeeds(msgspec.Struct, frozen=True, kw_only=True):
    """The needs of a consultation, added up as far as the caller may see them."""

    consultation: str
    status: str
    as_of: Instant
    rests_on: Reach
    deadline: NeedsTime
    summary: dict[str, str]
    """The sums in a sentence, in English and in French."""
    units: tuple[UnitNeeds, ...]
    bodies: Tally
    """Bodies of the participations with a quantity that counts, each once."""
    taking_part: Tally
    """Bodies of all participations that are not withdrawn."""
    in_several: Count
    """Bodies of the register in several participations with a quantity: it may count twice for them."""
    at_least: bool
    """True where a sum can be higher: a participation gives a number of bodies only, is not understood, or is
    beyond those that were read."""
    operators: tuple[OperatorNeeds, ...]
    bands: tuple[BandNeeds, ...]
    across_bands: tuple[UnitQuantity, ...] = ()
    """Quantities of participations with bodies of several sizes, or of an unknown one."""
    missing: tuple[MissingNeed, ...] | None = None
    """null: you may not see participations for members, so nobody can be said to be missing."""
    more: bool = False
    """True where there are more participations than are read."""
    not_understood: Count = 0
    """Participations that this version of the node does not understand, and that are not counted."""
