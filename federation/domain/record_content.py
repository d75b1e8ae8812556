"""The typed part of a document: the base of each record type."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar, Literal, Self

from federation.domain.faults import Fault
from federation.domain.organisation import Organisation
from federation.domain.part import Dated
from federation.domain.projection import Projection, split_languages
from federation.domain.rule_broken import RuleBroken


class Content(Dated, frozen=True, kw_only=True):
    """The typed part of a document; feeds, sync and storage do not look inside.

    A new record type is a subclass of this in a file of its own, a line in ``registry.py`` and a
    controller.
    """

    type: ClassVar[str]
    plural: ClassVar[str]
    """The name of the collection in the API, and of the scopes."""
    filters: ClassVar[tuple[str, ...]] = ()
    """What lists of this type can be filtered on, besides what every type has."""
    filter_types: ClassVar[dict[str, Any]] = {}
    """Types of the values of filters whose name is not that of a member with these values."""
    has_subject: ClassVar[bool] = False
    """True where a record is shown only to those who may see the record that it is about, too: its subject,
    which the filters ``about_type`` and ``about`` name."""
    title_member: ClassVar[str | None] = None
    """The member that names the record: a text, or a text by language. It is among ``words``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for rule in self.own_rules():
            for broken in rule:
                raise broken

    def rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return (*super().rules(), *self.own_rules())

    def own_rules(self) -> tuple[Iterator[RuleBroken], ...]:
        """Rules of this type, beside those that every group of members has."""
        return ()

    def default_tlp(self) -> Literal["CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"]:
        """The TLP label of a record whose writer named none."""
        return "CLEAR"

    def label_at_creation(
        self, *, public_outages: bool
    ) -> Literal["CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"]:
        """The same for a record that is new, at a node where outages are public, or are not."""
        return self.default_tlp()

    def writer_rules(self, tlp: str) -> tuple[Iterator[Fault], ...]:
        """Rules that hold for one's own operator only, since they rest on lists that grow.

        A peer's record is never refused for a licence that is newer than this node. Pointers are those from
        the content.
        """
        return ()

    def as_written(self) -> Self:
        """This content as it is written down: where a list has a form of its own for a value, in that form.

        For one's own operator only; what a peer has signed stays as it is.
        """
        return self

    def completed(self, before: dict[str, Any] | None, now: datetime) -> Self:
        """This content with the members that the node sets when it writes: from the content before it, as
        JSON (None for what is new), and its clock.

        What a writer sends for these members is replaced: it comes back with a document that was read. For
        one's own operator only. Raises Invalid.
        """
        return self

    def check_after(self, before: dict[str, Any] | None) -> None:
        """Rules between a revision and the content before it, as JSON; None for what is new.

        For one's own operator only. Raises Invalid.
        """

    @classmethod
    def check_key(cls, key: str) -> None:
        """Raise ValueError if a record of this type may not have this key.

        Raises ValueError.
        """

    def found_by(self) -> Iterator[tuple[str, str]]:
        """Pairs of filter and value."""
        yield from ()

    @classmethod
    def filter_values(cls, name: str, value: str) -> tuple[str, ...]:
        """The values of :meth:`found_by` that a filter with this value finds."""
        return (value,)

    def bodies(self) -> Iterator[Organisation]:
        """The bodies served, for the ``beneficiary`` filter."""
        yield from ()

    def words(self) -> Iterator[tuple[bool, str]]:
        """Texts for full-text search, each with True if it is French; the first ones are indexed first."""
        yield from ()

    def _titles(self) -> list[str]:
        title: Any = getattr(self, self.title_member) if self.title_member else {}
        return [title] if isinstance(title, str) else list(title.values())

    def project(self) -> Projection:
        """Index values of this content."""
        french, others = split_languages(list(self.words()), self._titles())
        # Lists and not generators: this is done for every record that is written or comes.
        start = f"{self.type}."
        return Projection(
            tuple(dict.fromkeys([f"{start}{name}={value}" for name, value in self.found_by()])),
            tuple(
                dict.fromkeys([f"{i.scheme}:{i.value}" for body in self.bodies() for i in body.identifiers])
            ),
            french,
            others,
        )
