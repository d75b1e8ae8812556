"""What a writer's own IT system sends: strictly read, and refused with the member at fault."""

import json
import random
from typing import Any

import pytest

from federation.domain.canonical import MAX_DEPTH, check_depth, decode_json
from federation.domain.content.deployment import Deployment
from federation.domain.content.group import Group
from federation.domain.content.incident import Incident, NewUpdate
from federation.domain.content.operator import Operator
from federation.domain.content.solution import Solution
from federation.domain.document import SERVER_OWNED
from federation.domain.draft import Draft, KeyedDraft, read_draft
from federation.domain.errors import Invalid
from federation.domain.record_content import Content
from tests.domain.builders import (
    COMMUNE,
    a_body,
    a_deployment,
    a_draft,
    a_group,
    a_record,
    a_solution,
    an_incident,
    an_operator,
    nested,
    refused_body,
    refused_draft,
    sent,
    without,
)

ONE_OF_EACH: list[tuple[type[Content], dict[str, Any]]] = [
    (Solution, a_solution()),
    (Deployment, a_deployment()),
    (Incident, an_incident()),
    (Operator, an_operator()),
    (Group, a_group()),
]


@pytest.mark.parametrize(("kind", "content"), ONE_OF_EACH)
def test_the_required_members_are_enough(kind: type[Content], content: dict[str, Any]) -> None:
    assert isinstance(a_draft(content, kind).content, kind)


@pytest.mark.parametrize(
    ("kind", "content", "name"), [(kind, content, name) for kind, content in ONE_OF_EACH for name in content]
)
def test_each_required_member_is_required(kind: type[Content], content: dict[str, Any], name: str) -> None:
    refusal = refused_draft(without(content, name), kind)
    assert name in refusal.detail
    assert refusal.pointer == f"/content/{name}"
    if name != "started_at":  # (one of two members, by a rule)
        assert refusal.faults[0].code == "missing"


def test_a_writer_may_say_label_audience_and_same_as() -> None:
    draft = a_draft(a_solution(), tlp="AMBER", audience="rssi", same_as=["https://example.org/1"])
    assert (draft.tlp, draft.audience, draft.same_as) == ("AMBER", "rssi", ("https://example.org/1",))


# Unknown members


UNKNOWN: list[tuple[type[Content], dict[str, Any], str]] = [
    (Solution, a_solution(licens="MIT"), "/content/licens"),
    (Solution, a_solution(**{"a/b~c": 1}), "/content/a~1b~0c"),
    (Solution, a_solution(**{"": 1}), "/content/"),
    (Solution, a_solution(type="solution"), "/content/type"),
    (Solution, a_solution(ai={"risk": "high"}), "/content/ai/risk"),
    (
        Solution,
        a_solution(packages=[{"purl": "pkg:pypi/a"}, {"cpe": "cpe:/a:b", "url": "x"}]),
        "/content/packages/1/url",
    ),
    (
        Solution,
        a_solution(steward={"identifiers": [{**COMMUNE, "name": "x"}]}),
        "/content/steward/identifiers/0/name",
    ),
    (Deployment, a_deployment(hosting={"model": "operator", "region": "x"}), "/content/hosting/region"),
    (
        Deployment,
        a_deployment(hosting={"model": "operator", "assurances": [{"scheme": "hds", "by": "x"}]}),
        "/content/hosting/assurances/0/by",
    ),
    (
        Deployment,
        a_deployment(coverage={"kind": "count", "count": 1, "territory": ["71"]}),
        "/content/coverage/territory",
    ),
    (
        Deployment,
        a_deployment(coverage={"kind": "list", "beneficiaries": [{"identifiers": [COMMUNE], "siren": "1"}]}),
        "/content/coverage/beneficiaries/0/siren",
    ),
    (
        Deployment,
        a_deployment(
            offer={
                "open": True,
                "price_bands": [
                    {"amount_cents": 1, "currency": "EUR", "per": "year", "unit": "body", "vat": 20}
                ],
            }
        ),
        "/content/offer/price_bands/0/vat",
    ),
    (
        Incident,
        an_incident(affects=[{"solution": "arnia/glpi"}, {"solution": "arnia/glpi", "versions": "1"}]),
        "/content/affects/1/versions",
    ),
    (Incident, an_incident(source={"url": "https://example.org", "sha": "x"}), "/content/source/sha"),
    (
        Incident,
        an_incident(
            updates=[{"at": "2026-03-01T08:00:00Z", "status": "identified", "text": {"fr": "x"}, "by": "x"}]
        ),
        "/content/updates/0/by",
    ),
    (
        Incident,
        an_incident(remediations=[{"category": "workaround", "texte": {"fr": "x"}}]),
        "/content/remediations/0/texte",
    ),
    (Operator, an_operator(identifiers=[{**COMMUNE, "register": "x"}]), "/content/identifiers/0/register"),
    (Group, a_group(member="recia"), "/content/member"),
]


