"""Give or change the need of this operator in a consultation: a participation of our own."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from litestar.response.base import ASGIResponse

from federation.domain.content.consultation import Consultation
from federation.domain.content.participation import Participation
from federation.domain.purchasing.deadline import deadline_of
from federation.domain.query import Query
from federation.domain.values import instant
from federation.edge.operations import Right
from federation.node import records
from federation.web.body_fields import coverage_of, fields_of
from federation.web.entries import Entry
from federation.web.forms import Form, whole_number
from federation.web.labels import LABELS
from federation.web.listing import value_words
from federation.web.own_records import OwnRecord, own_record, publish_form
from federation.web.pages import page
from federation.web.records import open_record
from federation.web.visit import Visit

PATH = "/consultations/{origin:str}/{key:str}/participation"
WRITE = Right("participations.write")
MAX_BYTES = 400_000
"""Bytes of the form: a list of ten thousand bodies."""
MAX_EURO_DIGITS = 12
MAX_QUANTITY = 999_999_999_999
MAX_KEY_CHARACTERS = 128
LABELS_TO_CHOOSE = ("GREEN", "CLEAR")


@page(PATH, act="page_participation", right=WRITE)
async def participation(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Show the form of our need."""
    return await _answer(visit, origin, key, sent=False)


@page(PATH, act="page_participation_sent", right=WRITE, method="POST", max_bytes=MAX_BYTES)
async def participation_sent(visit: Visit, origin: str, key: str) -> ASGIResponse:
    """Publish our need."""
    return await _answer(visit, origin, key, sent=True)


async def _answer(visit: Visit, origin: str, key: str, *, sent: bool) -> ASGIResponse:
    entry = await open_record(visit, Consultation, origin, key)
    if not isinstance(entry, Entry):
        return entry
    record = await _own(visit, entry.id)
    if sent and await _publish(visit, entry, record):
        return visit.to(f"/consultations/{origin}/{key}", notice="published")
    given = record.content if record.state else None
    deadline = deadline_of(entry.content, instant(entry.updated_at))
    return visit.page(
        "participation.html",
        status=400 if sent else 200,
        entry=entry,
        record=record,
        given=given,
        needs={need.unit: need for need in given.needs} if given else {},
        estimates={need.unit: _euros(need.estimated_cents) for need in given.needs} if given else {},
        bodies=fields_of(given.coverage if given else None),
        is_late=deadline.is_over(visit.now),
        states=[
            (value, value_words(visit, "participation_state", value))
            for value in LABELS["participation_state"]
        ],
        ways=[(value, visit.text(LABELS["bodies_way"][value])) for value in LABELS["bodies_way"]],
        labels=[
            (value, f"TLP:{value} – {value_words(visit, 'tlp', value)}")
            for value in dict.fromkeys((*LABELS_TO_CHOOSE, record.draft.get("tlp", "GREEN")))
        ],
    )


async def _own(visit: Visit, consultation: str) -> OwnRecord:
    """The participation of this operator that was changed last; a new one where there is none."""
    query = Query(
        kind=Participation,
        facets=(("origin", (visit.node.operator,)), ("consultation", (consultation,))),
        limit=1,
    )
    documents, _, _ = await records.collect(visit.node, query, by=visit.caller)
    if documents:
        head = _head.decode(documents[0])
        return await own_record(visit, Participation, head.origin, head.key)
    # The same key when the form is sent twice, or by two people.
    return OwnRecord(Participation, consultation.replace("/", "~")[:MAX_KEY_CHARACTERS], "", {"content": {}})


class _Head(msgspec.Struct):
    origin: str
    key: str


_head = msgspec.json.Decoder(_Head)


async def _publish(visit: Visit, entry: Entry[Any], record: OwnRecord) -> bool:
    form = await visit.read_form()
    before: Participation | None = record.content if record.state else None
    coverage = coverage_of(visit, form, before.coverage if before else None)
    needs, fields = _needs(visit, form, entry.content, before)
    content: dict[str, Any] = {
        "consultation": entry.id,
        "state": form.value("state"),
        **({"bodies": coverage} if coverage else {}),
        **({"needs": needs} if needs else {}),
        **({"decided_on": form.value("decided_on")} if form.value("decided_on") else {}),
    }
    way = form.value("bodies")
    fields |= {
        "/content/state": "state",
        "/content/decided_on": "decided_on",
        "/content/bodies": {"list": "listed"}.get(way, way),
        "/tlp": "tlp",
    }
    envelope: dict[str, Any] = {"tlp": form.value("tlp") or "GREEN"}
    if record.draft.get("audience") and envelope["tlp"] != record.draft["tlp"]:
        envelope["audience"] = None
    return await publish_form(visit, record, content, fields, **envelope)


def _needs(
    visit: Visit, form: Form, consultation: Consultation, before: Participation | None
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The needs that were typed, and those of units that the form does not have, as they were."""
    needs: list[dict[str, Any]] = []
    fields: dict[str, str] = {}
    units = [unit.key for unit in consultation.units]
    for unit in units:
        typed, estimate = form.value(f"quantity-{unit}"), form.value(f"estimate-{unit}")
        if not typed:
            if estimate:
                form.refuse(f"quantity-{unit}", visit.text("An estimate needs a quantity."))
            continue
        quantity = whole_number(typed, MAX_QUANTITY)
        if quantity is None:
            form.refuse(f"quantity-{unit}", visit.text("A whole number, such as 20."))
            continue
        fields[f"/content/needs/{len(needs)}"] = f"quantity-{unit}"
        need: dict[str, Any] = {"unit": unit, "quantity": quantity}
        if estimate:
            cents = _cents(estimate)
            if cents is None:
                form.refuse(f"estimate-{unit}", visit.text("An amount in euros, such as 1500 or 1500.50."))
            else:
                need["estimated_cents"] = cents
        needs.append(need)
    others = (need for need in (before.needs if before else ()) if need.unit not in units)
    needs += [{"unit": need.unit, "quantity": need.quantity} for need in others]
    return needs, fields


def _euros(cents: int | None) -> str:
    if cents is None:
        return ""
    whole, part = divmod(cents, 100)
    return f"{whole}.{part:02d}" if part else str(whole)


def _cents(typed: str) -> int | None:
    text = typed.replace(",", ".").replace(" ", "").replace("\N{NARROW NO-BREAK SPACE}", "")
    if len(text) > MAX_EURO_DIGITS + 3:
        return None
    try:
        cents = Decimal(text) * 100
    except InvalidOperation:
        return None
    return int(cents) if cents.is_finite() and cents >= 0 and cents == cents.to_integral_value() else None


HANDLERS = (participation, participation_sent)
