"""The commands about who is told of what: ``federation subscription --help``, ``federation alert --help``."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from federation.cli.console import command, json_option, node_here, print_result
from federation.domain.alert import EVENT_MEANINGS, EVENTS, NewSubscription
from federation.domain.audit import OPERATOR
from federation.domain.draft import read_draft
from federation.domain.errors import Invalid
from federation.node import alert_delivery, alerts
from federation.store.alerts import MAX_LISTED, AlertState, Subscription


@click.group()
def subscription() -> None:
    """Subscriptions: who is told of what, by webhook or e-mail."""


@subscription.command(
    "add",
    epilog="\b\nEvents:\n"
    + "\n".join(f"  {event:<20} {meaning}" for event, meaning in EVENT_MEANINGS.items()),
)
@click.option(
    "--event", "events", multiple=True, required=True, type=click.Choice(EVENTS), metavar="EVENT",
    help="What to tell of; can be repeated.",
)  # fmt: skip
@click.option("--webhook", metavar="URL", help="Tell it to this URL, signed after Standard Webhooks.")
@click.option("--email", metavar="MAILBOX", help="Tell it by e-mail; needs FEDERATION_SMTP_URL.")
@click.option(
    "--unanswered-hours", type=click.IntRange(1, 720), default=24, show_default=True,
    help="Hours without a statement of yours after which incident.unanswered is told.",
)  # fmt: skip
@click.option("--private", is_flag=True, help="Allow a webhook at an address that is not public.")
@click.option("--dry-run", is_flag=True, help="Say whether it could be told so, and change nothing.")
@json_option
@command
async def subscription_add(
    events: tuple[str, ...],
    webhook: str | None,
    email: str | None,
    unanswered_hours: int,
    private: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Have somebody told of events from now on, and print the secret that webhooks are signed with, once.

    Of what goes on already (an incident that hits you, a peer that is silent) it is told at once; of
    incidents published before, it is not.
    """
    asked: dict[str, Any] = {
        "events": list(dict.fromkeys(events)), "webhook": webhook, "email": email,
        "unanswered_hours": unanswered_hours, "private": private,
    }  # fmt: skip
    if (webhook is None) == (email is None):
        raise Invalid("name one of --webhook and --email")
    named = {name: value for name, value in asked.items() if value is not None}
    wanted: NewSubscription = read_draft(msgspec.json.encode(named), NewSubscription)
    async with node_here() as node:
        if dry_run:
            alerts.check_subscription(node, wanted)
            print_result({"dry_run": True}, as_json, lambda: click.echo(f"{webhook or email} would be told"))
            return
        made = await alerts.subscribe(node, wanted, by=OPERATOR)

    def text() -> None:
        click.echo(f"id:     {made.id}")
        if webhook:
            click.echo(f"secret: {made.secret}")
            click.echo("The secret cannot be shown again.", err=True)
        click.echo(f"Try it: federation subscription test {made.id}", err=True)

    print_result({"id": made.id, "secret": made.secret if webhook else None}, as_json, text)


@subscription.command("list")
@json_option
@command
async def subscription_list(as_json: bool) -> None:
    """List who is told of what."""
    async with node_here() as node, node.store.read() as tx:
        found = await tx.alerts.subscriptions()

    def text() -> None:
        for one in found:
            click.echo(f"{one.id}  {one.webhook or one.email}  {_events(one)}")
        if not found:
            click.echo("nobody is told of anything; federation subscription add --help")

    print_result([_shown(one) for one in found], as_json, text)


def _events(one: Subscription) -> str:
    hours = f"  (unanswered: {one.unanswered_hours} h)" if "incident.unanswered" in one.events else ""
    state = "" if one.active else f"  told no more: {alert_delivery.RECEIVER_GONE}"
    return f"{' '.join(one.events)}{hours}{state}"


