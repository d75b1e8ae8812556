"""A practice: what an operator has achieved or learnt, for others to use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self

import msgspec
from msgspec import Meta

from federation.domain.content.solution import THEMES, Licence, Theme, unknown_themes, unlisted_licence
from federation.domain.content.tariff import BodyKind, BodyKinds
from federation.domain.faults import Fault
from federation.domain.formats.spdx import listed_licence
from federation.domain.part import Dated, Part, short_markdown
from federation.domain.projection import texts
from federation.domain.record_content import Content
from federation.domain.rule_broken import RuleBroken
from federation.domain.values import END, Day, Id, LanguageMap, Line, Mailbox, MarkdownMap, Sha256, Url

_MEDIA_NAME = r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,62}"


class PracticeResult(Dated, frozen=True, kw_only=True):
    """A figure that shows what came of it."""

    moments: ClassVar = ("as_of",)

    label: LanguageMap
    value: Annotated[
        str,
        Meta(
            pattern=r"^-?[0-9]{1,15}(\.[0-9]{1,6})?" + END,
            description="A decimal number, written as a text.",
            examples=["37.5"],
        ),
    ]
    unit: Line | None = None
    as_of: Day | None = None


class PracticeAsset(Part, frozen=True, kw_only=True):
    """A file to download: a model, a form, a recording."""

    title: LanguageMap
    url: Url
    media_type: (
        Annotated[
            str,
            Meta(
                pattern=rf"^{_MEDIA_NAME}/{_MEDIA_NAME}{END}",
                description="Media type (RFC 6838), without parameters.",
                examples=["application/pdf"],
            ),
        ]
        | None
    ) = None
    sha256: Sha256 | None = None


class Practice(Content, frozen=True, kw_only=True):
    """Something that worked, or was learnt, and how to do it too."""

    type: ClassVar = "practice"
    plural: ClassVar = "practices"
    title_member: ClassVar = "title"
    filters: ClassVar = ("kind", "theme", "solution", "audience_kind")
    filter_types: ClassVar = {
        "theme": Literal.__getitem__(tuple(sorted(THEMES))),
        "solution": Id,
        "audience_kind": BodyKind,
    }
    moments: ClassVar = ("date",)

    title: LanguageMap
    summary: LanguageMap
    kind: Literal["achievement", "good-practice", "guide", "template", "training", "lesson"]
    body: MarkdownMap | None = None
    solutions: Annotated[tuple[Id, ...], Meta(max_length=50)] = ()
    themes: Annotated[tuple[Theme, ...], Meta(max_length=20)] = ()
    results: Annotated[tuple[PracticeResult, ...], Meta(max_length=30)] = ()
    assets: Annotated[tuple[PracticeAsset, ...], Meta(max_length=50)] = ()
    licence: Licence = "etalab-2.0"
    """The terms on which others may use the text and the files; absent: Licence Ouverte 2.0."""
    date: Day | None = None
    audience_kinds: BodyKinds = ()
    """Kinds of bodies that it is for; absent: every kind."""
    contact: Mailbox | None = None

    def own_rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return (short_markdown("body", self.body),)

    def writer_rules(self, tlp: str) -> tuple[Iterator[Fault], ...]:
        return unlisted_licence(self.licence), unknown_themes(self.themes)

    def as_written(self) -> Self:
        licence = listed_licence(self.licence)
        return self if licence == self.licence else msgspec.structs.replace(self, licence=licence)

    def found_by(self) -> Iterator[tuple[str, str]]:
        yield "kind", self.kind
        for theme in self.themes:
            yield "theme", theme
        for solution in self.solutions:
            yield "solution", solution
        for kind in self.audience_kinds:
            yield "audience_kind", kind

    def words(self) -> Iterator[tuple[bool, str]]:
        yield from texts(self.title, self.summary, self.body)
