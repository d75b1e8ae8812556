"""The commands of proof: is what is held what its origin signed, and what have peers dropped or refused."""

from __future__ import annotations

import sys

import click

from federation.cli.console import command, json_option, node_here, told
from federation.node import epochs, receipts
from federation.sync.verify import verify_all


@click.command()
@click.argument("peer", required=False)
@json_option
@command
async def verify(peer: str | None, as_json: bool) -> None:
    """Compare everything held, or what is held of one PEER, with what its origin signed.

    Every stored document is hashed again and every digest made anew; the peers are asked for theirs. Exits
    1 when a record differs, and names it; 2 when something could not be compared.
    """
    async with node_here() as node:
        found = await verify_all(
            node, peer, report=lambda feed: None if as_json else click.echo(f"comparing {feed}", err=True)
        )

    def text() -> None:
        for one in found:
            click.echo(
                f"{one.feed}: {one.records} records, {one.result}{f': {one.detail}' if one.detail else ''}"
            )
            for record in one.differences:
                click.echo(f"    {record.type} {record.key}: {record.what}")
        if not found:
            click.echo("nothing is held")

    told({"feeds": found}, as_json, text)
    results = {one.result for one in found}
    sys.exit(1 if "different" in results else 2 if "not compared" in results else 0)


@click.command("restore-check")
@click.option("--force", is_flag=True, help="Mint a new epoch whatever the peers say.")
@json_option
@command
async def restore_check(force: bool, as_json: bool) -> None:
    """After a restore that PostgreSQL does not show: have the peers compare.

    A dump that is loaded into a new database, a promoted standby and point-in-time recovery are noticed
    when the node starts. A copy of the files or a snapshot of a disk is not. This asks every active peer what
    it holds of this node's feeds, and mints a new epoch where that is more than is here. Peers then compare
    their copies with this node, and repair them.
    """
    async with node_here() as node:
        found = await epochs.restore_check(node, force=force)

    def text() -> None:
        for name, why in found.unreachable.items():
            click.echo(f"{name} could not be asked: {why}", err=True)
        for one in found.behind:
            click.echo(f"{one.peer} holds {one.audience} up to {one.theirs}: {one.detail}")
        if found.minted:
            click.echo(f"a new epoch begins: {found.epoch}")
        elif found.asked:
            click.echo(f"{', '.join(found.asked)} hold no more than this node: nothing to be done")
        else:
            click.echo("no peer could be asked; --force mints a new epoch all the same", err=True)

    told(found, as_json, text)
    if not found.minted and not found.asked:
        sys.exit(1)


@click.command()
@json_option
@command
async def withdrawals(as_json: bool) -> None:
    """List what this node has taken back, and which peers have confirmed that they dropped it."""
    async with node_here() as node:
        found = await receipts.withdrawals(node)

    def text() -> None:
        for one in found.withdrawals:
            outstanding = f"; not yet: {' '.join(one.outstanding)}" if one.outstanding else ""
            click.echo(
                f"{one.at}  {one.type} {one.key} left {one.audience} at revision {one.revision};"
                f" dropped by: {' '.join(one.confirmed) or 'nobody'}{outstanding}"
            )
        for gone in found.departures:
            click.echo(
                f"{gone.at}  {gone.operator} was taken out of {gone.audience};"
                f" dropped all of it: {gone.confirmed_at or 'not yet'}"
            )

    told(found, as_json, text)


@click.command()
@json_option
@command
async def feedback(as_json: bool) -> None:
    """List the entries of this node that peers could not take, and why."""
    async with node_here() as node:
        found = await receipts.feedback(node)

    def text() -> None:
        for one in found:
            click.echo(
                f"{one.at}  {one.operator}: {one.type} {one.key} at revision {one.revision}"
                f" in {one.audience}: {one.reason}: {one.detail}"
            )

    told({"refused": found}, as_json, text)
