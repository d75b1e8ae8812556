"""Pages of sources in the console, and the import of a file in two steps."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx2
import pytest

from federation.domain.content.solution import Solution
from federation.domain.errors import NotFound
from federation.domain.visibility import itself
from federation.node import records, sources, uploaded_files
from federation.node.node import Node
from tests.domain.builders import a_solution
from tests.nodes import publish
from tests.sources.web_server import WebServer, a_file, an_item
from tests.web.browser import shown

pytestmark = pytest.mark.usefixtures("list_kind")


async def test_sources_are_for_administrators(
    visitor: httpx2.AsyncClient, editor: httpx2.AsyncClient
) -> None:
    assert (await visitor.get("/fr/admin/sources")).status_code == 303
    shown(await editor.get("/fr/admin/sources"), 403)
    assert (await editor.post("/fr/admin/sources", data={"name": "x", "kind": "list"})).status_code == 403
    assert (await visitor.get("/fr/import")).status_code == 303


async def test_an_administrator_adds_a_source_runs_it_and_reads_the_report(
    administrator: httpx2.AsyncClient, arnia: Node, web: WebServer
) -> None:
    typed = {"name": "shelf", "kind": "list", "url": web.url, "every": "3600"}
    refused = shown(await administrator.post("/fr/admin/sources", data=typed), 400)
    assert "n’est pas publique" in refused or "pas publique" in refused
    answer = await administrator.post("/fr/admin/sources", data={**typed, "private": "yes"})
    assert answer.headers["location"] == "/fr/admin/sources/shelf?done=saved"
    web.serve(an_item("glpi", a_solution()), {"fault": "line not understood"})
    answer = await administrator.post("/fr/admin/sources/shelf", data={"do": "run"})
    assert answer.headers["location"] == "/fr/admin/sources/shelf/runs/1"
    answer = await administrator.get("/fr/admin/sources/shelf/runs/1")
    assert 'href="/fr/solutions/arnia/glpi"' in answer.text
    assert "line not understood" in shown(answer)
    web.serve()
    await administrator.post("/fr/admin/sources/shelf", data={"do": "run"})
    page = shown(await administrator.get("/en/admin/sources/shelf"))
    assert "No longer in the source" in page
    web.status = 500
    await administrator.post("/fr/admin/sources/shelf", data={"do": "run"})
    for path in ("/admin/sources", "/admin/sources/shelf", "/admin/sources/shelf/runs/3"):
        assert "la source a répondu 500" in shown(await administrator.get(f"/fr{path}"))
        assert "the source answered 500" in shown(await administrator.get(f"/en{path}"))
    assert "en échec" in shown(await administrator.get("/fr/admin/sources"))
    for _ in range(2):
        await administrator.post("/fr/admin/sources/shelf", data={"do": "run"})
    assert "est une source qui ne peut pas être lue" in shown(await administrator.get("/fr/admin"))
    await administrator.post("/fr/admin/sources/shelf", data={"do": "pause"})
    assert (await sources.find(arnia, "shelf")).state == "paused"
    await administrator.post("/fr/admin/sources/shelf", data={"do": "resume"})
    assert (await sources.find(arnia, "shelf")).state == "active"
    answer = await administrator.post("/fr/admin/sources/shelf", data={"do": "remove"})
    assert answer.headers["location"] == "/fr/admin/sources?done=removed"
    shown(await administrator.get("/fr/admin/sources/shelf"), 404)


async def test_an_editor_sees_what_a_file_would_do_and_then_imports_it(
    editor: httpx2.AsyncClient, administrator: httpx2.AsyncClient, arnia: Node
) -> None:
    assert 'enctype="multipart/form-data"' in (await editor.get("/fr/import")).text
    await publish(arnia, "solution", "matomo", a_solution(name="Ours"))
    file = a_file(
        an_item("glpi", a_solution()), an_item("matomo", a_solution(name="Matomo")), {"fault": "bad line"}
    )
    sent = {"file": ("liste.json", file, "application/json")}
    answer = await editor.post("/fr/import", data={"kind": "list"}, files=sent)
    path = answer.headers["location"]
    assert re.fullmatch(r"/fr/import/[\w-]{22}", path)
    page = shown(await editor.get(path))
    assert "liste.json" in page
    assert "bad line" in page
    assert "/content/name" in page
    with pytest.raises(NotFound):
        await records.find(arnia, Solution, "arnia", "glpi", by=itself("arnia"))
    shown(await administrator.get(path), 404)
    page = shown(await editor.post(path, data={"do": "check", "tlp": "AMBER"}), 200)
    assert "/audience" in page
    done = await editor.post(path, data={"do": "import", "tlp": "GREEN"})
    assert "Importé" in shown(done)
    assert 'href="/fr/solutions/arnia/glpi"' in done.text
    assert b"GREEN" in (await records.find(arnia, Solution, "arnia", "glpi", by=itself("arnia"))).document
    shown(await editor.get(path), 404)


async def test_a_file_that_is_none_is_refused_with_a_reason(editor: httpx2.AsyncClient) -> None:
    shown(await editor.post("/fr/import", data={"kind": "list"}, files={"other": b"x"}), 400)
    bad_kind = await editor.post("/fr/import", data={"kind": "none"}, files={"file": ("x", b"x")})
    assert "none" in shown(bad_kind, 400)
    answer = await editor.post("/fr/import", data={"kind": "list"}, files={"file": ("x", b"no JSON")})
    page = shown(await editor.get(answer.headers["location"]), 400)
    assert "cannot be read" in page
    body = b"--b\r\nno header"
    headers = {"content-type": "multipart/form-data; boundary=b"}
    shown(await editor.post("/fr/import", content=body, headers=headers), 400)
    assert (await editor.post("/fr/import", data={"kind": "list"})).status_code == 415


async def test_files_are_deleted_after_an_hour_and_bounded_in_number(
    editor: httpx2.AsyncClient, arnia: Node
) -> None:
    moment = [arnia.clock()]
    arnia.clock = lambda: moment[0]
    paths = []
    for number in range(4):
        moment[0] += timedelta(seconds=1)
        sent = {"file": (f"{number}.json", a_file(), "application/json")}
        answer = await editor.post("/fr/import", data={"kind": "list"}, files=sent)
        paths.append(answer.headers["location"])
    shown(await editor.get(paths[0]), 404)
    shown(await editor.get(paths[3]))
    moment[0] += timedelta(hours=2)
    await uploaded_files.drop_expired(arnia)
    async with arnia.store.write() as tx:
        assert await tx.uploaded_files.use() == (0, 0)


async def test_an_editor_chooses_what_the_columns_of_a_spreadsheet_give(
    editor: httpx2.AsyncClient, arnia: Node
) -> None:
    await publish(arnia, "solution", "glpi", a_solution())
    rows = "Logiciel;Code INSEE;Remarque;Version\nGLPI;71076;à revoir;10.0.17\nInconnu;71076;;1\n"
    sent = {"file": ("déploiements.csv", rows.encode("cp1252"), "text/csv")}
    answer = await editor.post("/fr/import", data={"kind": "csv"}, files=sent)
    path = answer.headers["location"]
    answer = await editor.get(path)
    page = shown(answer)
    assert "Remarque" in page
    assert "Inconnu" in page
    chosen = re.findall(r'<select name="(column-\d)".*?</select>', answer.text.replace("\n", " "))
    assert chosen == ["column-0", "column-1", "column-2", "column-3"]
    assert re.search(r'<option value="solution" selected>', answer.text)
    columns = {"column-0": "solution", "column-1": "insee", "column-2": "", "column-3": ""}
    answer = await editor.post(path, data={"do": "check", "type": "deployments", **columns})
    assert not re.search(r'<option value="version" selected>', answer.text)
    shown(answer)
    alone = {**dict.fromkeys(columns, ""), "column-0": "solution"}
    answer = await editor.post(path, data={"do": "import", "type": "deployments", **alone})
    assert "insee" in shown(answer, 400)
    columns["column-3"] = "version"
    done = await editor.post(path, data={"do": "import", "type": "deployments", **columns})
    page = shown(done)
    assert "Importé" in page
    assert "rejetée" in page
    assert 'href="/fr/deployments/arnia/' in done.text
