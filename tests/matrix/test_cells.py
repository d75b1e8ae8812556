"""The authorisation matrix: who × what × label × verb × state × origin, every cell asked over HTTP.

What is expected is told in ``rules.py`` and never asked of the node. Where a caller sees nothing, the
answer is held against the one for a record that is not there at all: they must be the same bytes.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx2
import pytest

from federation.domain import registry
from federation.node.node import Node
from tests.api.http_client import JSON, NDJSON, PATCH, left_behind, lines
from tests.matrix import rules
from tests.matrix.callers_and_records import ABSENT_KEY, Thing, World, a_world, draft_of, keys_of, told
from tests.matrix.rules import HERE
from tests.nodes import a_token
from tests.waiting import MAX_WAIT_SECONDS


@pytest.fixture
async def world(arnia: Node) -> AsyncIterator[World]:
    async with a_world(arnia) as world:
        yield world


class Ask(NamedTuple):
    """A request."""

    method: str
    path: str
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed
    body: bytes | None = None

    async def of(self, client: httpx2.AsyncClient) -> httpx2.Response:
        return await client.request(self.method, self.path, headers=self.headers, content=self.body)


def one(thing: Thing) -> str:
    return f"/v1/{thing.plural}/{thing.origin}/{thing.key}"


def filtered(thing: Thing) -> str:
    """A list whose filters hit this record, and no other."""
    alone = {
        "deployment": f"&solution=arnia/{thing.word}",
        "incident": f"&solution=arnia/{thing.word}",
        "statement": f"&incident=arnia/{thing.word}",
        "group": f"&member={thing.word}",
        "participation": f"&consultation=arnia/{thing.word}",
    }.get(thing.type, f"&q={thing.word}")
    return f"/v1/{thing.plural}?total=true&sort=id&origin={thing.origin}&tlp={quote(thing.tlp)}{alone}"


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


READS: dict[str, Callable[[Thing], Ask]] = {
    "get": lambda thing: Ask("GET", one(thing)),
    "head": lambda thing: Ask("HEAD", one(thing)),
    "get unless the same": lambda thing: Ask("GET", one(thing), {"if-none-match": thing.tag}),
    "get unless there": lambda thing: Ask("GET", one(thing), {"if-none-match": "*"}),
}
LISTS: dict[str, Callable[[Thing], Ask]] = {
    "list": lambda thing: Ask("GET", filtered(thing)),
    "search": lambda thing: Ask("GET", f"/v1/{thing.plural}?total=true&q={thing.word}"),
    "list, no body": lambda thing: Ask("HEAD", filtered(thing)),
}
WRITES: dict[str, Callable[[Thing], Ask]] = {
    "patch": lambda thing: Ask("PATCH", one(thing), PATCH, encoded({"same_as": ["https://a.example/"]})),
    "append": lambda thing: Ask(
        "POST", f"{one(thing)}/updates", JSON, encoded({"text": {"fr": "On cherche"}})
    ),
    "delete at a state": lambda thing: Ask("DELETE", one(thing), {"if-match": thing.tag}),
    "delete": lambda thing: Ask("DELETE", one(thing)),
    "put new": lambda thing: Ask("PUT", one(thing), {**JSON, "if-none-match": "*"}, encoded(draft_of(thing))),
    "put at a state": lambda thing: Ask(
        "PUT", one(thing), {**JSON, "if-match": thing.tag}, encoded(draft_of(thing))
    ),
    "put": lambda thing: Ask(
        "PUT", one(thing), JSON, encoded(draft_of(thing, same_as=["https://b.example/"]))
    ),
    "post": lambda thing: Ask("POST", f"/v1/{thing.plural}", JSON, encoded(draft_of(thing))),
    "bulk": lambda thing: Ask(
        "POST", f"/v1/{thing.plural}/bulk", NDJSON, encoded({"key": thing.key, **draft_of(thing)})
    ),
}


def writes_of(thing: Thing) -> dict[str, Callable[[Thing], Ask]]:
    return {verb: ask for verb, ask in WRITES.items() if verb != "append" or thing.type == "incident"}


ATTEMPTS = 3
"""Times that a request is made while the node is out of connections, which says nothing of records."""


class Cells:
    """Counts cells, and keeps those that are not as they should be."""

    def __init__(self) -> None:
        self.asked = self.requests = 0
        self.shown: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._absent: dict[tuple[Any, ...], tuple[Any, ...]] = {}

    def hold(self, cell: str, expected: object, found: object) -> None:
        self.asked += 1
        if found != expected:
            self.wrong.append(f"{cell}: {found!r:.300}, not {expected!r:.300}")

    async def ask(self, client: httpx2.AsyncClient, ask: Ask) -> httpx2.Response:
        """The answer. Where the node is out of connections for a moment, it is asked again."""
        for _ in range(ATTEMPTS):
            self.requests += 1
            answer = await ask.of(client)
            if answer.status_code != 503:
                break
        return answer

    async def absent(
        self, caller: str, client: httpx2.AsyncClient, verb: str, make: Callable[[Thing], Ask], thing: Thing
    ) -> tuple[Any, ...]:
        """What a caller is told of a record that is not there."""
        at = (caller, verb, thing.type, thing.origin)
        if at not in self._absent:
            answer = await self.ask(client, make(thing.absent))
            self._absent[at] = told(answer, thing.absent)
        return self._absent[at]


def test_every_type_of_record_is_in_the_matrix() -> None:
    assert set(rules.EVERY_TYPE) == set(registry.TYPES)


async def test_every_cell_of_what_is_read(world: World) -> None:
    cells = Cells()

    async def all_of(caller: str, client: httpx2.AsyncClient) -> None:
        for thing in world.things:
            turned_away = rules.refused(caller, "reads", thing.type)
            sees = turned_away is None and rules.sees(caller, thing.type, thing.origin, thing.tlp)
            cells.shown[caller] += sees
            for verb, make in {**READS, **LISTS}.items():
                answer = await cells.ask(client, make(thing))
                cell = f"{caller} / {verb} / {thing}"
                if sees and verb in READS:
                    cells.hold(cell, *seen_as(thing, verb, answer))
                    continue
                if sees:
                    there = ({thing.key}, 1) if thing.live else (set(), 0)
                    cells.hold(cell, *listed_as(there, answer))
                    continue
                if verb in READS:
                    cells.hold(cell, turned_away or 404, answer.status_code)
                elif turned_away is not None:
                    cells.hold(cell, turned_away, answer.status_code)
                else:
                    cells.hold(cell, *listed_as((set(), 0), answer))
                absent = await cells.absent(caller, client, verb, make, thing)
                cells.hold(f"{cell} / as one that is not there", absent, told(answer, thing))
                cells.hold(f"{cell} / nothing of it", False, thing.tag.strip('"') in answer.text)

    await asyncio.gather(*(all_of(*asking) for asking in world.callers.items()))
    assert cells.wrong == []
    both = len(world.things) // 2
    each = (len(rules.TYPES) - 1) * 2  # groups are RED; the others are of two origins
    without = 4 if "contribution" in rules.TYPES else 0  # they are never AMBER or AMBER+STRICT
    assert cells.shown == {
        **dict.fromkeys(rules.CALLERS, 0),
        rules.OWN: len(world.things),
        rules.ORIGIN: each * (4 + 2) - without,
        rules.MEMBER: each * (4 + 2) - without,
        rules.GREEDY: each * (4 + 2) - without,
        rules.NEIGHBOUR: each * (2 + 2),
        rules.OUTSIDER: each * (2 + 2),
        rules.EXCLUDED: each * (2 + 1),
        rules.ANYONE: each * (1 + 1),
    }
    assert both == each * len(rules.TLPS) + 2 - without
    assert cells.asked > 90 * len(world.things)


def seen_as(thing: Thing, verb: str, answer: httpx2.Response) -> tuple[object, object]:
    """What who sees a record must be answered, and what it is answered."""
    if not thing.live:
        return 410, answer.status_code
    found = (answer.status_code, answer.headers.get("etag"), answer.content)
    if verb.startswith("get unless"):
        return (304, thing.tag, b""), found
    return (200, thing.tag, b"" if verb == "head" else thing.document), found


def listed_as(there: tuple[set[str], int], answer: httpx2.Response) -> tuple[object, object]:
    """Keys and total of a list; of its head, that it is one."""
    if answer.request.method == "HEAD":
        return (200, b"", None), (answer.status_code, answer.content, answer.headers.get("link"))
    found = (answer.status_code, answer.headers.get("link"))
    if answer.status_code != 200:
        return (200, None), found
    return (*there, 200, None), (keys_of(answer), answer.json()["total"], *found)


async def test_every_cell_of_what_others_write(world: World) -> None:
    """Nobody but our own clients with the scope, whatever the record is; and nothing is left of it."""
    cells = Cells()
    before = await left_behind(world.node)

    async def all_of(caller: str, client: httpx2.AsyncClient) -> None:
        for thing in world.things:
            status = rules.refused(caller, "writes", thing.type)
            assert status is not None
            for verb, make in writes_of(thing).items():
                answer = await cells.ask(client, make(thing))
                cell = f"{caller} / {verb} / {thing}"
                cells.hold(cell, status, answer.status_code)
                absent = await cells.absent(caller, client, verb, make, thing)
                cells.hold(f"{cell} / as one that is not there", absent, told(answer, thing))

    others = (asking for asking in world.callers.items() if asking[0] != rules.OWN)
    await asyncio.gather(*(all_of(*asking) for asking in others))
    assert cells.wrong == []
    assert await left_behind(world.node) == before
    assert cells.asked > 130 * len(world.things)


OWN_WRITES: dict[str, tuple[int, int]] = {
    "patch": (200, 410),
    "append": (200, 410),
    "delete at a state": (412, 412),
    "delete": (204, 204),
    "put new": (201, 201),
    "put at a state": (412, 412),
    "put": (200, 200),
    "post": (201, 201),
    "bulk": (200, 200),
}
"""What our own client is answered, one write after the other: for a live record, and for a tombstone."""


async def test_every_cell_of_what_our_own_client_writes(world: World) -> None:
    """Its own records and nobody else's; the positive twin of what all others may not."""
    cells = Cells()
    client = world.callers[rules.OWN]
    for thing in world.things:
        for verb, make in writes_of(thing).items():
            if thing.origin != HERE and verb in ("post", "bulk"):
                continue  # they name no origin: see below
            answer = await cells.ask(client, make(thing))
            status = OWN_WRITES[verb][not thing.live] if thing.origin == HERE else 403
            cells.hold(f"{verb} / {thing}", status, answer.status_code)
            if verb == "bulk":
                cells.hold(f"{verb} / {thing} / kept", 0, lines(answer)[-1]["summary"]["refused"])
        answer = await cells.ask(client, READS["get"](thing))
        if thing.origin == HERE:
            cells.hold(f"{thing} / was written", False, answer.headers.get("etag") == thing.tag)
        else:
            cells.hold(f"{thing} / is as it was", *seen_as(thing, "get", answer))
            named = {"origin": thing.origin, "key": thing.key, **draft_of(thing)}
            answer = await client.post(f"/v1/{thing.plural}/bulk", content=encoded(named), headers=NDJSON)
            cells.hold(f"{thing} / bulk that names an origin", 1, lines(answer)[-1]["summary"]["refused"])
    assert cells.wrong == []
    assert cells.asked > 5 * len(world.things)


