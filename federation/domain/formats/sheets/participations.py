"""Participations from the lines of a sheet: all lines of one consultation are one participation.

Each line has a body and its needs; the participation has all bodies, and their needs added up by unit. Needs
are columns ``need:UNIT``, or a unit and a quantity on each line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from federation.domain.formats.sheets import choices
from federation.domain.formats.sheets.days import read_day
from federation.domain.formats.sheets.deployments import counted_bodies, read_coverage
from federation.domain.formats.sheets.lines import Line
from federation.domain.formats.sheets.mapping import NEED
from federation.domain.formats.sheets.numbers import read_amount, read_count
from federation.domain.formats.sheets.records import Known, LineRecord, body_of, without
from federation.domain.formats.sheets.values import key_of, read_choice, read_id, read_key, read_line
from federation.domain.messages import Message


def build_participation(line: Line, known: Known) -> LineRecord | None:
    """The participation of a line; None where the line is at fault."""
    content: dict[str, Any] = {}
    consultation = line.need("consultation", line.read("consultation", read_id))
    coverage, _ = read_coverage(line)
    needs = _needs(line)
    state = line.read("state", lambda cell: read_choice(cell, choices.PARTICIPATION_STATES))
    decided_on = line.read("decided_on", read_day)
    own_key = line.read("key", read_key)
    if not line.is_sound or consultation is None:
        return None
    content["consultation"] = consultation if "/" in consultation else f"{known.operator}/{consultation}"
    line.default(content, "state", state, _state(needs))
    if decided_on is not None:
        content["decided_on"] = decided_on
    if coverage is not None:
        content["bodies"] = coverage
    if needs:
        content["needs"] = [{"unit": unit, **need} for unit, need in needs.items()]
    key = own_key or key_of(content["consultation"].partition("/")[2])
    identity = read_line(line.cells["key"]) if own_key else content["consultation"]
    return LineRecord(
        line=line,
        key=key,
        identity=identity,
        content=content,
        has_own_key=True,
        merge=merge_participations,
        counted=counted_bodies(coverage, needs or ("",)) or {("", unit) for unit in needs},
    )


def _needs(line: Line) -> dict[str, dict[str, int]]:
    """Quantities by unit."""
    needs: dict[str, dict[str, int]] = {}
    for field in [field for field in line.cells if field.startswith(NEED)]:
        quantity = line.read(field, read_count)
        if quantity is not None:
            needs[field.removeprefix(NEED)] = {"quantity": quantity}
    unit, quantity = line.read("unit", read_key), line.read("quantity", read_count)
    estimated = line.read("estimated", read_amount)
    if quantity is not None and unit is None and not line.has("unit"):
        line.fail(Message("the line has a quantity and no unit"), "quantity")
    if unit is not None and quantity is not None:
        need = {"quantity": quantity}
        if estimated is not None:
            need["estimated_cents"] = int((estimated * 100).to_integral_value())
        needs[unit] = need
    return needs


def merge_participations(first: LineRecord, second: LineRecord) -> bool:
    """Add bodies and needs of a second line; False where the lines contradict, or count a need twice."""
    is_default = any("state" in record.line.notes for record in (first, second))
    apart = ("bodies", "needs", "state") if is_default else ("bodies", "needs")
    if without(first.content, *apart) != without(second.content, *apart) or first.counted & second.counted:
        return False
    own, others = first.content.get("bodies"), second.content.get("bodies")
    if own is not None and others is not None and own["kind"] == others["kind"] == "list":
        known = {body for body, _ in first.counted}
        own["beneficiaries"] += [body for body in others["beneficiaries"] if body_of(body) not in known]
    elif own is not None or others is not None:
        return False
    first.counted |= second.counted
    needs: dict[str, Mapping[str, Any]] = {need["unit"]: need for need in first.content.get("needs", [])}
    for need in second.content.get("needs", []):
        needs[need["unit"]] = _add(needs.get(need["unit"], {"unit": need["unit"]}), need)
    if needs:
        first.content["needs"] = list(needs.values())
    if "state" in first.line.notes and "state" not in second.line.notes:
        first.content["state"] = second.content["state"]
        first.line.notes.remove("state")
    elif "state" in first.line.notes:
        first.content["state"] = _state(needs)
    return True


def _state(needs: Mapping[str, Any]) -> str:
    """The state of a participation whose file names none."""
    return "need-given" if needs else "interested"


def _add(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    total = dict(first)
    for member in ("quantity", "estimated_cents"):
        if member in second:
            total[member] = total.get(member, 0) + second[member]
    return total
