"""Runs commands as an administrator does, in a thread of this process, over the database of the test."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from click.testing import CliRunner, Result

from federation.cli import main


async def invoke(dsn: str, *words: str, **settings: str) -> Result:
    """The result of a command: exit status, standard output and standard error."""
    environment = {"FEDERATION_OPERATOR": "arnia", "FEDERATION_DATABASE_URL": dsn} | {
        f"FEDERATION_{name}": value for name, value in settings.items()
    }
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        result = await asyncio.to_thread(CliRunner().invoke, main, words, env=environment)
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


async def ran(dsn: str, *words: str, **settings: str) -> tuple[int, str]:
    """Exit status, and what was printed: standard output, or what was said of a refusal."""
    result = await invoke(dsn, *words, **settings)
    return result.exit_code, result.stdout if result.exit_code == 0 else result.stderr


async def said(dsn: str, *words: str, **settings: str) -> str:
    """What a command that must do printed."""
    status, text = await ran(dsn, *words, **settings)
    assert status == 0, text
    return text


async def told(dsn: str, *words: str, **settings: str) -> Any:
    """The same as JSON."""
    return json.loads(await said(dsn, *words, "--json", **settings))
