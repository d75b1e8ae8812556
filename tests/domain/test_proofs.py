"""Proofs of possession, successions of keys and names of keys, on both sides of each bound."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from federation.domain.errors import Unauthenticated
from federation.domain.peer import OwnKey
from federation.node import keys as node_keys
from federation.node.keys import (
    MAX_ENDORSEMENTS,
    DPoPSigner,
    Keyring,
    kid_of,
    mint_private_key,
    thumbprint,
    trusted_keys,
    verify_dpop_proof,
    verify_jwt,
)
from tests.attack.forged_tokens import Key, Party, b64, changed, part, token_hash

NOW = 1_800_000_000
URL = "https://arnia.example/v1/feeds"
MEGALIS = Party("megalis", key=Key("one"))
SHOWN = Key("two")


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the time."""

    def it_is(now: float) -> None:
        monkeypatch.setattr("federation.node.keys.time.time", lambda: now)

    it_is(float(NOW))
    return it_is


def claims(**changes: Any) -> dict[str, Any]:
    return changed({"jti": "j" * 16, "htm": "GET", "htu": URL, "iat": NOW}, changes)


def a_proof(header: dict[str, Any] | None = None, **changes: Any) -> str:
    head = changed({"alg": "ES256", "typ": "dpop+jwt", "jwk": SHOWN.bare}, header or {})
    return SHOWN.jws(head, claims(**changes))


def holds(proof: str, method: str = "GET", url: str = URL, token: str | None = None) -> bool:
    try:
        found = verify_dpop_proof(proof, method, url, token)
    except Unauthenticated:
        return False
    assert found.jkt == SHOWN.kid
    return True


BOUNDS: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"jti": "j" * 8}, True), ({"jti": "j" * 7}, False), ({"jti": "j" * 255}, True),
    ({"jti": "j" * 256}, False), ({"jti": ["j" * 16] * 16}, False), ({"jti": ...}, False),
    ({"iat": NOW + 30}, True), ({"iat": NOW + 31}, False), ({"iat": NOW - 60}, True),
    ({"iat": NOW - 61}, False), ({"iat": float(NOW)}, True), ({"iat": str(NOW)}, False),
    ({"iat": ...}, False),
    ({"htm": "POST"}, False), ({"htm": "get"}, False), ({"htm": ...}, False),
    ({"htu": URL + "?after=1"}, True), ({"htu": URL + "#x"}, True), ({"htu": URL + "?a#b"}, True),
    ({"htu": URL.replace("feeds", "%66eeds")}, True), ({"htu": URL + "/"}, False), ({"htu": ...}, False),
    ({"htu": [URL]}, False), ({"htu": "http" + URL.removeprefix("https")}, False),
]  # fmt: skip


@pytest.mark.usefixtures("at")
@pytest.mark.parametrize(("changes", "good"), BOUNDS, ids=repr)
def test_a_proof_holds_for_one_request_about_now(changes: dict[str, Any], good: bool) -> None:
    assert holds(a_proof(**changes)) is good


def test_the_time_of_a_proof_is_one_that_can_be_reckoned_with(at: Any) -> None:
    at(20.0)
    assert holds(a_proof(iat=0))
    assert not holds(a_proof(iat=-1))
    assert not holds(a_proof(iat=True))
    at(float(2**40 - 1))
    assert holds(a_proof(iat=2**40 - 1))
    at(float(2**40))
    assert not holds(a_proof(iat=2**40))


@pytest.mark.usefixtures("at")
def test_a_proof_is_for_the_token_it_comes_with() -> None:
    good: dict[str, Any] = {"ath": token_hash("token")}
    assert holds(a_proof(**good), token="token")
    assert not holds(a_proof(**good), token="another")
    assert not holds(a_proof(), token="token")
    assert not holds(a_proof(ath="x"), token="token")
    assert holds(a_proof(**good)), "at the token endpoint there is none yet"


@pytest.mark.usefixtures("at")
@pytest.mark.parametrize(
    "header",
    [
        {"typ": "jwt"}, {"typ": ...}, {"jwk": ...}, {"jwk": "x"}, {"jwk": Key("other").bare},
        {"jwk": {**SHOWN.bare, "d": SHOWN.d}}, {"jwk": {**SHOWN.bare, "k": "x"}},
        {"jwk": {**SHOWN.bare, "kty": "RSA"}}, {"jwk": {"kty": "oct", "k": "x"}}, {"alg": "none"},
    ],
    ids=repr,
)  # fmt: skip
def test_a_proof_shows_one_public_key_that_signed_it(header: dict[str, Any]) -> None:
    assert not holds(a_proof(header))
    assert holds(a_proof({"typ": "DPoP+JWT"}))


@pytest.mark.usefixtures("at")
@pytest.mark.parametrize(
    "garbage", ["", "a", "a.b.c", ".", "é.é.é", f"{part([])}.{part({})}.x", f"{part(b'x')}..x"]
)
def test_what_is_no_proof_does_not_hold(garbage: str) -> None:
    assert not holds(garbage)


