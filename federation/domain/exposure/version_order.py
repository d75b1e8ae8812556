"""Order of a version and a bound of a range, by the rules of a scheme, with what cannot be known.

The answer is a set of signs: the version may come before the bound, be equal to it, or come after it. Several
signs mean that the rules, or people who write versions, disagree: nothing is decided by guess.

- A scheme with rules of its own has one order (``ecosystem_order``, ``distribution_order``).
- Versions of a scheme without (``generic``, ``github``, …), and those that are none of their scheme, are
  ordered number by number; with letters by SemVer and by Maven, which must agree.
- Build metadata (SemVer, section 10) and local versions (PEP 440) are cut; where a bound has them, they were
  meant to tell versions apart, and an equal version is in doubt.
- A package without its epoch or revision may be any that has them.
- Under no rule, 1.05 may come before 1.1, a number such as 20240115 is a date beside 10.0, and whether a
  pre-release of the first affected version is affected is not known.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from univers.versions import PypiVersion

from federation.domain.exposure import distribution_order, ecosystem_order
from federation.domain.exposure.distribution_order import Package
from federation.domain.exposure.ecosystem_order import Key, compare_maven, maven, numbers, pre_release

LESS, EQUAL, GREATER = 1, 2, 4
"""Signs of a version towards a bound; a set of them is their sum."""
ANY = LESS | EQUAL | GREATER
DOUBT = 8
"""Beside signs: a comparison that fails by these signs is not sure to fail."""
PARTIAL = 16
"""Beside signs: they are several since the version lacks its revision."""

STRICT = frozenset({"npm", "cargo", "golang", "hex"})
"""Schemes whose versions are SemVer 2.0 by their own rules."""
LOOSE = frozenset({"generic", "apache", "mozilla", "github", "nginx", "mattermost", "intdot"})
"""Schemes without rules that all their versions follow."""
PACKAGES = frozenset({"deb", "rpm", "apk", "alpm", "ebuild"})
SCHEMES = STRICT | LOOSE | PACKAGES | {"pypi", "maven", "gem", "nuget", "composer", "openssl"}
"""The schemes of ``vers`` that are ordered here."""

PLAIN = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})*")
"""Dotted numbers."""
_LOOSE = re.compile(r"([0-9]+(?:\.[0-9]+)*)([0-9A-Za-z.~-]*)")
_LEADING = re.compile(r"(?:[0-9]+[:!])?([0-9]+(?:\.[0-9]+)*)")
_CUT = STRICT | LOOSE | {"nuget", "composer"}
MIN_DATE, MAX_NUMBER = 10_000_000, 100_000
"""A first number of eight digits is a date, beside one below the second."""


class ReadVersion(NamedTuple):
    """A version, read by the rules of a scheme."""

    text: str
    """Without build metadata."""
    metadata: str | None
    written: tuple[str, ...]
    """The dotted numbers it begins with."""
    plain: bool = False
    """True for dotted numbers and nothing else."""
    key: Any = None
    """Its key under the rules of the scheme; None where it is ordered as one of no rules."""
    loose: Key = ()
    """Numbers, what follows them by SemVer, and its tokens by Maven; of PEP 440 the public version."""
    package: Package | None = None
    revision_key: Any = None


@lru_cache(maxsize=65_536)
def read(scheme: str, name: str) -> ReadVersion:
    """Read a version. Raises ValueError, or what the library raises, for what is none of this scheme."""
    leading = _LEADING.match(name)
    written = tuple(leading[1].split(".")) if leading else ()
    if scheme in PACKAGES:
        package = distribution_order.split(scheme, name)
        if not package.upstream[:1].isdigit():
            raise ValueError("a version begins with a digit")
        key = _PACKAGE_KEYS[scheme]
        revision = package.revision
        if scheme in ("apk", "ebuild"):
            revision_key: Any = None if revision is None else int(revision)
        else:
            revision_key = None if revision is None else key(revision)
        return ReadVersion(name, None, written, False, key(package.upstream), (), package, revision_key)
    if scheme == "pypi":
        version = PypiVersion(name).value
        public = PypiVersion(version.public).value if version.local else version
        return ReadVersion(name, version.local, written, False, version, (public,))
    text, metadata = name, None
    if scheme in _CUT and "+" in name:
        text, _, metadata = name.partition("+")
    if scheme in _KEYS:
        return ReadVersion(text, metadata, written, False, _KEYS[scheme](text))
    strict = ecosystem_order.semver(text) if scheme in STRICT and _is_semver(text) else None
    return ReadVersion(text, metadata, written, bool(PLAIN.fullmatch(text)), strict, _loose_key(text))


def _is_semver(text: str) -> bool:
    try:
        ecosystem_order.semver(text)
    except ValueError:
        return False
    return True


def _loose_key(text: str) -> Key:
    match = _LOOSE.fullmatch(text)
    if match is None:
        raise ValueError("neither SemVer nor Maven reads this")
    rest = match[2].lstrip("-.~")
    return numbers(match[1]), pre_release(rest or None), maven(text.replace("~", "-"))


_KEYS: dict[str, Callable[[str], Any]] = {
    "maven": maven,
    "gem": ecosystem_order.gem,
    "nuget": ecosystem_order.nuget,
    "composer": ecosystem_order.composer,
    "openssl": ecosystem_order.openssl,
}
_PACKAGE_KEYS: dict[str, Callable[[str], Any]] = {
    "deb": distribution_order.deb,
    "rpm": distribution_order.rpm,
    "apk": distribution_order.apk,
    "alpm": distribution_order.alpm,
    "ebuild": distribution_order.ebuild,
}
_COMPARISONS: dict[str, Callable[[Any, Any], int]] = {
    "maven": compare_maven,
    "apk": distribution_order.compare_apk,
    "alpm": distribution_order.compare_alpm,
    "ebuild": distribution_order.compare_ebuild,
}


def signs(scheme: str, name: str, bound_name: str, *, complete: bool = False) -> int:
    """The signs that a version may have towards a bound. Raises ValueError for what cannot be read.

    ``complete`` says that both are written as the scheme has them: no epoch is epoch 0.
    """
    if name == bound_name:
        read(scheme, name)
        return EQUAL
    version, bound = read(scheme, name), read(scheme, bound_name)
    if version.package is not None:
        return _of_packages(scheme, version, bound, complete=complete)
    if scheme == "pypi":
        # A bound without a local version is compared without that of the version.
        return _sign(version.key if bound.metadata is not None else version.loose[0], bound.key)
    if version.key is not None and bound.key is not None:
        found = _by_rule(scheme, version.key, bound.key)
    else:
        found = _without_rules(version, bound)
    if found == EQUAL and bound.metadata is not None and bound.metadata != version.metadata:
        found |= DOUBT
    return found


def _sign(first: Any, second: Any) -> int:
    return LESS if first < second else GREATER if second < first else EQUAL


def _by_rule(scheme: str, first: Any, second: Any) -> int:
    compare = _COMPARISONS.get(scheme)
    if compare is None:
        return _sign(first, second)
    return _sign(compare(first, second), 0)


def _of_packages(scheme: str, version: ReadVersion, bound: ReadVersion, *, complete: bool) -> int:
    package, other = version.package, bound.package
    assert package is not None  # noqa: S101 - as of the caller
    assert other is not None  # noqa: S101 - both are of one scheme
    without = _by_rule(scheme, version.key, bound.key)
    if without == EQUAL and package.revision != other.revision:
        if package.revision is None:
            without = ANY | PARTIAL
        elif other.revision is None:
            without = EQUAL | GREATER
        elif scheme == "alpm":
            without = _sign(distribution_order.compare_alpm(package.revision, other.revision), 0)
        else:
            without = _sign(version.revision_key, bound.revision_key)
    epoch, other_epoch = package.epoch or 0, other.epoch or 0
    if epoch == other_epoch:
        return without
    by_epoch = LESS if epoch < other_epoch else GREATER
    if (package.epoch is None or other.epoch is None) and not complete:
        return without | by_epoch  # one of the two is written without its epoch
    return by_epoch


def _without_rules(version: ReadVersion, bound: ReadVersion) -> int:
    own, other = version.loose, bound.loose
    found = _sign(own[:2], other[:2])
    if not (version.plain and bound.plain):
        found |= _sign(compare_maven(own[2], other[2]), 0)
    first, second = int(version.written[0]), int(bound.written[0])
    if (first >= MIN_DATE and second < MAX_NUMBER) or (second >= MIN_DATE and first < MAX_NUMBER):
        return ANY
    found |= _as_fractions(version.written, bound.written)
    if found == LESS and own[0] == other[0] and bound.plain:
        found |= DOUBT  # a pre-release of the bound: affected with it, or not yet
    return found


def _as_fractions(written: tuple[str, ...], other: tuple[str, ...]) -> int:
    """The signs under which a number with a zero before it is a fraction: 1.05 comes before 1.1."""
    found = 0
    for part, bound_part in zip(written[1:], other[1:], strict=False):
        if part == bound_part:
            continue
        if (len(part) > 1 and part[0] == "0") or (len(bound_part) > 1 and bound_part[0] == "0"):
            found |= _sign(part.rstrip("0"), bound_part.rstrip("0"))
        if int(part) != int(bound_part):
            break
    return found


def leading_numbers(scheme: str, name: str) -> tuple[int, ...]:
    """The dotted numbers that a version begins with, without its epoch."""
    return tuple(map(int, read(scheme, name).written))
