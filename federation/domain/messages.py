"""Messages for people: an English template with values, and its translations.

A template is written where its error is raised, with its values in braces. The English text is also the name
under which ``french.toml`` has the translation, as with gettext; a test finds templates that it lacks. A
message without a translation is English in every language.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

import msgspec

Language = Literal["en", "fr"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
"""Languages of messages. The first one is that of templates, of the log and of the command line."""


class Message(msgspec.Struct, frozen=True):
    """A text for people. Without values its template is the text, whatever braces are in it."""

    template: str
    values: Mapping[str, Any] = {}
    """By the names in the template; a value that is a message is translated, too."""

    def __str__(self) -> str:
        return self.to_text("en")

    def to_text(self, language: Language) -> str:
        """The text in a language."""
        template = self.template if language == "en" else translated(self.template)
        if not self.values:
            return template
        return template.format_map(
            {
                name: value.to_text(language) if isinstance(value, Message) else value
                for name, value in self.values.items()
            }
        )


def takes_singular(language: Language, number: float) -> bool:
    """True for a number that its noun is in the singular for: 0 and 1 in French, 1 alone in English."""
    return number < 2 if language == "fr" else number == 1


def counted(language: Language, number: int, singular: str, plural: str) -> str:
    """A number, its thousands apart, with what is counted: 1 commune, 1 024 communes."""
    grouped = f"{number:,}".replace(",", "\u202f")
    return f"{grouped} {singular if takes_singular(language, number) else plural}"


def translated(template: str) -> str:
    """The French template; the English one where there is none."""
    return _french().get(template, template)


@cache
def _french() -> dict[str, str]:
    table = tomllib.loads(files("federation.domain").joinpath("french.toml").read_text(encoding="utf-8"))
    return {english: french for section in table.values() for english, french in section.items()}
