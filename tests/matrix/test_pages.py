"""Canaries: every page, list, file, search and error, as visitors of each kind: nothing hidden shows.

Each record of the world has a word of its own. A visitor opens all pages that there are, the page of each
record, a search for each word, and whatever these link to; a word may be there only of a live record that the
visitor may see by the table here, which asks nothing of the node.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections import deque
from collections.abc import AsyncIterator, Iterable
from html import unescape
from typing import NamedTuple

import httpx2
import pytest

from federation.domain.formats.tables import BY_ENDING
from federation.edge.operations import table
from federation.node import people
from federation.node.node import Node
from tests.matrix.callers_and_records import ABSENT_KEY, ABSENT_WORD, Thing, World, a_world
from tests.matrix.rules import HERE, THERE
from tests.nodes import app_of
from tests.people.people import a_person, log_in
from tests.web.browser import SAME_ORIGIN, browsing

pytestmark = pytest.mark.long

MAX_PAGES = 2_500
"""Addresses that one visitor opens, at most."""
WORD = re.compile(r"qx[b-dfghjk]{3}z")
LEFT_ALONE = re.compile(r"/(docs|v1|static|oauth2|\.well-known|health)\b|/logout|/login/|/admin/audit")
"""Addresses that are no pages, or that end a session; and the audit trail, which keeps the members of groups
that were retracted."""

PUBLIC = re.compile(r"/(feeds|status/api)/|/calendar\.ics")
"""Addresses that show the same to everybody, whoever is logged in."""


class Visitor(NamedTuple):
    """A kind of visitor, and what it may see of each label of arnia's records and of copies."""

    name: str
    role: str | None
    groups: tuple[str, ...]
    here: frozenset[str]
    there: frozenset[str]

    def may_see(self, thing: Thing) -> bool:
        label = "RED" if thing.type == "group" else thing.tlp
        return thing.live and label in (self.here if thing.origin == HERE else self.there)


CLEAR = frozenset({"CLEAR"})
GREEN = CLEAR | {"GREEN"}
AMBER = GREEN | {"AMBER", "AMBER+STRICT"}
VISITORS = (
    Visitor("nobody", None, (), CLEAR, CLEAR),
    Visitor("reader", "reader", (), GREEN, GREEN),
    Visitor("reader of a group of ours", "reader", (f"{HERE}/close",), AMBER, GREEN),
    Visitor("editor of a group of theirs", "editor", (f"{THERE}/close",), GREEN, AMBER),
    Visitor("administrator", "administrator", (), AMBER | {"RED"}, AMBER | {"RED"}),
)


@pytest.fixture
async def world(arnia: Node) -> AsyncIterator[World]:
    async with a_world(arnia) as world:
        yield world


def addresses(world: World) -> Iterable[str]:
    """Every page without parameters, the page of each record, and a search for each word."""
    with app_of(world.node) as app:
        pages = [
            operation for operation in table(app) if operation.tag == "pages" and operation.method == "GET"
        ]
    for operation in pages:
        for path in (operation.path, *operation.aliases):
            if "{" not in path and path.startswith(("/fr", "/calendar")) and not LEFT_ALONE.search(path):
                yield path
    for thing in (*world.things, *(thing.absent for thing in world.things[:3])):
        record = f"{thing.plural}/{thing.origin}/{thing.key}"
        yield from (f"/fr/{record}", f"/fr/write/{record}", f"/fr/search?q={thing.word}")
        yield f"/fr/{thing.plural}?q={thing.word}"
        yield from (f"/fr/{thing.plural}.{ending}?q={thing.word}" for ending in BY_ENDING)
        yield from (f"/feeds/{thing.plural}.atom", f"/feeds/solutions/{thing.origin}/{thing.key}.atom")
        if thing.type == "incident":
            yield f"/fr/{record}/answer"
    yield from ("/calendar.ics", "/feeds/all.atom")
    yield from (f"/status/api/v2/{name}.json" for name in ("summary", "incidents", "scheduled-maintenances"))
    for origin in (HERE, THERE):
        yield from (f"/fr/operators/{origin}", f"/fr/status/{origin}", f"/feeds/operators/{origin}.atom")


def text_of(answer: httpx2.Response) -> str:
    """All that an answer says; of a spreadsheet, the texts in its package."""
    if not answer.content.startswith(b"PK"):
        return answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as package:
        return "".join(package.read(name).decode() for name in package.namelist())


def links_of(answer: httpx2.Response) -> Iterable[str]:
    """The pages that an answer leads to."""
    found = re.findall(r'(?:href|action)="(/[^"]*)"', text_of(answer))
    if location := answer.headers.get("location"):
        found.append(location)
    for address in found:
        path = unescape(address).partition("#")[0]
        if not LEFT_ALONE.search(path):
            yield path


@pytest.mark.parametrize("visitor", VISITORS, ids=lambda visitor: visitor.name)
async def test_no_page_shows_what_its_visitor_may_not_see(
    world: World, arnia: Node, visitor: Visitor
) -> None:
    by_word = {thing.word: thing for thing in world.things}
    records = {f"/fr/{thing.plural}/{thing.origin}/{thing.key}": thing.type for thing in world.things}
    shown: set[str] = set()
    with_page: set[str] = set()
    with app_of(arnia) as app:
        async with browsing(app) as client:
            if visitor.role is not None:
                person = await a_person(arnia, visitor.name, visitor.role, *visitor.groups)
                await log_in(arnia, client, person)
                client.headers.update(SAME_ORIGIN)
            waiting = deque(dict.fromkeys(addresses(world)))
            if visitor.role is not None:
                waiting.append(f"/calendar/{await people.new_calendar_address(arnia, person.id)}.ics")
            known = set(waiting)
            opened = 0
            while waiting and opened < MAX_PAGES:
                path = waiting.popleft()
                opened += 1
                answer = await client.get(path)
                assert answer.status_code < 500, (path, answer.text[:300])
                if answer.status_code == 200 and path in records:
                    with_page.add(records[path])
                for word in set(WORD.findall(text_of(answer))) - set(WORD.findall(path)):
                    thing = by_word.get(word)
                    assert thing is not None, (path, word)
                    assert visitor.may_see(thing), f"{path} shows {thing} to {visitor.name}"
                    assert thing.tlp == "CLEAR" or not PUBLIC.match(path), f"{path} shows {thing}"
                    shown.add(word)
                for address in links_of(answer):
                    if address not in known and len(known) < MAX_PAGES:
                        known.add(address)
                        waiting.append(address)
    assert ABSENT_WORD not in shown
    assert ABSENT_KEY not in shown
    # The twin: of each type that has pages of its own it sees all that it may see.
    assert with_page
    unseen = [
        thing
        for thing in world.things
        if thing.type in with_page and visitor.may_see(thing) and thing.word not in shown
    ]
    assert not unseen
