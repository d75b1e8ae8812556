"""The words for what is expected of a member: a regular expression tells people nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from federation.domain.addresses import pattern_of, types_of, url_problem
from federation.domain.content.consultation import Consultation
from federation.domain.content.incident import Affected, Incident
from federation.domain.content.meeting import Meeting
from federation.domain.content.membership import Membership
from federation.domain.content.practice import PracticeAsset, PracticeResult
from federation.domain.content.solution import Assurance, Package, Solution
from federation.domain.messages import Message
from federation.domain.organisation import Identifier, Organisation
from federation.domain.values import (
    Country,
    Currency,
    Day,
    Group,
    Id,
    IdOrUri,
    Instant,
    Key,
    LanguageTag,
    Mailbox,
    Operator,
    Sha256,
    Telephone,
    Territory,
    TypeName,
    Uri,
    Url,
)

_TYPES: tuple[tuple[Any, str], ...] = (
    (Url, "the address of a page, such as https://forge.example.org/owner/name"),
    (Uri, "a URI, such as https://www.wikidata.org/entity/Q1466580"),
    (IdOrUri, "a record such as arnia/glpi, or a URI such as https://example.org/page"),
    (Instant, "a date and time with its offset from UTC, such as 2026-03-01T08:30:00Z"),
    (Day, "a date, such as 2026-03-01"),
    (Country, "a country by its two letters (ISO 3166-1), such as FR"),
    (
        Territory,
        "a country such as FR, a subdivision such as FR-BFC (ISO 3166-2), or the number of a French"
        " département such as 71",
    ),
    (Mailbox, "an address of e-mail, such as contact@example.org"),
    (Telephone, "a telephone number with its country code, such as +33 1 99 00 12 34"),
    (LanguageTag, "a language (BCP 47), such as fr or en"),
    (Currency, "a currency by its three letters (ISO 4217), such as EUR"),
    (Sha256, "a SHA-256: 64 digits and letters from a to f"),
    (Id, "a record as origin/key, such as arnia/glpi"),
    (Operator, "the id of an operator, such as arnia: small letters, digits, hyphens and dots"),
    (Key, "a key, such as glpi or 2026-0042: letters, digits and . _ ~ -, the first a letter or digit"),
    (Group, "the name of a group, such as security: small letters, digits and hyphens"),
    (TypeName, "a type of records, such as solution"),
)
_MEMBERS: tuple[tuple[type[msgspec.Struct], str, str], ...] = (
    (Package, "purl", "a package URL, such as pkg:composer/glpi/glpi or pkg:npm/%40angular/core"),
    (Package, "cpe", "a CPE, such as cpe:2.3:a:glpi-project:glpi:*:*:*:*:*:*:*:*"),
    (Solution, "licence", "an SPDX expression such as AGPL-3.0-or-later, or LicenseRef-proprietary"),
    (Solution, "themes", "a theme of the list, such as it-asset-management"),
    (Solution, "version_scheme", "a scheme of versions, such as generic, pypi or deb"),
    (Assurance, "scheme", "the short name of a certificate, such as secnumcloud, hds or iso27001"),
    (Affected, "range", "a range of versions, such as vers:generic/>=10.0.0|<10.0.18"),
    (Affected, "source_pointer", "a JSON Pointer (RFC 6901), such as /affected/0"),
    (Incident, "aliases", "an id in a public catalogue, such as CVE-2025-24799"),
    (Incident, "cvss", "a CVSS vector, such as CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
    (Identifier, "scheme", "the four digits of a register (ISO 6523), such as 0002 for a SIREN, or cog"),
    (Identifier, "value", "a number of that register, such as 217100767"),
    (Organisation, "type", "a kind of body, such as commune or epci"),
    (Meeting, "time_zone", "a time zone of the IANA database, such as Europe/Paris"),
    (PracticeResult, "value", "a decimal number as a text, such as 37.5"),
    (PracticeAsset, "media_type", "a media type without parameters, such as application/pdf"),
    (Consultation, "cpv", "a code of the Common Procurement Vocabulary, such as 48000000-8"),
    (Membership, "thumbprint", "the thumbprint of a key (RFC 7638): 43 letters, digits and _ -"),
)
_PATTERN = re.compile(r"Expected `str` matching regex (?P<quoted>'.*'|\".*\")", re.DOTALL)


def expected_form(pattern: str, value: str) -> Message | None:
    """The words for a pattern, and what to write instead of a text where that is known; None without any."""
    words = _words().get(pattern)
    if words is None:
        return None
    hint = _HINTS.get(pattern, _no_hint)(value)
    if hint is None:
        return Message("expected {expected}", {"expected": Message(words)})
    return Message("expected {expected}; {hint}", {"expected": Message(words), "hint": hint})


def in_words(detail: str) -> str:
    """The text of an error of msgspec, with the words for a pattern in place of the pattern."""
    match = _PATTERN.fullmatch(detail)
    if match is None:
        return detail
    quoted = match["quoted"][1:-1]
    for pattern, words in _words().items():
        if quoted in (pattern, pattern.encode("unicode_escape").decode(), repr(pattern)[1:-1]):
            return f"expected {words}"
    return detail


@cache
def _words() -> dict[str, str]:
    """Words by pattern; those of a member outrank those of its type."""
    words = {pattern_of(kind): text for kind, text in _TYPES}
    for struct, member, text in _MEMBERS:
        words |= dict.fromkeys(_patterns(struct, member), text)
    return words


def _patterns(struct: type[msgspec.Struct], member: str) -> Iterator[str]:
    info: Any = inspect.type_info(struct)
    (field,) = (field for field in info.fields if field.name == member)
    for type_ in types_of(field.type):
        if isinstance(type_, inspect.StrType) and type_.pattern:
            yield type_.pattern


# Hints


def _no_hint(_: str) -> Message | None:
    return None


def _upper_hint(text: str) -> Message | None:
    upper = text.strip().upper()
    if upper == text or not re.fullmatch(r"[A-Z0-9-]{2,6}", upper):
        return None
    if upper == text.strip():
        return Message("without white space: {text}", {"text": upper})
    return Message("in capital letters: {text}", {"text": upper})


_HINTS_OF_TYPES: tuple[tuple[Any, Callable[[str], Message | None]], ...] = (
    (Url, url_problem),
    (Country, _upper_hint),
    (Territory, _upper_hint),
    (Currency, _upper_hint),
)
_HINTS = {pattern_of(kind): hint for kind, hint in _HINTS_OF_TYPES}
"""By the pattern of a type: what helps to write its value."""
