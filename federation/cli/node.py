"""The commands that run a node and look at it."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from federation import settings, telemetry
from federation.cli.console import command, json_option, node_here, print_result
from federation.cli.peer_table import show_peers
from federation.domain.errors import CommandFailed
from federation.node import peer_views
from federation.server.serve import absent, database, make_node, refuse_absent
from federation.server.serve import serve as serve_node
from federation.settings import Settings
from federation.store import schema

ENVIRONMENT = """
Settings are read from the environment:

\b
  FEDERATION_OPERATOR      id of the operator, such as arnia (needed; for ever)
  FEDERATION_NAME          its name, for people (the id)
  FEDERATION_URL           base URL at which others reach the node (http://127.0.0.1:PORT)
  FEDERATION_DATA_DIR      where the node's own PostgreSQL keeps its data (./federation-data)
  FEDERATION_DATABASE_URL  postgresql://... of a PostgreSQL >= 15, instead of the node's own
  FEDERATION_HOST          address the API listens on (127.0.0.1)
  FEDERATION_PORT          port the API listens on (8470)
  FEDERATION_CONNECTIONS   database connections of a process, at most (10)
  FEDERATION_RATE          requests a second of one client or peer, 0 for no limit (200)
  FEDERATION_RATE_ANONYMOUS  the same of one address without a token (50)
  FEDERATION_REQUESTS      requests under way in a process, at most (384)
  FEDERATION_REQUESTS_PER_CALLER  the same of one client, peer or address (128)
  FEDERATION_WAITS         waits and open streams of a process, at most (512)
  FEDERATION_WAITS_PER_CALLER  the same of one client or peer (32)
  FEDERATION_SOCKETS       connections to the API of a process; beyond them idle ones are closed (1024)
  FEDERATION_SOCKETS_PER_ADDRESS  the same of one address that is no proxy (256)
  FEDERATION_DRAIN_SECONDS  seconds to serve on after SIGTERM, with a database of yours (5)
  FEDERATION_TOMBSTONES_DAYS  days that deletions are kept for peers that are away (90)
  FEDERATION_QUOTA_RECORDS  records of one peer that are stored, with tombstones (1000000)
  FEDERATION_QUOTA_MEBIBYTES  mebibytes of their documents (8192)
  FEDERATION_QUOTA_FEEDS   feeds of one peer (200)
  FEDERATION_QUOTA_REJECTED  rejected entries of one peer (10000)
  FEDERATION_QUOTA_ENTRIES  entries of one peer within an hour (1000000)
  FEDERATION_ALERTS_AN_HOUR  alerts of one operator that a receiver gets one by one (20)
  FEDERATION_PROXIES       proxies whose X-Forwarded-For is believed: addresses, networks (none)
  FEDERATION_SECURITY_CONTACT  mailto: or https: URL for /.well-known/security.txt (none)
  FEDERATION_CA_FILE       authorities (PEM) of peers' certificates, beside those of the system
  FEDERATION_LOG_LEVEL     DEBUG, INFO, WARNING or ERROR (INFO)
  FEDERATION_SMTP_URL      mail server for alerts: smtps://user@host:465, or smtp:// with STARTTLS (none)
  FEDERATION_SMTP_PASSWORD_FILE  file with the password of that user
  FEDERATION_SMTP_CA_FILE  authorities of its certificate, in place of the system's
  FEDERATION_MAIL_FROM     mailbox that alerts are sent from
"""


@click.command(epilog=ENVIRONMENT)
@click.option("--migrate", is_flag=True, help="Bring the database to this program's schema first.")
@command
async def serve(migrate: bool) -> None:
    """Run the API and follow the peers, until SIGTERM or Ctrl-C.

    Several can run on one database (FEDERATION_DATABASE_URL), on ports of their own: they share the work.
    An empty database is set up; one of another version is refused without --migrate.
    """
    current: Settings = settings.read()
    telemetry.log_as_json(current.log_level)
    await serve_node(current, migrate=migrate)


@click.command()
@json_option
@command
async def init(as_json: bool) -> None:
    """Make the node: its database and its key, without running it. Safe to run twice.

    `federation serve` does the same when it starts. All other commands need a node that is there.
    """
    current = settings.read()
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
    current = settings.read()
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
    held_by = [{"origin": f.origin, "audience": f.audience, "head": f.head, "records": f.live} for f in feeds]

    def text() -> None:
        click.echo(f"{node.operator} ({node.name}) at {node.url}, key {node.keyring.kid}")
        for feed in held_by:
            click.echo(
                f"  {feed['origin']}/{feed['audience']}: {feed['records']} records, head {feed['head']}"
            )
        show_peers(view)

    print_result({"operator": node.operator, "feeds": held_by, **msgspec.to_builtins(view)}, as_json, text)


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
    communes and vulnerabilities are real; deployments, the outage and the maintenance are invented.
    """
    from federation.demo.story import tell

    if not 1 <= scale <= 1_000_000 or not 1 <= port <= 65_532:
        raise CommandFailed("scale is from 1 to 1 000 000, port from 1 to 65 532")
    await tell(check=check, scale=scale, port=port)
