"""The three-way merge of what a source gave last time, what the record is now, and what the source gives now.

    member                                        → the record gets
    as the source gave it last time               → what the source gives now
    already what the source gives now             → that
    anything else: a person changed it            → what the person wrote; the report names the member

So a record that was there before the source is completed, and nothing of it is replaced. Objects are merged
member by member, lists are compared whole, but for ``same_as``: what a source adds to it or takes from it is
added or taken, and what others wrote there stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from federation.domain.canonical import escape_pointer

MAX_DEPTH = 12
"""Depth down to which objects are merged member by member; below it they are compared whole."""
SAME_AS = "same_as"


class _Absent:
    """The value of a member that is not there."""


ABSENT: Any = _Absent()


class Merge(NamedTuple):
    """The members of the next draft, and the paths of those that a person changed."""

    members: dict[str, Any]
    person: tuple[str, ...]


def merge(before: Mapping[str, Any], stored: Mapping[str, Any], given: Mapping[str, Any]) -> Merge:
    """Merge the members of a draft. ``before`` and ``stored`` are empty where there are none."""
    paths: list[str] = []
    return Merge(_members(before, stored, given, "", paths, 0), tuple(paths))


def _members(
    before: Mapping[str, Any],
    stored: Mapping[str, Any],
    given: Mapping[str, Any],
    path: str,
    person: list[str],
    depth: int,
) -> dict[str, Any]:
    merged = dict(stored)
    for name in dict.fromkeys((*given, *before)):
        value = _value(
            before.get(name, ABSENT),
            stored.get(name, ABSENT),
            given.get(name, ABSENT),
            f"{path}/{escape_pointer(name)}",
            person,
            depth,
        )
        if value is ABSENT:
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged


def _value(before: Any, stored: Any, given: Any, path: str, person: list[str], depth: int) -> Any:
    if path == f"/{SAME_AS}":
        return _set(before, stored, given)
    if isinstance(stored, dict) and isinstance(given, dict) and depth < MAX_DEPTH:
        known = before if isinstance(before, dict) else {}
        return _members(known, stored, given, path, person, depth + 1)
    if _equal(stored, before) or _equal(stored, given):
        return given
    person.append(path)
    return stored


def _equal(left: Any, right: Any) -> bool:
    """Equality of JSON values: true is not 1 there."""
    if left is ABSENT or right is ABSENT:
        return left is right
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(value, right[name]) for name, value in left.items())
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right)


def _set(before: Any, stored: Any, given: Any) -> Any:
    old, new = _list(before), _list(given)
    values = [value for value in _list(stored) if value not in old or value in new]
    values += [value for value in new if value not in old and value not in values]
    return values or ABSENT


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def values_at(members: Mapping[str, Any], given: Mapping[str, Any], person: frozenset[str]) -> dict[str, Any]:
    """What is stored of the members that a source gave, in the form in which the record has them.

    Of a member that a person changed it is what the source gave: as long as both differ, it is the person's.
    """
    return _values_at(members, given, person, "", 0)


def _values_at(
    members: Mapping[str, Any], given: Mapping[str, Any], person: frozenset[str], path: str, depth: int
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in given.items():
        at = f"{path}/{escape_pointer(name)}"
        stored = members.get(name, ABSENT)
        if at == f"/{SAME_AS}" or at in person:
            found[name] = value
        elif isinstance(value, dict) and isinstance(stored, dict) and depth < MAX_DEPTH:
            found[name] = _values_at(stored, value, person, at, depth + 1)
        elif stored is not ABSENT:
            found[name] = stored
    return found
