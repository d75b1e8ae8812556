"""Order of versions by the rules of package managers for languages, each as a key that Python compares.

SemVer 2.0 (section 11) for npm, cargo, golang and hex; Maven's version order specification; RubyGems
(``Gem::Version``); Composer (``version_compare`` of PHP on what it normalises); NuGet; OpenSSL. A key raises
ValueError for what is no version of its scheme. Build metadata (SemVer, section 10) is cut by the caller.
"""

from __future__ import annotations

import re
from typing import Any

Key = tuple[Any, ...]

_SEMVER = re.compile(r"([0-9]+\.[0-9]+\.[0-9]+)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?")
_NUGET = re.compile(r"([0-9]+(?:\.[0-9]+){0,3})(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?")
_MAVEN_TOKEN = re.compile(r"([.\-_]?)(?:([0-9]+)|([^0-9.\-_]+)|)")
_GEM = re.compile(r"[0-9]+(?:\.[0-9A-Za-z]+)*(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?")
_GEM_SEGMENT = re.compile(r"[0-9]+|[A-Za-z]+")
_COMPOSER = re.compile(
    r"([0-9]{1,5}(?:\.[0-9]+){0,3})"
    r"(?:[._-]?(stable|beta|b|rc|alpha|a|patch|pl|p)((?:[.-]?[0-9]+)*+))?([.-]?dev)?",
    re.IGNORECASE,
)
_OPENSSL = re.compile(r"([0-9]+(?:\.[0-9]+){1,2})([a-z]{0,2})(?:-(alpha|beta|pre)([0-9]*))?")
_DIGITS = re.compile(r"[0-9]+")


def numbers(dotted: str) -> tuple[int, ...]:
    """Dotted numbers without the zeros at their end: 1.0 and 1.0.0 are equal."""
    parts = [int(part) for part in dotted.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def semver(name: str) -> Key:
    match = _SEMVER.fullmatch(name)
    if match is None:
        raise ValueError("three numbers are needed")
    return numbers(match[1]), pre_release(match[2])


def pre_release(identifiers: str | None) -> Key:
    """A release comes after its pre-releases; of these, numbers before words, and fewer before more."""
    if identifiers is None:
        return (1,)
    return 0, tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in identifiers.split("."))


def nuget(name: str) -> Key:
    match = _NUGET.fullmatch(name)
    if match is None:
        raise ValueError("one to four numbers are needed")
    return numbers(match[1]), pre_release(match[2].lower() if match[2] else None)


# Maven: https://maven.apache.org/pom.html#version-order-specification

_QUALIFIERS = {
    word: rank
    for rank, words in enumerate(
        ("alpha", "beta", "milestone", "rc cr", "snapshot", " final ga release", "sp")
    )
    for word in words.split(" ")
}
_RELEASE = _QUALIFIERS[""]
_ABBREVIATED = {"a": "alpha", "b": "beta", "m": "milestone"}
Token = tuple[int, Any, str]
"""Kind (0 a word, 1 a number after a hyphen, 2 one after a dot), its value, and a word without a rank."""


def maven(name: str) -> tuple[Token, ...]:
    """The tokens of a Maven version, without those that mean nothing at an end or before a hyphen."""
    tokens: list[Token] = []
    hyphened: list[bool] = []
    lowered, position, digit_before = name.lower(), 0, None
    while position < len(lowered):
        match = _MAVEN_TOKEN.match(lowered, position)
        assert match is not None  # noqa: S101 - every part of it may be empty
        separator, number, word = match[1], match[2], match[3] or ""
        position = match.end()
        # A change between digits and letters is a hyphen.
        hyphen = separator in ("-", "_") or (not separator and digit_before is not None)
        if number is not None or not word:
            tokens.append((1 if hyphen else 2, int(number or 0), ""))
        else:
            if position < len(lowered) and lowered[position].isdigit():
                word = _ABBREVIATED.get(word, word)
            rank = _QUALIFIERS.get(word)
            tokens.append((0, len(_QUALIFIERS), word) if rank is None else (0, rank, ""))
            hyphen = True  # a word after a dot is one after a hyphen: 1.0.RC2 comes before 1.0-RC3
        hyphened.append(hyphen)
        digit_before = number is not None
    for index in range(len(tokens) - 1, 0, -1):
        ends = index + 1 == len(tokens) or hyphened[index + 1]
        if ends and tokens[index] in _MEANINGLESS:
            del tokens[index], hyphened[index]
    return tuple(tokens)


_MEANINGLESS = ((0, _RELEASE, ""), (1, 0, ""), (2, 0, ""))


def compare_maven(first: tuple[Token, ...], second: tuple[Token, ...]) -> int:
    """The shorter of two is filled up with what means nothing, of the kind that the other has there."""
    for index in range(max(len(first), len(second))):
        one = first[index] if index < len(first) else _MEANINGLESS[second[index][0]]
        other = second[index] if index < len(second) else _MEANINGLESS[first[index][0]]
        if one != other:
            return -1 if one < other else 1
    return 0


# Others


def gem(name: str) -> Key:
    """Words come before numbers, and a number that is absent is 0."""
    if not _GEM.fullmatch(name):
        raise ValueError("it begins with numbers and has parts of letters and digits")
    segments = _GEM_SEGMENT.findall(name.replace("-", ".pre."))
    first_word = next((n for n, part in enumerate(segments) if not part.isdigit()), len(segments))
    parts = [*_without_zeros(segments[:first_word]), *_without_zeros(segments[first_word:])]
    # Between a word (0) and a number (2) is the end (1): 1.0.a comes before 1.0, and that before 1.0.1.
    return *((2, int(part), "") if part.isdigit() else (0, 0, part) for part in parts), (1, 0, "")


def _without_zeros(segments: list[str]) -> list[str]:
    while segments and segments[-1].strip("0") == "":
        segments = segments[:-1]
    return segments


_STABILITIES = {
    "alpha": 1, "a": 1, "beta": 2, "b": 2, "rc": 3, "stable": 4, "": 4, "patch": 5, "pl": 5, "p": 5,
}  # fmt: skip


def composer(name: str) -> Key:
    """Numbers, then the stability: dev, alpha, beta, RC, none, patch (2.4.4-p1 comes after 2.4.4)."""
    match = _COMPOSER.fullmatch(name)
    if match is None:
        raise ValueError("it is no version that Composer orders")
    word, dev = (match[2] or "").lower(), match[4] is not None
    stability = 0 if dev and not word else _STABILITIES[word]
    return numbers(match[1]), stability, tuple(map(int, _DIGITS.findall(match[3] or ""))), not dev


def openssl(name: str) -> Key:
    """Letters name patches: 1.0.2 comes before 1.0.2a, 1.0.2z before 1.0.2za; beta comes before release."""
    match = _OPENSSL.fullmatch(name)
    if match is None:
        raise ValueError("it is no version of OpenSSL's")
    stage = {"alpha": 0, "beta": 1, "pre": 2, None: 3}[match[3]]
    return numbers(match[1]), stage, int(match[4] or 0), len(match[2]), match[2]
