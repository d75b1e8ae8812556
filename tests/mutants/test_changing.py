"""The changes themselves: each is another program, and none touches what is no check."""

from __future__ import annotations

import ast

from tests.mutants.mutations import mutants

SOURCE = '''
"""A docstring."""

def check(a: int = 3, *, b: bool = True) -> str:
    """Another."""
    if a < 5 and not b:
        raise ValueError(f"{a == 1} is no check")
    note(a)
    return "x" if a in (1, 2) else "y"
'''


def test_every_check_is_broken_once_in_each_way() -> None:
    found = {mutant.what for mutant in mutants(SOURCE)}
    assert "a < 5 -> a <= 5" in {what.replace("  ->  ", " -> ") for what in found}
    said = {what.replace("  ->  ", " -> ") for what in found}
    assert said >= {
        "a < 5 and (not b) -> a < 5 or not b",
        "a < 5 and (not b) -> not b",
        "not b -> b",
        "raise ValueError(f'{a == 1} is no check') -> pass",
        "note(a) -> pass",
        "a in (1, 2) -> a not in (1, 2)",
        "True -> False",
    }
    assert not any("a == 1" in what and "a != 1" in what for what in said)


def test_each_mutant_is_another_program_that_can_be_read() -> None:
    original = ast.unparse(ast.parse(SOURCE))
    sources = [mutant.source for mutant in mutants(SOURCE)]
    assert original not in sources
    assert len(set(sources)) == len(sources)
    for source in sources:
        compile(source, "mutant", "exec")