def test_our_own_proofs_hold_and_are_each_another() -> None:
    ours = DPoPSigner()
    first, second = ours.proof("GET", URL, "token"), ours.proof("GET", URL, "token")
    one, other = verify_dpop_proof(first, "GET", URL, "token"), verify_dpop_proof(second, "GET", URL, "token")
    assert one.jkt == other.jkt
    assert one.jti != other.jti
    assert len(base64.urlsafe_b64decode(one.jti + "==")) == 16
    shown = json.loads(base64.urlsafe_b64decode(first.split(".")[0] + "=="))["jwk"]
    assert "d" not in shown
    bare = json.loads(base64.urlsafe_b64decode(ours.proof("POST", URL).split(".")[1] + "=="))
    assert bare.keys() == {"jti", "htm", "htu", "iat"}
    with pytest.raises(Unauthenticated):
        verify_dpop_proof(ours.proof("GET", URL), "GET", URL, "token")


def test_the_hash_of_a_token_is_that_of_rfc_9449() -> None:
    assert token_hash("x") == node_keys.token_hash("x") == b64(hashlib.sha256(b"x").digest())


# Successions


def endorsed(*chain: Key) -> list[str]:
    return [MEGALIS.endorsement(one, other) for one, other in pairwise(chain)]


def kids(told: dict[str, Any], *known: str, operator: str = "megalis") -> set[str]:
    return {key["kid"] for key in trusted_keys(known, told, operator)["keys"]}


A, B, C, D = (Key(seed) for seed in "ABCD")


def test_keys_are_followed_from_the_one_that_is_known() -> None:
    told = {"keys": [C.public, B.public, A.public], "succession": endorsed(A, B, C)}
    assert kids(told, A.kid) == {A.kid, B.kid, C.kid}
    assert kids(told, B.kid) == {B.kid, C.kid}
    assert kids({**told, "keys": [C.public]}, A.kid) == {C.kid}
    assert kids({"keys": [D.public, A.public]}, A.kid) == {A.kid}
    (kept,) = trusted_keys({A.kid}, {"keys": [A.private]}, "megalis")["keys"]
    assert kept == A.public, "and nothing that was said beside it"


@pytest.mark.parametrize(
    "told",
    [
        {}, {"keys": []}, {"keys": None}, {"keys": [D.public]}, {"keys": "x"}, {"keys": [1, None, {}]},
        {"keys": [B.public], "succession": [MEGALIS.endorsement(A, B, iss="recia")]},
        {"keys": [B.public], "succession": [MEGALIS.endorsement(A, B, iss=...)]},
        {"keys": [C.public], "succession": endorsed(B, C)},
        {"keys": [{**D.public, "kid": A.kid}]},
    ],
)  # fmt: skip
def test_a_set_without_a_key_that_was_endorsed_is_nobodys(told: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated, match="no key that it is known by"):
        trusted_keys({A.kid}, told, "megalis")


def forged(by: Key, shown: Key, new: Key) -> str:
    header = {"alg": "ES256", "typ": "federation-key+jwt", "kid": shown.kid, "jwk": shown.public}
    return by.jws(header, {"iss": "megalis", "jwk": new.bare})


RENAMED = A.jws(
    {"alg": "ES256", "typ": "federation-key+jwt", "kid": "a", "jwk": {**A.public, "kid": "a"}},
    {"iss": "megalis", "jwk": B.bare},
)
MISTYPED = A.jws({"alg": "ES256", "typ": "jwt", "jwk": A.public}, {"iss": "megalis", "jwk": B.bare})


@pytest.mark.parametrize(
    "succession",
    [
        5, None, "x", {"a": 1}, True, [5], [None], ["x"], ["a.b.c"], [{}], [part({}) + ".x.y"],
        [forged(D, A, B)], [MISTYPED], [RENAMED],
        [MEGALIS.endorsement(A, B, jwk=...)], [MEGALIS.endorsement(A, B, jwk="x")],
    ],
)  # fmt: skip
def test_a_succession_that_cannot_be_read_or_is_forged_spoils_the_whole_set(succession: Any) -> None:
    """Although the set has a key that is known: whoever serves it does not know what it does."""
    with pytest.raises(Unauthenticated, match="succession of the keys cannot be read"):
        trusted_keys({A.kid}, {"keys": [A.public], "succession": succession}, "megalis")


def test_a_succession_has_a_length() -> None:
    one = endorsed(A, B)
    assert MAX_ENDORSEMENTS == 500
    assert kids({"keys": [B.public], "succession": one * 500}, A.kid) == {B.kid}
    with pytest.raises(Unauthenticated, match="cannot be read"):
        trusted_keys({A.kid}, {"keys": [B.public], "succession": one * 501}, "megalis")


