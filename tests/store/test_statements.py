"""Each statement of the store is whole: it can be pasted into ``psql`` under its name."""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from typing import Any

import asyncpg
import pytest

import federation.store
from federation.store import record_writes
from federation.store.statements import Statement

_BEGINS = re.compile(r"\s*(?:SELECT|WITH|INSERT|UPDATE|DELETE)\s")


def statements() -> dict[str, str]:
    """The texts of all statements that the modules of the store name."""
    texts = {}
    for module in pkgutil.iter_modules(federation.store.__path__):
        for name, value in vars(import_module(f"federation.store.{module.name}")).items():
            for n, item in enumerate(value if isinstance(value, tuple) else (value,)):
                text = item.text if isinstance(item, Statement) else item
                if isinstance(text, str) and _BEGINS.match(text):
                    texts[f"{module.name}.{name}[{n}]"] = text
    return texts


async def test_each_statement_can_be_prepared_as_it_stands(look: Any) -> None:
    texts = statements()
    assert len(texts) > 100
    broken = {}
    for name, text in texts.items():
        try:
            await look.execute(f"PREPARE whole AS {text}; DEALLOCATE whole")
        except asyncpg.PostgresError as error:
            broken[name] = str(error)
    assert broken == {}


async def test_a_statement_with_a_hole_cannot(look: Any) -> None:
    assert "record_writes.UPSERT[0]" in statements()
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await look.execute(f"PREPARE whole AS {record_writes.UPSERT.replace('$18::text', '{origin}')}")
