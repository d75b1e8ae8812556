"""The commands of trust: peers, and what an administrator decides about them."""

from __future__ import annotations

import sys

import click

from federation.cli.console import command, json_option, node_here, print_result
from federation.cli.memberships import members
from federation.cli.peer_table import show_peers
from federation.domain.invitation import Invitation
from federation.domain.quota import BOUND_MEANINGS, QuotaChange
from federation.node import copies, exclusions, invitations, peer_views, peers, quotas
from federation.node.node import Node

private_option = click.option(
    "--private", is_flag=True, help="Allow addresses that are not public: loopback and private ranges."
)


@click.group()
def peer() -> None:
    """Peers: other operators' nodes."""


@peer.command("invite")
@click.argument("note", default="")
@private_option
@json_option
@command
async def peer_invite(note: str, private: bool, as_json: bool) -> None:
    """Print an invitation for one operator; it holds for 72 hours and is for one use.

    Send it to its administrator in a way that nobody else reads. NOTE is whom it is for, for your own list.
    """
    async with node_here() as node:
        invitation = await invitations.invite(node, note, private=private)
        origins = await exclusions.green_origins(node)

    def text() -> None:
        click.echo(str(invitation))
        click.echo("There: federation peer join INVITATION. Then both of you activate.", err=True)
        click.echo(
            f"Once active, it reads the GREEN records of {', '.join(origins)} here: tell them before you"
            " activate it.",
            err=True,
        )

    result = {"invitation": str(invitation), "note": note, "green_records_of": origins}
    print_result(result, as_json, text)


@peer.command("join")
@click.argument("invitation")
@private_option
@json_option
@command
async def peer_join(invitation: str, private: bool, as_json: bool) -> None:
    """Use an INVITATION (`-` reads it from standard input): both nodes know each other as pending.

    Then compare the code with the other administrator, by phone, and both activate.
    """
    text_of = sys.stdin.read() if invitation == "-" else invitation
    async with node_here() as node:
        joined = await invitations.join(node, Invitation.parse(text_of), private=private)
        code = peers.code_of(node, joined)
        await _warn_of_look_alikes(node, joined.operator)
    print_result(
        {
            "operator": joined.operator,
            "name": joined.name,
            "url": joined.url,
            "state": joined.state,
            "code": code,
        },
        as_json,
        lambda: click.echo(
            f"{joined.operator} ({joined.name}) at {joined.url} is pending\ncode: {code}\n"
            f"When its administrator reads you the same code: federation peer activate {joined.operator}"
        ),
    )


@peer.command("activate")
@click.argument("operator")
@click.option("--code", help="What the other administrator read out; refused if it is not what is here.")
@private_option
@json_option
@command
async def peer_activate(operator: str, code: str | None, private: bool, as_json: bool) -> None:
    """Exchange records with a pending peer from now on.

    Without --code it asks whether the codes agree.
    """
    async with node_here() as node:
        await _warn_of_look_alikes(node, operator)
        if code is None:
            shown = await peers.code_shown(node, operator)
            if shown is not None and not click.confirm(
                f"code: {shown}\nDoes the administrator of {operator} see the same code?", err=True
            ):
                raise click.Abort
        changed = await peers.activate(node, operator, code=code, private=private)
    _print_state(changed.operator, changed.state, as_json)


async def _warn_of_look_alikes(node: Node, operator: str) -> None:
    for look_alike in await peers.look_alikes(node, operator):
        click.echo(f"look twice: {look_alike}", err=True)


@peer.command("suspend")
@click.argument("operator")
@click.option(
    "--local", is_flag=True, help="At this node alone: other members go on showing it your GREEN records."
)
@json_option
@command
async def peer_suspend(operator: str, local: bool, as_json: bool) -> None:
    """Neither answer a peer nor follow it, from within a second. What was taken from it is kept.

    Other members withhold your GREEN records from it, too, once they have read the signed exclusion.
    """
    async with node_here() as node:
        changed = await peers.suspend(node, operator, local=local)
        reach = None if local else await exclusions.reach(node)
    detail = reach.message(operator) if reach else "Other members go on showing it your GREEN records."
    print_result(
        {"operator": changed.operator, "state": changed.state, "detail": detail},
        as_json,
        lambda: click.echo(f"{changed.operator} is {changed.state}\n{detail}"),
    )


@peer.command("exclude")
@click.argument("operator")
@click.option("--lift", is_flag=True, help="Undo it.")
@json_option
@command
async def peer_exclude(operator: str, lift: bool, as_json: bool) -> None:
    """Have every member withhold your GREEN records from an operator that is no active peer.

    For an operator that has left, or was never activated; `peer suspend` does it for an active peer. With
    --lift, also after `peer forget`.
    """
    async with node_here() as node:
        if lift:
            await exclusions.lift(node, operator)
            detail = f"{operator} is not excluded any more"
        else:
            await exclusions.exclude(node, operator)
            detail = f"{operator} is excluded\n{(await exclusions.reach(node)).message(operator)}"
    print_result({"operator": operator, "excluded": not lift}, as_json, lambda: click.echo(detail))


