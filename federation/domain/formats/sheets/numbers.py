"""Numbers and amounts of cells, as French and English sheets write them."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal, InvalidOperation

from federation.domain.formats.sheets.cells import Cell
from federation.domain.formats.sheets.values import CellProblem, read_line, read_text
from federation.domain.values import SAFE_INTEGER

_NUMBER = re.compile(r"([+-]?)([0-9]{1,15}(?:[ '’][0-9]{3})*)(?:([.,])([0-9]{1,9}))?")
_GROUPED = re.compile(r"([+-]?)([0-9]{1,3}(?:[.,][0-9]{3})+)(?:([.,])([0-9]{1,9}))?")
_UNIT = re.compile(r"\s*(?:€|eur|euros?)\s*(?:ht|ttc)?\s*$", re.IGNORECASE)


def read_number(cell: Cell) -> Decimal:
    """A number: ``1 234,56``, ``1.234,56``, ``1234.56``, with or without the sign of the euro."""
    if isinstance(cell, bool | date):
        raise CellProblem("{text} is no number", text=read_text(cell))
    if isinstance(cell, int | float):
        number = Decimal(str(cell))
    else:
        number = _parse_number(_UNIT.sub("", read_line(cell)))
    if not number.is_finite() or abs(number) > SAFE_INTEGER:
        raise CellProblem("the number is too large")
    return number


def _parse_number(text: str) -> Decimal:
    parsed = _NUMBER.fullmatch(text)
    if parsed is None:
        parsed = _GROUPED.fullmatch(text)
        # 1.234.567 and 1.234,56 have groups; of 1.234 alone nobody knows, and it is a decimal (above).
        if (
            parsed is None
            or (parsed[3] is not None and parsed[3] in parsed[2])
            or len(set(parsed[2]) & {".", ","}) > 1
        ):
            raise CellProblem("{text} is no number", text=text[:80])
    whole = re.sub(r"[^0-9]", "", parsed[2])
    try:
        return Decimal(f"{parsed[1]}{whole}.{parsed[4] or 0}")
    except InvalidOperation:
        raise CellProblem("{text} is no number", text=text[:80]) from None


def read_count(cell: Cell) -> int:
    """A whole number from 0."""
    number = read_number(cell)
    if number < 0 or number != number.to_integral_value():
        raise CellProblem("{text} is no whole number from 0", text=read_text(cell)[:80])
    return int(number)


def read_amount(cell: Cell) -> Decimal:
    """An amount of money from 0."""
    number = read_number(cell)
    if number < 0:
        raise CellProblem("{text} is below 0", text=read_text(cell)[:80])
    return number