@pytest.mark.parametrize(("kind", "content", "pointer"), UNKNOWN)
def test_an_unknown_member_is_refused_at_every_depth(
    kind: type[Content], content: dict[str, Any], pointer: str
) -> None:
    refusal = refused_draft(content, kind)
    assert refusal.pointer == pointer
    assert "is not a member here" in refusal.detail


def test_the_refusal_of_an_unknown_member_names_those_that_are() -> None:
    detail = refused_draft(a_solution(ai={"risk": "high"})).detail
    assert "risk_class" in detail
    assert "inference_country" in detail


def test_an_unknown_member_beside_the_content_is_refused() -> None:
    assert refused_draft(a_solution(), visibility="all").pointer == "/visibility"


def test_the_tag_of_a_union_is_not_an_unknown_member() -> None:
    assert a_draft(a_deployment(coverage={"kind": "count", "count": 1}), Deployment)


def test_an_append_to_a_timeline_is_read_as_strictly() -> None:
    good = {"text": {"fr": "Rétabli"}, "status": "resolved", "at": "2026-03-01T08:00:00Z"}
    assert read_draft(json.dumps(good).encode(), NewUpdate).status == "resolved"
    for bad, pointer in [
        ({**good, "by": "x"}, "/by"),
        ({**good, "at": "2026-02-30T08:00:00Z"}, "/at"),
        ({**good, "status": "done"}, "/status"),
        ({**good, "text": "Rétabli"}, "/text"),
    ]:
        with pytest.raises(Invalid) as refusal:
            read_draft(json.dumps(bad).encode(), NewUpdate)
        assert refusal.value.pointer == pointer


# Members that are the node's


@pytest.mark.parametrize("name", SERVER_OWNED)
def test_a_member_that_the_node_sets_is_refused_and_not_ignored(name: str) -> None:
    refusal = refused_body(a_body(a_solution(), **{name: "x"}))
    assert (refusal.pointer, refusal.detail) == (f"/{name}", f"{name} is set by the node; leave it out")


def test_the_members_that_the_node_sets_are_these() -> None:
    assert set(SERVER_OWNED) == {"type", "origin", "key", "revision", "created_at", "updated_at"}


def test_a_line_of_a_bulk_upload_names_its_key_and_nothing_else_of_the_node() -> None:
    shape: Any = KeyedDraft
    assert read_draft(a_body(a_solution(), key="glpi"), shape[Solution]).key == "glpi"
    for name in set(SERVER_OWNED) - {"key"}:
        with pytest.raises(Invalid) as refusal:
            read_draft(a_body(a_solution(), key="glpi", **{name: "x"}), shape[Solution])
        assert refusal.value.pointer == f"/{name}"
    with pytest.raises(Invalid, match="key"):
        read_draft(a_body(a_solution()), shape[Solution])
    with pytest.raises(Invalid) as refusal:
        read_draft(a_body(a_solution(), key="not a key"), shape[Solution])
    assert refusal.value.pointer == "/key"


