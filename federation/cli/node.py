"""The commands that run a node and look at it."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from federation import telemetry
from federation.cli.console import command, json_option, node_here, print_result
from federation.cli.environment import ENVIRONMENT
from federation.cli.keys import is_signing, signing_line
from federation.cli.peer_table import show_peers
from federation.domain.errors import CommandFailed
from federation.domain.territories.bodies import BOUNDARIES, VERSION
from federation.node import peer_views
from federation.server.local_node import absent, database, make_node, refuse_absent
from federation.settings.environment import read as read_settings
from federation.settings.settings import Settings
from federation.store import schema


@click.command(epilog=ENVIRONMENT)
@click.option("--migrate", is_flag=True, help="Bring the database to this program's schema first.")
@command
async def serve(migrate: bool) -> None:
    """Run the API and follow the peers, until SIGTERM or Ctrl-C.

    Several can run on one database (FEDERATION_DATABASE_URL), on ports of their own: they share the work.
    An empty database is set up; one of another version is refused without --migrate.
    """
    from federation.server.serve import serve as serve_node

    current: Settings = read_settings()
    telemetry.log_as_json(current.log_level)
    await serve_node(current, migrate=migrate)


@click.command()
@json_option
@command
async def init(as_json: bool) -> None:
    """Make the node: its database and its key, without running it. Safe to run twice.

    `federation serve` does the same when it starts. All other commands need a node that is there.
    """
    current = read_settings()
    telemetry.log_as_json("WARNING")
    new, kid = await make_node(current)
    print_result(
        {"operator": current.operator, "made": new, "thumbprint": kid},
        as_json,
        lambda: click.echo(
            f"the node of {current.operator} {'is made' if new else 'is there already'}, key {kid}"
        ),
    )


@click.command()
@json_option
@command
async def migrate(as_json: bool) -> None:
    """Bring the database of a node to the schema of this program. Safe to run twice."""
    current = read_settings()
    telemetry.log_as_json("WARNING")
    refuse_absent(current)
    async with database(current, exclusive=False) as dsn:
        if await schema.is_new(dsn):
            raise absent(current)
        before, after = await schema.migrate(dsn, current.operator)
    print_result(
        {"before": before, "after": after},
        as_json,
        lambda: click.echo(
            f"the schema is at {after} already" if before == after else f"schema {before} -> {after}"
        ),
    )


@click.command()
@json_option
@command
async def status(as_json: bool) -> None:
    """Show the node: feeds, peers, lag, failures, rejected entries."""
    async with node_here() as node:
        view = await peer_views.peers(node)
        async with node.store.read() as tx:
            feeds = await tx.feeds.all()
            remaining = await tx.search_index.remaining()
            openpgp_keys = await tx.openpgp_keys.all()
    held_by = [{"origin": f.origin, "audience": f.audience, "head": f.head, "records": f.live} for f in feeds]

    registered = {"version": VERSION, "boundaries": BOUNDARIES}

    def text() -> None:
        click.echo(f"{node.operator} ({node.name}) at {node.url}, key {node.keyring.kid}")
        click.echo(f"  {signing_line(openpgp_keys)}")
        click.echo(f"  register of communes {VERSION}, boundaries of {BOUNDARIES}")
        if remaining:
            click.echo(f"  the search index is being made anew: {remaining} changes remain")
        for feed in held_by:
            click.echo(
                f"  {feed['origin']}/{feed['audience']}: {feed['records']} records, head {feed['head']}"
            )
        show_peers(view)

    print_result(
        {
            "operator": node.operator,
            "register": registered,
            "csaf_signed": is_signing(openpgp_keys),
            "feeds": held_by,
            **msgspec.to_builtins(view),
        },
        as_json,
        text,
    )


@click.command("schema")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def export_schema(directory: Path) -> None:
    """Write the published contract: JSON Schemas, the OpenAPI document and examples."""
    from federation.spec.contract import publish

    for written in publish(directory):
        click.echo(written)


@click.command()
@click.option("--check", is_flag=True, help="Assert what the story tells, then stop: exit 0 or 1.")
@click.option("--scale", default=150, show_default=True, help="Deployments of each operator.")
@click.option("--port", default=8471, show_default=True, help="Port of the first of the four nodes.")
@command
async def demo(check: bool, scale: int, port: int) -> None:
    """Run four operators' nodes on this machine with demonstration data, until Ctrl-C.

    Each has a PostgreSQL of its own, in a temporary directory that is removed at the end. Solutions,
    communes and vulnerabilities are real; deployments, offers, prices, needs, meetings and the outage are
    invented. At the end it prints the addresses of pages, and a login link for each operator.
    """
    from federation.demo.story import tell

    if not 1 <= scale <= 1_000_000 or not 1 <= port <= 65_532:
        raise CommandFailed("scale is from 1 to 1 000 000, port from 1 to 65 532")
    await tell(check=check, scale=scale, port=port)
