"""The commands about people: who of the operator may log in, and what they may do and see."""

from __future__ import annotations

from typing import Any

import click

from federation.cli.console import command, json_option, node_here, print_result
from federation.domain.login import PersonInvitation
from federation.domain.person import ROLES, Person
from federation.domain.visibility import Ceiling, itself
from federation.node import logins, people

LABELS = ("GREEN", "AMBER", "RED")
ceiling_option = click.option(
    "--ceiling",
    type=click.Choice(LABELS, case_sensitive=False),
    help="The narrowest label that they see: GREEN, AMBER for the groups named, RED for everything.",
)
group_option = click.option(
    "--group",
    "groups",
    multiple=True,
    help="A group of --ceiling AMBER, as OPERATOR/GROUP; can be repeated.",
)


@click.group()
def person() -> None:
    """People who may log in to the pages of this node: their roles, and the records they see."""


@person.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What they may do.")
@ceiling_option
@group_option
@json_option
@command
async def person_add(
    name: str, role: str, ceiling: str | None, groups: tuple[str, ...], as_json: bool
) -> None:
    """Add a person. They cannot log in until they are invited (federation person invite).

    A reader sees and subscribes, an editor also publishes and keeps deadlines, an administrator also runs the
    node. Readers and editors see what is CLEAR or GREEN unless --ceiling says more; an administrator sees
    everything.
    """
    async with node_here() as node:
        added = await people.add(
            node, name=name, role=role, ceiling=_ceiling(ceiling, groups), by=itself(node.operator)
        )
    _show(added, as_json)


@person.command("invite")
@click.argument("id", required=False)
@click.option("--name", help="The name of somebody new.")
@click.option("--role", type=click.Choice(ROLES), help="What somebody new may do.")
@ceiling_option
@group_option
@json_option
@command
async def person_invite(
    id: str | None,
    name: str | None,
    role: str | None,
    ceiling: str | None,
    groups: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print a link by which a person logs in once, within ten minutes, and then adds a passkey.

    ID invites somebody who is listed: a person who lost their last passkey, or has not come yet. --name and
    --role add somebody new. The link or the code is for that person alone; a new one replaces it.
    """
    if (id is None) != (name is not None and role is not None):
        raise click.UsageError("name either the ID of a person, or --name and --role of somebody new")
    if id is not None and (name is not None or role is not None or ceiling is not None or groups):
        raise click.UsageError("what a person who is listed may do or see: federation person change")
    async with node_here() as node:
        by = itself(node.operator)
        if id is not None:
            invitation = await logins.invite(node, id, by=by)
        else:
            invitation = await logins.invite_new(
                node, name=name or "", role=role or "", ceiling=_ceiling(ceiling, groups), by=by
            )
        url = node.url
    print_result(
        {
            "person": _to_json(invitation.person),
            "link": f"{url}{invitation.path}",
            "page": f"{url}{invitation.code_path}",
            "code": invitation.code,
            "expires_at": invitation.expires_at,
        },
        as_json,
        lambda: _show_invitation(invitation, url),
    )


def _show_invitation(invitation: PersonInvitation, url: str) -> None:
    click.echo(f"{_line(invitation.person)}\n")
    click.echo("Send this link to them alone. It holds once, for ten minutes:")
    click.echo(f"  {url}{invitation.path}\n")
    click.echo(f"In a browser without JavaScript: {url}{invitation.code_path}")
    click.echo(f"  code {invitation.code}")


@person.command("list")
@json_option
@command
async def person_list(as_json: bool) -> None:
    """List the people."""
    async with node_here() as node:
        everybody = await people.all(node)

    def text() -> None:
        for entry in everybody:
            click.echo(_line(entry))

    print_result([_to_json(entry) for entry in everybody], as_json, text)


@person.command("change")
@click.argument("id")
@click.option("--name", help="Another name.")
@click.option("--role", type=click.Choice(ROLES), help="Another role. Their sessions end.")
@ceiling_option
@group_option
@json_option
@command
async def person_change(
    id: str, name: str | None, role: str | None, ceiling: str | None, groups: tuple[str, ...], as_json: bool
) -> None:
    """Give a person another name, role or ceiling; what is not named stays. It holds at once."""
    async with node_here() as node:
        changed = await people.change(
            node, id, name=name, role=role, ceiling=_ceiling(ceiling, groups), by=itself(node.operator)
        )
    _show(changed, as_json)


@person.command("remove")
@click.argument("id")
@json_option
@command
async def person_remove(id: str, as_json: bool) -> None:
    """Remove a person. Their sessions, calendar addresses, passkeys and subscriptions end at once."""
    async with node_here() as node:
        removed = await people.remove(node, id, by=itself(node.operator))
    print_result(_to_json(removed), as_json, lambda: click.echo(f"{removed.actor} is removed"))


def _ceiling(label: str | None, groups: tuple[str, ...]) -> Ceiling | None:
    if label is None and not groups:
        return None
    for known in ("GREEN", "AMBER", "RED"):
        if (label or "AMBER").upper() == known:
            return Ceiling(known, frozenset(groups))
    raise AssertionError("click has checked the label")


def _show(shown: Person, as_json: bool) -> None:
    print_result(_to_json(shown), as_json, lambda: click.echo(_line(shown)))


def _line(shown: Person) -> str:
    ceiling = " ".join((shown.ceiling.label, *sorted(shown.ceiling.groups)))
    login = f"last login {shown.logged_in_at[:10]}" if shown.logged_in_at else "never logged in"
    return f"{shown.id}  {shown.name}  {shown.role}  sees {ceiling}  {login}"


def _to_json(shown: Person) -> dict[str, Any]:
    return {
        "id": shown.id,
        "name": shown.name,
        "role": shown.role,
        "ceiling": {"label": shown.ceiling.label, "groups": sorted(shown.ceiling.groups)},
        "created_at": shown.created_at,
        "logged_in_at": shown.logged_in_at,
        "identity_provider": shown.bound,
        "passkeys": shown.passkeys,
    }
