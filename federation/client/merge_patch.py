"""JSON Merge Patch (RFC 7396): the difference of two values, and a value with a patch applied."""

from __future__ import annotations

from typing import Any


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The patch that makes ``after`` of ``before``; empty where they are equal.

    Members that neither of them has are not in it: what a newer version has added to a record stays. A
    list is replaced as a whole.
    """
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        if name not in before:
            patch[name] = value
        elif isinstance(value, dict) and isinstance(before[name], dict):
            if inner := difference(before[name], value):
                patch[name] = inner
        elif value != before[name] or type(value) is not type(before[name]):
            patch[name] = value
    return patch


def apply(patch: Any, value: Any) -> Any:
    """The value with the patch applied; neither of them is changed."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for name, change in patch.items():
        if change is None:
            result.pop(name, None)
        else:
            result[name] = apply(change, result.get(name))
    return result
