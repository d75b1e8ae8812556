"""A deployment: a solution that an operator (or for it a provider) runs for bodies it serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from federation.domain.content.solution import Assurance
from federation.domain.errors import Invalid
from federation.domain.faults import Fault
from federation.domain.organisation import Organisation
from federation.domain.part import Dated, Part
from federation.domain.projection import texts
from federation.domain.record_content import Content
from federation.domain.rule_broken import RuleBroken
from federation.domain.territories.identity import contradictions, departements_of_bodies
from federation.domain.values import (
    PART_OF,
    Cents,
    Count,
    Country,
    Currency,
    Day,
    Id,
    Instant,
    LanguageMap,
    Line,
    Territory,
    Text,
    Url,
    Version,
)

HostingModel = Literal[
    "operator", "on-premises", "public-sector-cloud", "private-cloud", "public-cloud", "vendor-saas"
]
VersionState = Literal["exact", "rolling", "unknown"]


class Hosting(Part, frozen=True, kw_only=True):
    """The place where it runs, and its provider."""

    model: HostingModel
    provider: Line | None = None
    country: Country | None = None
    assurances: Annotated[tuple[Assurance, ...], Meta(max_length=50)] = ()


class Bodies(Part, frozen=True, kw_only=True, tag_field="kind", tag="list"):
    """One tenant serves many bodies: these."""

    beneficiaries: Annotated[tuple[Organisation, ...], Meta(min_length=1, max_length=10_000)]


class Area(Part, frozen=True, kw_only=True, tag_field="kind", tag="territory"):
    """Every body of these territories."""

    territory: Annotated[tuple[Territory, ...], Meta(min_length=1, max_length=200)]


class Number(Dated, frozen=True, kw_only=True, tag_field="kind", tag="count"):
    """So many bodies, when they cannot be listed."""

    moments: ClassVar = ("as_of",)

    count: Count
    as_of: Day | None = None


Coverage = Bodies | Area | Number


def territories_of(coverage: Coverage) -> Iterator[str]:
    """The values of a coverage for the filter on territories."""
    if isinstance(coverage, Area):
        yield from coverage.territory
    elif isinstance(coverage, Bodies):
        # What a list covers a part of: the question for a territory asks for it, too (``query.py``).
        for departement in departements_of_bodies(coverage.beneficiaries):
            yield f"{PART_OF}{departement}"


def one_body_each(coverage: Coverage | None, at: str) -> Iterator[Fault]:
    """The faults of bodies whose identifiers contradict each other; ``at``: the pointer to the coverage."""
    if isinstance(coverage, Bodies):
        for index, body in enumerate(coverage.beneficiaries):
            if len(body.identifiers) > 1:  # most bodies have one, and there may be thousands
                yield from contradictions(body.identifiers, f"{at}/beneficiaries/{index}")


class PriceBand(Part, frozen=True, kw_only=True):
    """A price for bodies of up to so many inhabitants; without a maximum, for all larger ones."""

    amount_cents: Cents
    currency: Currency
    per: Literal["year", "month", "one-off"]
    unit: Literal["body", "inhabitant", "agent"]
    max_population: Count | None = None


class DeploymentOffer(Part, frozen=True, kw_only=True):
    """An offer to others to join this deployment, of a time before offers were records (`/v1/offers`).

    Stored ones stay, and can be left out; a new or changed one is refused.
    """

    open: bool
    eligibility: LanguageMap | None = None
    join_url: Url | None = None
    price_bands: Annotated[tuple[PriceBand, ...], Meta(max_length=50)] = ()


class NewVersion(Dated, frozen=True, kw_only=True):
    """A version that a probe or a CI job found. Without one it is unknown, or changes all the time."""

    moments: ClassVar = ("as_of",)

    version: Version | None = None
    version_state: VersionState | None = None
    as_of: Instant | None = None
    attestation: Literal["declared", "confirmed-by-beneficiary", "probed"] | None = None


class Deployment(Content, frozen=True, kw_only=True):
    """A solution in use: for whom, by whom, in which version."""

    type: ClassVar = "deployment"
    plural: ClassVar = "deployments"
    filters: ClassVar = (
        "solution", "status", "tenancy", "hosting", "country", "environment", "version", "open",
        "territory", "beneficiary",
    )  # fmt: skip
    filter_types: ClassVar = {
        "hosting": HostingModel,
        "country": Country,
        "open": Literal["true", "false"],
        "territory": Territory,
        "beneficiary": str,
    }
    moments: ClassVar = ("since", "until", "version_as_of")
    ordered: ClassVar = (("since", "until"),)

    solution: Id
    status: Literal["planned", "pilot", "production", "suspended", "retired"]
    tenancy: Literal["shared", "dedicated"]
    hosting: Hosting
    coverage: Coverage
    version: Version | None = None
    version_state: VersionState | None = None
    version_as_of: Instant | None = None
    since: Day | None = None
    until: Day | None = None
    environment: Literal["production", "acceptance", "test", "demonstration"] | None = None
    url: Url | None = None
    support: Text | None = None
    offer: DeploymentOffer | None = None
    attestation: Literal["declared", "confirmed-by-beneficiary", "probed"] | None = None

    def own_rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return (self._exact_version(),)

    def _exact_version(self) -> Iterator[RuleBroken]:
        if self.version_state == "exact" and self.version is None:
            yield RuleBroken("version_state is exact, so version is needed", number=10, member="version")

    def writer_rules(self, tlp: str) -> tuple[Iterator[Fault], ...]:
        return (one_body_each(self.coverage, "/coverage"),)

    def default_tlp(self) -> Literal["GREEN"]:
        # A public list of "commune X runs GLPI 10.0.6" is a target list.
        return "GREEN"

    def check_after(self, before: dict[str, Any] | None) -> None:
        """No offer is new or changed: a price list is public, and who runs which version is not."""
        if self.offer is None:
            return
        stored = before.get("offer") if before else None
        if stored is None or msgspec.convert(stored, DeploymentOffer) != self.offer:
            raise Invalid(
                "an offer is a record of its own: publish it at /v1/offers, and leave offer out here or as it"
                " was (federation offer draft makes offers of stored ones)",
                pointer="/content/offer",
                fault="rule",
                rule=43,
            )

    def found_by(self) -> Iterator[tuple[str, str]]:
        yield "solution", self.solution
        yield "status", self.status
        yield "tenancy", self.tenancy
        yield "hosting", self.hosting.model
        if self.hosting.country:
            yield "country", self.hosting.country
        if self.environment:
            yield "environment", self.environment
        if self.version:
            yield "version", self.version
        if self.offer:
            yield "open", "true" if self.offer.open else "false"
        for territory in territories_of(self.coverage):
            yield "territory", territory

    def bodies(self) -> Iterator[Organisation]:
        if isinstance(self.coverage, Bodies):
            yield from self.coverage.beneficiaries

    def words(self) -> Iterator[tuple[bool, str]]:
        yield False, self.solution.replace("/", " ")
        if self.hosting.provider:
            yield False, self.hosting.provider
        if self.offer:
            yield from texts(self.offer.eligibility)
