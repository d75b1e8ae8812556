"""The command that lists who was admitted by whom: ``federation peer members``."""

from __future__ import annotations

import click

from federation.cli.console import command, json_option, node_here, print_result
from federation.node import memberships


@click.command()
@json_option
@command
async def members(as_json: bool) -> None:
    """List the operators that the federation's members have admitted, and which of them are peers here."""
    async with node_here() as node:
        views = await memberships.list_memberships(node)
        not_understood = await memberships.count_not_understood(node)

    def text() -> None:
        for view in views:
            click.echo(
                f"{view.operator}  {view.name}  {view.node}  admitted by {view.admitted_by}"
                f" {view.admitted_at}  {f'{view.state} here' if view.state else 'no peer here'}"
            )
        if not views:
            click.echo("no memberships are known")

    print_result(views, as_json, text)
    if not_understood:
        click.echo(
            f"{not_understood} more memberships are not understood by this version: upgrade to read them",
            err=True,
        )
