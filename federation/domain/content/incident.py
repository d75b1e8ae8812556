"""An incident: something is down, will be down, is vulnerable or was attacked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from federation.domain.errors import Invalid
from federation.domain.faults import Fault
from federation.domain.messages import Message
from federation.domain.part import Dated, Part
from federation.domain.projection import texts
from federation.domain.record_content import Content
from federation.domain.rule_broken import RuleBroken
from federation.domain.values import (
    END,
    VISIBLE,
    Id,
    IdOrUri,
    Instant,
    LanguageMap,
    Operator,
    Sha256,
    Url,
    Version,
    instant,
)

IncidentKind = Literal["outage", "degradation", "maintenance", "vulnerability", "security"]
IncidentStatus = Literal[
    "investigating", "identified", "monitoring", "resolved",
    "scheduled", "in_progress", "verifying", "completed",
    "open", "mitigated", "fixed",
    "withdrawn",
]  # fmt: skip

PUBLIC_KINDS = ("outage", "maintenance")
"""Kinds that are CLEAR at creation where outages are public: the users of the software notice them anyway."""

Alias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{2,99}" + END)]

_HAPPENING = ("investigating", "identified", "monitoring", "resolved", "withdrawn")
STATUSES: dict[str, tuple[str, ...]] = {
    "outage": _HAPPENING,
    "degradation": _HAPPENING,
    "security": _HAPPENING,
    "maintenance": ("scheduled", "in_progress", "verifying", "completed", "withdrawn"),
    "vulnerability": ("open", "mitigated", "fixed", "withdrawn"),
}
"""The statuses an incident of each kind can have."""


class Affected(Part, frozen=True, kw_only=True):
    """An affected solution in a range of versions, or affected deployments by name."""

    solution: Id | None = None
    range: Annotated[
        str,
        Meta(
            pattern=rf"^vers:[a-z][a-z0-9.-]*[/]{VISIBLE}+{END}",
            max_length=2_000,
            description="Versions affected, as a `vers` range.",
            examples=["vers:generic/>=10.0.0|<10.0.18"],
        ),
    ] | None = None  # fmt: skip
    range_text: Annotated[str, Meta(min_length=1, max_length=2_000)] | None = None
    """The range in words, as its source tells it, when it cannot be told as ``range``: it answers unknown."""
    fixed_in: Annotated[tuple[Version, ...], Meta(max_length=50)] = ()
    by_name_only: bool = False
    """True when only a name led from the source to this solution, and no identifier: it answers unknown where
    it would answer affected."""
    source_pointer: Annotated[
        str,
        Meta(
            pattern=r"^(/[^/\x00-\x20\x7f-\xa0]+)+" + END,
            max_length=300,
            description="The entry of the source that this was read from, as a JSON Pointer (RFC 6901).",
            examples=["/affected/0"],
        ),
    ] | None = None  # fmt: skip
    releases: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=100)], ...],
        Meta(
            max_length=50,
            description="The releases of the distribution whose package this is, as the source names them.",
            examples=[["Debian:12"]],
        ),
    ] = ()
    deployments: Annotated[tuple[Id, ...], Meta(max_length=1_000)] = ()

    def __post_init__(self) -> None:
        for broken in self._names_something():
            raise broken

    def rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return (self._names_something(),)

    def _names_something(self) -> Iterator[RuleBroken]:
        if self.solution is None and not self.deployments:
            yield RuleBroken("what is affected is a solution, deployments, or both", number=5)


class Remediation(Part, frozen=True, kw_only=True):
    """A remedy (categories of CSAF 2.0, 3.2.3.12.1)."""

    category: Literal["mitigation", "no_fix_planned", "none_available", "vendor_fix", "workaround"]
    text: LanguageMap | None = None
    url: Url | None = None
    version: Version | None = None


class Update(Dated, frozen=True, kw_only=True):
    """One line of the incident's timeline."""

    moments: ClassVar = ("at",)

    at: Instant
    status: IncidentStatus
    text: LanguageMap


def _same_line(line: Update, other: Update) -> bool:
    """True for lines that say the same, though a client may write the time with other decimals."""
    return (line.status, line.text) == (other.status, other.text) and instant(line.at) == instant(other.at)


class Source(Dated, frozen=True, kw_only=True):
    """The advisory this was made from."""

    moments: ClassVar = ("modified_at",)

    url: Url
    sha256: Sha256 | None = None
    publisher: Annotated[str, Meta(min_length=1, max_length=300)] | None = None
    """The namespace of its publisher, in which the id of the document is unique."""
    document: Annotated[str, Meta(min_length=1, max_length=300)] | None = None
    """The id of the document."""
    version: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    """The version of the document, where its form has one."""
    modified_at: Instant | None = None
    """The time of this version of the document; an older version changes nothing."""


def document_identity(publisher: str, document: str) -> str:
    """One text for a publisher's namespace and its id of a document: ids are unique at one publisher only."""
    return sha256(f"{publisher}\0{document}".encode()).hexdigest()[:32]


