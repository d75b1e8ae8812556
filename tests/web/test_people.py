"""An administrator lets people in, changes what they may, and removes them; nobody else does."""

from __future__ import annotations

import re

import httpx2
import pytest
from litestar import Litestar

from federation.domain.visibility import Ceiling, itself
from federation.node import logins, people, sessions
from federation.node.node import Node
from tests.audit.audit_trail import entries
from tests.people.people import Clock, a_person
from tests.web.browser import links, shown
from tests.web.conftest import logged_in

BY = itself("arnia")
AN_AMBER = Ceiling("AMBER", frozenset({"arnia/security"}))


async def test_somebody_is_invited_by_a_link_that_is_shown_once(
    arnia: Node, administrator: httpx2.AsyncClient
) -> None:
    answer = await administrator.post("/fr/admin/people", data={"name": "Anne <b>", "role": "editor"})
    assert "affiché qu’une fois" in shown(answer)
    assert answer.headers["cache-control"] == "no-store"
    found = re.search(r"http://arnia\.test/invitation/([\w-]+)#([\w-]{43})", answer.text)
    assert found is not None
    code = re.search(r"<code>([2-9A-Z]{4}-[2-9A-Z]{4})</code>", answer.text)
    assert code is not None
    id_ = await logins.accept_link(arnia, found[1], found[2])
    anne = await people.find(arnia, id_)
    assert (anne.name, anne.role, anne.ceiling) == ("Anne <b>", "editor", Ceiling())
    listed = await administrator.get("/fr/admin/people")
    assert "2 personnes" in shown(listed)
    assert "à inviter" in listed.text
    assert found[2] not in listed.text
    again = await administrator.post(f"/fr/admin/people/{id_}/invite", data={"x": "y"})
    assert "Invitation pour Anne" in shown(again)
    noted = await entries(arnia, "person.invited")
    assert {entry.actor.partition(" (")[0] for entry in noted} == {"administrator of arnia"}


async def test_name_role_and_ceiling_are_changed(arnia: Node, administrator: httpx2.AsyncClient) -> None:
    anne = await a_person(arnia, "Anne", "reader")
    path = f"/fr/admin/people/{anne.id}"
    page = await administrator.get(path)
    assert "Anne" in shown(page)
    form = {"name": "Anne Martin", "role": "editor", "label": "AMBER", "groups": "arnia/security\r\n"}
    answer = await administrator.post(path, data=form)
    assert answer.headers["location"] == f"{path}?done=saved"
    changed = await people.find(arnia, anne.id)
    assert (changed.name, changed.role, changed.ceiling) == ("Anne Martin", "editor", AN_AMBER)
    page = await administrator.get(path)
    assert "arnia/security</textarea>" in page.text
    assert '<option value="AMBER" selected>' in page.text
    listed = shown(await administrator.get("/fr/admin/people"))
    assert "jusqu’à TLP:AMBER (arnia/security)" in listed
    await administrator.post(path, data=form | {"role": "administrator"})
    assert (await people.find(arnia, anne.id)).ceiling == Ceiling("RED")
    # What an administrator sees does not stay with somebody who is none any more.
    assert '<option value="RED" selected>' not in (await administrator.get(path)).text
    await administrator.post(path, data={"name": "Anne", "role": "reader", "label": "", "groups": ""})
    assert (await people.find(arnia, anne.id)).ceiling == Ceiling()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"role": "root"}, "role"),
        ({"label": "AMBER", "groups": ""}, "groups"),
        ({"label": "GREEN", "groups": "arnia/security"}, "groups"),
        ({"label": "AMBER", "groups": "security"}, "groups"),
    ],
)
async def test_what_cannot_be_is_shown_beside_its_field_and_kept(
    arnia: Node, administrator: httpx2.AsyncClient, wrong: dict[str, str], field: str
) -> None:
    anne = await a_person(arnia, "Anne", "reader")
    form = {"name": "Typed", "role": "reader", "label": "", "groups": ""} | wrong
    for path in ("/fr/admin/people", f"/fr/admin/people/{anne.id}"):
        refused = await administrator.post(path, data=form)
        shown(refused, 400)
        assert f'id="fault-{field}"' in refused.text
        if "name" not in wrong:
            assert 'value="Typed"' in refused.text
    assert (await people.find(arnia, anne.id)).name == "Anne"
    assert len(await people.all(arnia)) == 2


