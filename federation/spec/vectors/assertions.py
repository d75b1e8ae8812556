"""Assertions by which ``megalis`` authenticates at the token endpoint of ``arnia``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from federation.domain.peer import MAX_CLOCK_DIFFERENCE_SECONDS
from federation.node.tokens import MAX_ASSERTION_SECONDS
from federation.spec.vectors.samples import ARNIA, MEGALIS, SIGNED_AT
from federation.spec.vectors.signing import (
    ORIGIN,
    OTHER,
    STRANGER,
    WARNING,
    altered,
    claims_of,
    unsigned,
)

CLIENT = "client-authentication+jwt"


def assertion_file() -> dict[str, Any]:
    """Assertions, and the verdict of the token endpoint at a time: ``accepted``, ``refused``.

    A refused one is answered 401 ``invalid_client``. Each case stands for itself; in ``sequences`` the
    assertions come one after the other.
    """
    return {
        "warning": WARNING,
        "private_key": OTHER.private,
        "issuer": ARNIA,
        "peer": {"operator": "megalis", "state": "active", "jwks": {"keys": [OTHER.public]}},
        "cases": [*_times(), *_claims_at_fault(), *_signatures()],
        "sequences": list(_sequences()),
    }


def _assertion(typ: str | None = CLIENT, /, **changes: Any) -> str:
    claims = {
        "iss": "megalis",
        "sub": "megalis",
        "aud": ARNIA,
        "jti": "assertion-0123456789",
        "iat": SIGNED_AT,
        "exp": SIGNED_AT + 60,
    }
    said = {name: value for name, value in {**claims, **changes}.items() if value is not ...}
    header = {"alg": "ES256", "kid": OTHER.kid} | ({} if typ is None else {"typ": typ})
    return OTHER.jws(header, said)


def _case(name: str, verdict: str, assertion: str, *, now: int = SIGNED_AT) -> dict[str, Any]:
    return {
        "name": name,
        "assertion": assertion,
        "claims": claims_of(assertion),
        "now": now,
        "verdict": verdict,
    }


def _times() -> Iterator[dict[str, Any]]:
    differ = MAX_CLOCK_DIFFERENCE_SECONDS
    longest = _assertion(exp=SIGNED_AT + MAX_ASSERTION_SECONDS)
    yield _case("as it was signed", "accepted", _assertion())
    yield _case("in its last second", "accepted", _assertion(), now=SIGNED_AT + 60 + differ - 1)
    yield _case("that has expired", "refused", _assertion(), now=SIGNED_AT + 60 + differ)
    yield _case("by a clock that is 30 s behind", "accepted", _assertion(), now=SIGNED_AT - differ)
    yield _case("of the future", "refused", _assertion(), now=SIGNED_AT - differ - 1)
    yield _case("that holds as long as it may", "accepted", longest)
    yield _case(
        "that holds as long as it may, by a clock that is 30 s behind",
        "accepted",
        longest,
        now=SIGNED_AT - differ,
    )
    yield _case("that holds for too long", "refused", _assertion(exp=SIGNED_AT + MAX_ASSERTION_SECONDS + 1))
    yield _case("without iat", "accepted", _assertion(iat=...))
    yield _case("that is not to be used yet", "refused", _assertion(nbf=SIGNED_AT + differ + 1))
    yield _case("that may just be used", "accepted", _assertion(nbf=SIGNED_AT + differ))
    yield _case("with times that are texts", "refused", _assertion(exp=str(SIGNED_AT + 60)))
    yield _case("without an end", "refused", _assertion(exp=...))


def _claims_at_fault() -> Iterator[dict[str, Any]]:
    yield _case("for an array of one audience", "accepted", _assertion(aud=[ARNIA]))
    yield _case("with a claim that the endpoint does not know", "accepted", _assertion(later=1))
    for name, audience in (
        ("another node", MEGALIS),
        ("the token endpoint", f"{ARNIA}/oauth2/token"),
        ("two audiences", [ARNIA, MEGALIS]),
        ("nobody", ...),
        ("a base URL with a slash", f"{ARNIA}/"),
    ):
        yield _case(f"for {name}", "refused", _assertion(aud=audience))
    yield _case("of an operator that is no peer", "refused", _assertion(iss="recia", sub="recia"))
    yield _case("with another subject", "refused", _assertion(sub="recia"))
    yield _case("without a subject", "refused", _assertion(sub=...))
    for name, jti, verdict in (
        ("of 8 characters", "j" * 8, "accepted"),
        ("of 7 characters", "j" * 7, "refused"),
        ("of 255 characters", "j" * 255, "accepted"),
        ("of 256 characters", "j" * 256, "refused"),
        ("that is a number", 12_345_678, "refused"),
        ("that is missing", ..., "refused"),
    ):
        yield _case(f"with a jti {name}", verdict, _assertion(jti=jti))


def _signatures() -> Iterator[dict[str, Any]]:
    claims = claims_of(_assertion())
    yield _case("with the type JWT", "accepted", _assertion("JWT"))
    yield _case("without a type", "accepted", _assertion(None))
    yield _case("of another type", "refused", _assertion("federation-registration+jwt"))
    yield _case("by a stranger's key", "refused", STRANGER.sign(claims, CLIENT))
    named = STRANGER.sign(claims, CLIENT, kid=OTHER.kid)
    yield _case("by another key in the name of the peer's", "refused", named)
    yield _case("by the key of the node itself", "refused", ORIGIN.sign(claims, CLIENT))
    yield _case("that was altered", "refused", altered(_assertion(), {**claims, "later": 1}))
    yield _case("that is not signed", "refused", unsigned(claims, CLIENT, kid=OTHER.kid))


def _sequences() -> Iterator[dict[str, Any]]:
    first, second = _assertion(), _assertion(jti="assertion-9876543210")
    yield {
        "name": "an assertion that was used before",
        "steps": [
            {"assertion": first, "now": SIGNED_AT, "verdict": "accepted"},
            {"assertion": first, "now": SIGNED_AT + 1, "verdict": "refused"},
            {"assertion": second, "now": SIGNED_AT + 1, "verdict": "accepted"},
            {"assertion": _assertion(iat=SIGNED_AT + 9), "now": SIGNED_AT + 9, "verdict": "refused"},
        ],
    }
