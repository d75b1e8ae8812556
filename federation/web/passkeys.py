"""A person's own passkeys: add, list, remove."""

from __future__ import annotations

from litestar.response.base import ASGIResponse

from federation.domain.errors import Conflict, Invalid, NotFound, Unauthenticated
from federation.edge.answers import JSON
from federation.edge.operations import Right
from federation.node import passkeys
from federation.web.pages import check_fresh, page
from federation.web.visit import Visit

MEMBER = Right("solutions.read")
"""Everybody who is logged in: every role has this scope."""


async def _page(visit: Visit, *, status: int = 200) -> ASGIResponse:
    stored = await passkeys.of_person(visit.node, visit.session.person.id)
    return visit.page(
        "passkeys.html",
        status=status,
        passkeys=[(passkeys.passkey_key(passkey), passkey) for passkey in stored],
        provider=visit.node.identity_provider.name if visit.node.identity_provider else None,
        has_passkeys=passkeys.host_of_passkeys(visit.node) is not None,
    )


def _check_may_add(visit: Visit) -> None:
    """Raises Unauthenticated: a stolen session must not become a way in for ever.

    A person without any other way in has nothing to log in with again.
    """
    person = visit.session.person
    if person.passkeys or person.bound:
        check_fresh(visit)


@page("/passkeys", act="page_passkeys", right=MEMBER)
async def own_passkeys(visit: Visit) -> ASGIResponse:
    """List the passkeys of the person, with a form to add one."""
    return await _page(visit)


@page("/passkeys/options", act="page_passkey_options", method="POST", right=MEMBER, media_type=JSON)
async def passkey_options(visit: Visit) -> ASGIResponse:
    """Begin to add a passkey: the script asks for it."""
    _check_may_add(visit)
    made = await passkeys.options_to_add(visit.node, visit.session.person)
    return visit.file(passkeys.as_json(made), JSON)


@page("/passkeys", act="page_passkey_add", method="POST", right=MEMBER)
async def add_passkey(visit: Visit) -> ASGIResponse:
    """Add a passkey."""
    _check_may_add(visit)
    form = await visit.read_form()
    try:
        await passkeys.add(
            visit.node,
            visit.session.person,
            name=form.value("name"),
            state=form.value("state"),
            credential=form.value("credential"),
        )
    except (Invalid, Conflict, Unauthenticated) as error:
        return await _refuse(visit, error)
    return visit.to("/passkeys", notice="saved")


@page("/passkeys/remove", act="page_passkey_remove", method="POST", right=MEMBER, fresh=True)
async def remove_passkey(visit: Visit) -> ASGIResponse:
    """Remove a passkey of one's own."""
    form = await visit.read_form()
    try:
        await passkeys.remove(visit.node, visit.session.person, form.value("passkey"))
    except (NotFound, Conflict) as error:
        return await _refuse(visit, error)
    return visit.to("/passkeys", notice="removed")


async def _refuse(visit: Visit, error: Invalid | Conflict | NotFound | Unauthenticated) -> ASGIResponse:
    form = await visit.read_form()
    if error.faults:
        form.refuse_all(error.faults, visit.language, {"/name": "name"})
    else:
        form.refuse("", error.message.to_text(visit.language))
    return await _page(visit, status=400)


HANDLERS = (own_passkeys, passkey_options, add_passkey, remove_passkey)
