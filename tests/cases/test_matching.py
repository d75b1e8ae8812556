"""Public cases about versions and ranges: what is asked of a range, and why it answers so."""

from __future__ import annotations

import pytest

from federation.domain.content.deployment import VersionState
from federation.domain.content.incident import Affected
from federation.domain.exposure.because import because
from federation.domain.exposure.matching import REASONS, Reason, in_range, match_version

SOLUTION = "arnia/glpi"


def _reason(*entries: Affected, version: str, state: VersionState | None = "exact") -> Reason:
    match = match_version(entries, SOLUTION, version, state)
    assert match is not None
    return match.reason


@pytest.mark.case("a02", "a version that is named as fixed is affected where another entry begins with it")
def test_the_end_of_one_interval_is_the_beginning_of_another() -> None:
    entries = (
        Affected(solution=SOLUTION, range="vers:generic/>=9.0|<10.0", fixed_in=("10.0", "10.0.5")),
        Affected(solution=SOLUTION, range="vers:generic/>=10.0|<10.0.5", fixed_in=("10.0", "10.0.5")),
    )
    for version, reason in (("10.0", "in-range"), ("10.0.4", "in-range"), ("10.0.5", "fixed-version")):
        assert _reason(*entries, version=version) == reason


@pytest.mark.case("a02", "a range that contains a version outranks that the same entry names it as fixed")
def test_a_contradiction_within_an_entry_is_affected_and_explained() -> None:
    entry = Affected(solution=SOLUTION, range="vers:generic/>=9.0|<10.0.5", fixed_in=("10.0",))
    assert _reason(entry, version="10.0") == "in-range"
    explained = because([entry], "in-range", solution=SOLUTION, version="10.0", state="exact")
    assert (explained.rule, explained.entry, explained.fixed_in) == ("in-range", 0, "10.0")
    assert because([entry], "in-range", solution=SOLUTION, version="9.5", state="exact").fixed_in is None


@pytest.mark.case("a02", "a version named as fixed does not outrank a range that may contain it")
def test_a_version_named_as_fixed_stays_unknown_where_the_range_may_contain_it() -> None:
    for range_, version, state, reason in (
        ("vers:generic/<10.0.5-rc10", "10.0.5-rc9", "exact", "order-unsure"),
        ("vers:generic/>=9|<10.0.5", "10.0", None, "version-coarse"),
        ("vers:generic/10", "10.0.5", "exact", "range-coarse"),
    ):
        entry = Affected(solution=SOLUTION, range=range_, fixed_in=(version,))
        assert _reason(entry, version=version, state=state) == reason  # type: ignore[arg-type]
    words = Affected(solution=SOLUTION, range_text="the old ones", fixed_in=("10.0", "10.x", "10.0.18"))
    for version, state, reason in (
        ("10.0.18", None, "fixed-version"),
        ("10.0", "exact", "fixed-version"),
        ("10.0", None, "range-as-text"),
        ("10.x", None, "range-as-text"),
    ):
        assert _reason(words, version=version, state=state) == reason  # type: ignore[arg-type]


@pytest.mark.case("a04", "a wildcard is a series and no version")
@pytest.mark.parametrize(
    ("range_", "version", "verdict"),
    [
        ("vers:generic/6.x", "6.1.5", "affected"),
        ("vers:generic/6.X", "6.1.5-rc1", "affected"),
        ("vers:generic/10.1.x", "10.1.0", "affected"),
        ("vers:generic/10.1.x", "10.2.0", "not_affected"),
        ("vers:generic/8.*", "8", "affected"),
        ("vers:generic/8.*", "9.0", "not_affected"),
        ("vers:generic/>=8.*", "8.0.1", "affected"),
        ("vers:generic/<8.x", "8.0.1", "unknown"),
        ("vers:generic/<8.x", "7.9", "affected"),
        ("vers:generic/8.x-1.3", "8.x-1.2", "unknown"),
        ("vers:generic/<8.2", "8.x", "unknown"),
        ("vers:generic/<8.2", "9.x", "not_affected"),
        ("vers:generic/x", "8.0", "unknown"),
    ],
)
def test_wildcards_are_series(range_: str, version: str, verdict: str) -> None:
    assert REASONS[in_range(range_, version, "exact")].verdict == verdict


