"""The numbered rules: each has a document that keeps the published schema, and that a node refuses."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from federation.api.examples import DEADLINE, DRAFTS, SUBSCRIPTION
from federation.domain.content.group import Group
from federation.domain.content.incident import Incident
from federation.domain.content.participation import Participation
from federation.domain.deadline import ReportingDeadline
from federation.domain.draft import Draft, check_draft, read_draft
from federation.domain.errors import Invalid
from federation.domain.record_reading import read_record
from federation.domain.registry import TYPES
from federation.domain.rules import RULES

SCHEMAS = Path(__file__).parents[2] / "schemas"
Document = dict[str, Any]
Change = Callable[[Document], object]


def an_example(type_name: str) -> Document:
    (newest,) = sorted(SCHEMAS.glob(f"examples/*/{type_name}.json"))[-1:]
    document: Document = msgspec.json.decode(newest.read_bytes())
    return document


@cache
def the_schema(type_name: str) -> Draft202012Validator:
    return Draft202012Validator(msgspec.json.decode((SCHEMAS / f"{type_name}.schema.json").read_bytes()))


@cache
def a_body(component: str) -> Draft202012Validator:
    components = msgspec.json.decode((SCHEMAS / "openapi.json").read_bytes())["components"]
    whole = {"components": components, "$ref": f"#/components/schemas/{component}"}
    return Draft202012Validator(whole)


def read(document: Document, raw: bytes | None = None) -> object:
    """As a reader of a feed. Raises Invalid for what it rejects or does not understand."""
    record = read_record(
        raw or msgspec.json.encode(document, order="sorted"),
        type_name=document["type"],
        origin=document["origin"],
        key=document["key"],
        revision=document["revision"],
    )
    if record.not_understood is not None:
        raise Invalid(record.not_understood)
    return record


def write(document: Document) -> object:
    """As a node reads what its own writers send. Raises Invalid."""
    shape: Any = Draft
    return check_draft({"content": document["content"]}, shape[TYPES[document["type"]]])


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def content(**members: Any) -> Change:
    return lambda document: document["content"].update(members)


def identifiers(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"scheme": scheme, "value": value} for scheme, value in pairs]


def a_part(document: Document) -> Document:
    part: Document = document["content"]["tariff"]["parts"][0]
    return part


def a_need(first: str, second: str, given: str) -> Document:
    """A need with two earlier quantities, given on these days."""
    earlier = [{"quantity": 1, "given_at": f"{day}T08:00:00Z"} for day in (first, second)]
    return {"unit": "portable", "quantity": 2, "given_at": f"{given}T08:00:00Z", "earlier": earlier}


def bodies_of(document: Document) -> list[Document]:
    bodies: list[Document] = document["content"]["bodies"]["beneficiaries"]
    return bodies


OF_READERS: list[tuple[int, str, Change]] = [
    (1, "deployment", content(since="2026-02-30")),
    (2, "deployment", content(since="2026-03-01", until="2026-02-01")),
    (2, "solution", lambda document: document.update(updated_at="1999-01-01T00:00:00Z")),
    (3, "operator", content(identifiers=identifiers(("0002", "217100768")))),
    (2, "offer", content(valid_until="2025-12-31")),
    (2, "meeting", content(ends_at="2026-04-02T07:00:00Z")),
    (2, "consultation", content(award_on="2026-01-01")),
    (20, "solution", content(name="Cafe\u0301")),
    (20, "solution", content(name="GL\u200bPI")),
    (20, "solution", content(name="GLPI\n")),
    (22, "solution", lambda document: document.update(later=nested(40))),
    (23, "solution", lambda document: document.update(later="x" * 1_048_576)),
    (25, "solution", lambda document: document.update(later=1.5)),
    (25, "solution", lambda document: document.update(später=1)),
    (29, "meeting", content(tasks=[{"key": "a", "text": {"fr": "Rédiger"}}] * 2)),
    (29, "consultation", content(units=[{"key": "a", "label": {"fr": "Poste"}}] * 2)),
    (29, "participation", content(needs=[{"unit": "a", "quantity": 1}] * 2)),
    (30, "practice", content(body={"fr": "é" * 32_769})),
    (30, "meeting", content(minutes={"fr": "é" * 32_769})),
    (31, "offer", content(eligibility={"population": {}})),
    (31, "offer", content(eligibility={"agents": {"from": 2, "to": 1}})),
    (31, "offer", lambda document: a_part(document).update(minimum_cents=2, maximum_cents=1)),
    (39, "purchase", content(coordinator={"identifiers": identifiers(("0002", "217100767"))})),
    (41, "participation", content(needs=[a_need("2026-03-02", "2026-03-01", "2026-03-03")])),
    (41, "participation", content(needs=[a_need("2026-03-01", "2026-03-02", "2026-03-01")])),
]
OF_WRITERS: list[tuple[int, str, Change]] = [
    (14, "operator", content(identifiers=identifiers(("0002", "217100767"), ("cog", "71270")))),
    (16, "solution", content(licence="No-Such-Licence-1.0")),
    (17, "solution", content(themes=["astrology"])),
    (18, "solution", content(packages=[{"purl": "pkg:npm/@"}])),
    (19, "solution", content(repository="https://user:secret@forge.example.org/x")),
    (19, "solution", content(repository="https://forge.example.org/a\u2003b")),
    (
        14,
        "purchase",
        content(coordinator={"identifiers": identifiers(("0009", "21710076700011"), ("cog", "71270"))}),
    ),
    (
        14,
        "participation",
        lambda document: bodies_of(document)[0].update(
            identifiers=identifiers(("0002", "217100767"), ("cog", "71270"))
        ),
    ),
    (16, "practice", content(licence="No-Such-Licence-1.0")),
    (17, "practice", content(themes=["astrology"])),
    (17, "consultation", content(themes=["astrology"])),
    (34, "offer", content(deliberation_template="{name} décide {everything}")),
    (44, "contribution", content(about={"type": "contribution", "id": "recia/question"})),
    (35, "meeting", content(time_zone="Europe/Chalon")),
    (35, "meeting", content(time_zone="Europe")),
]
"""Number of the rule, a type, and what is wrong with its example."""


def test_rules_are_numbered_from_one_without_a_gap() -> None:
    assert list(RULES) == list(range(1, len(RULES) + 1))


@pytest.mark.parametrize("number", RULES)
def test_the_code_that_checks_a_rule_is_there(number: int) -> None:
    assert resolve_name(RULES[number].checked_by)


def test_every_rule_has_a_document_that_breaks_it() -> None:
    of_readers, of_writers = {number for number, _, _ in OF_READERS}, {number for number, _, _ in OF_WRITERS}
    in_schema = {number for number, _, _, _ in BETWEEN_MEMBERS} | {12}
    alone = {11, 21, 24, 28, 42}
    # In tests/api: test_openapi.py, test_offer_drafts.py and test_contributions.py.
    with_a_node = {26, 27, 43, 45}
    assert of_readers | of_writers | in_schema | alone | with_a_node == RULES.keys()
    assert {number for number, rule in RULES.items() if rule.in_schema} == in_schema
    readers = {number for number, rule in RULES.items() if rule.readers and not rule.in_schema}
    assert readers == of_readers | {24}


@pytest.mark.parametrize(("number", "type_name", "change"), OF_READERS)
def test_a_reader_refuses_what_keeps_the_schema_and_breaks_a_rule(
    number: int, type_name: str, change: Change
) -> None:
    assert RULES[number].readers
    document = an_example(type_name)
    read(document)
    change(document)
    the_schema(type_name).validate(document)
    with pytest.raises(Invalid):
        read(document)


@pytest.mark.parametrize(("number", "type_name", "change"), OF_WRITERS)
def test_a_writer_is_refused_what_a_reader_takes(number: int, type_name: str, change: Change) -> None:
    assert not RULES[number].readers
    document = an_example(type_name)
    write(document)
    change(document)
    the_schema(type_name).validate(document)
    read(document)
    with pytest.raises(Invalid):
        write(document)


def test_rules_22_and_24_bytes_that_are_not_canonical() -> None:
    document = an_example("solution")
    raw = msgspec.json.encode(document, order="sorted")
    read(document, raw)
    spaced = msgspec.json.format(raw, indent=1)
    the_schema("solution").validate(msgspec.json.decode(spaced))
    with pytest.raises(Invalid, match="canonical"):
        read(document, spaced)
    shape: Any = Draft
    twice = b'{"tlp":"GREEN",' + msgspec.json.encode(DRAFTS["solution"])[1:]
    a_body("SolutionDraft").validate(msgspec.json.decode(twice))
    with pytest.raises(Invalid, match="twice"):
        read_draft(twice, shape[TYPES["solution"]])


@pytest.mark.parametrize(("status", "kept"), [("open", False), ("resolved", True)])
def test_rule_21_the_timeline(status: str, kept: bool) -> None:
    document = an_example("incident")
    before = copy.deepcopy(document["content"])
    line = {"at": "2025-03-19T08:00:00Z", "status": "open", "text": {"fr": "Analyse."}}
    before["updates"] = [line]
    after = {**before, "updates": [line] if kept else []}
    after["updates"] = [*after["updates"], {**line, "status": status, "text": {"fr": "Suite."}}]
    the_schema("incident").validate({**document, "content": after})
    incident = msgspec.convert(after, Incident)
    with pytest.raises(Invalid, match="not a status of" if kept else "append-only"):
        incident.check_after(before)
    good = {**before, "updates": [line, line]}
    msgspec.convert(good, Incident).check_after(before)


def test_rule_11_the_steps_of_a_deadline() -> None:
    read_draft(msgspec.json.encode(DEADLINE), ReportingDeadline)
    wrong = {**DEADLINE, "regimes": ["gdpr"]}
    a_body("ReportingDeadlineInput").validate(wrong)
    with pytest.raises(Invalid, match="not a step of"):
        read_draft(msgspec.json.encode(wrong), ReportingDeadline)


def test_rule_42_a_need_changes_fifty_times() -> None:
    document = an_example("participation")["content"]
    document["needs"] = [{"unit": "a", "quantity": 0}]
    now = datetime(2026, 3, 1, tzinfo=UTC)
    before: Document | None = None
    for quantity in range(51):
        document["needs"][0]["quantity"] = quantity
        before = msgspec.to_builtins(msgspec.convert(document, Participation).completed(before, now))
    msgspec.convert(document, Participation).completed(before, now)
    document["needs"][0]["quantity"] = 51
    with pytest.raises(Invalid, match="50 times") as refused:
        msgspec.convert(document, Participation).completed(before, now)
    assert [(fault.pointer, fault.rule) for fault in refused.value.faults] == [
        ("/content/needs/0/quantity", 42)
    ]


def test_rule_28_the_key_of_a_group() -> None:
    schema: Any = the_schema("group").schema
    key = schema["properties"]["key"]
    Group.check_key("security")
    for wrong in ("Security", "public", "a" * 64, "a.b"):
        Draft202012Validator({"$defs": schema.get("$defs", {}), **key}).validate(wrong)
        with pytest.raises(Invalid, match="cannot name a group") as refused:
            Group.check_key(wrong)
        assert [(fault.pointer, fault.rule) for fault in refused.value.faults] == [("/key", 28)]


AN_INCIDENT = DRAFTS["incident"]["content"]
BETWEEN_MEMBERS: list[tuple[int, str, Document, Document]] = [
    (7, "IncidentDraft", {}, {"kind": "maintenance", "status": "scheduled"}),
    (8, "IncidentDraft", {}, {"detected_at": None}),
    (6, "IncidentDraft", {}, {"status": "resolved"}),
    (5, "IncidentDraft", {}, {"affects": [{"fixed_in": ["1"]}]}),
    (15, "IncidentDraft", {"audience": "security"}, {}),
    (15, "IncidentDraft", {"tlp": "AMBER"}, {}),
    (15, "IncidentDraft", {"tlp": "AMBER", "audience": "public"}, {}),
    (15, "IncidentDraft", {}, {"kind": "security", "status": "identified"}),
    (4, "SolutionDraft", {}, {"packages": [{}]}),
    (10, "DeploymentDraft", {}, {"version": None}),
    (9, "StatementDraft", {}, {"status": "known_not_affected"}),
    (9, "StatementDraft", {}, {"justification": "component_not_present"}),
    (13, "GroupDraft", {"tlp": "GREEN"}, {}),
    (32, "OfferDraft", {}, {"requires": {}}),
    (32, "OfferDraft", {}, {"requires": {"offers": []}}),
    (33, "OfferDraft", {}, {"tariff": None}),
    (33, "OfferDraft", {}, {"pricing": "free"}),
    (36, "ContributionDraft", {}, {"text": None}),
    (36, "ContributionDraft", {}, {"kind": "task-done"}),
    (37, "ContributionDraft", {"tlp": "AMBER", "audience": "security"}, {}),
    (37, "ContributionDraft", {"audience": "security"}, {}),
    (38, "PurchaseDraft", {}, {"mode": "wholesaler"}),
    (38, "PurchaseDraft", {}, {"kind": "centrale-d-achat"}),
    (40, "ConsultationDraft", {}, {"contract": {"id": "2026-042"}}),
]


@pytest.mark.parametrize(("number", "component", "envelope", "members"), BETWEEN_MEMBERS)
def test_rules_between_members_that_the_schema_says_are_those_of_the_node(
    number: int, component: str, envelope: Document, members: Document
) -> None:
    assert RULES[number].in_schema
    kind = component.removesuffix("Draft")
    shape: Any = Draft
    good = DRAFTS[kind.lower()]
    changed = {**good["content"], **members}
    wrong = {**good, **envelope, "content": {n: value for n, value in changed.items() if value is not None}}
    a_body(component).validate(good)
    check_draft(good, shape[TYPES[kind.lower()]])
    assert not a_body(component).is_valid(wrong)
    with pytest.raises(Invalid):
        check_draft(wrong, shape[TYPES[kind.lower()]])


def test_a_label_with_its_audience_keeps_the_schema() -> None:
    for amber in ("AMBER", "AMBER+STRICT"):
        a_body("IncidentDraft").validate({**DRAFTS["incident"], "tlp": amber, "audience": "security"})
    security = {**AN_INCIDENT, "kind": "security", "status": "identified"}
    a_body("IncidentDraft").validate({"content": security, "audience": "security"})
    a_body("IncidentDraft").validate({"content": security, "tlp": "RED"})


def test_rule_12_a_subscription_has_one_receiver() -> None:
    a_body("SubscriptionDraft").validate(SUBSCRIPTION)
    assert not a_body("SubscriptionDraft").is_valid({**SUBSCRIPTION, "email": "soc@example.org"})
    without = {name: value for name, value in SUBSCRIPTION.items() if name != "webhook"}
    assert not a_body("SubscriptionDraft").is_valid(without)
    a_body("SubscriptionDraft").validate({**without, "email": "soc@example.org"})
