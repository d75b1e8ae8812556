"""The token endpoint."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import Any
from urllib.parse import urlencode

import httpx2
import msgspec
import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from federation.domain.scopes import PEER_SCOPES, SCOPES
from federation.node.keys import Keyring, mint_private_key
from federation.node.node import Node
from tests.api.http_client import ASSERTION, FORM, fine, on_the_wire, refused
from tests.nodes import a_client, introduce

SURROGATE = rb'{"iss":"\ud800"}'
GRANT = {"grant_type": "client_credentials"}


def denied(answer: httpx2.Response, error: str, status: int = 400) -> dict[str, Any]:
    """The error of RFC 6749, 5.2."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    told: dict[str, Any] = answer.json()
    assert told["error"] == error, told
    assert told.keys() <= {"error", "error_description", "error_uri"}
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Basic ")
    return told


@pytest.fixture
async def erp(arnia: Node) -> tuple[str, str]:
    return await a_client(arnia, "solutions.read", "solutions.write")


async def ask(
    client: httpx2.AsyncClient, credentials: tuple[str, str] | None = None, **form: str
) -> httpx2.Response:
    auth = credentials or httpx2.USE_CLIENT_DEFAULT
    return await client.post("/oauth2/token", data={**GRANT, **form}, auth=auth)


async def test_a_client_gets_a_token_with_its_scopes(
    anyone: httpx2.AsyncClient, erp: tuple[str, str]
) -> None:
    answer = await ask(anyone, erp)
    told = fine(answer, 200)
    assert told["token_type"] == "Bearer"
    assert told["expires_in"] == 300
    assert told["scope"] == "solutions.read solutions.write"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    fewer = fine(await ask(anyone, erp, scope="solutions.read"), 200)
    assert fewer["scope"] == "solutions.read"
    headers = {"authorization": f"Bearer {fewer['access_token']}"}
    assert (await anyone.get("/v1/solutions", headers=headers)).status_code == 200
    refused(await anyone.post("/v1/solutions", json={}, headers=headers), 403, "missing-scope")


async def test_every_error_of_the_specification(
    anyone: httpx2.AsyncClient, erp: tuple[str, str], arnia: Node
) -> None:
    denied(await ask(anyone, erp, grant_type="password"), "unsupported_grant_type")
    denied(await ask(anyone, erp, grant_type="authorization_code"), "unsupported_grant_type")
    for scope in ("feeds.read", "solutions.read feeds.read", "nonsense", "", " ", "solutions.read\u00e9"):
        denied(await ask(anyone, erp, scope=scope), "invalid_scope")
    denied(await ask(anyone, erp, resource="https://other.example"), "invalid_target")
    assert (await ask(anyone, erp, resource=arnia.url)).status_code == 200
    denied(await ask(anyone, erp, client_secret=erp[1]), "invalid_request")
    denied(await ask(anyone, (erp[0], "wrong")), "invalid_client", 401)


async def test_a_parameter_that_is_missing_makes_the_request_invalid(
    anyone: httpx2.AsyncClient, erp: tuple[str, str]
) -> None:
    answer = await anyone.post("/oauth2/token", content=b"scope=solutions.read", headers=FORM, auth=erp)
    denied(answer, "invalid_request")
    denied(await anyone.post("/oauth2/token", content=b"", headers=FORM, auth=erp), "invalid_request")


async def test_who_does_not_authenticate_is_no_client(anyone: httpx2.AsyncClient) -> None:
    """RFC 6749, 5.2: "no client authentication included" is invalid_client."""
    denied(await ask(anyone), "invalid_client", 401)
    denied(await ask(anyone, client_id="client-erp"), "invalid_client", 401)


async def test_a_client_authenticates_in_one_way(
    anyone: httpx2.AsyncClient, erp: tuple[str, str], arnia: Node, megalis: Node
) -> None:
    await introduce(arnia, megalis)
    assertion = megalis.keyring.assertion("megalis", arnia.url)
    both = {"client_assertion_type": ASSERTION, "client_assertion": assertion}
    denied(await ask(anyone, erp, **both), "invalid_request")
    denied(await ask(anyone, erp, client_assertion=assertion), "invalid_request")
    denied(await ask(anyone, erp, client_assertion_type=ASSERTION), "invalid_request")
    denied(await ask(anyone, None, client_secret="x", **both), "invalid_request")
    assert (await ask(anyone, None, **both)).status_code == 200


