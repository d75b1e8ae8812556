"""A purchase: the vehicle by which bodies buy together, and that others may join.

The consultations held with it are records of their own: a permanent group may admit members later, who get
nothing from procedures already launched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from federation.domain.content.offer import JoiningSteps
from federation.domain.faults import Fault
from federation.domain.organisation import Organisation
from federation.domain.part import Part
from federation.domain.projection import texts
from federation.domain.record_content import Content
from federation.domain.rule_broken import RuleBroken
from federation.domain.territories.identity import contradictions
from federation.domain.values import EVERYWHERE, LanguageMap, Territory, Url

CENTRAL = "centrale-d-achat"
SIRET = "0009"


class Joining(Part, frozen=True, kw_only=True):
    """The way in."""

    text: LanguageMap | None = None
    steps: JoiningSteps = ()


class Purchase(Content, frozen=True, kw_only=True):
    """A group of buyers, a central purchasing body, a framework or a partnership."""

    type: ClassVar = "purchase"
    plural: ClassVar = "purchases"
    title_member: ClassVar = "title"
    filters: ClassVar = ("kind", "status", "mode", "territory")

    title: LanguageMap
    summary: LanguageMap
    kind: Literal["groupement-de-commandes", "centrale-d-achat", "accord-cadre", "partenariat"]
    coordinator: Organisation
    """The body that coordinates; one of its identifiers is a SIRET."""
    mode: Literal["wholesaler", "intermediary"] | None = None
    """Of a central purchasing body: it buys and sells on, or it buys for those who then order and pay."""
    convention_url: Url | None = None
    joining: Joining | None = None
    territory: Annotated[tuple[Territory, ...], Meta(max_length=200)] = ()
    """The territories whose bodies may join; absent: all."""
    status: Literal["preparing", "open", "closed", "ended"] | None = None

    def own_rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return self._mode_of_kind(), self._has_siret()

    def _mode_of_kind(self) -> Iterator[RuleBroken]:
        if self.kind == CENTRAL and self.mode is None:
            yield RuleBroken(
                "a centrale-d-achat has a mode: who orders and who pays", number=38, member="mode"
            )
        if self.kind != CENTRAL and self.mode is not None:
            rule = "a mode is that of a centrale-d-achat, and the kind is {kind}"
            yield RuleBroken(rule, number=38, member="mode", kind=self.kind)

    def _has_siret(self) -> Iterator[RuleBroken]:
        if not any(identifier.scheme == SIRET for identifier in self.coordinator.identifiers):
            rule = "the coordinator has a SIRET (scheme 0009) among its identifiers"
            yield RuleBroken(rule, number=39, member="coordinator/identifiers")

    def writer_rules(self, tlp: str) -> tuple[Iterator[Fault], ...]:
        return (self._one_coordinator(),)

    def _one_coordinator(self) -> Iterator[Fault]:
        yield from contradictions(self.coordinator.identifiers, "/coordinator")

    def found_by(self) -> Iterator[tuple[str, str]]:
        yield "kind", self.kind
        if self.status:
            yield "status", self.status
        if self.mode:
            yield "mode", self.mode
        for territory in self.territory or (EVERYWHERE,):
            yield "territory", territory

    def words(self) -> Iterator[tuple[bool, str]]:
        yield from texts(self.title, self.summary)
        if self.coordinator.name:
            yield True, self.coordinator.name
