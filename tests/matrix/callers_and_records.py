"""A node that holds a record of every type, label, origin and state, and everybody who could ask for it."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx2
from litestar import Litestar

from federation.api.caller import LIFETIME
from federation.domain import registry
from federation.domain.feed import FeedName
from federation.domain.peer import Peer, PeerState
from federation.domain.record import Record, tombstone
from federation.domain.scopes import SCOPES
from federation.domain.visibility import itself
from federation.node import records
from federation.node.keys import Keyring, mint_private_key, verify_dpop_proof
from federation.node.node import Node
from federation.server.observed import ObservedApplication
from federation.telemetry import Metrics
from tests.api.http_client import ASSERTION
from tests.domain.builders import (
    NOW,
    a_consultation,
    a_contribution,
    a_deployment,
    a_group,
    a_meeting,
    a_membership,
    a_participation,
    a_practice,
    a_purchase,
    a_record,
    a_solution,
    a_statement,
    an_incident,
    an_offer,
    an_operator,
)
from tests.matrix import rules
from tests.matrix.rules import HERE, THERE
from tests.nodes import Proving, a_token, app_of, publish

ABSENT_KEY = "k999"
WORDS = ["".join(("qx", *letters, "z")) for letters in itertools.product("bcdfghjk", repeat=3)]
"""Words of one length that no stemmer shortens; each record has one of its own, the last is nobody's."""
ABSENT_WORD = WORDS.pop()

OPERATORS = {
    rules.ORIGIN: THERE,
    rules.MEMBER: "nivernais",
    rules.GREEDY: "nivernais",
    rules.NEIGHBOUR: "recia",
    rules.OUTSIDER: "maximilien",
    rules.EXCLUDED: "barred",
    rules.PENDING: "newcomer",
    rules.SUSPENDED: "suspect",
    rules.LEFT: "leaver",
    rules.FORGOTTEN: "gone",
    rules.STRANGER: "stranger",
}
"""Whose caller is which; the group names all of them but three."""
STATES: dict[str, PeerState] = {"newcomer": "pending", "suspect": "suspended", "leaver": "left"}
CLOSE = sorted({*OPERATORS.values()} - {"recia", "maximilien", "barred"})


LABELS_OF = {"group": ("RED",), "contribution": ("CLEAR", "GREEN", "RED")}
"""Labels that the records of a type can have, where not all."""


class Thing(NamedTuple):
    """A record that the node holds."""

    type: str
    tlp: str
    origin: str
    live: bool
    key: str
    word: str
    """A word that is in this record and in no other."""
    tag: str
    document: bytes

    def __str__(self) -> str:
        return f"{'live' if self.live else 'retracted'} {self.type} {self.origin} {self.tlp}"

    @property
    def plural(self) -> str:
        return registry.TYPES[self.type].plural

    @property
    def absent(self) -> Thing:
        """One of which everything is the same, but that it is not there."""
        return self._replace(key=ABSENT_KEY, word=ABSENT_WORD)


def content_of(type_name: str, word: str, tlp: str = "GREEN") -> dict[str, Any]:
    """Content that is found by the word."""
    match type_name:
        case "solution":
            return a_solution(name=word)
        case "deployment":
            return a_deployment(solution=f"arnia/{word}", hosting={"model": "operator", "provider": word})
        case "incident":
            return an_incident(title={"fr": word}, affects=[{"solution": f"arnia/{word}"}])
        case "statement":
            return a_statement(incident=f"arnia/{word}", action={"fr": word})
        case "operator":
            return an_operator(name=word)
        case "membership":
            return a_membership(name=word)
        case "offer":
            return an_offer(title={"fr": word})
        case "practice":
            return a_practice(title={"fr": word})
        case "meeting":
            return a_meeting(title={"fr": word})
        case "contribution":
            subject = "subject-clear" if tlp == "CLEAR" else "subject-green"
            return a_contribution(text={"fr": word}, about={"type": "solution", "id": f"{HERE}/{subject}"})
        case "purchase":
            return a_purchase(title={"fr": word})
        case "consultation":
            return a_consultation(title={"fr": word})
        case "participation":
            return a_participation(consultation=f"arnia/{word}")
    return a_group(name=word, members=[word])