async def test_a_wrong_secret_and_an_unknown_client_are_the_same_answer(
    anyone: httpx2.AsyncClient, erp: tuple[str, str], arnia: Node
) -> None:
    revoked = await a_client(arnia, name="old")
    async with arnia.store.write() as tx:
        await tx.clients.revoke("old")
    answers = [
        await ask(anyone, (erp[0], "wrong")),
        await ask(anyone, ("nobody", "wrong")),
        await ask(anyone, (erp[0], "")),
        await ask(anyone, ("", "")),
        await ask(anyone, revoked),
        await ask(anyone, erp, client_id="another"),
        await ask(anyone, (erp[0], "nobody")),
        await ask(anyone, ("x" * 500, "wrong")),
    ]
    assert len({(answer.status_code, answer.content, str(answer.headers)) for answer in answers}) == 1
    denied(answers[0], "invalid_client", 401)
    assert (await ask(anyone, erp, client_id=erp[0])).status_code == 200


async def test_basic_that_cannot_be_read_is_a_wrong_client(
    anyone: httpx2.AsyncClient, erp: tuple[str, str]
) -> None:
    def basic(raw: bytes) -> bytes:
        return b"Basic " + base64.b64encode(raw)

    for header in (
        b"Basic", b"Basic ", b"Basic !!!", b"Basic YQ", b"Basic \xff\xfe", basic(b"\xff\xfe:\xff"),
        basic(b"no colon"), basic(b"a\x00b:c"), basic(b"%00:x"), basic(b"%FF:x"), basic(b"%ED%A0%80:x"),
        basic("é:è".encode("latin-1")), b"Bearer x", b"Digest x", basic(b":"), basic(b"x" * 8_000),
    ):  # fmt: skip
        answer = await anyone.post("/oauth2/token", data=GRANT, headers={b"authorization": header})
        denied(answer, "invalid_client", 401)
    good = basic(":".join(erp).encode())
    answer = await anyone.post("/oauth2/token", data=GRANT, headers={b"authorization": good})
    assert answer.status_code == 200


async def test_a_form_that_cannot_be_read_is_refused(
    anyone: httpx2.AsyncClient, erp: tuple[str, str]
) -> None:
    good = urlencode(GRANT).encode()
    for body in (
        good + b"&" + good, good + b"&scope=solutions.read&scope=solutions.read", good + b"&scope=a%00b",
        good + b"&x=%FF", b"\xff=1&" + good, b"nonsense", good + b"&scope=%ED%A0%80", b"&" * 30,
        good + b"".join(b"&a%d=1" % n for n in range(30)), good + b"&&",
    ):  # fmt: skip
        answer = await anyone.post("/oauth2/token", content=body, headers=FORM, auth=erp)
        denied(answer, "invalid_request")
    long = good + b"&x=" + b"x" * 20_000
    answer = await anyone.post("/oauth2/token", content=long, headers=FORM, auth=erp)
    assert (answer.status_code, answer.json()["error"]) == (413, "invalid_request")
    for form in ("application/json", "multipart/form-data; boundary=x"):
        answer = await anyone.post("/oauth2/token", content=good, headers={"content-type": form}, auth=erp)
        assert (answer.status_code, answer.json()["error"]) == (415, "invalid_request")
    utf8 = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}
    assert (await anyone.post("/oauth2/token", content=good, headers=utf8, auth=erp)).status_code == 200


async def test_a_secret_is_kept_by_its_hash_only(arnia: Node, erp: tuple[str, str]) -> None:
    async with arnia.store.read() as tx:
        client = await tx.clients.find(erp[0])
    assert client is not None
    assert client.secret_hash == hashlib.sha256(erp[1].encode()).digest()


# Assertions of peers


@pytest.fixture
async def known(arnia: Node, megalis: Node) -> Node:
    """Megalis, a peer of arnia's."""
    await introduce(arnia, megalis)
    return megalis


def claims(arnia: Node, **changes: Any) -> dict[str, Any]:
    """The claims of a good assertion, with changes; ``...`` leaves one out."""
    now = int(time.time())
    good = {
        "iss": "megalis", "sub": "megalis", "aud": arnia.url, "iat": now, "exp": now + 60,
        "jti": secrets.token_urlsafe(16), **changes,
    }  # fmt: skip
    return {name: value for name, value in good.items() if value is not ...}


async def assert_(client: httpx2.AsyncClient, assertion: str, **form: str) -> httpx2.Response:
    return await ask(client, None, client_assertion_type=ASSERTION, client_assertion=assertion, **form)


async def test_a_peer_gets_a_token_by_its_key(anyone: httpx2.AsyncClient, arnia: Node, known: Node) -> None:
    for typ in ("JWT", "client-authentication+jwt"):
        told = fine(await assert_(anyone, known.keyring.sign(claims(arnia), typ=typ)), 200)
        assert frozenset(told["scope"].split()) == PEER_SCOPES
    good = known.keyring.sign(claims(arnia, aud=[arnia.url]), typ="JWT")
    assert (await assert_(anyone, good, client_id="megalis", scope="feeds.read")).status_code == 200
    greedy = known.keyring.sign(claims(arnia), typ="JWT")
    denied(await assert_(anyone, greedy, scope="solutions.write"), "invalid_scope")
    assert not any(scope.endswith((".write", ".admin")) for scope in PEER_SCOPES)
    assert set(SCOPES) > PEER_SCOPES


