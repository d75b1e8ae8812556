"""A group: the operators that a record of TLP AMBER or AMBER+STRICT is meant for.

The record is its origin's own and never leaves the node (it is always RED): a peer sees that it is
in an audience by the feed it may read, not who else is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from federation.domain.errors import Invalid
from federation.domain.faults import Fault
from federation.domain.messages import Message
from federation.domain.projection import texts
from federation.domain.record_content import Content
from federation.domain.values import GROUP_PATTERN, LanguageMap, Line, Operator


class Group(Content, frozen=True, kw_only=True):
    """A named audience; membership is looked up at each request."""

    type: ClassVar = "group"
    plural: ClassVar = "groups"
    title_member: ClassVar = "name"
    filters: ClassVar = ("member",)
    filter_types: ClassVar = {"member": Operator}

    name: Line
    members: Annotated[tuple[Operator, ...], Meta(max_length=1_000)]
    purpose: LanguageMap | None = None

    def default_tlp(self) -> Literal["RED"]:
        return "RED"

    def writer_rules(self, tlp: str) -> tuple[Iterator[Fault], ...]:
        return (self._always_red(tlp),)

    def _always_red(self, tlp: str) -> Iterator[Fault]:
        if tlp != "RED":
            message = Message("a group is always RED: who is in an audience is not told to its members")
            yield Fault(pointer="", code="rule", message=message, rule=13)

    @classmethod
    def check_key(cls, key: str) -> None:
        if not is_group_name(key):
            raise Invalid(
                "{key} cannot name a group: small letters, digits and hyphens, at most 63; {reserved} are"
                " taken",
                pointer="/key",
                fault="rule",
                rule=28,
                key=key,
                reserved=", ".join(sorted(RESERVED)),
            )

    def found_by(self) -> Iterator[tuple[str, str]]:
        for member in self.members:
            yield "member", member

    def words(self) -> Iterator[tuple[bool, str]]:
        yield True, self.name
        yield from texts(self.purpose)


RESERVED = frozenset({"public", "federation", "private"})
"""Audiences that are not groups."""


def is_group_name(name: str) -> bool:
    """True for a name that a group can have."""
    return re.fullmatch(GROUP_PATTERN, name) is not None and name not in RESERVED


MEMBERS_NOTED = 60
"""Members named by one entry of the audit trail: within the longest text that it takes."""


def group_changes(old: bytes | None, new: bytes | None) -> Iterator[dict[str, str | int]]:
    """The change of a group, for the audit trail; of its old and new document None where there is none.

    Nothing is cut: many members make several entries.
    """
    act = "revised" if old and new else "published" if new else "retracted"
    before, after = _members(old), _members(new)
    added, removed = sorted(after - before), sorted(before - after)
    for start in range(0, max(len(added), len(removed), 1), MEMBERS_NOTED):
        part = slice(start, start + MEMBERS_NOTED)
        yield {
            "act": act,
            "added": " ".join(added[part]),
            "removed": " ".join(removed[part]),
            "members": len(after),
        }


def member_changes(old: bytes | None, new: bytes | None) -> tuple[frozenset[str], frozenset[str]]:
    """The members that came and those that went; of its old and new document None where there is none."""
    before, after = _members(old), _members(new)
    return after - before, before - after


def _members(document: bytes | None) -> frozenset[str]:
    return frozenset(msgspec.json.decode(document)["content"]["members"]) if document else frozenset()