# Members that are there twice


def test_a_member_that_is_there_twice_is_refused_even_with_one_value() -> None:
    once = a_body(a_solution(), tlp="GREEN")
    assert sent(once).tlp == "GREEN"
    for second in (b'"GREEN"', b'"CLEAR"'):
        refusal = refused_body(once[:-1] + b',"tlp":' + second + b"}")
        assert refusal.pointer == "/tlp"
        assert "twice" in refusal.detail


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (a_body(a_solution(name="@")).replace(b'"@"', b'"a", "name": "b"'), "/content/name"),
        (a_body(a_solution(summary={"fr": "@"})).replace(b'"@"', b'"a", "fr": "b"'), "/content/summary/fr"),
        (a_body(a_solution(packages=[{"purl": "pkg:pypi/a"}, {"purl": "@"}])).replace(
            b'"@"', b'"pkg:pypi/a", "purl": "pkg:pypi/b"'), "/content/packages/1/purl"),
        (a_body(a_solution(**{"a/b": "@"})).replace(b'"@"', b'1, "a/b": 2'), "/content/a~1b"),
        (a_body(a_solution(name="@")).replace(b'"@"', b'"a", "n\\u0061me": "b"'), "/content/name"),
    ],
)  # fmt: skip
def test_a_nested_member_that_is_there_twice_is_refused_where_it_is(body: bytes, pointer: str) -> None:
    refusal = refused_body(body)
    assert "twice" in refusal.detail
    assert refusal.pointer == pointer


def test_a_member_that_is_there_twice_is_not_hidden_by_a_number_that_grows() -> None:
    # 1e15 is four bytes, and eighteen when it is written again: as many as the second member has.
    with pytest.raises(Invalid, match="twice"):
        decode_json(b'{"a":1e15,"bbbbbbbb":"","bbbbbbbb":""}')


@pytest.mark.parametrize(
    "body", [b'{"a": {"b": 1}, "b": {"a": 2}}', b'[{"a": 1}, {"a": 1}]', b'{"a": "\\u0062\\/", "b": 10}']
)
def test_the_same_name_in_two_places_is_not_there_twice(body: bytes) -> None:
    assert decode_json(body) == json.loads(body)


# Types


NO_JSON = "is not JSON"


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        (b"0", ""),
        (b"412", ""),
        (b"9007199254740991", ""),
        (b"9007199254740992", "count"),
        (b"18446744073709551616", "count"),
        (b"1" + b"0" * 100, "count"),
        (b"1" + b"0" * 5_000, NO_JSON),
        (b"-1", "count"),
        (b"412.0", ""),
        (b"412.5", "count"),
        (b"4e2", ""),
        (b"1e999", NO_JSON),
        (b"NaN", NO_JSON),
        (b"Infinity", NO_JSON),
        (b"-Infinity", NO_JSON),
        (b"0412", NO_JSON),
        (b"+412", NO_JSON),
        (b"0x19c", NO_JSON),
        (b'"412"', "count"),
        (b"true", "count"),
        (b"null", "count"),
        (b"[412]", "count"),
    ],
)
def test_a_count_is_an_integer_that_every_implementation_keeps(number: bytes, fault: str) -> None:
    body = a_body(a_deployment()).replace(b"412", number)
    if not fault:
        assert sent(body, Deployment).content.coverage.count == int(float(number))
        return
    refusal = refused_body(body, Deployment)
    assert (NO_JSON in refusal.detail) == (fault == NO_JSON)
    assert refusal.pointer == (None if fault == NO_JSON else "/content/coverage/count")


