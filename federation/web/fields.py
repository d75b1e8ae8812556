"""Fields of forms for records: a table for each type says what the form asks, and how.

A field has the path of a member of the content as its name: ``hosting.model``. A language map is asked in
French and in English; repeated parts are rows with numbers, ``steps.0.what``. Members that no field asks for
stay as they are (``form_content.py``).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from federation.domain.messages import Language
from federation.web.labels import LABELS

Kind = Literal[
    "line",  # a text of one line
    "text",  # a text of several lines
    "words",  # a language map, one line in each language
    "prose",  # a language map, several lines in each language
    "choice",  # one of the options
    "several",  # any of the options
    "lines",  # a list, one entry on each line
    "bodies",  # public bodies, one number on each line
    "number",  # a whole number
    "cents",  # an amount with two decimals, in cents
    "micros",  # an amount with six decimals, in millionths
    "day",
    "moment",  # a time in the zone of the node
    "yes-no",
    "rows",  # repeated parts
]
WRITTEN_LANGUAGES: tuple[Language, ...] = ("fr", "en")
"""Languages that forms ask for, in this order."""
MAX_ROWS = 60
"""Rows of repeated parts that a form shows; those beyond it stay as they are."""


class Field(msgspec.Struct, frozen=True):
    """A field of a form."""

    name: str
    kind: Kind
    label: str
    """A text of the screen."""
    hint: str = ""
    """A text of the screen, with an example."""
    example: str = ""
    """An example that is the same in every language."""
    labels: str = ""
    """The enumeration in ``labels.py`` whose values are the options."""
    required: bool = False
    group: str = ""
    """The heading of the fields from this one on; a text of the screen."""
    when: tuple[str, str] | None = None
    """Another field, and the value of it with which this one is filled in."""
    rows: tuple[Field, ...] = ()
    """The fields of a row."""

    @property
    def options(self) -> tuple[str, ...]:
        """The values to choose from."""
        return tuple(LABELS[self.labels]) if self.labels else ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its controls."""
        if self.kind in ("words", "prose"):
            return tuple(f"{self.name}.{language}" for language in WRITTEN_LANGUAGES)
        return (self.name,)

    def in_row(self, rows: str, index: int) -> Field:
        """This field of one row."""
        when = (f"{rows}.{index}.{self.when[0]}", self.when[1]) if self.when else None
        return msgspec.structs.replace(self, name=f"{rows}.{index}.{self.name}", when=when)
