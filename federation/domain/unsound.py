"""A stand-in for members that are at fault, so that other rules can be checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn


class UnsoundError(Exception):
    """A rule has read a member that is at fault."""


class _Unsound:
    """Stands for a member that is at fault: whatever a rule does with it raises UnsoundError."""

    def _raise(self, *_: Any) -> NoReturn:
        raise UnsoundError

    __bool__ = __eq__ = __ne__ = __hash__ = __len__ = __iter__ = __str__ = __repr__ = _raise
    __lt__ = __gt__ = __le__ = __ge__ = __contains__ = __getattr__ = __getitem__ = __format__ = _raise


UNSOUND: Any = _Unsound()


def sound(rule: Iterator[Any]) -> Iterator[Any]:
    """The results of a rule until it reads a member that is at fault."""
    try:
        yield from rule
    except UnsoundError:
        return
