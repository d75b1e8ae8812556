"""A solution: software, a service, a model or a data set that operators run or recommend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar, Literal, Self

import msgspec
from msgspec import Meta

from federation.domain.faults import Fault
from federation.domain.formats.cpe import parse_cpe
from federation.domain.formats.names import read_purl
from federation.domain.formats.spdx import licence_problem, listed_licence, same_licences
from federation.domain.messages import Message
from federation.domain.organisation import Organisation
from federation.domain.part import Dated, Part
from federation.domain.projection import texts
from federation.domain.record_content import Content
from federation.domain.rule_broken import RuleBroken
from federation.domain.territories.identity import contradictions
from federation.domain.values import END, VISIBLE, Country, Day, Id, LanguageMap, Line, Url, Version

SolutionKind = Literal["software", "service", "ai-model", "configuration", "dataset"]
DevelopmentStatus = Literal["concept", "development", "beta", "stable", "obsolete"]

OWN_THEMES = (
    "ai cybersecurity e-administration education geodata archiving signature citizen-relation"
    " infrastructure sovereign-workplace"
).split()
"""Added by this project: what operators look for and publiccode.yml has no word for."""
PUBLICCODE_THEMES = (
    "accounting agile-project-management applicant-tracking application-development"
    " appointment-scheduling backup billing-and-invoicing blog budgeting business-intelligence"
    " business-process-management cad call-center-management cloud-management collaboration"
    " communications compliance-management contact-management content-management crm"
    " customer-service-and-support data-analytics data-collection data-visualization design"
    " design-system digital-asset-management digital-citizenship document-management donor-management"
    " e-commerce e-signature educational-content email-management email-marketing employee-management"
    " enterprise-project-management enterprise-social-networking erp event-management"
    " facility-management feedback-and-reviews-management financial-reporting fleet-management"
    " fundraising gamification geographic-information-systems grant-management graphic-design"
    " help-desk hr ide identity-management instant-messaging integrated-library-system"
    " inventory-management it-asset-management it-development it-management it-security"
    " it-service-management knowledge-management learning-management-system marketing mind-mapping"
    " mobile-marketing mobile-payment network-management office online-booking online-community other"
    " payment-gateway payroll predictive-analysis procurement productivity-suite"
    " project-collaboration project-management property-management real-estate-management"
    " regulations-and-directives remote-support resource-management sales-management seo service-desk"
    " social-media-management survey talent-management task-management taxes-management"
    " test-management time-management time-tracking translation video-conferencing video-editing"
    " visitor-management voip warehouse-management web-collaboration web-conferencing website-builder"
    " whistleblowing workflow-management"
).split()
"""Categories of publiccode.yml 0.7."""
THEMES = frozenset((*OWN_THEMES, *PUBLICCODE_THEMES))

Theme = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{1,59}" + END, examples=["ai", "it-asset-management"])]
Licence = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9.+:() -]+" + END,
        min_length=2,
        max_length=300,
        description="SPDX expression, or `LicenseRef-proprietary`, `LicenseRef-unknown`.",
        examples=["AGPL-3.0-or-later", "GPL-2.0-only OR MIT"],
    ),
]


def unlisted_licence(licence: str) -> Iterator[Fault]:
    """The fault of a licence that the SPDX list does not have."""
    if problem := licence_problem(licence):
        yield Fault(pointer="/licence", code="not-allowed", message=problem, rule=16)


def unknown_themes(themes: Iterable[str]) -> Iterator[Fault]:
    """The faults of themes that are not of the list."""
    for index, theme in enumerate(themes):
        if theme not in THEMES:
            message = Message(
                "{theme} is not a theme; see the list in the documentation of the schema", {"theme": theme}
            )
            allowed = tuple(sorted(THEMES))
            yield Fault(
                pointer=f"/themes/{index}", code="not-allowed", message=message, allowed=allowed, rule=17
            )


class Package(Part, frozen=True, kw_only=True):
    """Its name in package and vulnerability databases."""

    purl: Annotated[str, Meta(pattern=rf"^pkg:[a-z0-9.+-]+/{VISIBLE}+{END}", max_length=500)] | None = None
    cpe: Annotated[str, Meta(pattern=rf"^cpe:(2\.3:|/){VISIBLE}+{END}", max_length=500)] | None = None

    def __post_init__(self) -> None:
        for broken in self._has_a_name():
            raise broken

    def rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return (self._has_a_name(),)

    def _has_a_name(self) -> Iterator[RuleBroken]:
        if self.purl is None and self.cpe is None:
            yield RuleBroken("a package needs a purl or a cpe", number=4)


class Release(Dated, frozen=True, kw_only=True):
    """A version that was released, and until when it is looked after."""

    moments: ClassVar = ("released_at", "eol_at")

    version: Version
    released_at: Day | None = None
    support: Literal["supported", "lts", "security-only", "unsupported"] | None = None
    eol_at: Day | None = None


class Ai(Part, frozen=True, kw_only=True):
    """Facts that an administration must know before it uses an AI system (EU 2024/1689)."""

    risk_class: Literal["minimal", "limited", "high", "prohibited"] | None = None
    base_models: Annotated[tuple[Line, ...], Meta(max_length=20)] = ()
    inference_country: Country | None = None
    trains_on_user_data: bool | None = None
    personal_data: bool | None = None
    register_url: Url | None = None


class Assurance(Dated, frozen=True, kw_only=True):
    """A certificate or qualification that somebody independent has given."""

    moments: ClassVar = ("valid_until",)

    scheme: Annotated[
        str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{1,39}" + END, examples=["secnumcloud", "hds", "iso27001"])
    ]
    certificate_url: Url | None = None
    valid_until: Day | None = None


class Accessibility(Dated, frozen=True, kw_only=True):
    """The degree to which people with disabilities can use it."""

    moments: ClassVar = ("audited_at",)

    standard: Annotated[str, Meta(min_length=2, max_length=40, examples=["RGAA 4.1", "EN 301 549"])]
    level: Literal["none", "partial", "full"]
    audited_at: Day | None = None


class Solution(Content, frozen=True, kw_only=True):
    """Something operators run, recommend or offer to their members."""

    type: ClassVar = "solution"
    plural: ClassVar = "solutions"
    title_member: ClassVar = "name"
    filters: ClassVar = ("kind", "status", "theme", "licence")
    filter_types: ClassVar = {"theme": Literal.__getitem__(tuple(sorted(THEMES)))}

    name: Line
    summary: LanguageMap
    kind: SolutionKind
    status: DevelopmentStatus
    licence: Licence
    themes: Annotated[tuple[Theme, ...], Meta(min_length=1, max_length=20)]
    description: LanguageMap | None = None
    repository: Url | None = None
    homepage: Url | None = None
    documentation: Url | None = None
    steward: Line | Organisation | None = None
    maintenance: Literal["internal", "contract", "community", "none"] | None = None
    based_on: Annotated[tuple[Id, ...], Meta(max_length=50)] = ()
    depends_on: Annotated[tuple[Id, ...], Meta(max_length=50)] = ()
    alternatives: Annotated[tuple[Id, ...], Meta(max_length=50)] = ()
    packages: Annotated[tuple[Package, ...], Meta(max_length=50)] = ()
    releases: Annotated[tuple[Release, ...], Meta(max_length=200)] = ()
    version_scheme: (
        Annotated[str, Meta(pattern=r"^[a-z][a-z0-9]{1,29}" + END, examples=["generic", "pypi"])] | None
    ) = None
    ai: Ai | None = None
    assurances: Annotated[tuple[Assurance, ...], Meta(max_length=50)] = ()
    accessibility: Accessibility | None = None

    def writer_rules(self, tlp: str) -> tuple[Iterator[Fault], ...]:
        return (
            unlisted_licence(self.licence),
            self._known_packages(),
            unknown_themes(self.themes),
            self._one_steward(),
        )

    def _known_packages(self) -> Iterator[Fault]:
        for index, package in enumerate(self.packages):
            if package.purl and read_purl(package.purl) is None:
                message = Message(
                    "it names no package: a package URL is pkg:TYPE/NAMESPACE/NAME, such as"
                    " pkg:npm/%40angular/core"
                )
                yield Fault(pointer=f"/packages/{index}/purl", code="pattern", message=message, rule=18)
            if package.cpe and parse_cpe(package.cpe) is None:
                message = Message(
                    "it names no product: a CPE has part, vendor and product, such as"
                    " cpe:2.3:a:glpi-project:glpi:*:*:*:*:*:*:*:*"
                )
                yield Fault(pointer=f"/packages/{index}/cpe", code="pattern", message=message, rule=18)

    def _one_steward(self) -> Iterator[Fault]:
        if isinstance(self.steward, Organisation):
            yield from contradictions(self.steward.identifiers, "/steward")

    def as_written(self) -> Self:
        licence = listed_licence(self.licence)
        return self if licence == self.licence else msgspec.structs.replace(self, licence=licence)

    @classmethod
    def filter_values(cls, name: str, value: str) -> tuple[str, ...]:
        if name != "licence":
            return (value,)
        # Records that were stored before are found by the licence as their writer wrote it.
        return tuple(dict.fromkeys((*same_licences(listed_licence(value)), value, value.lower())))

    def found_by(self) -> Iterator[tuple[str, str]]:
        yield "kind", self.kind
        yield "status", self.status
        yield "licence", listed_licence(self.licence)
        for theme in self.themes:
            yield "theme", theme

    def words(self) -> Iterator[tuple[bool, str]]:
        yield False, self.name
        yield from texts(self.summary, self.description)