def _shown(one: Subscription) -> dict[str, Any]:
    """Everything but the secret."""
    return {name: value for name, value in msgspec.structs.asdict(one).items() if name != "secret"}


@subscription.command("remove")
@click.argument("id")
@command
async def subscription_remove(id: str) -> None:
    """Tell somebody no more; its alerts are dropped, those that were not delivered yet, too."""
    async with node_here() as node:
        await alerts.unsubscribe(node, id, by=OPERATOR)
    click.echo(f"{id} is removed")


@subscription.command("test")
@click.argument("id")
@json_option
@command
async def subscription_test(id: str, as_json: bool) -> None:
    """Tell a subscriber now that somebody tries, and say whether it was taken; exit 1 if not.

    It is an event of its own (subscription.test), signed as all are, sent once and not kept.
    """
    async with node_here() as node:
        to = await alert_delivery.send_test(node, id)
    where = to.webhook or to.email
    print_result(
        {"id": id, "delivered": True, "to": where}, as_json, lambda: click.echo(f"{where} has accepted it")
    )


@click.group()
def alert() -> None:
    """Alerts: what was told to whom, and what was not taken."""


@alert.command("list")
@click.option("--parked", is_flag=True, help="Those that were given up, and only those.")
@click.option("--subscription", "of", metavar="ID", help="Those of one subscription.")
@click.option(
    "--limit",
    type=click.IntRange(1, MAX_LISTED),
    default=50,
    show_default=True,
    help="At most, the last ones.",
)
@json_option
@command
async def alert_list(parked: bool, of: str | None, limit: int, as_json: bool) -> None:
    """List alerts and what became of them, newest first."""
    async with node_here() as node, node.store.read() as tx:
        found = await tx.alerts.listed(parked=parked, of=of, limit=limit)

    def text() -> None:
        for one in found:
            click.echo(f"{one.at:%Y-%m-%d %H:%M:%S}  {one.event}  {one.subject}  {_fate(one)}  {one.id}")
        if not found:
            click.echo("nothing was given up" if parked else "nobody was told of anything")

    print_result(found, as_json, text)


def _fate(one: AlertState) -> str:
    if one.delivered_at:
        return f"delivered {one.delivered_at:%Y-%m-%d %H:%M:%S}"
    tried = f"tried {one.attempts} times" if one.attempts != 1 else "tried once"
    why = f": {one.failure}" if one.failure else ""
    if one.parked_at:
        return f"parked, {tried}{why}"
    return f"waiting, {tried}{why}"


@alert.command("replay")
@click.argument("ids", nargs=-1)
@click.option("--parked", is_flag=True, help="Everything that was given up.")
@click.option("--subscription", "of", metavar="ID", help="With --parked: of one subscription.")
@click.option("--dry-run", is_flag=True, help="List what would be delivered again, and change nothing.")
@json_option
@command
async def alert_replay(
    ids: tuple[str, ...], parked: bool, of: str | None, dry_run: bool, as_json: bool
) -> None:
    """Deliver alerts again, by their IDS or all that are parked; the node that serves does it at once.

    Each is tried for 24 hours as if it were new, under the identifier it had.
    """
    if bool(ids) == parked:
        raise Invalid("name the alerts to be delivered again, or --parked")
    if of and not parked:
        raise Invalid("--subscription goes with --parked")
    async with node_here() as node:
        if dry_run:
            async with node.store.read() as tx:
                found = await tx.alerts.listed(parked=parked, of=of, limit=MAX_LISTED)
            several = [one.id for one in found if parked or one.id in ids]
            print_result(
                {"dry_run": True, "alerts": several}, as_json, lambda: click.echo("\n".join(several))
            )
            return
        if parked:
            number = await alerts.replay_parked(node, of)
        else:
            await alerts.replay(node, *dict.fromkeys(ids))
            number = len(set(ids))
    print_result({"replayed": number}, as_json, lambda: click.echo(f"{number} will be delivered again"))
