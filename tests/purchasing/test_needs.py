"""Needs added up: the deadline, each body once, and nothing that is 0 for want of knowledge."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from federation.domain.content.consultation import Consultation
from federation.domain.content.participation import Participation
from federation.domain.organisation import Identifier
from federation.domain.purchasing.answers import ConsultationNeeds
from federation.domain.purchasing.deadline import counted, deadline_of
from federation.domain.purchasing.needs import (
    StoredConsultation,
    StoredParticipation,
    Surroundings,
    add_up,
)
from federation.domain.values import instant

UNTIL = datetime(2026, 5, 31, 22, 0, tzinfo=UTC)
BEFORE, AFTER = UNTIL - timedelta(days=3), UNTIL + timedelta(days=3)
CHALON = {"identifiers": [{"scheme": "0002", "value": "217100767"}]}
CHALON_BY_COG = {"identifiers": [{"scheme": "cog", "value": "71076"}]}
MACON = {"identifiers": [{"scheme": "cog", "value": "71270"}]}
OUTSIDE = {"identifiers": [{"scheme": "0208", "value": "0203201340"}]}


def consultation(**members: Any) -> StoredConsultation:
    draft = {
        "purchase": "arnia/postes",
        "title": {"fr": "Postes"},
        "status": "gathering",
        "needs_until": "2026-05-31T22:00:00Z",
        "units": [{"key": "portable", "label": {"fr": "portables"}}, {"key": "fixe", "label": {"en": "PCs"}}],
    } | members
    draft = {name: value for name, value in draft.items() if value is not None}
    return StoredConsultation("arnia/postes-2026", AFTER, msgspec.convert(draft, Consultation))


def at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def need(
    quantity: int, given: datetime | None = BEFORE, unit: str = "portable", **members: Any
) -> dict[str, Any]:
    times = {"given_at": at(given)} if given else {}
    return {"unit": unit, "quantity": quantity, **times, **members}


def listed(*bodies: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "list", "beneficiaries": list(bodies)}


def participation(
    origin: str, *needs: dict[str, Any], key: str = "p", updated_at: datetime = BEFORE, **members: Any
) -> StoredParticipation:
    draft = {"consultation": "arnia/postes-2026", "state": "need-given", "needs": list(needs)} | members
    return StoredParticipation(origin, f"{origin}/{key}", updated_at, msgspec.convert(draft, Participation))


def added(
    *participations: StoredParticipation,
    now: datetime = BEFORE,
    asked: StoredConsultation | None = None,
    members: tuple[str, ...] | None = ("arnia", "megalis", "recia"),
    **around: Any,
) -> ConsultationNeeds:
    surroundings = Surroundings(now=now, rests_on="federation", members=members, **around)
    return add_up(asked or consultation(), participations, surroundings)


def quantities(needs: ConsultationNeeds) -> dict[str, tuple[int | None, int | None, int | None]]:
    return {unit.unit: (unit.quantity, unit.uncertain, unit.late) for unit in needs.units}


def test_needs_add_up_by_unit_and_by_operator() -> None:
    needs = added(
        participation("arnia", need(40, estimated_cents=1_000), need(5, unit="fixe")),
        participation("megalis", need(2, estimated_cents=50), key="a"),
        participation("megalis", need(3), key="b"),
    )
    assert quantities(needs) == {"portable": (45, None, None), "fixe": (5, None, None)}
    portable, fixe = needs.units
    assert (portable.operators, portable.missing, portable.estimated_cents) == (2, (), 1_050)
    assert (fixe.operators, fixe.missing) == (1, ("megalis",))
    by_operator = {entry.operator: [(n.unit, n.quantity) for n in entry.needs] for entry in needs.operators}
    assert by_operator == {"arnia": [("fixe", 5), ("portable", 40)], "megalis": [("portable", 5)]}
    assert "45 portables" in needs.summary["fr"]


def test_what_nobody_gave_is_unknown_and_what_was_given_as_nothing_is_nothing() -> None:
    nothing = added(participation("arnia", state="interested"))
    assert quantities(nothing)["portable"] == (None, None, None)
    assert nothing.bodies.bodies == 0
    assert nothing.summary["en"].startswith("unknown")
    assert quantities(added(participation("arnia", need(0))))["portable"] == (0, None, None)


def test_it_says_what_is_missing_and_from_whom() -> None:
    needs = added(
        participation("arnia", need(4)),
        participation("recia", state="interested"),
        participation("soluris", state="withdrawn"),
        members=("arnia", "megalis", "recia", "soluris"),
    )
    assert needs.missing is not None
    assert [(entry.operator, entry.reason, entry.units) for entry in needs.missing] == [
        ("arnia", "some-units", ("fixe",)),
        ("megalis", "no-answer", ()),
        ("recia", "no-need", ("portable", "fixe")),
    ]
    late = added(participation("arnia", need(4, AFTER)), now=AFTER, members=())
    assert late.missing is not None
    assert [entry.reason for entry in late.missing] == ["late"]


def test_who_sees_no_participation_of_members_is_told_of_nobody() -> None:
    assert added(participation("arnia", need(4)), members=None).missing is None


# The deadline


@pytest.mark.parametrize(
    ("entry", "now", "expected"),
    [
        (need(40), AFTER, (40, None, None)),
        (need(40, UNTIL), AFTER, (40, None, None)),
        (need(40, UNTIL + timedelta(seconds=1)), AFTER, (None, None, 40)),
        (need(40, AFTER), BEFORE, (40, None, None)),  # a clock that is ahead: it is there before the deadline
        (need(40, AFTER, earlier=[{"quantity": 30, "given_at": at(BEFORE)}]), AFTER, (30, None, 40)),
        (need(0, AFTER, earlier=[{"quantity": 30, "given_at": at(BEFORE)}]), AFTER, (30, None, 0)),
        (
            need(
                9,
                AFTER,
                earlier=[{"quantity": n, "given_at": at(BEFORE + timedelta(hours=n))} for n in (1, 2)],
            ),
            AFTER,
            (2, None, 9),
        ),
        (need(40, None), BEFORE, (40, None, None)),
        (need(40, None), AFTER, (None, 40, None)),
    ],
)
def test_the_quantity_at_the_deadline_counts(
    entry: dict[str, Any], now: datetime, expected: tuple[int | None, ...]
) -> None:
    assert quantities(added(participation("arnia", entry), now=now))["portable"] == expected


@pytest.mark.parametrize("state", ["interested", "need-given", "deliberated", "signed"])
def test_what_was_given_in_time_counts_whatever_state_follows(state: str) -> None:
    needs = added(participation("arnia", need(7), state=state, updated_at=AFTER), now=AFTER)
    assert quantities(needs)["portable"] == (7, None, None)


def test_who_withdrew_in_time_counts_for_nothing_and_who_withdrew_later_still_counts() -> None:
    in_time = added(participation("arnia", need(7), state="withdrawn", updated_at=BEFORE), now=AFTER)
    later = added(participation("arnia", need(7), state="withdrawn", updated_at=AFTER), now=AFTER)
    assert quantities(in_time)["portable"] == (None, None, None)
    assert not in_time.operators[0].participations[0].counts
    assert quantities(later)["portable"] == (7, None, None)
    assert later.operators[0].participations[0].counts
    assert later.bodies.bodies == 1
    assert in_time.bodies.bodies == 0


def launched(**members: Any) -> StoredConsultation:
    return consultation(status="launched", **members)


@pytest.mark.parametrize(
    ("asked", "given", "expected"),
    [
        # A launch is known as a day: before it begins anywhere, within it, after it has ended everywhere.
        (launched(needs_until=None, launch_on="2026-05-20"), "2026-05-19T09:59:59Z", (5, None, None)),
        (launched(needs_until=None, launch_on="2026-05-20"), "2026-05-20T09:00:00Z", (None, 5, None)),
        (launched(needs_until=None, launch_on="2026-05-20"), "2026-05-21T12:00:01Z", (None, None, 5)),
        # The launch comes before the end of the time for needs.
        (launched(launch_on="2026-05-20"), "2026-05-25T00:00:00Z", (None, None, 5)),
        # By the status alone nobody can say, but for what came after it was published.
        (launched(needs_until=None), "2026-05-20T00:00:00Z", (None, 5, None)),
        (launched(needs_until=None), at(AFTER + timedelta(seconds=1)), (None, None, 5)),
        (launched(), at(BEFORE), (5, None, None)),
        # A day to come is no launch.
        (consultation(needs_until=None, launch_on="2026-05-20"), at(AFTER), (5, None, None)),
    ],
)
def test_a_need_is_late_after_the_launch(
    asked: StoredConsultation, given: str, expected: tuple[int | None, ...]
) -> None:
    entry = participation("arnia", need(5, instant(given)))
    needs = added(entry, now=AFTER + timedelta(days=9), asked=asked)
    assert quantities(needs)["portable"] == expected


def test_sums_of_quantities_never_mix_what_counts_with_what_is_late() -> None:
    """Properties over made-up histories: what counts was given in time, and the present is never lost."""
    chance = random.Random(20)
    for _ in range(300):
        moments = sorted(chance.sample(range(1_000), chance.randint(1, 6)))
        history = [(UNTIL + timedelta(hours=hour - 500), chance.randint(0, 9)) for hour in moments]
        *earlier, (given, quantity) = history
        entry = need(
            quantity,
            given,
            earlier=[{"quantity": number, "given_at": at(moment)} for moment, number in earlier],
        )
        stored = participation("arnia", entry).content.needs[0]
        deadline = deadline_of(consultation().content, AFTER)
        counts, uncertain, late = counted(stored, deadline, UNTIL + timedelta(days=400))
        in_time = [number for moment, number in history if moment <= UNTIL]
        assert counts == (in_time[-1] if in_time else None)
        assert uncertain is None
        assert late == (quantity if given > UNTIL else None)
        assert quantity in (counts, late)


# Bodies


def test_a_body_counts_once_whoever_names_it_and_by_whichever_identifier() -> None:
    needs = added(
        participation("arnia", need(4), bodies=listed(CHALON, MACON)),
        participation("megalis", need(2), bodies=listed(CHALON_BY_COG, OUTSIDE)),
        participation("recia", need(2), bodies=listed(OUTSIDE)),
    )
    assert (needs.bodies.bodies, needs.bodies.communes, needs.bodies.others) == (3, 2, 1)
    assert needs.in_several == 1
    assert not needs.at_least


def test_a_territory_is_expanded_by_the_register() -> None:
    area = {"kind": "territory", "territory": ["FR-71"]}
    needs = added(
        participation("arnia", need(4), bodies=area),
        participation("megalis", need(2), bodies=listed(CHALON)),
    )
    alone = added(participation("arnia", need(4), bodies=area))
    assert needs.bodies == alone.bodies
    assert needs.bodies.communes > 500
    assert needs.in_several == 1


def test_bodies_that_are_only_counted_make_the_sum_a_least_one() -> None:
    needs = added(participation("arnia", need(4), bodies={"kind": "count", "count": 30}))
    assert needs.at_least
    assert needs.bodies.counted == 30
    assert needs.summary["en"].startswith("at least 4")
    assert added(participation("arnia", need(4)), more=True).at_least
    assert added(participation("arnia", need(4)), not_understood=1).at_least
    assert not added(participation("arnia", need(4))).at_least


def test_an_operator_that_takes_part_for_itself_is_one_body() -> None:
    itself = (Identifier(scheme="cog", value="71076"),)
    entries = (
        participation("arnia", need(4), key="a"),
        participation("arnia", need(1), key="b"),
        participation("megalis", need(1), bodies=listed(CHALON)),
    )
    assert added(*entries).bodies.bodies == 2
    assert added(*entries, identifiers={"arnia": itself}).bodies.bodies == 1


def test_quantities_are_given_by_size_where_all_bodies_are_of_one_size() -> None:
    needs = added(
        participation("arnia", need(40), bodies=listed(CHALON)),
        participation(
            "megalis", need(2), bodies=listed(CHALON, {"identifiers": [{"scheme": "cog", "value": "71001"}]})
        ),
        participation("recia", need(1)),
    )
    bands = {band.population.from_: (band.bodies, [n.quantity for n in band.needs]) for band in needs.bands}
    assert bands[20_000] == (1, [40])
    assert sum(bodies for bodies, _ in bands.values()) == 2
    assert [entry.quantity for entry in needs.across_bands] == [3]


def test_a_unit_that_the_consultation_does_not_have_stands_apart() -> None:
    needs = added(participation("arnia", need(4, unit="licence")))
    (other,) = [unit for unit in needs.units if unit.label is None]
    assert (other.unit, other.quantity, other.missing) == ("licence", 4, ())