class Incident(Content, frozen=True, kw_only=True):
    """Something went wrong with a solution or a deployment, and others may be affected."""

    type: ClassVar = "incident"
    plural: ClassVar = "incidents"
    title_member: ClassVar = "title"
    filters: ClassVar = (
        "kind",
        "status",
        "severity",
        "solution",
        "deployment",
        "operator",
        "alias",
        "exploitation",
    )
    filter_types: ClassVar = {"solution": Id, "deployment": Id, "operator": Operator, "alias": Alias}
    moments: ClassVar = ("started_at", "detected_at", "resolved_at", "scheduled_for", "scheduled_until")
    ordered: ClassVar = (
        ("started_at", "resolved_at"),
        ("detected_at", "resolved_at"),
        ("scheduled_for", "scheduled_until"),
    )

    title: LanguageMap
    summary: LanguageMap
    kind: IncidentKind
    status: IncidentStatus
    severity: Literal["none", "low", "medium", "high", "critical"]
    affects: Annotated[tuple[Affected, ...], Meta(min_length=1, max_length=100)]
    started_at: Instant | None = None
    detected_at: Instant | None = None
    resolved_at: Instant | None = None
    scheduled_for: Instant | None = None
    scheduled_until: Instant | None = None
    aliases: Annotated[tuple[Alias, ...], Meta(max_length=50)] = ()
    cvss: (
        Annotated[
            str,
            Meta(
                pattern=r"^(CVSS:[34]\.[0-9]/)?[A-Z][A-Za-z]{0,2}:[A-Z][A-Za-z]{0,4}"
                r"(/[A-Z][A-Za-z]{0,2}:[A-Z][A-Za-z]{0,4})+" + END,
                max_length=300,
            ),
        ]
        | None
    ) = None
    exploitation: Literal["none", "poc", "active", "unknown"] | None = None
    remediations: Annotated[tuple[Remediation, ...], Meta(max_length=50)] = ()
    updates: Annotated[tuple[Update, ...], Meta(max_length=500)] = ()
    source: Source | None = None
    duplicate_of: Id | None = None
    related_to: Annotated[tuple[IdOrUri, ...], Meta(max_length=50)] = ()

    def own_rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return self._status_of_kind(), self._has_a_time()

    def _status_of_kind(self) -> Iterator[RuleBroken]:
        allowed = STATUSES[self.kind]
        if self.status not in allowed:
            yield RuleBroken(
                "{status} is not a status of {kind}: {allowed} are",
                number=6,
                member="status",
                status=self.status,
                kind=self.kind,
                allowed=", ".join(allowed),
            )

    def _has_a_time(self) -> Iterator[RuleBroken]:
        if self.kind == "maintenance":
            if self.scheduled_for is None:
                yield RuleBroken("a maintenance needs scheduled_for", number=7, member="scheduled_for")
        elif self.started_at is None and self.detected_at is None:
            yield RuleBroken("an incident needs started_at or detected_at", number=8, member="started_at")

    def is_overdue(self, now: datetime) -> bool:
        """True for a maintenance whose window is over, though by its status it is to come or goes on."""
        return (
            self.status in ("scheduled", "in_progress")
            and self.scheduled_until is not None
            and instant(self.scheduled_until) < now
        )

    def default_tlp(self) -> Literal["GREEN", "AMBER"]:
        return "AMBER" if self.kind == "security" else "GREEN"

    def label_at_creation(self, *, public_outages: bool) -> Literal["CLEAR", "GREEN", "AMBER"]:
        return "CLEAR" if public_outages and self.kind in PUBLIC_KINDS else self.default_tlp()

    def check_after(self, before: dict[str, Any] | None) -> None:
        """The timeline is append-only, and its new lines have a status that this kind of incident has."""
        lines = msgspec.convert(before.get("updates", []) if before else [], tuple[Update, ...])
        first = self.updates[: len(lines)]
        if len(first) < len(lines) or not all(map(_same_line, first, lines)):
            raise Invalid(
                "the timeline is append-only: its {count} lines come first, as they are (or leave the"
                " incident's updates to POST …/updates, and revise the rest by PATCH)",
                pointer="/content/updates",
                fault="rule",
                rule=21,
                count=len(lines),
            )
        check_statuses(
            self.kind,
            {
                f"/content/updates/{number}/status": line.status
                for number, line in enumerate(self.updates[len(lines) :], len(lines))
            },
        )

    def found_by(self) -> Iterator[tuple[str, str]]:
        yield "kind", self.kind
        yield "status", self.status
        yield "severity", self.severity
        if self.exploitation:
            yield "exploitation", self.exploitation
        for alias in self.aliases:
            yield "alias", alias
        if self.source and self.source.document:
            # For imports alone, which look for the incidents of a document; no list is filtered by it.
            yield "document", document_identity(self.source.publisher or "", self.source.document)
        for affected in self.affects:
            if affected.solution:
                yield "solution", affected.solution
            for deployment in affected.deployments:
                yield "deployment", deployment
                yield "operator", deployment.partition("/")[0]

    def words(self) -> Iterator[tuple[bool, str]]:
        yield from texts(self.title, self.summary)
        for alias in self.aliases:
            yield False, alias


def check_statuses(kind: str, statuses: Mapping[str, str]) -> None:
    """Raise Invalid for new lines of a timeline whose status this kind of incident cannot have (rule 21).

    ``statuses``: the status of each line by the pointer to it.
    """
    allowed = STATUSES[kind]
    faults = [
        Fault(
            pointer=pointer,
            code="rule",
            message=Message(
                "{status} is not a status of {kind}: {allowed} are",
                {"status": status, "kind": kind, "allowed": ", ".join(allowed)},
            ),
            allowed=allowed,
            rule=21,
        )
        for pointer, status in statuses.items()
        if status not in allowed
    ]
    if faults:
        raise Invalid.of(faults)


class NewUpdate(Dated, frozen=True, kw_only=True):
    """A line to append to the timeline of an incident; the node notes the time if none is given."""

    moments: ClassVar = ("at",)

    text: LanguageMap
    status: IncidentStatus | None = None
    at: Instant | None = None
