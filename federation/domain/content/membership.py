"""A membership: the notice of an operator that it exchanges records with another operator.

The node publishes one for each of its peers and retracts it when the peer leaves (``node/memberships.py``).
It tells every member who was admitted by whom; nothing is fetched and nobody is trusted because of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from federation.domain.record_content import Content
from federation.domain.values import END, Instant, Line, Operator, Url


class Membership(Content, frozen=True, kw_only=True):
    """An operator was admitted by the origin of this record."""

    type: ClassVar = "membership"
    plural: ClassVar = "memberships"
    title_member: ClassVar = "name"
    filters: ClassVar = ("operator",)
    moments: ClassVar = ("admitted_at",)

    operator: Operator
    """The id of the operator that was admitted."""
    name: Line
    """Its name, as it gave it when it joined."""
    node: Url
    """The address of its node."""
    thumbprint: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9_-]{43}" + END,
            description="Thumbprint of the key that it joined with (RFC 7638).",
        ),
    ]
    admitted_at: Instant

    def default_tlp(self) -> Literal["GREEN"]:
        # Partners of a federation are news for its members, and not for everybody.
        return "GREEN"

    def found_by(self) -> Iterator[tuple[str, str]]:
        yield "operator", self.operator

    def words(self) -> Iterator[tuple[bool, str]]:
        yield False, self.name
        yield False, self.operator
