"""Releases of a distribution: the one that a version of a package was built for, and the one of an entry.

A distribution mends a flaw in each of its releases under another number, so "before 3.0.17" of Debian 12 says
nothing of 1.1.1w-0+deb11u3, which is mended in Debian 11. Many versions name their release; the others may be
of any.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import takewhile

from federation.domain.exposure.version_order import leading_numbers
from federation.domain.exposure.version_range import Range, clean_version, parse

Release = tuple[str, str]
"""A family of distributions and the number of a release."""
_TAGS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("debian", re.compile(r"[+~]deb([0-9]{1,2})u[0-9]")),
    ("ubuntu", re.compile(r"ubuntu[0-9.]{0,20}?(?<![0-9])([0-9]{2}\.(?:04|10))(?![0-9])")),
    ("el", re.compile(r"\.el([0-9]{1,2})(?![0-9])")),
    ("fedora", re.compile(r"\.fc([0-9]{2,3})(?![0-9])")),
)
_ENTERPRISE = ("red hat", "rocky", "alma", "centos", "oracle")
_OF_ENTERPRISE = re.compile(r"::el([0-9]{1,2})(?![0-9])")
_NUMBER = re.compile(r"[0-9]+")
_YEAR_AND_MONTH = re.compile(r"[0-9]{2}\.[0-9]{2}")


@lru_cache(maxsize=65_536)
def release_in(version: str) -> Release | None:
    """The release that a version of a package names: 12 of ``3.0.17-1~deb12u1``, 9 of ``3.0.7-25.el9_3``."""
    for family, pattern in _TAGS:
        if tag := pattern.search(version):
            return family, tag[1]
    return None


@lru_cache(maxsize=8_192)
def release_of(name: str) -> Release | None:
    """The release of a name such as ``Debian:12``, ``Ubuntu:22.04:LTS``, ``Red Hat Enterprise Linux 9``."""
    lowered = name.lower()
    if lowered.startswith("ubuntu"):
        number = _YEAR_AND_MONTH.search(lowered)
        return ("ubuntu", number[0]) if number else None
    for family in ("debian", "fedora"):
        if lowered.startswith(family):
            number = _NUMBER.search(lowered)
            return (family, number[0]) if number else None
    if lowered.startswith(_ENTERPRISE):
        number = _OF_ENTERPRISE.search(lowered)
        if number:
            return "el", number[1]
        number = _NUMBER.search(lowered)
        return ("el", number[0]) if number else None
    return None


def shared_numbers(range_: str | None, version: str | None) -> int:
    """The leading numbers that a version shares with a bound of a range, at most: 2 of 3.0.14 and 3.0.17."""
    parsed = parse(range_) if range_ else None
    name = clean_version(version.strip()) if version else None
    if not isinstance(parsed, Range) or name is None:
        return 0
    try:
        own = leading_numbers(parsed.scheme, name)
        named = [leading_numbers(parsed.scheme, bound.version) for bound in parsed.bounds]
    except Exception:  # as in ``parse``
        return 0
    return max(
        (
            sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(own, bound, strict=False)))
            for bound in named
        ),
        default=0,
    )
