"""The small values that contents are made of, and the rules they keep.

Every text of the schema is bounded here. Two rules hold for whole documents and are checked in
``document.py`` instead: texts are NFC without control, bidi or zero-width characters, and the JSON
is canonical.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Annotated

from msgspec import Meta

from federation.domain.rule_broken import RuleBroken

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