def envelope_of(tlp: str) -> dict[str, Any]:
    return {"tlp": tlp, **({"audience": "close"} if tlp.startswith("AMBER") else {})}


def draft_of(thing: Thing, **envelope: Any) -> dict[str, Any]:
    """What a writer would send to publish the record anew."""
    return {**envelope_of(thing.tlp), "content": content_of(thing.type, thing.word, thing.tlp), **envelope}


async def fill(node: Node) -> list[Thing]:
    """One record of everything there can be. Groups are RED, whoever made them."""
    await publish(node, "group", "close", a_group(members=CLOSE))
    await publish(node, "group", "other", a_group(members=["recia"]))
    # What a feed of another group holds is nothing to those of this one.
    await publish(node, "solution", "elsewhere", a_solution(), tlp="AMBER", audience="other")
    # Who sees a contribution sees what it is about.
    await publish(node, "solution", "subject-clear", a_solution(), tlp="CLEAR")
    await publish(node, "solution", "subject-green", a_solution(), tlp="GREEN")
    things = []
    of_all = itertools.product(rules.TYPES, rules.TLPS, (HERE, THERE), (True, False))
    numbers = itertools.count(1)
    for type_name, tlp, origin, live in of_all:
        if tlp not in LABELS_OF.get(type_name, rules.TLPS):
            continue
        n = next(numbers)
        one = Thing(type_name, tlp, origin, live, f"k{n:03}", WORDS[n], "", b"")
        record = await (_published if origin == HERE else _copied)(node, one, n)
        things.append(one._replace(tag=f'"{record[0].hex()}"', document=record[1]))
    return things


async def _published(node: Node, thing: Thing, _: int) -> tuple[bytes, bytes]:
    content = content_of(thing.type, thing.word, thing.tlp)
    made = await publish(node, thing.type, thing.key, content, **envelope_of(thing.tlp))
    if not thing.live:
        made = await records.retract(node, registry.TYPES[thing.type], HERE, thing.key, by=itself(HERE))
    return made.hash, made.document


async def _copied(node: Node, thing: Thing, n: int) -> tuple[bytes, bytes]:
    """As if pulled; also what no pull takes, for nobody is to see that either."""
    kind = registry.TYPES[thing.type]
    record: Record = a_record(
        content_of(thing.type, thing.word, thing.tlp),
        kind,
        origin=THERE,
        key=thing.key,
        **envelope_of(thing.tlp),
    )
    if not thing.live:
        record = tombstone(record.document, updated_at=NOW)
    async with node.store.write() as tx:
        place = await tx.feeds.open(FeedName(THERE, record.audience), "0" * 16)
        await tx.pulled_records.upsert_in_place(THERE, place.id, [(record, n)])
    return record.hash, record.document


class World(NamedTuple):
    """The node, what it holds, an HTTP client of each caller, and the keys of each operator."""

    node: Node
    things: list[Thing]
    callers: dict[str, httpx2.AsyncClient]
    rings: dict[str, Keyring]


@asynccontextmanager
async def a_world(node: Node) -> AsyncIterator[World]:
    """Everything and everybody. Who has lost a right had the token before."""
    async with AsyncExitStack() as stack:
        app = stack.enter_context(app_of(node))
        callers = {name: await stack.enter_async_context(_client(app, node)) for name in rules.CALLERS}
        everything = await fill(node)
        await _exclude(node, OPERATORS[rules.EXCLUDED])
        rings = {operator: Keyring.of(mint_private_key()) for operator in OPERATORS.values()}
        await _introduce(node, callers, rings)
        yield World(node, everything, callers, rings)


