"""The command about offers: drafts made of the offers that deployments had before."""

from __future__ import annotations

import click
import msgspec

from federation.cli.console import command, json_option, node_here, print_result
from federation.domain.offers.drafts import Vat
from federation.domain.visibility import itself
from federation.node import offer_drafts


@click.group()
def offer() -> None:
    """Offers: what public bodies may join, on which conditions and at which price."""


@offer.command("draft")
@click.option("--contact", help="Functional mailbox of the offers (that of the operator's own record).")
@click.option(
    "--vat",
    type=click.Choice(("excluded", "included", "exempt")),
    help="What the prices of deployments say of the tax; without it they are left out.",
)
@json_option
@command
async def offer_draft(contact: str | None, vat: Vat | None, as_json: bool) -> None:
    """Print drafts of offers, one a line, of the deployments that have an offer of the former kind.

    Nothing is published: read them, correct them, and upload the file to /v1/offers/bulk. Each has the label
    of its deployment: make it CLEAR if everybody may read the offer. Deployments that an offer names already
    are left out.
    """
    async with node_here() as node:
        found = await offer_drafts.draft_offers(node, contact=contact, vat=vat, by=itself(node.operator))

    def text() -> None:
        for draft in found.drafts:
            click.echo(msgspec.json.encode(draft))
        for entry in found.without_prices:
            click.echo(f"{entry.id}: no prices in the draft: {entry.reason}", err=True)
        for entry in found.skipped:
            click.echo(f"{entry.id}: no draft: {entry.reason}", err=True)

    print_result(found, as_json, text)
