"""The small values that contents are made of, and the rules they keep.

Every text of the schema is bounded here. Two rules hold for whole documents and are checked in
``document.py`` instead: texts are NFC without control, bidi or zero-width characters, and the JSON
is canonical.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec
from msgspec import Meta
from stdnum.be import vat as belgian
from stdnum.fr import siret

from federation.domain.faults import Fault
from federation.domain.messages import Message
from federation.domain.words import plain_words

MAX_SEARCHED_BYTES = 65_536
"""Bytes of a record that full-text search reads in all. PostgreSQL refuses a megabyte of words."""
TITLE_SEPARATOR = "\x1f"
"""Before the title in :attr:`Projection.other`; no text has it."""

SAFE_INTEGER = 2**53 - 1
"""The largest integer that every JSON implementation keeps exactly (RFC 7493, 2.2)."""

END = r"$(?!\n)"
"""The end of a text, in Python as in ECMA-262: alone, Python's ``$`` matches before a last line feed, too."""

VISIBLE = r"[^\x00-\x20\x7f-\xa0]"
"""A character that is neither white space nor a control character of ASCII. ``\\S`` means something else in
each dialect of regular expressions."""
_URI_CHARACTER = r"[^\x00-\x20\x22<>\x5c^\x60\x7b-\x7d\x7f-\xa0]"
"""The same without what URIs do not have (RFC 3986, 2). Characters that end a text in some programming
language are written by their numbers: generators copy patterns into source text."""

PART_OF = "part-of:"
"""Before the number of a département, in the filter on territories: the record names bodies in it."""

EVERYWHERE = "everywhere"
"""In the same filter: the record is for every territory."""

OPERATOR_PATTERN = r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?" + END
KEY_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}" + END
ID_PATTERN = r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?/[A-Za-z0-9][A-Za-z0-9._~-]{0,127}" + END
TYPE_PATTERN = r"^[a-z][a-z0-9-]{0,62}" + END
GROUP_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?" + END
_YEAR = r"(19[7-9][0-9]|20[0-9]{2}|21[0-9]{2}|2200)"
_DAY = _YEAR + r"-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z"

