"""DPoP (RFC 9449): a peer's token is worth something with a proof by its key for this one request."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import httpx2

from tests.attack.forged_tokens import Key, Party, maced, part, proof_claims, unb64, unsigned
from tests.attack.target_node import Running
from tests.attack.test_tokens import green, refused
from tests.nodes import a_client

PATH = "/v1/solutions"
Forge = Callable[[Party, str, str], str]
"""A proof from a peer, the URL asked, and the token it goes with."""


def with_(**changes: Any) -> Forge:
    """A proof whose claims are changed."""
    return lambda party, url, token: party.proof("GET", url, token, **changes)


def headed(**changes: Any) -> Forge:
    """A proof whose header is changed."""
    return lambda party, url, token: party.proof("GET", url, token, header=changes)


def by_hand(make: Callable[[Any, Any], str], **header: Any) -> Forge:
    def forge(party: Party, url: str, token: str) -> str:
        head = {"alg": "ES256", "typ": "dpop+jwt", "jwk": party.prover.bare, **header}
        return make(head, proof_claims("GET", url, token))

    return forge


def at(**ago: int) -> Forge:
    return lambda party, url, token: party.proof("GET", url, token, iat=int(time.time()) - ago["seconds"])


def private(party: Party, url: str, token: str) -> str:
    """Whoever reads the header could make proofs from then on."""
    return party.proof("GET", url, token, header={"jwk": {**party.prover.bare, "d": party.prover.d}})


def by_another(party: Party, url: str, token: str) -> str:
    return party.proof("GET", url, token, by=Key())


def of_another(party: Party, url: str, token: str) -> str:
    """A proof that holds, by a key the token is not bound to."""
    thief = Key()
    return party.proof("GET", url, token, by=thief, header={"jwk": thief.bare})


def of_its_signing_key(party: Party, url: str, token: str) -> str:
    return party.proof("GET", url, token, by=party.key, header={"jwk": party.key.bare})


def hmac_with_its_key(party: Party, url: str, token: str) -> str:
    secret = json.dumps(party.prover.bare).encode()
    return by_hand(lambda head, claims: maced(head, claims, secret), alg="HS256")(party, url, token)


def symmetric(party: Party, url: str, token: str) -> str:
    jwk = {"kty": "oct", "k": "AAAA"}
    return by_hand(lambda head, claims: maced(head, claims, bytes(3)), alg="HS256", jwk=jwk)(
        party, url, token
    )


def cut(party: Party, url: str, token: str) -> str:
    return party.proof("GET", url, token)[:-4]


BAD: dict[str, Forge] = {
    "of another method": with_(htm="POST"),
    "of a method in small letters": with_(htm="get"),
    "without a method": with_(htm=...),
    "of another path": lambda party, url, token: party.proof("GET", f"{url}/arnia/x", token),
    "of another host": with_(htu=f"http://attacker.example{PATH}"),
    "of another scheme": lambda party, url, token: party.proof("GET", url.replace("http", "https"), token),
    "of the path alone": with_(htu=PATH),
    "of a path that goes back": lambda party, url, token: party.proof("GET", f"{url}/../solutions", token),
    "with a slash more": lambda party, url, token: party.proof("GET", f"{url}/", token),
    "without a URL": with_(htu=...),
    "of a URL that is a list": lambda party, url, token: party.proof("GET", url, token, htu=[url]),
    "for another token": with_(ath="x"),
    "for the token in another hash": lambda party, url, token: party.proof("GET", url, token, ath=token),
    "for no token": with_(ath=...),
    "stale": at(seconds=120),
    "from the future": at(seconds=-120),
    "from the beginning of time": with_(iat=0),
    "of a time below zero": with_(iat=-1),
    "without a time": with_(iat=...),
    "of a time that is a text": lambda party, url, token: party.proof(
        "GET", url, token, iat=str(int(time.time()))
    ),
    "of a time that is true": with_(iat=True),
    "of a time beyond numbers": with_(iat=10**400),
    "of a time without end": lambda party, url, token: party.proof("GET", url, token, iat=float("inf")),
    "of a time that is none": lambda party, url, token: party.proof("GET", url, token, iat=float("nan")),
    "without jti": with_(jti=...),
    "with an empty jti": with_(jti=""),
    "with a short jti": with_(jti="x"),
    "with a long jti": with_(jti="x" * 256),
    "with a jti that is a number": with_(jti=12345678),
    "by another key": by_another,
    "of another key": of_another,
    "of the key that signs its assertions": of_its_signing_key,
    "with the private key inside": private,
    "with no key": headed(jwk=...),
    "with a key that is none": headed(jwk={}),
    "with a key that is a text": headed(jwk="x"),
    "with a key of another curve": headed(jwk={"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}),
    "with a key that is no point": headed(jwk={"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
    "with an RSA key": headed(jwk={"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
    "unsigned": by_hand(unsigned, alg="none"),
    "HS256 with the public key": hmac_with_its_key,
    "HS256 with a key it brings": symmetric,
    "typ JWT": headed(typ="JWT"),
    "typ at+jwt": headed(typ="at+jwt"),
    "typ missing": headed(typ=...),
    "cut": cut,
    "claims that are no object": lambda party, url, token: party.prover.jws(
        {"alg": "ES256", "typ": "dpop+jwt", "jwk": party.prover.bare}, []
    ),
    "no token": lambda *_: "a.b.c",
    "deep": lambda *_: f"{part(b'[' * 5_000)}.{part(b'[' * 5_000)}.AA",
    "a lone surrogate": with_(jti="\ud800" * 8, htm="POST"),
    "long": lambda *_: "x" * 9_000,
}


async def test_a_proof_that_does_not_hold_opens_nothing(target: Running, megalis: Party) -> None:
    canary = await green(target.node)
    token = await target.token(megalis)
    answers = {
        why: await target.ask(PATH, token, megalis, proof=forge(megalis, f"{target.url}{PATH}", token))
        for why, forge in BAD.items()
    }
    assert {why: answer.status_code for why, answer in answers.items()} == dict.fromkeys(BAD, 401)
    assert not any(canary in answer.text for answer in answers.values())
    assert canary in (await target.ask(PATH, token, megalis)).text


WITHOUT_TOKEN = [why for why in BAD if "for another token" not in why and why not in (
    "for the token in another hash", "for no token", "of another key", "of the key that signs its assertions",
    "of a method in small letters", "of another method", "of another path", "of another host",
    "of the path alone", "of a path that goes back", "with a slash more", "of a URL that is a list",
    "of another scheme", "a lone surrogate",
)]  # fmt: skip
"""Those that are as wrong at the token endpoint; the others are about what is asked for."""


async def test_a_proof_that_does_not_hold_gets_no_token(target: Running, megalis: Party) -> None:
    class Posting(Party):
        """Makes the same fault for the token request."""

        def proof(self, method: str, url: str, token: str | None = None, **said: Any) -> str:
            return super().proof("POST" if method == "GET" else method, url, None, **said)

    faulty = Posting("megalis", key=megalis.key)
    for why in WITHOUT_TOKEN:
        answer = await target.token_answer(megalis, proof=BAD[why](faulty, target.endpoint, "-"))
        told = (why, answer.status_code, answer.json()["error"])
        assert told == (why, 400, "invalid_dpop_proof")
    assert (await target.token_answer(megalis)).status_code == 200


GOOD: dict[str, Forge] = {
    "a query after its URL": lambda party, url, token: party.proof("GET", f"{url}?limit=1", token),
    "a URL whose letters are escaped": lambda party, url, token: party.proof(
        "GET", url.replace("solutions", "%73olutions"), token
    ),
    "a little old": at(seconds=50),
    "a little ahead": at(seconds=-20),
    "members that nobody knows": with_(nonce="x", colour="red"),
    "a longer jti": with_(jti="x" * 255),
}


async def test_a_proof_that_holds_opens_though_it_is_written_otherwise(
    target: Running, megalis: Party
) -> None:
    token = await target.token(megalis)
    answers = {
        why: await target.ask(PATH, token, megalis, proof=forge(megalis, f"{target.url}{PATH}", token))
        for why, forge in GOOD.items()
    }
    assert {why: answer.status_code for why, answer in answers.items()} == dict.fromkeys(GOOD, 200)


async def test_a_bound_token_needs_exactly_one_proof(target: Running, megalis: Party) -> None:
    token = await target.token(megalis)
    url = f"{target.url}{PATH}"

    def one() -> str:
        return megalis.proof("GET", url, token)

    for proofs in ((), (one(), one()), ("", ""), (one(), ""), (f"{one()}, {one()}",), (f"{one()},{one()}",)):
        refused(await target.ask(PATH, token, megalis, proof=proofs or ("",)))
    missing = await target.client.get(PATH, headers={"authorization": f"DPoP {token}"})
    refused(missing)
    assert (await target.ask(PATH, token, megalis, proof=(one(),))).status_code == 200


async def test_a_proof_opens_once(target: Running, second: Running, megalis: Party) -> None:
    token = await target.token(megalis)
    proof = megalis.proof("GET", f"{target.url}{PATH}", token)
    assert (await target.ask(PATH, token, megalis, proof=proof)).status_code == 200
    refused(await target.ask(PATH, token, megalis, proof=proof))
    refused(await second.ask(PATH, token, megalis, proof=proof))
    assert (await second.ask(PATH, token, megalis)).status_code == 200


async def test_twenty_replays_of_one_proof_at_once_give_one_answer(
    target: Running, second: Running, megalis: Party
) -> None:
    token = await target.token(megalis)
    for processes in ((target,), (target, second)):
        proof = megalis.proof("GET", f"{target.url}{PATH}", token)
        answers = await asyncio.gather(
            *(processes[n % len(processes)].ask(PATH, token, megalis, proof=proof) for n in range(20))
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 19


async def test_a_proof_of_a_token_request_is_worth_nothing_at_a_resource(
    target: Running, megalis: Party
) -> None:
    proof = megalis.proof("POST", target.endpoint)
    token = (await target.token_answer(megalis, proof=proof)).json()["access_token"]
    refused(await target.ask(PATH, token, megalis, proof=proof))
    again = await target.token_answer(megalis, proof=proof)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_dpop_proof")
    # Even an own one for the right request, as long as it does not name the token.
    refused(await target.ask(PATH, token, megalis, proof=megalis.proof("GET", f"{target.url}{PATH}")))
    assert (await target.ask(PATH, token, megalis)).status_code == 200


async def test_a_failed_token_request_does_not_leave_a_proof_to_use(target: Running, megalis: Party) -> None:
    proof = megalis.proof("POST", target.endpoint)
    denied = await target.token_answer(megalis, megalis.assertion("https://attacker.example"), proof)
    assert denied.status_code == 401
    assert (await target.token_answer(megalis, proof=proof)).status_code == 200, (
        "it was not used: nobody came"
    )
    again = await target.token_answer(megalis, proof=proof)
    assert again.json()["error"] == "invalid_dpop_proof"


async def test_a_peer_gets_no_token_without_a_proof(target: Running, megalis: Party) -> None:
    for proofs in ((), (megalis.proof("POST", target.endpoint), megalis.proof("POST", target.endpoint))):
        answer = await target.token_answer(megalis, proof=proofs)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")
    told = (await target.token_answer(megalis)).json()
    assert told["token_type"] == "DPoP"
    claims = json.loads(unb64(told["access_token"].split(".")[1]))
    assert claims["cnf"] == {"jkt": megalis.prover.kid}


async def test_the_scheme_is_the_tokens(target: Running, megalis: Party) -> None:
    bound, bearer = await target.token(megalis), await target.client_token(await a_client(target.node))
    for scheme in ("Bearer", "bearer", "Basic", "DPoPx", "dpop bearer"):
        refused(await target.ask(PATH, bound, megalis, scheme=scheme))
    for scheme in ("DPoP", "dpop"):
        assert (await target.ask(PATH, bound, megalis, scheme=scheme)).status_code == 200
    proof = megalis.proof("GET", f"{target.url}{PATH}", bearer)
    refused(await target.ask(PATH, bearer, scheme="DPoP"))
    refused(await target.ask(PATH, bearer, scheme="DPoP", proof=proof))
    assert (await target.ask(PATH, bearer, scheme="Bearer")).status_code == 200


async def test_two_authorization_headers_are_refused(target: Running, megalis: Party) -> None:
    """Whichever of two headers a proxy reads, the node must not have read the other."""
    bearer = await target.client_token(await a_client(target.node))
    bad, good = "Bearer x", f"Bearer {bearer}"

    async def asked(*values: str) -> httpx2.Response:
        return await target.client.get("/v1/peers", headers=[("authorization", value) for value in values])

    refused(await asked(bad, good))
    refused(await asked(good, bad), 400)
    refused(await asked(good, good), 400)
    assert (await asked(good)).status_code == 200
    form = {"grant_type": "client_credentials"}
    basic = "Basic Y2xpZW50LWVycDpzZWNyZXQtb2YtZXJw"
    for headers, status in (((basic, "Basic eDp5"), 400), ((basic, basic), 400), ((basic,), 200)):
        said = [("authorization", value) for value in headers]
        assert (await target.client.post("/oauth2/token", data=form, headers=said)).status_code == status


async def test_own_clients_cannot_have_bound_tokens_and_say_so(target: Running, megalis: Party) -> None:
    credentials = await a_client(target.node)
    form = {"grant_type": "client_credentials"}
    proof = {"dpop": megalis.proof("POST", target.endpoint)}
    bound = await target.client.post("/oauth2/token", data=form, auth=credentials, headers=proof)
    assert (bound.status_code, bound.json()["error"]) == (400, "invalid_request")
    assert (await target.client.post("/oauth2/token", data=form, auth=credentials)).status_code == 200
