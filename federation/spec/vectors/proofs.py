"""Proofs of DPoP, for requests with and without a token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from federation.node.keys import DPOP, LEEWAY, PROOF_SECONDS, token_hash
from federation.spec.vectors.samples import ARNIA, SIGNED_AT
from federation.spec.vectors.signing import PROCESS, STRANGER, WARNING, altered, claims_of, unsigned

TOKEN = "test-vector.an.access-token"  # noqa: S105 - a token of nobody
URL = f"{ARNIA}/v1/feeds/arnia/federation/changes"
ENDPOINT = f"{ARNIA}/oauth2/token"


def proof_file() -> dict[str, Any]:
    """Proofs, and the verdict of the node at a time: ``accepted``, ``refused``.

    ``url`` is the base URL and path of the request; ``token`` is the access token that comes with it, which
    is bound to ``jkt``. Each case stands for itself; in ``sequences`` the proofs come one after the other.
    """
    return {
        "warning": WARNING,
        "private_key": PROCESS.private,
        "jkt": PROCESS.kid,
        "cases": [*_requests(), *_times(), *_headers(), *_tokens()],
        "sequences": list(_sequences()),
    }


def _proof(header: dict[str, Any] | None = None, /, **changes: Any) -> str:
    claims = {"htm": "GET", "htu": URL, "iat": SIGNED_AT, "jti": "proof-0123456789", "ath": token_hash(TOKEN)}
    said = {name: value for name, value in {**claims, **changes}.items() if value is not ...}
    head = {"alg": "ES256", "typ": DPOP, "jwk": PROCESS.bare, **(header or {})}
    return PROCESS.jws({name: value for name, value in head.items() if value is not ...}, said)


def _case(
    name: str,
    verdict: str,
    *headers: str,
    method: str = "GET",
    url: str = URL,
    token: str | None = TOKEN,
    now: int = SIGNED_AT,
) -> dict[str, Any]:
    return {
        "name": name,
        "headers": list(headers),
        "claims": [claims_of(header) for header in headers if header.count(".") == 2],
        "method": method,
        "url": url,
        **({} if token is None else {"token": token}),
        "now": now,
        "verdict": verdict,
    }


def _requests() -> Iterator[dict[str, Any]]:
    yield _case("as it was signed", "accepted", _proof())
    yield _case(
        "of a request for a token",
        "accepted",
        _proof(htm="POST", htu=ENDPOINT, ath=...),
        method="POST",
        url=ENDPOINT,
        token=None,
    )
    yield _case("for another method", "refused", _proof(htm="POST"))
    yield _case("for the method in small letters", "refused", _proof(htm="get"))
    yield _case("for another path", "refused", _proof(htu=f"{ARNIA}/v1/feeds"))
    yield _case("for another node", "refused", _proof(htu=URL.replace("arnia", "recia", 1)))
    yield _case("for a path with a slash more", "refused", _proof(htu=f"{URL}/"))
    yield _case("for http", "refused", _proof(htu=URL.replace("https", "http", 1)))
    yield _case("with a query, which is ignored", "accepted", _proof(htu=f"{URL}?after=1"))
    yield _case("with a fragment, which is ignored", "accepted", _proof(htu=f"{URL}#x"))
    yield _case("with percent-encodings", "accepted", _proof(htu=URL.replace("changes", "%63hanges")))
    for claim in ("htm", "htu", "iat", "jti"):
        yield _case(f"without {claim}", "refused", _proof(**{claim: ...}))
    for name, jti, verdict in (
        ("of 8 characters", "j" * 8, "accepted"),
        ("of 7 characters", "j" * 7, "refused"),
        ("of 255 characters", "j" * 255, "accepted"),
        ("of 256 characters", "j" * 256, "refused"),
    ):
        yield _case(f"with a jti {name}", verdict, _proof(jti=jti))
    yield _case("with a nonce, which is ignored", "accepted", _proof(nonce="x"))
    yield _case("with a claim that the node does not know", "accepted", _proof(later=1))


def _times() -> Iterator[dict[str, Any]]:
    yield _case("in its last second", "accepted", _proof(), now=SIGNED_AT + PROOF_SECONDS)
    yield _case("that is too old", "refused", _proof(), now=SIGNED_AT + PROOF_SECONDS + 1)
    yield _case("by a clock that is 30 s behind", "accepted", _proof(), now=SIGNED_AT - LEEWAY)
    yield _case("of the future", "refused", _proof(), now=SIGNED_AT - LEEWAY - 1)
    yield _case("with a time that is a text", "refused", _proof(iat=str(SIGNED_AT)))


def _headers() -> Iterator[dict[str, Any]]:
    good = _proof()
    claims = claims_of(good)
    yield _case("that is missing", "refused")
    yield _case("that is there twice", "refused", good, _proof(jti="proof-9876543210"))
    yield _case("of another type", "refused", _proof({"typ": "JWT"}))
    yield _case("without a type", "refused", _proof({"typ": ...}))
    yield _case("of another algorithm", "refused", _proof({"alg": "ES384"}))
    yield _case("that is not signed", "refused", unsigned(claims, DPOP, jwk=PROCESS.bare))
    yield _case("without its key", "refused", _proof({"jwk": ...}))
    yield _case("with the private part of its key", "refused", _proof({"jwk": PROCESS.private}))
    yield _case("with a key that did not sign it", "refused", _proof({"jwk": STRANGER.bare}))
    yield _case("with a symmetric key", "refused", _proof({"jwk": {"kty": "oct", "k": "AAAA"}}))
    yield _case("that was altered", "refused", altered(good, {**claims, "htm": "POST"}), method="POST")
    yield _case("that is no JWS", "refused", "x")


def _tokens() -> Iterator[dict[str, Any]]:
    yield _case("without the hash of the token", "refused", _proof(ath=...))
    yield _case("with the hash of another token", "refused", _proof(ath=token_hash("another")))
    yield _case("with the token itself", "refused", _proof(ath=TOKEN))
    claims = claims_of(_proof())
    bound = STRANGER.jws({"alg": "ES256", "typ": DPOP, "jwk": STRANGER.bare}, claims)
    yield _case("by a key to which the token is not bound", "refused", bound)


def _sequences() -> Iterator[dict[str, Any]]:
    first, second = _proof(), _proof(jti="proof-9876543210")
    yield {
        "name": "a proof that was used before",
        "method": "GET",
        "url": URL,
        "token": TOKEN,
        "steps": [
            {"headers": [first], "now": SIGNED_AT, "verdict": "accepted"},
            {"headers": [first], "now": SIGNED_AT + 1, "verdict": "refused"},
            {"headers": [second], "now": SIGNED_AT + 1, "verdict": "accepted"},
            {"headers": [_proof(iat=SIGNED_AT + 9)], "now": SIGNED_AT + 9, "verdict": "refused"},
        ],
    }
