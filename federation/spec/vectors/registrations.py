"""Registrations of ``megalis`` at ``arnia``, and the welcomes that answer them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from federation.domain.invitation import PROOF_SECONDS, fingerprint
from federation.domain.peer import MAX_CLOCK_DIFFERENCE_SECONDS
from federation.node.invitations import REGISTRATION, WELCOME
from federation.spec.vectors.samples import ARNIA, MEGALIS, SECRET, SIGNED_AT
from federation.spec.vectors.signing import (
    ORIGIN,
    OTHER,
    SECOND,
    STRANGER,
    WARNING,
    altered,
    claims_of,
    unsigned,
)

HIDDEN = fingerprint(SECRET).hex()
OLDEST_END = SIGNED_AT - MAX_CLOCK_DIFFERENCE_SECONDS
NEWEST_END = SIGNED_AT + PROOF_SECONDS + MAX_CLOCK_DIFFERENCE_SECONDS


def registration_part() -> dict[str, Any]:
    """Bodies of ``POST /v1/join``, and the answers. Each case stands for itself: the invitation is unused."""
    return {
        "warning": WARNING,
        "private_key": OTHER.private,
        "inviter": {"operator": "arnia", "url": ARNIA},
        "secret": SECRET,
        "now": SIGNED_AT,
        "cases": [*_times(), *_proofs(), *_bodies()],
    }


def statement(typ: str = REGISTRATION, /, **changes: Any) -> str:
    """The proof in a registration."""
    claims = {
        "iss": "megalis",
        "aud": ARNIA,
        "url": MEGALIS,
        "invitation": HIDDEN,
        "iat": SIGNED_AT,
        "exp": SIGNED_AT + PROOF_SECONDS,
    }
    return OTHER.sign({name: value for name, value in {**claims, **changes}.items() if value is not ...}, typ)


def registration_body(proof: str, /, **changes: Any) -> dict[str, Any]:
    """The body of a registration."""
    body = {
        "operator": "megalis",
        "client_name": "M\u00e9galis Bretagne",
        "client_uri": MEGALIS,
        "jwks": {"keys": [OTHER.public]},
        "software_statement": proof,
        "token_endpoint_auth_method": "private_key_jwt",
        "grant_types": ["client_credentials"],
    }
    return {name: value for name, value in {**body, **changes}.items() if value is not ...}


def _registration(name: str, status: int, proof: str | None = None, /, **changes: Any) -> dict[str, Any]:
    sent = statement() if proof is None else proof
    case = {"name": name, "body": registration_body(sent, **changes), "status": status}
    return case if status == 201 else {**case, "code": {400: "invalid", 401: "unauthenticated"}[status]}


def _times() -> Iterator[dict[str, Any]]:
    yield _registration("as it was sent", 201)
    yield _registration("a proof in its last second", 201, statement(exp=OLDEST_END + 1))
    yield _registration("a proof that has expired", 401, statement(exp=OLDEST_END))
    yield _registration("a proof that holds as long as it may", 201, statement(exp=NEWEST_END))
    yield _registration("a proof that holds for too long", 401, statement(exp=NEWEST_END + 1))
    yield _registration("a proof without an end", 401, statement(exp=...))
    yield _registration("a proof that ends at a fraction of a second", 401, statement(exp=SIGNED_AT + 60.5))


def _proofs() -> Iterator[dict[str, Any]]:
    yield _registration("a proof with a claim that the inviter does not know", 201, statement(later=1))
    for claim, wrong in (
        ("iss", "recia"),
        ("aud", MEGALIS),
        ("url", ARNIA),
        ("invitation", fingerprint("x").hex()),
    ):
        yield _registration(f"a proof with another {claim}", 401, statement(**{claim: wrong}))
        yield _registration(f"a proof without {claim}", 401, statement(**{claim: ...}))
    yield _registration("a proof with the secret itself", 401, statement(invitation=SECRET))
    yield _registration("a proof of another type", 401, statement(WELCOME))
    claims = claims_of(statement())
    named = STRANGER.sign(claims, REGISTRATION, kid=OTHER.kid)
    yield _registration("a proof by another key in the name of the newcomer's", 401, named)
    yield _registration("a proof by a key that is not sent", 401, STRANGER.sign(claims, REGISTRATION))
    yield _registration("a proof that was altered", 401, altered(statement(), {**claims, "later": 1}))
    yield _registration("a proof that is not signed", 401, unsigned(claims, REGISTRATION, kid=OTHER.kid))
    renamed = {"keys": [{**STRANGER.public, "kid": OTHER.kid}]}
    yield _registration("another key under the name of the one that signed", 401, named, jwks=renamed)
    two = {"keys": [SECOND.public, OTHER.public]}
    yield _registration("the key that signs and the next one", 201, jwks=two)
    yield _registration("no keys", 401, jwks={"keys": []})


def _bodies() -> Iterator[dict[str, Any]]:
    yield _registration("members that may be absent", 201, token_endpoint_auth_method=..., grant_types=...)
    yield _registration("a member that the inviter does not know", 400, later=1)
    yield _registration("a name with a control character", 400, client_name="M\x07")
    yield _registration("a name without characters", 400, client_name="")
    yield _registration("a name of 201 characters", 400, client_name="x" * 201)
    yield _registration("no operator's id", 400, statement(iss="Megalis"), operator="Megalis")
    by_secret = {"token_endpoint_auth_method": "client_secret_basic"}
    yield _registration("another way to authenticate", 400, **by_secret)
    for member in ("operator", "client_name", "client_uri", "jwks", "software_statement"):
        yield _registration(f"without {member}", 400, **{member: ...})
    plain = "http://federation.megalis.example.org"
    yield _registration("a base URL that is not https", 400, statement(url=plain), client_uri=plain)
    query = f"{MEGALIS}?x"
    yield _registration("a base URL with a query", 400, statement(url=query), client_uri=query)


def welcome_part() -> dict[str, Any]:
    """Welcomes of ``arnia``, as ``megalis`` judges them. Verdicts: ``accepted``, ``refused``."""
    return {
        "warning": WARNING,
        "private_key": ORIGIN.private,
        "inviter": {"operator": "arnia", "jwks": {"keys": [ORIGIN.public]}},
        "newcomer": {"url": MEGALIS, "thumbprint": OTHER.kid},
        "secret": SECRET,
        "now": SIGNED_AT,
        "cases": list(_welcomes()),
    }


def _welcome(typ: str = WELCOME, /, **changes: Any) -> str:
    claims = {
        "iss": "arnia",
        "aud": MEGALIS,
        "newcomer": OTHER.kid,
        "invitation": HIDDEN,
        "iat": SIGNED_AT,
        "exp": SIGNED_AT + PROOF_SECONDS,
    }
    return ORIGIN.sign(
        {name: value for name, value in {**claims, **changes}.items() if value is not ...}, typ
    )


def _welcomes() -> Iterator[dict[str, Any]]:
    def case(name: str, verdict: str, proof: str) -> dict[str, Any]:
        return {"name": name, "proof": proof, "claims": claims_of(proof), "verdict": verdict}

    yield case("as it was signed", "accepted", _welcome())
    yield case("in its last second", "accepted", _welcome(exp=OLDEST_END + 1))
    yield case("that has expired", "refused", _welcome(exp=OLDEST_END))
    yield case("that holds as long as it may", "accepted", _welcome(exp=NEWEST_END))
    yield case("that holds for too long", "refused", _welcome(exp=NEWEST_END + 1))
    yield case("with a claim that the newcomer does not know", "accepted", _welcome(later=1))
    for claim, wrong in (
        ("iss", "recia"),
        ("aud", ARNIA),
        ("newcomer", STRANGER.kid),
        ("invitation", fingerprint("x").hex()),
    ):
        yield case(f"with another {claim}", "refused", _welcome(**{claim: wrong}))
    for claim in ("iss", "aud", "newcomer", "invitation", "exp"):
        yield case(f"without {claim}", "refused", _welcome(**{claim: ...}))
    claims = claims_of(_welcome())
    yield case("of another type", "refused", _welcome(REGISTRATION))
    yield case("by a stranger's key", "refused", STRANGER.sign(claims, WELCOME))
    yield case(
        "by another key in the name of the inviter's",
        "refused",
        STRANGER.sign(claims, WELCOME, kid=ORIGIN.kid),
    )
    yield case("that was altered", "refused", altered(_welcome(), {**claims, "aud": ARNIA}))
    yield case("that is not signed", "refused", unsigned(claims, WELCOME, kid=ORIGIN.kid))
