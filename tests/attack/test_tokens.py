"""Tokens and assertions that are another's, for another, of another kind, or used before."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx2
import pytest

from federation.node.node import Node
from tests.attack.forged_tokens import (
    CLIENT_JWT,
    ORDER,
    Key,
    Party,
    maced,
    part,
    proof_claims,
    unb64,
    unsigned,
)
from tests.attack.target_node import Running
from tests.domain.builders import a_solution
from tests.nodes import a_client, publish

pytestmark = pytest.mark.long


def denied(answer: httpx2.Response) -> None:
    """No client, and not a word about why."""
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), answer.text
    assert "access_token" not in answer.text


def refused(answer: httpx2.Response, status: int = 401) -> None:
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"


async def green(node: Node) -> str:
    """A record that members of the federation see, and what tells that it was shown."""
    await publish(node, "solution", "green", a_solution(name="canary-green"), tlp="GREEN")
    return "canary-green"


# Between nodes


async def test_a_token_of_one_node_is_worth_nothing_at_another(target: Running, other: Running) -> None:
    party = Party("recia")
    await target.knows(party)
    await other.knows(party)
    canary = await green(other.node)
    here, there = await target.token(party), await other.token(party)
    refused(await other.ask("/v1/solutions", here, party))
    refused(
        await other.ask(
            "/v1/solutions", here, party, proof=party.proof("GET", f"{target.url}/v1/solutions", here)
        )
    )
    assert canary in (await other.ask("/v1/solutions", there, party)).text


async def test_a_clients_token_of_one_node_is_worth_nothing_at_another(
    target: Running, other: Running
) -> None:
    here = await target.client_token(await a_client(target.node))
    there = await other.client_token(await a_client(other.node))
    refused(await other.ask("/v1/peers", here))
    assert (await other.ask("/v1/peers", there)).status_code == 200


async def test_an_assertion_for_one_node_gets_nothing_at_another(target: Running, other: Running) -> None:
    party = Party("recia")
    await target.knows(party)
    await other.knows(party)
    for_other = party.assertion(other.url)
    denied(await target.token_answer(party, for_other))
    assert (await other.token_answer(party, for_other)).status_code == 200, "and it was not used up"
    denied(await target.token_answer(party, for_other))


async def test_a_proof_for_one_nodes_token_endpoint_gets_nothing_at_another(
    target: Running, other: Running
) -> None:
    party = Party("recia")
    await target.knows(party)
    answer = await target.token_answer(party, proof=party.proof("POST", other.endpoint))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")
    assert (await target.token_answer(party)).status_code == 200


# Between peers


async def test_one_peers_token_is_worth_nothing_to_another_peer(
    target: Running, megalis: Party, recia: Party
) -> None:
    canary = await green(target.node)
    theirs = await target.token(megalis)
    refused(await target.ask("/v1/solutions", theirs, recia))
    refused(await target.ask("/v1/solutions", theirs))
    assert canary in (await target.ask("/v1/solutions", theirs, megalis)).text


async def test_one_peer_cannot_authenticate_as_another(target: Running, megalis: Party, recia: Party) -> None:
    for forged in (
        recia.assertion(target.url, iss="megalis", sub="megalis"),
        recia.assertion(target.url, iss="megalis"),
        recia.assertion(target.url, sub="megalis"),
        megalis.assertion(target.url, by=recia.key),
        megalis.assertion(target.url, by=recia.key, header={"kid": recia.key.kid}),
        megalis.assertion(target.url, by=recia.key, header={"kid": recia.key.kid, "jwk": recia.key.public}),
        recia.assertion(target.url, iss=["megalis", "recia"]),
    ):
        denied(await target.token_answer(recia, forged))
    denied(await target.token_answer(recia, client_id="megalis"))
    told = (await target.token_answer(recia, client_id="recia")).json()
    claims = json.loads(unb64(told["access_token"].split(".")[1]))
    assert (claims["operator"], claims["client_id"]) == ("recia", "recia")


async def test_a_node_cannot_be_made_to_take_its_own_signature_for_a_peers(target: Running) -> None:
    """What arnia signed for others must not come back as an assertion or a token."""
    party = await target.knows(Party("recia"))
    sign = target.node.keyring.sign
    now = int(time.time())
    own: dict[str, Any] = {
        "iss": target.url, "aud": target.url, "sub": "recia", "client_id": "recia", "operator": "recia",
        "scope": "solutions.read", "iat": now, "exp": now + 60, "jti": "12345678",
        "cnf": {"jkt": party.prover.kid},
    }  # fmt: skip
    for typ in (CLIENT_JWT, "JWT", "federation-registration+jwt", "federation-welcome+jwt", "dpop+jwt"):
        refused(await target.ask("/v1/solutions", sign(own, typ=typ), party))
    denied(await target.token_answer(party, target.node.keyring.assertion("arnia", target.url)))
    denied(await target.token_answer(party, sign(party.claims(target.url), typ=CLIENT_JWT)))
    assert (await target.ask("/v1/solutions", sign(own, typ="at+jwt"), party)).status_code == 200


# Algorithms and types


def confused(key: Key, claims: dict[str, Any], head: dict[str, Any]) -> dict[str, str]:
    """The same claims under every header that is not to be believed."""
    stranger = Key()
    packed = json.dumps(key.public).encode()
    good = key.jws(head, claims)
    text, _, signature = good.rpartition(".")
    swapped = [
        {**head, "alg": alg} for alg in ("ES384", "ES512", "ES256K", "RS256", "PS256", "EdDSA", "es256", "")
    ]
    return {
        "none": unsigned({**head, "alg": "none"}, claims),
        "None": unsigned({**head, "alg": "None"}, claims),
        "none, signed": key.jws({**head, "alg": "none"}, claims),
        "HS256 with the public key": maced({**head, "alg": "HS256"}, claims, packed),
        "HS256 with x": maced({**head, "alg": "HS256"}, claims, unb64(key.bare["x"])),
        "HS256 with the thumbprint": maced({**head, "alg": "HS256"}, claims, key.kid.encode()),
        "HS256 with nothing": maced({**head, "alg": "HS256"}, claims, b""),
        **{f"alg {each['alg']!r}": key.jws(each, claims) for each in swapped},
        "alg missing": key.jws({name: head[name] for name in head if name != "alg"}, claims),
        "alg a list": key.jws({**head, "alg": ["ES256"]}, claims),
        "by a stranger": stranger.jws(head, claims),
        "jku": stranger.jws({**head, "jku": "https://attacker.example/jwks.json"}, claims),
        "x5c": stranger.jws({**head, "x5c": ["AAAA"]}, claims),
        "a zero signature": f"{text}.{part(bytes(64))}",
        "r and s the order": f"{text}.{part(ORDER.to_bytes(32) * 2)}",
        "no signature": f"{text}.",
        "the signature twice": f"{good}.{signature}",
        "crit": key.jws({**head, "crit": ["b64"], "b64": False}, claims),
        "crit unknown": key.jws({**head, "crit": ["x-unknown"], "x-unknown": 1}, claims),
        "a kid that is a path": stranger.jws({**head, "kid": "../../dev/null"}, claims),
        "a kid that is SQL": stranger.jws({**head, "kid": "' OR 1=1 --"}, claims),
    }  # fmt: skip


async def test_the_algorithm_of_an_assertion_is_ours_to_say(target: Running, megalis: Party) -> None:
    stranger, claims = Key(), megalis.claims(target.url)
    head = {"alg": "ES256", "typ": CLIENT_JWT, "kid": megalis.key.kid}
    forgeries = confused(megalis.key, claims, head) | {
        "its own jwk": stranger.jws({**head, "jwk": stranger.public}, claims),
        "its own jwk and kid": stranger.jws({**head, "kid": stranger.kid, "jwk": stranger.public}, claims),
    }
    for why, forged in forgeries.items():
        answer = await target.token_answer(megalis, forged)
        assert (why, answer.status_code) == (why, 401)
        denied(answer)
    unused = megalis.key.jws(head, claims)
    assert (await target.token_answer(megalis, unused)).status_code == 200, "and its jti was not used up"


async def test_the_algorithm_of_a_proof_is_ours_to_say(target: Running, megalis: Party) -> None:
    head = {"alg": "ES256", "typ": "dpop+jwt", "jwk": megalis.prover.bare}
    claims = proof_claims("POST", target.endpoint)
    assert (await target.token_answer(megalis, proof=megalis.prover.jws(head, claims))).status_code == 200
    claims = proof_claims("POST", target.endpoint)
    for why, forged in confused(megalis.prover, claims, head).items():
        answer = await target.token_answer(megalis, proof=forged)
        assert (why, answer.status_code) == (why, 400)
        assert answer.json()["error"] == "invalid_dpop_proof"
    unused = megalis.prover.jws(head, claims)
    assert (await target.token_answer(megalis, proof=unused)).status_code == 200, "none of them counted"


async def test_the_algorithm_of_an_access_token_is_ours_to_say(target: Running, megalis: Party) -> None:
    token = await target.token(megalis)
    header, claims = (json.loads(unb64(one)) for one in token.split(".")[:2])
    public = target.node.keyring.public()["keys"][0]
    _, _, signature = token.rpartition(".")
    stranger = Key()
    for forged in (
        unsigned({**header, "alg": "none"}, claims),
        maced({**header, "alg": "HS256"}, claims, json.dumps(public).encode()),
        maced({**header, "alg": "HS256"}, claims, unb64(public["x"])),
        stranger.jws(header, claims),
        stranger.jws({**header, "jwk": stranger.public, "kid": stranger.kid}, claims),
        f"{part({**header, 'alg': 'none'})}.{part(claims)}.{signature}",
        f"{part(header)}.{part({**claims, 'scope': 'node.admin'})}.{signature}",
        f"{part(header)}.{part({**claims, 'operator': 'arnia'})}.{signature}",
    ):
        refused(await target.ask("/v1/solutions", forged, megalis))
    assert (await target.ask("/v1/solutions", token, megalis)).status_code == 200


@pytest.mark.parametrize(
    "typ",
    ["at+jwt", "dpop+jwt", "federation-key+jwt", "federation-registration+jwt", "jose", "", None, 1, ["JWT"]],
)
async def test_an_assertion_of_another_type_gets_nothing(target: Running, megalis: Party, typ: Any) -> None:
    denied(await target.token_answer(megalis, megalis.assertion(target.url, header={"typ": typ})))
    for good in (..., "JWT", "jwt", CLIENT_JWT):
        answer = await target.token_answer(megalis, megalis.assertion(target.url, header={"typ": good}))
        assert (good, answer.status_code) == (good, 200)


# Once


async def test_twenty_replays_of_one_assertion_at_once_give_one_token(
    target: Running, megalis: Party
) -> None:
    for _ in range(3):
        assertion = megalis.assertion(target.url)
        answers = await asyncio.gather(*(target.token_answer(megalis, assertion) for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19


async def test_twenty_replays_of_one_assertion_at_two_processes_give_one_token(
    target: Running, second: Running, megalis: Party
) -> None:
    for _ in range(3):
        assertion = megalis.assertion(target.url)
        answers = await asyncio.gather(
            *(process.token_answer(megalis, assertion) for process in (target, second) for _ in range(10))
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19


async def test_the_same_jti_in_another_assertion_is_a_replay(target: Running, megalis: Party) -> None:
    assert (await target.token_answer(megalis, megalis.assertion(target.url, jti="one-and-only"))).is_success
    denied(await target.token_answer(megalis, megalis.assertion(target.url, jti="one-and-only", iat=...)))
    assert (await target.token_answer(megalis, megalis.assertion(target.url, jti="another-one"))).is_success
