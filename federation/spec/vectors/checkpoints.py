"""Checkpoints, and the verdict of a reader that asked the origin itself, at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from federation.domain.checkpoint import (
    CHECKPOINT,
    CLOCKS_DIFFER,
    LIFETIME,
    MAX_EXCLUSIONS,
    RECEIPT,
    checkpoint_of,
)
from federation.domain.feed import FeedName
from federation.spec.vectors.digests import digest_state, sample_leaf
from federation.spec.vectors.samples import EPOCH, FEED, SIGNED_AT
from federation.spec.vectors.signing import (
    ORIGIN,
    OTHER,
    WARNING,
    altered,
    claims_of,
    sha256,
    unsigned,
)

FEDERATION = FeedName(FEED.origin, "federation")
EXPIRES = SIGNED_AT + LIFETIME


def checkpoint_file() -> dict[str, Any]:
    """Checkpoints of the origin ``arnia``. Verdicts: ``valid``, ``expired``, ``refused``."""
    return {
        "warning": WARNING,
        "private_key": ORIGIN.private,
        "jwks": {"keys": [ORIGIN.public]},
        "not_the_origins_private_key": OTHER.private,
        "cases": [*_times(), *_feeds(), *_exclusions(), *_forms(), *_signatures()],
    }


def _claims(**changes: Any) -> dict[str, Any]:
    state = digest_state(4, 0, [sample_leaf("solution", "xwiki", 3, 4)])
    return {**checkpoint_of(FEED, EPOCH, state, SIGNED_AT).claims, **changes}


def _signed(**changes: Any) -> str:
    return ORIGIN.sign(_claims(**changes), CHECKPOINT)


def _times() -> Iterator[dict[str, Any]]:
    good = _signed()
    yield _case("as it was signed", good, "valid")
    yield _case("in its last second", good, "valid", now=EXPIRES - 1)
    yield _case("when it has expired", good, "expired", now=EXPIRES)
    yield _case("by a clock that is five minutes behind", good, "valid", now=SIGNED_AT - CLOCKS_DIFFER)
    yield _case("of the future", good, "refused", now=SIGNED_AT - CLOCKS_DIFFER - 1)
    yield _case("that holds for longer than an hour", _signed(exp=EXPIRES + 1), "refused")
    yield _case("that ends before it begins", _signed(exp=SIGNED_AT - 1), "refused")
    yield _case("that ends when it begins", _signed(exp=SIGNED_AT), "expired")


def _feeds() -> Iterator[dict[str, Any]]:
    good = _signed()
    yield _case("of another feed", good, "refused", feed=FEDERATION)
    yield _case("of another origin", good, "refused", feed=FeedName("megalis", "public"))
    yield _case("of a feed of another origin by its claims", _signed(feed="megalis/public"), "refused")
    yield _case("by another operator by its claims", _signed(iss="megalis"), "refused")


def _exclusions() -> Iterator[dict[str, Any]]:
    def of_federation(name: str, verdict: str, /, **changes: Any) -> dict[str, Any]:
        return _case(name, _signed(feed=str(FEDERATION), **changes), verdict, feed=FEDERATION)

    yield of_federation("that excludes two operators", "valid", **{"except": ["megalis", "recia"]})
    yield of_federation("of that feed that excludes nobody", "valid")
    most = [f"operator-{n:02}" for n in range(MAX_EXCLUSIONS + 1)]
    yield of_federation("that excludes as many as it may", "valid", **{"except": most[:-1]})
    yield of_federation("that excludes too many", "refused", **{"except": most})
    yield of_federation("that excludes what is no operator", "refused", **{"except": ["No operator's id"]})


def _forms() -> Iterator[dict[str, Any]]:
    yield _case("with a claim that the reader does not know", _signed(later=1), "valid")
    claims = _claims()
    for claim in sorted(claims):
        short = {name: value for name, value in claims.items() if name != claim}
        yield _case(f"without the claim {claim}", ORIGIN.sign(short, CHECKPOINT), "refused")
    for claim, value in (
        ("epoch", "00F1E2D3C4B5A697"),
        ("epoch", "1"),
        ("root", "00"),
        ("seq", -1),
        ("seq", "4"),
        ("count", 2**53),
        ("iat", str(SIGNED_AT)),
    ):
        yield _case(f"with {claim} {value!r}", _signed(**{claim: value}), "refused")


def _signatures() -> Iterator[dict[str, Any]]:
    claims, good = _claims(), _signed()
    yield _case("signed with a key that is not the origin's", OTHER.sign(claims, CHECKPOINT), "refused")
    named = OTHER.sign(claims, CHECKPOINT, kid=ORIGIN.kid)
    yield _case("signed with another key in the name of the origin's", named, "refused")
    yield _case("with an altered root", altered(good, {**claims, "root": sha256(b"another root")}), "refused")
    yield _case("of another type", ORIGIN.sign(claims, RECEIPT), "refused")
    yield _case("with a type in capital letters", ORIGIN.sign(claims, CHECKPOINT.upper()), "valid")
    yield _case(
        "with a critical header that nobody knows",
        ORIGIN.sign(claims, CHECKPOINT, crit=["later"], later=1),
        "refused",
    )
    yield _case("not signed at all", unsigned(claims, CHECKPOINT), "refused")
    yield _case("without its signature", good.rpartition(".")[0] + ".", "refused")
    yield _case("in two parts", good.rpartition(".")[0], "refused")


def _case(
    name: str, jws: str, verdict: str, *, now: int = SIGNED_AT, feed: FeedName = FEED
) -> dict[str, Any]:
    return {
        "name": name,
        "feed": str(feed),
        "jws": jws,
        "claims": claims_of(jws),
        "now": now,
        "verdict": verdict,
    }
