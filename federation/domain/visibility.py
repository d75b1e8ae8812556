"""Visibility of records: TLP 2.0, audiences, and the one predicate ``may_see``.

The predicate exists twice in form, never in meaning: :func:`may_see` here, and the same words in SQL
(``store/visibility.py``), since a list cannot be filtered after it was read. A test holds the two together.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from federation.domain.errors import Invalid

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


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """The identity of a caller, as far as its token proves it."""

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

    @property
    def own(self) -> bool:
        """True for one of the operator's own IT systems."""
        return self.operator == self.node


def anonymous(node: str) -> Caller:
    """Somebody without a token."""
    return Caller(node=node)


def itself(node: str) -> Caller:
    """The operator itself: its command line, its own web pages."""
    return Caller(node=node, operator=node)


def may_see(origin: str, audience: str, caller: Caller) -> bool:
    """Return True if the caller may know that a record of this origin and audience exists.

    A group's name means something on its origin's node only, so other operators' AMBER records that
    this node holds are shown to nobody but its own clients. Records for the federation are shown to every
    peer that their origin does not exclude.
    """
    if caller.own or audience == PUBLIC:
        return True
    if caller.operator is None:
        return False
    if audience == FEDERATION:
        return origin not in caller.excluded_by
    return origin == caller.node and audience in caller.groups
