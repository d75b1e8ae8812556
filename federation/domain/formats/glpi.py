"""The list of software that GLPI exports as CSV, XLSX or ODS: versions of deployments that exist.

In GLPI: Assets, Software, the columns name, entity and ``Versions - Name``, then export "all pages". GLPI
writes several versions of one software into one cell, each on a line of its own (GLPI 10 and 11).

GLPI does not know deployments: a mapping names the deployment of a software. Other software is left out, and
not a fault: an inventory has thousands. A deployment has one version, so several installed ones are a fault.
What is read are members of records that exist; nothing that is missing has disappeared.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from federation.domain.errors import Invalid
from federation.domain.formats.columns import MAX_HEAD_ROWS
from federation.domain.formats.sheets.cells import Cell, CellFault, Row, Sheet
from federation.domain.formats.sheets.days import read_moment
from federation.domain.formats.sheets.lines import Faults
from federation.domain.formats.sheets.mapping import heads_of
from federation.domain.formats.sheets.values import (
    CellProblem,
    Guess,
    is_nothing,
    read_line,
    read_text,
    read_version,
)
from federation.domain.formats.spreadsheets import read_sheet
from federation.domain.messages import Message
from federation.domain.part import Part
from federation.domain.sources.reading import Item, Reading
from federation.domain.territories.finder import words_of
from federation.domain.values import Key

_HEADS = {
    "software": ("nom", "name", "logiciel", "software", "logiciels nom", "software name"),
    "version": ("versions nom", "versions name", "version nom", "version name", "versions", "version"),
    "entity": ("entite", "entity", "entites", "entities"),
    "changed": ("derniere modification", "last update", "derniere mise a jour"),
}  # fmt: skip
"""Heads in the French and English of GLPI, as ``words_of`` cuts them."""
MAX_VERSIONS_LISTED = 5


class GlpiMapping(Part, frozen=True, kw_only=True):
    """The deployments that software of GLPI is; stored with the source."""

    deployments: Annotated[dict[Annotated[str, Meta(max_length=500)], Key], Meta(max_length=2_000)] = (
        msgspec.field(default_factory=dict)
    )
    """Keys of deployments, by the name of the software, or by ``entity / name`` where entities differ."""


class GlpiSoftware(msgspec.Struct, frozen=True):
    """A software of the list, to be given a deployment."""

    entity: str | None
    name: str
    versions: tuple[str, ...]


def list_software(raw: bytes) -> tuple[GlpiSoftware, ...]:
    """The software that has a version, for the page that maps it. Raises Invalid."""
    sheet = read_sheet(raw)
    place, columns = _find_columns(sheet)
    found = []
    for row in sheet.rows[place + 1 :]:
        name, versions = _name(row, columns), _versions(row, columns)
        if name and versions:
            found.append(GlpiSoftware(_text(row, columns, "entity"), name, versions))
    return tuple(found)


def suggest_deployments(software: tuple[GlpiSoftware, ...], deployments: Mapping[str, str]) -> GlpiMapping:
    """Deployments whose solution has the name of a software. ``deployments``: names of solutions by key."""
    keys: dict[str, list[str]] = {}
    for key, name in deployments.items():
        keys.setdefault(" ".join(words_of(name)), []).append(key)
    found = {entry.name: keys.get(" ".join(words_of(entry.name)), []) for entry in software}
    return GlpiMapping(deployments={name: own[0] for name, own in found.items() if len(own) == 1})


def read_glpi(raw: bytes, mapping: GlpiMapping) -> Reading:
    """The versions of the deployments of a mapping. Raises Invalid for a file without these columns."""
    sheet = read_sheet(raw)
    place, columns = _find_columns(sheet)
    if not mapping.deployments:
        raise Invalid(
            "name the deployments of software in the option deployments", pointer="/options/deployments"
        )
    keys = {" ".join(words_of(name)): key for name, key in mapping.deployments.items()}
    faults = Faults()
    items: dict[str, Item] = {}
    for row in sheet.rows[place + 1 :]:
        name, entity = _name(row, columns), _text(row, columns, "entity")
        if not name:
            continue
        key = keys.get(" ".join(words_of(f"{entity} / {name}"))) if entity else None
        key = key or keys.get(" ".join(words_of(name)))
        item = _item(row, columns, name, key, faults) if key is not None else None
        if item is None:
            continue
        first = items.setdefault(item.key, item)
        if first.members != item.members:
            message = Message(
                "{name} has another version on {place}; a deployment has one: map it by entity / name",
                {"name": name[:80], "place": first.place},
            )
            faults.add(row.place, message, "version")
    return Reading(tuple(items.values()), faults.all(), is_complete=False)


def _find_columns(sheet: Sheet) -> tuple[int, dict[str, int]]:
    for place, row in enumerate(sheet.rows[:MAX_HEAD_ROWS]):
        heads = [" ".join(words_of(head)) for head in heads_of(row)]
        columns = {}
        for field, names in _HEADS.items():
            number = next((heads.index(name) for name in names if name in heads), None)
            if number is not None:
                columns[field] = number
        if {"software", "version"} <= columns.keys():
            return place, columns
    raise Invalid("the file has no columns with the names and the versions of software (Nom; Versions - Nom)")


def _cell(row: Row, columns: Mapping[str, int], field: str) -> Cell:
    number = columns.get(field)
    return row.cells[number] if number is not None and number < len(row.cells) else ""


def _text(row: Row, columns: Mapping[str, int], field: str) -> str | None:
    cell = _cell(row, columns, field)
    if isinstance(cell, CellFault) or is_nothing(cell):
        return None
    try:
        return read_line(cell)
    except CellProblem:
        return None


def _name(row: Row, columns: Mapping[str, int]) -> str | None:
    return _text(row, columns, "software")


def _versions(row: Row, columns: Mapping[str, int]) -> tuple[str, ...]:
    cell = _cell(row, columns, "version")
    if isinstance(cell, CellFault) or is_nothing(cell):
        return ()
    try:
        lines = [line.strip() for line in read_text(cell).split("\n")]
    except CellProblem:
        return ()
    return tuple(dict.fromkeys(line for line in lines if line))


def _item(row: Row, columns: Mapping[str, int], name: str, key: str, faults: Faults) -> Item | None:
    versions = _versions(row, columns)
    cell = _cell(row, columns, "version")
    if len(versions) > 1:
        message = Message(
            "{name} has {count} versions in GLPI, and a deployment has one: {versions}",
            {
                "name": name[:80],
                "count": len(versions),
                "versions": ", ".join(version[:40] for version in versions[:MAX_VERSIONS_LISTED]),
            },
        )
        faults.add(row.place, message, "version")
        return None
    try:
        if not versions and not isinstance(cell, CellFault):
            return None
        version = read_version(versions[0] if isinstance(cell, str) and versions else cell)
    except CellProblem as problem:
        faults.add(row.place, problem.message, "version")
        return None
    notes: tuple[str, ...] = ()
    if isinstance(version, Guess):
        version, notes = version.value, (version.note,)
    if version.startswith("("):
        return None
    return Item(
        type="deployments",
        key=key,
        members={"content": {"version": version}},
        place=row.place,
        identity=name,
        changed_at=_changed_at(_cell(row, columns, "changed")),
        defaulted=notes,
    )


def _changed_at(cell: Cell) -> datetime | None:
    """The time of the last change in GLPI, in GLPI's time zone: it is compared with times of GLPI alone."""
    if isinstance(cell, CellFault) or is_nothing(cell):
        return None
    try:
        found = read_moment(cell)
    except CellProblem:
        return None
    return datetime.fromisoformat(found.value if isinstance(found, Guess) else found)
