"""Public cases of bodies and territories: codes of ISO 3166-2, merged communes, numbers that contradict."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from federation.domain.content.deployment import Coverage, Deployment
from federation.domain.content.operator import Operator
from federation.domain.content.solution import Solution
from federation.domain.errors import Invalid
from federation.domain.exposure.coverage import Resolved, Tally, bits, resolve, tally
from federation.domain.organisation import Identifier
from federation.domain.query import read_query
from federation.domain.territories.bodies import bodies, communes_of_codes
from federation.domain.territories.identity import contradicting, names_of_body
from tests.domain.builders import a_deployment, a_document, a_draft, a_solution, an_operator, received

ANNECY, DIJON, CHALON = "200063402", "212102313", "217100767"
OTHER_COMMUNE = "212100549"


def body(*numbers: str, **members: Any) -> dict[str, Any]:
    """A body with the identifiers ``scheme:value``."""
    pairs = (number.split(":", 1) for number in numbers)
    return {"identifiers": [{"scheme": scheme, "value": value} for scheme, value in pairs], **members}


def resolved(**coverage: Any) -> Resolved:
    return resolve(msgspec.convert(coverage, Coverage))


def of_territory(*codes: str) -> tuple[Tally, int]:
    found = resolved(kind="territory", territory=codes)
    return tally(bits(found.tokens)), found.areas


def of_list(*listed: dict[str, Any]) -> tuple[Tally, tuple[str, ...]]:
    found = resolved(kind="list", beneficiaries=listed)
    return tally(bits(found.tokens)), found.elsewhere


@pytest.mark.case("c01", "a code of ISO 3166-2 is the territory that it names")
def test_every_code_of_iso_3166_2_is_the_same_territory_as_its_insee_number() -> None:
    same = {
        "987": ("PF", "FR-PF"), "988": ("NC", "FR-NC"), "977": ("BL", "FR-BL"), "978": ("MF", "FR-MF"),
        "975": ("PM", "FR-PM"), "986": ("WF", "FR-WF"), "984": ("TF", "FR-TF"), "989": ("FR-CP", "FR-989"),
        "971": ("GP", "FR-GP", "FR-971", "FR-GUA"), "974": ("RE", "FR-RE", "FR-974", "FR-LRE"),
        "972": ("MQ", "FR-MQ", "FR-MTQ"), "973": ("GF", "FR-GF", "FR-GUF"), "976": ("YT", "FR-YT", "FR-MAY"),
        "75": ("FR-75", "FR-75C"), "2A": ("FR-2A",), "71": ("FR-71",), "FR-20R": ("FR-COR",),
    }  # fmt: skip
    for number, codes in same.items():
        expected, unknown = of_territory(number)
        assert (expected.bodies > 0, unknown) == (True, 0), number
        for code in codes:
            assert of_territory(code) == (expected, 0), code
            assert of_territory(number, code) == (expected, 0), "named twice, and counted once"
    assert of_territory("FR-PF")[0].inhabitants == 278_786
    assert of_territory("FR-69M")[0].communes == 58
    assert of_territory("FR-6AE") == of_territory("67", "68")
    for code in ("20", "FR-20"):
        assert of_territory(code) == of_territory("2A", "2B")
        assert of_territory(code)[0].inhabitants == of_territory("FR-20R")[0].inhabitants


@pytest.mark.case("c01", "a code that the register does not have is said to be unknown")
def test_a_code_that_is_no_territory_of_the_register_is_no_bodies_and_one_unknown_area() -> None:
    for code in ("FR-XX", "FR-99", "XX", "BE-VLG", "FR-FR", "FR-71C", "FR-20A"):
        assert of_territory(code) == (tally(0), 1), code


@pytest.mark.case("c03", "a merged commune counts as the commune of today, once")
def test_merged_communes_and_arrondissements_count_as_the_commune_of_today() -> None:
    alone = of_list(body("cog:74010"))
    assert (alone[0].bodies, alone[0].others, alone[1]) == (1, 0, ())
    assert of_list(body("cog:74010"), body("cog:74011"), body("cog:74268")) == alone
    assert of_list(body("cog:74268")) == alone
    for commune, arrondissements in {
        "75056": ("75101", "75120"), "69123": ("69381", "69389"), "13055": ("13201", "13216"),
    }.items():  # fmt: skip
        assert of_list(*(body(f"cog:{code}") for code in arrondissements)) == of_list(body(f"cog:{commune}"))
    assert of_list(body("cog:75121")) == (tally(0), ("cog:75121",)), "Paris has twenty of them"
    for postcode in ("75001", "75020"):
        assert of_list(body(f"cog:{postcode}")) == (tally(0), (f"cog:{postcode}",)), "not Alfortville"
    assert of_list(body("cog:75021"))[0].communes == 1, "Chevilly-Larue, and no postcode"


def test_every_code_of_a_part_is_known_as_a_commune_of_today() -> None:
    communes = {found.cog for found in bodies() if found.cog}
    assert len(communes_of_codes()) > 4_000
    assert set(communes_of_codes().values()) <= communes
    assert not communes & communes_of_codes().keys()


@pytest.mark.case("c05", "numbers of one body that contradict are refused, with a pointer to the second")
@pytest.mark.parametrize(
    ("numbers", "second"),
    [
        ((f"0002:{OTHER_COMMUNE}", "cog:21231"), 1),
        (("cog:21231", f"0002:{OTHER_COMMUNE}"), 1),
        ((f"0002:{DIJON}", "cog:21231", "cog:71076"), 2),
        ((f"0002:{DIJON}", "0009:21710076700029"), 1),
        (("cog:21231", "0002:130025265"), 1),
        ((f"0002:{ANNECY}", "cog:21231"), 1),
        (("cog:74011", "cog:75101"), 1),
        (("0002:130025265", "0002:217100767"), 1),
        (("0208:0403019261", f"0002:{DIJON}", "cog:71076"), 2),
    ],
)
def test_contradicting_numbers_are_refused_from_a_writer(numbers: tuple[str, ...], second: int) -> None:
    listed = {"kind": "list", "beneficiaries": [body(f"0002:{CHALON}"), body(*numbers)]}
    with pytest.raises(Invalid, match="names another body") as refusal:
        a_draft(a_deployment(coverage=listed), Deployment)
    assert refusal.value.pointer == f"/content/coverage/beneficiaries/1/identifiers/{second}"
    with pytest.raises(Invalid) as refusal:
        a_draft(an_operator(**body(*numbers)), Operator)
    assert refusal.value.pointer == f"/content/identifiers/{second}"
    with pytest.raises(Invalid) as refusal:
        a_draft(a_solution(steward=body(*numbers, name="Régie")), Solution)
    assert refusal.value.pointer == f"/content/steward/identifiers/{second}"


@pytest.mark.case("c05", "numbers of one body that agree are taken")
@pytest.mark.parametrize(
    "numbers",
    [
        (f"0002:{DIJON}", "cog:21231"),
        ("0009:21710076700029", "cog:71076", f"0002:{CHALON}"),
        ("cog:74010", "cog:74011", f"0002:{ANNECY}"),
        ("cog:74011", "0002:130025265"),
        ("0208:0403019261", f"0002:{DIJON}"),
        ("0088:1", "0088:2"),
        ("cog:98412", "0002:130025265"),
    ],
    ids=str,
)
def test_numbers_that_agree_or_are_not_known_to_disagree_are_taken(numbers: tuple[str, ...]) -> None:
    listed = {"kind": "list", "beneficiaries": [body(*numbers)]}
    assert a_draft(a_deployment(coverage=listed), Deployment)
    assert contradicting([Identifier(**one) for one in body(*numbers)["identifiers"]]) is None


@pytest.mark.case("c05", "of a peer's record both bodies count: none is left out")
def test_a_peer_s_record_with_contradicting_numbers_counts_for_both_bodies() -> None:
    both = body(f"0002:{OTHER_COMMUNE}", "cog:21231")
    content = a_deployment(coverage={"kind": "list", "beneficiaries": [both]})
    assert received(a_document(type="deployment", tlp="GREEN", content=content), type_name="deployment")
    dijon, other = (of_list(body(number))[0].inhabitants for number in ("cog:21231", f"0002:{OTHER_COMMUNE}"))
    assert of_list(both)[0].inhabitants == dijon + other > dijon > 0


def values(territory: str) -> tuple[str, ...]:
    (_, found), *_ = read_query(Deployment, [("territory", territory)]).facets
    return found


def facets(**coverage: Any) -> set[str]:
    projection = a_draft(a_deployment(coverage=coverage), Deployment).content.project()
    prefix = "deployment.territory="
    return {facet.removeprefix(prefix) for facet in projection.facets if facet.startswith(prefix)}


def is_found(code: str, /, **coverage: Any) -> bool:
    return not facets(**coverage).isdisjoint(values(code))


def test_the_filter_on_territories_finds_what_contains_them_and_what_they_contain() -> None:
    in_chalon = {"kind": "list", "beneficiaries": [body("cog:71076")]}
    for code in ("71", "FR-71", "FR-BFC", "FR"):
        assert is_found(code, **in_chalon), code
        for other in ("71", "FR-71", "FR-BFC", "FR"):
            assert is_found(code, kind="territory", territory=[other]), (code, other)
    for code in ("21", "FR-BRE", "FR-974", "BE"):
        assert not is_found(code, **in_chalon), code
        assert not is_found(code, kind="territory", territory=["71"]), code
    assert is_found("FR-974", kind="territory", territory=["RE"])
    for code in ("2A", "2B", "FR-20R", "FR"):
        assert is_found("20", kind="territory", territory=[code])
        assert is_found(code, kind="territory", territory=["FR-20"])
    assert is_found("20", kind="list", beneficiaries=[body("cog:2B033")])
    assert is_found("BE-VLG", kind="territory", territory=["BE"])
    assert not is_found("BE-VLG", kind="territory", territory=["BE-WAL"])
    assert is_found("FR-69M", kind="list", beneficiaries=[body("cog:69123")])
    assert not is_found("71", kind="count", count=3)


def test_a_body_is_asked_for_by_any_of_its_numbers() -> None:
    for number in ("74010", "74268", ANNECY):
        found = read_query(Deployment, [("beneficiary", number)]).beneficiaries
        assert {"cog:74010", "cog:74268", f"0002:{ANNECY}"} <= set(found)
    assert names_of_body("0208:0403019261") == ("0208:0403019261",)
    assert names_of_body("cog:99999") == ("cog:99999",)
