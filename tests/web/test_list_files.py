"""Lists as files: each list in each form, with what its visitor may see and nothing else."""

from __future__ import annotations

import httpx2
import pytest

from federation.api.examples import DRAFTS
from federation.node.node import Node
from federation.web import list_files
from tests.api.http_client import fine, put
from tests.api.table_files import rows_of
from tests.domain.builders import a_solution, an_incident
from tests.exposure.deployments import copy_unread
from tests.web.browser import links, shown

FORMS = ("csv", "xlsx", "ods")
LISTS = ("solution", "deployment", "incident", "operator", "practice", "meeting", "purchase", "consultation")


@pytest.mark.parametrize("form", FORMS)
async def test_a_list_is_a_file_of_what_its_visitor_may_see(
    own: httpx2.AsyncClient, visitor: httpx2.AsyncClient, member: httpx2.AsyncClient, form: str
) -> None:
    for tlp in ("CLEAR", "GREEN", "RED"):
        name = f"=canary-{tlp.lower()}"
        fine(await put(own, f"solutions/{tlp.lower()}", a_solution(name=name), tlp=tlp))
    cell = "'=canary-clear" if form == "csv" else "=canary-clear"
    public = rows_of(await visitor.get(f"/fr/solutions.{form}"), form)
    assert [row[0] for row in public] == ["Nom", cell]
    assert "GPL-3.0-or-later" in public[1]
    own_rows = rows_of(await member.get(f"/fr/solutions.{form}?sort=id"), form)
    assert [row[0].lstrip("'=") for row in own_rows[1:]] == ["canary-clear", "canary-green"]
    filtered = rows_of(await member.get(f"/fr/solutions.{form}?q=canary-green"), form)
    assert [row[-2] for row in filtered[1:]] == ["arnia/green"]
    shown(await member.get(f"/fr/solutions.{form}?theme=none"), 400)


@pytest.mark.parametrize("type_name", LISTS)
async def test_every_list_has_a_file_of_each_form_and_links_to_it(
    own: httpx2.AsyncClient, member: httpx2.AsyncClient, type_name: str
) -> None:
    plural = f"{type_name}s"
    draft = DRAFTS[type_name]
    key = "arnia" if type_name == "operator" else "x"
    fine(await put(own, f"{plural}/{key}", draft["content"], tlp="CLEAR"))
    page = await member.get(f"/fr/{plural}")
    files = [link for link in links(page) if link.rpartition(".")[2] in FORMS]
    assert files == [f"/fr/{plural}.{form}" for form in FORMS]
    read = [rows_of(await member.get(file), form) for file, form in zip(files, FORMS, strict=True)]
    assert len(read[0]) == 2
    assert [[cell.removeprefix("'") for cell in row] for row in read[0]] == read[1] == read[2]


async def test_a_file_that_is_cut_says_so_and_a_whole_one_does_not(
    own: httpx2.AsyncClient, visitor: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_files, "MAX_PAGE", 2)
    monkeypatch.setattr(list_files, "MAX_ROWS", 4)
    for number in range(4):
        await put(own, f"solutions/s{number}", a_solution())
    assert len(rows_of(await visitor.get("/fr/solutions.ods"), "ods")) == 5
    await put(own, "solutions/s4", a_solution())
    *rows, last = rows_of(await visitor.get("/fr/solutions.ods"), "ods")
    assert len(rows) == 5
    assert last[0].startswith("Ce fichier s’arrête après 4 lignes.")


async def test_a_file_says_how_many_records_are_not_understood(
    own: httpx2.AsyncClient, visitor: httpx2.AsyncClient, arnia: Node
) -> None:
    await put(own, "solutions/a", a_solution())
    assert len(rows_of(await visitor.get("/fr/solutions.xlsx"), "xlsx")) == 2
    await copy_unread(arnia, "solution", "megalis/x", {"kind": "hologram"}, tlp="CLEAR")
    *_, last = rows_of(await visitor.get("/fr/solutions.xlsx"), "xlsx")
    assert last[0].startswith("1 autre n’est pas compris")


async def test_a_file_is_sent_again_only_when_it_has_changed(
    own: httpx2.AsyncClient, member: httpx2.AsyncClient
) -> None:
    await put(own, "solutions/a", a_solution())
    for form in FORMS:
        tag = (await member.get(f"/fr/solutions.{form}")).headers["etag"]
        again = await member.get(f"/fr/solutions.{form}", headers={"if-none-match": tag})
        assert again.status_code == 304
    await put(own, "solutions/b", a_solution())
    changed = await member.get("/fr/solutions.ods", headers={"if-none-match": tag})
    assert changed.status_code == 200


async def test_what_waits_for_us_and_who_is_told_are_files_without_secrets(
    own: httpx2.AsyncClient, editor: httpx2.AsyncClient, member: httpx2.AsyncClient
) -> None:
    fine(await put(own, "deployments/old", DRAFTS["deployment"]["content"]))
    affects = [{"solution": DRAFTS["deployment"]["content"]["solution"]}]
    await put(
        own, "incidents/down", an_incident(title={"fr": "Panne de l’ENT"}, affects=affects), tlp="GREEN"
    )
    webhook = {"webhook": "https://itsm.example.org/hook", "do": "add", "events": ["incident.affects-mine"]}
    shown(await editor.post("/fr/subscriptions", data=webhook))
    noted = {"title": "Fuite", "aware_at": "2026-11-30T10:00", "do": "add", "regimes": ["nis2", "gdpr"]}
    assert (await editor.post("/fr/deadlines", data=noted)).status_code == 303
    for form in FORMS:
        waiting = rows_of(await editor.get(f"/fr/mine.{form}"), form)
        assert [row[:3] for row in waiting if row[0] == "Incident"] == [
            ["Incident", "Panne de l’ENT", "arnia/down"]
        ]
        assert any(row[1] == "Fuite" for row in waiting)
        steps = rows_of(await editor.get(f"/fr/deadlines.{form}"), form)
        assert len(steps) == 5
        assert steps[1][0] == "Fuite"
        told = rows_of(await editor.get(f"/fr/subscriptions.{form}"), form)
        assert told[1][0] == "https://itsm.example.org/hook"
        assert "whsec_" not in str(told)
        assert len(rows_of(await member.get(f"/fr/subscriptions.{form}"), form)) == 1
        shown(await member.get(f"/fr/mine.{form}"), 403)
        shown(await member.get(f"/fr/deadlines.{form}"), 403)
