"""Descriptions of the members of a struct: the texts that stand below them in the source."""

from __future__ import annotations

import ast
import inspect
import sys
from functools import lru_cache
from types import ModuleType
from typing import Any


def member_words(struct: type[Any]) -> dict[str, str]:
    """The description of each member that has one, also of those it inherits."""
    words: dict[str, str] = {}
    for base in reversed(struct.__mro__):
        module = sys.modules.get(base.__module__)
        if module is not None and base.__module__.startswith("federation."):
            words |= _of_module(module).get(base.__qualname__, {})
    return words


@lru_cache(maxsize=512)
def _of_module(module: ModuleType) -> dict[str, dict[str, str]]:
    """The descriptions of all members, by class."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except OSError:  # a module without source
        return {}
    return {node.name: _of_class(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    words = {}
    for member, below in zip(node.body, node.body[1:], strict=False):
        match member, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                words[name] = inspect.cleandoc(text).replace("``", "`").replace("\n", " ")
    return words
