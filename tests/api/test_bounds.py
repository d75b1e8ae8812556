"""Each bound of the edge, on both sides of it: forms, headers, bodies, tokens and what is remembered."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from types import SimpleNamespace
from typing import Any

import httpx2
import msgspec
import pytest
from litestar import Litestar
from litestar.datastructures import Headers

from federation.api import caller as callers
from federation.api import oauth
from federation.api.caller import Presented, Tokens
from federation.domain.errors import Invalid, TooLarge, TooSlow, Unauthenticated, UnsupportedMediaType
from federation.domain.scopes import PEER_SCOPES, SCOPES
from federation.edge import requests
from federation.edge.operations import ANYONE, Body, Operation, table
from federation.node import audit
from federation.node import tokens as node_tokens
from federation.node.node import Node
from tests.api.http_client import FORM, JSON, fine
from tests.attack.forged_tokens import Key, Party, part
from tests.nodes import a_client
from tests.waiting import MAX_WAIT_SECONDS

NOW = 1_800_000_000
GRANT = {"grant_type": "client_credentials"}


# Token requests


def refused_form(body: bytes) -> str:
    with pytest.raises(oauth.OAuthError) as refusal:
        oauth.read_form(body)
    assert (refusal.value.error, refusal.value.status) == ("invalid_request", 400)
    return refusal.value.description


def test_a_form_has_twenty_parameters_each_once_and_all_readable() -> None:
    assert oauth.read_form(b"a=1&b=&c=%C3%A9+x") == {"a": "1", "b": "", "c": "é x"}
    twenty = b"&".join(b"a%d=1" % n for n in range(20))
    assert len(oauth.read_form(twenty)) == 20
    assert refused_form(twenty + b"&b=1") == "the body is not a form"
    for body in (b"a", b"a=1&", b"&", b"a=%FF", "a=é".encode(), b"a=%ED%A0%80"):
        assert refused_form(body) == "the body is not a form"
    assert refused_form(b"a=1&a=1") == "a parameter is there twice"
    assert refused_form(b"a=1%00") == "NUL is not allowed"
    assert oauth.read_form(b"a=%01") == {"a": "\x01"}


def assertion(claims: Any, length: int | None = None) -> str:
    token = f"h.{part(claims)}.s"
    return token if length is None else token + "s" * (length - len(token))


@pytest.mark.parametrize(
    ("text", "issuer"),
    [
        (assertion({"iss": "megalis"}), "megalis"),
        (assertion({"iss": "m" * 63}), "m" * 63), (assertion({"iss": "m" * 64}), None),
        (assertion({"iss": "m"}, 16_384), "m"), (assertion({"iss": "m"}, 16_385), None),
        (assertion({"iss": "m\x00"}), None), (assertion({"iss": 5}), None), (assertion({}), None),
        (assertion([]), None), (assertion("iss"), None), (assertion(b"\xff"), None), (assertion(b""), None),
        (assertion(b"[" * 9_000), None), ("", None), ("a.b", None), ("a.b.c", None), ("a..c", None),
        (assertion({"iss": "m"}) + ".x", None), (assertion({"iss": "m"}).rpartition(".")[0], None),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_an_assertion_names_its_issuer_if_that_can_be_one(text: str, issuer: str | None) -> None:
    assert node_tokens.claimed_issuer(text) == issuer


@pytest.mark.parametrize("padding", range(4))
def test_an_issuer_is_read_whatever_the_length_of_the_claims(padding: int) -> None:
    claims = part({"iss": "megalis", "x": "x" * padding})
    for signature in ("s", "ss", "sss", "ssss"):
        assert node_tokens.claimed_issuer(f"h.{claims}.{signature}") == "megalis"


@pytest.mark.parametrize(
    ("value", "good"),
    [
        (0, True), (0.5, True), (NOW, True), (2**40 - 1, True), (2**40, False), (-1, False), (-0.5, False),
        (True, False), (False, False), ("1", False), (None, False), ([], False), (float("nan"), False),
        (float("inf"), False),
    ],
)  # fmt: skip
def test_a_moment_is_a_number_that_can_be_reckoned_with(value: Any, good: bool) -> None:
    assert node_tokens.is_time(value) is good


async def token_of(client: httpx2.AsyncClient, pair: str, **form: str) -> int:
    basic = base64.b64encode(pair.encode()).decode()
    answer = await client.post(
        "/oauth2/token", data={**GRANT, **form}, headers={"authorization": f"Basic {basic}"}
    )
    return answer.status_code


async def test_a_client_is_known_by_an_id_of_at_most_128_characters_and_either_secret(
    anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    now, former = hashlib.sha256(b"now").digest(), hashlib.sha256(b"former").digest()
    async with arnia.store.write() as tx:
        for name in ("c" * 128, "c" * 129, "co:lon"):
            await tx.clients.add(name, f"name-{len(name)}", now, ("solutions.read",))
        await tx.clients._session.connection.execute("UPDATE clients SET former_secret_hash = $1", former)
    assert await token_of(anyone, f"{'c' * 128}:now") == 200
    assert await token_of(anyone, f"{'c' * 128}:former") == 200
    assert await token_of(anyone, f"{'c' * 128}:other") == 401
    assert await token_of(anyone, f"{'c' * 129}:now") == 401
    assert await token_of(anyone, "co%3Alon:now") == 200
    assert await token_of(anyone, "co:lon:now") == 401
    async with arnia.store.write() as tx:
        await tx.clients._session.connection.execute("UPDATE clients SET former_secret_hash = NULL")
    assert await token_of(anyone, f"{'c' * 128}:now") == 200
    assert await token_of(anyone, f"{'c' * 128}:former") == 401


async def test_credentials_are_a_pair_in_base64_behind_the_word_basic(
    anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    nothing = hashlib.sha256(b"").digest()
    async with arnia.store.write() as tx:
        await tx.clients.add("erp", "erp", nothing, ("solutions.read",))

    async def status(authorization: str) -> int:
        headers = {"authorization": authorization}
        return (await anyone.post("/oauth2/token", data=GRANT, headers=headers)).status_code

    good = base64.b64encode(b"erp:").decode()
    assert await status(f"Basic {good}") == await status(f"bASIC {good}") == 200
    for wrong in (f"Bearer {good}", f"Basic {good[:3]}!{good[3:]}", f"Basic {good} ", good, f"Basi {good}"):
        assert await status(wrong) == 401, wrong
    assert await status(f"Basic {base64.b64encode(b'erp').decode()}") == 401, "a name alone is no pair"


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ``NOW``, and stays so."""
    monkeypatch.setattr("federation.node.tokens.time.time", lambda: float(NOW))


