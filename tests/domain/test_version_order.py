"""The order of versions, against comparisons that are written here anew from the rules of each scheme."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from packaging.version import Version as Pep440

from federation.domain.exposure.version_order import ANY, EQUAL, GREATER, LESS, signs

PAIRS = 5_400
"""Pairs of each scheme; each is compared in both directions."""
Compare = Callable[[str, str], int]


def _sign(first: Any, second: Any) -> int:
    return int(first > second) - int(first < second)


# SemVer 2.0, section 11


def _semver(first: str, second: str) -> int:
    one, other = first.split("+")[0], second.split("+")[0]
    core, _, pre = one.partition("-")
    other_core, _, other_pre = other.partition("-")
    for part, other_part in zip(core.split("."), other_core.split("."), strict=True):
        if int(part) != int(other_part):
            return _sign(int(part), int(other_part))
    if not pre or not other_pre:
        return _sign(not pre, not other_pre)
    left, right = pre.split("."), other_pre.split(".")
    for part, other_part in zip(left, right, strict=False):
        if part == other_part:
            continue
        if part.isdigit() and other_part.isdigit():
            return _sign(int(part), int(other_part))
        if part.isdigit() or other_part.isdigit():
            return -1 if part.isdigit() else 1
        return _sign(part, other_part)
    return _sign(len(left), len(right))


def _semver_name(chance: random.Random) -> str:
    name = ".".join(str(chance.choice((0, 1, 2, 10))) for _ in range(3))
    if chance.random() < 0.6:
        words = ("alpha", "beta", "rc", "1", "2", "10", "x-1", "0")
        name += "-" + ".".join(chance.choices(words, k=chance.randint(1, 3)))
    return name


# dpkg: verrevcmp of lib/dpkg/version.c


def _deb_order(char: str) -> int:
    if char == "~":
        return -1
    if char.isdigit() or not char:
        return 0
    return ord(char) if char.isalpha() else ord(char) + 256


def _verrevcmp(first: str, second: str) -> int:
    i = j = 0

    def at(text: str, index: int) -> str:
        return text[index] if index < len(text) else ""

    while i < len(first) or j < len(second):
        while (at(first, i) and not at(first, i).isdigit()) or (
            at(second, j) and not at(second, j).isdigit()
        ):
            left, right = _deb_order(at(first, i)), _deb_order(at(second, j))
            if left != right:
                return _sign(left, right)
            i, j = i + 1, j + 1
        while at(first, i) == "0":
            i += 1
        while at(second, j) == "0":
            j += 1
        difference = 0
        while at(first, i).isdigit() and at(second, j).isdigit():
            difference = difference or _sign(at(first, i), at(second, j))
            i, j = i + 1, j + 1
        if at(first, i).isdigit():
            return 1
        if at(second, j).isdigit():
            return -1
        if difference:
            return difference
    return 0


def _deb(first: str, second: str) -> int:
    parts = []
    for name in (first, second):
        epoch, _, rest = name.partition(":")
        upstream, _, revision = rest.rpartition("-")
        parts.append((int(epoch), upstream, revision))
    one, other = parts
    return (
        _sign(one[0], other[0]) or _verrevcmp(one[1], other[1]) or _verrevcmp(one[2], other[2])
    )  # fmt: skip


def _deb_name(chance: random.Random) -> str:
    pieces = ("~", "~rc", "+dfsg", ".", "-", "a", "1", "0", "10", "01", "+b1")
    upstream = chance.choice("0129") + "".join(chance.choices(pieces, k=chance.randint(0, 4)))
    revision = "".join(chance.choices(("1", "0", "2", "~", "+deb12u1", "ubuntu"), k=chance.randint(1, 3)))
    return f"{chance.choice((0, 1))}:{upstream.rstrip('-')}-{revision}"


# RPM: rpmvercmp of rpmio/rpmvercmp.c


def _rpmvercmp(first: str, second: str) -> int:
    while first or second:
        first, second = (_without_separators(text) for text in (first, second))
        if first[:1] == "~" or second[:1] == "~":
            if first[:1] != "~":
                return 1
            if second[:1] != "~":
                return -1
            first, second = first[1:], second[1:]
            continue
        if first[:1] == "^" or second[:1] == "^":
            if not first:
                return -1
            if not second:
                return 1
            if first[0] != "^":
                return 1
            if second[0] != "^":
                return -1
            first, second = first[1:], second[1:]
            continue
        if not (first and second):
            break
        digits = first[0].isdigit()
        one, first = _segment(first, digits=digits)
        other, second = _segment(second, digits=digits)
        if not other:
            return 1 if digits else -1
        if digits:
            one, other = one.lstrip("0"), other.lstrip("0")
            if len(one) != len(other):
                return _sign(len(one), len(other))
        if one != other:
            return _sign(one, other)
    return _sign(bool(first), bool(second))


def _without_separators(text: str) -> str:
    while text and not (text[0].isalnum() or text[0] in "~^"):
        text = text[1:]
    return text


def _segment(text: str, *, digits: bool) -> tuple[str, str]:
    end = 0
    while end < len(text) and (text[end].isdigit() if digits else text[end].isalpha()):
        end += 1
    return text[:end], text[end:]


def _rpm(first: str, second: str) -> int:
    one, other = (name.split(":")[1].rsplit("-", 1) for name in (first, second))
    return _rpmvercmp(one[0], other[0]) or _rpmvercmp(one[1], other[1])


def _rpm_name(chance: random.Random) -> str:
    pieces = ("~", "^", ".", "_", "a", "rc", "1", "0", "10", "01", "..", "git")
    upstream = chance.choice("0129") + "".join(chance.choices(pieces, k=chance.randint(0, 4)))
    return (
        f"0:{upstream}-{''.join(chance.choices(('1', '2', '.el9', '_3', '~', 'a'), k=chance.randint(1, 3)))}1"
    )


# apk-tools: apk_version_compare of src/version.c

_BEFORE, _AFTER = ("alpha", "beta", "pre", "rc"), ("cvs", "svn", "git", "hg", "p")


def _apk_tokens(name: str) -> Iterator[tuple[str, object]]:
    name, _, revision = name.partition("-r")
    name, _, commit = name.partition("~")
    numbers, *suffixes = name.split("_")
    letter = numbers[-1] if numbers[-1].isalpha() else ""
    for number in numbers.removesuffix(letter).split("."):
        yield "number", number
    if letter:
        yield "letter", letter
    for suffix in suffixes:
        word = suffix.rstrip("0123456789")
        yield ("before", _BEFORE.index(word)) if word in _BEFORE else ("after", _AFTER.index(word))
        if suffix != word:
            yield "suffix-number", int(suffix.removeprefix(word))
    if commit:
        yield "hash", commit
    if revision:
        yield "revision", int(revision)
    yield "end", 0


_KINDS = ("before", "end", "revision", "hash", "suffix-number", "after", "letter", "number")


def _apk(first: str, second: str) -> int:
    """Of two kinds of token the later one wins: all are after the end, but for suffixes of pre-releases."""
    for place, (one, other) in enumerate(zip(_apk_tokens(first), _apk_tokens(second), strict=False)):
        if one[0] != other[0]:
            return _sign(_KINDS.index(one[0]), _KINDS.index(other[0]))
        left, right = one[1], other[1]
        if one[0] == "number":
            assert isinstance(left, str)
            assert isinstance(right, str)
            if place == 0 or "0" not in (left[0], right[0]):
                left, right = int(left), int(right)
        if left != right:
            return _sign(left, right)
    return 0


def _apk_name(chance: random.Random) -> str:
    name = ".".join(chance.choices(("0", "1", "2", "10", "05", "9"), k=chance.randint(1, 3)))
    name += chance.choice(("", "", "a", "b"))
    for _ in range(chance.choice((0, 0, 1, 2))):
        name += f"_{chance.choice((*_BEFORE, *_AFTER))}{chance.choice(('', '1', '10', '2'))}"
    if chance.random() < 0.1:
        name += chance.choice(("~ab12", "~cd34"))
    return f"{name}-r{chance.choice((0, 1, 2, 10))}"


# PEP 440, by the library that defines it


def _pep440(first: str, second: str) -> int:
    return _sign(Pep440(first), Pep440(second))


def _pep440_name(chance: random.Random) -> str:
    name = chance.choice(("", "", "1!")) + ".".join(
        chance.choices(("0", "1", "2", "10"), k=chance.randint(1, 3))
    )
    name += chance.choice(("", "", "a1", "b2", "rc1", "rc10", ".rc1", "-rc1"))
    return name + chance.choice(("", "", ".post1", "-1")) + chance.choice(("", "", ".dev1"))


SCHEMES: dict[str, tuple[Compare, Callable[[random.Random], str]]] = {
    "npm": (_semver, _semver_name),
    "cargo": (_semver, _semver_name),
    "pypi": (_pep440, _pep440_name),
    "deb": (_deb, _deb_name),
    "rpm": (_rpm, _rpm_name),
    "apk": (_apk, _apk_name),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_versions_are_ordered_as_their_scheme_says(scheme: str) -> None:
    compare, draw = SCHEMES[scheme]
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    for _ in range(PAIRS):
        first, second = draw(chance), draw(chance)
        for one, other in ((first, second), (second, first)):
            right = {-1: LESS, 0: EQUAL, 1: GREATER}[compare(one, other)]
            assert signs(scheme, one, other) & ANY == right, f"seed {seed}: {one} and {other}"


ASCENDING = {
    # https://maven.apache.org/pom.html#version-order-specification, and the tests of ComparableVersion
    "maven": (
        "1-alpha2snapshot", "1-alpha2", "1-alpha-123", "1-beta-2", "1-beta123", "1-m2", "1-m11", "1-rc",
        "1-cr2", "1-rc123", "1-SNAPSHOT", "1", "1-sp", "1-sp2", "1-sp123", "1-abc", "1-def", "1-pom-1",
        "1-1-snapshot", "1-1", "1-2", "1-123", "1.1",
    ),
    "gem": ("1.0.0.a", "1.0.0.b", "1.0.0.pre.1", "1.0.0.rc9", "1.0.0.rc10", "1.0.0", "1.0.0.1", "1.0.1"),
    "composer": (
        "1.0-dev", "1.0-alpha1", "1.0-beta9", "1.0-beta10", "1.0-RC1", "1.0", "1.0-p1", "1.0-pl2", "1.0.0.1",
    ),
    "nuget": ("1.0.0-alpha", "1.0.0-Beta.2", "1.0.0-beta.10", "1.0.0-rc", "1.0.0", "1.0.0.1", "1.0.1"),
    "openssl": (
        "0.9.8zh", "1.0.1", "1.0.1f", "1.0.2", "1.0.2z", "1.0.2za", "1.1.1-pre1", "1.1.1", "3.0.0-beta1",
        "3.0.0",
    ),
    "alpm": ("1.0a-1", "1.0rc1-1", "1.0-1", "1.0-2", "1.0.a-1", "1.0.1-1", "1.10-1", "1:0.1-1"),
    "ebuild": ("1.0_alpha1-r0", "1.0_rc1-r0", "1.0-r0", "1.0-r1", "1.0_p1-r0", "1.05-r0", "1.1-r0"),
    "intdot": ("1", "1.2", "1.10", "10.0.9", "10.0.18"),
}  # fmt: skip


@pytest.mark.parametrize("scheme", ASCENDING)
def test_versions_that_a_scheme_names_in_order_are_in_order(scheme: str) -> None:
    names = ASCENDING[scheme]
    for index, name in enumerate(names):
        for later in names[index + 1 :]:
            # (Epochs are written in one of two alone: then either order is possible.)
            assert signs(scheme, name, later) & LESS, (name, later)
            assert ":" in later or signs(scheme, name, later) & ANY == LESS, (name, later)
            assert ":" in later or signs(scheme, later, name) & ANY == GREATER, (name, later)


@pytest.mark.parametrize(
    ("scheme", "first", "second"),
    [
        ("maven", "1.0.0-ga", "1"),
        ("maven", "1.0.RELEASE", "1.0"),
        ("maven", "1-ga-1", "1-1"),
        ("maven", "1a1", "1-alpha-1"),
        ("maven", "1x", "1.0.0-x"),
        ("gem", "1.0", "1.0.0"),
        ("gem", "1.0.0-1", "1.0.0.pre.1"),
        ("nuget", "1.0", "1.0.0.0"),
        ("nuget", "1.0.0-RC", "1.0.0-rc"),
        ("composer", "1.0-rc1", "1.0.0-RC1"),
        ("npm", "1.0.0+b1", "1.0.0"),
        ("intdot", "017", "17"),
    ],
)
def test_versions_that_a_scheme_calls_equal_are_equal(scheme: str, first: str, second: str) -> None:
    assert signs(scheme, first, second) == signs(scheme, second, first) & ANY == EQUAL