async def _exclude(node: Node, operator: str) -> None:
    """What megalis signs over each of its feeds: it counts for the one for the federation."""
    async with node.store.write() as tx:
        for feed in await tx.feeds.all():
            if feed.origin == THERE:
                connection = tx.feeds._session.connection
                await connection.execute(
                    "INSERT INTO copies (feed) VALUES ($1) ON CONFLICT DO NOTHING", feed.id
                )
                await tx.copies.set_exclusions(feed.id, [operator], NOW)


@asynccontextmanager
async def _client(app: Litestar, node: Node) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=ObservedApplication(app, Metrics()), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=node.url, auth=Proving()) as client:
        yield client


async def _introduce(node: Node, callers: dict[str, httpx2.AsyncClient], rings: dict[str, Keyring]) -> None:
    """Give every caller its token, and then take from some what it rests on."""
    for name, called, *scopes in (
        (rules.OWN, "own"),
        (rules.POOR, "poor", "peers.read"),
        (rules.REVOKED, "revoked"),
    ):
        callers[name].headers.update(await a_token(node, callers[name], *scopes, name=called))
    for operator in sorted(rings.keys() - {"stranger"}):
        await add_peer(node, operator, rings[operator])
    for name, operator in OPERATORS.items():
        client, ring = callers[name], rings[operator]
        match name:
            case rules.GREEDY:
                shown = minted(node, node.keyring, client, operator)
            case rules.STRANGER:
                shown = minted(node, ring, client, operator)
            case _:
                shown = await token_of(operator, ring, client, node)
        client.headers["authorization"] = shown
    async with node.store.write() as tx:
        await tx.clients.revoke("revoked")
        await tx.peers.remove(OPERATORS[rules.FORGOTTEN])
        for operator, state in STATES.items():
            await tx.peers.set_state(operator, state)
    await node.notifier.refresh()


async def add_peer(node: Node, operator: str, ring: Keyring, state: PeerState = "active") -> None:
    """A peer as it is when it has joined."""
    peer = Peer(
        operator=operator,
        url=f"http://{operator}.test",
        name=operator,
        state=state,
        keys=ring.public(),
        thumbprint=ring.kid,
        added_at=datetime.now(UTC),
    )
    async with node.store.write() as tx:
        await tx.peers.add(peer)


async def ask_token(operator: str, ring: Keyring, client: httpx2.AsyncClient, node: Node) -> httpx2.Response:
    """What the token endpoint answers to an operator that shows its key."""
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION,
        "client_assertion": ring.assertion(operator, node.url),
    }
    return await client.post("/oauth2/token", data=form)


async def token_of(operator: str, ring: Keyring, client: httpx2.AsyncClient, node: Node) -> str:
    """The Authorization header of a peer, got at the token endpoint."""
    got = await ask_token(operator, ring, client, node)
    assert got.status_code == 200, got.text
    return f"DPoP {got.json()['access_token']}"


def minted(node: Node, ring: Keyring, client: httpx2.AsyncClient, operator: str) -> str:
    """The Authorization header of a token that the endpoint does not give: every scope, for its own key."""
    proving = client.auth
    assert isinstance(proving, Proving)
    now = int(time.time())
    claims = {
        "iss": node.url, "aud": node.url, "sub": operator, "client_id": operator, "operator": operator,
        "scope": " ".join(SCOPES), "iat": now, "exp": now + LIFETIME, "jti": "12345678",
        "cnf": {"jkt": verify_dpop_proof(proving.prover.proof("GET", node.url), "GET", node.url).jkt},
    }  # fmt: skip
    return f"DPoP {ring.sign(claims, typ='at+jwt')}"


def keys_of(answer: httpx2.Response) -> set[str]:
    """Keys of the documents of a list."""
    return {item["key"] for item in answer.json()["items"]}


def told(answer: httpx2.Response, thing: Thing) -> tuple[Any, ...]:
    """Everything that an answer says, but for the time and the names that were asked for."""
    parts = [answer.content, json.dumps(sorted(answer.headers.items())).encode()]
    for name, stand_in in ((thing.key, "KEY"), (thing.word, "WORD")):
        parts = [part.replace(name.encode(), stand_in.encode()) for part in parts]
    return (answer.status_code, *parts)
