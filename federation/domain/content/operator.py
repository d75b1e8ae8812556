"""An operator: a public body that runs digital services for others, and a node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from msgspec import Meta

from federation.domain.faults import Fault
from federation.domain.organisation import Identifier
from federation.domain.record_content import Content
from federation.domain.territories.identity import contradictions
from federation.domain.values import Country, Line, Mailbox, Telephone, Territory, Url


class Operator(Content, frozen=True, kw_only=True):
    """An operator: its name, its territory, and its addresses."""

    type: ClassVar = "operator"
    plural: ClassVar = "operators"
    title_member: ClassVar = "name"
    filters: ClassVar = ("country", "territory")

    name: Line
    country: Country
    territory: Annotated[tuple[Territory, ...], Meta(min_length=1, max_length=100)]
    contact: Mailbox
    security_contact: Mailbox
    identifiers: Annotated[tuple[Identifier, ...], Meta(max_length=8)] = ()
    homepage: Url | None = None
    node: Url | None = None
    telephone: Telephone | None = None
    security_telephone: Telephone | None = None
    """Answered when a service is down or attacked."""

    def writer_rules(self, tlp: str) -> tuple[Iterator[Fault], ...]:
        return (contradictions(self.identifiers, ""),)

    def found_by(self) -> Iterator[tuple[str, str]]:
        yield "country", self.country
        for territory in self.territory:
            yield "territory", territory

    def words(self) -> Iterator[tuple[bool, str]]:
        yield False, self.name
