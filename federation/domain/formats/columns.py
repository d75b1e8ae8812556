"""The columns of a sheet and the fields that they give, suggested from their heads and values.

1. The row with the most heads that are known is the head, among the first ``MAX_HEAD_ROWS``: a title above it
   and a note below that are no matter.
2. A head is a field's where it is one of the names of the field; else where it has all words of one.
3. A column without such a head whose values are SIREN, SIRET or INSEE codes identifies bodies all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from federation.domain.errors import Invalid
from federation.domain.formats.sheets.cells import Cell, Row, Sheet
from federation.domain.formats.sheets.fields import FIELDS, Field, RecordType
from federation.domain.formats.sheets.mapping import NEED, Mapping, heads_of, missing_fields, written
from federation.domain.formats.sheets.values import is_nothing, key_of
from federation.domain.organisation import Identifier
from federation.domain.territories.finder import words_of
from federation.domain.territories.identity import number_of

MAX_HEAD_ROWS = 20
"""Rows among which the head is looked for."""
SAMPLED_ROWS = 50
"""Rows whose values are looked at for a column without a known head."""
EXAMPLES = 3
_NOISE = frozenset("de du des d la le les l un une of the a au aux en et".split())
_NEEDS = frozenset("besoin besoins need needs quantite quantites".split())


Reason = Literal["head", "words", "values", "saved"]
_TYPES: tuple[RecordType, ...] = ("deployments", "solutions", "offers", "participations")


class SuggestedColumn(msgspec.Struct, frozen=True):
    """A column of the file, and the field that it seems to have."""

    head: str
    field: str | None
    because: Reason | None
    examples: tuple[str, ...] = ()


class Suggestion(msgspec.Struct, frozen=True):
    """A mapping for a file, to be confirmed by a person."""

    mapping: Mapping
    columns: tuple[SuggestedColumn, ...]
    missing: tuple[str, ...]
    """Fields that are needed and that no column gives: a column or a fixed value has to be named."""
    lines: int
    """Rows below the head."""


def find_head(sheet: Sheet, mapping: Mapping | None = None) -> int:
    """The place among the rows of the head of the columns. Raises Invalid where the sheet has none."""
    rows = sheet.rows[:MAX_HEAD_ROWS]
    if mapping is not None and mapping.head_line is not None:
        for place, row in enumerate(sheet.rows):
            if row.line >= mapping.head_line:
                if row.line == mapping.head_line:
                    return place
                break
        raise Invalid("line {line} is empty, and was to be the head of the columns", line=mapping.head_line)
    if not rows:
        raise Invalid("the sheet is empty")
    if mapping is not None and mapping.columns:
        wanted = mapping.columns.keys()
        scores = [len(wanted & set(heads_of(row))) for row in rows]
    else:
        scores = [max(_known_heads(heads_of(row), type_) for type_ in _TYPES) for row in rows]
    best = max(scores)
    # (Where nothing is known, the first row with the most texts.)
    return scores.index(best) if best else _widest(rows)


def _widest(rows: Sequence[Row]) -> int:
    widths = [sum(isinstance(cell, str) and cell != "" for cell in row.cells) for row in rows]
    return widths.index(max(widths))


def _known_heads(heads: Iterable[str], type_: RecordType) -> int:
    return len({field for head in heads if (field := _by_head(head, FIELDS[type_])) is not None})


def _normal(head: str) -> str:
    return " ".join(words_of(head))


def _by_head(head: str, fields: Sequence[Field]) -> str | None:
    """The field that has the head among its names, with or without what is in brackets and small words."""
    if not head:
        return None
    spellings = [_normal(head), _normal(re.sub(r"\([^()]*\)", " ", head))]
    spellings.append(" ".join(word for word in spellings[1].split() if word not in _NOISE))
    for spelling in dict.fromkeys(spellings):
        for field in fields:
            if spelling in field.heads:
                return field.name
    return None


def _by_words(head: str, fields: Sequence[Field]) -> str | None:
    """The field all words of one of whose names are in the head; of several the one with the most words."""
    words = set(words_of(head))
    best, found = 0, None
    for field in fields:
        for name in field.heads:
            parts = set(name.split())
            if parts <= words and len(parts) > best:
                best, found = len(parts), field.name
    return found


def _by_values(values: Sequence[Cell], head: str) -> str | None:
    """The identifier that nearly all values of a column are."""
    texts = ["".join(written(value).split()) for value in values if not is_nothing(value)]
    if len(texts) < 3 or not {"postal", "cp", "postcode", "zip", "telephone", "tel"}.isdisjoint(
        words_of(head)
    ):
        return None
    for name, scheme, length in (("siren", "0002", 9), ("siret", "0009", 14), ("insee", "cog", 5)):
        right = sum(len(text) == length and _is_identifier(scheme, text) for text in texts)
        if right >= 0.9 * len(texts):
            return name
    return None


def _is_identifier(scheme: str, text: str) -> bool:
    try:
        Identifier(scheme=scheme, value=text)
    except ValueError:
        return False
    return scheme != "cog" or number_of(f"cog:{text}") is not None


def suggest(sheet: Sheet, *, saved: Mapping | None = None) -> Suggestion:
    """A mapping for the sheet: the saved one as far as it goes. Raises Invalid for a sheet without a head.

    Without a type it is the one with the most heads that are known.
    """
    saved = saved or Mapping()
    place = find_head(sheet, saved)
    rows = sheet.rows[place + 1 :]
    heads = heads_of(sheet.rows[place])
    type_ = saved.type or _likely_type(heads)
    chosen = _choose(heads, rows[:SAMPLED_ROWS], type_, saved)
    columns = []
    for number, head in enumerate(heads):
        field, reason = chosen.get(head, (None, None))
        texts = (written(cell)[:80] for cell in _column(rows[:SAMPLED_ROWS], number))
        examples = tuple(dict.fromkeys(text for text in texts if text))[:EXAMPLES]
        columns.append(SuggestedColumn(head, field, reason, examples))
    mapping = msgspec.structs.replace(
        saved,
        type=type_,
        columns={head: field for head, (field, _) in chosen.items()},
        sheet=saved.sheet or sheet.name,
    )
    return Suggestion(mapping, tuple(columns), missing_fields(mapping), len(rows))


def _likely_type(heads: Sequence[str]) -> RecordType:
    """The type with the most heads; of equals the first one: most files are lists of what runs where."""
    return max(_TYPES, key=lambda candidate: _known_heads(heads, candidate))


def _column(rows: Sequence[Row], number: int) -> list[Cell]:
    return [row.cells[number] for row in rows if len(row.cells) > number]


def _choose(
    heads: Sequence[str], rows: Sequence[Row], type_: RecordType, saved: Mapping
) -> dict[str, tuple[str, Reason]]:
    """The field of each head that has one, and the reason; each field once."""
    chosen: dict[str, tuple[str, Reason]] = {
        head: (saved.columns[head], "saved") for head in heads if head in saved.columns
    }
    fields = [field for field in FIELDS[type_] if field.name not in saved.columns.values()]
    ways: tuple[Reason, ...] = ("head", "words", "values")
    for because in ways:
        for number, head in enumerate(heads):
            if not head or head in chosen:
                continue
            match because:
                case "head":
                    found = _by_head(head, fields) or _need_of(head, type_)
                case "words":
                    found = _by_words(head, fields)
                case _:
                    found = _by_values(_column(rows, number), head)
                    found = found if any(field.name == found for field in fields) else None
            if found is not None:
                chosen[head] = (found, because)
                fields = [field for field in fields if field.name != found]
    return chosen


def _need_of(head: str, type_: RecordType) -> str | None:
    """The unit of a head such as ``Besoin : postes``."""
    words = words_of(head)
    if type_ != "participations" or len(words) < 2 or words[0] not in _NEEDS:
        return None
    return f"{NEED}{key_of(' '.join(word for word in words[1:] if word not in _NOISE))}"
