"""Key sets with successions, and the keys that a reader trusts of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from federation.node.keys import ENDORSEMENT, MAX_ENDORSEMENTS
from federation.spec.vectors.samples import SIGNED_AT
from federation.spec.vectors.signing import (
    ORIGIN,
    SECOND,
    STRANGER,
    THIRD,
    WARNING,
    PublishedKey,
    altered,
    b64,
)

YEARS = 5 * 365 * 86_400


def succession_file() -> dict[str, Any]:
    """Key sets of the operator ``arnia``. Verdicts: ``trusted``, with the thumbprints; ``refused``."""
    return {
        "warning": WARNING,
        "private_keys": {
            "first": ORIGIN.private,
            "second": SECOND.private,
            "third": THIRD.private,
            "stranger": STRANGER.private,
        },
        "operator": "arnia",
        "cases": [*_chains(), *_endorsements(), *_sets()],
    }


def endorsement(
    by: PublishedKey, new: PublishedKey, *, header: dict[str, Any] | None = None, **claims: Any
) -> str:
    """An endorsement of a key by another; ``claims`` adds some, or takes the place of some."""
    said = {"iss": "arnia", "iat": SIGNED_AT, "jwk": new.bare, **claims}
    head = {"alg": "ES256", "kid": by.kid, "typ": ENDORSEMENT, "jwk": by.public, **(header or {})}
    return by.jws(head, said)


def _chains() -> Iterator[dict[str, Any]]:
    first, second = endorsement(ORIGIN, SECOND), endorsement(SECOND, THIRD)
    yield _case("one key, and no succession", [ORIGIN], None, [ORIGIN])
    yield _case("one key, and an empty succession", [ORIGIN], [], [ORIGIN])
    yield _case(
        "a chain of two, from its beginning",
        [THIRD, SECOND, ORIGIN],
        [first, second],
        [THIRD, SECOND, ORIGIN],
    )
    yield _case(
        "the same chain, for a reader that knows the second key",
        [THIRD, SECOND, ORIGIN],
        [first, second],
        [THIRD, SECOND],
        known=[SECOND],
    )
    yield _case("former keys are not published any more", [THIRD], [first, second], [THIRD])
    yield _case("the next key is published, and not endorsed", [SECOND, ORIGIN], [], [ORIGIN])
    yield _case("a gap: the endorsement of the second key is missing", [THIRD], [second], None)
    yield _case("a gap, and the known key is published", [THIRD, ORIGIN], [second], [ORIGIN])
    yield _case("endorsements in the wrong order", [THIRD, SECOND], [second, first], [SECOND])
    yield _case("a loop", [SECOND, ORIGIN], [first, endorsement(SECOND, ORIGIN)], [SECOND, ORIGIN])
    yield _case("a key that endorses itself", [ORIGIN], [endorsement(ORIGIN, ORIGIN)], [ORIGIN])
    yield _case(
        "two keys that one key endorsed",
        [THIRD, SECOND],
        [first, endorsement(ORIGIN, THIRD)],
        [THIRD, SECOND],
    )
    yield _case(
        "the same endorsement 500 times", [SECOND], [{"repeat": first, "times": MAX_ENDORSEMENTS}], [SECOND]
    )
    yield _case(
        "the same endorsement 501 times", [SECOND], [{"repeat": first, "times": MAX_ENDORSEMENTS + 1}], None
    )


def _endorsements() -> Iterator[dict[str, Any]]:
    good = endorsement(ORIGIN, SECOND)

    def case(name: str, said: Any, trusted: list[PublishedKey] | None) -> dict[str, Any]:
        return _case(name, [SECOND, ORIGIN], [said], trusted)

    both, known = [SECOND, ORIGIN], [ORIGIN]
    yield case("signed five years ago", endorsement(ORIGIN, SECOND, iat=SIGNED_AT - YEARS), both)
    yield case("with an end that has passed, which is ignored", endorsement(ORIGIN, SECOND, exp=1), both)
    yield case("with a claim that the reader does not know", endorsement(ORIGIN, SECOND, later=1), both)
    yield case("by a stranger", endorsement(STRANGER, SECOND), known)
    yield case("of another operator", endorsement(ORIGIN, SECOND, iss="megalis"), known)
    yield case("by a stranger, who shows the known key", _forged(), None)
    yield case(
        "with another key in it than was signed",
        altered(good, {"iss": "arnia", "iat": SIGNED_AT, "jwk": STRANGER.bare}),
        None,
    )
    yield case("of another type", endorsement(ORIGIN, SECOND, header={"typ": "jwt"}), None)
    yield case(
        "with a kid that is not the thumbprint", endorsement(ORIGIN, SECOND, header={"kid": "first"}), None
    )
    renamed = {"kid": "first", "jwk": {**ORIGIN.public, "kid": "first"}}
    yield case("with a kid that only the key itself says", endorsement(ORIGIN, SECOND, header=renamed), None)
    yield case(
        "without the key that signed", ORIGIN.sign({"iss": "arnia", "jwk": SECOND.bare}, ENDORSEMENT), None
    )
    yield case("of what is no key", endorsement(ORIGIN, SECOND, jwk={"kty": "EC"}), None)
    yield case(
        "of a key on another curve", endorsement(ORIGIN, SECOND, jwk={**SECOND.bare, "crv": "P-384"}), None
    )
    unreadable: tuple[Any, ...] = ("", "x", "a.b.c", b64(b"{}") + ".x.y", 5, None, {})
    for garbage in unreadable:
        yield case(f"that is {garbage!r}", garbage, None)


def _forged() -> str:
    header = {"alg": "ES256", "typ": ENDORSEMENT, "kid": ORIGIN.kid, "jwk": ORIGIN.public}
    return STRANGER.jws(header, {"iss": "arnia", "iat": SIGNED_AT, "jwk": STRANGER.bare})


def _sets() -> Iterator[dict[str, Any]]:
    def case(name: str, jwks: Any, trusted: list[PublishedKey] | None) -> dict[str, Any]:
        return _verdict(name, [ORIGIN], jwks, trusted)

    good = [ORIGIN.public]
    yield case("a succession that is null", {"keys": good, "succession": None}, None)
    yield case("a succession that is a text", {"keys": good, "succession": endorsement(ORIGIN, SECOND)}, None)
    yield case("a set without keys", {"keys": []}, None)
    yield case("a set that has no member keys", {}, None)
    yield case("keys that are no array", {"keys": ORIGIN.public}, None)
    yield case("a stranger's key alone", {"keys": [STRANGER.public]}, None)
    yield case(
        "a stranger's key under the name of the known one",
        {"keys": [{**STRANGER.public, "kid": ORIGIN.kid}]},
        None,
    )
    yield case("the known key under another name", {"keys": [{**ORIGIN.public, "kid": "x"}]}, [ORIGIN])
    yield case("the known key without a name", {"keys": [ORIGIN.bare]}, [ORIGIN])
    other = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    yield case("beside keys that the reader cannot read", {"keys": [other, {}, 5, None, *good]}, [ORIGIN])


def _case(
    name: str,
    published: list[PublishedKey],
    succession: list[Any] | None,
    trusted: list[PublishedKey] | None,
    *,
    known: list[PublishedKey] | None = None,
) -> dict[str, Any]:
    jwks: dict[str, Any] = {"keys": [key.public for key in published]}
    if succession is not None:
        jwks["succession"] = succession
    return _verdict(name, known or [ORIGIN], jwks, trusted)


def _verdict(
    name: str, known: list[PublishedKey], jwks: Any, trusted: list[PublishedKey] | None
) -> dict[str, Any]:
    case: dict[str, Any] = {"name": name, "known": [key.kid for key in known], "jwks": jwks}
    if trusted is None:
        return {**case, "verdict": "refused"}
    return {**case, "verdict": "trusted", "trusted": [key.kid for key in trusted]}
