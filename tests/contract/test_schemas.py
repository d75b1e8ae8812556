"""What is published in ``schemas/`` is what the code does, and stays readable."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import re2
import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from federation.domain.alert import DIGEST_EVENT, EVENTS, TEST_EVENT
from federation.domain.record_reading import read_record
from federation.domain.registry import TYPES
from federation.spec.contract import contract
from tests.contract.patterns import (
    patterns,
    published,
    refused_by_ecma_262,
    refused_by_re2,
    schemas_in,
)

SCHEMAS = Path(__file__).parents[2] / "schemas"
EXAMPLES = sorted(SCHEMAS.glob("examples/*/*.json"))


PUBLISHED = dict(contract())


@pytest.mark.parametrize(("name", "content"), PUBLISHED.items(), ids=PUBLISHED)
def test_what_is_published_is_what_the_code_says(name: str, content: bytes) -> None:
    assert (SCHEMAS / name).read_bytes() == content, "run `make schemas` and look at what changed"


def test_nothing_else_is_published() -> None:
    current = {SCHEMAS / name for name in PUBLISHED}
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


@pytest.mark.parametrize("pattern", patterns())
def test_every_pattern_means_the_same_in_re2(pattern: str) -> None:
    portable, python = re2.compile(pattern), re.compile(pattern.removesuffix("$") + r"\Z")
    texts = [
        "",
        "arnia",
        "arnia/glpi",
        "FR",
        "71",
        "fr-FR",
        "https://a.example/b?c#d",
        "a b",
        "a\nb",
        "é",
        "x\n",
    ]
    texts += ["2026-03-01", "2026-03-01T08:30:00Z", "0" * 64, "pkg:npm/a", "cpe:2.3:a:b:c", "a\u00a0b"]
    texts += ["vers:generic/>=1|<2", "/affected/0", "a\u2003b", "a@b.example", "a:b\x00", "a:\u00e9", 'a:"']
    for text in texts:
        assert bool(portable.search(text)) == bool(python.search(text)), text


def test_no_pattern_ends_a_comment() -> None:
    """OpenAPI Generator writes ``*_/`` for ``*/`` in Go, where texts from outside could end a comment."""
    assert [pattern for pattern in patterns() if "*/" in pattern] == []
    assert any("*[/]" in pattern for pattern in patterns())


def test_every_pattern_is_read_by_re2_and_ecma_262() -> None:
    wrong = [r"^[^\s\"]+$", r"^a(?!b)$", r"^(a)\1$"]
    assert refused_by_re2(patterns()) == []
    assert len(refused_by_re2(wrong)) >= 2
    found = refused_by_ecma_262(patterns())
    if found is None:
        pytest.skip("Node.js is not installed: patterns were compiled by RE2 alone")
    assert found == []
    refused = refused_by_ecma_262(wrong)
    assert refused is not None
    assert len(refused) == 1, "the check refuses nothing"


def test_what_is_read_has_no_default_and_an_optional_member_is_never_null() -> None:
    schemas = published()["openapi.json"]["components"]["schemas"]
    for name, schema in schemas.items():
        if name.endswith("Patch"):
            continue
        for at, inner in schemas_in(schema, name):
            for member, about in inner.get("properties", {}).items():
                if isinstance(about, dict) and member not in inner.get("required", ()):
                    assert "null" not in about.get("type", ()), (at, member)
                    assert {"type": "null"} not in about.get("oneOf", ()), (at, member)
                assert not re.search('"default"', msgspec.json.encode(about).decode()), (at, member)


def test_every_enumeration_and_constant_has_a_type() -> None:
    for name, document in published().items():
        for at, schema in schemas_in(document, name):
            if re.search(r"/(if|then|else|dependentSchemas|not)(/|$)", at) or at.endswith("/mapping"):
                continue
            if isinstance(schema.get("enum"), list) or isinstance(schema.get("const"), str | bool):
                assert isinstance(schema.get("type"), str), at
            assert len(schema.get("enum", "two")) > 1, at


def test_no_name_breaks_a_generator() -> None:
    document = published()["openapi.json"]
    for name, schema in document["components"]["schemas"].items():
        snake = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        assert snake not in schema.get("properties", {}), f"openapi-python-client has one variable for {name}"
    tags = {
        tag for methods in document["webhooks"].values() for hook in methods.values() for tag in hook["tags"]
    }
    for methods in document["paths"].values():
        for operation in methods.values():
            assert not tags & set(operation["tags"]), "openapi-generator writes one file for each tag"
    names = list(document["components"]["schemas"])
    folded = [name.lower() for name in names]
    assert len(set(folded)) == len(names)
    operations = {
        operation["operationId"].lower()
        for methods in document["paths"].values()
        for operation in methods.values()
    }
    assert not operations & set(folded)
    # In Go the constructor of X is NewX.
    assert not {f"New{name}" for name in names} & set(names)
    of_languages = {"Number", "String", "Boolean", "Object", "Array", "Record", "Error", "Date", "Map", "Set"}
    assert not of_languages & set(names)


def test_each_type_of_document_says_so_itself() -> None:
    for kind in TYPES.values():
        properties = published()[f"{kind.type}.schema.json"]["properties"]
        assert properties["type"]["const"] == kind.type


def test_alternatives_exclude_each_other() -> None:
    """But for documents in entries, where the last branch takes what a client does not know."""
    document = published()["openapi.json"]
    open_ended = {"openapi.json/components/schemas/Entry/properties/document"}
    open_ended |= {"openapi.json/components/schemas/Change/properties/document"}
    found = {
        at
        for at, schema in schemas_in(document, "openapi.json")
        if "anyOf" in schema and not re.search(r"/(if|then|else|dependentSchemas)(/|$)", at)
    }
    assert found == open_ended


def test_alerts_in_the_documentation_keep_their_schema() -> None:
    document = published()["openapi.json"]
    page = (SCHEMAS.parent / "docs/how-to/be-alerted.md").read_text()
    alerts = [msgspec.json.decode(block) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    assert {alert["type"] for alert in alerts} == {"alerts.withheld", "incident.affects-mine"}
    for alert in alerts:
        body = document["webhooks"][alert["type"]]["post"]["requestBody"]
        schema = {"components": document["components"], **body["content"]["application/json"]["schema"]}
        Draft202012Validator(schema).validate(alert)
        assert not Draft202012Validator(schema).is_valid({**alert, "data": {}})


def test_every_event_that_one_can_subscribe_to_has_a_webhook() -> None:
    hooks = published()["openapi.json"]["webhooks"].keys()
    assert hooks == {*EVENTS, TEST_EVENT, DIGEST_EVENT}


def test_every_rule_that_is_switched_off_is_explained() -> None:
    page = (SCHEMAS.parent / "docs/reference/linting.md").read_text()
    lint = SCHEMAS.parent / "tests/contract/lint"
    changed = set(yaml.safe_load((lint / "redocly.yaml").read_text())["rules"])
    changed |= set(yaml.safe_load((lint / "spectral.yaml").read_text()).get("rules", ()))
    rules = yaml.safe_load((lint / "adr.yaml").read_text())["rules"]
    changed |= {name for name, rule in rules.items() if isinstance(rule, dict) and not rule["severity"]}
    assert len(changed) == 4
    for name in changed:
        assert f"| `{name}` |" in page, name
