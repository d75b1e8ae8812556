"""Receipts of a peer, and the verdict of the origin at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from federation.domain.checkpoint import CHECKPOINT, CLOCKS_DIFFER, RECEIPT
from federation.spec.vectors.samples import EPOCH, FEED, SIGNED_AT
from federation.spec.vectors.signing import ORIGIN, OTHER, STRANGER, WARNING, altered, claims_of, unsigned

WITHDRAWN: dict[str, Any] = {
    "iss": "megalis", "aud": FEED.origin, "feed": str(FEED), "epoch": EPOCH, "seq": 10, "iat": SIGNED_AT,
    "purged": False,
}  # fmt: skip
PURGED: dict[str, Any] = {**WITHDRAWN, "feed": "arnia/security", "seq": 31, "purged": True}


def receipt_file() -> dict[str, Any]:
    """Receipts of the peer ``megalis`` for the origin ``arnia``."""
    return {
        "warning": WARNING,
        "private_key": OTHER.private,
        "jwks": {"keys": [OTHER.public]},
        "peer": "megalis",
        "origin": FEED.origin,
        "cases": list(_cases()),
    }


def _cases() -> Iterator[dict[str, Any]]:
    good = OTHER.sign(WITHDRAWN, RECEIPT)
    yield _case("everything withdrawn up to number 10 is dropped", good, "accepted")
    purged = OTHER.sign(PURGED, RECEIPT)
    yield _case("all of a feed is dropped, which may not be read any more", purged, "accepted")
    short = {name: value for name, value in WITHDRAWN.items() if name != "purged"}
    yield _case("without the claim purged", OTHER.sign(short, RECEIPT), "accepted")
    yield _case("with a claim that the origin does not know", _signed(later=1), "accepted")
    yield _case("five minutes old", good, "accepted", now=SIGNED_AT + CLOCKS_DIFFER)
    yield _case("by a clock that is five minutes behind", good, "accepted", now=SIGNED_AT - CLOCKS_DIFFER)
    yield _case("older than five minutes", good, "refused", now=SIGNED_AT + CLOCKS_DIFFER + 1)
    yield _case("of the future", good, "refused", now=SIGNED_AT - CLOCKS_DIFFER - 1)
    yield _case("of another peer", _signed(iss="recia"), "refused")
    yield _case("for another origin", _signed(aud="recia"), "refused")
    yield _case("of a feed of another origin", _signed(feed="recia/public"), "refused")
    yield _case("with a number below 0", _signed(seq=-1), "refused")
    yield _case("with an epoch that is none", _signed(epoch="1"), "refused")
    yield _case("without its number", OTHER.sign(_without("seq"), RECEIPT), "refused")
    yield _case("of another type", OTHER.sign(WITHDRAWN, CHECKPOINT), "refused")
    yield _case("signed with a key that is not the peer's", STRANGER.sign(WITHDRAWN, RECEIPT), "refused")
    named = STRANGER.sign(WITHDRAWN, RECEIPT, kid=OTHER.kid)
    yield _case("signed with another key in the name of the peer's", named, "refused")
    yield _case("signed with the origin's key", ORIGIN.sign(WITHDRAWN, RECEIPT), "refused")
    yield _case("with an altered number", altered(good, {**WITHDRAWN, "seq": 11}), "refused")
    yield _case("not signed at all", unsigned(WITHDRAWN, RECEIPT, kid=OTHER.kid), "refused")


def _signed(**changes: Any) -> str:
    return OTHER.sign({**WITHDRAWN, **changes}, RECEIPT)


def _without(claim: str) -> dict[str, Any]:
    return {name: value for name, value in WITHDRAWN.items() if name != claim}


def _case(name: str, jws: str, verdict: str, *, now: int = SIGNED_AT) -> dict[str, Any]:
    return {"name": name, "jws": jws, "claims": claims_of(jws), "now": now, "verdict": verdict}
