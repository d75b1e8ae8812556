"""The public bodies that a line names: by SIREN, SIRET or INSEE code, and never by a name alone.

A name without an identifier is a fault that lists the bodies of that name, for the person who corrects the
file. A wrong identifier is one, too: a SIREN and a SIRET have check digits, and an INSEE code is one of the
register.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from federation.domain.formats.sheets.cells import Cell
from federation.domain.formats.sheets.values import CellProblem, is_nothing, read_line, read_list, read_text
from federation.domain.messages import Message
from federation.domain.organisation import Identifier
from federation.domain.territories.bodies import Body, bodies
from federation.domain.territories.finder import find_bodies, words_of
from federation.domain.territories.identity import contradicting, name_of, number_of
from federation.domain.territories.lookup import communes_of_postcode

MAX_CANDIDATES = 5
"""Bodies that are listed for a name."""
MAX_BODIES = 10_000
"""Bodies of one record (``Bodies.beneficiaries``)."""
SCHEMES = {"siren": "0002", "siret": "0009", "insee": "cog"}
LABELS = {"0002": "SIREN", "0009": "SIRET", "cog": "INSEE code"}
IDENTIFYING = ("siren", "siret", "insee", "body")
"""Fields that identify a body; ``body`` has any of the three."""
_GAPS = str.maketrans("", "", " .\u00a0\u202f-")
_SCIENTIFIC = re.compile(r"[0-9][.,]?[0-9]*[eE]\+?[0-9]{1,3}")


class BodiesOfLine(msgspec.Struct, frozen=True):
    """The bodies of a line, as records have them, and what was interpreted."""

    organisations: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()


def read_bodies(cells: Mapping[str, Cell]) -> BodiesOfLine | None:
    """The bodies that the cells of a line name; None where no cell names one. Raises CellProblem."""
    filled = {field: cells[field] for field in IDENTIFYING if not is_nothing(cells.get(field, ""))}
    # (A cell with nothing but separators names no body.)
    written = {field: entries for field, cell in filled.items() if (entries := _entries(cell))}
    name = None if is_nothing(cells.get("body_name", "")) else read_line(cells["body_name"])
    postcode = None if is_nothing(cells.get("postcode", "")) else read_line(cells["postcode"])
    if not written:
        if name is None:
            return None
        raise CellProblem(_without_identifier(name, postcode))
    notes: list[str] = []
    found = [[_identifier(text, field, notes) for text in texts] for field, texts in written.items()]
    if len(found) == 1:
        groups = [[identifier] for identifier in found[0]]
    elif all(len(identifiers) == 1 for identifiers in found):
        groups = [[identifiers[0] for identifiers in found]]
    else:
        raise CellProblem("several bodies are in one cell: identify them by one column alone")
    if len(groups) > MAX_BODIES:
        raise CellProblem("there are more than {maximum} bodies", maximum=MAX_BODIES)
    label = name if len(groups) == 1 else None
    organisations = tuple(_organisation(identifiers, label, notes) for identifiers in groups)
    return BodiesOfLine(organisations, tuple(dict.fromkeys(notes)))


def _entries(cell: Cell) -> list[str]:
    if not isinstance(cell, str) or _SCIENTIFIC.fullmatch(cell):
        return [read_text(cell)]
    return read_list(cell)


def _identifier(text: str, field: str, notes: list[str]) -> Identifier:
    value = text.translate(_GAPS).upper()
    if _SCIENTIFIC.fullmatch(text):
        raise CellProblem(
            "{text} was shortened by the spreadsheet: format the column as text", text=text[:40]
        )
    scheme = SCHEMES.get(field) or {9: "0002", 14: "0009"}.get(len(value), "cog")
    if scheme == "cog":
        return _commune(value, text, notes)
    label = LABELS[scheme]
    length = 9 if scheme == "0002" else 14
    if not re.fullmatch("[0-9]{7,14}", value) or not length - 2 <= len(value) <= length:
        raise CellProblem(
            "{text} is no {label}, which has {length} digits", text=text[:40], label=label, length=length
        )
    if len(value) < length:
        value = value.zfill(length)  # a spreadsheet has dropped the zeros
        notes.append(f"{label}: {value}")
    try:
        return Identifier(scheme=scheme, value=value)
    except ValueError:
        raise CellProblem("{text} is no {label}: a digit is wrong", text=text[:40], label=label) from None


def _commune(value: str, text: str, notes: list[str]) -> Identifier:
    if re.fullmatch("[0-9]{4}", value) and number_of(f"cog:0{value}") is not None:
        value = f"0{value}"  # a spreadsheet has dropped the zero
        notes.append(f"{LABELS['cog']}: {value}")
    if not re.fullmatch("[0-9][0-9AB][0-9]{3}", value) or number_of(f"cog:{value}") is None:
        communes = communes_of_postcode(value)
        if communes:
            raise CellProblem(
                "{text} is a postcode and no INSEE code; the communes there are {candidates}",
                text=text[:40],
                candidates=_listed(f"cog:{cog}" for cog in communes),
            )
        raise CellProblem("{text} is no INSEE code of the register", text=text[:40])
    return Identifier(scheme="cog", value=value)


def _listed(names: Iterator[str]) -> str:
    numbers = [number_of(name) for name in names]
    found = [_label(bodies()[number]) for number in dict.fromkeys(numbers) if number is not None]
    more = ", …" if len(found) > MAX_CANDIDATES else ""
    return ", ".join(found[:MAX_CANDIDATES]) + more


def _label(body: Body) -> str:
    return f"{body.name} ({body.cog or body.siren})"


def _organisation(identifiers: list[Identifier], name: str | None, notes: list[str]) -> dict[str, Any]:
    if contradicting(identifiers) is not None:
        raise CellProblem(
            "{identifiers} name different bodies: {candidates}",
            identifiers=", ".join(identifier.value for identifier in identifiers),
            candidates=_listed(map(name_of, identifiers)),
        )
    organisation: dict[str, Any] = {
        "identifiers": [{"scheme": entry.scheme, "value": entry.value} for entry in identifiers]
    }
    number = next((found for entry in identifiers if (found := number_of(name_of(entry))) is not None), None)
    if number is None:
        if name is not None:
            organisation["name"] = name
        return organisation
    body = bodies()[number]
    if name is not None and not set(words_of(name)) & set(words_of(body.name)):
        notes.append(f"{name}: {_label(body)}")
    return {**organisation, "name": body.name, "type": body.kind}


def _without_identifier(name: str, postcode: str | None) -> Message:
    candidates = _candidates(name, postcode)
    if not candidates:
        return Message(
            "{name} has no SIREN, SIRET or INSEE code here, and the register has no body of that name",
            {"name": name[:80]},
        )
    return Message(
        "{name} has no SIREN, SIRET or INSEE code here; bodies of that name: {candidates}",
        {"name": name[:80], "candidates": ", ".join(candidates)},
    )


@lru_cache(maxsize=1_024)
def _candidates(name: str, postcode: str | None) -> tuple[str, ...]:
    question = f"{name} {postcode}" if postcode else name
    matches = find_bodies(question, MAX_CANDIDATES)
    if not matches.total and postcode:
        matches = find_bodies(name, MAX_CANDIDATES)
    labels = []
    for match in matches.bodies:
        code = match.body.insee or match.body.siren or match.body.id.partition(":")[2]
        labels.append(f"{match.body.name} ({code})")
    return tuple(labels)
