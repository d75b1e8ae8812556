"""What a mutant is: one place of a module's syntax tree, changed in one way."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import NamedTuple

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip

_CHANGED = (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Constant, ast.Expr, ast.IfExp)


class Mutant(NamedTuple):
    """A change, and where it is."""

    line: int
    what: str
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Every change of a module that is tried. Annotations, docstrings and messages are left alone."""
    tree = ast.parse(source)
    places = list(_places(tree))
    for index in range(len(places)):
        for choice in range(4):
            changed = copy.deepcopy(tree)
            node = list(_places(changed))[index]
            before = ast.unparse(node)
            after = _change(changed, node, choice)
            if after is None:
                break
            ast.fix_missing_locations(changed)
            line = getattr(node, "lineno", 0)
            yield Mutant(line, f"{_short(before)}  ->  {_short(after)}", ast.unparse(changed))


def _short(text: str) -> str:
    return " ".join(text.split())[:100]


def _places(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that can be changed, in order of the source."""

    def walk(node: ast.AST) -> Iterator[ast.AST]:
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_params"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if not isinstance(child, ast.AST):
                    continue
                if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                    continue  # a docstring
                if isinstance(child, ast.Raise):
                    yield child  # the message of an error is nobody's check
                    continue
                if isinstance(
                    child,
                    ast.Compare | ast.BoolOp | ast.UnaryOp | ast.BinOp | ast.Constant | ast.Expr | ast.IfExp,
                ):
                    yield child
                yield from walk(child)

    yield from walk(tree)


def _change(tree: ast.AST, node: ast.AST, choice: int) -> str | None:
    """Change a node in place, in the way of this number; what it says then, None if there is no such way."""
    match node, choice:
        case ast.Compare(ops=[op]), 0 if type(op) in _COMPARISONS:
            node.ops = [_COMPARISONS[type(op)]()]
        case ast.BoolOp(), 0:
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.BoolOp(values=values), 1:
            del values[0]
            if len(values) == 1:
                return _replace(tree, node, values[0])
        case ast.BoolOp(values=values), 2:
            del values[-1]
            if len(values) == 1:
                return _replace(tree, node, values[0])
        case ast.UnaryOp(op=ast.Not(), operand=operand), 0:
            return _replace(tree, node, operand)
        case ast.BinOp(op=op), 0 if type(op) in _ARITHMETIC:
            node.op = _ARITHMETIC[type(op)]()
        case ast.Constant(value=bool(value)), 0:
            node.value = not value
        case ast.Constant(value=int(value)), 0 if not isinstance(value, bool):
            node.value = value + 1
        case ast.Raise(), 0:
            return _replace(tree, node, ast.Pass())
        case ast.Expr(value=ast.Await() | ast.Call()), 0:
            return _replace(tree, node, ast.Pass())
        case ast.IfExp(body=body), 0:
            return _replace(tree, node, body)
        case _:
            return None
    return ast.unparse(node)


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> str:
    ast.copy_location(new, old)
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
            elif isinstance(value, list) and any(item is old for item in value):
                setattr(parent, name, [new if item is old else item for item in value])
    return ast.unparse(new)
