"""The refusals and acceptances that a JSON Schema cannot foretell, each with its reason.

Schemathesis takes what keeps the schemas of a request for good, and all else for bad. A request that is good
by the document, and that a node refuses, has one of the reasons here: most break a numbered rule of
``federation/domain/rules.py``. What has no reason is a fault of the document or of the node.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from schemathesis.core.parameters import ParameterLocation

from federation.domain.rules import RULES
from federation.edge.answers import NDJSON

Document = dict[str, Any]

_YEAR = re.compile(r"([0-9]{4})-")
BY_STATUS = {
    410: "the record was retracted, or the cursor is old",
    412: "the condition (If-Match, If-None-Match) does not hold",
    502: "another node does not answer",
}
"""Refusals for the state of the node: every one of this status."""
BY_CODE = {
    "idempotency-key-reused": "the key is that of another request",
    "not-acceptable": "the form asked for is not one of the answer",
    "cursor-refused": "the cursor was not given by an answer",
    "epoch-changed": "the cursor was not given by an answer",
    "cursor-in-future": "the cursor was not given by an answer",
    "cursor-expired": "the cursor was not given by an answer",
}
"""Refusals for the state of the node: every one with this code."""
BY_FAULT = {
    ("?after", "invalid"): "the cursor was not given by an answer",
    ("?page[after]", "invalid"): "the cursor was not given by an answer",
    ("?sort", "not-allowed"): "relevance needs words",
    ("?territory", "not-allowed"): "the register of territories grows",
    ("?digest", "invalid"): "a digest is for a replacement",
    ("?set", "missing"): "a replacement has a set",
    ("/records", "missing"): "the first line of a replacement says how many follow",
    ("/records", "rule"): "the first line of a replacement says how many follow",
    ("?numbers", "unknown-parameter"): "numbers are asked for alone",
    ("/client_name", "invalid"): "a name has no control characters",
    ("/email", "invalid"): "the node sends no e-mail",
    ("?as", "missing"): "a file has a kind, or a source",
    ("?source", "missing"): "a replacement is of a source",
    ("?options", "invalid"): "options are a JSON object of the kind",
    ("?options", "wrong-type"): "options are a JSON object of the kind",
    ("/every", "invalid"): "an address is polled every so many seconds",
    ("/audience", "invalid"): "an audience goes with AMBER",
    ("/audience", "rule"): "an audience goes with AMBER",
    ("/kind", "not-allowed"): "the list of kinds of sources grows",
    ("?q", "missing"): "white space alone asks for nothing",
    ("/body_id", "not-allowed"): "the register of territories grows",
    ("?body", "not-allowed"): "the register of territories grows",
    ("/body_id", "pattern"): "the identifier of a body has a right check digit or form of its scheme",
    ("?body", "pattern"): "the identifier of a body has a right check digit or form of its scheme",
    ("?kind", "invalid"): "the register knows the kind of the body",
    ("?kind", "missing"): "the register does not have the body, and prices depend on its kind",
    ("?departement", "invalid"): "the register knows the départements of the body",
}
"""Relations of parameters, lists and settings, which OpenAPI has no words for: by pointer and code."""
YEARS = "years 1970 to 2200: the description of a date"
REPEATED = "a form has each parameter once (RFC 6749, 3.2), also those that nobody knows"
TOGETHER = "the filters of a list have 50 values together"
TEXT = "a parameter has NUL"
MERGED = "what a merge patch makes of the record breaks the schema"
NULL = "null for an optional member is read as absent"
FILE = "the body is no file of its kind: OpenAPI describes bytes"
LINES = "an upload is answered 200, and refuses line by line"


def reason_for_refusal(case: Any, answer: Any) -> str | None:
    """Why a request that keeps the document is refused; None where nothing explains it."""
    if answer.status_code in BY_STATUS:
        return BY_STATUS[answer.status_code]
    try:
        problem = msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        return None
    if not isinstance(problem, dict):
        return None
    if "twice" in problem.get("error_description", ""):
        return REPEATED
    if problem.get("code") in BY_CODE:
        return BY_CODE[problem["code"]]
    if not problem.get("errors") and case.operation.path == "/v1/imports":
        return FILE
    reasons = [_reason_for_fault(case, fault) for fault in problem.get("errors", ())]
    return "; ".join(sorted({reason for reason in reasons if reason})) if all(reasons) and reasons else None


def _reason_for_fault(case: Any, fault: Document) -> str | None:
    pointer: str = fault["pointer"]
    rule = RULES.get(fault.get("rule", 0))
    if rule is not None and not rule.in_schema:
        return f"rule {fault['rule']}"
    if fault["code"] in ("pattern", "out-of-range"):
        year = _YEAR.match(str(_value_at(case, pointer)))
        if year is not None and not 1970 < int(year[1]) < 2200:
            return YEARS
    if fault["code"] == "text" and pointer.startswith("?"):
        return TEXT
    if fault["code"] == "too-many" and pointer.startswith("?"):
        return TOGETHER
    if case.method.upper() == "PATCH" and pointer.startswith(("/content", "/audience", "/tlp")):
        return MERGED
    return BY_FAULT.get((pointer, fault["code"]))


def _value_at(case: Any, pointer: str) -> Any:
    """The value of a request that a pointer of a problem names; None where there is none."""
    if pointer.startswith("?"):
        return (case.query or {}).get(pointer[1:])
    value = case.body
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        match value:
            case dict():
                value = value.get(name)
            case list() if name.isdigit() and int(name) < len(value):
                value = value[int(name)]
            case _:
                return None
    return value


def reason_for_acceptance(case: Any, answer: Any, document: Document) -> str | None:
    """Why a request that breaks the document is taken; None where nothing explains it."""
    data = case.meta.phase.data
    if data.parameter_location != ParameterLocation.BODY and not _lost_its_fault(case, answer, document):
        return None
    if case.operation.path.endswith("/bulk") or case.media_type == NDJSON:
        report = msgspec.json.decode(answer.content.splitlines()[-1])
        if report["summary"]["refused"]:
            return LINES
    content = document["paths"][case.operation.path][case.operation.method.lower()]["requestBody"]["content"]
    schema = {"components": document["components"], **content[case.media_type]["schema"]}
    try:
        Draft202012Validator(schema).validate(_without_nulls(case.body))
    except ValidationError:
        return None
    return NULL


def _lost_its_fault(case: Any, answer: Any, document: Document) -> bool:
    """True where the fault of a query is a parameter that the document does not have, and that was not sent.

    Schemathesis adds one to break the query, and nothing is sent of an empty list.
    """
    operation = document["paths"][case.operation.path][case.operation.method.lower()]
    shared = document["components"]["parameters"]
    declared = {
        shared[part["$ref"].rpartition("/")[2]]["name"] if "$ref" in part else part["name"]
        for part in operation.get("parameters", ())
    }
    query = parse_qsl(urlsplit(answer.request.url).query, keep_blank_values=True)
    return bool(set(case.query or ()) - declared) and {name for name, _ in query} <= declared


def _without_nulls(value: Any) -> Any:
    match value:
        case dict():
            return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
        case list():
            return [_without_nulls(inner) for inner in value]
        case _:
            return value