@pytest.mark.case("a06", "build metadata orders nothing (SemVer 2.0, section 10)")
@pytest.mark.parametrize(
    ("range_", "version", "reason"),
    [
        ("vers:npm/>=31.0.0|<=31.0.4", "31.0.4+build1", "in-range"),
        ("vers:cargo/>=1.0.0|<=1.4.0", "1.4.0+meta", "in-range"),
        ("vers:hex/>=1.0.0|<=1.4.0", "1.4.0+meta", "in-range"),
        ("vers:golang/>=1.0.0|<=1.4.0", "v1.4.0+incompatible", "in-range"),
        ("vers:generic/>=1.0.0|<=1.4.0", "1.4.0+meta", "in-range"),
        ("vers:npm/1.0.0", "1.0.0+build5", "listed"),
        ("vers:npm/<=1.0.0", "1.0.0+build5", "in-range"),
        ("vers:npm/<1.0.0", "1.0.0+build5", "outside-range"),
        # Where the source tells versions apart by it, so does the answer.
        ("vers:generic/<1.0.0+security2", "1.0.0+security1", "order-unsure"),
        # Local versions (PEP 440) and the plus of dpkg have rules of their own.
        ("vers:pypi/<=1.4.0", "1.4.0+deb1", "in-range"),
        ("vers:deb/<=1.4.0-1", "1.4.0-1+b1", "outside-range"),
        ("vers:deb/<1.4.0-1+deb12u2", "1.4.0-1+deb12u1", "in-range"),
    ],
)
def test_build_metadata_orders_nothing(range_: str, version: str, reason: Reason) -> None:
    assert in_range(range_, version, "exact") == reason


@pytest.mark.case("a12", "from the first affected to the last affected is an interval")
def test_an_interval_holds_what_lies_between_its_ends() -> None:
    answers = {
        version: in_range("vers:generic/>=4.0|<=4.2", version, "exact") for version in ("4.1", "4.2", "4.3")
    }
    assert answers == {"4.1": "in-range", "4.2": "in-range", "4.3": "outside-range"}
    # 4.2 may be the last of its series, or all of it.
    assert in_range("vers:generic/>=4.0|<=4.2", "4.2.1", "exact") == "range-coarse"


@pytest.mark.case("a40", "versions of Alpine are ordered as apk-tools orders them")
@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("1.2.3-r3", "in-range"),
        ("1.2.3-r4", "outside-range"),
        ("1.2.3-r10", "outside-range"),
        ("1.2.3_rc1-r9", "in-range"),
        ("1.2.3_p1-r0", "outside-range"),
        ("1.2.3_git20240101-r0", "outside-range"),
        ("1.2.3a-r0", "outside-range"),
        ("1.2.2a-r99", "in-range"),
        ("1.2.3", "version-coarse"),
        ("1.2.3-4", "version-unreadable"),
    ],
)
def test_versions_of_alpine_are_ordered(version: str, reason: Reason) -> None:
    assert in_range("vers:apk/<1.2.3-r4", version, "exact") == reason


# The explanation


ENTRIES = (
    Affected(solution="arnia/other", range="vers:all/*"),
    Affected(solution=SOLUTION, range="vers:generic/<9", source_pointer="/affected/0"),
    Affected(solution=SOLUTION, range="vers:generic/>=10.0.0|<10.0.18", source_pointer="/affected/1"),
    Affected(solution=SOLUTION, deployments=("arnia/one",), range_text="the one in the cellar"),
)


def test_an_answer_names_the_entry_that_it_rests_on() -> None:
    explained = because(ENTRIES, "in-range", solution=SOLUTION, version="10.0.17", state="exact")
    assert (explained.entry, explained.range, explained.source_pointer) == (
        2,
        "vers:generic/>=10.0.0|<10.0.18",
        "/affected/1",
    )
    assert explained.text == {
        "en": "the version is in the affected range",
        "fr": "la version est dans l'intervalle touché",
    }
    assert explained.settled_by is None


def test_an_unknown_answer_says_what_would_settle_it() -> None:
    explained = because(ENTRIES, "version-coarse", solution=SOLUTION, version="10.0")
    assert explained.entry == 2
    assert explained.settled_by is not None
    assert "exact version" in explained.settled_by["en"]
    assert "version exacte" in explained.settled_by["fr"]
    in_words = because(ENTRIES, "range-as-text", solution=SOLUTION, version="11.0.0")
    assert (in_words.entry, in_words.range_text) == (3, "the one in the cellar")


def test_an_answer_that_rests_on_no_range_names_what_it_rests_on() -> None:
    assert because(ENTRIES, "named", solution=SOLUTION, deployment="arnia/one").entry == 3
    assert because(ENTRIES, "stated", solution=SOLUTION, version="11.0.0").entry is None
    assert because(ENTRIES, "software-unsure", solution="arnia/other", version="1").entry == 0


def test_a_name_alone_is_a_question() -> None:
    entry = Affected(solution=SOLUTION, range="vers:generic/<10.0.18", by_name_only=True)
    assert _reason(entry, version="10.0.17") == "name-only"
    assert _reason(entry, version="10.0.18") == "outside-range"
    assert _reason(entry, version="nightly") == "version-unreadable"
    # Beside an entry that rests on an identifier, it changes nothing.
    sure = Affected(solution=SOLUTION, range="vers:generic/<10.0.18")
    assert _reason(entry, sure, version="10.0.17") == "in-range"
    explained = because([entry], "name-only", solution=SOLUTION, version="10.0.17", state="exact")
    assert explained.entry == 0
    assert explained.settled_by is not None