Operator = Annotated[
    str,
    Meta(
        pattern=OPERATOR_PATTERN,
        description="Id of an operator: the one whose node is the only writer of the record.",
        examples=["arnia", "megalis.bretagne.bzh"],
    ),
]
Key = Annotated[
    str,
    Meta(
        pattern=KEY_PATTERN,
        description="The origin's own key for the record: what its IT systems already call it.",
        examples=["cmonia", "2026-0042"],
    ),
]
TypeName = Annotated[str, Meta(pattern=TYPE_PATTERN, description="The record's type.")]
Group = Annotated[
    str,
    Meta(
        pattern=GROUP_PATTERN, description="Name of a group of operators, a record of its own on the origin."
    ),
]
Id = Annotated[
    str,
    Meta(
        pattern=ID_PATTERN,
        description="Reference to a record, `origin/key`. It may dangle until its target arrives.",
        examples=["arnia/cmonia"],
    ),
]
IdOrUri = Annotated[
    str,
    Meta(
        pattern=r"^([a-z0-9][a-z0-9.-]*[/][A-Za-z0-9][A-Za-z0-9._~-]*"
        rf"|[A-Za-z][A-Za-z0-9+.-]{{0,31}}:{_URI_CHARACTER}+)" + END,
        max_length=2_048,
        description="Reference to a record, `origin/key`, or a URI.",
    ),
]
Instant = Annotated[
    str,
    Meta(
        pattern=f"^{_DAY}{_TIME}{END}",
        description="A date and time of RFC 3339, years 1970 to 2200; records have it in UTC, ending in `Z`.",
        examples=["2026-03-01T08:30:00Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
Day = Annotated[
    str,
    Meta(
        pattern=f"^{_DAY}{END}",
        description="A calendar date, years 1970 to 2200.",
        examples=["2026-03-01"],
        extra_json_schema={"format": "date"},
    ),
]
Line = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(min_length=1, max_length=20_000)]
Url = Annotated[
    str,
    Meta(pattern=f"^https?://{_URI_CHARACTER}+{END}", max_length=2_048, extra_json_schema={"format": "uri"}),
]
Uri = Annotated[
    str,
    Meta(
        pattern=rf"^[A-Za-z][A-Za-z0-9+.-]{{0,31}}:{_URI_CHARACTER}+{END}",
        max_length=2_048,
        extra_json_schema={"format": "uri"},
    ),
]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}" + END, description="ISO 3166-1 alpha-2.", examples=["FR"])]
Territory = Annotated[
    str,
    Meta(
        pattern=r"^([A-Z]{2}(-[A-Z0-9]{1,3})?|[0-9]{2,3}|2[AB])" + END,
        description="ISO 3166-1 country, ISO 3166-2 subdivision, or number of a French département.",
        examples=["FR-BFC", "71"],
    ),
]
Mailbox = Annotated[
    str,
    Meta(
        pattern=r"^[^\x00-\x20\x22<>@\x7f-\xa0]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?" + END,
        max_length=254,
        description="A functional mailbox; not a person's.",
        examples=["contact@arnia.example.org"],
    ),
]
Telephone = Annotated[
    str,
    Meta(
        pattern=r"^[+][0-9]( ?[0-9]){5,19}" + END,
        description="A telephone number of the body, not of a person, with its country code (ITU-T E.164).",
        examples=["+33 1 99 00 12 34"],
    ),
]
LanguageTag = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}" + END)]
LanguageMap = Annotated[
    dict[LanguageTag, Text],
    Meta(
        min_length=1,
        max_length=30,
        description="A text for people, by BCP 47 language tag; at least one language.",
        examples=[{"fr": "Gestion de parc informatique", "en": "IT asset management"}],
    ),
]
MAX_MARKDOWN_BYTES = 65_536
"""Bytes of a text in Markdown, in UTF-8."""
Markdown = Annotated[str, Meta(min_length=1, max_length=MAX_MARKDOWN_BYTES)]
MarkdownMap = Annotated[
    dict[LanguageTag, Markdown],
    Meta(
        min_length=1,
        max_length=30,
        description="A text in Markdown, by BCP 47 language tag; at least one language, 64 KiB each.",
        examples=[{"fr": "## Contexte\n\nLes communes du territoire partagent un service."}],
    ),
]
Count = Annotated[int, Meta(ge=0, le=SAFE_INTEGER)]
Cents = Annotated[int, Meta(ge=0, le=SAFE_INTEGER, description="Money as an integer number of cents.")]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}" + END, description="ISO 4217.", examples=["EUR"])]
Version = Annotated[str, Meta(min_length=1, max_length=100)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}" + END)]


@lru_cache(maxsize=4096)
def day(text: str) -> date:
    """The date a ``Day`` names. Raises ValueError for 30 February and its like."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RuleBroken("{day} is not a date of the calendar", number=1, day=text) from None


@lru_cache(maxsize=4096)
def instant(text: str) -> datetime:
    """The moment an ``Instant`` names, in UTC. Raises ValueError for 30 February and its like."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise RuleBroken("{moment} is not a moment of the calendar", number=1, moment=text) from None


