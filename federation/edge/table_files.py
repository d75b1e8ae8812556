"""Tables written beside the event loop, by threads of their own: few at a time, whoever asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from federation.domain.formats.tables import TableForm

T = TypeVar("T")
MAX_AT_ONCE = 2
"""Files that a process writes at a time; others wait for their turn, each in the slot of its caller."""
_POOL = ThreadPoolExecutor(MAX_AT_ONCE, "tables")


async def run_in_table_thread(function: Callable[..., T], *arguments: object) -> T:
    """The result of a function that works on a table, in one of its threads."""
    return await asyncio.get_running_loop().run_in_executor(_POOL, partial(function, *arguments))


async def write_table(
    form: TableForm, name: str, head: Sequence[str], rows: Sequence[Sequence[object]]
) -> bytes:
    """The file of a table. ``name``: letters, digits and hyphens."""
    return await run_in_table_thread(form.write, name, head, rows)