# Names of keys


def test_only_a_key_on_p_256_has_a_name() -> None:
    numbers = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()
    longer = {"kty": "EC", "crv": "P-384", "x": b64(numbers.x.to_bytes(48)), "y": b64(numbers.y.to_bytes(48))}
    with pytest.raises(ValueError, match="not an EC key on P-256"):
        thumbprint(longer)
    with pytest.raises(ValueError, match="not an EC key on P-256"):
        thumbprint({**A.bare, "kty": "OKP"})
    assert thumbprint(A.bare) == A.kid


@pytest.mark.parametrize(
    ("kid", "found"),
    [("k" * 64, "k" * 64), ("k" * 65, None), ("", ""), (5, None), (["k"], None), (None, None)],
)  # fmt: skip
def test_a_token_says_which_key_signed_it_if_that_can_be_one(kid: Any, found: str | None) -> None:
    assert kid_of(f"{part({'kid': kid})}.x.y") == found


@pytest.mark.parametrize(
    "garbage", ["", "a", "é", part([]), part("x"), part(b"\xff"), part({}), part(b"[" * 9_999)]
)
def test_what_is_no_token_names_no_key(garbage: str) -> None:
    assert kid_of(f"{garbage}.x.y") is None


# Keyrings


def a_ring(*keys: OwnKey, now: datetime) -> Keyring:
    return Keyring(keys, lambda: now)


def test_the_newest_key_whose_time_has_come_signs_and_all_that_hold_are_published() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    old, retired, new = (
        OwnKey(jwk=mint_private_key(), use_from=now + timedelta(hours=n), retired=n == 0) for n in (-1, 0, 1)
    )
    kid = {id(key): key.jwk["kid"] for key in (old, retired, new)}
    ring = a_ring(new, retired, old, now=now)
    assert ring.kid == kid[id(old)], "a retired key signs nothing"
    assert [key["kid"] for key in ring.public()["keys"]] == [kid[id(new)], kid[id(old)]]
    assert [key["kid"] for key in ring.history()["keys"]] == [kid[id(new)], kid[id(retired)], kid[id(old)]]
    assert all("d" not in key for key in ring.history()["keys"])
    assert a_ring(new, old, now=now + timedelta(hours=1)).kid == kid[id(new)]
    assert a_ring(new, old, now=now - timedelta(hours=9)).kid == kid[id(old)], "somebody has to"
    assert ring.public()["succession"] == []


def test_endorsements_are_told_oldest_first() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    keys = [OwnKey(jwk=mint_private_key(), use_from=now, endorsement=name) for name in ("third", "second")]
    ring = a_ring(*keys, OwnKey(jwk=mint_private_key()), now=now)
    assert ring.public()["succession"] == ["second", "third"]


def test_as_many_endorsements_are_published_as_peers_follow_and_the_last() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    newest_first = [OwnKey(jwk=A.private, use_from=now, endorsement=str(n)) for n in range(502, 0, -1)]
    ring = a_ring(*newest_first, OwnKey(jwk=B.private), now=now)
    assert ring.public()["succession"] == [str(n) for n in range(3, 503)]


def test_the_key_of_a_moment_is_the_one_that_signed_then_unless_it_was_replaced() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    first = OwnKey(jwk=A.private)
    second = OwnKey(jwk=B.private, use_from=now, endorsement="x")
    third = OwnKey(jwk=C.private, use_from=now + timedelta(hours=2))  # nothing endorses it
    ring = a_ring(second, first, now=now)
    assert ring.kid_at(now - timedelta(seconds=1)) == A.kid
    assert ring.kid_at(now) == B.kid
    retired = msgspec.structs.replace(first, retired=True)
    assert a_ring(second, retired, now=now).kid_at(now - timedelta(seconds=1)) == A.kid
    replaced = a_ring(third, second, retired, now=now)
    assert {replaced.kid_at(now + timedelta(hours=n)) for n in (-1, 1, 3)} == {C.kid}


def test_what_is_signed_says_what_it_is_and_by_whom() -> None:
    ring, other = Keyring.of(mint_private_key()), mint_private_key()
    token = ring.endorse(other, "arnia")
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    assert header == {
        "alg": "ES256", "typ": "federation-key+jwt", "kid": ring.kid, "jwk": ring.public_jwk(ring.kid)
    }  # fmt: skip
    said = verify_jwt(token, ring.public(), frozenset({"federation-key+jwt"}))
    assert said["iss"] == "arnia"
    assert said["jwk"] == {name: other[name] for name in ("kty", "crv", "x", "y")}
    assert "d" not in header["jwk"]


def test_an_assertion_has_192_random_bits() -> None:
    ring = Keyring.of(mint_private_key())
    said = verify_jwt(ring.assertion("arnia", "x"), ring.public(), frozenset({"client-authentication+jwt"}))
    assert len(base64.urlsafe_b64decode(said["jti"])) == 24
