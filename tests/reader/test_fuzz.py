"""A few of the entries of `make compare`, and proof that a difference is noticed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reader.conformance_reader import node_program
from tests.reader.fuzz import Judge, differences, judge, verdict
from tests.reader.made_up import ROOT, Entries

SEED = 18
CASES = 1_500


@pytest.fixture(scope="module")
def asked() -> Iterator[Judge]:
    with judge(node_program()) as process:
        yield process


def test_both_implementations_give_the_same_verdicts(asked: Judge) -> None:
    counted: dict[str, int] = {}
    assert list(differences(asked, CASES, SEED, counted)) == []
    for name in ("understood", "not-understood", "bad-hash", "bad-document", "wrong-audience", "unreadable"):
        assert counted[name] > CASES / 100, counted
    assert counted["ends-the-stream"]


def test_a_difference_is_noticed(tmp_path: Path) -> None:
    for path in (ROOT / "schemas").glob("*.schema.json"):
        schema = json.loads(path.read_text())
        schema["required"] = [*schema["required"], "later"]
        (tmp_path / path.name).write_text(json.dumps(schema))
    with judge(node_program(), tmp_path) as process:
        found = list(differences(process, 300, SEED, {}))
    kinds = {(difference["ours"]["verdict"], difference["theirs"]["verdict"]) for difference in found}
    assert kinds == {("understood", "not-understood")}


def test_the_same_seed_makes_the_same_entries() -> None:
    first, second = (Entries(SEED) for _ in range(2))
    assert [first.line() for _ in range(20)] == [second.line() for _ in range(20)]


def test_the_verdict_of_this_program_is_that_of_the_reader_on_a_line(asked: Judge) -> None:
    line = b'{"seq":7,"op":"withdraw","type":"solution","key":"glpi","revision":3}'
    (answer,) = asked.verdicts([("arnia/public", line)])
    assert answer["verdict"] == verdict(line, "arnia/public")["verdict"] == "understood"
    (answer,) = asked.verdicts([("arnia/public", line[:-1])])
    assert answer["verdict"] == verdict(line[:-1], "arnia/public")["verdict"] == "ends-the-stream"
