"""Values of other people's files in the form that records have: texts, lines, addresses, dates, languages.

What cannot be brought into that form is None, and the reader of the file says so in its report.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime
from typing import Any

from federation.domain.addresses import address_problem, pattern_of, with_plain_scheme
from federation.domain.formats.advisory import text
from federation.domain.formats.repository import parse_address
from federation.domain.unassigned import first_unassigned
from federation.domain.values import LanguageTag, Url

MAX_LINE = 200
MAX_TEXT = 20_000
MAX_URL = 2_048
_URL = re.compile(pattern_of(Url))
_TAG = re.compile(pattern_of(LanguageTag))
_CLONE = re.compile(r"(?:git|ssh|git\+ssh|git\+https?)://|[A-Za-z0-9._-]+@[^/:]+:", re.IGNORECASE)
_LANGUAGES = {
    "ita": "it", "eng": "en", "fra": "fr", "fre": "fr", "deu": "de", "ger": "de", "spa": "es", "nld": "nl",
    "dut": "nl", "por": "pt", "pol": "pl", "cat": "ca", "dan": "da", "swe": "sv", "fin": "fi", "ell": "el",
}  # fmt: skip
"""Languages with three letters (ISO 639-2) that have a tag of two (BCP 47 wants the shorter one)."""


def clean_text(value: Any, max_length: int = MAX_TEXT) -> str | None:
    """A text as a record may have it; None for an empty one, and for what is no text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        return None
    # A text shrinks, and under NFC it grows to three times its length at most.
    clean = text(value[: 4 * max_length + 1_000], max_length)
    if first_unassigned(clean) is not None:
        assigned = "".join(character for character in clean if first_unassigned(character) is None)
        clean = unicodedata.normalize("NFC", assigned).strip()
    return None if clean in ("", "-") else clean


def clean_line(value: Any, max_length: int = MAX_LINE) -> str | None:
    """A text without line breaks."""
    clean = clean_text(value, max(4 * max_length, 1_000))
    return clean_text(" ".join(clean.split()), max_length) if clean else None


def clean_url(value: Any) -> str | None:
    """An address of the web as a record may have it: no secret, no user, nothing that is no URL."""
    if not isinstance(value, str) or len(value) > MAX_URL:
        return None
    url = with_plain_scheme(value.strip().rstrip("\r\n"))
    if _URL.fullmatch(url) is None or address_problem(url) is not None:
        return None
    return url


def repository_url(value: Any) -> str | None:
    """The address of a repository; that of its page where the file has an address of a clone."""
    if not isinstance(value, str):
        return None
    if url := clean_url(value):
        return url
    if _CLONE.match(value.strip()) and (address := parse_address(value)) is not None:
        return clean_url(address.url)
    return None


def language_of(tag: Any) -> str | None:
    """A tag of BCP 47 in its usual form: ``IT-it`` is ``it-IT``; None for what is no tag."""
    if not isinstance(tag, str) or len(tag) > 40:
        return None
    first, *rest = tag.strip().replace("_", "-").split("-")
    first = _LANGUAGES.get(first.lower(), first.lower())
    language = "-".join((first, *map(_subtag, rest)))
    return language if _TAG.fullmatch(language) else None


def _subtag(subtag: str) -> str:
    """A region in capital letters, a script with one, any other in small letters."""
    if len(subtag) == 2:
        return subtag.upper()
    return subtag.title() if len(subtag) == 4 else subtag.lower()


def day_of(value: Any) -> str | None:
    """A calendar date, also the one of a date with a time; None for what is none."""
    moment = instant_of(value)
    return moment.date().isoformat() if moment is not None else None


def instant_of(value: Any) -> datetime | None:
    """A moment in UTC of ISO 8601, or of milliseconds since 1970; None for what is none.

    A date alone is its beginning. Years 1970 to 2200, as in records.
    """
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            moment = datetime.fromtimestamp(value / 1_000, UTC)
        elif isinstance(value, str) and len(value) <= 40:
            value = value.strip()
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            moment = moment.astimezone(UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return moment if date(1970, 1, 1) <= moment.date() <= date(2200, 12, 31) else None