ASSERTED: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"exp": NOW + 300}, True), ({"exp": NOW + 301}, False), ({"exp": NOW - 29}, True),
    ({"exp": NOW - 30}, False), ({"exp": True}, False), ({"exp": -1}, False), ({"exp": 2**40}, False),
    ({"iat": NOW + 30}, True), ({"iat": NOW + 31}, False), ({"iat": ...}, True), ({"iat": "1"}, False),
    ({"iat": True}, False), ({"nbf": NOW + 30}, True), ({"nbf": NOW + 31}, False), ({"nbf": "1"}, False),
    ({"nbf": True}, False), ({"jti": "j" * 8}, True), ({"jti": "j" * 7}, False), ({"jti": "j" * 255}, True),
    ({"jti": "j" * 256}, False), ({"jti": ["j"] * 9}, False), ({"sub": "recia"}, False),
    ({"aud": ["http://arnia.test"]}, True), ({"aud": "http://megalis.test"}, False),
]  # fmt: skip


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize(("changes", "good"), ASSERTED, ids=repr)
async def test_an_assertion_holds_for_five_minutes_at_most_and_once(
    anyone: httpx2.AsyncClient, arnia: Node, changes: dict[str, Any], good: bool
) -> None:
    megalis = Party("megalis")
    async with arnia.store.write() as tx:
        await tx.peers.add(megalis.known())
    said = {"iat": NOW, "exp": NOW + 60, "nbf": ..., **changes}
    form = {
        **GRANT, "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": megalis.assertion(said.pop("aud", arnia.url), **said),
    }  # fmt: skip
    proofs = [megalis.proof("POST", f"{arnia.url}/oauth2/token", iat=NOW) for _ in range(2)]
    answer = await anyone.post("/oauth2/token", data=form, headers={"dpop": proofs[0]})
    assert answer.status_code == (200 if good else 401), answer.text
    async with arnia.store.read() as tx:
        kept = await tx.clients._session.connection.fetch("SELECT * FROM assertions")
    assert len(kept) == good
    if good:
        assert kept[0]["expires_at"].timestamp() == said["exp"] + 60, (
            "it is remembered for as long as it holds"
        )
        assert (await anyone.post("/oauth2/token", data=form, headers={"dpop": proofs[1]})).status_code == 401


