"""Groups of members, and rules that many of them have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, ClassVar

import msgspec

from federation.domain.rule_broken import RuleBroken
from federation.domain.values import MAX_MARKDOWN_BYTES, day, instant


def distinct(member: str, key: str, entries: Iterable[Any]) -> Iterator[RuleBroken]:
    """The breach of the rule that a list has each key once: the first entry whose key was there before."""
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        value = getattr(entry, key)
        if value in seen:
            rule = "{value} is the {key} of an entry before this one"
            at = f"{member}/{index}/{key}"
            yield RuleBroken(rule, number=29, member=at, names={"key": key}, value=value)
            return
        seen.add(value)


def short_markdown(member: str, texts: Mapping[str, str] | None) -> Iterator[RuleBroken]:
    """The breach of the bound of texts in Markdown, which is one of bytes."""
    for tag, text in (texts or {}).items():
        if len(text) * 4 > MAX_MARKDOWN_BYTES and len(text.encode()) > MAX_MARKDOWN_BYTES:
            rule = "a text in Markdown has at most 65536 bytes"
            yield RuleBroken(rule, number=30, member=f"{member}/{tag}")


class Part(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A group of members. Absent and default are one thing: neither is written down."""

    def rules(self) -> tuple[Iterator[RuleBroken], ...]:
        """Rules between members of this group, each with all that breaks it."""
        return ()


class Dated(Part, frozen=True, kw_only=True):
    """A group of members some of which are instants or days: they must name a real one.

    Apart from :class:`Part`, since what is checked here costs a call of Python for each group there is.
    """

    moments: ClassVar[tuple[str, ...]] = ()
    """Members that are instants or days."""
    ordered: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Pairs of members where the first may not be later than the second."""

    def __post_init__(self) -> None:
        for name in self.moments:
            if (value := getattr(self, name)) is not None:
                day(value) if len(value) == 10 else instant(value)
        for first, second in self.ordered:
            # (All are in UTC: what is the same text is the same moment, and that is quicker to know.)
            if (
                (later := getattr(self, second)) is not None
                and (earlier := getattr(self, first)) is not None
                and earlier != later
            ):
                for broken in _order(first, earlier, second, later):
                    raise broken

    def rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return tuple(
            _order(first, getattr(self, first), second, getattr(self, second))
            for first, second in self.ordered
        )


def _order(first: str, earlier: str | None, second: str, later: str | None) -> Iterator[RuleBroken]:
    if earlier is not None and later is not None and _moment(earlier) > _moment(later):
        names = {"first": first, "second": second}
        rule = "{second} ({later}) is before {first} ({earlier})"
        yield RuleBroken(rule, number=2, member=second, names=names, earlier=earlier, later=later)


def _moment(text: str) -> datetime | date:
    return day(text) if len(text) == 10 else instant(text)
