"""The affected versions of a product in a CVE record (CVE schema 5.x, docs/versions.md).

The status of a version is that of the first entry that matches it, after the changes of this entry up to
the version; else ``defaultStatus``. All versions that the entries name are put in order, and the status is
computed at each of them and between them. Where their order is not sure, what an entry says alone is a range,
and the rest a text.

A record without ``defaultStatus`` means "unknown" by the schema. Most of them are written by programs that
list every affected range and mean that nothing else is affected, so a list of ranges is read in this way. A
list of single versions is not: its author tested these, and the others are unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from federation.domain.formats.ranges import Interval, Scale, bounds_of, ranges_of, scale_of
from federation.domain.formats.version_text import (
    EVERY,
    NOTHING,
    begin_of,
    end_of,
    is_series,
    is_version,
    read_versions,
)

Status = Literal["affected", "unaffected", "unknown"]
SCHEMES = {
    "python": "pypi", "pypi": "pypi", "rpm": "rpm", "deb": "deb", "dpkg": "deb", "apk": "apk",
    "maven": "maven", "npm": "npm", "gem": "gem", "ruby": "gem", "rubygems": "gem", "nuget": "nuget",
    "go": "golang", "cargo": "cargo", "composer": "composer",
}  # fmt: skip
"""Schemes of ``vers`` for types of versions; the others are read as generic."""
_WORD_FOR_ANY = re.compile(r"[a-z][0-9a-z_-]*\*")
"""``log4j-core*``: an end without a number."""
_OF_COMMITS = frozenset({"git", "custom-git", "hg", "svn", "commit"})


class Change(msgspec.Struct):
    at: str = ""
    status: str = "unknown"


class VersionEntry(msgspec.Struct, rename="camel"):
    """An entry of ``versions``: one version or a range, and its status."""

    version: str = ""
    status: str = "affected"
    version_type: str = ""
    less_than: str | None = None
    less_than_or_equal: str | None = None
    changes: tuple[Change, ...] | None = None


class AffectedVersions(msgspec.Struct, frozen=True):
    """The versions of a product: affected ranges, and texts where it is unknown; neither where none is."""

    ranges: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    """Versions that the record names as the first that are not affected any more."""


class _Read(msgspec.Struct, frozen=True):
    """An entry, understood."""

    entry: VersionEntry
    intervals: tuple[Interval, ...]
    changes: tuple[Change, ...]
    doubtful: bool
    """True when it may mean more versions than these."""
    endless: bool
    """True when it has an end that the record does not name."""
    listed: bool
    """True for single versions without bounds."""


def is_of_commits(entries: Sequence[VersionEntry]) -> bool:
    """True for entries that name commits only."""
    return bool(entries) and all(entry.version_type.lower() in _OF_COMMITS for entry in entries)


def named_versions(entries: Sequence[VersionEntry]) -> list[str]:
    """The versions that entries name as bounds or alone; ends without a number are none."""
    names = [
        name.strip()
        for entry in entries
        for name in (entry.version, entry.less_than, entry.less_than_or_equal)
        if name
    ]
    names += [change.at.strip() for entry in entries for change in entry.changes or ()]
    return [name for name in names if name.lower() not in NOTHING | EVERY]


def affected_versions(
    entries: Sequence[VersionEntry], default: str | None, scheme: str = "generic", *, supplement: bool = False
) -> AffectedVersions:
    """The affected versions by entries and default status.

    ``supplement``: the entries add to what the record says elsewhere, and an unknown default adds nothing.
    """
    versions = [entry for entry in entries if entry.version_type.lower() not in _OF_COMMITS] or list(entries)
    read: list[_Read] = []
    texts: list[str] = []
    unread: list[VersionEntry] = []
    for entry in versions:
        understood = _read(entry)
        if understood is None:
            unread.append(entry)
        else:
            read.append(understood)
    fallback = _default(read, unread, default, supplement=supplement)
    texts += [_words(entry) for entry in unread if entry.status != "unaffected" or fallback == "affected"]
    if unread and fallback == "affected" and any(entry.status == "unaffected" for entry in unread):
        fallback = "unknown"
    if fallback == "unknown":
        texts.append(_rest(read, default))
    texts += [_words(part.entry) for part in read if part.doubtful and part.entry.status != "unaffected"]
    texts += [_words(part.entry) for part in read if _status(part.entry.status) == "unknown"]
    chosen = _scheme(versions, read, scheme)
    scale = scale_of(chosen, _version_names(read))
    if scale is None or not all(_is_ordered(scale, part) for part in read):
        ranges, more = _each_alone(chosen, read, fallback)
        return AffectedVersions(ranges, tuple(dict.fromkeys((*texts, *more))))
    statuses = [_status_at(scale, read, fallback, position) for position in range(scale.last + 1)]
    affected = [position for position, status in enumerate(statuses) if status == "affected"]
    ranges, unranged = ranges_of(chosen, scale.intervals(affected))
    texts += unranged
    texts += _unknown_ends(scale, read, statuses)
    fixed = [
        change.at
        for part in read
        for change in part.changes
        if change.status == "unaffected"
        and not texts
        and statuses[scale.positions[change.at]] == "unaffected"
    ]
    return AffectedVersions(ranges, tuple(dict.fromkeys(texts)), tuple(dict.fromkeys(fixed)))


# Reading one entry


def _read(entry: VersionEntry) -> _Read | None:
    """An entry as intervals; None where its words are not understood."""
    if entry.version_type.lower() in _OF_COMMITS:
        return None
    changes = tuple(entry.changes or ())
    version = entry.version.strip()
    end = entry.less_than if entry.less_than is not None else entry.less_than_or_equal
    if end is None or (entry.less_than is not None and entry.less_than_or_equal is not None):
        reading = read_versions(version) if end is None and not changes else None
        if reading is None:
            return None
        return _Read(entry, reading.intervals, (), reading.doubtful, False, reading.single)
    if not all(is_version(change.at) and not is_series(change.at) for change in changes):
        return None
    low = None
    if version.lower() not in NOTHING and version.lower() not in EVERY:
        if not is_version(version):
            return None
        low = begin_of(version)
    end = end.strip()
    lower_end = end.lower()
    without_end = lower_end in EVERY
    endless = not without_end and (lower_end in NOTHING or _WORD_FOR_ANY.fullmatch(lower_end) is not None)
    high = None
    doubtful = False
    if not (without_end or endless):
        if not is_version(end):
            return None
        # "*" at the end is the last of a series (versions.md), also with lessThan; an "x" there may be any.
        whole = end.endswith("*") or entry.less_than is None
        doubtful = is_series(end) and not whole
        exact = _status(entry.status) != "affected" or bool(changes)
        high = end_of(end, inclusive=whole if is_series(end) else entry.less_than is None, exact=exact)
    return _Read(entry, ((low, high),), changes, doubtful, endless, False)


def _status(status: str) -> Status:
    match status:
        case "affected" | "unaffected":
            return status
    return "unknown"


def _default(
    read: Sequence[_Read], unread: Sequence[VersionEntry], default: str | None, *, supplement: bool
) -> Status:
    """The status of versions that no entry names."""
    if supplement and default != "affected":
        return "unaffected"
    if default is not None:
        return _status(default)
    affected = [part for part in read if _status(part.entry.status) == "affected"]
    return "unaffected" if unread or any(not part.listed for part in affected) else "unknown"


def _rest(read: Sequence[_Read], default: str | None) -> str:
    """The reason that versions beside those that are named are unknown."""
    if not read:
        return "the record names no versions"
    return (
        "other versions: the record does not say" if default is None else "other versions: said to be unknown"
    )


def _scheme(versions: Sequence[VersionEntry], read: Sequence[_Read], scheme: str) -> str:
    """The scheme of versions: generic, and where it does not order them, the one that the record names."""
    if scheme != "generic":
        return scheme
    names = _version_names(read)
    if scale_of("generic", names) is not None:
        return "generic"
    for type_ in dict.fromkeys(entry.version_type.lower() for entry in versions):
        if type_ in SCHEMES and scale_of(SCHEMES[type_], names) is not None:
            return SCHEMES[type_]
    return "generic"


def _version_names(read: Sequence[_Read]) -> list[str]:
    """The versions that entries name."""
    return [
        version
        for part in read
        for version in (*bounds_of(part.intervals), *(change.at for change in part.changes))
    ]


def _is_ordered(scale: Scale, part: _Read) -> bool:
    """True when no interval of an entry ends before it begins."""
    return all(scale.span(interval) for interval in part.intervals)


# Status


def _status_at(scale: Scale, read: Sequence[_Read], default: Status, position: int) -> Status:
    """The status at a position of the scale: the algorithm of versions.md."""
    for part in read:
        if any(position in scale.span(interval) for interval in part.intervals):
            status = part.entry.status
            for change in sorted(part.changes, key=lambda change: scale.positions[change.at]):
                if scale.positions[change.at] <= position:
                    status = change.status
            if part.endless and status == "affected" and position > _last_named(scale, part):
                return "unknown"
            return _status(status)
    return default


def _last_named(scale: Scale, part: _Read) -> int:
    versions = (*bounds_of(part.intervals), *(change.at for change in part.changes))
    return max((scale.positions[version] for version in versions), default=-1)


def _unknown_ends(scale: Scale, read: Sequence[_Read], statuses: Sequence[Status]) -> Iterator[str]:
    """Entries of which some version is unknown after a change, or since they name no end."""
    for part in read:
        if _status(part.entry.status) == "unknown" or not (part.changes or part.endless):
            continue
        if any(
            statuses[position] == "unknown"
            for interval in part.intervals
            for position in scale.span(interval)
        ):
            yield _words(part.entry)


def _each_alone(scheme: str, read: Sequence[_Read], default: Status) -> tuple[tuple[str, ...], list[str]]:
    """What each entry says alone, where the entries together have no sure order."""
    intervals: list[Interval] = []
    texts: list[str] = []
    for part in read:
        if _status(part.entry.status) == "affected" and not part.changes and not part.endless:
            intervals += part.intervals
        elif part.changes or part.endless:
            texts.append(_words(part.entry))
    if default == "affected":
        texts.append("every version that is not named as unaffected")
    ranges, unranged = ranges_of(scheme, intervals)
    return ranges, [*texts, *unranged]


def _words(entry: VersionEntry) -> str:
    """An entry as it stands there."""
    end = f" before {entry.less_than}" if entry.less_than else ""
    last = f" up to {entry.less_than_or_equal}" if entry.less_than_or_equal else ""
    kind = f" ({entry.version_type})" if entry.version_type else ""
    changes = "".join(f", {change.status} from {change.at}" for change in entry.changes or ())
    status = f": {entry.status}" if entry.status != "affected" else ""
    return f"{entry.version}{end}{last}{kind}{changes}{status}".strip() or "a version without a name"
