"""The commands about who uses the API: the operator's own IT systems, and groups of peers."""

from __future__ import annotations

import click

from federation.cli.console import command, json_option, node_here, print_result
from federation.node import clients as node_clients


@click.group()
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
    scopes_asked = tuple(scope for group in scopes for scope in group.split())
    async with node_here() as node:
        client_id, secret, chosen = await node_clients.add_client(node, name, scopes_asked)

    def text() -> None:
        click.echo(f"client_id:     {client_id}\nclient_secret: {secret}\nscopes:        {' '.join(chosen)}")
        click.echo("The secret is not kept and cannot be shown again.", err=True)

    print_result({"client_id": client_id, "client_secret": secret, "scopes": chosen}, as_json, text)


@client.command("list")
@json_option
@command
async def client_list(as_json: bool) -> None:
    """List the clients."""
    async with node_here() as node:
        clients = await node_clients.all_clients(node)

    def text() -> None:
        for row in clients:
            state = f"revoked {row.revoked_at:%Y-%m-%d}" if row.revoked_at else "active"
            click.echo(f"{row.id}  {row.name}  {state}  {' '.join(row.scopes)}")

    print_result(
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
    async with node_here() as node:
        await node_clients.revoke_client(node, name)
    click.echo(f"{name} is revoked")


@client.command("rotate")
@click.argument("name")
@click.option("--finish", is_flag=True, help="Make no new secret: drop the former one.")
@json_option
@command
async def client_rotate(name: str, finish: bool, as_json: bool) -> None:
    """Give a client a new secret; the one it has goes on to hold.

    Put the new one where the client runs, then drop the former one with --finish. A second rotation drops
    it too: two secrets hold at a time.
    """
    async with node_here() as node:
        secret = await node_clients.change_secret(node, name, finish=finish)

    def text() -> None:
        if secret is None:
            click.echo(f"the former secret of {name} does not hold any more")
            return
        click.echo(f"client_secret: {secret}")
        click.echo("The secret is not kept and cannot be shown again. The former one holds too.", err=True)

    print_result({"name": name, "client_secret": secret}, as_json, text)


@click.group()
def group() -> None:
    """Groups: the operators that records of TLP AMBER and AMBER+STRICT are for."""


member_option = click.option(
    "--member", "members", multiple=True, required=True, help="Id of an operator; can be repeated."
)


@group.command("create")
@click.argument("name")
@member_option
@json_option
@command
async def group_create(name: str, members: tuple[str, ...], as_json: bool) -> None:
    """Make a group of operators. Its name is an audience from then on."""
    async with node_here() as node:
        members_after = await node_clients.change_group(node, name, add=members, new=True)
    _show_group(name, members_after, as_json)


@group.command("add")
@click.argument("name")
@member_option
@json_option
@command
async def group_add(name: str, members: tuple[str, ...], as_json: bool) -> None:
    """Let operators into a group: they get what it has, from the beginning."""
    async with node_here() as node:
        members_after = await node_clients.change_group(node, name, add=members)
    _show_group(name, members_after, as_json)


@group.command("remove")
@click.argument("name")
@member_option
@json_option
@command
async def group_remove(name: str, members: tuple[str, ...], as_json: bool) -> None:
    """Take operators out of a group: their nodes are told to drop their copies."""
    async with node_here() as node:
        members_after = await node_clients.change_group(node, name, remove=members)
    _show_group(name, members_after, as_json)


@group.command("list")
@json_option
@command
async def group_list(as_json: bool) -> None:
    """List the groups and their members."""
    async with node_here() as node:
        groups = await node_clients.groups(node)

    def text() -> None:
        for name, members in groups.items():
            click.echo(f"{name}: {' '.join(members) or 'nobody'}")

    print_result(groups, as_json, text)


def _show_group(name: str, members: tuple[str, ...], as_json: bool) -> None:
    print_result(
        {"name": name, "members": members},
        as_json,
        lambda: click.echo(f"{name}: {' '.join(members) or 'nobody'}"),
    )