def by_hand(header: dict[str, Any], body: dict[str, Any], key: bytes = b"") -> str:
    start = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, body)
    )
    mac = hmac.digest(key, start.encode(), hashlib.sha256) if key else b""
    return f"{start}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


async def test_assertions_that_do_not_hold(anyone: httpx2.AsyncClient, arnia: Node, known: Node) -> None:
    now = int(time.time())
    sign = known.keyring.sign
    typ = "client-authentication+jwt"
    other = "https://attacker.example"
    public = json.dumps(known.keyring.public()["keys"][0]).encode()
    wrong: dict[str, dict[str, Any]] = {
        "for another node": {"aud": known.url},
        "for the token endpoint": {"aud": f"{arnia.url}/oauth2/token"},
        "for another and us": {"aud": [arnia.url, other]},
        "for us twice": {"aud": [arnia.url, arnia.url]},
        "for nobody": {"aud": []},
        "without audience": {"aud": ...},
        "of another subject": {"sub": "recia"},
        "of another issuer": {"iss": "recia"},
        "of this node itself": {"iss": "arnia", "sub": "arnia"},
        "without subject": {"sub": ...},
        "issuer as a number": {"iss": 1},
        "expired": {"exp": now - 120},
        "ten years ahead": {"exp": now + 315_360_000},
        "ten minutes ahead": {"exp": now + 600},
        "without expiry": {"exp": ...},
        "expiry as a text": {"exp": str(now + 60)},
        "expiry that is true": {"exp": True},
        "expiry beyond numbers": {"exp": 10**40},
        "from the future": {"iat": now + 600},
        "not yet": {"nbf": now + 600},
        "without jti": {"jti": ...},
        "a short jti": {"jti": "x"},
        "a long jti": {"jti": "x" * 256},
        "a jti that is a number": {"jti": 12345678},
    }
    forged = {why: sign(claims(arnia, **changes), typ=typ) for why, changes in wrong.items()}
    forged |= {
        "an access token": sign(claims(arnia), typ="at+jwt"),
        "of another typ": sign(claims(arnia), typ="secevent+jwt"),
        "signed by another": arnia.keyring.sign(claims(arnia), typ=typ),
        "signed by nobody we know": Keyring.of(mint_private_key()).sign(claims(arnia), typ=typ),
        "unsigned": by_hand({"alg": "none", "typ": typ}, claims(arnia)),
        "signed with the public key": by_hand({"alg": "HS256", "typ": typ}, claims(arnia), public),
        "its own key inside": by_hand(
            {"alg": "ES256", "typ": typ, "jwk": Keyring.of(mint_private_key()).public()["keys"][0]},
            claims(arnia),
            b"x",
        ),
        "crit": by_hand({"alg": "ES256", "typ": typ, "crit": ["b64"], "b64": False}, claims(arnia), b"x"),
        "cut": sign(claims(arnia), typ=typ)[:-6],
        "empty": "",
        "no token": "a.b.c",
        "two parts": "a.b",
        "five parts": "a.b.c.d.e",
        "not ASCII": "é.é.é",
        "deep": f"a.{base64.urlsafe_b64encode(b'[' * 5_000).decode()}.c",
        "a lone surrogate": f"a.{base64.urlsafe_b64encode(SURROGATE).decode()}.c",
    }
    answers = {why: await assert_(anyone, assertion) for why, assertion in forged.items()}
    assert {why: answer.status_code for why, answer in answers.items()} == dict.fromkeys(forged, 401)
    # The holder of a peer's key learns of a clock that is off, and nobody else learns anything.
    for why, direction in (("expired", "past"), ("from the future", "future"), ("not yet", "future")):
        answer = answers.pop(why)
        denied(answer, "invalid_client", 401)
        assert f" s in the {direction} by the clock of this node" in answer.json()["error_description"], why
    assert len({answer.content for answer in answers.values()}) == 1
    denied(await assert_(anyone, sign(claims(arnia), typ=typ), client_id="recia"), "invalid_client", 401)
    denied(
        await ask(anyone, None, client_assertion_type="urn:x", client_assertion=sign(claims(arnia), typ=typ)),
        "invalid_request",
    )
    assert (await assert_(anyone, sign(claims(arnia, nbf=now), typ=typ))).status_code == 200


