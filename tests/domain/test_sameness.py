"""What makes two solutions the same software, and how far the word of one record reaches."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from federation.domain.content.solution import Solution
from federation.domain.document import Document
from federation.domain.exposure.linkage import (
    MAX_ADOPTED,
    MAX_LINKS_PER_SOLUTION,
    MAX_LISTED,
    MAX_STEPS,
    Links,
    NamedBy,
    links,
)
from federation.domain.exposure.solution_identifiers import (
    MAX_URI_BYTES,
    identifier,
    identifiers,
    is_record,
)
from tests.domain.builders import a_record, a_solution

REPOSITORY = "https://github.com/glpi-project/glpi"


@pytest.mark.parametrize(
    ("written", "one_form"),
    [
        ("https://github.com/GLPI-Project/glpi.git", REPOSITORY),
        ("http://www.github.com/glpi-project/glpi/", REPOSITORY),
        ("https://github.com/glpi-project/glpi/tree/main", REPOSITORY),
        ("git+https://github.com//glpi-project/glpi#readme", REPOSITORY),
        ("ssh://git@github.com:22/glpi-project/glpi", REPOSITORY),
        ("https://github.com:443/glpi-project/glpi", REPOSITORY),
        ("pkg:github/glpi-project/glpi@10.0.17", REPOSITORY),
        ("https://gitlab.adullact.net/dgfip/ir-catala/-/tree/master", "https://gitlab.adullact.net/dgfip/ir-catala"),
        ("https://git.example.org/?p=glpi.git", "https://git.example.org/?p=glpi.git"),
        ("http://wikidata.org/wiki/q1466580", "https://www.wikidata.org/entity/Q1466580"),
        ("https://www.wikidata.org/entity/Q1466580", "https://www.wikidata.org/entity/Q1466580"),
        ("https://comptoir-du-libre.org/fr/softwares/9", "https://comptoir-du-libre.org/softwares/9"),
        ("https://comptoir-du-libre.org/en/softwares/9", "https://comptoir-du-libre.org/softwares/9"),
        ("https://node.example.org/v1/solutions/arnia/GLPI-10", "arnia/GLPI-10"),
        ("http://127.0.0.1:8000/v1/solutions/arnia/glpi/", "arnia/glpi"),
        ("pkg:pypi/Some_Thing@1.0?x=y#z", "pkg:pypi/some-thing"),
        ("pkg:npm/%40angular/core@17.0.0", "pkg:npm/@angular/core"),
        ("pkg:npm/@angular/core", "pkg:npm/@angular/core"),
        ("pkg:composer/glpi/glpi", "pkg:composer/glpi/glpi"),
        ("cpe:2.3:a:glpi-project:glpi:10.0.17:*:*:*:*:*:*:*", "cpe:2.3:a:glpi-project:glpi"),
        ("cpe:/a:GLPI-project:glpi:10.0", "cpe:2.3:a:glpi-project:glpi"),
        (r"cpe:2.3:a:some\:one:thing:1", r"cpe:2.3:a:some\:one:thing"),
        ("swh:1:dir:D198bc9d7a6B", "swh:1:dir:d198bc9d7a6b"),
    ],
)  # fmt: skip
def test_however_it_is_written_a_product_has_one_identifier(written: str, one_form: str) -> None:
    assert identifier(written) == one_form
    if not is_record(one_form):
        assert identifier(one_form) == one_form


@pytest.mark.parametrize(
    "written",
    [
        "", "https:", "https://", "https://github.com", "https://github.com/glpi-project",
        "https://gitlab.com/glpi-project/", "https://git.example.org/", "https://[::1", "https://a:b/c",
        "pkg:", "pkg:pypi", "pkg:pypi/", "pkg:pypi/@1.0", "pkg:github/glpi-project",
        "cpe:2.3:a:*:glpi:1", "cpe:2.3:a:glpi-project:-", "cpe:/a", "urn:",
        f"https://git.example.org/{'x' * MAX_URI_BYTES}",
        f"https://git.example.org/{'é' * (MAX_URI_BYTES // 2)}",
    ],
)  # fmt: skip
def test_what_is_that_of_many_products_or_cannot_be_read_identifies_none(written: str) -> None:
    assert identifier(written) is None


def test_a_record_says_what_it_is_by_repository_packages_and_same_as() -> None:
    record = a_record(
        a_solution(
            repository="https://GitHub.com/glpi-project/glpi.git",
            homepage="https://glpi-project.org/home",
            packages=[{"purl": "pkg:composer/glpi/glpi@10"}, {"cpe": "cpe:2.3:a:glpi-project:glpi:10"}],
            based_on=["arnia/other"],
        ),
        same_as=[
            "https://www.wikidata.org/entity/Q1466580",
            "https://megalis.example.org/v1/solutions/megalis/glpi",
            "https://arnia.example.org/v1/solutions/arnia/glpi",
            "https://github.com/glpi-project/glpi",
        ],
    )
    shape: Any = Document
    assert identifiers(msgspec.json.decode(record.document, type=shape[Solution])) == (
        REPOSITORY,
        "pkg:composer/glpi/glpi",
        "cpe:2.3:a:glpi-project:glpi",
        "cpe:glpi_project:glpi",
        "cpe:glpi_project:glpi#glpi",
        "https://www.wikidata.org/entity/Q1466580",
        "megalis/glpi",
    )


PUBLICCODE = Path(__file__).parents[3] / "shared" / "data" / "publiccode"


@pytest.mark.skipif(not PUBLICCODE.exists(), reason="the real publiccode files are not here")
def test_real_repositories_identify_what_they_are_of() -> None:
    found: dict[str, set[str]] = {}
    read = 0
    for file in sorted(PUBLICCODE.glob("20*/*.y*ml")):
        try:
            content = yaml.safe_load(file.read_text())
        except yaml.YAMLError:
            continue
        if isinstance(content, dict) and isinstance(content.get("url"), str):
            read += 1
            one = identifier(content["url"].strip())
            assert one is not None, content["url"]
            found.setdefault(one, set()).add(str(content.get("name", "")).strip().lower())
    assert read > 30
    assert len(found) > read / 2


# Who speaks for whom


def told(named: str, **says: list[str]) -> dict[str, bool]:
    """What is the same as a solution, and whether that is certain. ``a_glpi`` stands for a/glpi."""
    return {solution: link.certain for solution, link in found(named, **says)[0].items()}


def found(named: str, **said: list[str]) -> Any:
    says = {solution.replace("_", "/", 1): several for solution, several in said.items()}
    namers: dict[str, list[str]] = {}
    for solution, several in says.items():
        for one in several:
            namers.setdefault(one, []).append(solution)
    return links(named, says, namers)


R, W, P = "https://github.com/o/r", "https://www.wikidata.org/entity/Q1", "pkg:x/p"


def test_two_that_name_the_same_repository_are_one_and_each_is_told_to_say_so() -> None:
    same, more = found("a/x", a_x=[R], b_x=[R], c_x=[W])
    assert not more
    assert set(same) == {"b/x"}
    assert same["b/x"].certain
    assert same["b/x"].because == (NamedBy("a/x", R), NamedBy("b/x", R))
    assert told("b/x", a_x=[R], b_x=[R]) == {"a/x": True}


def test_what_names_the_solution_of_an_incident_says_so_for_itself() -> None:
    same, _ = found("a/x", b_x=["a/x"])
    assert same["b/x"].certain, "also where the record of a/x has not arrived"
    assert same["b/x"].because == (NamedBy("b/x", "a/x"),)


def test_what_only_the_incidents_side_says_of_another_record_is_not_certain() -> None:
    same, _ = found("a/x", a_x=["b/x"], b_x=[])
    assert not same["b/x"].certain
    assert same["b/x"].because == (NamedBy("a/x", "b/x"),)
    both, _ = found("a/x", a_x=["b/x"], b_x=["a/x"])
    assert both["b/x"].certain, "it was returned"
    assert both["b/x"].because == (NamedBy("a/x", "b/x"), NamedBy("b/x", "a/x"))


def test_a_record_speaks_for_the_records_it_names() -> None:
    # c/x says it is b/x, which names the repository of a/x: certain from a, since c says so itself.
    chain_ = {"a_x": [R], "b_x": [R], "c_x": ["b/x"]}
    same, _ = found("a/x", **chain_)
    assert same["c/x"].certain
    assert same["c/x"].because == (NamedBy("a/x", R), NamedBy("b/x", R), NamedBy("c/x", "b/x"))
    # The other way round nobody at a/x has said anything of c/x.
    assert told("c/x", **chain_) == {"b/x": False, "a/x": False}
    assert told("c/x", **{**chain_, "b_x": [R, "c/x"]}) == {"b/x": True, "a/x": True}


def test_a_third_record_does_not_make_two_others_one() -> None:
    bridges: tuple[list[str], ...] = ([R, W], ["a/x", "b/y"], [R, "b/y"], ["a/x", W])
    for bridge in bridges:
        assert "b/y" not in told("a/x", a_x=[R], b_y=[W], evil_z=bridge)
        assert "a/x" not in told("b/y", a_x=[R], b_y=[W], evil_z=bridge)
        assert "evil/z" in told("a/x", a_x=[R], b_y=[W], evil_z=bridge), "its own word on itself"


def test_who_claims_to_be_everything_is_counted_everywhere_and_moves_nobody_else() -> None:
    everything = [f"op{n}/x" for n in range(40)] + [f"https://github.com/o/{n}" for n in range(40)]
    others = {f"op{n}_x": [f"https://github.com/o/{n}"] for n in range(40)}
    for n in range(40):
        assert told(f"op{n}/x", **others, evil_all=everything) == {"evil/all": True}
    # An incident that names it reaches what names the same things, and asks where nobody returns its word.
    reached = told("evil/all", **others, evil_all=everything)
    assert len(reached) == 40
    assert told("evil/all", **others, evil_all=everything[:40]) == dict.fromkeys(everything[:40], False)


def test_a_circle_ends() -> None:
    circle = {"a_x": ["b/x"], "b_x": ["c/x"], "c_x": ["a/x"]}
    assert told("a/x", **circle) == {"b/x": True, "c/x": True}
    itself = {"a_x": ["a/x", R], "b_x": ["b/x", "a/x"]}
    assert told("a/x", **itself) == {"b/x": True}


def test_a_chain_reaches_as_far_as_is_said_and_no_further() -> None:
    up = {f"op{n}_x": [f"op{n - 1}/x"] for n in range(1, 9)}
    assert set(told("op0/x", **up)) == {f"op{n}/x" for n in range(1, MAX_STEPS + 1)}
    assert set(told("op8/x", **up)) == {f"op{n}/x" for n in range(8 - MAX_STEPS, 8)}


def test_a_thousand_solutions_of_one_operator_leave_room_for_the_others_and_are_told_to_be_more() -> None:
    flood = {f"aaa_x{n:04}": [R] for n in range(1_000)}
    same, more = found("a/x", a_x=[R], zz_x=[R], **flood)
    assert "zz/x" in same
    assert len(same) == MAX_LINKS_PER_SOLUTION + 1
    assert more
    none_beyond = found("a/x", a_x=[R], zz_x=[R], **dict(list(flood.items())[:MAX_LINKS_PER_SOLUTION]))
    assert len(none_beyond[0]) == MAX_LINKS_PER_SOLUTION + 1
    assert not none_beyond[1]


def test_as_many_records_are_spoken_for_and_told() -> None:
    wide = [f"op{n}/x" for n in range(2 * MAX_ADOPTED)]
    same, more = found("a/x", a_x=wide)
    assert len(same) == MAX_ADOPTED - 1
    assert more
    shown = Links({"a/x": same}).to_view(("a/x", solution) for solution in same)
    assert [one.solution for one in shown] == sorted(same)[:MAX_LISTED]


def test_what_is_one_software_is_what_the_rule_says_whatever_the_records_name() -> None:
    """Beside the rule as it is written: what both speak for meets, whoever else says what."""
    chance = random.Random(20)
    met = certain = 0
    for _ in range(400):
        solutions = [f"op{n}/x" for n in range(6)]
        things = [*solutions, R, W, P]
        says = {one: chance.sample(things, chance.choice((0, 1, 1, 2))) for one in solutions}
        namers: dict[str, list[str]] = {}
        for solution, several in says.items():
            for one in several:
                namers.setdefault(one, []).append(solution)
        for start in solutions:
            word = _spoken(start, says)
            expected = {one for one in solutions if one != start and word & _spoken(one, says)}
            same, more = links(start, says, namers)
            assert set(same) == expected
            assert not more
            for solution, link in same.items():
                assert all(claim.names in says[claim.solution] for claim in link.because)
                told = {part for claim in link.because for part in (claim.solution, claim.names)}
                assert {start, solution} <= told
                own_word = _spoken(start, says, only_returned=True)
                assert link.certain == bool(own_word & _spoken(solution, says))
                met, certain = met + 1, certain + link.certain
    assert met > 1_000
    assert 100 < certain < met - 100


def _spoken(start: str, says: dict[str, list[str]], *, only_returned: bool = False) -> set[str]:
    records = {start}
    for _ in range(MAX_STEPS):
        records |= {
            one
            for solution in records
            for one in says[solution]
            if is_record(one) and (not only_returned or solution in says[one])
        }
    return records | {one for solution in records for one in says[solution] if not is_record(one)}
