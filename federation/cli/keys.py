"""The commands of this node's own keys."""

from __future__ import annotations

from datetime import timedelta

import click

from federation.cli.console import command, json_option, node_here, print_result
from federation.domain.openpgp_key import OpenpgpKey, signing_key
from federation.node import csaf_signatures, key_rotation, openpgp


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


@key.group("openpgp", invoke_without_command=True)
@click.pass_context
@json_option
def openpgp_group(context: click.Context, as_json: bool) -> None:
    """The OpenPGP key that signs the CSAF documents. Alone: show all of them, the newest first."""
    if context.invoked_subcommand is None:
        _openpgp_shown(as_json)


@command
async def _openpgp_shown(as_json: bool) -> None:
    async with node_here() as node:
        keys = await csaf_signatures.keys(node)

    def text() -> None:
        click.echo(signing_line(keys))
        for stored in keys:
            click.echo(f"  {stored.fingerprint}  {stored.created_at:%Y-%m-%d}  {stored.state}")

    print_result({"signed": is_signing(keys), "keys": list(map(_shown, keys))}, as_json, text)


def is_signing(keys: tuple[OpenpgpKey, ...]) -> bool:
    """True where the CSAF documents are signed."""
    return openpgp.is_installed() and signing_key(keys) is not None


def signing_line(keys: tuple[OpenpgpKey, ...]) -> str:
    """One line: the key that signs the CSAF documents, or the reason why none does."""
    signer = signing_key(keys)
    if signer is None:
        return "CSAF documents are not signed: there is no OpenPGP key (federation key openpgp new)"
    if not openpgp.is_installed():
        return "CSAF documents are not signed: federation[openpgp] is not installed"
    return f"CSAF documents are signed by the OpenPGP key {signer.fingerprint}"


def _shown(key: OpenpgpKey) -> dict[str, str]:
    return {"fingerprint": key.fingerprint, "created_at": key.created_at.isoformat(), "state": key.state}


@openpgp_group.command("new")
@json_option
@command
async def openpgp_new(as_json: bool) -> None:
    """Make an OpenPGP key (Ed25519), which signs every CSAF document from now on.

    Its user id is FEDERATION_NAME with the mailbox of FEDERATION_SECURITY_CONTACT. The key before it signs no
    more, and stays listed: its signatures are verified by it.
    """
    async with node_here() as node:
        made = await csaf_signatures.add_key(node)
    print_result(_shown(made), as_json, lambda: click.echo(f"{made.fingerprint} signs from now on"))


@openpgp_group.command("revoke")
@click.argument("fingerprint")
@click.confirmation_option(prompt="No signature by this key counts any more, whenever it was made. Go on?")
@json_option
@command
async def openpgp_revoke(fingerprint: str, as_json: bool) -> None:
    """Revoke an OpenPGP key: when it has leaked. Its public part is published with the revocation.

    The one that signs signs no more: make a new one by `key openpgp new`.
    """
    async with node_here() as node:
        await csaf_signatures.revoke_key(node, fingerprint.upper())
        keys = await csaf_signatures.keys(node)
    print_result(
        {"signed": is_signing(keys), "keys": list(map(_shown, keys))},
        as_json,
        lambda: click.echo(f"revoked; {signing_line(keys)}"),
    )
