"""The commands of alerts: ``federation subscription --help``, ``federation alert --help``."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from federation.cli.console import command, json_option, node_here, print_result
from federation.domain.alert import EVENT_MEANINGS, EVENTS, AlertState, NewSubscription
from federation.domain.draft import read_draft
from federation.domain.errors import Invalid
from federation.domain.visibility import itself
from federation.node import alert_delivery, alerts
from federation.store.alerts import MAX_LISTED, Subscription


@click.group()
def subscription() -> None:
    """Subscriptions: receivers of alerts, by webhook or e-mail."""


@subscription.command(
    "add",
    epilog="\b\nEvents:\n"
    + "\n".join(f"  {event:<20} {meaning}" for event, meaning in EVENT_MEANINGS.items()),
)
@click.option(
    "--event", "events", multiple=True, required=True, type=click.Choice(EVENTS), metavar="EVENT",
    help="Event to send alerts of; can be repeated.",
)  # fmt: skip
@click.option("--webhook", metavar="URL", help="Send alerts to this URL, signed after Standard Webhooks.")
@click.option("--email", metavar="MAILBOX", help="Send alerts by e-mail; needs FEDERATION_SMTP_URL.")
@click.option(
    "--unanswered-hours", type=click.IntRange(1, 720), default=24, show_default=True,
    help="Hours without a statement of yours, after which incident.unanswered is sent.",
)  # fmt: skip
@click.option("--private", is_flag=True, help="Allow a webhook at an address that is not public.")
@click.option("--dry-run", is_flag=True, help="Check whether alerts could be sent so, and change nothing.")
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
    """Send alerts of events from now on, and print the secret that signs webhooks, once.

    Present states (an incident that affects you, a peer that is silent) are sent at once; incidents published
    before are not.
    """
    values: dict[str, Any] = {
        "events": list(dict.fromkeys(events)), "webhook": webhook, "email": email,
        "unanswered_hours": unanswered_hours, "private": private,
    }  # fmt: skip
    if (webhook is None) == (email is None):
        raise Invalid("name one of --webhook and --email")
    named = {name: value for name, value in values.items() if value is not None}
    new: NewSubscription = read_draft(msgspec.json.encode(named), NewSubscription)
    async with node_here() as node:
        if dry_run:
            alerts.check_subscription(node, new)
            print_result(
                {"dry_run": True}, as_json, lambda: click.echo(f"alerts would be sent to {webhook or email}")
            )
            return
        subscribed = await alerts.subscribe(node, new, by=itself(node.operator))

    def text() -> None:
        click.echo(f"id:     {subscribed.id}")
        if webhook:
            click.echo(f"secret: {subscribed.secret}")
            click.echo("The secret cannot be shown again.", err=True)
        click.echo(f"Try it: federation subscription test {subscribed.id}", err=True)

    print_result({"id": subscribed.id, "secret": subscribed.secret if webhook else None}, as_json, text)


@subscription.command("list")
@json_option
@command
async def subscription_list(as_json: bool) -> None:
    """List the subscriptions."""
    async with node_here() as node, node.store.read() as tx:
        subscriptions = await tx.alerts.subscriptions()

    def text() -> None:
        for stored in subscriptions:
            click.echo(f"{stored.id}  {stored.webhook or stored.email}  {_events(stored)}")
        if not subscriptions:
            click.echo("there are no subscriptions; federation subscription add --help")

    print_result([_without_secret(stored) for stored in subscriptions], as_json, text)


def _events(stored: Subscription) -> str:
    hours = f"  (unanswered: {stored.unanswered_hours} h)" if "incident.unanswered" in stored.events else ""
    state = "" if stored.active else f"  not active: {alert_delivery.RECEIVER_GONE}"
    return f"{' '.join(stored.events)}{hours}{state}"


def _without_secret(stored: Subscription) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(stored).items() if name != "secret"}


@subscription.command("remove")
@click.argument("id")
@command
async def subscription_remove(id: str) -> None:
    """Remove a subscription and its alerts, also those that are not delivered yet."""
    async with node_here() as node:
        await alerts.unsubscribe(node, id, by=itself(node.operator))
    click.echo(f"{id} is removed")


@subscription.command("test")
@click.argument("id")
@json_option
@command
async def subscription_test(id: str, as_json: bool) -> None:
    """Send a test to a subscription now, and print whether it was accepted; exit 1 if not.

    It is an event of its own (subscription.test), signed like all others, sent once and not stored.
    """
    async with node_here() as node:
        to = await alert_delivery.send_test(node, id, by=itself(node.operator))
    receiver = to.webhook or to.email
    print_result(
        {"id": id, "delivered": True, "to": receiver},
        as_json,
        lambda: click.echo(f"{receiver} has accepted it"),
    )


@click.group()
def alert() -> None:
    """Alerts: delivered, waiting, or given up."""


@alert.command("list")
@click.option("--parked", is_flag=True, help="Only those that were given up.")
@click.option("--withheld", is_flag=True, help="Only those that a digest counts: too many of one operator.")
@click.option("--origin", metavar="OPERATOR", help="Those about one operator.")
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
async def alert_list(
    parked: bool, withheld: bool, origin: str | None, of: str | None, limit: int, as_json: bool
) -> None:
    """List alerts and their delivery, newest first."""
    async with node_here() as node, node.store.read() as tx:
        states = await tx.alerts.listed(parked=parked, withheld=withheld, of=of, origin=origin, limit=limit)

    def text() -> None:
        for state in states:
            time = f"{state.at:%Y-%m-%d %H:%M:%S}"
            click.echo(f"{time}  {state.event}  {state.subject}  {_delivery(state)}  {state.id}")
        if not states:
            click.echo("no alert was given up" if parked else "there are no alerts")

    print_result(states, as_json, text)


def _delivery(state: AlertState) -> str:
    if state.delivered_at:
        return f"delivered {state.delivered_at:%Y-%m-%d %H:%M:%S}"
    if state.withheld:
        return "withheld"
    tried = f"tried {state.attempts} times" if state.attempts != 1 else "tried once"
    reason = f": {state.failure}" if state.failure else ""
    return f"{'parked' if state.parked_at else 'waiting'}, {tried}{reason}"


@alert.command("replay")
@click.argument("ids", nargs=-1)
@click.option("--parked", is_flag=True, help="All that were given up.")
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
                states = await tx.alerts.listed(parked=parked, of=of, limit=MAX_LISTED)
            listed = [state.id for state in states if parked or state.id in ids]
            print_result({"dry_run": True, "alerts": listed}, as_json, lambda: click.echo("\n".join(listed)))
            return
        if parked:
            number = await alerts.replay_parked(node, of, by=itself(node.operator))
        else:
            await alerts.replay(node, *dict.fromkeys(ids), by=itself(node.operator))
            number = len(set(ids))
    print_result({"replayed": number}, as_json, lambda: click.echo(f"{number} will be delivered again"))
