"""Readers of sources raise their own error and no other, on mutated real files."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from federation.domain.errors import Invalid
from federation.domain.sources.reading import Item, Reading
from tests.fuzz.reader_inputs import Reader, registered
from tests.fuzz.readers import Violation, fuzz, input_of, try_input

CASES = 60
"""For each reader; ``python -m tests.fuzz.readers`` tries more."""


@pytest.mark.parametrize("reader", registered(), ids=lambda reader: reader.name)
def test_a_mutated_file_is_read_or_refused(reader: Reader) -> None:
    _, violations = fuzz([reader], CASES, seed=7)
    assert violations == []


def test_an_input_is_the_same_for_the_same_seed() -> None:
    reader = registered()[0]
    examples = list(reader.examples())
    assert (
        input_of(reader, examples, 1, 5)
        == input_of(reader, examples, 1, 5)
        != input_of(reader, examples, 2, 5)
    )


def _item(key: str) -> Item:
    return Item("solutions", key, {}, "line 2", key)


def refuse(raw: bytes) -> object:
    raise Invalid("no")


def recurse(raw: bytes) -> object:
    raise RecursionError


def panic(raw: bytes) -> object:
    raise BaseException("a panic of a library")


@pytest.mark.parametrize(
    ("read", "problem"),
    [
        (refuse, None),
        (lambda raw: Reading((_item("a"), _item("b"))), None),
        (recurse, "RecursionError"),
        (panic, "a panic of a library"),
        (lambda raw: Reading((_item("a"), _item("a"))), "two solutions"),
        (lambda raw: Reading((_item("no key"),)), "no key"),
    ],
)
def test_an_outcome_that_breaks_the_contract_is_found(
    read: Callable[[bytes], object], problem: str | None
) -> None:
    reader = Reader("broken", read, lambda: [b"a;b"])
    if problem is None:
        assert try_input(reader, b"a;b") in ("read", "refused")
    else:
        with pytest.raises(Violation, match=problem):
            try_input(reader, b"a;b")
        assert fuzz([reader], 3, seed=1)[1]
