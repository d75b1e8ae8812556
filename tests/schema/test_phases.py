"""A few hundred of the requests of ``make conformance``, and proof that it sees what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from federation.domain.rules import RULES
from federation.domain.scopes import SCOPES
from tests.clients.node import Serving, serving
from tests.schema.conformance import ONCE, Conformance
from tests.schema.exceptions import reason_for_refusal

pytestmark = pytest.mark.long

SEED = 18
GROUPS = "^/v1/groups"
"""The type with the smallest schema: what is made up of it is often taken."""
MAX_TURNS = 10
"""Turns of 150 requests: the ids in the answers differ from run to run, so a turn may retract no record."""


@pytest.fixture(scope="module")
def node() -> Iterator[Serving]:
    with serving(tuple(SCOPES)) as serving_node:
        yield serving_node


def test_every_bound_of_a_schema_is_that_of_the_node(node: Serving) -> None:
    conformance = Conformance(node, SEED)
    conformance.run(ONCE, operations=GROUPS)
    assert conformance.failures == []
    assert conformance.sent.total() > 300


def test_sequences_by_links_are_answered_as_described(node: Serving) -> None:
    conformance = Conformance(node, SEED)
    expected = {("stateful", status) for status in (200, 201, 410)}
    for turn in range(MAX_TURNS):
        conformance.seed = SEED + turn
        conformance.run(["stateful"], 150, operations=GROUPS)
        if expected <= conformance.sent.keys() and conformance.followed.total() > 30:
            break
    assert conformance.failures == []
    assert conformance.followed.total() > 30
    assert expected <= conformance.sent.keys(), conformance.sent


def test_made_up_requests_are_answered_as_described(node: Serving) -> None:
    conformance = Conformance(node, SEED)
    conformance.run(["fuzzing"], 150)
    assert conformance.failures == []


@pytest.mark.parametrize("missing", ["status", "member"])
def test_an_answer_that_is_not_described_is_a_failure(node: Serving, missing: str) -> None:
    conformance = Conformance(node, SEED, max_failures=1)
    if missing == "status":
        del conformance.document["paths"]["/v1/groups/{origin}/{key}"]["get"]["responses"]["404"]
    else:
        conformance.document["components"]["schemas"]["Problem"]["required"].append("later")
    conformance.run(["fuzzing"], 400, operations=GROUPS)
    words = "Undocumented" if missing == "status" else "'later'"
    assert conformance.failures
    assert all(words in failure.replace('"', "'") for failure in conformance.failures)


def refused(**fault: Any) -> Any:
    problem = {"code": "invalid", "errors": [{"pointer": "/content/licence", "detail": "", **fault}]}
    return SimpleNamespace(status_code=400, content=msgspec.json.encode(problem))


@pytest.mark.parametrize("number", RULES)
def test_a_rule_is_a_reason_where_no_schema_says_it(number: int) -> None:
    case = SimpleNamespace(method="POST", query={}, body={})
    reason = reason_for_refusal(case, refused(code="rule", rule=number))
    assert reason == (None if RULES[number].in_schema else f"rule {number}")


def test_only_years_that_records_do_not_have_are_a_reason() -> None:
    for value, is_reason in (("0999-01-01", True), ("2026-01-01", False), ("x", False)):
        case = SimpleNamespace(method="POST", query={}, body={"content": {"licence": value}})
        assert bool(reason_for_refusal(case, refused(code="pattern"))) is is_reason
