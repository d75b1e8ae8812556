"""Every cell of the matching table: what a version and a range make, and why."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.version import InvalidVersion
from packaging.version import Version as Pep440

from federation.domain.content.deployment import VersionState
from federation.domain.content.incident import Affected
from federation.domain.exposure.incident_record import solution_entries
from federation.domain.exposure.matching import (
    MAX_BOUNDS,
    REASONS,
    Reason,
    in_range,
    match_version,
    range_problem,
)

GLPI = "vers:generic/>=10.0.0|<10.0.18"
POSTGRESQL = "vers:generic/<13.19|>=14|<14.16|>=15|<15.11|>=16|<16.7|>=17|<17.3"
XWIKI = "vers:generic/>=5.3-milestone-2|<15.10.11|>=16.0.0-rc-1|<16.4.1"
ADVISORIES = Path(__file__).parents[3] / "shared" / "data" / "advisories"

CELLS: list[tuple[str, str | None, VersionState | None, Reason]] = [
    # Bounds, on both sides and on them
    (GLPI, "10.0.0", "exact", "in-range"),
    (GLPI, "10.0.17", "exact", "in-range"),
    (GLPI, "10.0.17", None, "in-range"),
    (GLPI, "10.0.18", "exact", "outside-range"),
    (GLPI, "9.5.13", "exact", "outside-range"),
    (GLPI, "10.0.9", "exact", "in-range"),  # as text it would come after 10.0.18
    (GLPI, "v10.0.17", None, "in-range"),
    (GLPI, " 10.0.17 ", None, "in-range"),
    ("vers:generic/10.0.17", "10.0.17", None, "listed"),
    ("vers:generic/10.0.17", "10.0.16", None, "outside-range"),
    ("vers:generic/<=10.0.17", "10.0.17", None, "in-range"),
    ("vers:generic/>10.0.17", "10.0.17", None, "outside-range"),
    ("vers:generic/!=10.0.17", "10.0.17", None, "outside-range"),
    ("vers:generic/!=10.0.17", "10.0.16", None, "in-range"),
    # All but several, which the library takes for none
    ("vers:generic/!=1.4|!=1.5", "1.6", "exact", "in-range"),
    ("vers:generic/!=1.4|!=1.5", "1.4", "exact", "outside-range"),
    ("vers:generic/!=1.4|!=1.5", "1.5", "exact", "outside-range"),
    ("vers:generic/!=1.4|!=1.5", "1", None, "version-coarse"),
    ("vers:generic/!=1.4|!=1.5", "2", None, "in-range"),
    ("vers:generic/!=1.4|!=1.5|<2", "1.6", "exact", "in-range"),
    ("vers:generic/1.4|!=1.5", "1.6", "exact", "range-unreadable"),
    ("vers:generic/1.4|1.5", "1.5", "exact", "listed"),
    ("vers:generic/1.4|1.5", "1.6", "exact", "outside-range"),
    (POSTGRESQL, "14.15", None, "in-range"),
    (POSTGRESQL, "14.16", None, "outside-range"),
    (POSTGRESQL, "17.2", "exact", "in-range"),
    (XWIKI, "15.10.8", None, "in-range"),
    (XWIKI, "15.10.11", None, "outside-range"),
    (XWIKI, "16.0.0", None, "in-range"),
    (XWIKI, "16.4.1", None, "outside-range"),
    ("vers:deb/<2.4.58-1", "2.4.57-2+deb12u1", None, "in-range"),
    ("vers:pypi/>=2.16.0|<2.16.3", "2.16.3rc1", None, "in-range"),
    ("vers:npm/>=1.0.0|<1.2.0", "1.2.0-beta.1", None, "in-range"),
    # Everything and nothing
    ("vers:all/*", None, None, "every-version"),
    ("vers:generic/*", "Distribution", "rolling", "every-version"),
    ("vers:none/*", "1.0", None, "no-version-affected"),
    # What the deployment does not tell
    (GLPI, None, None, "no-version"),
    (GLPI, None, "unknown", "no-version"),
    (GLPI, None, "rolling", "rolling"),
    (GLPI, "10.0.17", "rolling", "rolling"),
    (GLPI, "10.0.17", "unknown", "version-unsure"),
    # What is no version (24 % of 432 real ones)
    *((GLPI, text, None, "version-unreadable") for text in ("Distribution", "N/A", "Dernière stable", "-")),
    ("vers:maven/<2", "Distribution", "exact", "version-unreadable"),
    ("vers:deb/<2", "N/A", None, "version-unreadable"),
    (GLPI, "1:10.0.17", None, "version-unreadable"),
    # A series is not one version
    (GLPI, "10.0", None, "version-coarse"),
    (GLPI, "10", None, "version-coarse"),
    (GLPI, "10.0.x", "exact", "version-coarse"),
    (GLPI, "10.x", None, "version-coarse"),
    (GLPI, "10.0", "exact", "in-range"),
    (GLPI, "9", None, "outside-range"),
    (GLPI, "9.x", None, "outside-range"),
    (POSTGRESQL, "12", None, "in-range"),
    (POSTGRESQL, "17", None, "version-coarse"),
    ("vers:generic/>=17.0|<18", "17", None, "in-range"),
    ("vers:generic/>=1.2|<1.4|>=1.5|<2", "1", None, "version-coarse"),
    ("vers:generic/!=1.4", "1", None, "version-coarse"),
    # … also where both ends of the series have one answer, and what lies between has another
    ("vers:generic/>=1.2|<1.4", "1", None, "version-coarse"),
    ("vers:generic/<1.2|>=1.4", "1", None, "version-coarse"),
    ("vers:generic/>=1.2|<1.4", "1.x", "exact", "version-coarse"),
    ("vers:generic/1.4", "1", None, "version-coarse"),
    ("vers:generic/>=1.2|<1.4", "1", "exact", "outside-range"),
    # What the library orders wrongly: number by number, or not at all
    ("vers:intdot/>=17|<17.3", "17.2", "exact", "in-range"),
    ("vers:intdot/>=10.0.0|<10.0.18", "10.0.9", None, "in-range"),
    ("vers:generic/<10.0.9.10", "10.0.9.9", None, "in-range"),
    ("vers:generic/<10.0.9.9", "10.0.9.10", None, "outside-range"),
    ("vers:generic/<=1.0-rc9", "1.0-rc10", None, "order-unsure"),
    (GLPI, "10.0.18-2", None, "order-unsure"),
    ("vers:npm/<=1.0-rc9", "1.0-rc10", None, "order-unsure"),  # no version of npm's
    ("vers:npm/<=1.0.0-rc.9", "1.0.0-rc.10", None, "outside-range"),
    (GLPI, "10.0.18-rc1", None, "in-range"),
    (GLPI, "10.0.18RC1", None, "in-range"),
    (GLPI, "10.0.19-rc1", None, "outside-range"),
    # Series in the range: 6.x is all of 6
    ("vers:generic/6.x", "6.1.5", "exact", "series"),
    ("vers:generic/6.x", "6", None, "series"),
    ("vers:generic/6.x", "7.0", "exact", "outside-range"),
    ("vers:generic/10.1.x|9.*", "10.1.5", None, "series"),
    ("vers:generic/10.1.x|9.*", "10.2.0", None, "outside-range"),
    ("vers:generic/10.1.x|9.*", "10", None, "version-coarse"),
    ("vers:npm/8.*", "8.3.1", "exact", "series"),
    ("vers:generic/>=5.0|<=6.x", "6.9.9", "exact", "in-range"),
    ("vers:generic/>=5.0|<6.x", "6.1.5", "exact", "order-unsure"),
    ("vers:generic/>=5.0|<6.x", "7.0.0", "exact", "outside-range"),
    ("vers:generic/>6.x", "6.1.5", "exact", "order-unsure"),
    ("vers:generic/!=6.x", "6.1.5", "exact", "outside-range"),
    ("vers:generic/!=6.x", "7.1.5", "exact", "in-range"),
    ("vers:generic/8.x-1.5", "8.x-1.4", "exact", "range-unreadable"),
    ("vers:generic/<8.0", "8.x-1.4", "exact", "version-unreadable"),
    # … and 10.0 may be
    ("vers:generic/10.0", "10.0.5", "exact", "range-coarse"),
    ("vers:generic/>=9.0|<=10.0", "10.0.5", "exact", "range-coarse"),
    ("vers:generic/>=9.0|<=10.0", "10.1.0", "exact", "outside-range"),
    ("vers:generic/10.0|10.0.1", "10.0.5", "exact", "outside-range"),
    ("vers:generic/<=10.0.17", "10.0.17.1", "exact", "outside-range"),
    ("vers:pypi/<=4.2", "4.2.1", "exact", "outside-range"),
    ("vers:generic/>=4.0|<=4.2", "4.1", "exact", "in-range"),
    ("vers:generic/>10.0", "10.0", None, "version-coarse"),
    ("vers:generic/>10.0", "10.0", "exact", "outside-range"),
    ("vers:generic/!=1.4", "1.4", None, "version-coarse"),
    ("vers:generic/<=10.0", "10.0", None, "in-range"),
    # Build metadata orders nothing (SemVer, section 10)
    ("vers:npm/>=31.0.0|<=31.0.4", "31.0.4+build1", "exact", "in-range"),
    ("vers:cargo/>=1.0.0|<=1.4.0", "1.4.0+meta", "exact", "in-range"),
    ("vers:npm/1.0.0", "1.0.0+build5", "exact", "listed"),
    ("vers:golang/<=1.0.0", "v1.0.0+incompatible", "exact", "in-range"),
    ("vers:generic/<=31.0.4", "31.0.4+build1", "exact", "in-range"),
    ("vers:npm/<31.0.4", "31.0.4+build1", "exact", "outside-range"),
    ("vers:npm/<=1.0.0+b2", "1.0.0", "exact", "in-range"),
    ("vers:npm/<1.0.0+b2", "1.0.0+b1", "exact", "order-unsure"),
    ("vers:nuget/<=1.0.0", "1.0.0+abc", "exact", "in-range"),
    ("vers:pypi/>=31.0.0|<=31.0.4", "31.0.4+deb1", "exact", "in-range"),
    ("vers:pypi/<1.0+cu12", "1.0", "exact", "in-range"),
    # What begins with 0 begins before every version
    ("vers:deb/>=0|<2.15-1", "0~git20200101-1", "exact", "in-range"),
    ("vers:pypi/>=0|<3", "0.dev1", "exact", "in-range"),
    ("vers:npm/>=0|<3.0.0", "0.0.0-alpha", "exact", "in-range"),
    ("vers:golang/>=0|<1.2.3", "v0.0.0-20200101000000-abcdefabcdef", "exact", "in-range"),
    ("vers:generic/>=0.0.0|<3.0.0", "0.0.0-alpha", "exact", "in-range"),
    ("vers:generic/>=0", None, None, "every-version"),
    ("vers:npm/>=0.0.1|<3.0.0", "0.0.0-alpha", "exact", "outside-range"),
    # Packages: what a person leaves out
    ("vers:apk/<1.2.3-r4", "1.2.3-r3", "exact", "in-range"),
    ("vers:apk/<1.2.3-r4", "1.2.3-r10", "exact", "outside-range"),
    ("vers:apk/<1.2.3-r4", "1.2.3", "exact", "version-coarse"),
    ("vers:apk/<1.2_rc2", "1.2_rc1-r0", "exact", "in-range"),
    ("vers:deb/>=1:2.0-1|<1:3.0-1", "2.5-1", "exact", "order-unsure"),
    ("vers:deb/>=1:2.0-1|<1:3.0-1", "1:2.5-1", "exact", "in-range"),
    ("vers:deb/>=2.0-1|<3.0-1", "1:2.5-1", "exact", "order-unsure"),
    ("vers:deb/>=1:2.10-2|<2:1.9-1", "1.0-3", "exact", "order-unsure"),  # of epoch 2 it is within
    ("vers:deb/>=1:2.10-2|<2:1.9-1", "2:1.0-3", "exact", "in-range"),
    ("vers:deb/>=2.4.57-1|<2.4.57-3", "2.4.57", "exact", "version-coarse"),
    ("vers:deb/<=2.4.57", "2.4.57-2", "exact", "order-unsure"),
    ("vers:deb/<2.4.57", "2.4.57-2", "exact", "outside-range"),
    ("vers:deb/>=1.0-0|<1.00-1", "1.00-0", "exact", "in-range"),
    ("vers:deb/<1%3A2.0%2Bdfsg-1", "1:2.0-1", "exact", "in-range"),
    ("vers:rpm/<1.0", "1.0~rc1-1", "exact", "in-range"),
    ("vers:alpm/<1:1.0-2", "1:1.0-1", "exact", "in-range"),
    ("vers:ebuild/<1.0-r2", "1.0_rc1", "exact", "in-range"),
    # Other rules of schemes
    ("vers:composer/<=2.4.4", "2.4.4-p1", "exact", "outside-range"),
    ("vers:composer/>=2.4.4|<2.4.4-p2", "2.4.4-p1", "exact", "in-range"),
    ("vers:composer/<2", "1.0-p" + "1" * 90 + "x", "exact", "version-unreadable"),  # and is read in time
    ("vers:openssl/<1.0.1g", "1.0.1f", "exact", "in-range"),
    ("vers:openssl/>1.0.2z", "1.0.2za", "exact", "in-range"),
    ("vers:gem/<1.0", "1.0.rc1", "exact", "in-range"),
    ("vers:maven/<1.0", "1.0-SNAPSHOT", "exact", "in-range"),
    ("vers:maven/<1.0-RC3", "1.0.RC2", "exact", "in-range"),
    ("vers:pypi/<1%212.0", "2024.1", "exact", "in-range"),
    # Under no rule
    ("vers:generic/>=10.0.0|<10.0.18", "10.0.0-rc1", "exact", "order-unsure"),
    ("vers:generic/<1.1", "1.09", "exact", "order-unsure"),
    ("vers:generic/<1.10", "1.09", "exact", "in-range"),
    ("vers:generic/<10.0.18", "20240115", "exact", "order-unsure"),
    ("vers:generic/<2023-06-01", "2023-05-31", "exact", "in-range"),
    ("vers:generic/<1.0.1", "1.0.1f", "exact", "order-unsure"),
    ("vers:generic/<5", "7f3a2b1", "exact", "version-unreadable"),
    ("vers:generic/<10", "10.0+", "exact", "version-unreadable"),
    ("vers:intdot/<017", "16", "exact", "in-range"),
    # Bounds that contradict each other, or that words are in
    ("vers:generic/>=1|<=1", "1", "exact", "in-range"),
    ("vers:generic/>=2|<1", "1.5", "exact", "range-unreadable"),
    ("vers:generic/>=2|<3|>=1|<1.5", "1.2", "exact", "in-range"),
    ("vers:generic/1.5|<2", "1", "exact", "range-unreadable"),
    ("vers:generic/6.0-6.4", "6.2", "exact", "range-unreadable"),
    ("vers:generic/6.4.and-earlier", "6.2", "exact", "range-unreadable"),
    ("vers:generic/>=1|>=1|<2|<2", "1.5", "exact", "in-range"),
    # Ranges that are none
    ("vers:semver/>=1|<2", "1.5", None, "scheme-unknown"),
    ("vers:lexicographic/>=1|<2", "1.5", None, "scheme-unknown"),
    ("vers:generic/>=10.0.0, <10.0.18", "10.0.17", None, "range-unreadable"),
    ("vers:generic/>=1|<1", "1", None, "range-unreadable"),
    ("vers:generic/<1|<2", "1", None, "range-unreadable"),
    ("vers:generic/<<1", "1", None, "range-unreadable"),
    ("vers:generic/latest", "1", None, "range-unreadable"),
    ("vers:maven/<latest", "1", None, "range-unreadable"),
    ("purl:generic/<1", "1", None, "range-unreadable"),
    ("vers:generic/", "1", None, "range-unreadable"),
    ("vers:generic", "1", None, "range-unreadable"),
    (">=1|<2", "1", None, "range-unreadable"),
    ("vers:generic/<1é", "1", None, "range-unreadable"),
    ("vers:generic/" + "|".join(f">={n}" for n in range(600)), "1", None, "range-unreadable"),
]  # fmt: skip


@pytest.mark.parametrize(("range_", "version", "state", "reason"), CELLS, ids=lambda v: repr(v)[:40])
def test_a_version_and_a_range_make_one_answer(
    range_: str, version: str | None, state: VersionState | None, reason: Reason
) -> None:
    assert in_range(range_, version, state) == reason


def test_every_reason_that_a_range_can_give_has_its_cell() -> None:
    elsewhere = {
        "named", "stated", "no-range", "range-as-text", "fixed-version", "not-in-use", "software-unsure",
        "name-only", "release-unsure", "not-understood",
    }  # fmt: skip
    assert {cell[3] for cell in CELLS} == set(REASONS) - elsewhere


SOME = Affected(solution="arnia/glpi", range=GLPI, fixed_in=("10.0.18", "10.0.10-1"))


def test_several_entries_of_a_solution_are_alternatives() -> None:
    hit = (SOME, Affected(solution="arnia/glpi", range="vers:generic/<9.5.14"))
    for version, reason in (("10.0.17", "in-range"), ("9.5.13", "in-range"), ("9.5.14", "outside-range")):
        found = match_version(hit, "arnia/glpi", version, None)
        assert found
        assert found.reason == reason


def test_unknown_is_told_before_not_affected_and_affected_before_unknown() -> None:
    words = Affected(solution="arnia/glpi", range_text="some of them")
    safe = Affected(solution="arnia/glpi", range="vers:generic/<1")
    hit = Affected(solution="arnia/glpi", range="vers:all/*")
    found = [
        match_version(several, "arnia/glpi", "10.0.1", None) for several in ((words, safe), (words, hit))
    ]
    assert [one.verdict for one in found if one] == ["unknown", "affected"]


def test_a_solution_that_is_not_spoken_of_has_no_answer() -> None:
    assert match_version((SOME,), "arnia/xwiki", "10.0.17", None) is None
    assert match_version((Affected(deployments=("arnia/one",)),), "arnia/glpi", "1", None) is None


def test_a_range_that_contains_a_version_outranks_that_it_is_named_as_fixed() -> None:
    for version, state, reason in (
        ("10.0.10-1", "exact", "in-range"),
        ("10.0.10-1", None, "in-range"),
        ("10.0.18", None, "fixed-version"),
        ("v10.0.18", None, "fixed-version"),
        ("10.0.18", "rolling", "rolling"),
    ):
        found = match_version((SOME,), "arnia/glpi", version, state)  # type: ignore[arg-type]
        assert found
        assert found.reason == reason


def test_without_a_range_the_answer_is_unknown() -> None:
    assert _reason(Affected(solution="arnia/glpi")) == "no-range"
    assert _reason(Affected(solution="arnia/glpi", range_text="before March")) == "range-as-text"


def _reason(one: Affected) -> str:
    found = match_version((one,), "arnia/glpi", "10.0.17", "exact")
    assert found
    assert found.verdict == "unknown"
    return found.reason


def test_an_outage_that_names_deployments_says_nothing_of_the_same_software_elsewhere() -> None:
    there = Affected(solution="arnia/glpi", deployments=("arnia/one",))
    assert list(solution_entries("outage", (there,))) == []
    assert list(solution_entries("vulnerability", (there,))) == [there]
    assert list(solution_entries("outage", (Affected(solution="arnia/glpi"),))) != []
    ranged = Affected(solution="arnia/glpi", deployments=("arnia/one",), range=GLPI)
    assert list(solution_entries("outage", (ranged,))) == [ranged]
    in_words = Affected(solution="arnia/glpi", deployments=("arnia/one",), range_text="before March")
    assert list(solution_entries("outage", (in_words,))) == [in_words]


def test_a_range_has_a_number_of_bounds_that_can_be_read_in_time() -> None:
    most = "|".join(f"!={n}" for n in range(MAX_BOUNDS))
    assert in_range(f"vers:generic/{most}", str(MAX_BOUNDS), "exact") == "in-range"
    assert in_range(f"vers:generic/{most}|!=x", "1", "exact") == "range-unreadable"
    assert range_problem(f"vers:generic/{most}|!={MAX_BOUNDS}") == "the incident's range cannot be read"


def test_a_range_that_is_not_understood_says_why() -> None:
    assert range_problem(GLPI) is None
    assert range_problem("vers:all/*") is None
    assert range_problem("vers:semver/1") == "the scheme of the incident's range is not known here"
    assert range_problem("vers:generic/>=1|<1") == "the incident's range cannot be read"


# Whatever comes


SCHEMES = ("generic", "pypi", "deb", "rpm", "maven", "npm", "nuget", "gem", "intdot", "apk", "openssl", "x")
PIECES = (
    ">=", "<", "<=", "=", "!=", ">", "|", "*", "1", "10", "0", ".", "-rc1", "alpha", "+b", "~", ":", "N/A",
    " ", "é", "%2B", "(55)SE", "v", "999999999999999999", "\x00", "/",
)  # fmt: skip


def test_nothing_makes_it_fail() -> None:
    chance = random.Random(6)
    states: tuple[VersionState | None, ...] = (None, "exact", "rolling", "unknown")
    for _ in range(4_000):
        range_ = f"vers:{chance.choice(SCHEMES)}/" + "".join(chance.choices(PIECES, k=chance.randint(0, 8)))
        version = "".join(chance.choices(PIECES, k=chance.randint(0, 5)))
        assert in_range(range_, version, chance.choice(states)) in REASONS


def test_more_precision_never_turns_an_answer_round() -> None:
    """If a series is answered, every version of it has the same answer."""
    chance = random.Random(7)
    for _ in range(1_500):
        bounds = sorted(
            {(chance.randint(0, 4), chance.randint(0, 4), chance.randint(0, 4)) for _ in range(4)}
        )
        said = [".".join(map(str, one[: chance.randint(2, 3)])) for one in bounds]
        range_ = "vers:generic/" + "|".join(f"{'>=' if n % 2 == 0 else '<'}{v}" for n, v in enumerate(said))
        series = f"{chance.randint(0, 4)}.{chance.randint(0, 4)}"
        of_series = in_range(range_, series, None)
        if REASONS[of_series][0] == "unknown":
            continue
        for last in range(6):
            assert in_range(range_, f"{series}.{last}", "exact") == of_series, (range_, series, last)


def _osv() -> Iterator[tuple[str, list[str], str, list[str]]]:
    file = ADVISORIES / "osv-pysec-selected.jsonl"
    if not file.exists():
        pytest.skip("the shared advisories are not beside the project: nothing to compare with")
    for line in file.read_text().splitlines():
        advisory = json.loads(line)
        for affected in advisory["affected"]:
            for ranged in affected.get("ranges", ()):
                if ranged["type"] == "ECOSYSTEM":
                    # (Some advisories name an event twice.)
                    bounds = dict.fromkeys(
                        f"{'>=' if name == 'introduced' else '<'}{value}"
                        for event in ranged["events"]
                        for name, value in event.items()
                    )
                    fixed = [event["fixed"] for event in ranged["events"] if "fixed" in event]
                    yield advisory["id"], affected.get("versions", []), f"vers:pypi/{'|'.join(bounds)}", fixed


def test_real_advisories_say_of_their_own_versions_what_they_list() -> None:
    """Every version that an advisory lists is affected, every version it names as fixed is not."""
    answered = hit = 0
    for name, versions, range_, fixed in _osv():
        if range_problem(range_) is not None:
            continue
        for version in versions:
            if not _is_pep440(version):
                continue
            answered += 1
            hit += REASONS[in_range(range_, version, "exact")].verdict == "affected"
        for version in fixed:
            assert in_range(range_, version, "exact") == "outside-range", (name, range_, version)
    # (An advisory may list a few versions that its own range leaves out.)
    assert answered > 15_000
    assert hit / answered > 0.99


def test_real_ranges_keep_the_order_of_their_versions() -> None:
    """Between two versions that are both hit, with no bound between them, everything is hit."""
    for name, versions, range_, _ in _osv():
        ordered = sorted({Pep440(v) for v in versions if _is_pep440(v)})
        answers = [in_range(range_, str(version), "exact") for version in ordered]
        turns = sum(one != other for one, other in pairwise(answers))
        assert turns <= range_.count("|") + 1, name


def _is_pep440(version: str) -> bool:
    try:
        Pep440(version)
    except InvalidVersion:
        return False
    return True
