"""A form changes what its writer changed, and nothing else."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from federation.domain.draft import Draft, check_draft
from federation.domain.registry import TYPES
from federation.web.fields import Field
from federation.web.form_content import FormContent, fields_of
from federation.web.forms import Form
from federation.web.labels import LABELS
from federation.web.record_types import FIELDS

PARIS = ZoneInfo("Europe/Paris")


def typed(content: dict[str, Any], kind: str, **changes: str) -> tuple[dict[str, Any], FormContent]:
    fields = fields_of(content, FIELDS[kind], PARIS) | {name: [text] for name, text in changes.items()}
    reading = FormContent(Form(fields), PARIS)
    return reading.read(content, FIELDS[kind]), reading


def examples() -> list[tuple[str, dict[str, Any]]]:
    from federation.api.examples import DRAFTS

    return [(kind, DRAFTS[kind]["content"]) for kind in FIELDS if kind in DRAFTS]


@pytest.mark.parametrize(
    ("kind", "content"), examples(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_form_that_is_sent_as_it_was_shown_changes_nothing(kind: str, content: dict[str, Any]) -> None:
    read, reading = typed(content, kind)
    assert (read, reading.faults) == (content, [])
    shape: Any = Draft
    check_draft({"content": json.loads(json.dumps(read))}, shape[TYPES[kind]])


def test_what_no_field_asks_for_stays() -> None:
    content = {
        "title": {"fr": "Panne", "de": "Ausfall"},
        "updates": [{"at": "2026-03-01T08:00:00Z", "status": "identified", "text": {"fr": "x"}}],
        "started_at": "2026-03-01T08:00:59.123456Z",
        "affects": [
            {"solution": "arnia/a", "releases": ["Debian:12"]},
            {"solution": "arnia/b", "by_name_only": True},
        ],
    }
    read, _ = typed(content, "incident", **{"title.en": "Outage", "affects.0.solution": ""})
    assert read["title"] == {"fr": "Panne", "de": "Ausfall", "en": "Outage"}
    assert read["updates"] == content["updates"]
    assert read["started_at"] == content["started_at"], "the form shows no seconds, and changes none"
    assert read["affects"] == [{"solution": "arnia/b", "by_name_only": True}]
    assert content["title"] == {"fr": "Panne", "de": "Ausfall"}, "the stored content is not changed"


def test_times_are_those_of_the_node() -> None:
    read, _ = typed({}, "incident", started_at="2026-07-01T09:30")
    assert read["started_at"] == "2026-07-01T07:30:00Z"
    _, reading = typed({}, "incident", started_at="yesterday", resolved_at="9999-12-31T23:59")
    assert [name for name, _ in reading.faults] == ["started_at"]


def test_bodies_are_numbers_one_on_each_line() -> None:
    content = {
        "coverage": {
            "kind": "list",
            "beneficiaries": [{"identifiers": [{"scheme": "0002", "value": "217100767"}], "name": "Chalon"}],
        }
    }
    text = "217 100 767\n71270\n0208:0123456789\n"
    read, reading = typed(content, "deployment", **{"coverage.beneficiaries": text})
    assert not reading.faults
    assert read["coverage"]["beneficiaries"] == [
        content["coverage"]["beneficiaries"][0],
        {"identifiers": [{"scheme": "cog", "value": "71270"}]},
        {"identifiers": [{"scheme": "0208", "value": "0123456789"}]},
    ]
    _, reading = typed(content, "deployment", **{"coverage.beneficiaries": "Chalon"})
    assert [name for name, _ in reading.faults] == ["coverage.beneficiaries"]
    read, reading = typed(content, "deployment", **{"coverage.kind": "count", "coverage.count": "12"})
    assert read["coverage"] == {"kind": "count", "count": 12}


@pytest.mark.parametrize(
    ("text", "cents"), [("48", 4800), ("12,50", 1250), ("1 234.5 €", 123450), ("1.234", None)]
)
def test_amounts_are_exact(text: str, cents: int | None) -> None:
    field = Field("amount", "cents", "Amount")
    reading = FormContent(Form({"amount": [text]}), PARIS)
    assert reading.read({}, (field,)) == ({} if cents is None else {"amount": cents})
    assert bool(reading.faults) == (cents is None)


def test_rows_have_the_names_of_their_controls_where_some_are_left_out() -> None:
    form = Form({"affects.0.solution": [""], "affects.1.solution": ["arnia/b"]})
    reading = FormContent(form, PARIS)
    assert reading.read({}, FIELDS["incident"]) == {"affects": [{"solution": "arnia/b"}]}
    assert reading.names["/content/affects/0/solution"] == "affects.1.solution"


def test_the_options_of_a_field_are_the_values_of_its_member() -> None:
    from tests.web.schema_values import values_at

    for kind, fields in FIELDS.items():
        for field in fields:
            for path, part in [(field.name, field), *((f"{field.name}.{r.name}", r) for r in field.rows)]:
                if part.labels and part.labels != "yes_no":
                    assert values_at(TYPES[kind], path) == set(LABELS[part.labels]), (kind, path)