async def test_a_person_is_removed_after_a_review(arnia: Node, administrator: httpx2.AsyncClient) -> None:
    anne = await a_person(arnia, "Anne")
    secret = await sessions.begin(arnia, anne.id)
    path = f"/fr/admin/people/{anne.id}/remove"
    assert path in links(await administrator.get(f"/fr/admin/people/{anne.id}"))
    assert "Prennent fin aussitôt" in shown(await administrator.get(path))
    assert await sessions.session(arnia, secret) is not None
    answer = await administrator.post(path, data={"x": "y"})
    assert answer.headers["location"] == "/fr/admin/people?done=removed"
    assert await sessions.session(arnia, secret) is None
    for absent in (f"/fr/admin/people/{anne.id}", path, "/fr/admin/people/person-0", "/fr/admin/people/%00"):
        shown(await administrator.get(absent), 404)


async def test_nobody_takes_their_own_rights_away(arnia: Node, administrator: httpx2.AsyncClient) -> None:
    (me,) = await people.all(arnia)
    path = f"/fr/admin/people/{me.id}"
    form = {"name": me.name, "role": "reader", "label": "", "groups": ""}
    assert "Un autre administrateur" in shown(await administrator.post(path, data=form), 400)
    assert f"{path}/remove" not in links(await administrator.get(path))
    assert "vous supprimer vous-même" in shown(await administrator.get(f"{path}/remove"))
    shown(await administrator.post(f"{path}/remove", data={"x": "y"}), 400)
    answer = await administrator.post(path, data=form | {"role": "administrator", "name": "Chief"})
    assert answer.status_code == 303
    (present,) = await people.all(arnia)
    assert (present.name, present.role) == ("Chief", "administrator")


async def test_an_administrator_is_made_by_somebody_who_has_just_logged_in(
    arnia: Node, app: Litestar, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(arnia, "clock", clock)
    anne, chief = await a_person(arnia, "Anne"), await a_person(arnia, "Chief", "administrator")
    async with logged_in(app, arnia, "administrator") as client:
        clock.move(minutes=5)
        of_anne, of_chief = f"/fr/admin/people/{anne.id}", f"/fr/admin/people/{chief.id}"
        for path, form in (
            ("/fr/admin/people", {"name": "New", "role": "administrator"}),
            (of_anne, {"name": "Anne", "role": "administrator"}),
            (of_chief, {"name": "Chief", "role": "reader"}),
            (f"{of_chief}/invite", {"x": "y"}),
            (f"{of_anne}/remove", {"x": "y"}),
        ):
            refused = await client.post(path, data=form)
            assert "Connectez-vous d’abord à nouveau" in shown(refused, 401), path
        review = await client.get(f"{of_anne}/remove")
        assert review.headers["location"].endswith("%2Fremove&again=yes")
        assert len(await people.all(arnia)) == 3
        assert {person.role for person in await people.all(arnia)} == {"reader", "administrator"}
        # The rest needs no new login.
        assert (
            await client.post("/fr/admin/people", data={"name": "New", "role": "editor"})
        ).status_code == 200
        assert (await client.post(of_anne, data={"name": "Anne", "role": "editor"})).status_code == 303
        assert (await client.post(f"{of_anne}/invite", data={"x": "y"})).status_code == 200


@pytest.mark.parametrize("path", ["", "/PERSON", "/PERSON/remove"])
async def test_pages_about_people_are_for_administrators(
    arnia: Node,
    visitor: httpx2.AsyncClient,
    editor: httpx2.AsyncClient,
    administrator: httpx2.AsyncClient,
    path: str,
) -> None:
    anne = await a_person(arnia, "Anne")
    full = f"/fr/admin/people{path}".replace("PERSON", anne.id)
    asked = await visitor.get(full)
    assert asked.headers["location"].startswith("/fr/login?next=")
    assert "rôle" in shown(await editor.get(full), 403)
    form = {"name": "Taken", "role": "administrator"}
    assert (await editor.post(full, data=form)).status_code == 403
    assert (await visitor.post(full, data=form)).status_code in (401, 403)
    assert (await people.find(arnia, anne.id)).name == "Anne"
    assert len(await people.all(arnia)) == 3
    shown(await administrator.get(full))
