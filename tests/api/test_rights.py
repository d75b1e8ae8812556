"""Who may do what: every operation of the application, the tokens, and what is hidden."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any, Literal

import httpx2
import msgspec
import pytest
from litestar import Litestar, Request, WebSocket, asgi, get, websocket
from litestar.datastructures import Headers
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from federation.api import change_log, oauth, records
from federation.api.caller import LIFETIME, Holder, Tokens
from federation.api.examples import DRAFTS, FEEDBACK, UPDATE
from federation.api.guard import admit
from federation.api.handlers import handles, with_options
from federation.domain.errors import CommandFailed, Forbidden
from federation.domain.registry import TYPES
from federation.domain.scopes import PEER_SCOPES, SCOPES
from federation.domain.visibility import Caller
from federation.edge.answers import JSON, answer
from federation.edge.limits import Limits
from federation.edge.operations import ANYONE, Body, Operation, Right, check, table
from federation.node import sessions
from federation.node.keys import Keyring, mint_private_key
from federation.node.node import Node
from federation.server.app import api
from federation.store.pools import Acquired
from tests.api.http_client import Case, fine, operations, put, refused
from tests.domain.builders import a_solution
from tests.nodes import a_client, introduce, publish
from tests.stores import CONNECTIONS_OF_A_KIND
from tests.waiting import within_a_second

GUARDED = [operation for operation in operations() if operation.right.scope]
OPEN = [operation for operation in operations() if not operation.right.scope]


WITHOUT_PEER = {
    "activate": (400, "invalid"),
    "subscribe": (400, "invalid"),
    "unsubscribe": (404, "not-found"),
    "replay": (404, "not-found"),
    "deadline": (404, "not-found"),
    "set_deadline": (400, "invalid"),
    "remove_deadline": (404, "not-found"),
    "suspend": (404, "not-found"),
    "resume": (404, "not-found"),
    "retry": (404, "not-found"),
    "leave": (404, "not-found"),
    "disconnect": (403, "forbidden"),
    "confirm": (404, "not-found"),
    "peer-quota": (404, "not-found"),
    "consultation_decp": (409, "conflict"),  # it has no contract yet
    "add_source": (400, "invalid"),
    "source": (404, "not-found"),
    "change_source": (404, "not-found"),
    "remove_source": (404, "not-found"),
    "source_runs": (404, "not-found"),
    "source_run": (404, "not-found"),
    "run_source": (404, "not-found"),
    "import_file": (400, "invalid"),
    "csaf-feed": (404, "not-found"),
    "csaf-key": (404, "not-found"),
    "csaf-incident": (404, "not-found"),
    "csaf-statement": (404, "not-found"),
    "set-quota": (404, "not-found"),
    "receipt": (403, "forbidden"),
    "feedback": (403, "forbidden"),
    "digests": (503, "unavailable"),
}
"""What operations on a peer answer to who has the right to them, when there is no peer."""
OF_THEIR_OWN = {"token", "revoke", "introspect", "join"}
"""Operations that are not for tokens: they authenticate a client or an invitation themselves."""

WITH_SECRETS = {"join", "receive_events"}
"""Operations that ask for a secret of their own: an invitation, or that of a source."""


async def asked(client: httpx2.AsyncClient, operation: Case, **headers: str) -> httpx2.Response:
    body: bytes | None = None
    if operation.reads:
        example: Any = dict(DRAFTS[operation.kind.type]) if operation.kind else {}
        match operation.act:
            case "upload":
                example = [{**example, "key": "two"}]
            case "patch":
                example = {"same_as": ["https://example.org/one"]}
            case "append_update":
                example = UPDATE
            case "receipt":
                example = {"receipt": "x"}
            case "feedback":
                example = FEEDBACK
            case "set_version":
                example = {"version": "10.0.18"}
        body = json.dumps(example).encode()
        headers["content-type"] = operation.reads[0]
    path = operation.path + ("?mine=true" if operation.act == "own_exposure" else "")
    return await client.request(operation.method, path, content=body, headers=headers)


async def token(client: httpx2.AsyncClient, credentials: tuple[str, str], *scopes: str) -> str:
    form = {"grant_type": "client_credentials", "scope": " ".join(scopes)}
    got = await client.post("/oauth2/token", data=form, auth=credentials)
    return f"Bearer {fine(got, 200)['access_token']}"


@pytest.mark.parametrize("operation", GUARDED, ids=repr)
async def test_an_operation_asks_for_its_scope(
    anyone: httpx2.AsyncClient, arnia: Node, operation: Case
) -> None:
    scope = operation.right.scope
    assert scope in SCOPES
    for kind in TYPES.values():
        await publish(arnia, kind.type, "one", DRAFTS[kind.type]["content"])
    credentials = await a_client(arnia)

    without = await asked(anyone, operation)
    if operation.right.open:
        assert without.status_code not in (401, 403)
    else:
        refused(without, 401, "unauthenticated")
        assert without.headers["www-authenticate"].startswith("Bearer ")

    others = await token(anyone, credentials, *(SCOPES.keys() - {scope}))
    poor = await asked(anyone, operation, authorization=others)
    assert scope in refused(poor, 403, "missing-scope")["detail"]
    assert 'error="insufficient_scope"' in poor.headers["www-authenticate"]

    right = await token(anyone, credentials, scope)
    answer = await asked(anyone, operation, authorization=right)
    if operation.act in WITHOUT_PEER:
        refused(answer, *WITHOUT_PEER[operation.act])
    else:
        assert answer.status_code < 300


@pytest.mark.parametrize("operation", OPEN, ids=repr)
async def test_what_is_open_asks_for_nothing(anyone: httpx2.AsyncClient, operation: Case) -> None:
    without = (await asked(anyone, operation)).status_code
    assert without not in (403, 500)
    assert (without == 401) == (operation.act in WITH_SECRETS)
    assert (await asked(anyone, operation, authorization="Bearer nonsense")).status_code not in (403, 500)


def test_every_scope_is_asked_for_by_an_operation() -> None:
    assert {operation.right.scope for operation in table(api())} - {None} == set(SCOPES)


def test_what_writes_is_never_open() -> None:
    for operation in operations():
        if operation.method != "GET" and operation.act not in OF_THEIR_OWN:
            assert not operation.right.open, operation


@pytest.mark.parametrize("module", [records, change_log, oauth])
def test_the_application_does_not_start_with_a_route_that_has_no_operation(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api()

    @get("/stray")
    async def bare() -> None: ...

    monkeypatch.setattr(module, "HANDLERS", (*module.HANDLERS, bare))
    with pytest.raises(CommandFailed, match="/stray has no operation"):
        api()


def test_the_application_does_not_start_with_two_handlers_of_one_method_and_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nothing(request: Request[Any, Any, Any]) -> ASGIResponse:
        return answer(b"")

    def stray(method: Literal["GET", "DELETE"]) -> HTTPRouteHandler:
        operation = Operation(act="x", id="", method=method, path="/v1/solutions", right=ANYONE, tag="node")
        return handles(operation)(nothing)

    given = records.HANDLERS
    monkeypatch.setattr(records, "HANDLERS", (*given, stray("DELETE")))
    (route,) = (route for route in api().routes if route.path == "/v1/solutions")
    assert {"DELETE", "GET", "OPTIONS", "POST"} == route.methods
    monkeypatch.setattr(records, "HANDLERS", (*given, stray("GET")))
    with pytest.raises(CommandFailed, match="GET /v1/solutions has two handlers"):
        api()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"right": Right(open=True)}, "GET /stray is open beside a scope, and names none"),
        ({"id": "listSolutions"}, "has the id listSolutions of /"),
        ({"bodies": (Body(JSON, dict),)}, "GET /stray reads a body"),
    ],
    ids=["open to nobody", "an id that is taken", "a body of GET"],
)
def test_the_application_does_not_start_with_an_operation_that_contradicts_itself(
    changes: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(request: Request[Any, Any, Any]) -> ASGIResponse:
        return answer(b"")

    given = records.HANDLERS
    plain = Operation(act="x", id="", method="GET", path="/stray", right=ANYONE, tag="node")
    for operation in (plain, msgspec.structs.replace(plain, **changes)):
        monkeypatch.setattr(records, "HANDLERS", (*given, handles(operation)(nothing)))
        if operation is plain:
            api()
            continue
        with pytest.raises(CommandFailed, match=reason):
            api()


@pytest.mark.parametrize(
    ("caller", "allowed"),
    [("own", {"own"}), ("peer", {"peer"}), ("any", {"own", "peer"})],
)
async def test_an_operation_for_own_clients_or_for_peers_refuses_the_others(
    caller: Literal["any", "own", "peer"], allowed: set[str]
) -> None:
    """Whatever scopes their tokens carry."""
    callers = {
        "own": Caller(node="arnia", operator="arnia", client="erp", scopes=frozenset({"feeds.read"})),
        "peer": Caller(node="arnia", operator="megalis", scopes=frozenset({"feeds.read"})),
    }
    right = Right("feeds.read", caller=caller)
    operation = Operation(act="x", id="", method="GET", path="/x", right=right, tag="node")
    for name, known in callers.items():

        async def holder(_: Any, known: Caller = known) -> Caller:
            return known

        tokens = SimpleNamespace(operator="arnia", caller=holder, with_groups=holder)
        state: Any = SimpleNamespace(tokens=tokens, limits=Limits())
        scope = {
            "method": "GET",
            "path": "/x",
            "query_string": b"",
            "headers": [],
            "client": ("192.0.2.1", 1),
        }
        admitted = admit(operation, state, scope, Headers({"authorization": "DPoP x"}))
        if name in allowed:
            assert await admitted == known
        else:
            with pytest.raises(Forbidden):
                await admitted


def test_no_kind_of_route_goes_past_the_table() -> None:
    @get("/stray")
    async def stray() -> None: ...

    @asgi("/stray", copy_scope=True)
    async def below(scope: Any, receive: Any, send: Any) -> None: ...

    @websocket("/stray")
    async def socket(socket: WebSocket[Any, Any, Any]) -> None: ...

    @handles(Operation(act="known", id="", method="GET", path="/known", right=ANYONE, tag="node"))
    async def known(request: Request[Any, Any, Any]) -> ASGIResponse:
        return answer(b"")

    check(Litestar(with_options([known]), openapi_config=None))
    for handler in (stray, below, socket):
        with pytest.raises(CommandFailed, match="/stray"):
            check(Litestar([handler], openapi_config=None))


# What is seen


TLPS = ("CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED")


async def one_of_each(node: Node) -> None:
    await publish(node, "group", "close", {"name": "Close", "members": ["megalis"]})
    for tlp in TLPS:
        group = {"audience": "close"} if tlp.startswith("AMBER") else {}
        await publish(node, "solution", tlp.replace("+", "-"), a_solution(name=f"n{tlp}"), tlp=tlp, **group)


async def seen(client: httpx2.AsyncClient) -> tuple[set[str], set[str]]:
    """TLP labels that a list shows, and that can be got one by one."""
    page = fine(await client.get("/v1/solutions?total=true"), 200)
    assert page["total"] == len(page["items"])
    got = {
        tlp
        for tlp in TLPS
        if (await client.get(f"/v1/solutions/arnia/{tlp.replace('+', '-')}")).status_code == 200
    }
    return {item["tlp"] for item in page["items"]}, got


async def test_without_a_token_only_clear_is_seen(anyone: httpx2.AsyncClient, arnia: Node) -> None:
    await one_of_each(arnia)
    assert await seen(anyone) == ({"CLEAR"}, {"CLEAR"})
    heads = fine(await anyone.get("/v1/feeds"), 200)["feeds"]
    assert [feed["audience"] for feed in heads] == ["public"]


async def test_the_operators_own_systems_see_everything(own: httpx2.AsyncClient, arnia: Node) -> None:
    await one_of_each(arnia)
    assert await seen(own) == (set(TLPS), set(TLPS))


async def test_a_peer_sees_what_its_groups_see(
    peer: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node
) -> None:
    await one_of_each(arnia)
    member = set(TLPS) - {"RED"}
    assert await seen(peer) == (member, member)
    heads = fine(await peer.get("/v1/feeds"), 200)["feeds"]
    assert {feed["audience"] for feed in heads} == {"public", "federation", "close"}
    await put(own, "groups/close", {"name": "Close", "members": ["recia"]})
    assert await seen(peer) == ({"CLEAR", "GREEN"}, {"CLEAR", "GREEN"})
    heads = fine(await peer.get("/v1/feeds"), 200)["feeds"]
    assert {feed["audience"] for feed in heads} == {"public", "federation"}


async def test_hidden_and_absent_are_the_same_answer(
    anyone: httpx2.AsyncClient, peer: httpx2.AsyncClient, own: httpx2.AsyncClient, arnia: Node
) -> None:
    asks = [
        "/v1/solutions/arnia/x", "/v1/solutions?total=true&q=canary", "/v1/solutions?origin=arnia",
        "/v1/solutions?sort=id&total=true",
    ]  # fmt: skip

    async def told() -> list[tuple[int, bytes, dict[str, str]]]:
        answers = [await client.get(ask) for client in (anyone, peer) for ask in asks]
        answers += [await client.get(asks[0], headers={"if-none-match": "*"}) for client in (anyone, peer)]
        return [(answer.status_code, answer.content, dict(answer.headers)) for answer in answers]

    absent = await told()
    await put(own, "solutions/x", a_solution(name="canary"), tlp="RED")
    assert await told() == absent
    await own.delete("/v1/solutions/arnia/x")
    assert await told() == absent
    await put(own, "solutions/x", a_solution(name="canary"), tlp="CLEAR")
    assert await told() != absent


async def test_a_feed_that_is_hidden_and_one_that_is_not_there_are_the_same_answer(
    peer: httpx2.AsyncClient, anyone: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    at = "/v1/feeds/arnia/close/changes"
    before = [(await client.get(at)).content for client in (peer, anyone)]
    await put(own, "groups/close", {"name": "Close", "members": []})
    await put(own, "solutions/x", a_solution(), tlp="AMBER", audience="close")
    assert [(await client.get(at)).content for client in (peer, anyone)] == before
    assert (await own.get(at)).content not in before


async def test_a_peer_may_read_and_not_write_or_administer(peer: httpx2.AsyncClient, arnia: Node) -> None:
    await publish(arnia, "solution", "one", a_solution())
    assert (await peer.get("/v1/solutions/arnia/one")).status_code == 200
    for operation in GUARDED:
        assert operation.right.scope is not None
        if operation.right.scope not in PEER_SCOPES:
            refused(await asked(peer, operation), 403, "missing-scope")


# Tokens


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def confused(claims: dict[str, Any], node: Node) -> str:
    """HS256 with the public key as its secret."""
    key = json.dumps(node.keyring.public()["keys"][0]).encode()
    text = unsigned({"alg": "HS256", "typ": "at+jwt"}, claims)
    start = text.rsplit(".", 1)[0]
    mac = hmac.digest(key, start.encode(), hashlib.sha256)
    return f"{start}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


async def test_a_token_holds_only_as_this_node_signed_it_for_itself(
    anyone: httpx2.AsyncClient, arnia: Node, megalis: Node
) -> None:
    await introduce(arnia, megalis)
    await a_client(arnia)
    now = int(time.time())
    good = {
        "iss": arnia.url, "aud": arnia.url, "sub": "client-erp", "client_id": "client-erp",
        "operator": "arnia", "scope": "solutions.read", "iat": now, "exp": now + LIFETIME, "jti": "12345678",
    }  # fmt: skip

    async def answered(token: str) -> int:
        answer = await anyone.get("/v1/solutions", headers={"authorization": f"Bearer {token}"})
        if answer.status_code != 200:
            refused(answer, 401, "unauthenticated")
        return answer.status_code

    sign = arnia.keyring.sign
    assert await answered(sign(good, typ="at+jwt")) == 200
    bad = {
        "expired": sign({**good, "exp": now - 1}, typ="at+jwt"),
        "from the future": sign({**good, "iat": now + 3600}, typ="at+jwt"),
        "another issuer": sign({**good, "iss": megalis.url}, typ="at+jwt"),
        "another audience": sign({**good, "aud": megalis.url}, typ="at+jwt"),
        "several audiences": sign({**good, "aud": [arnia.url, megalis.url]}, typ="at+jwt"),
        "no expiry": sign({name: good[name] for name in good if name != "exp"}, typ="at+jwt"),
        "an expiry that is true": sign({**good, "exp": True}, typ="at+jwt"),
        "of type JWT": sign(good, typ="JWT"),
        "an assertion": sign(good, typ="client-authentication+jwt"),
        "signed by a peer": megalis.keyring.sign(good, typ="at+jwt"),
        "signed by nobody": Keyring.of(mint_private_key()).sign(good, typ="at+jwt"),
        "unsigned": unsigned({"alg": "none", "typ": "at+jwt"}, good),
        "signed with the public key": confused(good, arnia),
        "with scopes as a list": sign({**good, "scope": ["solutions.read"]}, typ="at+jwt"),
        "of a client that is not there": sign({**good, "client_id": "client-x"}, typ="at+jwt"),
        "of a peer under a client's name": sign({**good, "operator": "megalis"}, typ="at+jwt"),
        "of an operator that is no peer": sign(
            {**good, "operator": "recia", "client_id": "recia"}, typ="at+jwt"
        ),
        "cut": sign(good, typ="at+jwt")[:-4],
        "nothing": "",
        "long": "x" * 9_000,
        "no token": "a.b.c",
    }
    assert {why: await answered(token) for why, token in bad.items()} == dict.fromkeys(bad, 401)


async def test_an_authorization_that_is_not_bearer_is_refused(
    anyone: httpx2.AsyncClient, own: httpx2.AsyncClient
) -> None:
    good = own.headers["authorization"].split()[1]
    for wrong in (f"Basic {good}", good, "Bearer", "", f"Bearer{good}", f"Bearer  {good}", "Bearer é"):
        answer = await anyone.get("/v1/solutions", headers={b"authorization": wrong.encode()})
        refused(answer, 401, "unauthenticated")
    assert (await anyone.get("/v1/solutions", headers={"authorization": f"bearer {good}"})).status_code == 200


async def test_who_sends_no_token_is_not_told_that_it_is_invalid(anyone: httpx2.AsyncClient) -> None:
    """RFC 6750, 3.1: without authentication information, no error code."""
    none = await anyone.get("/metrics")
    wrong = await anyone.get("/metrics", headers={"authorization": "Bearer x"})
    assert 'error="invalid_token"' in wrong.headers["www-authenticate"]
    assert "error=" not in none.headers["www-authenticate"]


async def test_a_token_has_what_rfc_9068_asks_for(own: httpx2.AsyncClient, arnia: Node) -> None:
    token = own.headers["authorization"].split()[1]
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
    assert (header["typ"], header["alg"], header["kid"]) == ("at+jwt", "ES256", arnia.keyring.kid)
    assert claims.keys() >= {"iss", "exp", "aud", "sub", "client_id", "iat", "jti", "scope"}
    assert claims["exp"] - claims["iat"] == LIFETIME == 300


async def gone_within_a_second(client: httpx2.AsyncClient, node: Node) -> None:
    async def is_refused() -> bool:
        return (await client.get("/v1/solutions")).status_code == 401

    await within_a_second(node, is_refused)


async def test_a_revoked_clients_token_is_refused_within_a_second(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    other = await token(anyone, await a_client(arnia, name="other"), "solutions.read")
    assert (await own.get("/v1/solutions")).status_code == 200
    async with arnia.store.write() as tx:
        assert await tx.clients.revoke("own")
    await gone_within_a_second(own, arnia)
    assert (await anyone.get("/v1/solutions", headers={"authorization": other})).status_code == 200


@pytest.mark.parametrize("how", ["UPDATE peers SET state = 'suspended'", "remove"])
async def test_a_peer_that_is_no_more_is_refused_within_a_second(
    peer: httpx2.AsyncClient, arnia: Node, how: str
) -> None:
    assert (await peer.get("/v1/solutions")).status_code == 200
    async with arnia.store.write() as tx:
        if how == "remove":
            await tx.peers.remove("megalis")
        else:
            connection = tx.peers._session.connection
            await connection.execute(how)
            await connection.execute("UPDATE node SET trust = trust + 1")
    await gone_within_a_second(peer, arnia)


@asynccontextmanager
async def all_taken(*acquire: Callable[[], Acquired[Any]]) -> AsyncIterator[None]:
    """Every connection of these kinds is in use."""
    async with AsyncExitStack() as stack:
        for take in acquire:
            for _ in range(CONNECTIONS_OF_A_KIND):
                await stack.enter_async_context(take())
        yield


async def test_a_token_that_does_not_hold_is_refused_while_no_connection_is_free(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    """It waits for none: whoever sends such tokens is refused at once, and takes nothing from others."""
    forged = Keyring.of(mint_private_key()).sign({"iss": arnia.url, "sub": "own"}, typ="at+jwt")
    async with arnia.store.write() as tx:
        assert await tx.clients.revoke("own")
    await arnia.notifier.refresh()
    refused(await own.get("/v1/solutions"), 401, "unauthenticated")  # the database is asked this once
    async with all_taken(arnia.store.read, arnia.store.read_by_key):
        refused(await own.get("/v1/solutions"), 401, "unauthenticated")
        for made_up in (forged, "made-up"):
            answer = await anyone.get("/v1/solutions", headers={"authorization": f"Bearer {made_up}"})
            refused(answer, 401, "unauthenticated")
    async with arnia.store.write() as tx:
        connection = tx.clients._session.connection
        await connection.execute("UPDATE clients SET revoked_at = NULL")
        await connection.execute("UPDATE node SET trust = trust + 1")
    await arnia.notifier.refresh()
    assert (await own.get("/v1/solutions")).status_code == 200, "the refusal is forgotten like a right"


async def test_who_somebody_is_does_not_wait_behind_lists_and_searches(
    own: httpx2.AsyncClient, anyone: httpx2.AsyncClient, peer: httpx2.AsyncClient, arnia: Node
) -> None:
    """They take a kind of connection of their own: a token that was not seen before is checked meanwhile."""
    await publish(arnia, "solution", "one", a_solution(), tlp="CLEAR")
    credentials = await a_client(arnia, name="other")
    async with all_taken(arnia.store.read):
        new = await token(anyone, credentials, "solutions.read")
        for client, headers in ((anyone, {"authorization": new}), (own, {}), (peer, {})):
            assert (await client.get("/v1/solutions/arnia/one", headers=headers)).status_code == 200
        assert await sessions.session(arnia, "x" * sessions.SECRET_LENGTH) is None


async def test_a_check_that_a_revocation_overtakes_is_not_remembered(
    app: Litestar, own: httpx2.AsyncClient, arnia: Node
) -> None:
    """Interleaved by hand: the check reads the client, the client is revoked and noticed, the check ends."""
    found, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Tokens):
        async def _check(self, token: str, fingerprint: bytes, now: float) -> Holder | None:
            result = await super()._check(token, fingerprint, now)
            found.set()
            await go_on.wait()
            return result

    app.state.tokens = Slow(arnia)
    first = asyncio.ensure_future(own.get("/v1/solutions"))
    await found.wait()
    async with arnia.store.write() as tx:
        await tx.clients.revoke("own")
    await arnia.notifier.refresh()
    go_on.set()
    await first
    await gone_within_a_second(own, arnia)
