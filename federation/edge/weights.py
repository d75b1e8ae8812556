"""Headers that list what a caller accepts, each with a weight (RFC 9110, 12.4.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from federation.domain.messages import LANGUAGES, Language


def weighted(header: str, most: int | None = None) -> Iterator[tuple[str, float]]:
    """The entries of a header, in small letters, and the weight of each; 1 without one.

    ``most``: how many of them are looked at; all without it.
    """
    for part in header.lower().split(",")[:most]:
        accepted, *parameters = (piece.strip() for piece in part.split(";"))
        yield accepted, next((_weight_of(p) for p in parameters if p.startswith("q=")), 1.0)


def _weight_of(parameter: str) -> float:
    """The value of ``q=…``; an unreadable weight counts as none."""
    return float(parameter[2:]) if re.fullmatch(r"q=[01](\.[0-9]{0,3})?", parameter) else 0.0


def language_of(accept_language: str | None) -> Language:
    """The language of ours that ``Accept-Language`` ranks first (RFC 9110, 12.5.4); English without one."""
    best, chosen = 0.0, LANGUAGES[0]
    for tag, weight in weighted(accept_language or "", 20):
        language = tag.partition("-")[0]
        if language in LANGUAGES and weight > best:
            best, chosen = weight, language
    return chosen
