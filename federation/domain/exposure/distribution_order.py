"""Order of versions by the rules of Linux distributions: dpkg, RPM, apk-tools, pacman and Portage.

The version of a package has an epoch, the upstream version and a revision. A person writes often less of it
than the package manager has, so the parts are split here and what is missing is decided by the caller. Keys
raise ValueError for what is no version of their scheme.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from univers import arch, gentoo

from federation.domain.exposure.ecosystem_order import Key

_RPM_PART = re.compile(r"([~^])|([0-9]+)|([A-Za-z]+)")
_DEB_PART = re.compile(r"([^0-9]*)([0-9]*)")
_DEB = re.compile(r"[0-9][0-9A-Za-z.+~:-]*")
_RPM = re.compile(r"[0-9A-Za-z._+~^]+")
_APK = re.compile(r"[0-9]+(\.[0-9]+)*[a-z]?(_(alpha|beta|pre|rc|cvs|svn|git|hg|p)[0-9]*)*(~[0-9a-f]+)?")
_APK_PART = re.compile(r"\.?([0-9]+)|([a-z])(?![a-z])|_([a-z]+)([0-9]*)|~([0-9a-f]+)")
_REVISION = re.compile(r"-r([0-9]+)$")


class Package(NamedTuple):
    """The version of a package in its parts; None where a part is not written."""

    epoch: int | None
    upstream: str
    revision: str | None


def split(scheme: str, name: str) -> Package:
    """The parts of a version. Raises ValueError for an epoch that is no number."""
    if scheme in ("apk", "ebuild"):
        match = _REVISION.search(name)
        return Package(None, name[: match.start()], match[1]) if match else Package(None, name, None)
    epoch, colon, rest = name.partition(":")
    if not colon:
        epoch, rest = "", name
    elif not (epoch.isdigit() and epoch.isascii()):
        raise ValueError("an epoch is a number")
    upstream, hyphen, revision = rest.rpartition("-")
    return Package(int(epoch) if epoch else None, upstream if hyphen else rest, revision if hyphen else None)


# dpkg: deb-version(7)


def deb(name: str) -> Key:
    """Text and numbers in turn; a tilde comes before the end, the end before letters, these before others."""
    if not _DEB.fullmatch(f"0{name}"):
        raise ValueError("a Debian version begins with a digit")
    parts: list[tuple[tuple[int, ...], int]] = []
    for match in _DEB_PART.finditer(name or "0"):
        if not match[0]:
            continue
        text = tuple(-1 if c == "~" else ord(c) if c.isalpha() else ord(c) + 256 for c in match[1])
        parts.append(((*text, 0), int(match[2] or 0)))
    return (*parts, ((0,), 0))


# RPM: rpmvercmp


def rpm(name: str) -> Key:
    """Numbers come after words; a tilde comes before the end, a caret after it and before all else."""
    if not _RPM.fullmatch(name):
        raise ValueError("an RPM version has letters, digits and . _ + ~ ^")
    parts: list[tuple[int, Any]] = []
    for mark, number, word in _RPM_PART.findall(name):
        if mark:
            parts.append((0 if mark == "~" else 2, 0))
        else:
            parts.append((4, int(number)) if number else (3, word))
    return (*parts, (1, 0))


# apk-tools: version.c

_SUFFIXES = ("alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p")
_RELEASE = _SUFFIXES.index("")
_PRE, _END, _HASH, _SUFFIX_NUMBER, _SUFFIX, _LETTER, _NUMBER, _FIRST = range(8)


def apk(name: str) -> tuple[tuple[int, Any], ...]:
    """Numbers, a letter, suffixes with numbers, a hash: tokens with their kinds, the weakest kind first."""
    if not _APK.fullmatch(name):
        raise ValueError("it is no version of apk-tools")
    tokens: list[tuple[int, Any]] = []
    for match in _APK_PART.finditer(name):
        number, letter, suffix, suffix_number, commit = match.groups()
        if number is not None:
            tokens.append((_NUMBER, number) if tokens else (_FIRST, int(number)))
        elif letter is not None:
            tokens.append((_LETTER, letter))
        elif suffix is not None:
            order = _SUFFIXES.index(suffix)
            tokens.append((_PRE if order < _RELEASE else _SUFFIX, order))
            if suffix_number:
                tokens.append((_SUFFIX_NUMBER, int(suffix_number)))
        else:
            tokens.append((_HASH, commit))
    return (*tokens, (_END, 0))


def compare_apk(first: tuple[tuple[int, Any], ...], second: tuple[tuple[int, Any], ...]) -> int:
    for (kind, value), (other_kind, other) in zip(first, second, strict=False):
        if kind != other_kind:
            return -1 if kind < other_kind else 1
        if kind == _NUMBER and not (value.startswith("0") or other.startswith("0")):
            value, other = int(value), int(other)  # else as text: 1.05 comes before 1.1
        if value != other:
            return -1 if value < other else 1
    return 0


# pacman and Portage, by the library univers


def alpm(name: str) -> str:
    if not _RPM.fullmatch(name):
        raise ValueError("it is no version of pacman")
    return name


def compare_alpm(first: str, second: str) -> int:
    return int(arch.vercmp(first, second))


def compare_ebuild(first: str, second: str) -> int:
    return int(gentoo.vercmp(first, second))


def ebuild(name: str) -> str:
    if not gentoo.is_valid(name):
        raise ValueError("it is no version of Portage")
    return name
