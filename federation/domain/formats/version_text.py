"""Affected versions that people write into a field for one version: ``6.x``, ``6.0 to 6.5``, ``>= 2, < 2.1``.

A text is read only where every word of it is understood; else it answers unknown. Of two readings the wider
one is taken: "up to 6.5" includes 6.5.3. Steps:

1. words that compare ("prior to", "6.5 and earlier", "6.0 to 6.5") become comparators;
2. the text is cut into comparators, versions and words without a meaning for the range;
3. a lower bound, or a bare version, and the upper bound right after it make an interval.
"""

from __future__ import annotations

import re

import msgspec

from federation.domain.formats.ranges import Interval

MAX_TEXT_CHARACTERS = 2_000
"""Characters of a text that is read, at most; a longer one answers unknown."""
NOTHING = frozenset({"", "0", "-", "n/a", "na", "none", "unspecified", "unknown", "undefined", "tbd"})
"""Texts in the place of a version that name none."""
EVERY = frozenset({"*", "all", "any", "all versions", "any version"})
_BRANCH_END = 999_999_999
"""The last number of a series, above those that releases have."""


class Reading(msgspec.Struct, frozen=True):
    """The versions that a text names."""

    intervals: tuple[Interval, ...]
    doubtful: bool = False
    """True when the text may mean more versions than these."""
    single: bool = False
    """True for nothing but versions, one or more, without a comparator."""


_VERSION = r"v?[0-9][0-9a-z.+~_:()*-]*"
_SERIES = re.compile(r"v?([0-9]{1,9}(?:\.[0-9]{1,9})*)(?:\.[x*]){1,4}", re.IGNORECASE)
_SERIES_WORD = re.compile(r"\b(v?[0-9]+(?:\.[0-9]+)*) (?:series|branch|release line)\b", re.IGNORECASE)
_PLAIN = re.compile(r"v?[0-9][0-9a-z.+~_:()-]{0,99}", re.IGNORECASE)
_NUMBERS = re.compile(r"[vV]?[0-9]{1,18}(?:\.[0-9]{1,18})*")
_TWO_NUMBERS = re.compile(r"v?[0-9]+(?:\.[0-9]+)*-v?[0-9]+(?:\.[0-9]+)+|[0-9]+-[0-9]+", re.IGNORECASE)
"""``6.0-6.5``: a range, or a version with a revision."""
_OLDER = r"(?:earlier|prior|below|older|lower|previous|before|under)"
_NEWER = r"(?:later|above|newer|higher|up|after|upwards|onwards)"
_KIND = r"(?: (?:versions?|releases?))?"
_REWRITES = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"≤|=<", "<="),
        (r"≥|=>", ">="),
        (r"\( ?(?:inclusive|included|including) ?\)", " "),
        (rf"({_VERSION}),? (?:and|or|&) (?:all |any )?{_OLDER}{_KIND}(?= ?(?:[,;]|$))", r" <=~ \1 "),
        (rf"({_VERSION}),? (?:and|or|&) (?:all |any )?{_NEWER}{_KIND}(?= ?(?:[,;]|$))", r" >= \1 "),
        (r"\b(?:less|lower|older|earlier) than or equal to\b", " <= "),
        (r"\b(?:greater|higher|newer|later) than or equal to\b", " >= "),
        (r"\b(?:up to|prior to|before) \(?and including\b\)?", " <=~ "),
        (r"\b(?:prior to|before|below|under|(?:less|lower|older|earlier) than)\b", " < "),
        (r"\b(?:up to|upto|through|thru|until|to|till)\b", " <=~ "),
        (r"(?<=[0-9xX*)]) [-–—] (?=v?[0-9])", " <=~ "),
        (r"\b(?:starting (?:from|with|at)|beginning (?:from|with|at)|from|since)\b", " >= "),
        (r"\b(?:after|above|(?:greater|higher|newer|later) than)\b", " > "),
    )
)
_TOKEN = re.compile(rf" ?(?:(<=~|>=|<=|==|=|<|>)|({_VERSION})|([a-z]+)|(\|\||&&|[,;]))", re.IGNORECASE)
_NOISE = frozenset("version versions release releases all any and or the v ver".split())


