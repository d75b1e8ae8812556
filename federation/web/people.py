"""People of the operator in the console: list, invite, change, remove.

An invitation is shown once, to whoever has made it. An administrator is made, invited again or removed by
somebody who has logged in within the last minutes. Nobody takes their own rights away here: another
administrator does, or the command line.
"""

from __future__ import annotations

import re
from typing import Any

from litestar.response.base import ASGIResponse

from federation.domain.errors import Invalid
from federation.domain.login import PersonInvitation
from federation.domain.person import ROLES, Person
from federation.domain.visibility import Ceiling
from federation.edge.operations import ADMINISTRATOR
from federation.node import logins, people
from federation.web.forms import Form
from federation.web.language import screen_text as t
from federation.web.pages import check_fresh, page
from federation.web.visit import Visit

LABELS = (
    ("GREEN", t("what is public or for members of the federation")),
    ("AMBER", t("also what is for the groups named below")),
    ("RED", t("everything")),
)
_FIELDS = {"/ceiling": "label", "/groups": "groups", "/role": "role", "/name": "name"}
_BETWEEN_GROUPS = re.compile(r"[\s,;]+")


@page("/admin/people", act="page_people", right=ADMINISTRATOR)
async def list_people(visit: Visit) -> ASGIResponse:
    """List the people, with a form to invite somebody new."""
    return await _list(visit)


async def _list(visit: Visit, *, status: int = 200) -> ASGIResponse:
    return visit.page("people.html", status=status, people=await people.all(visit.node), **_choices(visit))


@page("/admin/people", act="page_people_invite", right=ADMINISTRATOR, method="POST")
async def invite_somebody(visit: Visit) -> ASGIResponse:
    """Invite somebody new, and show the link and the code."""
    form = await visit.read_form()
    if form.value("role") == "administrator":
        check_fresh(visit)
    try:
        invitation = await logins.invite_new(
            visit.node,
            name=form.value("name"),
            role=form.value("role"),
            ceiling=_ceiling(form),
            by=visit.caller,
        )
    except Invalid as error:
        _refuse(visit, form, error)
        return await _list(visit, status=400)
    return _show(visit, invitation)


@page("/admin/people/{person:str}", act="page_person", right=ADMINISTRATOR)
async def show_person(visit: Visit, person: str) -> ASGIResponse:
    """Show a person, with a form to change what they may do and see."""
    return _person(visit, await people.find(visit.node, person))


def _person(visit: Visit, person: Person, *, status: int = 200) -> ASGIResponse:
    is_self = visit.session.person.id == person.id
    return visit.page("person.html", status=status, person=person, is_self=is_self, **_choices(visit))


@page("/admin/people/{person:str}", act="page_person_change", right=ADMINISTRATOR, method="POST")
async def change_person(visit: Visit, person: str) -> ASGIResponse:
    """Change the name, role or ceiling of a person."""
    form = await visit.read_form()
    former = await people.find(visit.node, person)
    role = form.value("role")
    if "administrator" in (role, former.role) and role != former.role:
        check_fresh(visit)
    if visit.session.person.id == person and role != former.role:
        form.refuse("role", visit.text("Another administrator can change your role, or the command line."))
        return _person(visit, former, status=400)
    try:
        changed = await people.change(
            visit.node, person, name=form.value("name"), role=role, ceiling=_ceiling(form), by=visit.caller
        )
    except Invalid as error:
        _refuse(visit, form, error)
        return _person(visit, former, status=400)
    return visit.to(f"/admin/people/{changed.id}", notice="saved")


@page("/admin/people/{person:str}/invite", act="page_person_invite", right=ADMINISTRATOR, method="POST")
async def invite_again(visit: Visit, person: str) -> ASGIResponse:
    """Invite a person again, and show the link and the code."""
    if (await people.find(visit.node, person)).role == "administrator":
        check_fresh(visit)
    return _show(visit, await logins.invite(visit.node, person, by=visit.caller))


def _show(visit: Visit, invitation: PersonInvitation) -> ASGIResponse:
    return visit.page("person_invited.html", invitation=invitation, url=visit.node.url)


@page("/admin/people/{person:str}/remove", act="page_person_review", right=ADMINISTRATOR, fresh=True)
async def review_removal(visit: Visit, person: str) -> ASGIResponse:
    """Show what ends with a person, before they are removed."""
    found = await people.find(visit.node, person)
    return _review(visit, found)


def _review(visit: Visit, person: Person, *, status: int = 200) -> ASGIResponse:
    is_self = visit.session.person.id == person.id
    return visit.page("person_remove.html", status=status, person=person, is_self=is_self)


@page(
    "/admin/people/{person:str}/remove",
    act="page_person_remove",
    right=ADMINISTRATOR,
    method="POST",
    fresh=True,
)
async def remove_person(visit: Visit, person: str) -> ASGIResponse:
    """Remove a person."""
    if visit.session.person.id == person:
        return _review(visit, visit.session.person, status=400)
    await people.remove(visit.node, person, by=visit.caller)
    return visit.to("/admin/people", notice="removed")


def _choices(visit: Visit) -> dict[str, Any]:
    return {
        "roles": [(role, visit.text(ROLE_TEXTS[role])) for role in ROLES],
        "labels": [(label, visit.text(text)) for label, text in LABELS],
    }


ROLE_TEXTS = {
    "reader": t("reader: sees, and is alerted"),
    "editor": t("editor: also publishes and keeps deadlines"),
    "administrator": t("administrator: also runs the node, and sees everything"),
}


def _ceiling(form: Form) -> Ceiling | None:
    """The ceiling of a form; None where it is that of the role. Raises Invalid."""
    if form.value("role") == "administrator":
        return None
    groups = frozenset(filter(None, _BETWEEN_GROUPS.split(form.value("groups"))))
    for label in ("GREEN", "AMBER", "RED"):
        if form.value("label") == label:
            return Ceiling(label, groups)
    return Ceiling("AMBER", groups) if groups else None


def _refuse(visit: Visit, form: Form, error: Invalid) -> None:
    if error.faults:
        form.refuse_all(error.faults, visit.language, _FIELDS)
    else:
        form.refuse("", error.message.to_text(visit.language))


HANDLERS = (
    list_people,
    invite_somebody,
    show_person,
    change_person,
    invite_again,
    review_removal,
    remove_person,
)
