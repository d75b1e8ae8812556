"""Shared by all commands: one-line errors, output as JSON or text, and the node of the environment."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, NoReturn

import click
import msgspec

from federation import telemetry
from federation.domain.errors import CommandFailed, Refused
from federation.node.node import Node
from federation.server.local_node import absent, database, node_of, refuse_absent
from federation.settings.environment import read as read_settings
from federation.store import schema
from federation.store.database import open_store


def fail(message: str) -> NoReturn:
    click.echo(f"federation: {message}", err=True)
    sys.exit(1)


MAX_FAULTS_SHOWN = 5
"""Faults of one refusal that a command prints, at most."""


def message_of(error: Refused) -> str:
    """A refusal as one line: its faults, each with the member unless its text names it."""
    if not error.faults:
        return error.detail
    shown = [
        fault.detail if fault.pointer.strip("/?") in fault.detail else f"{fault.detail} (at {fault.pointer})"
        for fault in error.faults[:MAX_FAULTS_SHOWN]
    ]
    if more := len(error.faults) - len(shown) + error.more:
        shown.append(f"and {more} more")
    return "; ".join(shown)


def command(function: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an asynchronous command; what it refuses is one line on standard error and exit 1."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            asyncio.run(function(*args, **kwargs))  # type: ignore[arg-type]
        except Refused as error:
            fail(message_of(error))
        except CommandFailed as error:
            fail(str(error))
        except KeyboardInterrupt:
            sys.exit(130)

    return run


def print_result(value: Any, as_json: bool, text: Callable[[], None]) -> None:
    """Print a result as JSON, or as text for people."""
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode())
    else:
        text()


@asynccontextmanager
async def node_here() -> AsyncIterator[Node]:
    """The node of the environment, beside a running ``serve`` or without one.

    Raises CommandFailed where there is none: a mistyped setting must not make another node.
    """
    current = read_settings()
    telemetry.log_as_json("WARNING")
    refuse_absent(current)
    async with database(current, exclusive=False) as dsn:
        if await schema.is_new(dsn):
            raise absent(current)
        await schema.check(dsn, current.operator)
        async with open_store(dsn, connections=2) as store, node_of(current, store) as node:
            yield node


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