def read_versions(text: str) -> Reading | None:
    """The versions that a text names; None where it is not understood."""
    words = " ".join(text.split())
    if words.lower() in EVERY:
        return Reading(((None, None),))
    if words.lower() in NOTHING or len(text) > MAX_TEXT_CHARACTERS or not words.isprintable():
        return None
    words = _SERIES_WORD.sub(r"\1.x", words)
    for pattern, replacement in _REWRITES:
        words = pattern.sub(replacement, words)
    bounds = _bounds(" ".join(words.split()))
    return _pair(bounds) if bounds else None


def _bounds(words: str) -> list[tuple[str, str]] | None:
    """The versions of a text, each with its comparator, or an empty one."""
    bounds: list[tuple[str, str]] = []
    comparator = ""
    is_adjacent = False
    position = 0
    while position < len(words):
        token = _TOKEN.match(words, position)
        if token is None:
            return None
        position = token.end()
        if token[1]:
            if comparator:
                return None
            comparator = token[1]
            if is_adjacent and comparator.startswith("<") and bounds[-1][0] == "":
                bounds[-1] = (">=", bounds[-1][1])  # "6.0 < 6.5", "6.0 to 6.5"
        elif token[2]:
            version = token[2]
            if version.endswith("+"):
                version, comparator = version[:-1], comparator or ">="
            bounds.append((comparator, version))
            comparator = ""
        elif comparator or (token[3] and token[3].lower() not in _NOISE):
            return None
        is_adjacent = bool(token[2])
    return None if comparator else bounds


def _pair(bounds: list[tuple[str, str]]) -> Reading | None:
    """The intervals that bounds make, each lower one with the upper one after it."""
    if len(bounds) == 2 and bounds[0][0].startswith("<") and bounds[1][0].startswith(">"):
        return None  # "< 2, > 1": both, or one of them?
    intervals: list[Interval] = []
    doubtful = False
    low: str | None = None
    for number, (comparator, version) in enumerate(bounds):
        series = _SERIES.fullmatch(version)
        if _TWO_NUMBERS.fullmatch(version) or not (series or _PLAIN.fullmatch(version)):
            return None
        if comparator.startswith("<"):
            end = end_of(version, inclusive=comparator != "<", series=comparator == "<=~")
            doubtful |= comparator == "<" and series is not None
            intervals.append((low, end))
            low = None
        elif comparator.startswith(">"):
            if comparator == ">" and series:
                return None  # after the first of the series, or after the last one?
            low = begin_of(version) if comparator == ">=" else f">{version}"
            if number + 1 == len(bounds) or not bounds[number + 1][0].startswith("<"):
                intervals.append((low, None))
                low = None
        elif series:
            intervals.append((begin_of(version), end_of(version, inclusive=True)))
        elif version in NOTHING:
            return None
        else:
            intervals.append((version, None))
    single = all(comparator == "" and not is_series(version) for comparator, version in bounds)
    return Reading(tuple(intervals), doubtful, single)


def is_version(text: str) -> bool:
    """True for a text that can be one version, or a series of versions (``6.x``)."""
    text = text.strip()
    return bool(_PLAIN.fullmatch(text) or _SERIES.fullmatch(text))


def is_series(text: str) -> bool:
    """True for ``6.x``, ``10.1.*``: every version that begins so."""
    return _SERIES.fullmatch(text.strip()) is not None


def begin_of(version: str) -> str | None:
    """The lower bound that begins with a version, or with the first pre-release of a series; None for 0."""
    series = _SERIES.fullmatch(version.strip())
    if series is None:
        return f">={version.strip()}"
    numbers = series[1].split(".")
    if not any(int(number) for number in numbers):
        return None
    return f">={'.'.join([*numbers, '0', '0'][: max(3, len(numbers))])}-0"


def end_of(version: str, *, inclusive: bool, series: bool = False, exact: bool = False) -> str:
    """The upper bound at a version: with it, or with its whole series where it names one.

    ``series``: one or two numbers name a series too. ``exact``: without pre-releases of what follows.
    """
    version = version.strip()
    match = _SERIES.fullmatch(version)
    numbers = match[1] if match else version
    if match is None and not (series and _NUMBERS.fullmatch(version) and version.count(".") < 2):
        return f"{'<=' if inclusive else '<'}{version}"
    if not inclusive:
        return f"<{numbers}"
    if exact:
        return f"<={numbers}.{_BRANCH_END}"
    *first, last = numbers.lstrip("vV").split(".")
    return f"<{'.'.join((*first, str(int(last) + 1)))}"
