"""The traps that an experiment found (marked † in ``design/security.md``), on a node that serves.

| nr | trap | test |
|---|---|---|
| 1 | a token without ``typ`` is accepted | ``test_trap_01_…`` |
| 2 | two ways of client authentication at once | ``test_trap_02_…`` |
| 3 | another client's ``client_id`` beside an assertion | ``test_trap_03_…`` |
| 4 | ``aud`` as a list with an attacker in it | ``test_trap_04_…`` |
| 5 | ``exp`` ten years ahead | ``test_trap_05_…`` |
| 6 | 500 on bad UTF-8 in Basic | ``test_trap_06_…`` |
| 7 | 500 on lone surrogates | ``test_trap_07_…`` |
| 8 | 500 on a client with an empty key set | ``test_trap_08_…`` |
| 9 | the text of an error tells which client ids exist | ``test_trap_09_…`` |
| 10 | a debug log holds tokens | ``test_trap_10_…`` |
| 11 | a secret that is slow to check is a lever for denial of service | ``test_trap_11_…`` |
| 12 | 20 concurrent replays of an assertion give more than one token | ``test_trap_12_…`` |
| 13 | 500 on JSON that is 100 000 deep | ``test_trap_13_…`` |
| 14 | 500 on invalid UTF-8 | ``test_trap_14_…`` |
| 15 | JSON of a wrong or missing content type is accepted | ``test_trap_15_…`` |
| 16 | NUL, which PostgreSQL cannot store | ``test_trap_16_…`` |
| 17 | integers above 2^63−1 | ``test_trap_17_…`` |
| 18 | extreme dates | ``test_trap_18_…`` |
| 19 | duplicate members of JSON pass silently | ``test_trap_19_…`` |
| 20 | bidirectional controls pass silently | ``test_trap_20_…`` |
| 21 | zero-width characters pass silently | ``test_trap_21_…`` |
| 22 | a small answer that unpacks to 210 MB | ``test_trap_22_…`` |
| 23 | a verifier that refuses everything passes the negative tests | ``test_trap_23_…`` |
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import time
import tracemalloc
from typing import Any

import httpx2
import msgspec
import pytest
from joserfc import jwt

from federation.domain.errors import Unreachable
from federation.node import peers
from tests.attack.forged_tokens import ASSERTION, Party, part
from tests.attack.target_node import GRANT, Logged, Running
from tests.attack.test_tokens import denied, refused
from tests.domain.builders import a_solution, an_incident, nested
from tests.nodes import a_client
from tests.sync.peers import reply, tiny

pytestmark = pytest.mark.long

GOOD = json.dumps({"content": a_solution(name="Good")}).encode()
JSON = {"content-type": "application/json"}


async def own(target: Running) -> str:
    return await target.client_token(await a_client(target.node))


async def publishing(target: Running, token: str, body: bytes, plural: str = "solutions") -> int:
    """The status of publishing these bytes; what is refused is refused as invalid."""
    headers = {**JSON, "authorization": f"Bearer {token}"}
    answer = await target.client.put(f"/v1/{plural}/arnia/one", content=body, headers=headers)
    if answer.status_code not in (200, 201):
        refused(answer, 400)
    return answer.status_code


async def test_trap_01_a_token_without_typ_is_none(target: Running) -> None:
    await a_client(target.node)
    now = int(time.time())
    claims = {
        "iss": target.url, "aud": target.url, "sub": "client-erp", "client_id": "client-erp",
        "operator": "arnia", "scope": "peers.read", "iat": now, "exp": now + 60, "jti": "12345678",
    }  # fmt: skip
    ring = target.node.keyring
    for header in ({"alg": "ES256", "kid": ring.kid}, {"alg": "ES256"}, {"alg": "ES256", "typ": ""}):
        refused(await target.ask("/v1/peers", str(jwt.encode(header, claims, ring._keys[ring.kid]))))
    assert (await target.ask("/v1/peers", ring.sign(claims, typ="at+jwt"))).status_code == 200


async def test_trap_02_two_ways_to_authenticate_are_none(target: Running, megalis: Party) -> None:
    credentials = await a_client(target.node)
    assertion = megalis.assertion(target.url)
    both = {**GRANT, "client_assertion_type": ASSERTION, "client_assertion": assertion}
    proof = {"dpop": megalis.proof("POST", target.endpoint)}
    for form in (both, {**both, "client_secret": "x"}, {**GRANT, "client_secret": credentials[1]}):
        answer = await target.client.post("/oauth2/token", data=form, auth=credentials, headers=proof)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    alone = await target.client.post("/oauth2/token", data={**both, "client_secret": "x"}, headers=proof)
    assert alone.status_code == 400
    assert (await target.token_answer(megalis, assertion)).status_code == 200
    assert (await target.client.post("/oauth2/token", data=GRANT, auth=credentials)).status_code == 200


async def test_trap_03_another_clients_id_beside_an_assertion(target: Running, megalis: Party) -> None:
    client, secret = await a_client(target.node)
    for other in (client, "recia", "arnia", "", "MEGALIS", "megalis "):
        denied(await target.token_answer(megalis, client_id=other))
        form = {**GRANT, "client_id": other}
        denied(
            await target.client.post("/oauth2/token", data=form, auth=(client, secret))
        ) if other != client else None
    assert (await target.token_answer(megalis, client_id="megalis")).status_code == 200


async def test_trap_04_an_audience_with_somebody_else_in_it(target: Running, megalis: Party) -> None:
    here, attacker = target.url, "https://attacker.example"
    for audience in (
        [here, attacker], [attacker, here], [here, here], [[here]], {here: 1}, f"{here} {attacker}",
        f"{here}/", here.upper(), target.endpoint, attacker, "", None, ...,
    ):  # fmt: skip
        denied(await target.token_answer(megalis, megalis.assertion(here, aud=audience)))
    for audience in (here, [here]):
        assert (await target.token_answer(megalis, megalis.assertion(here, aud=audience))).status_code == 200


async def test_trap_05_an_expiry_far_ahead(target: Running, megalis: Party) -> None:
    now = int(time.time())
    # (The clock goes on meanwhile: 301 s would be allowed a second later.)
    for ahead in (360, 3_600, 315_360_000, 10**15, 10**400):
        denied(await target.token_answer(megalis, megalis.assertion(target.url, exp=now + ahead)))
    for past in (now - 60, 0, -1, -(10**400)):
        denied(await target.token_answer(megalis, megalis.assertion(target.url, exp=past)))
    assert (
        await target.token_answer(megalis, megalis.assertion(target.url, exp=now + 290))
    ).status_code == 200


async def test_trap_06_bad_utf_8_in_basic(target: Running) -> None:
    client, secret = await a_client(target.node)

    async def asked(pair: bytes) -> httpx2.Response:
        header = b"Basic " + base64.b64encode(pair)
        return await target.client.post("/oauth2/token", data=GRANT, headers={b"authorization": header})

    for pair in (b"\xff:\xff", b"\xff\xfe", b"\xc3:x", client.encode() + b":\xff", b"%FF:%FF", b"\x00:\x00"):
        denied(await asked(pair))
    assert (await asked(f"{client}:{secret}".encode())).status_code == 200


async def test_trap_07_lone_surrogates(target: Running, megalis: Party) -> None:
    alone = "\ud800"
    wrong: tuple[dict[str, Any], ...] = (
        {"iss": alone}, {"sub": alone}, {"aud": alone}, {"jti": alone * 8, "iss": "x"},
    )  # fmt: skip
    for changes in wrong:
        denied(await target.token_answer(megalis, megalis.assertion(target.url, **changes)))
    denied(await target.token_answer(megalis, f"{part({'alg': alone})}.{part({'iss': alone})}.AA"))
    # A jti of surrogates is as single as any other: whatever it is, it is no 500 and no second token.
    odd = megalis.assertion(target.url, jti=alone * 8)
    statuses = [(await target.token_answer(megalis, odd)).status_code for _ in range(2)]
    assert statuses in ([401, 401], [200, 401])
    token = await own(target)
    assert await publishing(target, token, GOOD.replace(b"Good", b"\\ud800")) == 400
    assert await publishing(target, token, GOOD.replace(b"Good", b"\\ud83d\\ude00")) == 201


@pytest.mark.parametrize("keys", [{"keys": []}, {}])
async def test_trap_08_a_peer_with_an_empty_key_set(target: Running, megalis: Party, keys: Any) -> None:
    recia = Party("recia")
    async with target.node.store.write() as tx:
        await tx.peers.add(msgspec.structs.replace(recia.known(private=False), keys=keys))
    denied(await target.token_answer(recia))
    denied(await target.token_answer(recia, recia.assertion(target.url, header={"kid": ...})))
    assert (await target.token_answer(megalis)).status_code == 200


async def test_trap_09_errors_do_not_tell_which_clients_there_are(target: Running, megalis: Party) -> None:
    client, secret = await a_client(target.node)

    async def by_secret(*pair: str) -> httpx2.Response:
        return await target.client.post("/oauth2/token", data=GRANT, auth=(pair[0], pair[1]))

    answers = [
        await by_secret(client, "wrong"), await by_secret("client-none", "wrong"),
        await by_secret("megalis", "x"),
        await target.token_answer(megalis, megalis.assertion("https://x.example")),
        await target.token_answer(Party("nobody")),
    ]  # fmt: skip

    def told(answer: httpx2.Response) -> tuple[Any, ...]:
        headers = {name: value for name, value in answer.headers.items() if name != "date"}
        return answer.status_code, answer.content, headers

    assert all(told(answer) == told(answers[0]) for answer in answers)
    denied(answers[0])
    assert (await by_secret(client, secret)).status_code == 200


async def test_trap_10_no_log_holds_a_token(target: Running, megalis: Party, log: Logged) -> None:
    client, secret = await a_client(target.node)
    assertion, proof = megalis.assertion(target.url), megalis.proof("POST", target.endpoint)
    got = await target.token_answer(megalis, assertion, proof)
    token = got.json()["access_token"]
    await target.token_answer(megalis, assertion, proof)
    await target.ask("/v1/solutions", token, megalis)
    await target.ask("/v1/solutions", token + "x", megalis)
    await target.client.post("/oauth2/token", data=GRANT, auth=(client, secret + "-wrong"))
    bearer = await target.client_token((client, secret))
    await target.ask("/v1/peers", bearer)
    text = "\n".join(log.lines)
    for hidden in (*token.split("."), *bearer.split(".")[1:], *assertion.split(".")[1:], proof, secret):
        assert hidden not in text
    assert text.count('"answered"') >= 6, "every request was logged, and none of it is in there"


async def test_trap_11_a_wrong_secret_costs_little(target: Running) -> None:
    client, secret = await a_client(target.node)
    began = time.process_time()
    for name in [client, "nobody"] * 50:
        denied(await target.client.post("/oauth2/token", data=GRANT, auth=(name, "wrong" * 100)))
    assert time.process_time() - began < 100 * 0.05, "argon2 took 174 ms for each"
    assert (await target.client.post("/oauth2/token", data=GRANT, auth=(client, secret))).status_code == 200


async def test_trap_12_twenty_replays_at_once_give_one_token(target: Running, megalis: Party) -> None:
    assertion = megalis.assertion(target.url)
    answers = await asyncio.gather(*(target.token_answer(megalis, assertion) for _ in range(20)))
    tokens = {answer.json().get("access_token") for answer in answers} - {None}
    assert len(tokens) == 1
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19


async def test_trap_13_json_that_is_deep(target: Running) -> None:
    token = await own(target)
    for body in (nested(100_000), b'{"a":' * 100_000, GOOD.replace(b'"Good"', nested(100_000))):
        assert await publishing(target, token, body) == 400
    assert await publishing(target, token, GOOD) == 201


async def test_trap_14_invalid_utf_8(target: Running) -> None:
    token = await own(target)
    for bad in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf"):
        assert await publishing(target, token, GOOD.replace(b"Good", bad)) == 400
    assert await publishing(target, token, GOOD.replace(b"Good", "Gâteau".encode())) == 201


async def test_trap_15_json_of_another_content_type(target: Running) -> None:
    authorization = {"authorization": f"Bearer {await own(target)}"}

    async def asked(**headers: str) -> httpx2.Response:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        request = target.client.build_request(
            "PUT", "/v1/solutions/arnia/one", content=GOOD, headers={**authorization, **said}
        )
        return await target.client.send(request)

    for wrong in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "text/json",
        "",
        "application/json; charset=utf-16",
    ):
        refused(await asked(content_type=wrong), 415)
    refused(await asked(), 415)
    assert (await asked(content_type="application/json")).status_code == 201


async def test_trap_16_nul(target: Running) -> None:
    token = await own(target)
    for bad in (b"a\\u0000b", b"a\x00b"):
        assert await publishing(target, token, GOOD.replace(b"Good", bad)) == 400
    for path in ("/v1/solutions/arnia/a%00b", "/v1/solutions?q=a%00b", "/v1/solutions/a%00/b"):
        refused(
            await target.ask(path, token), 404 if (await target.ask(path, token)).status_code == 404 else 400
        )
    denied(await target.client.post("/oauth2/token", data=GRANT, auth=("a\x00b", "x")))
    assert await publishing(target, token, GOOD) == 201


async def test_trap_17_integers_beyond_what_is_stored(target: Running) -> None:
    token = await own(target)

    def deployment(count: bytes) -> bytes:
        content = {
            "solution": "arnia/x", "status": "production", "tenancy": "shared",
            "hosting": {"model": "operator"}, "coverage": {"kind": "count", "count": "N"},
        }  # fmt: skip
        return json.dumps({"content": content}).encode().replace(b'"N"', count)

    for count in (b"9223372036854775808", b"9007199254740992", b"1" * 400, b"1e400", b"-1", b"1.5"):
        assert await publishing(target, token, deployment(count), "deployments") == 400
    assert await publishing(target, token, deployment(b"412"), "deployments") == 201
    for query in (f"limit={2**63}", "limit=99999999999999999999", "limit=-1"):
        refused(await target.ask(f"/v1/solutions?{query}", token), 400)


async def test_trap_18_extreme_dates(target: Running) -> None:
    token = await own(target)

    def incident(at: str) -> bytes:
        return json.dumps({"content": an_incident(started_at=at)}).encode()

    for bad in (
        "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "+10000-01-01T00:00:00Z",
        "2026-02-30T00:00:00Z", "-4713-01-01T00:00:00Z", "infinity",
    ):  # fmt: skip
        assert await publishing(target, token, incident(bad), "incidents") == 400
    assert await publishing(target, token, incident("2026-03-01T08:00:00Z"), "incidents") == 201


async def test_trap_19_duplicate_members(target: Running) -> None:
    token = await own(target)
    for bad in (
        GOOD.replace(b'{"content"', b'{"tlp":"RED","tlp":"CLEAR","content"'),
        GOOD.replace(b'{"content"', b'{"tlp":"RED","\\u0074lp":"CLEAR","content"'),
        GOOD.replace(b'"name"', b'"name":"Other","name"'),
    ):
        assert await publishing(target, token, bad) == 400
    assert await publishing(target, token, GOOD.replace(b'{"content"', b'{"tlp":"RED","content"')) == 201


@pytest.mark.parametrize("char", ["\u202e", "\u2066", "\u200e", "\u061c"])
async def test_trap_20_bidirectional_controls(target: Running, char: str) -> None:
    token = await own(target)
    for bad in (char.encode(), json.dumps(char)[1:-1].encode()):
        assert await publishing(target, token, GOOD.replace(b"Good", b"a" + bad + b"b")) == 400
    assert await publishing(target, token, GOOD.replace(b"Good", "אב".encode())) == 201


@pytest.mark.parametrize("char", ["\u200b", "\u2060", "\ufeff"])
async def test_trap_21_zero_width_characters(target: Running, char: str) -> None:
    token = await own(target)
    for bad in (char.encode(), json.dumps(char)[1:-1].encode()):
        assert await publishing(target, token, GOOD.replace(b"Good", b"a" + bad + b"b")) == 400
    assert await publishing(target, token, GOOD.replace(b"Good", b"a b")) == 201


async def test_trap_22_a_small_answer_that_unpacks_to_much(target: Running) -> None:
    async with tiny() as server:
        party = await target.knows(Party("megalis", url=server.url), "pending")
        said = {"operator": "megalis", "name": "x", "url": server.url, "jwks_uri": f"{server.url}/jwks"}
        server.answers["/jwks"] = reply(json.dumps(party.jwks).encode())
        bomb = gzip.compress(b" " * 200_000_000, 9)
        tracemalloc.start()
        try:
            for body in (bomb, gzip.compress(json.dumps(said).encode())):
                server.answers["/.well-known/federation"] = reply(body, content_encoding="gzip")
                with pytest.raises(Unreachable):
                    await peers.activate(target.node, "megalis")
            assert tracemalloc.get_traced_memory()[1] < 20_000_000
        finally:
            tracemalloc.stop()
        server.answers["/.well-known/federation"] = reply(json.dumps(said).encode())
        assert (await peers.activate(target.node, "megalis")).state == "active"


def test_trap_23_a_test_that_sees_nothing_go_well_fails() -> None:
    """The fixture around every test asks for it: a node that refused everything would fail them all."""
    log = Logged()
    log.answered = [("/health/ready", 200), ("/v1/solutions", 401)]
    assert log.only_refusals
    log.answered.append(("/v1/solutions", 200))
    assert not log.only_refusals