def as_instant(moment: datetime) -> str:
    """An ``Instant`` with microseconds, as nodes write it."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def _moment(text: str) -> datetime | date:
    return day(text) if len(text) == 10 else instant(text)


class RuleBroken(ValueError):
    """A rule of the schema that is not one of a single member.

    ``rule`` has the values it speaks of in braces, and the ``names`` of members that it speaks of.
    ``without_values`` is the same sentence without values: of a peer's record nothing is noted but what the
    schema says.
    """

    def __init__(
        self, rule: str, *, number: int, member: str = "", names: Mapping[str, str] = {}, **values: str
    ) -> None:
        self.message = Message(rule, {**names, **values})
        super().__init__(str(self.message))
        self.without_values = rule.format_map({**names, **dict.fromkeys(values, "…")})
        self.number = number
        """Its number among the rules that JSON Schema does not say (``domain/rules.py``)."""
        self.pointer = f"/{member}" if member else ""
        """The member to be corrected, from the group that the rule is about."""


def distinct(member: str, key: str, entries: Iterable[Any]) -> Iterator[RuleBroken]:
    """The breach of the rule that a list has each key once: the first entry whose key was there before."""
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        value = getattr(entry, key)
        if value in seen:
            rule = "{value} is the {key} of an entry before this one"
            at = f"{member}/{index}/{key}"
            yield RuleBroken(rule, number=29, member=at, names={"key": key}, value=value)
            return
        seen.add(value)


def short_markdown(member: str, texts: Mapping[str, str] | None) -> Iterator[RuleBroken]:
    """The breach of the bound of texts in Markdown, which is one of bytes."""
    for tag, text in (texts or {}).items():
        if len(text) * 4 > MAX_MARKDOWN_BYTES and len(text.encode()) > MAX_MARKDOWN_BYTES:
            rule = "a text in Markdown has at most 65536 bytes"
            yield RuleBroken(rule, number=30, member=f"{member}/{tag}")


class Part(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A group of members. Absent and default are one thing: neither is written down."""

    def rules(self) -> tuple[Iterator[RuleBroken], ...]:
        """Rules between members of this group, each with all that breaks it."""
        return ()


