"""The command line: ``federation --help``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec

import federation
from federation import admin, observe, settings
from federation.domain.errors import Broken, Refused
from federation.node import Node
from federation.serving import database
from federation.serving import serve as serve_node
from federation.settings import Settings
from federation.store import schema
from federation.store.database import opened

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
  FEDERATION_LOG_LEVEL     DEBUG, INFO, WARNING or ERROR (INFO)
"""


def fail(message: str) -> NoReturn:
    click.echo(f"federation: {message}", err=True)
    sys.exit(1)


def command(function: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an asynchronous command; what it refuses is one line on standard error and exit 1."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            asyncio.run(function(*args, **kwargs))  # type: ignore[arg-type]
        except Refused as error:
            fail(error.detail)
        except Broken as error:
            fail(str(error))
        except KeyboardInterrupt:
            sys.exit(130)

    return run


def told(value: Any, as_json: bool, text: Callable[[], None]) -> None:
    """Print a result as JSON, or as text for people."""
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode())
    else:
        text()


@asynccontextmanager
async def node_here() -> AsyncIterator[Node]:
    """The node of the environment, beside a running ``serve`` or without one."""
    from federation.app import node_of

    found = settings.read()
    observe.log_as_json("WARNING")
    async with database(found, exclusive=False) as dsn:
        if await schema.is_new(dsn):
            await schema.migrate(dsn, found.operator)
        await schema.check(dsn, found.operator)
        async with opened(dsn, connections=2) as store, node_of(found, store) as node:
            yield node


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(epilog=ENVIRONMENT, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(federation.__version__, prog_name="federation")
def main() -> None:
    """The node with which public digital-service operators exchange what they pool."""


@main.command(epilog=ENVIRONMENT)
@click.option("--migrate", is_flag=True, help="Bring the database to this program's schema first.")
@command
async def serve(migrate: bool) -> None:
    """Run the API and follow the peers, until SIGTERM or Ctrl-C.

    Several can run on one database (FEDERATION_DATABASE_URL), on ports of their own: they share the work.
    An empty database is set up; one of another version is refused without --migrate.
    """
    found: Settings = settings.read()
    observe.log_as_json(found.log_level)
    await serve_node(found, migrate=migrate)


@main.command()
@json_option
@command
async def migrate(as_json: bool) -> None:
    """Bring the database to the schema of this program. Safe to run twice."""
    found = settings.read()
    observe.log_as_json("WARNING")
    async with database(found, exclusive=False) as dsn:
        before, after = await schema.migrate(dsn, found.operator)
    told(
        {"before": before, "after": after},
        as_json,
        lambda: click.echo(
            f"the schema is at {after} already"
            if before == after
            else f"schema {before or 'none'} -> {after}"
        ),
    )


@main.command()
@json_option
@command
async def status(as_json: bool) -> None:
    """Show the node: feeds, peers, lag, failures, entries set aside."""
    async with node_here() as node:
        view = await node.peers()
        async with node.store.read() as tx:
            feeds = await tx.feeds.all()
    held = [{"origin": f.origin, "audience": f.audience, "head": f.head, "records": f.live} for f in feeds]

    def text() -> None:
        click.echo(f"{node.operator} ({node.name}) at {node.url}, key {node.keyring.kid}")
        for feed in held:
            click.echo(
                f"  {feed['origin']}/{feed['audience']}: {feed['records']} records, head {feed['head']}"
            )
        _show_peers(view)

    told({"operator": node.operator, "feeds": held, **msgspec.to_builtins(view)}, as_json, text)


@main.group()
def client() -> None:
    """OAuth2 clients: the operator's own IT systems."""


@client.command("add")
@click.argument("name")
@click.option(
    "--scope", "scopes", multiple=True, help="A scope, or several separated by spaces; can be repeated."
)
@json_option
@command
async def client_add(name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Make a client and print its id and secret, once.

    Scopes are TYPE.read and TYPE.write for solutions, deployments, incidents, operators and groups;
    changes.read, feeds.read, peers.read, node.admin. Without --scope: every TYPE.read and TYPE.write, and
    changes.read.
    """
    asked = tuple(scope for group in scopes for scope in group.split())
    async with node_here() as node:
        client_id, secret, chosen = await admin.add_client(node, name, asked)

    def text() -> None:
        click.echo(f"client_id:     {client_id}\nclient_secret: {secret}\nscopes:        {' '.join(chosen)}")
        click.echo("The secret is not kept and cannot be shown again.", err=True)

    told({"client_id": client_id, "client_secret": secret, "scopes": chosen}, as_json, text)


@client.command("list")
@json_option
@command
async def client_list(as_json: bool) -> None:
    """List the clients."""
    async with node_here() as node, node.store.read() as tx:
        clients = await tx.clients.all()

    def text() -> None:
        for one in clients:
            state = f"revoked {one.revoked_at:%Y-%m-%d}" if one.revoked_at else "active"
            click.echo(f"{one.id}  {one.name}  {state}  {' '.join(one.scopes)}")

    told(
        [
            {"client_id": c.id, "name": c.name, "scopes": c.scopes, "created_at": c.created_at,
             "revoked_at": c.revoked_at}
            for c in clients
        ],
        as_json, text,
    )  # fmt: skip


@client.command("revoke")
@click.argument("name")
@command
async def client_revoke(name: str) -> None:
    """Cut off a client, by its name or id. Its tokens are refused within a second."""
    async with node_here() as node, node.store.write() as tx:
        if not await tx.clients.revoke(name):
            raise Broken(f"there is no active client {name}")
    click.echo(f"{name} is revoked")


@main.group()
def peer() -> None:
    """Peers: other operators' nodes."""


@peer.command("add")
@click.argument("url")
@click.option("--fingerprint", required=True, help="Thumbprint of its key, as its administrator told you.")
@json_option
@command
async def peer_add(url: str, fingerprint: str, as_json: bool) -> None:
    """Make the node at URL a peer, if its key has the thumbprint that its administrator told you.

    Do the same at the other node with the thumbprint that `federation key` shows here. From then on each
    follows the feeds of the other.
    """
    async with node_here() as node:
        found = await admin.add_peer(node, url, fingerprint)
    told(
        {"operator": found.operator, "name": found.name, "url": found.url, "thumbprint": found.thumbprint},
        as_json,
        lambda: click.echo(f"{found.operator} ({found.name}) at {found.url} is a peer"),
    )


@peer.command("list")
@json_option
@command
async def peer_list(as_json: bool) -> None:
    """List the peers: state, lag, last contact, why the last attempt failed, entries set aside."""
    async with node_here() as node:
        view = await node.peers()
    told(view, as_json, lambda: _show_peers(view))


def _show_peers(view: Any) -> None:
    for one in view.peers:
        failing = f"; failed {one.failures} times: {one.failure}" if one.failures else ""
        click.echo(
            f"{one.operator}  {one.url}  {one.state}  lag {one.lag}  "
            f"last contact {one.contacted_at or 'never'}{failing}"
        )
        for feed in one.feeds:
            click.echo(f"    {feed.audience}: {feed.count} records, {feed.taken} of {feed.head or 0} taken")
    for one in view.set_aside:
        click.echo(
            f"set aside: {one.type} {one.origin}/{one.key} at revision {one.revision}:"
            f" {one.reason}: {one.detail}"
        )


@peer.command("remove")
@click.argument("operator")
@command
async def peer_remove(operator: str) -> None:
    """Stop following a peer and refuse its tokens within a second. What was taken from it is kept."""
    async with node_here() as node, node.store.write() as tx:
        if not await tx.peers.remove(operator):
            raise Broken(f"there is no peer {operator}")
    click.echo(f"{operator} is no longer a peer")


@main.command()
@json_option
@command
async def key(as_json: bool) -> None:
    """Show the thumbprint of this node's key: read it to the administrator of a peer."""
    async with node_here() as node:
        kid = node.keyring.kid
    told({"thumbprint": kid, "operator": node.operator, "url": node.url}, as_json, lambda: click.echo(kid))


@main.command("schema")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
def export_schema(directory: Path) -> None:
    """Write the published contract: JSON Schemas, the OpenAPI document and examples."""
    from federation.contract import publish

    for written in publish(directory):
        click.echo(written)


@main.command()
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
        raise Broken("scale is from 1 to 1 000 000, port from 1 to 65 532")
    await tell(check=check, scale=scale, port=port)


if __name__ == "__main__":
    main()
