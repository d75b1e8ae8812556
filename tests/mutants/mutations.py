"""What a mutant is: one place of a module's syntax tree, changed in one way."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

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

    where: str
    """The function, with the classes it is in; empty for what is done when the module is read."""
    line: int
    """Where its statement begins: who does not run that cannot notice. 0 where no function runs it."""
    name: str
    """The constant whose value it changes: who runs nothing that mentions it cannot notice. Or empty."""
    what: str
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Every change of a module that is tried.

    Left alone are annotations, docstrings, messages, and whether a structure is frozen or takes names only.
    """
    tree = ast.parse(source)
    places = list(_places(tree))
    above = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    for place in places:
        where, line, name = _where(place, above)
        for choice in range(_ways(place)):
            copied: dict[int, Any] = {}
            changed = copy.deepcopy(tree, copied)
            before = ast.unparse(place)
            after = _change(changed, copied[id(place)], choice)
            ast.fix_missing_locations(changed)
            yield Mutant(where, line, name, f"{_short(before)}  ->  {_short(after)}", ast.unparse(changed))


def _ways(node: ast.AST) -> int:
    """In how many ways a place can be changed."""
    match node:
        case ast.BoolOp():
            return 3
        case ast.Compare(ops=[op]):
            return type(op) in _COMPARISONS
        case ast.BinOp(op=op):
            return type(op) in _ARITHMETIC
        case ast.UnaryOp(op=ast.Not()) | ast.Raise() | ast.IfExp():
            return 1
        case ast.Constant(value=bool() | int()) | ast.Expr(value=ast.Await() | ast.Call()):
            return 1
        case _:
            return 0


def counted(source: str, module: str) -> str:
    """The same module, which tells of each statement of its functions that it is run, if anybody listens."""
    tree = ast.parse(source)
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            _count(function, module)
    ears = ast.parse("import builtins\n_ran = getattr(builtins, '_mutants_ran', lambda *_: None)").body
    begins = sum(
        isinstance(one, ast.Expr) or (isinstance(one, ast.ImportFrom) and one.module == "__future__")
        for one in tree.body[:2]
    )
    tree.body[begins:begins] = ears
    return ast.unparse(ast.fix_missing_locations(tree))


def _count(node: ast.AST, module: str) -> None:
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        told: list[ast.AST] = []
        inside = getattr(node, name, [])
        for child in inside if isinstance(inside, list) else []:
            if isinstance(child, ast.stmt) and not _is_docstring(child):
                told += ast.parse(f"_ran({module!r}, {child.lineno})").body
            told.append(child)
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):  # which is counted by itself
                _count(child, module)
        if told:
            setattr(node, name, told)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _where(place: ast.AST, above: dict[ast.AST, ast.AST]) -> tuple[str, int, str]:
    """The function that a place is in, the line of its statement (or 0), the constant that it is part of."""
    line, constant = 0, ""
    names: list[str] = []
    runs = False
    below, node = place, place
    while not isinstance(node, ast.Module):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                runs = True
                if isinstance(below, ast.arguments):  # a default: it counts where the function is called
                    line = line or next(one.lineno for one in node.body if not _is_docstring(one))
                names.append(node.name)
            case ast.ClassDef():
                names.append(node.name)
            case ast.Assign(targets=[ast.Name(id=constant)]) | ast.AnnAssign(target=ast.Name(id=constant)):
                line = line or node.lineno
            case ast.stmt():
                line = line or node.lineno
        below, node = node, above[node]
    if runs:
        return ".".join(reversed(names)), line, ""
    return ".".join(reversed(names)) or constant, 0, "" if names else constant


def mentions(source: str, name: str) -> frozenset[int] | None:
    """Where the statements begin, in functions, that mention a constant; None if others do, too."""
    tree = ast.parse(source)
    lines: set[int] = set()
    above = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=word, ctx=ast.Load()) | ast.Attribute(attr=word) if word == name:
                _, line, _ = _where(node, above)
                if not line:
                    return None
                lines.add(line)
    return frozenset(lines)


def _short(text: str) -> str:
    return " ".join(text.split())[:100]


def _places(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that can be changed, in order of the source."""

    def walk(node: ast.AST) -> Iterator[ast.AST]:
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_params"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if not isinstance(child, ast.AST) or _is_docstring(child):
                    continue
                if isinstance(node, ast.ClassDef) and getattr(child, "arg", "") in ("frozen", "kw_only"):
                    continue
                if isinstance(child, ast.Raise):
                    yield child  # the message of an error is nobody's check
                    continue
                if isinstance(child, _CHANGED):
                    yield child
                yield from walk(child)

    yield from walk(tree)


def _change(tree: ast.AST, node: ast.AST, choice: int) -> str:
    """Change a node in place, in the way of this number; what it says then."""
    match node, choice:
        case ast.Compare(ops=[op]), 0:
            node.ops = [_COMPARISONS[type(op)]()]
        case ast.BoolOp(), 0:
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.BoolOp(values=values), 1 | 2:
            left_out = values.pop(0 if choice == 1 else -1)
            if len(values) == 1:
                return _replace(tree, node, values[0])
            return f"without {ast.unparse(left_out)}"
        case ast.UnaryOp(operand=operand), 0:
            return _replace(tree, node, operand)
        case ast.BinOp(op=op), 0:
            node.op = _ARITHMETIC[type(op)]()
        case ast.Constant(value=bool(value)), 0:
            node.value = not value
        case ast.Constant(value=int(value)), 0:
            node.value = value + 1
        case ((ast.Raise() | ast.Expr()), 0):
            return _replace(tree, node, ast.Pass())
        case ast.IfExp(body=body), 0:
            return _replace(tree, node, body)
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