class Dated(Part, frozen=True, kw_only=True):
    """A group of members some of which are instants or days: they must name a real one.

    Apart from :class:`Part`, since what is checked here costs a call of Python for each group there is.
    """

    moments: ClassVar[tuple[str, ...]] = ()
    """Members that are instants or days."""
    ordered: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Pairs of members where the first may not be later than the second."""

    def __post_init__(self) -> None:
        for name in self.moments:
            if (value := getattr(self, name)) is not None:
                day(value) if len(value) == 10 else instant(value)
        for first, second in self.ordered:
            # (All are in UTC: what is the same text is the same moment, and that is quicker to know.)
            if (
                (later := getattr(self, second)) is not None
                and (earlier := getattr(self, first)) is not None
                and earlier != later
            ):
                for broken in _order(first, earlier, second, later):
                    raise broken

    def rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return tuple(
            _order(first, getattr(self, first), second, getattr(self, second))
            for first, second in self.ordered
        )


def _order(first: str, earlier: str | None, second: str, later: str | None) -> Iterator[RuleBroken]:
    if earlier is not None and later is not None and _moment(earlier) > _moment(later):
        names = {"first": first, "second": second}
        rule = "{second} ({later}) is before {first} ({earlier})"
        yield RuleBroken(rule, number=2, member=second, names=names, earlier=earlier, later=later)


_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")


def _luhn(digits: str) -> bool:
    """Return True if the check digit is right (ISO/IEC 7812-1, annex B); faster than ``stdnum.luhn``.

    Each copy of a feed names as many bodies as there are, nearly every one for the first time.
    """
    backwards = digits.encode()[::-1]
    zeros = ord("0") * len(digits)
    return (sum(backwards[::2]) + sum(backwards[1::2].translate(_DOUBLED)) - zeros) % 10 == 0


def _is_valid_identifier(scheme: str, value: str) -> bool:
    # (Nothing is remembered: a memory of so many would be slower than to look again.)
    match scheme:
        case "0002":
            return len(value) == 9 and _is_number(value) and _luhn(value)
        case "cog":
            return len(value) == 5 and (
                _is_number(value) or re.fullmatch(r"2[AB][0-9]{3}", value) is not None
            )
        case "0009":
            return len(value) == 14 and bool(siret.is_valid(value))
        case "0208":
            return len(value) == 10 and bool(belgian.is_valid(value))
    return True


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit()


class Identifier(Part, frozen=True, kw_only=True):
    """The number of an organisation in a register; never a name alone.

    ``scheme`` is an ISO 6523 code (0002 SIREN, 0009 SIRET, 0208 Belgian enterprise number...) or
    ``cog``, the INSEE code of a French commune. Check digits of the schemes known here are verified.
    """

    scheme: Annotated[str, Meta(pattern=r"^([0-9]{4}|cog)" + END, examples=["0002", "cog"])]
    value: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9:._-]{0,63}" + END, examples=["217100767"])]

    def __post_init__(self) -> None:
        if not _is_valid_identifier(self.scheme, self.value):
            for broken in self._check_digits():
                raise broken

    def rules(self) -> tuple[Iterator[RuleBroken], ...]:
        return (self._check_digits(),)

    def _check_digits(self) -> Iterator[RuleBroken]:
        if not _is_valid_identifier(self.scheme, self.value):
            rule = "{value} is not a valid identifier of scheme {scheme}"
            yield RuleBroken(rule, number=3, member="value", value=self.value, scheme=self.scheme)


class Organisation(Part, frozen=True, kw_only=True):
    """A body named by its register identifiers, with the name people know it by."""

    identifiers: Annotated[tuple[Identifier, ...], Meta(min_length=1, max_length=8)]
    name: Line | None = None
    type: (
        Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,39}" + END, examples=["commune", "epci"])] | None
    ) = None


class Projection(msgspec.Struct, frozen=True):
    """Index values of a record, derived from its content when it is stored, never exchanged."""

    facets: tuple[str, ...] = ()
    """``type.filter=value``, one for each value of each filter."""
    beneficiaries: tuple[str, ...] = ()
    """``scheme:value`` of the bodies a deployment serves."""
    french: str = ""
    """Texts in French. (Apart, since many records of one operator have the same.)"""
    other: str = ""
    """What is not French, ``TITLE_SEPARATOR``, and the title in all languages, whose words rank first. All of
    it is found by its French stems, whatever the language; and as it stands, should French take all of its
    words for ones like *le*."""


def texts(*maps: dict[str, str] | None) -> Iterator[tuple[bool, str]]:
    """The texts of language maps, each with whether it is French."""
    for language_map in maps:
        for tag, text in (language_map or {}).items():
            yield tag.split("-")[0] == "fr", text


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
        french, others = _split_languages(list(self.words()), self._titles())
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


def _split_languages(words: list[tuple[bool, str]], titles: list[str]) -> tuple[str, str]:
    """The French texts, and the other ones with the titles; ``MAX_SEARCHED_BYTES`` in all, at most."""
    title = " ".join(titles)
    french = " ".join([text for is_french, text in words if is_french and text not in titles])
    other = " ".join([text for is_french, text in words if not is_french and text not in titles])
    # No character has more than four bytes.
    if (len(title) + len(french) + len(other) + 3) * 4 > MAX_SEARCHED_BYTES:
        return _split_long(words, titles)
    return plain_words(french), f"{plain_words(other)}{TITLE_SEPARATOR}{plain_words(title)}"


def _split_long(words: list[tuple[bool, str]], titles: list[str]) -> tuple[str, str]:
    """The same of texts that are cut: titles first, then the others in the order of their type."""
    parts = [(2, title) for title in titles]
    parts += [(int(is_french), text) for is_french, text in words if text not in titles]
    parts = _shorten(parts, MAX_SEARCHED_BYTES)
    joined = [" ".join([text for kind, text in parts if kind == wanted]) for wanted in (2, 1, 0)]
    # Plain words may be longer than the text: it is cut again, the title last.
    plain = _shorten([(0, plain_words(text)) for text in joined], MAX_SEARCHED_BYTES + 3)
    (_, title), (_, french), (_, other) = plain
    return french, f"{other}{TITLE_SEPARATOR}{title}"


def _shorten(parts: list[tuple[int, str]], room: int) -> list[tuple[int, str]]:
    shortened = []
    for kind, text in parts:
        part = text.encode()[: max(room - 1, 0)]  # (a space follows)
        room -= len(part) + 1
        shortened.append((kind, part.decode(errors="ignore")))
    return shortened
