"""Numbers, money, dates and ages in both languages."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from federation.web.formatting import age_text, date_text, moment_text, money_text, number_text
from federation.web.rendering import environment, in_language, safe_url


def plain(text: str) -> str:
    return text.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{NO-BREAK SPACE}", " ")


def test_numbers_and_money() -> None:
    assert plain(number_text("fr", 1_234_567)) == "1 234 567"
    assert number_text("en", 1_234_567) == "1,234,567"
    assert plain(money_text("fr", 123_405, "EUR")) == "1 234,05 €"
    assert money_text("en", 123_405, "EUR") == "€1,234.05"
    assert plain(money_text("en", 5, "CHF")) == "CHF 0.05"
    assert plain(money_text("fr", -150, "EUR")) == "-1,50 €"


def test_days_and_moments() -> None:
    assert plain(date_text("fr", date(2026, 3, 1))) == "1er mars 2026"
    assert plain(date_text("en", date(2026, 3, 2))) == "2 March 2026"
    summer = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
    assert plain(moment_text("fr", summer, ZoneInfo("Europe/Paris"))) == "2 juillet 2026 à 00:30"


@pytest.mark.parametrize(
    ("seconds", "french", "english"),
    [
        (0, "il y a 0 seconde", "0 seconds ago"),
        (61, "il y a 1 minute", "1 minute ago"),
        (7_200, "il y a 2 heures", "2 hours ago"),
        (-86_400, "dans 1 jour", "in 1 day"),
        (86_400 * 40, "il y a 40 jours", "40 days ago"),
    ],
)
def test_ages(seconds: int, french: str, english: str) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    moment = now - timedelta(seconds=seconds)
    assert plain(age_text("fr", moment, now)) == french
    assert plain(age_text("en", moment, now)) == english


def test_a_text_falls_back_to_another_language() -> None:
    assert in_language("fr", {"en": "Help", "fr": "Aide"}) == ("Aide", "fr")
    assert in_language("fr", {"en": "Help", "fr-CA": "Aide"}) == ("Aide", "fr-CA")
    assert in_language("fr", {"en": "Help", "de": "Hilfe"}) == ("Help", "en")
    assert in_language("en", {"nl": "Hulp", "de": "Hilfe"}) == ("Hilfe", "de")
    assert in_language("fr", None) == ("", "fr")


@pytest.mark.parametrize(
    ("address", "is_linked"),
    [
        ("https://example.org/a", True),
        ("mailto:contact@example.org", True),
        ("javascript:alert(1)", False),
        ("JavaScript:alert(1)", False),
        ("data:text/html,x", False),
        ("//example.org", False),
        ("https://[", False),
    ],
)
def test_only_addresses_of_some_schemes_are_linked(address: str, is_linked: bool) -> None:
    assert safe_url(address) == (address if is_linked else "")


def test_durations_and_the_lengths_of_lists_are_two_filters() -> None:
    template = environment("fr").from_string("{{ 7200|duration }} / {{ [1, 2]|length }}")
    assert plain(template.render()) == "2 heures / 2"
