"""The commands of this node's own key."""

from __future__ import annotations

from datetime import timedelta

import click

from federation.cli.console import command, json_option, node_here, print_result
from federation.node import key_rotation


@click.group(invoke_without_command=True)
@click.pass_context
@json_option
def key(context: click.Context, as_json: bool) -> None:
    """The key of this node. Alone: show its thumbprint."""
    if context.invoked_subcommand is None:
        _key_shown(as_json)


@command
async def _key_shown(as_json: bool) -> None:
    async with node_here() as node:
        kid = node.keyring.kid
    print_result(
        {"thumbprint": kid, "operator": node.operator, "url": node.url}, as_json, lambda: click.echo(kid)
    )


@key.command("replace")
@click.confirmation_option(prompt="Every token ends and every peer has to join anew. Go on?")
@json_option
@command
async def key_replace(as_json: bool) -> None:
    """Give this node another key at once, that the present one does not endorse: when a key has leaked.

    Tell every peer: each runs `peer leave` and `peer forget`, and joins anew with an invitation.
    """
    async with node_here() as node:
        jwk = await key_rotation.replace_key(node)
    print_result(
        {"thumbprint": jwk.jwk["kid"]}, as_json, lambda: click.echo(f"{jwk.jwk['kid']} signs from now on")
    )


@key.command("rotate")
@click.option(
    "--after",
    default=int(key_rotation.PUBLISH_BEFORE_USE.total_seconds()),
    show_default=True,
    # (A peer looks at most once a minute: who looked just before must have seen it then.)
    type=click.IntRange(120, 86_400),
    help="Seconds for which the new key is only published, so that peers see it before it signs.",
)
@json_option
@command
async def key_rotate(after: int, as_json: bool) -> None:
    """Give this node a new key, which the present one endorses. Nothing has to be done at the peers."""
    async with node_here() as node:
        jwk = await key_rotation.rotate(node, after=timedelta(seconds=after))
    print_result(
        {"thumbprint": jwk.jwk["kid"], "use_from": jwk.use_from.isoformat()},
        as_json,
        lambda: click.echo(f"{jwk.jwk['kid']} signs from {jwk.use_from:%Y-%m-%d %H:%M:%S} UTC"),
    )
