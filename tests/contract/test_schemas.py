"""What is published in ``schemas/`` is what the code does, and stays readable."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from federation.domain.record_reading import read_record
from federation.domain.registry import TYPES
from federation.spec.contract import contract

SCHEMAS = Path(__file__).parents[2] / "schemas"
EXAMPLES = sorted(SCHEMAS.glob("examples/*/*.json"))


@pytest.mark.parametrize(
    ("name", "content"),
    list(contract()),
    ids=[name for name, _ in contract()],
)
def test_what_is_published_is_what_the_code_says(name: str, content: bytes) -> None:
    assert (SCHEMAS / name).read_bytes() == content, "run `make schemas` and look at what changed"


def test_nothing_else_is_published() -> None:
    current = {SCHEMAS / name for name, _ in contract()}
    published = {path for path in SCHEMAS.rglob("*") if path.is_file()}
    assert published - current <= set(EXAMPLES)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_example_of_every_version_can_still_be_read(path: Path) -> None:
    raw = path.read_bytes()
    said: dict[str, Any] = msgspec.json.decode(raw)
    record = read_record(
        raw, type_name=said["type"], origin=said["origin"], key=said["key"], revision=said["revision"]
    )
    assert record.document == raw
    assert record.projection.facets


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_example_keeps_the_published_schema(path: Path) -> None:
    said: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    schema = msgspec.json.decode((SCHEMAS / f"{said['type']}.schema.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    validator.validate(said)
    del said["content"][next(iter(TYPES[said["type"]].__struct_fields__))]
    assert not validator.is_valid(said), "a schema that takes anything proves nothing"


def test_there_is_an_example_of_every_type() -> None:
    newest = {path.stem for path in EXAMPLES if path.parent.name == max(p.parent.name for p in EXAMPLES)}
    assert newest == set(TYPES)


def test_the_openapi_document_is_valid_and_names_each_operation_once() -> None:
    document = msgspec.json.decode((SCHEMAS / "openapi.json").read_bytes())
    validate(document)
    operations = [
        operation
        for path in document["paths"].values()
        for operation in path.values()
        if "operationId" in operation
    ]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names)) > 30
    assert all(name.isidentifier() and name[0].islower() for name in names)
    for operation in operations:
        assert operation["summary"]
        assert "security" in operation
        assert any(status.startswith(("4", "5")) for status in operation["responses"])


def test_every_schema_that_is_referred_to_is_there() -> None:
    text = (SCHEMAS / "openapi.json").read_text()
    named = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert len(named) > 50
    assert named <= set(msgspec.json.decode(text)["components"]["schemas"])


def test_drafts_are_closed_and_documents_are_open() -> None:
    schemas = msgspec.json.decode((SCHEMAS / "openapi.json").read_bytes())["components"]["schemas"]
    assert schemas["SolutionDraft"]["additionalProperties"] is False
    assert schemas["SolutionInput"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["SolutionDocument"]
    assert "additionalProperties" not in schemas["Solution"]