@pytest.mark.parametrize("scope", ["read", "write"])
async def test_the_scope_of_one_type_opens_no_other(world: World, scope: str) -> None:
    cells = Cells()
    client = world.callers[rules.POOR]
    for mine in rules.TYPES:
        client.headers.update(await a_token(world.node, client, f"{mine}s.{scope}", name=f"{mine}s"))
        for thing in world.things:
            read = await cells.ask(client, READS["get"](thing))
            status = (200 if thing.live else 410) if (mine, scope) == (thing.type, "read") else 403
            cells.hold(f"{mine}s.{scope} / get / {thing}", status, read.status_code)
            written = await cells.ask(client, WRITES["put at a state"](thing._replace(tag='"x"')))
            may = (mine, scope) == (thing.type, "write") and thing.origin == HERE
            cells.hold(f"{mine}s.{scope} / put / {thing}", 412 if may else 403, written.status_code)
    assert cells.wrong == []
    assert cells.asked == 2 * len(rules.TYPES) * len(world.things)


FORMS = {"JSON": "application/json", "NDJSON": "application/x-ndjson"}


def entries_of(answer: httpx2.Response, form: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lines(answer) if form == "NDJSON" else answer.json()["entries"]
    return found


async def test_every_cell_of_feeds(world: World) -> None:
    """A feed is read by its audience, and relayed to whom may see its records; what is RED is in none."""
    cells = Cells()
    audiences = [*rules.FEEDS, "private", "c9ose"]
    for caller, client in world.callers.items():
        turned_away = rules.refused(caller, "feeds", "")
        heads = await cells.ask(client, Ask("GET", "/v1/feeds"))
        may = {audience for audience, readers in rules.FEEDS.items() if caller in readers}
        if turned_away is not None:
            cells.hold(f"{caller} / heads", turned_away, heads.status_code)
        else:
            named = [(head["origin"], head["audience"]) for head in heads.json()["feeds"]]
            cells.hold(f"{caller} / heads", sorted((HERE, audience) for audience in may), sorted(named))
        for form, accept in FORMS.items():
            for origin in (HERE, rules.THERE, "nobodys"):
                hidden = set()
                for audience in audiences:
                    at = f"/v1/feeds/{origin}/{audience}/changes"
                    answer = await cells.ask(client, Ask("GET", at, {"accept": accept}))
                    cell = f"{caller} / {form} / {origin}/{audience}"
                    if turned_away is not None:
                        cells.hold(cell, turned_away, answer.status_code)
                    elif origin == rules.THERE and caller in rules.RELAYED.get(audience, ()):
                        # What others told us for everybody, or for the federation. (Groups are theirs alone,
                        # and what our own systems see of them is in no feed for others.)
                        shown = {entry["key"] for entry in entries_of(answer, form)}
                        for thing in world.things:
                            there = thing.origin == rules.THERE and rules.FEED_OF.get(thing.tlp) == audience
                            cells.hold(f"{cell} / {thing}", there, thing.key in shown)
                    elif origin == rules.THERE and (audience, caller) == ("federation", rules.EXCLUDED):
                        cells.hold(cell, 403, answer.status_code)
                    elif origin != HERE and audience in ("public", "federation"):
                        cells.hold(cell, 404, answer.status_code)
                    elif origin != HERE or audience not in may:
                        cells.hold(cell, 403, answer.status_code)
                        hidden.add(answer.content.replace(f"/{audience}".encode(), b"/A"))
                    else:
                        keys = {entry["key"] for entry in entries_of(answer, form)}
                        for thing in world.things:
                            there = thing.origin == HERE and rules.FEED_OF.get(thing.tlp) == audience
                            cells.hold(f"{cell} / {thing}", there, thing.key in keys)
                cells.hold(f"{caller} / {form} / hidden feeds are one answer", True, len(hidden) <= 1)
    assert cells.wrong == []
    assert cells.asked > 1_000


async def test_every_cell_of_arrivals(world: World) -> None:
    cells = Cells()
    for caller, client in world.callers.items():
        status = rules.refused(caller, "arrivals", "")
        for form, accept in {**FORMS, "SSE": "text/event-stream"}.items():
            if form == "SSE" and status is None:
                continue  # it does not end
            async with asyncio.timeout(MAX_WAIT_SECONDS):
                answer = await cells.ask(client, Ask("GET", "/v1/changes", {"accept": accept}))
            for thing in world.things:
                cell = f"{caller} / arrivals {form} / {thing}"
                if status is not None:
                    cells.hold(cell, (status, False), (answer.status_code, thing.tag in answer.text))
                    continue
                hashes = {f'"{entry["hash"]}"' for entry in entries_of(answer, form)}
                cells.hold(cell, True, thing.tag in hashes)
    assert cells.wrong == []
    assert cells.asked > 28 * len(world.things)


async def test_pages_and_totals_count_what_may_be_seen_only(world: World) -> None:
    """A page that is exactly full says nothing of more; one less names the next, and all together are all."""
    cells = Cells()
    for caller, client in world.callers.items():
        for type_name in rules.TYPES:
            if rules.refused(caller, "reads", type_name) is not None:
                continue
            mine = {t.key for t in world.things if t.type == type_name and t.live and rules.sees(
                caller, t.type, t.origin, t.tlp
            )}  # fmt: skip
            if type_name == "group" and caller == rules.OWN:
                mine |= {"close", "other"}
            if type_name == "solution" and caller in (rules.OWN, rules.NEIGHBOUR):
                mine |= {"elsewhere"}
            if type_name == "solution":
                subjects = (("subject-clear", "CLEAR"), ("subject-green", "GREEN"))
                mine |= {key for key, tlp in subjects if rules.sees(caller, type_name, HERE, tlp)}
            for sort in ("id", "updated_at", "-updated_at"):
                for limit in {max(len(mine), 1), max(len(mine) - 1, 1), 1, 500}:
                    at = f"/v1/{type_name}s?total=true&sort={sort}&limit={limit}"
                    cell = f"{caller} / {at}"
                    seen, pages = [], 0
                    while at:
                        answer = await cells.ask(client, Ask("GET", at))
                        page = answer.json()
                        if not pages:
                            cells.hold(f"{cell} / total", len(mine), page["total"])
                        seen += [item["key"] for item in page["items"]]
                        pages += 1
                        at = page.get("next", "")
                        cells.hold(f"{cell} / link", bool(at), "link" in answer.headers)
                    cells.hold(f"{cell} / keys", sorted(mine), sorted(seen))
                    cells.hold(f"{cell} / pages", max(-(-len(mine) // limit), 1), pages)
    assert cells.wrong == []
    assert cells.asked > 500
    assert ABSENT_KEY not in {thing.key for thing in world.things}
