"""The command line: ``federation --help``."""

from __future__ import annotations

from importlib import import_module

import click

import federation
from federation.cli.environment import ENVIRONMENT

_COMMANDS = {
    "serve": "node:serve",
    "init": "node:init",
    "migrate": "node:migrate",
    "status": "node:status",
    "body": "bodies:body",
    "client": "clients:client",
    "group": "clients:group",
    "label": "labels:label",
    "offer": "offers:offer",
    "person": "people:person",
    "peer": "peers:peer",
    "key": "keys:key",
    "exposure": "exposure:exposure_of",
    "register": "register:register",
    "import": "advisories:import_",
    "import-records": "record_import:import_records",
    "export": "record_export:export",
    "subscription": "alerts:subscription",
    "source": "sources:source",
    "alert": "alerts:alert",
    "deadline": "deadlines:deadline",
    "verify": "checkpoints:verify",
    "withdrawals": "checkpoints:withdrawals",
    "feedback": "checkpoints:feedback",
    "restore-check": "checkpoints:restore_check",
    "audit": "audit:audit",
    "schema": "node:export_schema",
    "demo": "node:demo",
}
"""The commands by name, each with its module and its function there."""


class _Commands(click.Group):
    """A group that imports the module of a command when it is asked for: a command starts sooner."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, function = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"federation.cli.{module}"), function)
        return command


@click.group(cls=_Commands, epilog=ENVIRONMENT, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(federation.__version__, prog_name="federation")
def main() -> None:
    """The node with which public digital-service operators exchange what they pool."""
