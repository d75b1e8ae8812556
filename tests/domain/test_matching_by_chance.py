"""For any range and version: never "not affected" if any reading of the source includes the version.

Each test draws ranges and versions of one kind, and asks a second question whose answer binds the first.
"""

from __future__ import annotations

import random

import pytest
from packaging.version import Version as Pep440

from federation.domain.content.deployment import VersionState
from federation.domain.content.incident import Affected
from federation.domain.exposure.matching import REASONS, in_range, match_version
from federation.domain.exposure.reasons import SETTLED_BY, Verdict

DRAWS = 4_000
"""Draws of each test; with those of ``test_version_order`` more than 100 000."""
NUMBERS = (0, 1, 2, 3, 9, 10, 11)
TAILS = ("", "", "", "-rc1", "-rc.2", "-beta", "-alpha.1", "rc10", "-1", "-p1", "a", "~rc1", "-SNAPSHOT")


@pytest.fixture
def chance() -> random.Random:
    """Printed with a failure: put the seed here to see it again."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    return random.Random(seed)


def _verdict(range_: str, version: str | None, state: VersionState | None = "exact") -> Verdict:
    return REASONS[in_range(range_, version, state)].verdict


def _dotted(chance: random.Random, least: int = 1, most: int = 4) -> str:
    return ".".join(str(chance.choice(NUMBERS)) for _ in range(chance.randint(least, most)))


def _lettered(chance: random.Random, least: int = 2) -> str:
    return _dotted(chance, least, 3) + chance.choice(TAILS)


def _range(chance: random.Random, scheme: str, *, letters: bool = True, least: int = 1) -> str:
    """Intervals and points, mostly in order."""
    names = {
        _lettered(chance, least) if letters else _dotted(chance, least, 3)
        for _ in range(chance.randint(1, 4))
    }
    ordered = sorted(names, key=lambda name: [int(part) for part in _plain(name).split(".")])
    if chance.random() < 0.3:
        return f"vers:{scheme}/{'|'.join(ordered)}"
    opening = chance.random() < 0.7
    bounds = []
    for name in ordered:
        bounds.append(chance.choice((">=", ">=", ">") if opening else ("<", "<=")) + name)
        opening = not opening
    return f"vers:{scheme}/{'|'.join(bounds)}"


def _plain(name: str) -> str:
    end = next((n for n, char in enumerate(name) if not (char.isdigit() or char == ".")), len(name))
    return name[:end].rstrip(".")


def test_build_metadata_takes_no_version_out_of_a_range(chance: random.Random) -> None:
    for _ in range(DRAWS):
        scheme = chance.choice(("npm", "cargo", "golang", "hex", "generic", "nuget", "pypi"))
        range_, version = _range(chance, scheme, letters=False, least=3), _dotted(chance, 3, 3)
        tail = chance.choice(("+build1", "+5", "+a.b"))
        if _verdict(range_, version) != "not_affected":
            assert _verdict(range_, version + tail) != "not_affected", (range_, version + tail)


def test_a_series_is_as_affected_as_any_version_of_it(chance: random.Random) -> None:
    for _ in range(DRAWS):
        scheme = chance.choice(
            ("generic", "npm", "pypi", "maven", "deb", "rpm", "apk", "nuget", "gem", "composer")
        )
        range_, series = _range(chance, scheme, letters=False), _dotted(chance, 1, 2)
        member = f"{series}.{_dotted(chance, 1, 2)}"
        if _verdict(range_, member) == "affected":
            assert _verdict(range_, series, None) != "not_affected", (range_, series, member)
            wildcard = series + chance.choice((".x", ".X", ".*", ".x.x"))
            assert _verdict(range_, wildcard, chance.choice((None, "exact"))) != "not_affected", (
                range_,
                wildcard,
            )


def test_a_series_in_a_range_has_all_its_versions(chance: random.Random) -> None:
    for _ in range(DRAWS):
        scheme = chance.choice(("generic", "npm", "pypi", "maven", "deb", "github"))
        series = _dotted(chance, 1, 2)
        member = f"{series}.{_dotted(chance, 1, 2)}"
        state: VersionState | None = chance.choice((None, "exact"))
        wildcard = series + chance.choice((".x", ".X", ".*", ".x.x"))
        comparator = chance.choice(("", "", "=", "<=", ">=", "<", ">"))
        assert _verdict(f"vers:{scheme}/{comparator}{wildcard}", member, state) != "not_affected"
        if scheme in ("generic", "github"):
            assert (
                _verdict(f"vers:{scheme}/{chance.choice(('', '<='))}{series}", member, state)
                != "not_affected"
            )


def test_both_orders_must_leave_a_version_out(chance: random.Random) -> None:
    """SemVer, and the numbers within words, are two readings of a version with letters."""
    for _ in range(DRAWS):
        bound, version = _lettered(chance), _lettered(chance)
        below = _verdict(f"vers:generic/<={bound}", version)
        for key in (_semver_key, _natural_key):
            if key(version) <= key(bound):
                assert below != "not_affected", (version, bound, key)
            if key(version) >= key(bound):
                assert _verdict(f"vers:generic/>={bound}", version) != "not_affected", (version, bound, key)


def _semver_key(name: str) -> tuple[object, ...]:
    core, rest = _plain(name), name[len(_plain(name)) :].lstrip("-~")
    numbers = tuple(int(part) for part in core.split("."))
    words = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in rest.split("."))
    return _without_zeros(numbers), not rest, words


def _natural_key(name: str) -> tuple[object, ...]:
    """alpha, beta, rc, SNAPSHOT with a number come before a release, and other words and numbers after it."""
    core, rest = _plain(name), name[len(_plain(name)) :].strip("-~").lower()
    word, number = rest.rstrip("0123456789."), rest.lstrip("abcdefghijklmnopqrstuvwxyz-.")
    order = {"alpha": -4, "beta": -3, "rc": -2, "snapshot": -1, "": 0 if not rest else 2}.get(word, 1)
    numbers = tuple(int(part) for part in core.split("."))
    return _without_zeros(numbers), order, word, int(number or 0)


def _without_zeros(numbers: tuple[int, ...]) -> tuple[int, ...]:
    while numbers and numbers[-1] == 0:
        numbers = numbers[:-1]
    return numbers


def test_what_a_package_leaves_unsaid_may_be_anything(chance: random.Random) -> None:
    for _ in range(DRAWS):
        scheme = chance.choice(("deb", "rpm", "apk", "alpm"))
        mark = "-r" if scheme == "apk" else "-"

        def full(mark: str = mark, scheme: str = scheme) -> str:
            epoch = "" if scheme == "apk" else chance.choice(("", "1:", "2:"))
            return f"{epoch}{_dotted(chance, 2, 2)}{mark}{chance.randint(1, 4)}"

        low, high, version = full(), full(), full()
        for range_ in (f"vers:{scheme}/>={low}|<{high}", f"vers:{scheme}/<={high}", f"vers:{scheme}/{low}"):
            if _verdict(range_, version) != "affected":
                continue
            rest = version.partition(":")[2] if ":" in version else version
            for less in (rest, version.split(mark)[0], rest.split(mark)[0]):
                assert _verdict(range_, less) != "not_affected", (range_, version, less)


def test_the_order_in_which_bounds_are_written_takes_no_version_out(chance: random.Random) -> None:
    for _ in range(DRAWS):
        scheme = chance.choice(("generic", "pypi", "npm"))
        range_, version = _range(chance, scheme, letters=False, least=3), _dotted(chance, 3, 3)
        head, _, rest = range_.partition("/")
        bounds = rest.split("|")
        chance.shuffle(bounds)
        if _verdict(range_, version) == "affected":
            assert _verdict(f"{head}/{'|'.join(bounds)}", version) != "not_affected", (
                range_,
                bounds,
                version,
            )


def test_a_point_or_an_interval_that_has_a_version_is_enough(chance: random.Random) -> None:
    """As the algorithm of OSV says: in any range, or listed."""
    for _ in range(DRAWS):
        entries = tuple(
            Affected(
                solution="arnia/glpi",
                range=_range(chance, "pypi", letters=False),
                fixed_in=(_dotted(chance, 2, 3),) if chance.random() < 0.3 else (),
            )
            for _ in range(chance.randint(1, 3))
        )
        version = chance.choice((_dotted(chance, 2, 3), *(fixed for e in entries for fixed in e.fixed_in)))
        included = [_included(entry.range or "", version) for entry in entries]
        match = match_version(entries, "arnia/glpi", version, "exact")
        assert match is not None
        if True in included:
            assert match.verdict == "affected", (entries, version)
        elif None not in included:
            assert match.verdict == "not_affected", (entries, version)


def _included(range_: str, version: str) -> bool | None:
    """The algorithm of OSV, over sorted events; None for a range that is refused."""
    bounds = range_.partition("/")[2].split("|")
    events = []
    for bound in bounds:
        comparator = bound[: len(bound) - len(bound.lstrip("<>="))] or "="
        events.append((Pep440(bound.lstrip("<>=")), comparator))
    if in_range(range_, "0", "exact") == "range-unreadable":
        return None
    asked = Pep440(version)
    if any(comparator == "=" for _, comparator in events):
        return any(asked == named for named, _ in events)
    inside = events[0][1] in ("<", "<=")
    for named, comparator in sorted(events, key=lambda event: event[0]):
        if comparator in (">", ">=") and (asked > named or (asked == named and comparator == ">=")):
            inside = True
        if comparator in ("<", "<=") and (asked > named or (asked == named and comparator == "<")):
            inside = False
    return inside


def test_a_name_alone_makes_a_question_and_no_more(chance: random.Random) -> None:
    for _ in range(DRAWS):
        range_ = _range(chance, "generic") if chance.random() < 0.9 else "vers:all/*"
        version, fixed = _lettered(chance), (_lettered(chance),)
        sure, unsure = (
            match_version(
                [Affected(solution="arnia/glpi", range=range_, fixed_in=fixed, by_name_only=by_name)],
                "arnia/glpi",
                version,
                "exact",
            )
            for by_name in (False, True)
        )
        assert sure is not None
        assert unsure is not None
        if sure.verdict == "affected":
            assert unsure.reason == "name-only"
        else:
            assert unsure == sure


def test_every_unknown_answer_has_a_step_that_settles_it() -> None:
    assert set(SETTLED_BY) == {reason for reason, meaning in REASONS.items() if meaning.verdict == "unknown"}


def test_whatever_is_asked_is_answered(chance: random.Random) -> None:
    pieces = (
        ">=", "<", "<=", "=", "!=", ">", "|", "*", ".x", "1", "10", "0", ".", "-rc1", "alpha", "+b", "~", ":",
        "N/A", " ", "é", "%2B", "%21", "(55)SE", "v", "999999999999999999", "\x00", "/", "_p1", "-r1", "^",
    )  # fmt: skip
    schemes = (
        "generic",
        "pypi",
        "deb",
        "rpm",
        "maven",
        "npm",
        "nuget",
        "gem",
        "apk",
        "alpm",
        "ebuild",
        "composer",
    )
    for _ in range(DRAWS):
        range_ = f"vers:{chance.choice(schemes)}/" + "".join(chance.choices(pieces, k=chance.randint(0, 8)))
        version = "".join(chance.choices(pieces, k=chance.randint(0, 5)))
        assert in_range(range_, version, chance.choice((None, "exact", "rolling", "unknown"))) in REASONS
