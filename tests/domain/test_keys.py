"""What a node signs with, and what it believes."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from federation.domain.errors import Unauthenticated
from federation.node.keys import Keyring, mint_private_key, thumbprint, verify_jwt

TYPES: frozenset[str | None] = frozenset({"at+jwt"})
KEY, OTHER = mint_private_key(), mint_private_key()
RING = Keyring.of(KEY)
JWKS = RING.public()
HEADER = {"alg": "ES256", "typ": "at+jwt", "kid": KEY["kid"]}
CLAIMS = {"sub": "megalis"}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=="), "big")


def part(value: Any) -> str:
    return b64(value if isinstance(value, bytes) else json.dumps(value).encode())


def signed(header: Any, claims: Any = CLAIMS, key: dict[str, Any] = KEY) -> str:
    """A token made without the library that reads it, so that it can say anything."""
    public = ec.EllipticCurvePublicNumbers(number(key["x"]), number(key["y"]), ec.SECP256R1())
    private = ec.EllipticCurvePrivateNumbers(number(key["d"]), public).private_key()
    message = f"{part(header)}.{part(claims)}"
    r, s = utils.decode_dss_signature(private.sign(message.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{message}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def does_not_hold(token: str, jwks: dict[str, Any] = JWKS, types: frozenset[str | None] = TYPES) -> bool:
    with pytest.raises(Unauthenticated) as refusal:
        verify_jwt(token, jwks, types)
    return refusal.value.detail == "the token does not hold"


# Thumbprints


def by_hand(jwk: dict[str, Any]) -> str:
    """RFC 7638, 3: the required members, sorted, without white space, hashed."""
    text = '{"crv":"%s","kty":"%s","x":"%s","y":"%s"}' % (jwk["crv"], jwk["kty"], jwk["x"], jwk["y"])  # noqa: UP031
    return b64(hashlib.sha256(text.encode()).digest())


def test_a_thumbprint_is_that_of_rfc_7638() -> None:
    for _ in range(5):
        key = mint_private_key()
        assert thumbprint(key) == by_hand(key) == key["kid"] == Keyring.of(key).kid


def test_a_thumbprint_is_of_the_key_and_not_of_what_is_said_beside_it() -> None:
    public = JWKS["keys"][0]
    for jwk in (
        {**public, "kid": "x"},
        {**public, "use": "enc"},
        KEY,
        {name: public[name] for name in ("y", "x", "kty", "crv")},
    ):
        assert thumbprint(jwk) == KEY["kid"]
    assert thumbprint(OTHER) != KEY["kid"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"kty": "RSA"}, {"kty": "oct"}, {"kty": None}, {"crv": "P-384"}, {"crv": None}, {"x": None},
            {"y": None}, {"x": "AA"},
        {"x": 1}, {"x": "é"}, {"x": ""}, {"y": KEY["x"]}, {"x": OTHER["x"]},
    ],
)  # fmt: skip
def test_what_is_no_key_on_p_256_has_no_thumbprint(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="key"):
        thumbprint({**JWKS["keys"][0], **wrong})
    with pytest.raises(ValueError, match="key"):
        thumbprint({name: value for name, value in JWKS["keys"][0].items() if name not in wrong})


# Keyrings


def test_a_key_set_tells_no_private_key() -> None:
    jwks = Keyring.of(KEY, OTHER).public()
    assert [key["kid"] for key in jwks["keys"]] == [KEY["kid"], OTHER["kid"]]
    for key in jwks["keys"]:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (key["use"], key["alg"]) == ("sig", "ES256")
    assert KEY["d"] not in json.dumps(jwks)


def test_the_newest_key_signs_and_the_older_ones_still_verify() -> None:
    ring = Keyring.of(OTHER, KEY)
    assert ring.kid == OTHER["kid"]
    old, new = RING.sign(CLAIMS, typ="at+jwt"), ring.sign(CLAIMS, typ="at+jwt")
    assert verify_jwt(old, ring.public(), TYPES) == verify_jwt(new, ring.public(), TYPES) == CLAIMS
    assert does_not_hold(new, JWKS)


def test_minted_keys_are_all_different() -> None:
    assert len({mint_private_key()["d"] for _ in range(20)}) == 20


# Tokens


def test_a_token_that_holds_gives_its_claims() -> None:
    assert verify_jwt(RING.sign({"a": [1, "é"]}, typ="at+jwt"), JWKS, TYPES) == {"a": [1, "é"]}


def test_a_token_made_by_hand_holds_as_well() -> None:
    assert verify_jwt(signed(HEADER), JWKS, TYPES) == CLAIMS


def test_a_token_says_its_algorithm_type_and_key() -> None:
    head = RING.sign(CLAIMS, typ="at+jwt").split(".")[0]
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == HEADER


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "At+Jwt"])
def test_a_type_is_compared_without_case(typ: str) -> None:
    assert verify_jwt(signed({**HEADER, "typ": typ}), JWKS, TYPES) == CLAIMS


@pytest.mark.parametrize(
    "typ",
    [
        "JWT",
        "jwt",
        "",
        "client-authentication+jwt",
        "dpop+jwt",
        "application/at+jwt",
        " at+jwt",
        None,
        1,
        ["at+jwt"],
        {},
        True,
    ],
)
def test_a_token_of_another_type_does_not_hold(typ: Any) -> None:
    assert does_not_hold(signed({**HEADER, "typ": typ}))


def test_a_token_without_a_type_does_not_hold_unless_that_is_allowed() -> None:
    bare = signed({"alg": "ES256", "kid": KEY["kid"]})
    assert does_not_hold(bare)
    assert verify_jwt(bare, JWKS, frozenset({None, "jwt"})) == CLAIMS


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
def test_a_token_that_nobody_signed_does_not_hold(alg: str) -> None:
    unsigned = f"{part({**HEADER, 'alg': alg})}.{part(CLAIMS)}"
    signature = RING.sign(CLAIMS, typ="at+jwt").split(".")[2]
    for token in (f"{unsigned}.", f"{unsigned}.{signature}", unsigned):
        assert does_not_hold(token)
    assert does_not_hold(signed({**HEADER, "alg": alg}))


def test_a_token_signed_with_the_public_key_as_a_secret_does_not_hold() -> None:
    public = JWKS["keys"][0]
    point = ec.EllipticCurvePublicNumbers(
        number(public["x"]), number(public["y"]), ec.SECP256R1()
    ).public_key()
    encodings = (
        (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint),
    )
    secrets = [point.public_bytes(*encoding) for encoding in encodings]
    secrets += [
        json.dumps(public).encode(),
        public["x"].encode(),
        base64.urlsafe_b64decode(public["x"] + "=="),
        b"",
    ]
    message = f"{part({**HEADER, 'alg': 'HS256'})}.{part(CLAIMS)}"
    for secret in secrets:
        assert does_not_hold(f"{message}.{b64(hmac.digest(secret, message.encode(), 'sha256'))}")


@pytest.mark.parametrize(
    "alg", ["HS256", "RS256", "PS256", "ES384", "ES512", "ES256K", "EdDSA", "es256", None, 1, ["ES256"], {}]
)
def test_a_token_of_another_algorithm_does_not_hold_though_the_signature_would(alg: Any) -> None:
    assert does_not_hold(signed({**HEADER, "alg": alg}))


def test_a_token_signed_with_another_key_does_not_hold() -> None:
    assert verify_jwt(signed({**HEADER, "kid": OTHER["kid"]}, key=OTHER), Keyring.of(OTHER).public(), TYPES)
    assert does_not_hold(signed({**HEADER, "kid": OTHER["kid"]}, key=OTHER))
    assert does_not_hold(signed(HEADER, key=OTHER))


def test_a_key_that_a_token_brings_along_is_not_believed() -> None:
    public = Keyring.of(OTHER).public()["keys"][0]
    for brought in (
        {"jwk": public},
        {"jwk": public, "kid": OTHER["kid"]},
        {"jku": "https://example.org/jwks"},
        {"x5u": "x"},
    ):
        assert does_not_hold(signed({**HEADER, **brought}, key=OTHER))


def test_one_letter_that_changed_breaks_a_token() -> None:
    head, claims, signature = signed(HEADER).split(".")
    assert does_not_hold(f"{head}.{part({'sub': 'arnia'})}.{signature}")
    assert does_not_hold(f"{part({**HEADER, 'x': 1})}.{claims}.{signature}")
    turned = ("B" if signature[5] == "A" else "A").join((signature[:5], signature[6:]))
    assert does_not_hold(f"{head}.{claims}.{turned}")


@pytest.mark.parametrize(
    "header",
    [
        {**HEADER, "kid": "x"}, {**HEADER, "kid": ["x"]}, {**HEADER, "kid": {}}, {**HEADER, "kid": 5},
            {**HEADER, "crit": ["x"]},
        {**HEADER, "crit": ["b64"], "b64": False}, {**HEADER, "crit": 5}, [], "x", 1, None,
        b"\xff", b"{", b"", b"[" * 100_000, b'{"alg":' + b"1" * 5_000 + b"}",
    ],
)  # fmt: skip
def test_garbage_for_a_header_does_not_hold_though_it_is_signed(header: Any) -> None:
    assert does_not_hold(signed(header))


@pytest.mark.parametrize(
    "claims",
    [
        [],
        [1],
        "x",
        5,
        None,
        True,
        b"",
        b"\xff",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"exp":' + b"1" * 5_000 + b"}",
    ],
)
def test_garbage_for_claims_does_not_hold_though_it_is_signed(claims: Any) -> None:
    assert does_not_hold(signed(HEADER, claims))


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "a.b.c.d.e",
        "é.é.é",
        "\ud800",
        "\x00",
        "A" * 100_000,
        "Bearer x",
    ],
)
def test_garbage_for_a_token_does_not_hold(token: str) -> None:
    assert does_not_hold(token)


@pytest.mark.parametrize(
    "jwks",
    [
        {},
        {"keys": []},
        {"keys": None},
        {"keys": 5},
        {"keys": "x"},
        {"keys": [1]},
        {"keys": [{}]},
        {"keys": [{"kty": "EC", "crv": "P-256", "x": 1, "y": 2}]},
    ],
)
def test_nothing_holds_against_a_key_set_without_a_key(jwks: dict[str, Any]) -> None:
    assert does_not_hold(signed(HEADER), jwks)


# Assertions


def test_an_assertion_is_short_lived_for_one_audience_and_each_time_another() -> None:
    before = int(time.time())
    first, second = (
        verify_jwt(
            RING.assertion("arnia", "https://megalis.example.org"),
            JWKS,
            frozenset({"client-authentication+jwt"}),
        )
        for _ in range(2)
    )
    assert (first["iss"], first["sub"], first["aud"]) == ("arnia", "arnia", "https://megalis.example.org")
    assert before <= first["iat"] <= int(time.time())
    assert first["exp"] - first["iat"] == 60
    assert first["jti"] != second["jti"]
    assert does_not_hold(RING.assertion("arnia", "https://megalis.example.org"))