@pytest.mark.parametrize(
    ("kind", "content", "pointer"),
    [
        (Solution, a_solution(name=1), "/content/name"),
        (Solution, a_solution(name=["GLPI"]), "/content/name"),
        (Solution, a_solution(name=None), "/content/name"),
        (Solution, a_solution(summary="Gestion de parc"), "/content/summary"),
        (Solution, a_solution(themes="ai"), "/content/themes"),
        (Solution, a_solution(themes={"0": "ai"}), "/content/themes"),
        (Solution, a_solution(themes=["ai", 1]), "/content/themes/1"),
        (Solution, a_solution(ai=[]), "/content/ai"),
        (Solution, a_solution(ai={"personal_data": "true"}), "/content/ai/personal_data"),
        (Solution, a_solution(ai={"personal_data": 1}), "/content/ai/personal_data"),
        (Deployment, a_deployment(offer={"open": "yes"}), "/content/offer/open"),
        (Deployment, a_deployment(since=20260301), "/content/since"),
        (Deployment, a_deployment(coverage={}), "/content/coverage/kind"),
        (Deployment, a_deployment(coverage={"kind": "all"}), "/content/coverage/kind"),
        (Solution, [], "/content"),
        (Solution, "GLPI", "/content"),
    ],
)
def test_the_wrong_type_is_refused_where_it_is(kind: type[Content], content: Any, pointer: str) -> None:
    assert refused_draft(content, kind).pointer == pointer


@pytest.mark.parametrize(
    "summary", [{"fr": ""}, {"fr": 1}, {"fr": None}, {"fr": {}}, {"français": "x"}, {"fr": "x" * 20_001}]
)
def test_a_fault_in_a_language_map_is_pointed_at_with_a_member_that_is_there(summary: dict[str, Any]) -> None:
    assert refused_draft(a_solution(summary=summary)).pointer in (
        "/content/summary",
        f"/content/summary/{next(iter(summary))}",
    )


def test_the_members_a_writer_says_beside_the_content_have_their_types() -> None:
    assert refused_draft(a_solution(), tlp="WHITE").pointer == "/tlp"
    assert refused_draft(a_solution(), tlp="clear").pointer == "/tlp"
    assert refused_draft(a_solution(), tlp="AMBER", audience="Not A Name").pointer == "/audience"
    assert refused_draft(a_solution(), same_as=["https://example.org", "no uri"]).pointer == "/same_as/1"
    assert refused_draft(a_solution(), same_as=["https://example.org"] * 51).pointer == "/same_as"


def test_label_and_audience_must_go_together() -> None:
    assert a_draft(a_solution(), tlp="AMBER", audience="rssi")
    for tlp, audience in [
        ("AMBER", None), ("AMBER+STRICT", None), ("CLEAR", "rssi"), ("GREEN", "rssi"), ("RED", "rssi"),
        ("AMBER", "public"), ("AMBER", "federation"), ("AMBER", "private"), (None, "rssi"),
    ]:  # fmt: skip
        assert refused_body(a_body(a_solution(), tlp=tlp, audience=audience)).pointer == "/audience"


# What is no JSON object


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"\n", b"nothing", b"{", b"{}}", b'{"content":}', b"{'content': 1}", b'{"a":1,}', b"[1,]",
        b"\xef\xbb\xbf{}", b'{"a": "\x01"}', b'{"a": "b\nc"}', b'{"a": /**/ 1}', b"\x00", b'{"a":"\\x41"}',
        '{"content": "x"}'.encode("utf-16"), '{"content": "x"}'.encode("utf-32-le"), b'{"a":1}{"b":2}',
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused(body: bytes) -> None:
    assert "is not JSON" in refused_body(body).detail


@pytest.mark.parametrize(
    "text", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"caf\xe9"]
)
def test_what_is_no_utf_8_is_refused(text: bytes) -> None:
    body = a_body(a_solution(name="@"))
    assert sent(body.replace(b"@", "café".encode())).content.name == "café"
    assert "is not UTF-8" in refused_body(body.replace(b"@", text)).detail