async def test_both_sides_name_the_clock_of_a_peer_that_is_off(
    anyone: httpx2.AsyncClient, arnia: Node, known: Node, caplog: pytest.LogCaptureFixture
) -> None:
    typ = "client-authentication+jwt"
    for seconds, direction in ((3_600, "future"), (-3_600, "past")):
        now = int(time.time()) + seconds
        body = claims(arnia, iat=now, exp=now + 60)
        refused = await assert_(anyone, known.keyring.sign(body, typ=typ))
        denied(refused, "invalid_client", 401)
        assert f"s in the {direction} by the clock" in refused.json()["error_description"]
        line = [record for record in caplog.records if record.name == "federation.peers"][-1]
        assert (line.message, line.__dict__["peer"]) == ("the clocks differ", known.operator)
        assert direction in line.__dict__["reason"]
        # Nobody learns from it who is a peer: without its key there is one answer for everybody.
        stranger = Keyring.of(mint_private_key()).sign(body, typ=typ)
        assert "clock" not in (await assert_(anyone, stranger)).text
    now = int(time.time()) + 20
    near = known.keyring.sign(claims(arnia, iat=now, exp=now + 60), typ=typ)
    assert (await assert_(anyone, near)).status_code == 200


async def test_an_assertion_is_used_once(anyone: httpx2.AsyncClient, arnia: Node, known: Node) -> None:
    body = claims(arnia)
    assertion = known.keyring.sign(body, typ="JWT")
    assert (await assert_(anyone, assertion)).status_code == 200
    denied(await assert_(anyone, assertion), "invalid_client", 401)
    again = known.keyring.sign({**body, "exp": body["exp"] + 30}, typ="JWT")
    denied(await assert_(anyone, again), "invalid_client", 401)
    assert (await assert_(anyone, known.keyring.sign(claims(arnia), typ="JWT"))).status_code == 200


async def test_an_assertion_that_is_refused_for_its_scope_is_used_all_the_same(
    anyone: httpx2.AsyncClient, arnia: Node, known: Node
) -> None:
    assertion = known.keyring.sign(claims(arnia), typ="JWT")
    denied(await assert_(anyone, assertion, scope="node.admin"), "invalid_scope")
    denied(await assert_(anyone, assertion), "invalid_client", 401)


async def test_twenty_replays_at_once_give_one_token(
    anyone: httpx2.AsyncClient, arnia: Node, known: Node
) -> None:
    for _ in range(3):
        assertion = known.keyring.sign(claims(arnia), typ="JWT")
        answers = await asyncio.gather(*(assert_(anyone, assertion) for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19


async def test_a_suspended_peer_gets_no_token(anyone: httpx2.AsyncClient, arnia: Node, known: Node) -> None:
    unknown = await assert_(
        anyone, Keyring.of(mint_private_key()).sign(claims(arnia, iss="recia", sub="recia"), typ="JWT")
    )
    assert (await assert_(anyone, known.keyring.sign(claims(arnia), typ="JWT"))).status_code == 200
    async with arnia.store.write() as tx:
        await tx.peers._session.connection.execute("UPDATE peers SET state = 'suspended'")
    suspended = await assert_(anyone, known.keyring.sign(claims(arnia), typ="JWT"))
    denied(suspended, "invalid_client", 401)
    assert suspended.content == unknown.content


async def test_two_peers_may_use_the_same_jti(anyone: httpx2.AsyncClient, arnia: Node, known: Node) -> None:
    ring = Keyring.of(mint_private_key())
    async with arnia.store.write() as tx:
        peer = await tx.peers.find("megalis")
        assert peer is not None
        await tx.peers.add(
            msgspec.structs.replace(
                peer, operator="recia", url="http://recia.test", keys=ring.public(), thumbprint=ring.kid
            )
        )
    one = claims(arnia)
    assert (await assert_(anyone, known.keyring.sign(one, typ="JWT"))).status_code == 200
    two = ring.sign({**one, "iss": "recia", "sub": "recia"}, typ="JWT")
    assert (await assert_(anyone, two)).status_code == 200
    stolen = ring.sign(claims(arnia), typ="JWT")  # recia's key, megalis's name
    denied(await assert_(anyone, stolen), "invalid_client", 401)


async def test_a_client_library_gets_along(dsn: str) -> None:
    """Authlib, over a real connection."""
    async with on_the_wire(dsn) as (_, client):
        base = str(client.base_url).rstrip("/")
        endpoint = f"{base}/oauth2/token"
        async with AsyncOAuth2Client("client-erp", "secret-of-erp", token_endpoint=endpoint) as library:
            await library.fetch_token(endpoint, grant_type="client_credentials", scope="solutions.read")
            assert (await library.get(f"{base}/v1/solutions")).status_code == 200
        async with AsyncOAuth2Client("client-erp", "wrong", token_endpoint=endpoint) as library:
            with pytest.raises(OAuthError, match="invalid_client"):
                await library.fetch_token(endpoint, grant_type="client_credentials")
