"""The command line: ``federation --help``."""

from __future__ import annotations

import click

import federation
from federation.cli.advisories import import_
from federation.cli.alerts import alert, subscription
from federation.cli.audit import audit
from federation.cli.checkpoints import feedback, restore_check, verify, withdrawals
from federation.cli.clients import client, group
from federation.cli.deadlines import deadline
from federation.cli.exposure import exposure_of
from federation.cli.keys import key
from federation.cli.node import ENVIRONMENT, demo, export_schema, init, migrate, serve, status
from federation.cli.peers import peer


@click.group(epilog=ENVIRONMENT, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(federation.__version__, prog_name="federation")
def main() -> None:
    """The node with which public digital-service operators exchange what they pool."""


for one in (
    serve,
    init,
    migrate,
    status,
    client,
    group,
    peer,
    key,
    exposure_of,
    import_,
    subscription,
    alert,
    deadline,
    verify,
    withdrawals,
    feedback,
    restore_check,
    audit,
    export_schema,
    demo,
):
    main.add_command(one)