@pytest.mark.parametrize(
    "escape", [rb"\ud800", rb"\udc00", rb"\ud800x", rb"\ud83d\ud83d", rb"\ude00\ud83d", rb"\uD800\u0041"]
)
def test_a_lone_surrogate_is_refused_and_a_pair_is_a_character(escape: bytes) -> None:
    body = a_body(a_solution(name="@"))
    assert sent(body.replace(b"@", rb"\ud83d\ude00")).content.name == "😀"
    assert "is not JSON" in refused_body(body.replace(b"@", escape)).detail


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null", b"true", b"[{}]"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    assert refused_body(body).detail == "the body must be a JSON object"


def test_an_empty_object_has_no_content() -> None:
    assert "content" in refused_body(b"{}").detail


# Depth


def test_json_of_thirty_two_levels_is_read_and_of_thirty_three_is_not() -> None:
    assert MAX_DEPTH == 32
    assert decode_json(nested(32)) is not None
    assert decode_json(b'{"a":' * 32 + b"1" + b"}" * 32) is not None
    for body in (nested(33), b'{"a":' * 33 + b"1" + b"}" * 33, b'[{"a":' * 16 + b"[]" + b"}]" * 16):
        with pytest.raises(Invalid, match="nested deeper than 32 levels"):
            decode_json(body)


@pytest.mark.parametrize(
    "body", [nested(100_000), b"[" * 100_000, b'{"a":' * 100_000, b'{"content":' + nested(100_000) + b"}"]
)
def test_json_of_a_hundred_thousand_levels_is_refused_before_it_is_decoded(body: bytes) -> None:
    assert "nested deeper" in refused_body(body).detail


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"[]," * 1_000 + b"[]]",
        json.dumps({"a": "[" * 100, "b": "{" * 100}).encode(),
        json.dumps(['"' + "[" * 100, "\\" + "[" * 100, '\\"' + "[" * 100, "\\"]).encode(),
        json.dumps({'"[[' * 20: "]]" * 20}).encode(),
    ],
)
def test_width_and_brackets_in_texts_are_not_depth(body: bytes) -> None:
    assert decode_json(body) == json.loads(body)


def test_depth_is_that_of_the_deepest_value_wherever_it_stands() -> None:
    chance = random.Random(7)

    def value(height: int) -> Any:
        """One of exactly so many levels, among lower ones."""
        if not height:
            return chance.choice([1, "[[", "}", 'a"]', "\\", None])
        inner = [value(chance.randint(0, min(height - 1, 3))) for _ in range(chance.randint(0, 2))]
        inner.insert(chance.randint(0, len(inner)), value(height - 1))
        return inner if chance.random() < 0.5 else {f"{{{n}": item for n, item in enumerate(inner)}

    for depth in (1, MAX_DEPTH - 1, MAX_DEPTH) * 20:
        check_depth(json.dumps(value(depth)).encode())
    for depth in (MAX_DEPTH + 1, MAX_DEPTH + 2, 60) * 20:
        with pytest.raises(Invalid, match="nested deeper"):
            check_depth(json.dumps(value(depth)).encode())


@pytest.mark.parametrize("text", ["\\", '"', '\\"', '\\\\"', "]" * 50, '"]'])
def test_depth_is_not_hidden_behind_a_text(text: str) -> None:
    body = b"[" + json.dumps(text).encode() + b"," + nested(32) + b"]"
    with pytest.raises(Invalid, match="nested deeper"):
        check_depth(body)
    check_depth(b"[" + json.dumps(text).encode() + b"," + nested(31) + b"]")


# The rest


def test_a_draft_of_text_in_every_script_goes_through() -> None:
    names = "Ç'est L'été — «naïve» œuvre, Ελληνικά, Русский, العربية, 日本語, 한국어, 😀"
    assert names.encode() in a_record(a_solution(description={"fr": names})).document


def test_a_shape_for_another_type_does_not_take_the_content() -> None:
    shape: Any = Draft
    with pytest.raises(Invalid):
        read_draft(a_body(a_solution()), shape[Deployment])
