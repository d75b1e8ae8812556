"""Coverage resolved against the register: a body covered twice counts once, and so does each inhabitant."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from federation.domain.content.deployment import Coverage
from federation.domain.exposure.coverage import (
    Resolved,
    Tally,
    bits,
    bodies_of,
    covered_bodies,
    members,
    resolve,
    tally,
)
from federation.domain.territories.areas import OVERSEAS, REGIONS
from federation.domain.territories.bodies import Body, bodies

CHALON = {"identifiers": [{"scheme": "0002", "value": "217100767"}, {"scheme": "cog", "value": "71076"}]}
CHALON_BY_CODE = {"identifiers": [{"scheme": "cog", "value": "71076"}]}
CHALON_BY_SIRET = {"identifiers": [{"scheme": "0009", "value": "21710076700029"}]}
GRAND_CHALON = {"identifiers": [{"scheme": "0002", "value": "247100589"}]}
ABROAD = {"identifiers": [{"scheme": "0208", "value": "0403019261"}]}
"""A Belgian body, in no register here."""


def covering(*beneficiaries: dict[str, Any]) -> Resolved:
    return resolve_json({"kind": "list", "beneficiaries": list(beneficiaries)})


def resolve_json(coverage: dict[str, Any]) -> Resolved:
    return resolve(msgspec.convert(coverage, Coverage))


def body(number: str) -> Body:
    return next(one for one in bodies() if number in (one.siren, one.cog))


def counted(*several: Resolved) -> Tally:
    """What several deployments cover together."""
    return tally(bits(token for one in several for token in one.tokens))


@pytest.mark.parametrize("one", [CHALON, CHALON_BY_CODE, CHALON_BY_SIRET], ids=["siren", "cog", "siret"])
def test_a_body_is_known_by_each_of_its_numbers(one: dict[str, Any]) -> None:
    found = covering(one)
    assert [bodies()[token].name for token in found.tokens] == ["Chalon-sur-Saône"]
    assert found.elsewhere == ()
    count = counted(found)
    assert (count.bodies, count.communes, count.epci) == (1, 1, 0)
    assert count.inhabitants == body("71076").population


def test_a_body_that_is_covered_twice_counts_once() -> None:
    twice = counted(covering(CHALON, CHALON_BY_CODE), covering(CHALON_BY_SIRET))
    assert twice == counted(covering(CHALON))
    department = resolve_json({"kind": "territory", "territory": ["71"]})
    assert counted(covering(CHALON), department) == counted(department)
    region = resolve_json({"kind": "territory", "territory": ["71", "FR-71", "FR-BFC"]})
    assert counted(region).communes == 3_685


def test_an_epci_is_a_body_and_its_people_are_those_of_its_communes() -> None:
    alone = counted(covering(GRAND_CHALON))
    its = [one for one in bodies() if one.epci == "247100589"]
    assert len(its) > 40
    assert (alone.bodies, alone.communes, alone.epci) == (1, 0, 1)
    assert alone.inhabitants == sum(one.population for one in its)
    both = counted(covering(GRAND_CHALON, CHALON))
    assert (both.bodies, both.communes, both.epci) == (2, 1, 1)
    assert both.inhabitants == alone.inhabitants, "who lives in Chalon is counted for one of the two"


def test_greater_paris_is_counted_once_for_its_two_kinds_of_groupings() -> None:
    paris = covering({"identifiers": [{"scheme": "0002", "value": "200054781"}]})
    commune_plain = covering({"identifiers": [{"scheme": "0002", "value": "200057867"}]})
    assert counted(paris, commune_plain).inhabitants == counted(paris).inhabitants
    assert 0 < counted(commune_plain).inhabitants < counted(paris).inhabitants


@pytest.mark.parametrize(
    ("territory", "communes"),
    [
        ("FR-BFC", 3_685), ("FR-BRE", 1_202), ("FR-CVL", 1_754), ("FR-IDF", 1_266), ("FR", 34_969),
        ("75", 1), ("FR-75C", 1), ("2A", 124), ("974", 24), ("RE", 24), ("FR-974", 24),
    ],
)  # fmt: skip
def test_a_territory_is_all_its_bodies(territory: str, communes: int) -> None:
    found = resolve_json({"kind": "territory", "territory": [territory]})
    assert found.areas == 0
    assert counted(found).communes == communes


def test_every_code_of_a_territory_that_is_listed_is_one() -> None:
    for code in (*REGIONS, *OVERSEAS):
        assert counted(resolve_json({"kind": "territory", "territory": [code]})).bodies > 0, code


def test_every_territory_has_the_bodies_that_the_register_puts_there() -> None:
    """Against the plain list: the first and the last of each among them."""
    places = {code: [one for one in bodies() if one.region == number] for code, number in REGIONS.items()}
    for one in bodies():
        places.setdefault(one.departement, []).append(one)
    places["FR"] = list(bodies())
    for code, there in places.items():
        found = resolve_json({"kind": "territory", "territory": [code]})
        assert list(bodies_of(covered_bodies(bits(found.tokens)))) == there, code
        count = counted(found)
        kinds = [one.kind == "epci" for one in there]
        assert (count.bodies, count.epci, count.communes) == (len(kinds), sum(kinds), kinds.count(False)), (
            code
        )


@pytest.mark.parametrize("number", [0, 1, len(bodies()) - 1])
def test_the_ends_of_the_register_are_bodies_as_all_are(number: int) -> None:
    one = bodies()[number]
    count = tally(bits([number]))
    assert (count.bodies, count.communes + count.epci) == (1, 1)
    assert (count.epci == 1) == (one.kind == "epci")
    assert covered_bodies(bits([number])) == bits([number])


def test_nothing_covers_nobody() -> None:
    assert tally(0) == Tally(bodies=0, communes=0, epci=0, others=0, inhabitants=0, counted=0, areas=0)


def test_territories_that_are_not_in_the_register_are_told_as_such() -> None:
    found = resolve_json({"kind": "territory", "territory": ["BE-VLG", "96", "99", "71"]})
    assert found.areas == 3
    assert counted(found).communes == 563


def test_a_number_of_bodies_is_told_apart_from_bodies_that_are_known() -> None:
    assert resolve_json({"kind": "count", "count": 412}) == Resolved(counted=412)
    count = tally(0, counted=412)
    assert (count.bodies, count.inhabitants, count.counted) == (0, 0, 412)


def test_a_body_that_is_not_in_the_register_has_one_name_whatever_its_numbers() -> None:
    other = {"scheme": "0088", "value": "5790000435975"}
    siren = {"scheme": "0002", "value": "130025265"}  # DINUM, no commune
    assert covering(ABROAD).elsewhere == ("0208:0403019261",)
    assert covering({"identifiers": [other, siren]}).elsewhere == ("0002:130025265",)
    assert covering({"identifiers": [siren]}).elsewhere == ("0002:130025265",)
    siret = {"scheme": "0009", "value": "13002526500013"}
    assert covering({"identifiers": [siret]}).elsewhere == ("0002:130025265",)
    assert covering(ABROAD, ABROAD).elsewhere == ("0208:0403019261",)


def test_a_set_of_bodies_gives_back_what_was_put_in() -> None:
    chance = random.Random(3)
    for _ in range(200):
        numbers = set(chance.choices(range(40_000), k=chance.randint(0, 50)))
        assert list(members(bits(numbers))) == sorted(numbers)
    found = bits(covering(CHALON, GRAND_CHALON).tokens)
    assert [one.name for one in bodies_of(found)] == ["Chalon-sur-Saône", "CA Le Grand Chalon"]


def test_inhabitants_are_added_up_rightly_whatever_the_bodies() -> None:
    """Against the plain sum over communes."""
    chance = random.Random(5)
    register = bodies()
    for _ in range(20):
        numbers = chance.sample(range(len(register)), 300)
        groupings = {register[number].siren for number in numbers if register[number].kind == "epci"}
        communes = {register[number].cog for number in numbers if register[number].kind == "commune"}
        people = sum(
            one.population
            for one in register
            if one.kind == "commune" and (one.cog in communes or {one.epci, one.ept} & groupings)
        )
        assert tally(bits(numbers)).inhabitants == people


def test_the_people_of_a_territory_are_those_of_its_communes() -> None:
    """Some of its groupings reach beyond it."""
    found = counted(resolve_json({"kind": "territory", "territory": ["71"]}))
    people = sum(one.population for one in bodies() if one.kind == "commune" and one.departement == "71")
    assert found.inhabitants == people
    assert found.epci > 10
