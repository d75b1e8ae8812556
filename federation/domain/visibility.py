"""Visibility of records: TLP 2.0, audiences, and the one predicate ``may_see``.

The predicate exists twice in form, never in meaning: :func:`may_see` here, and the same words in SQL
(``store/visibility.py``), since a list cannot be filtered after it was read. A test holds the two together.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

import msgspec

from federation.domain.errors import Invalid
from federation.domain.values import GROUP_PATTERN, OPERATOR_PATTERN

Tlp = Literal["CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"]
LABELS: tuple[str, ...] = get_args(Tlp)
TLPS: tuple[str, ...] = get_args(Tlp)

PUBLIC = "public"
"""Everybody, without a token (CLEAR)."""
FEDERATION = "federation"
"""Every member of the federation (GREEN)."""
PRIVATE = "private"
"""Nobody but the origin's own clients (RED); there is no feed of this name."""


def is_wider(tlp: Tlp, other: Tlp) -> bool:
    """Return True if the first label lets more readers see a record than the second."""
    return TLPS.index(tlp) < TLPS.index(other)


def audience_of(tlp: str, group: str | None) -> str:
    """The audience a record belongs to: ``public``, ``federation``, ``private`` or a group's name.

    Raises Invalid when the label and the group do not go together.
    """
    if tlp in ("AMBER", "AMBER+STRICT"):
        if group is None:
            raise Invalid(
                "a record of TLP:{tlp} needs an audience: the name of a group",
                pointer="/audience",
                fault="rule",
                rule=15,
                tlp=tlp,
            )
        if group in (PUBLIC, FEDERATION, PRIVATE):
            raise Invalid(
                "{group} is not a group; TLP:CLEAR, GREEN and RED say the same",
                pointer="/audience",
                fault="rule",
                rule=15,
                group=group,
            )
        return group
    if group is not None:
        raise Invalid(
            "only TLP:AMBER and AMBER+STRICT have an audience, this is {tlp}",
            pointer="/audience",
            fault="rule",
            rule=15,
            tlp=tlp,
        )
    return {"CLEAR": PUBLIC, "GREEN": FEDERATION, "RED": PRIVATE}[tlp]


MAX_CEILING_GROUPS = 50
"""Groups that a ceiling names, at most."""


class Ceiling(msgspec.Struct, frozen=True):
    """The narrowest records that a person may see, of all that the operator's own systems see.

    GREEN: what is public, and what is for the federation. AMBER: these, and the records for the groups that
    are named. RED: everything. Raises Invalid where label and groups do not go together.
    """

    label: Literal["GREEN", "AMBER", "RED"] = "GREEN"
    groups: frozenset[str] = frozenset()
    """Groups as ``origin/name``: a group's name means something at its origin only."""

    def __post_init__(self) -> None:
        if (self.label == "AMBER") != bool(self.groups):
            raise Invalid(
                "a ceiling of TLP:AMBER names the groups, one at least, and no other ceiling does",
                pointer="/groups",
                fault="rule",
            )
        if len(self.groups) > MAX_CEILING_GROUPS:
            raise Invalid(
                "a ceiling names {maximum} groups at most",
                pointer="/groups",
                fault="rule",
                maximum=MAX_CEILING_GROUPS,
            )
        for group in sorted(self.groups):
            origin, _, name = group.partition("/")
            if (
                not re.search(OPERATOR_PATTERN, origin)
                or not re.search(GROUP_PATTERN, name)
                or name in (PUBLIC, FEDERATION, PRIVATE)
            ):
                raise Invalid(
                    "{group} is not a group of an operator; write OPERATOR/GROUP, such as arnia/security",
                    pointer="/groups",
                    fault="rule",
                    group=ascii(group)[1:161],
                )


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The identity of a caller, as far as its token or its session proves it."""

    node: str
    """The operator whose node is asked."""
    operator: str | None = None
    """The operator that asks: this node's own for its IT systems, a peer's id, or None."""
    client: str | None = None
    scopes: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    """The groups of this node that the peer is a member of, looked up for this request."""
    excluded_by: frozenset[str] = frozenset()
    """Origins whose signed checkpoint excludes the peer from their records for the federation."""

    person: str | None = None
    """Id of a person of the operator; None for its IT systems, for a peer and without a login."""
    person_name: str | None = None
    """The name of that person, for the audit trail."""
    ceiling: Ceiling | None = None
    """The ceiling of that person; None for IT systems, which see everything."""

    @property
    def own(self) -> bool:
        """True for one of the operator's own IT systems, and for a person of the operator."""
        return self.operator == self.node

    @property
    def sees_all(self) -> bool:
        """True for own callers that no ceiling bounds: they see every record that this node has."""
        return self.own and (self.ceiling is None or self.ceiling.label == "RED")


def anonymous(node: str) -> Caller:
    """Somebody without a token."""
    return Caller(node=node)


def itself(node: str) -> Caller:
    """The operator itself: its command line, its own web pages."""
    return Caller(node=node, operator=node)


def may_see(origin: str, audience: str, caller: Caller) -> bool:
    """Return True if the caller may know that a record of this origin and audience exists.

    A group's name means something on its origin's node only, so other operators' AMBER records that
    this node holds are shown to nobody but its own clients, and to its people as far as their ceilings name
    the group of that origin. Records for the federation are shown to every peer that their origin does not
    exclude.
    """
    if caller.sees_all or audience == PUBLIC:
        return True
    if caller.operator is None:
        return False
    if caller.own:
        named = caller.ceiling.groups if caller.ceiling is not None else frozenset()
        return audience == FEDERATION or f"{origin}/{audience}" in named
    if audience == FEDERATION:
        return origin not in caller.excluded_by
    return origin == caller.node and audience in caller.groups