# Tokens


def claims(node: Node, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {
        "iss": node.url, "aud": node.url, "sub": "client-erp", "client_id": "client-erp", "operator": "arnia",
        "scope": "solutions.read", "iat": now, "exp": now + 300, "jti": "j" * 16, **changes,
    }  # fmt: skip
    return {name: value for name, value in good.items() if value is not ...}


async def holder(node: Node, **changes: Any) -> callers.Holder | None:
    token = node.keyring.sign(claims(node, **changes), typ="at+jwt")
    try:
        return await Tokens(node).holder(token)
    except Unauthenticated:
        return None


async def test_an_access_token_says_whose_it_is_and_for_how_long(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_client(arnia)
    async with arnia.store.write() as tx:
        await tx.peers.add(Party("megalis").known())
    monkeypatch.setattr("federation.api.caller.time.time", lambda: float(NOW))
    now = {"iat": NOW, "exp": NOW + 300}
    good = await holder(arnia, **now)
    assert good is not None
    reads = frozenset({"solutions.read"})
    assert (good.client_id, good.scopes, good.jkt) == ("client-erp", reads, None)
    assert (good.issued_at, good.expires_at) == (NOW, NOW + 300)
    assert (good.caller.operator, good.caller.client, good.caller.scopes) == (
        "arnia", "client-erp", reads
    )  # fmt: skip
    assert await holder(arnia, **now, scope=" ".join(["nonsense", *SCOPES]))
    peer = {**now, "operator": "megalis", "client_id": "megalis", "cnf": {"jkt": "k"}}
    theirs = await holder(arnia, **peer, scope=" ".join(SCOPES))
    assert theirs is not None
    assert (theirs.jkt, theirs.scopes) == ("k", PEER_SCOPES)
    wrong: list[dict[str, Any]] = [
        {"exp": NOW}, {"exp": ...}, {"exp": True}, {"exp": str(NOW + 9)}, {"iat": NOW + 31}, {"iat": ...},
        {"iat": False}, {"iat": "1"}, {"iss": "x"}, {"iss": ...}, {"aud": "x"}, {"aud": ...},
        {"aud": [arnia.url]},
        {"client_id": 5}, {"client_id": "nobody"}, {"client_id": ...}, {"operator": 5},
        {"operator": "nobody"}, {"operator": ...}, {"scope": 5}, {"scope": ...},
        {"cnf": {"jkt": 5}}, {"cnf": {"jkt": "k"}},
    ]  # fmt: skip
    assert [one for one in wrong if await holder(arnia, **{**now, **one})] == []
    one: dict[str, Any]
    for one in ({"cnf": ...}, {"cnf": {}}, {"cnf": "k"}, {"client_id": "recia"}, {"client_id": "client-erp"}):
        assert await holder(arnia, **{**peer, **one}) is None, one
    for one in ({"exp": NOW + 1}, {"iat": NOW + 30}, {"cnf": "x"}, {"cnf": {}}, {"cnf": {"jkt": None}}):
        assert await holder(arnia, **{**now, **one}), one
    for state in ("pending", "suspended", "left"):
        async with arnia.store.write() as tx:
            await tx.peers.set_state("megalis", state)
        assert await holder(arnia, **peer) is None


async def test_a_client_has_only_the_scopes_it_has_now(arnia: Node) -> None:
    await a_client(arnia, "solutions.read")
    found = await holder(arnia, scope="solutions.read solutions.write")
    assert found is not None
    assert found.scopes == {"solutions.read"}
    async with arnia.store.write() as tx:
        await tx.clients.revoke("erp")
    assert await holder(arnia) is None


async def test_a_check_is_remembered_for_a_minute_and_no_longer_than_the_token_holds(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_client(arnia)
    tokens = Tokens(arnia)
    now, checked = float(NOW), 0
    monkeypatch.setattr("federation.api.caller.time.time", lambda: now)
    check = tokens._check

    async def counted(*given: Any) -> callers.Holder | None:
        nonlocal checked
        checked += 1
        return await check(*given)

    monkeypatch.setattr(tokens, "_check", counted)
    token = arnia.keyring.sign(claims(arnia, iat=NOW, exp=NOW + 90), typ="at+jwt")
    seen = []
    for at in (0, 59.9, 60, 89.9):
        now = NOW + at
        await tokens.holder(token)
        seen.append(checked)
    assert seen == [1, 1, 2, 2]
    now = NOW + 90.0
    with pytest.raises(Unauthenticated):
        await tokens.holder(token)
    now = float(NOW)
    await tokens.holder(token)
    before = checked
    arnia.notifier.failing = True  # who cannot look does not see that somebody was cut off
    await tokens.holder(token)
    assert checked == before + 1
    arnia.notifier.failing = False
    await tokens.holder(token)
    assert checked == before + 1
    await tokens._forget()
    await tokens.holder(token)
    assert checked == before + 2


async def test_what_is_remembered_has_a_bound(arnia: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (callers.MAX_REMEMBERED, callers.LIFETIME, callers.REMEMBERED_SECONDS) == (10_000, 300, 60)
    monkeypatch.setattr(callers, "MAX_REMEMBERED", 3)
    await a_client(arnia)
    tokens = Tokens(arnia)
    sizes = []
    for n in range(7):
        await tokens.holder(arnia.keyring.sign(claims(arnia, jti=f"{n}" * 16), typ="at+jwt"))
        sizes.append(len(tokens._remembered))
    assert sizes == [1, 2, 3, 1, 2, 3, 1]


async def test_a_token_that_is_too_long_is_not_looked_at(arnia: Node) -> None:
    tokens = Tokens(arnia)
    for token, why in (
        ("", "does not hold an access token"), ("x" * 8_193, "does not hold an access token"),
        ("x" * 8_192, "the token does not hold"),
    ):  # fmt: skip
        with pytest.raises(Unauthenticated, match=why):
            await tokens.holder(token)


async def test_a_proof_is_one_header_of_a_bounded_length_used_once(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.api.caller.time.time", lambda: float(NOW))
    tokens, party = Tokens(arnia), Party("megalis")
    url = f"{arnia.url}/v1/feeds"
    for wrong in ((), ("a", "b"), ("x" * 8_193,)):
        with pytest.raises(Unauthenticated, match="one DPoP header with a proof is needed"):
            await tokens.prove(wrong, "GET", url)
    with pytest.raises(Unauthenticated, match="the DPoP proof does not hold"):
        await tokens.prove(("x" * 8_192,), "GET", url)
    proof = party.proof("GET", url, iat=NOW)
    assert await tokens.prove((proof,), "GET", url) == party.prover.kid
    with pytest.raises(Unauthenticated, match="was used before"):
        await tokens.prove((proof,), "GET", url)
    async with arnia.store.read() as tx:
        (until,) = await tx.clients._session.connection.fetch("SELECT expires_at FROM proofs")
    assert until[0].timestamp() == NOW + 60 + 2 * 30, "it is remembered for as long as it could hold"


async def test_the_scheme_and_the_key_are_those_of_the_token(arnia: Node) -> None:
    await a_client(arnia)
    party = Party("megalis")
    async with arnia.store.write() as tx:
        await tx.peers.add(party.known())
    tokens = Tokens(arnia)
    own = tokens.mint("client-erp", "arnia", frozenset({"solutions.read"}))
    theirs = tokens.mint("megalis", "megalis", PEER_SCOPES, jkt=party.prover.kid)
    said = json.loads(base64.urlsafe_b64decode(own.split(".")[1] + "=="))
    assert len(base64.urlsafe_b64decode(said["jti"] + "==")) == 16
    assert said["exp"] - said["iat"] == 300
    url = f"{arnia.url}/v1/feeds"

    async def shown(scheme: str, token: str, *proofs: str) -> str | None:
        return (await tokens.caller(Presented(f"{scheme} {token}", proofs, "GET", "/v1/feeds"))).operator

    assert await shown("bearer", own) == "arnia"
    assert await shown("dPoP", theirs, party.proof("GET", url, theirs)) == "megalis"
    for scheme, token, proofs, why in (
        ("DPoP", own, (), "is not Bearer with an access token"),
        ("Basic", own, (), "is not Bearer with an access token"),
        ("Bearer", theirs, (party.proof("GET", url, theirs),), "is bound to its key"),
        ("DPoP", theirs, (), "one DPoP header"),
        ("DPoP", theirs, (party.proof("GET", url, own),), "does not hold"),
    ):  # fmt: skip
        with pytest.raises(Unauthenticated, match=why):
            await shown(scheme, token, *proofs)
    party.prover = Key()
    with pytest.raises(Unauthenticated, match="does not hold"):
        await shown("DPoP", theirs, party.proof("GET", url, theirs))


# What is read of a request


NOTHING_READ = Operation(act="one", id="", method="POST", path="/one", right=ANYONE, tag="node")
JSON_READ = msgspec.structs.replace(NOTHING_READ, bodies=(Body("application/json", {"type": "object"}),))


def connection(operation: Operation, headers: dict[str, str], query: bytes = b"") -> tuple[Any, Any, Any]:
    return operation, {"query_string": query}, Headers(headers)


def test_headers_say_what_may_be_read() -> None:
    reads = msgspec.structs.replace(JSON_READ, max_bytes=10)
    good = {"content-type": "application/json", "content-length": "10"}
    requests.check_size(*connection(reads, good, b"x" * 8_192))
    with pytest.raises(TooLarge, match="query string is longer than 8192"):
        requests.check_size(*connection(reads, good, b"x" * 8_193))
    for length in ("11", "-1", "x", "1e1", "", "9" * 20, " 1", "\u0661"):
        with pytest.raises(TooLarge, match="longer than 10 bytes"):
            requests.check_size(*connection(reads, {**good, "content-length": length}))
    boundless = msgspec.structs.replace(JSON_READ, max_bytes=int("9" * 19))
    requests.check_size(*connection(boundless, {**good, "content-length": "9" * 19}))
    requests.check_size(*connection(reads, {"content-type": "application/json"}))
    for nothing in ({}, {"content-length": "0"}, {"content-length": "000"}, {"content-length": ""}):
        requests.check_size(*connection(NOTHING_READ, nothing))
    for body in ({"content-length": "1"}, {"content-length": "x"}, {"transfer-encoding": "chunked"}):
        with pytest.raises(Invalid, match="no body is read here"):
            requests.check_size(*connection(NOTHING_READ, body))
    at_most = {"content-type": "application/json", "content-length": "1048576"}
    requests.check_size(*connection(JSON_READ, at_most))
    with pytest.raises(TooLarge, match="1048576"):
        requests.check_size(*connection(JSON_READ, {**at_most, "content-length": "1048577"}))


def test_a_request_has_one_authorization() -> None:
    for times in range(4):
        headers = Headers([(b"authorization", b"Bearer %d" % n) for n in range(times)])
        if times < 2:
            requests.check_size(NOTHING_READ, {"query_string": b""}, headers)
        else:
            with pytest.raises(Invalid, match="more than one Authorization"):
                requests.check_size(NOTHING_READ, {"query_string": b""}, headers)


def test_a_body_is_of_a_form_that_is_read() -> None:
    reads = ("application/json", "application/merge-patch+json")
    for good in (
        "application/json", "APPLICATION/JSON", " application/json ; charset=UTF-8",
        "application/merge-patch+json", 'application/json; charset="utf-8"',
        "application/json;x=y; charset=utf-8",
    ):  # fmt: skip
        requests.check_form(good, None, reads)
        requests.check_form(good, "identity", reads)
    for wrong in (None, "", "text/plain", "application/json+x", "json", "application/jsonx"):
        with pytest.raises(UnsupportedMediaType, match="application/json or application/merge-patch"):
            requests.check_form(wrong, None, reads)
    for charset in ("latin-1", "utf-16", '"utf-8x"', ""):
        with pytest.raises(UnsupportedMediaType, match="must be UTF-8"):
            requests.check_form(f"application/json; charset={charset}", None, reads)
    for encoding in ("gzip", "", "identity, gzip", "IDENTITY"):
        with pytest.raises(UnsupportedMediaType, match="must not be compressed"):
            requests.check_form("application/json", encoding, reads)


def coming(*parts: bytes) -> Any:
    async def stream() -> Any:
        for piece in parts:
            yield piece

    return SimpleNamespace(scope={}, stream=stream, headers={})


async def test_a_body_is_read_to_its_bound_and_not_beyond() -> None:
    assert await requests.body_of(coming(b"12345", b"", b"67890"), 10) == b"1234567890"
    with pytest.raises(TooLarge, match="longer than 10 bytes"):
        await requests.body_of(coming(b"12345", b"678901"), 10)
    for nothing in ((), (b"",), (b"", b"")):
        with pytest.raises(Invalid, match="the request has no body"):
            await requests.body_of(coming(*nothing), 10)


async def test_a_body_ends_where_its_length_says_and_nothing_more_is_waited_for() -> None:
    async def stream() -> Any:
        yield b"12345"
        yield b"67890"
        raise AssertionError("it is all there")

    request: Any = SimpleNamespace(scope={}, stream=stream, headers={"content-length": "10"})
    assert await requests.body_of(request, 10) == b"1234567890"


async def test_a_body_that_stops_is_given_up_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stuck() -> Any:
        yield b"x"
        await asyncio.sleep(60)

    monkeypatch.setattr(requests, "MAX_SILENT_SECONDS", 0.05)
    with pytest.raises(TooSlow, match="nothing more of the body came for"):
        await requests.body_of(SimpleNamespace(scope={}, stream=stuck, headers={}))  # type: ignore[arg-type]
    with pytest.raises(TooSlow, match="nothing more of the body came for"):
        [piece async for piece in requests.pieces(SimpleNamespace(scope={}, stream=stuck, headers={}))]  # type: ignore[arg-type]
    monkeypatch.setattr(requests, "MAX_BODY_SECONDS", 0.02)
    with pytest.raises(TooSlow, match="did not come within"):
        await requests.body_of(SimpleNamespace(scope={}, stream=stuck, headers={}))  # type: ignore[arg-type]


async def test_a_body_that_never_stops_for_long_has_an_end_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def dripping() -> Any:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    monkeypatch.setattr(requests, "MAX_BODY_SECONDS", 0.1)
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        with pytest.raises(TooSlow, match="did not come within"):
            await requests.body_of(SimpleNamespace(scope={}, stream=dripping, headers={}))  # type: ignore[arg-type]


async def test_the_bounds_are_those_that_are_published(app: Litestar) -> None:
    assert (requests.MAX_SILENT_SECONDS, requests.MAX_BODY_SECONDS, requests.MAX_QUERY_BYTES) == (
        10,
        30,
        8_192,
    )
    assert len(node_tokens._NO_SECRET) == hashlib.sha256().digest_size
    assert (oauth.MAX_FORM, node_tokens.MAX_ASSERTION_SECONDS, callers.MAX_TOKEN) == (16_384, 300, 8_192)
    limits = {operation.path: operation.max_bytes for operation in table(app) if operation.bodies}
    assert {limits[f"/oauth2/{verb}"] for verb in ("token", "revoke", "introspect")} == {16_384}
    assert limits["/v1/join"] == 65_536


# What a token is worth


async def about(
    client: httpx2.AsyncClient, verb: str, pair: tuple[str, str] | None, content: bytes
) -> httpx2.Response:
    auth: Any = pair or httpx2.USE_CLIENT_DEFAULT
    return await client.post(f"/oauth2/{verb}", content=content, headers=FORM, auth=auth)


@pytest.mark.parametrize("verb", ["revoke", "introspect"])
async def test_who_asks_about_a_token_is_a_client_and_names_one(
    anyone: httpx2.AsyncClient, arnia: Node, verb: str
) -> None:
    erp = await a_client(arnia)
    assert (await about(anyone, verb, erp, b"token=x")).status_code == 200
    for body in (b"", b"token=", b"x=y", b"token"):
        answer = await about(anyone, verb, erp, body)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    for pair, body in (
        (None, b"token=x"), ((erp[0], "wrong"), b"token=x"), (erp, b"token=x&client_secret=y"),
        (erp, b"token=x&client_assertion=y"),
    ):  # fmt: skip
        answer = await about(anyone, verb, pair, body)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), body
        assert answer.headers["www-authenticate"] == f'Basic realm="{arnia.url}"'


async def test_a_revocation_is_remembered_for_as_long_as_the_token_and_noted(
    anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    from tests.audit.audit_trail import entries

    erp = await a_client(arnia)
    token = fine(await anyone.post("/oauth2/token", data=GRANT, auth=erp), 200)["access_token"]
    expires = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["exp"]
    assert (await about(anyone, "revoke", erp, f"token={token}".encode())).content == b""
    assert (
        await anyone.get("/v1/solutions", headers={"authorization": f"Bearer {token}"})
    ).status_code == 401
    async with arnia.store.read() as tx:
        (row,) = await tx.clients._session.connection.fetch("SELECT * FROM revoked_tokens")
    assert row["fingerprint"] == hashlib.sha256(token.encode()).digest()
    assert row["expires_at"].timestamp() == expires + 60
    (entry,) = await entries(arnia, "token.revoked")
    assert (entry.actor, entry.subject) == (erp[0], erp[0])


async def test_who_got_no_token_is_counted_for_the_trail(anyone: httpx2.AsyncClient, arnia: Node) -> None:
    from tests.audit.audit_trail import entries

    for _ in range(3):
        assert (await anyone.post("/oauth2/token", data=GRANT, auth=("nobody", "x"))).status_code == 401
    await audit.note_refusals(arnia, last=True)
    (entry,) = await entries(arnia, "access.refused")
    assert (entry.subject, entry.detail["reason"], entry.detail["count"]) == ("token", "invalid_client", 3)


async def test_a_client_of_a_peers_name_has_nothing_to_do_with_its_tokens(
    anyone: httpx2.AsyncClient, arnia: Node
) -> None:
    namesake = ("megalis", "secret")
    async with arnia.store.write() as tx:
        await tx.clients.add("megalis", "erp", hashlib.sha256(b"secret").digest(), ("solutions.read",))
        await tx.peers.add(Party("megalis").known())
    theirs = Tokens(arnia).mint("megalis", "megalis", PEER_SCOPES, jkt="k")
    mine = Tokens(arnia).mint("megalis", "arnia", frozenset({"solutions.read"}))
    for token, active in ((mine, True), (theirs, False)):
        answer = await about(anyone, "introspect", namesake, f"token={token}".encode())
        assert answer.json()["active"] is active
        assert answer.json().get("token_type") == ("Bearer" if active else None)
        assert "cnf" not in answer.json()
    assert (await about(anyone, "revoke", namesake, f"token={theirs}".encode())).status_code == 200
    assert await Tokens(arnia).holder(theirs), "it still holds"
    assert (await about(anyone, "revoke", namesake, f"token={mine}".encode())).status_code == 200
    with pytest.raises(Unauthenticated):
        await Tokens(arnia).holder(mine)


async def test_joining_needs_an_invitation_before_anything_is_read(anyone: httpx2.AsyncClient) -> None:
    async def status(authorization: str | None, body: bytes = b"{}") -> tuple[int, bool]:
        headers = JSON if authorization is None else {**JSON, "authorization": authorization}
        answer = await anyone.post("/v1/join", content=body, headers=headers)
        return answer.status_code, "error=" in answer.headers.get("www-authenticate", "")

    assert await status(None) == (401, False)
    assert await status("Basic x") == (401, True)
    assert await status("Bearer") == (401, True)
    assert await status("Bearer ") == (401, True)
    assert await status("bearer x") == (400, False)
