"""From the schemas of msgspec to published ones: portable, without null for what is absent, with names."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from jsonschema import Draft202012Validator
from msgspec import Meta

from federation.api.components import schemas_of
from federation.api.member_words import member_words
from federation.api.merge_patches import MergePatches
from federation.api.portable import Schema, fingerprint, nullable, reform, without_null
from federation.api.shared_parts import share
from tests.docs.blocks import ROOT

TEMPLATE = "#/components/schemas/{name}"


class Inner(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A part."""

    name: str
    """What people call it."""
    note: str | None = None


class Outer(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A thing."""

    kind: Literal["a", "b"]
    inner: Inner
    label: Literal["only"] = "only"
    other: Inner | None = None
    texts: Annotated[dict[str, str], Meta(min_length=1)] | None = None
    many: tuple[Inner, ...] = ()
    count: int = 3


class View(msgspec.Struct):
    """Written whole."""

    failure: str | None
    names: tuple[str, ...] = ()


def schemas(use: Any) -> dict[str, Schema]:
    return schemas_of([Outer, View], use, template=TEMPLATE)


def test_what_may_be_absent_is_never_null_and_has_no_default_of_nothing() -> None:
    outer = schemas("body")["Outer"]
    assert outer["required"] == ["kind", "inner"]
    assert outer["properties"]["other"] == {"$ref": "#/components/schemas/Inner"}
    assert "default" not in outer["properties"]["many"]
    assert outer["properties"]["count"] == {"type": "integer", "description": "Absent: 3."}
    assert schemas("answer")["Outer"]["properties"]["count"] == {"type": "integer"}


def test_a_struct_that_is_written_whole_requires_its_members_and_may_say_null() -> None:
    view = schemas("answer")["View"]
    assert view["required"] == ["failure", "names"]
    assert view["properties"]["failure"] == {"type": ["string", "null"]}


def test_an_enumeration_is_closed_to_send_and_open_to_read() -> None:
    assert schemas("body")["Outer"]["properties"]["kind"] == {"type": "string", "enum": ["a", "b"]}
    read = schemas("answer")["Outer"]["properties"]["kind"]
    assert read == {"type": "string", "x-extensible-enum": ["a", "b"]}
    assert Draft202012Validator(read).is_valid("c")
    assert schemas("answer")["Outer"]["properties"]["label"] == {"type": "string", "const": "only"}


def test_what_is_sent_is_closed_and_what_is_read_is_not() -> None:
    assert schemas("body")["Inner"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas("answer")["Inner"]


def test_members_have_the_words_below_them() -> None:
    assert member_words(View) == {}, "tests are no part of the contract"
    from federation.api.alerts import SubscriptionView

    assert "410" in member_words(SubscriptionView)["active"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "maxLength": 3},
        {"type": "string", "enum": ["a"]},
        {"$ref": "#/x"},
        {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    ],
)
def test_null_is_added_and_taken_away(schema: Schema) -> None:
    with_null = nullable(schema)
    assert fingerprint(without_null(with_null)) == fingerprint(schema)
    if "$ref" not in schema:
        assert Draft202012Validator(with_null).is_valid(None)
        assert not Draft202012Validator(without_null(with_null)).is_valid(None)


def test_a_pattern_and_a_date_are_portable() -> None:
    dated = {"type": "string", "format": "date-time", "pattern": r"^[0-9TZ:-]+$(?!\n)"}
    assert reform(dated, "answer") == {"type": "string", "format": "date-time"}
    assert reform(dated, "document")["pattern"] == "^[0-9TZ:-]+$"


def test_members_that_are_called_like_keywords_stay_as_they_are() -> None:
    schema = {"type": "object", "properties": {"enum": {"type": "string"}, "pattern": {"type": "string"}}}
    assert reform(schema, "body") == schema


def test_a_merge_patch_removes_what_may_be_absent_and_nothing_else() -> None:
    patches = MergePatches(schemas("body"), TEMPLATE)
    patches.add("Outer")
    whole = {"components": {"schemas": {**schemas("body"), **patches.schemas}}}
    patch = Draft202012Validator({**whole, "$ref": "#/components/schemas/OuterPatch"})
    good: list[Any] = [
        {},
        {"other": None, "texts": None, "many": None},
        {"inner": {"note": None}},
        {"texts": {"fr": None}},
        {"other": {"name": "x"}},
    ]
    for one in good:
        patch.validate(one)
    wrong: list[Any] = [
        {"kind": None}, {"inner": None}, {"inner": {"name": None}}, {"colour": 1}, {"kind": "c"},
        {"many": [{"name": None}]},
    ]  # fmt: skip
    for one in wrong:
        assert not patch.is_valid(one), one


def test_parameters_that_recur_are_components_and_others_stay() -> None:
    common = {"name": "after", "in": "query", "schema": {"type": "string"}}
    rare = {"name": "after", "in": "query", "schema": {"type": "integer"}}
    operations = [{"parameters": [part], "responses": {}} for part in (common, dict(common), rare)]
    paths = {f"/{number}": {"get": operation} for number, operation in enumerate(operations)}
    shared = share(paths, {})
    assert shared == {"parameters": {"AfterQuery": common}, "headers": {}}
    assert [operation["parameters"] for operation in operations] == [
        [{"$ref": "#/components/parameters/AfterQuery"}],
        [{"$ref": "#/components/parameters/AfterQuery"}],
        [rare],
    ]


def null_alone(schema: Any) -> list[str]:
    """The members below that can be null and nothing else."""
    if isinstance(schema, list):
        return [name for inner in schema for name in null_alone(inner)]
    if not isinstance(schema, dict):
        return []
    members = schema.get("properties")
    found = [
        name
        for name, member in (members.items() if isinstance(members, dict) else ())
        if isinstance(member, dict) and member.get("type") == "null"
    ]
    return found + [name for inner in schema.values() for name in null_alone(inner)]


def test_no_member_of_the_document_is_null_alone() -> None:
    """Three of six generators make a client that does not compile of one."""
    document = msgspec.json.decode((ROOT / "schemas/openapi.json").read_bytes())
    assert null_alone(document) == []
    of_none = {"properties": {"a": {"type": "null", "description": "x"}, "b": {"type": ["string", "null"]}}}
    assert null_alone({"x": [of_none]}) == ["a"]
