"""Offers from the lines of a sheet, one for each line, with a price of one part."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from federation.domain.formats.sheets import choices
from federation.domain.formats.sheets.cells import Cell
from federation.domain.formats.sheets.days import read_day
from federation.domain.formats.sheets.lines import Line
from federation.domain.formats.sheets.numbers import read_amount, read_count
from federation.domain.formats.sheets.records import Known, LineRecord, SolutionFinder
from federation.domain.formats.sheets.values import (
    CellProblem,
    key_of,
    read_choice,
    read_id,
    read_key,
    read_line,
    read_list,
    read_territories,
    read_text,
)
from federation.domain.messages import Message
from federation.domain.territories.finder import words_of

MICROS = Decimal(1_000_000)
_PER = re.compile(r" par | per |/", re.IGNORECASE)


def build_offer(line: Line, finder: SolutionFinder, known: Known, language: str) -> LineRecord | None:
    """The offer of a line; None where the line is at fault."""
    content: dict[str, Any] = {}
    title = line.need("title", line.read("title", read_line))
    solution = line.need("solution", line.read("solution", finder.find))
    contact = line.need("contact", line.read("contact", read_line))
    summary = line.read("summary", read_text)
    if summary is not None:
        content["summary"] = {language: summary}
    for member in ("valid_from", "valid_until"):
        day = line.read(member, read_day)
        if day is not None:
            content[member] = day
    months = line.read("trial_months", read_count)
    if months is not None:
        content["trial_months"] = months
    deployment = line.read("deployment", read_id)
    if deployment is not None:
        content["deployments"] = [deployment if "/" in deployment else f"{known.operator}/{deployment}"]
    _eligibility(line, content)
    _price(line, content, language)
    own_key = line.read("key", read_key)
    if not line.is_sound or title is None or solution is None or contact is None:
        return None
    content |= {"title": {language: title}, "solution": solution, "contact": contact}
    identity = read_line(line.cells["key"]) if own_key else title
    return LineRecord(
        line=line,
        key=own_key or key_of(title),
        identity=identity,
        content=content,
        has_own_key=own_key is not None,
    )


def _eligibility(line: Line, content: dict[str, Any]) -> None:
    eligibility: dict[str, Any] = {}
    kinds = line.read("kinds", _read_kinds)
    if kinds:
        eligibility["kinds"] = kinds
    territory = line.read("territory", read_territories)
    if territory:
        eligibility["territory"] = territory
    smallest, largest = line.read("population_from", read_count), line.read("population_to", read_count)
    population = {name: value for name, value in (("from", smallest), ("to", largest)) if value is not None}
    if population:
        eligibility["population"] = population
    if eligibility:
        content["eligibility"] = eligibility


def _read_kinds(cell: Cell) -> list[str]:
    return list(dict.fromkeys(read_choice(entry, choices.BODY_KINDS) for entry in read_list(cell)))


def _price(line: Line, content: dict[str, Any], language: str) -> None:
    if not line.has("price"):
        line.notes.append("pricing")
        content["pricing"] = "on-request"
        return
    price = line.read("price", _read_price)
    if price is None:
        return
    amount, basis, when = price
    basis = line.read("price_basis", lambda cell: read_choice(cell, choices.BASES)) or basis
    when = line.read("price_when", lambda cell: read_choice(cell, choices.PERIODS)) or when
    vat = line.read("vat", lambda cell: read_choice(cell, choices.VAT))
    if amount is None or amount == 0:
        content["pricing"] = "on-request" if amount is None else "free"
        return
    micros = amount * MICROS
    if micros != micros.to_integral_value() or micros > 10**15:
        line.fail(Message("the amount has more than six decimals, or is too large"), "price")
        return
    part = {"label": {language: "Tarif" if language == "fr" else "Price"}, "micros": int(micros)}
    line.default(part, "when", when, "yearly")
    line.default(part, "basis", basis, "body")
    tariff: dict[str, Any] = {"currency": "EUR", "parts": [part]}
    line.default(tariff, "vat", vat, "excluded")
    content |= {"pricing": "tariff", "tariff": tariff}


def _read_price(cell: Cell) -> tuple[Decimal | None, str | None, str | None]:
    """Amount (None: on request), unit and period of ``0,15 € par habitant et par an``."""
    text = read_line(cell)
    words = " ".join(words_of(text))
    if words in choices.FREE:
        return Decimal(0), None, None
    if words in choices.ON_REQUEST:
        return None, None, None
    if not isinstance(cell, str):
        return read_amount(cell), None, None
    amount, *units = _PER.split(text)
    basis = when = None
    for unit in units:
        unit = unit.strip().removesuffix(" et").strip()
        try:
            when = read_choice(unit, choices.PERIODS)
        except CellProblem:
            basis = read_choice(unit, choices.BASES)
    return read_amount(amount.strip()), basis, when
