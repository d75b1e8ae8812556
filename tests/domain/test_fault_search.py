"""All faults of a body are found, and none where msgspec finds none."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import msgspec
import pytest

from federation.api.examples import DEADLINE, DRAFTS, FEEDBACK, KEYS, REGISTRATION, SUBSCRIPTION, UPDATE
from federation.api.peers import Code
from federation.api.receipts import SignedReceipt
from federation.domain.alert import NewSubscription
from federation.domain.content.deployment import Deployment, NewVersion
from federation.domain.content.incident import Incident, NewUpdate
from federation.domain.content.solution import Solution
from federation.domain.deadline import ReportingDeadline
from federation.domain.draft import Draft, KeyedDraft, check_draft, read_draft
from federation.domain.errors import Invalid
from federation.domain.fault_search import MAX_VALUES, FaultSearch
from federation.domain.faults import FAULT_CODES, MAX_FAULTS, Fault
from federation.domain.invitation import Registration
from federation.domain.quota import QuotaChange
from federation.domain.registry import TYPES
from federation.node.receipts import Feedback
from tests.domain.builders import a_deployment, a_group, a_solution, an_incident, an_operator, refused_draft

CASES = 6_000
DRAFT: Any = Draft
KEYED: Any = KeyedDraft
SHAPES: list[tuple[Any, dict[str, Any]]] = [
    *((DRAFT[kind], DRAFTS[name]) for name, kind in TYPES.items()),
    *((KEYED[kind], {"key": KEYS[name], **DRAFTS[name]}) for name, kind in TYPES.items()),
    (DRAFT[Deployment], {"content": a_deployment(since="2026-03-01", until="2026-03-02")}),
    (
        DRAFT[Incident],
        {"content": an_incident(updates=[{**UPDATE, "at": "2026-03-01T08:30:00Z", "status": "resolved"}])},
    ),
    (NewUpdate, UPDATE),
    (NewVersion, {"version": "10.0.18", "as_of": "2026-03-01T08:30:00Z"}),
    (ReportingDeadline, DEADLINE),
    (NewSubscription, SUBSCRIPTION),
    (SignedReceipt, {"receipt": "x"}),
    (Feedback, FEEDBACK),
    (Registration, REGISTRATION),
    (QuotaChange, {"records": 2_000_000}),
    (Code, {"code": "4821 9033 1177 2604"}),
]
ODD: list[Any] = [
    None, True, 0, -1, 2**53, 1.5, "", "x", "é" * 21_000, "2026-02-30", "2026-02-30T08:30:00Z",
    "2026-03-01T08:30:00Z", "2026-03-01", "1969-01-01T00:00:00Z", "arnia/glpi", "stable", "open", "list",
    "count", [], {}, ["x"], [[]], [1], {"fr": "x"}, {"kind": "count", "count": 1}, {"x": {}}, "maintenance",
    "fixed", "known_not_affected", "exact",
]  # fmt: skip


def found_in(value: Any, shape: Any) -> list[Fault]:
    search = FaultSearch(max_values=10**9)
    search.look(value, shape)
    return search.faults


def is_taken(value: Any, shape: Any) -> bool:
    """True where msgspec converts the value and nothing of it is lost."""
    try:
        made = msgspec.convert(value, shape)
    except msgspec.ValidationError:
        return False
    return not has_unknown(value, msgspec.to_builtins(made), made)


def has_unknown(value: Any, made: Any, struct: Any) -> bool:
    if isinstance(struct, msgspec.Struct):
        tag = struct.__struct_config__.tag_field
        names = dict(zip(struct.__struct_encode_fields__, struct.__struct_fields__, strict=True))
        return any(
            (name not in names and name != tag)
            or (name in names and has_unknown(part, None, getattr(struct, names[name])))
            for name, part in value.items()
        )
    if isinstance(struct, tuple):
        return any(has_unknown(part, None, item) for part, item in zip(value, struct, strict=True))
    return False


def spots(value: Any) -> list[tuple[Any, Any]]:
    """Every container with a key of it."""
    found: list[tuple[Any, Any]] = []
    for key, part in list(value.items() if isinstance(value, dict) else enumerate(value)):
        found.append((value, key))
        if isinstance(part, dict | list):
            found += spots(part)
    return found


def spoil(value: Any, chance: random.Random) -> None:
    container, key = chance.choice(spots(value))
    match chance.randrange(5):
        case 0:
            del container[key]
        case 1 if isinstance(container, dict):
            container["odd"] = chance.choice(ODD)
        case 2 if isinstance(container[key], list) and container[key]:
            container[key] = container[key] * chance.choice([2, 60])
        case _:
            container[key] = copy.deepcopy(chance.choice(ODD))


def test_the_search_and_msgspec_agree_on_what_is_taken() -> None:
    chance = random.Random(18)
    taken = 0
    for number in range(CASES):
        shape, example = SHAPES[number % len(SHAPES)]
        value = copy.deepcopy(example)
        for _ in range(chance.randrange(4)):
            if spots(value):
                spoil(value, chance)
        faults = found_in(value, shape)
        assert (not faults) == is_taken(value, shape), (shape, value, faults)
        taken += not faults
    assert CASES // 10 < taken < CASES * 9 // 10


def refused(body: dict[str, Any], shape: Any = DRAFT[Solution]) -> dict[str, tuple[str, int | None]]:
    with pytest.raises(Invalid) as refusal:
        read_draft(json.dumps(body).encode(), shape)
    assert all(fault.code in FAULT_CODES and fault.detail for fault in refusal.value.faults)
    return {fault.pointer: (fault.code, fault.rule) for fault in refusal.value.faults}


def test_one_answer_names_every_fault_of_a_body() -> None:
    content = a_solution(
        name=1,
        summary={"fr": "", "français": "x"},
        description={"fr": "a\u202eb", "en": "e\u0301"},
        kind="Software",
        licence="GPL-99",
        themes=["ai", "quantum"],
        homepage="https://[",
        repository="ftp://example.org",
        packages=[{}, {"purl": "pkg:npm/@a"}],
        colour="red",
        releases=[{"version": "1", "eol_at": "2026-02-30"}],
        assurances=[{"scheme": "hds", "valid_until": "soon"}],
        ai={"personal_data": "no"},
    )
    del content["status"]
    assert refused({"content": content, "tlp": "white", "type": "solution", "size": 1}) == {
        "/type": ("set-by-node", None),
        "/size": ("unknown-member", None),
        "/tlp": ("not-allowed", None),
        "/content/colour": ("unknown-member", None),
        "/content/name": ("wrong-type", None),
        "/content/summary/fr": ("too-short", None),
        "/content/summary/français": ("pattern", None),
        "/content/description/fr": ("text", 20),
        "/content/description/en": ("text", 20),
        "/content/kind": ("not-allowed", None),
        "/content/status": ("missing", None),
        "/content/licence": ("not-allowed", 16),
        "/content/themes/1": ("not-allowed", 17),
        "/content/homepage": ("address", 19),
        "/content/repository": ("pattern", None),
        "/content/packages/0": ("rule", 4),
        "/content/packages/1/purl": ("pattern", 18),
        "/content/releases/0/eol_at": ("calendar", 1),
        "/content/assurances/0/valid_until": ("pattern", None),
        "/content/ai/personal_data": ("wrong-type", None),
    }


@pytest.mark.parametrize(
    ("kind", "content", "label", "expected"),
    [
        ("incident", an_incident(status="fixed", detected_at="2026-03-02T00:00:00Z",
                                 resolved_at="2026-03-01T00:00:00Z"), {"tlp": "AMBER"},
         {"/content/status": 6, "/content/resolved_at": 2, "/audience": 15}),
        ("incident", an_incident(kind="maintenance", scheduled_for=None, affects=[{}]), {},
         {"/content/scheduled_for": 7, "/content/affects/0": 5}),
        ("incident", an_incident(started_at=None), {}, {"/content/started_at": 8}),
        ("deployment", a_deployment(version_state="exact"), {"audience": "rssi"},
         {"/content/version": 10, "/audience": 15}),
        ("deployment", a_deployment(coverage={"kind": "list", "beneficiaries": [
            {"identifiers": [{"scheme": "0002", "value": "217100768"}]}]}), {},
         {"/content/coverage/beneficiaries/0/identifiers/0/value": 3}),
        ("deployment", a_deployment(coverage={"kind": "list", "beneficiaries": [
            {"identifiers": [{"scheme": "0002", "value": "217100767"}, {"scheme": "cog", "value": "71077"}]},
         ]}), {}, {"/content/coverage/beneficiaries/0/identifiers/1": 14}),
        ("statement", {"incident": "arnia/x", "status": "known_not_affected"}, {},
         {"/content/justification": 9}),
        ("group", a_group(), {"tlp": "GREEN"}, {"/content": 13}),
        ("operator", an_operator(identifiers=[{"scheme": "cog", "value": "7107"}]), {},
         {"/content/identifiers/0/value": 3}),
    ],
)  # fmt: skip
def test_rules_between_members_are_reported_together_with_their_numbers(
    kind: str, content: dict[str, Any], label: dict[str, Any], expected: dict[str, int]
) -> None:
    found = refused({"content": content, **label}, DRAFT[TYPES[kind]])
    assert {pointer: rule for pointer, (_, rule) in found.items()} == expected


def test_a_rule_says_nothing_of_a_member_that_is_at_fault_itself() -> None:
    found = refused({"content": an_incident(kind="outrage", status="fixed")}, DRAFT[Incident])
    assert found == {"/content/kind": ("not-allowed", None)}
    content = an_incident(resolved_at="tomorrow", detected_at="2026-03-02T00:00:00Z")
    assert refused({"content": content}, DRAFT[Incident]) == {"/content/resolved_at": ("pattern", None)}


def test_a_hundred_faults_are_listed_and_the_others_counted() -> None:
    content = a_solution(**{f"m{number:03}": 1 for number in range(130)})
    with pytest.raises(Invalid) as refusal:
        check_draft({"content": content}, DRAFT[Solution])
    assert (len(refusal.value.faults), refusal.value.more) == (MAX_FAULTS, 30)
    del content["m029"], content["m030"]
    with pytest.raises(Invalid) as refusal:
        check_draft({"content": {**a_solution(), "odd": 1}}, DRAFT[Solution])
    assert (len(refusal.value.faults), refusal.value.more) == (1, 0)


def test_a_search_ends_at_its_bound_and_the_first_fault_is_named_nevertheless() -> None:
    bodies = [{"identifiers": [{"scheme": "0002", "value": "217100767"}]}] * 9_999
    bodies.append({"identifiers": [{"scheme": "0002", "value": "x"}]})
    content = a_deployment(coverage={"kind": "list", "beneficiaries": bodies})
    found = refused({"content": content}, DRAFT[Deployment])
    assert list(found) == ["/content/coverage/beneficiaries/9999/identifiers/0"]


def test_allowed_values_are_listed_with_the_fault() -> None:
    with pytest.raises(Invalid) as refusal:
        check_draft({"content": a_deployment(status="live", coverage={"kind": "all"})}, DRAFT[Deployment])
    assert {fault.pointer: set(fault.allowed) for fault in refusal.value.faults} == {
        "/content/status": {"planned", "pilot", "production", "suspended", "retired"},
        "/content/coverage/kind": {"list", "territory", "count"},
    }


@pytest.mark.parametrize(
    ("number", "integer"),
    [("273.0", 273), ("1e2", 100), ("2.5e1", 25), ("-0.0", 0), ("9007199254740991.0", 2**53 - 1), ("4E0", 4)],
)
def test_a_number_without_a_fraction_is_an_integer_however_it_is_written(number: str, integer: int) -> None:
    body = json.dumps({"content": a_deployment()}).replace("412", number).encode()
    count = read_draft(body, DRAFT[Deployment]).content.coverage.count
    assert (count, type(count)) == (integer, int)


@pytest.mark.parametrize("number", ["1.5", "9007199254740992.0", "1e300", "-1.0", '"273"', "true"])
def test_what_is_no_integer_of_json_is_refused(number: str) -> None:
    body = json.dumps({"content": a_deployment()}).replace("412", number).encode()
    with pytest.raises(Invalid) as refusal:
        read_draft(body, DRAFT[Deployment])
    assert refusal.value.pointer == "/content/coverage/count"


def test_all_moments_of_a_draft_are_written_down_in_utc_and_days_stay_days() -> None:
    line = {"status": "identified", "text": {"fr": "x"}}
    content = an_incident(
        started_at="2026-03-01T09:30:00+01:00",
        resolved_at="2026-03-01 09:30:00.123456789-00:00",
        updates=[{"at": f"2026-03-01t{hour:02}:00:00.5+01:00", **line} for hour in range(10, 24)],
        source={"url": "HTTPS://example.org/a", "modified_at": "2026-03-01T08:30:00Z"},
    )
    draft = check_draft({"content": content}, DRAFT[Incident]).content
    assert (draft.started_at, draft.resolved_at) == ("2026-03-01T08:30:00Z", "2026-03-01T09:30:00.123456Z")
    assert [line.at for line in draft.updates] == [f"2026-03-01T{hour:02}:00:00.5Z" for hour in range(9, 23)]
    assert draft.source.url == "https://example.org/a"
    assert content["started_at"] == "2026-03-01T09:30:00+01:00"  # the caller's own value
    day = check_draft({"content": a_deployment(since="2026-03-01")}, DRAFT[Deployment]).content.since
    assert day == "2026-03-01"
    found = refused({"content": a_deployment(since="2026-03-01T00:00:00Z")}, DRAFT[Deployment])
    assert found == {"/content/since": ("pattern", None)}


def test_two_members_of_one_name_are_reported_wherever_they_are() -> None:
    body = b'{"content": {"a": 1, "a": 2, "b": [{"c": 1, "c": 1}]}, "tlp": "RED", "tlp": "RED"}'
    with pytest.raises(Invalid) as refusal:
        read_draft(body, DRAFT[Solution])
    assert {(fault.pointer, fault.code) for fault in refusal.value.faults} == {
        ("/content/a", "duplicate-member"),
        ("/content/b/0/c", "duplicate-member"),
        ("/tlp", "duplicate-member"),
    }


def test_the_last_of_many_members_that_is_there_twice_is_found_in_linear_time() -> None:
    names = ",".join(f'"m{number}":1' for number in range(60_000))
    with pytest.raises(Invalid) as refusal:
        read_draft(f'{{{names},"m59999":1}}'.encode(), DRAFT[Solution])
    assert refusal.value.pointer == "/m59999"


def test_all_texts_at_fault_are_reported_where_everything_else_is_right() -> None:
    refusal = refused_draft(a_solution(name="a\u202eb", summary={"fr": "e\u0301", "en": "fine"}))
    assert {(fault.pointer, fault.code, fault.rule) for fault in refusal.faults} == {
        ("/content/name", "text", 20),
        ("/content/summary/fr", "text", 20),
    }


@pytest.mark.parametrize(
    "value",
    [
        {"content": {f"a{n}": 0 for n in range(20_000)}},
        {"content": {"affects": [{f"a{n}": 0 for n in range(300)}] * 100}},
        {"content": {"title": {f"a{n}": 0 for n in range(20_000)}}},
    ],
)
def test_a_search_among_very_many_members_ends_at_its_bound(
    value: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = 0
    add = FaultSearch.add

    def counting(self: FaultSearch, fault: Fault) -> None:
        nonlocal looked_at
        looked_at += 1
        add(self, fault)

    monkeypatch.setattr(FaultSearch, "add", counting)
    search = FaultSearch()
    search.look(value, DRAFT[Incident])
    assert 0 < len(search.faults) <= MAX_FAULTS
    assert looked_at <= 2 * MAX_VALUES, "a fault for each value, and some for members that are missing"
