"""Numbers, money, dates and ages as people read them in English and French.

By hand, since the formatting of Babel takes 30 µs for each value, and a page has hundreds of them.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo

from federation.domain.messages import Language, takes_singular

_MONTHS: dict[Language, tuple[str, ...]] = {
    "en": (
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
        "November", "December",
    ),
    "fr": (
        "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
        "novembre", "décembre",
    ),
}  # fmt: skip
_NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"
_SPACE = "\N{NO-BREAK SPACE}"
_SYMBOLS = {"EUR": "€", "GBP": "£", "USD": "$"}
_UNITS: tuple[tuple[int, dict[Language, tuple[str, str]]], ...] = (
    (86_400, {"en": ("day", "days"), "fr": ("jour", "jours")}),
    (3_600, {"en": ("hour", "hours"), "fr": ("heure", "heures")}),
    (60, {"en": ("minute", "minutes"), "fr": ("minute", "minutes")}),
    (1, {"en": ("second", "seconds"), "fr": ("seconde", "secondes")}),
)


def number_text(language: Language, number: int) -> str:
    """An integer with its thousands apart."""
    text = f"{number:,}"
    return text if language == "en" else text.replace(",", _NARROW_SPACE)


def money_text(language: Language, cents: int, currency: str) -> str:
    """An amount with two decimals and its currency."""
    whole, part = divmod(abs(cents), 100)
    sign = "-" if cents < 0 else ""
    symbol = _SYMBOLS.get(currency, currency)
    if language == "fr":
        return f"{sign}{number_text('fr', whole)},{part:02d}{_SPACE}{symbol}"
    space = "" if len(symbol) == 1 else _SPACE
    return f"{sign}{symbol}{space}{number_text('en', whole)}.{part:02d}"


def micros_text(language: Language, micros: int, currency: str) -> str:
    """An amount in millionths of its currency, with all its decimals where it is no whole number of cents."""
    if micros % 10_000 == 0:
        return money_text(language, micros // 10_000, currency)
    decimal = f"{micros // 1_000_000}.{micros % 1_000_000:06}".rstrip("0")
    return f"{decimal.replace('.', ',') if language == 'fr' else decimal}{_SPACE}{currency}"


def date_text(language: Language, day: date) -> str:
    """A day of the calendar: 1 March 2026, 1er mars 2026."""
    first = "er" if language == "fr" and day.day == 1 else ""
    return f"{day.day}{first}{_SPACE}{_MONTHS[language][day.month - 1]}{_SPACE}{day.year}"


def moment_text(language: Language, moment: datetime, zone: tzinfo) -> str:
    """A moment in the time zone of the node: 1 March 2026 at 09:30."""
    local = moment.astimezone(zone)
    joined = "à" if language == "fr" else "at"
    return f"{date_text(language, local.date())} {joined} {local:%H:%M}"


def length_text(language: Language, seconds: float) -> str:
    """A length of time in its largest unit: 3 minutes."""
    whole = max(0, int(seconds))
    for size, names in _UNITS:
        count = whole // size
        if count or size == 1:
            singular, plural = names[language]
            words = singular if takes_singular(language, count) else plural
            return f"{number_text(language, count)}{_SPACE}{words}"
    raise AssertionError("the last unit takes every length")


def age_text(language: Language, moment: datetime, now: datetime) -> str:
    """The time since a moment, or until one to come: 3 minutes ago, in 2 days."""
    seconds = (now - moment.astimezone(UTC)).total_seconds()
    length = length_text(language, abs(seconds))
    if seconds >= 0:
        return f"il y a {length}" if language == "fr" else f"{length} ago"
    return f"dans {length}" if language == "fr" else f"in {length}"
