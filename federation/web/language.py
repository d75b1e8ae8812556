"""Texts of screens in English and French.

A text is written in English where it stands: in a template as ``_("…")`` or ``{% trans %}``, in code as
``screen_text("…")``, which marks it and leaves it as it is. The files in ``french/`` have the translations by
the English text, those of a form for one and for several by the form for one. A test finds texts that they
lack. The messages of refusals are translated by ``domain/messages.py``.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from federation.domain.messages import LANGUAGES, Language, takes_singular

LANGUAGE_NAMES: dict[Language, str] = {"en": "English", "fr": "Français"}
"""Each language in its own words."""


def screen_text(english: str) -> str:
    """Mark a text in code that a template translates where it shows it."""
    return english


def translate(language: Language, english: str) -> str:
    """A text in a language; English where there is no translation."""
    if language == "en":
        return english
    french = french_texts().get(english, english)
    return french if isinstance(french, str) else french[0]


def translate_number(language: Language, singular: str, plural: str, number: int) -> str:
    """The form of a text for a number: French has the singular for 0 and 1, English for 1 only."""
    is_singular = takes_singular(language, number)
    french = french_texts().get(singular) if language == "fr" else None
    if french is None or isinstance(french, str):
        return french or (singular if is_singular else plural)
    return french[0] if is_singular else french[1]


@cache
def french_texts() -> dict[str, str | tuple[str, str]]:
    """The translations of all files, by the English text."""
    texts: dict[str, str | tuple[str, str]] = {}
    for file in sorted(files("federation.web").joinpath("french").iterdir(), key=lambda file: file.name):
        for section in tomllib.loads(file.read_text(encoding="utf-8")).values():
            for english, french in section.items():
                texts[english] = french if isinstance(french, str) else (french[0], french[1])
    return texts


def language_of_path(path: str) -> Language | None:
    """The language that a path begins with, as in ``/fr/solutions``; None for other paths."""
    return next((code for code in LANGUAGES if path == f"/{code}" or path.startswith(f"/{code}/")), None)
