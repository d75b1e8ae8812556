"""The tree of what can be refused."""

from collections.abc import Iterator

from federation.domain import errors
from federation.domain.errors import CommandFailed, Invalid, Refused


def tree(root: type[Refused]) -> Iterator[type[Refused]]:
    yield root
    for branch in root.__subclasses__():
        yield from tree(branch)


def test_every_refusal_has_a_code_and_a_title_of_its_own() -> None:
    found = list(tree(Refused))
    assert len(found) >= 17
    for told in ({error.code for error in found}, {error.title for error in found}):
        assert len(told) == len(found)


def test_the_tree_drawn_at_the_head_of_the_file_is_the_tree() -> None:
    drawing = errors.__doc__ or ""
    for error in (*tree(Refused), CommandFailed):
        assert error.__name__ in drawing


def test_a_refusal_says_what_and_where() -> None:
    refusal = Invalid("not so", pointer="/content/name")
    assert (str(refusal), refusal.detail, refusal.pointer) == ("not so", "not so", "/content/name")
    assert Invalid("not so").pointer is None
    assert not issubclass(CommandFailed, Refused)
