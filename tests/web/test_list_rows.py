"""Rows of lists are made once for each revision and language, and show what is true of the visit."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx2
import pytest

from federation.node.node import Node
from federation.web import list_rows
from federation.web.list_rows import MAX_STORED_BYTES
from federation.web.rendered import RenderedParts
from tests.api.http_client import put
from tests.domain.builders import a_solution, an_incident, an_operator
from tests.nodes import publish
from tests.people.people import a_person, log_in
from tests.web.browser import shown


@pytest.fixture(autouse=True)
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No row is stored yet; the macros that make rows from now on."""
    names: list[str] = []
    render = list_rows._render

    def note(visit: object, shape: object, name: str, document: bytes) -> object:
        names.append(name)
        return render(visit, shape, name, document)  # type: ignore[arg-type]  # of what calls it

    monkeypatch.setattr(list_rows, "_render", note)
    monkeypatch.setattr(list_rows, "_stored", RenderedParts(MAX_STORED_BYTES))
    return names


async def test_a_row_is_made_once_for_each_revision_and_language(
    visitor: httpx2.AsyncClient, own: httpx2.AsyncClient, rendered: list[str]
) -> None:
    for key in ("a", "b"):
        names = {"fr": f"Un outil {key} & d'autres", "en": f"A tool {key} & others"}
        await put(own, f"solutions/{key}", a_solution(name=f"Outil {key}", summary=names))
    first = await visitor.get("/fr/solutions")
    assert "Un outil a & d'autres" in shown(first)
    assert (await visitor.get("/fr/solutions")).text == first.text
    assert rendered == ["solution"] * 2
    assert "A tool a & others" in shown(await visitor.get("/en/solutions"))
    assert len(rendered) == 4
    await put(own, "solutions/b", a_solution(name="Autre nom"))
    text = shown(await visitor.get("/fr/solutions"))
    assert "Autre nom" in text
    assert "Outil b" not in text
    assert "Outil a" in text
    assert len(rendered) == 5, "the record that was not revised keeps its row"


async def test_a_row_has_the_name_of_the_operator_that_the_visitor_sees_now(
    visitor: httpx2.AsyncClient, arnia: Node, own: httpx2.AsyncClient, rendered: list[str]
) -> None:
    await put(own, "solutions/glpi", a_solution())
    assert "<td>arnia</td>" in (await visitor.get("/fr/solutions")).text
    await publish(arnia, "operator", "arnia", an_operator(name="L'<ARNia>"), tlp="GREEN")
    assert "<td>arnia</td>" in (await visitor.get("/fr/solutions")).text, "the name is for members"
    await log_in(arnia, visitor, await a_person(arnia))
    assert "<td>L&#39;&lt;ARNia&gt;</td>" in (await visitor.get("/fr/solutions")).text
    assert rendered == ["solution"]


async def test_a_row_that_a_member_has_seen_is_not_shown_to_others(
    visitor: httpx2.AsyncClient, arnia: Node, own: httpx2.AsyncClient
) -> None:
    await put(own, "solutions/secret", a_solution(name="Secret"), tlp="GREEN")
    public = await visitor.get("/fr/solutions")
    await log_in(arnia, visitor, await a_person(arnia))
    assert "Secret" in shown(await visitor.get("/fr/solutions"))
    visitor.cookies.clear()
    assert (await visitor.get("/fr/solutions")).text == public.text


async def test_ages_go_on_in_rows_that_are_stored(
    visitor: httpx2.AsyncClient, arnia: Node, own: httpx2.AsyncClient, rendered: list[str]
) -> None:
    await put(own, "incidents/one", an_incident(kind="outage"))
    now = arnia.clock()
    for days in (3, 5):
        arnia.clock = lambda days=days: now + timedelta(days=days)  # type: ignore[misc]
        text = (await visitor.get("/fr/incidents")).text
        assert re.search(rf'<time datetime="[^"]+" title="[^"]+">il y a {days}\sjours</time>', text)
    assert rendered == ["incident"]


async def test_rows_that_were_not_used_for_longest_make_room(
    visitor: httpx2.AsyncClient,
    own: httpx2.AsyncClient,
    rendered: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(list_rows, "_stored", RenderedParts(1))
    await put(own, "solutions/glpi", a_solution())
    for _ in range(2):
        assert "GLPI" in shown(await visitor.get("/fr/solutions"))
    assert len(rendered) == 2
