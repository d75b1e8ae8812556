"""The command about labels of new records whose writer names none."""

from __future__ import annotations

import click

from federation.cli.console import command, json_option, node_here, print_result
from federation.domain.visibility import itself
from federation.node import default_labels
from federation.node.default_labels import OutageLabel


@click.command("label")
@click.option(
    "--outages",
    type=click.Choice(("CLEAR", "GREEN"), case_sensitive=False),
    help="The label of new outages and maintenance from now on.",
)
@json_option
@command
async def label(outages: str | None, as_json: bool) -> None:
    """Show or choose the label of new outages and maintenance whose writer names none.

    CLEAR at a new node: everybody sees them, without a token. GREEN at a node that is older than this choice:
    members of the federation see them. Records that are there keep the label that they have.
    """
    async with node_here() as node:
        if outages is not None:
            chosen: OutageLabel = "CLEAR" if outages.upper() == "CLEAR" else "GREEN"
            await default_labels.set_label_of_outages(node, chosen, by=itself(node.operator))
        current = await default_labels.label_of_outages(node)
    print_result(
        {"outages": current},
        as_json,
        lambda: click.echo(f"new outages and maintenance are {current} unless their writer names a label"),
    )
