"""The commands of trust: peers and this node's own key."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import click

from federation.cli.console import command, json_option, node_here, print_result
from federation.domain.invitation import Invitation
from federation.domain.peer import MAX_CLOCK_DIFFERENCE_SECONDS
from federation.domain.quota import BOUND_MEANINGS, QuotaChange
from federation.node import copies, exclusions, invitations, key_rotation, peer_views, peers, quotas
from federation.node.node import Node
from federation.node.peer_views import PeerView

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


def show_peers(view: Any) -> None:
    for rejected in view.peers:
        if rejected.state == "pending":
            click.echo(f"{rejected.operator}  {rejected.url}  pending  code {rejected.code}")
            _show_look_alikes(rejected)
            continue
        failing = f"; failed {rejected.failures} times: {rejected.failure}" if rejected.failures else ""
        click.echo(
            f"{rejected.operator}  {rejected.url}  {rejected.state}  lag {rejected.lag}  "
            f"last contact {rejected.contacted_at or 'never'}{failing}"
        )
        _show_look_alikes(rejected)
        if rejected.clock_difference is not None:
            ahead = "ahead of" if rejected.clock_difference > 0 else "behind"
            click.echo(f"    look at this: its clock is {abs(rejected.clock_difference)} s {ahead} ours")
        for feed in rejected.feeds:
            age = f", signed {_ago(feed.age_seconds)}" if feed.age_seconds is not None else ""
            state = feed.state
            if feed.unverified and feed.verified_seq is not None and feed.state in ("verified", "stale"):
                state = f"{state} up to {feed.verified_seq} of {feed.pulled}"
            via = f", through {feed.via}" if feed.via else ""
            click.echo(
                f"    {feed.audience}: {feed.count} records, {feed.pulled} of {feed.head or 0} pulled,"
                f" {state}{age}{via}"
            )
            if feed.excludes:
                click.echo(f"        withheld from {', '.join(feed.excludes)}")
            if feed.alarm:
                click.echo(f"        look at this: {feed.alarm}")
    if view.excluded:
        click.echo(f"excluded from your GREEN records: {', '.join(view.excluded)}")
    for invitation in view.invitations:
        click.echo(f"invited  {invitation.note or 'somebody'}  until {invitation.expires_at}")
    for rejected in view.rejected:
        click.echo(
            f"rejected: {rejected.type} {rejected.origin}/{rejected.key} at revision {rejected.revision}:"
            f" {rejected.reason}: {rejected.detail}"
        )


def _show_look_alikes(peer: PeerView) -> None:
    for look_alike in peer.look_alikes:
        click.echo(f"    look twice: {look_alike}")


def _ago(seconds: int) -> str:
    if seconds < -MAX_CLOCK_DIFFERENCE_SECONDS:
        return f"{-seconds} s in the future"
    if seconds < 120:
        return f"{max(seconds, 0)} s ago"
    return f"{seconds // 60} min ago" if seconds < 7_200 else f"{seconds // 3600} h ago"


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
