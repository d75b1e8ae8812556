"""The commands of proof: is what is held what its origin signed, and what have peers dropped or refused."""

from __future__ import annotations

import sys

import click

from federation.cli.console import command, json_option, node_here, print_result
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
        comparisons = await verify_all(
            node, peer, report=lambda feed: None if as_json else click.echo(f"comparing {feed}", err=True)
        )

    def text() -> None:
        for comparison in comparisons:
            detail = f": {comparison.detail}" if comparison.detail else ""
            click.echo(f"{comparison.feed}: {comparison.records} records, {comparison.result}{detail}")
            for record in comparison.differences:
                click.echo(f"    {record.type} {record.key}: {record.what}")
        if not comparisons:
            click.echo("nothing is held")

    print_result({"feeds": comparisons}, as_json, text)
    results = {comparison.result for comparison in comparisons}
    sys.exit(1 if "different" in results else 2 if "not compared" in results else 0)


@click.command("restore-check")
@click.option("--force", is_flag=True, help="Mint a new epoch whatever the peers answer.")
@json_option
@command
async def restore_check(force: bool, as_json: bool) -> None:
    """After a restore that PostgreSQL does not show: have the peers compare.

    A dump that is loaded into a new database, a promoted standby and point-in-time recovery are noticed
    when the node starts. A copy of the files or a snapshot of a disk is not. This asks every active peer what
    it holds of this node's feeds. It mints a new epoch where that is more than is here, or where peers have
    reported that entries of this node contradict earlier ones. Peers then compare their copies with this
    node, and repair them.

    Exits 0 when a new epoch begins or every copy is equal, 2 when it is unclear: then run it again when the
    peers can be reached and nothing is written, or use --force.
    """
    async with node_here() as node:
        result = await epochs.restore_check(node, force=force)

    def text() -> None:
        for name, reason in result.unreachable.items():
            click.echo(f"{name} could not be asked: {reason}", err=True)
        for copy in result.behind:
            click.echo(f"{copy.peer} holds {copy.audience} up to {copy.theirs}: {copy.detail}")
        for contradiction in result.contradictions:
            click.echo(
                f"{contradiction.peer} rejected {contradiction.entries} entries of {contradiction.audience}:"
                f" {', '.join(contradiction.reasons)}"
            )
        if result.minted:
            click.echo(f"a new epoch begins: {result.epoch}")
            return
        for unclear in result.unclear:
            click.echo(f"{unclear.peer} holds {unclear.audience}: {unclear.detail}", err=True)
        if result.is_clear:
            click.echo(f"{', '.join(result.asked)} hold what this node has: nothing to be done")
        elif result.asked:
            click.echo("unclear: run it again later, or begin a new epoch with --force", err=True)
        else:
            click.echo("unclear: no peer could be asked; begin a new epoch with --force", err=True)

    print_result(result, as_json, text)
    if not result.minted and not result.is_clear:
        sys.exit(2)


@click.command()
@json_option
@command
async def withdrawals(as_json: bool) -> None:
    """List what this node has taken back, and which peers have confirmed that they dropped it."""
    async with node_here() as node:
        view = await receipts.withdrawals(node)

    def text() -> None:
        for withdrawal in view.withdrawals:
            outstanding = f"; not yet: {' '.join(withdrawal.outstanding)}" if withdrawal.outstanding else ""
            click.echo(
                f"{withdrawal.at}  {withdrawal.type} {withdrawal.key} left {withdrawal.audience}"
                f" at revision {withdrawal.revision};"
                f" dropped by: {' '.join(withdrawal.confirmed) or 'nobody'}{outstanding}"
            )
        for departure in view.departures:
            click.echo(
                f"{departure.at}  {departure.operator} was taken out of {departure.audience};"
                f" dropped all of it: {departure.confirmed_at or 'not yet'}"
            )

    print_result(view, as_json, text)


@click.command()
@json_option
@command
async def feedback(as_json: bool) -> None:
    """List the entries of this node that peers could not take, and why."""
    async with node_here() as node:
        entries = await receipts.feedback(node)

    def text() -> None:
        for entry in entries:
            click.echo(
                f"{entry.at}  {entry.operator}: {entry.type} {entry.key} at revision {entry.revision}"
                f" in {entry.audience}: {entry.reason}: {entry.detail}"
            )

    print_result({"refused": entries}, as_json, text)
