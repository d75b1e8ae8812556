"""The peers as text: state, feeds, alarms."""

from __future__ import annotations

from typing import Any

import click

from federation.domain.peer import MAX_CLOCK_DIFFERENCE_SECONDS
from federation.node.peer_views import PeerView


def show_peers(view: Any) -> None:
    """Print the peers, their feeds, invitations and rejected entries."""
    for peer in view.peers:
        if peer.state == "pending":
            click.echo(f"{peer.operator}  {peer.url}  pending  code {peer.code}")
            _show_look_alikes(peer)
            continue
        failing = f"; failed {peer.failures} times: {peer.failure}" if peer.failures else ""
        click.echo(
            f"{peer.operator}  {peer.url}  {peer.state}  lag {peer.lag}  "
            f"last contact {peer.contacted_at or 'never'}{failing}"
        )
        _show_look_alikes(peer)
        if peer.clock_difference is not None:
            ahead = "ahead of" if peer.clock_difference > 0 else "behind"
            click.echo(f"    look at this: its clock is {abs(peer.clock_difference)} s {ahead} ours")
        for feed in peer.feeds:
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
        for part in peer.not_understood:
            reason, number = next(iter(part.reasons.items()))
            others = f", and {part.records - number} for other reasons" if part.records > number else ""
            click.echo(
                f"    not understood: {part.records} records of the type {part.type}: {reason}{others};"
                " a newer version of this program may understand them"
            )
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
