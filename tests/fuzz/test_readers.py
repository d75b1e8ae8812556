"""Readers of foreign bytes raise their own error and no other on mutated real files, in flat memory."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable
from types import CodeType, FrameType

import pytest

from federation.domain import formats, record_files
from federation.domain.errors import Invalid
from federation.domain.sources.reading import Item, Reading
from tests.fuzz import memory
from tests.fuzz.reader_inputs import Reader, registered
from tests.fuzz.readers import Violation, fuzz, input_of, try_input

CASES = 60
"""For each reader; ``python -m tests.fuzz.readers`` tries more."""


def small() -> int:
    """A measurement in place of the memory of this process, which has run other tests before."""
    return 100


@pytest.mark.parametrize("reader", registered(), ids=lambda reader: reader.name)
def test_a_mutated_file_is_read_or_refused(reader: Reader) -> None:
    _, violations = fuzz([reader], CASES, 7, small, small)
    assert violations == []


ELSEWHERE = {
    "federation.domain.formats.csaf_envelope.sha": "it hashes a document that the node wrote",
}
"""Functions that take bytes and are tried by no reader of the table, with the reason."""


def takes_bytes(function: Callable[..., object]) -> bool:
    """True where a parameter is bytes, which the module writes as the text of its annotation."""
    annotations = {**function.__annotations__, "return": ""}
    return any("bytes" in annotation.split(" | ") for annotation in annotations.values())


def public_functions() -> dict[CodeType, str]:
    """The public functions of formats and of exports that take bytes, by their code."""
    names = [module.name for module in pkgutil.walk_packages(formats.__path__, f"{formats.__name__}.")]
    functions: dict[CodeType, str] = {}
    for module in map(importlib.import_module, [*names, record_files.__name__]):
        for name, value in vars(module).items():
            function = inspect.unwrap(value) if callable(value) else None
            if not inspect.isfunction(function) or function.__module__ != module.__name__:
                continue
            if not name.startswith("_") and takes_bytes(function):
                functions[function.__code__] = f"{module.__name__}.{name}"
    return functions


def test_every_function_that_takes_foreign_bytes_is_run_by_a_reader_of_the_table() -> None:
    functions = public_functions()
    assert "federation.domain.formats.cve.read_cve" in functions.values()
    called: set[CodeType] = set()

    def observe(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            called.add(frame.f_code)

    for reader in registered():
        raw = reader.examples()[0]
        sys.setprofile(observe)
        try:
            try_input(reader, raw)
        finally:
            sys.setprofile(None)
    missing = {name for code, name in functions.items() if code not in called}
    assert missing == set(ELSEWHERE)


def test_memory_that_grows_or_passes_its_bound_is_a_violation() -> None:
    reader = Reader("sound", lambda raw: None, lambda: [b"a"])
    sizes = iter([100, *[100 + memory.MAX_GROWTH_MEBIBYTES] * 9])
    assert fuzz([reader], 10, 1, lambda: next(sizes), small)[1] == []
    sizes = iter([100, *[101 + memory.MAX_GROWTH_MEBIBYTES] * 9])
    assert fuzz([reader], 10, 1, lambda: next(sizes), small)[1] == [
        "memory grew by 33 MiB, and 32 are the bound"
    ]
    assert memory.violations([100], memory.MAX_PEAK_MEBIBYTES) == []
    assert memory.violations([100], 513) == ["memory was 513 MiB, and 512 are the bound"]


def test_a_reader_that_keeps_its_inputs_is_found_by_the_memory_that_it_takes() -> None:
    stored: list[bytearray] = []
    reader = Reader("leak", lambda raw: stored.append(bytearray(8 * 1_048_576)), lambda: [b"a"])
    _, violations = fuzz([reader], 20, 1, measure_peak=small)
    assert [violation.split(" by ")[0] for violation in violations] == ["memory grew"]


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
        assert fuzz([reader], 3, 1, small, small)[1]