@peer.command("resume")
@click.argument("operator")
@json_option
@command
async def peer_resume(operator: str, as_json: bool) -> None:
    """Undo a suspension."""
    async with node_here() as node:
        changed = await peers.resume(node, operator)
    _print_state(changed.operator, changed.state, as_json)


@peer.command("leave")
@click.argument("operator")
@json_option
@command
async def peer_leave(operator: str, as_json: bool) -> None:
    """End it with a peer. It is told; copies of what was not public are dropped on both sides."""
    async with node_here() as node:
        changed, reason = await peers.leave(node, operator)
    if reason:
        click.echo(f"{operator} could not be told ({reason}); it will find its tokens refused", err=True)
    _print_state(changed.operator, changed.state, as_json)


@peer.command("confirm")
@click.argument("operator")
@json_option
@command
async def peer_confirm(operator: str, as_json: bool) -> None:
    """Let a peer go on that is paused: `peer list` says why. Ask its administrator first whether it is meant.

    More than a fifth of a feed, and more than 100 records, are not removed at once. A peer that is beyond
    its quota may store once more what its bound allows; see `peer quota`.
    """
    async with node_here() as node:
        audiences = await copies.confirm_removals(node, operator)
    print_result(
        {"operator": operator, "audiences": audiences},
        as_json,
        lambda: click.echo(f"{operator}: what waited in {', '.join(audiences)} goes on"),
    )


@peer.command("retry")
@click.argument("operator")
@json_option
@command
async def peer_retry(operator: str, as_json: bool) -> None:
    """Ask a peer now, which did not answer, without waiting for the next attempt."""
    async with node_here() as node:
        retried = await peers.retry(node, operator)
    print_result(
        {"operator": operator, "state": retried.state},
        as_json,
        lambda: click.echo(f"{operator} is asked again at once"),
    )


@peer.command("quota")
@click.argument("operator")
@click.option("--records", type=click.IntRange(1), help="Records, with tombstones.")
@click.option("--mebibytes", type=click.IntRange(1), help="Mebibytes of their documents.")
@click.option("--feeds", type=click.IntRange(1), help="Feeds: public, federation, and one for each group.")
@click.option("--rejected", type=click.IntRange(1), help="Rejected entries.")
@click.option("--entries", type=click.IntRange(1), help="Entries within an hour.")
@click.option("--reset", is_flag=True, help="Give up its own bounds first: those of the node hold.")
@json_option
@command
async def peer_quota(operator: str, reset: bool, as_json: bool, **bounds: int | None) -> None:
    """Show what is stored of a peer and its bounds, or give it bounds of its own.

    A peer that would go beyond a bound is paused. With a higher one it goes on at once.
    """
    change = QuotaChange(**bounds)
    async with node_here() as node:
        if reset or change.named():
            quota = await quotas.change_quota(node, operator, change, reset=reset)
        else:
            quota = await quotas.read_quota(node, operator)

    def text() -> None:
        used = {"records": quota.use.records, "mebibytes": quota.mebibytes, "feeds": quota.use.feeds}
        used["rejected"] = quota.use.rejected
        for bound, meaning in BOUND_MEANINGS.items():
            use = f"{used[bound]} of " if bound in used else "at most "
            own = "  (its own bound)" if bound in quota.own else ""
            click.echo(f"{use}{getattr(quota.bounds, bound)} {meaning}{own}")
        if quota.paused:
            click.echo(f"paused: {quota.paused}; federation peer confirm {operator}, or a higher bound")

    print_result(quota, as_json, text)


@peer.command("forget")
@click.argument("operator")
@command
async def peer_forget(operator: str) -> None:
    """Free the id of an operator that has left, or never was active, from the key it is bound to.

    For an operator whose key was lost: only after its administrator has said so, by phone.
    """
    async with node_here() as node:
        await peers.forget(node, operator)
        excluded = operator in await exclusions.own(node)
    click.echo(f"{operator} is forgotten")
    if excluded:
        click.echo(
            "It stays excluded from your GREEN records until it is active again, or until: federation peer"
            f" exclude {operator} --lift",
            err=True,
        )


def _print_state(operator: str, state: str, as_json: bool) -> None:
    print_result(
        {"operator": operator, "state": state}, as_json, lambda: click.echo(f"{operator} is {state}")
    )


@peer.command("list")
@json_option
@command
async def peer_list(as_json: bool) -> None:
    """List the peers: state, lag, last contact, why the last attempt failed, rejected entries."""
    async with node_here() as node:
        view = await peer_views.peers(node)
    print_result(view, as_json, lambda: show_peers(view))


peer.add_command(members)
