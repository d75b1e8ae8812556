"""Answers of other nodes to a reader, and what the reader does.

- ``drop-the-feed``: drop the copy of the feed, and what was derived from it; go on with other feeds.
- ``compare-and-repair``: the cursor is of no use; the copy stays until the repair changes it.
- ``stop-with-an-alarm``: store nothing more of this feed; tell the administrator.
- ``wait``: keep all copies, ask nobody else, ask again later.
- ``new-token``: the same, and forget the token first; one attempt with a new token may follow at once.
- ``wait-or-ask-relays``: an outage; keep all copies, ask again later, and relays meanwhile.
- ``nothing``: of a relay: keep all copies; the relay has nothing for us.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from federation.spec.vectors.samples import ARNIA, EPOCH

CHANGES = f"/v1/feeds/arnia/federation/changes?after={EPOCH}.4711"
TOKEN = "/oauth2/token"  # noqa: S105 - a path
PROBLEM = "application/problem+json"


def exchanges() -> Iterator[dict[str, Any]]:
    """Requests of a reader of the feed ``arnia/federation``, the answers, and what the reader does."""
    yield from _cursors()
    yield from _refusals()
    yield from _outages()
    yield from _bodies()


def _exchange(
    name: str,
    status: int,
    body: str,
    does: str,
    *,
    sender: str = "origin",
    path: str = CHANGES,
    media_type: str = PROBLEM,
    **headers: str,
) -> dict[str, Any]:
    named = {"content-type": media_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
    waits = {"at_least_seconds": int(headers["retry_after"])} if "retry_after" in headers else {}
    return {
        "name": name,
        "from": sender,
        "request": {"method": "POST" if path == TOKEN else "GET", "path": path},
        "answer": {"status": status, "headers": named, "body": body},
        "does": does,
        **waits,
    }


def _problem(code: str, status: int) -> str:
    return json.dumps(
        {
            "type": f"urn:federation:problem:{code}",
            "code": code,
            "title": "A title for people",
            "status": status,
            "detail": "a detail for people",
        }
    )


def _cursors() -> Iterator[dict[str, Any]]:
    for name, status, code, does in (
        ("the cursor is of another epoch", 409, "epoch-changed", "compare-and-repair"),
        ("the cursor is older than the tombstones", 410, "cursor-expired", "compare-and-repair"),
        ("the cursor is beyond the end", 400, "cursor-in-future", "stop-with-an-alarm"),
    ):
        yield _exchange(name, status, _problem(code, status), does)


def _refusals() -> Iterator[dict[str, Any]]:
    revoked = _problem("audience-revoked", 403)
    yield _exchange("the feed is not for us", 403, revoked, "drop-the-feed")
    yield _exchange("a relay says that the feed is not for us", 403, revoked, "nothing", sender="relay")
    absent = _problem("not-found", 404)
    yield _exchange("a relay has no copy of the feed", 404, absent, "nothing", sender="relay")
    yield _exchange("the origin does not know the path", 404, absent, "wait")
    yield _exchange("the token lacks the scope", 403, _problem("missing-scope", 403), "wait")
    yield _exchange("the request is not valid", 400, _problem("invalid", 400), "wait")
    challenge = f'DPoP realm="{ARNIA}", error="invalid_token", algs="ES256"'
    yield _exchange(
        "the token has ended", 401, _problem("unauthenticated", 401), "new-token", www_authenticate=challenge
    )
    for status, error in ((401, "invalid_client"), (400, "invalid_dpop_proof"), (400, "invalid_scope")):
        body = json.dumps({"error": error, "error_description": "a description for people"})
        yield _exchange(
            f"the token endpoint answers {error}",
            status,
            body,
            "wait",
            path=TOKEN,
            media_type="application/json",
        )
    limited = _problem("too-many-requests", 429)
    yield _exchange("the reader asks too often", 429, limited, "wait", retry_after="7")


def _outages() -> Iterator[dict[str, Any]]:
    busy = _problem("unavailable", 503)
    yield _exchange("the node cannot answer now", 503, busy, "wait-or-ask-relays", retry_after="2")
    yield _exchange("the node fails", 500, _problem("internal-error", 500), "wait-or-ask-relays")
    yield _exchange(
        "the token endpoint cannot answer now", 503, busy, "wait-or-ask-relays", path=TOKEN, retry_after="2"
    )


def _bodies() -> Iterator[dict[str, Any]]:
    """Bodies that a proxy wrote, or a node of another version."""
    page = "<html><title>Bad Gateway</title></html>"
    yield _exchange(
        "a proxy does not reach the node", 502, page, "wait-or-ask-relays", media_type="text/html"
    )
    yield _exchange("a proxy forbids it", 403, page, "wait", media_type="text/html")
    yield _exchange("a proxy says that there is nothing", 410, page, "wait", media_type="text/html")
    for kind in ("urn:federation:problem:audience-revoked", f"{ARNIA}/problems/audience-revoked"):
        yield _exchange(
            f"the code is in the type alone: {kind}",
            403,
            json.dumps({"type": kind, "status": 403}),
            "drop-the-feed",
        )
    odd = _problem("audience-revoked", 500)
    yield _exchange("a code that does not fit its status", 500, odd, "wait-or-ask-relays")
    lying = json.dumps({"code": "forbidden", "status": 403, "title": "x", "detail": "audience-revoked"})
    yield _exchange("a detail that reads like a code", 403, lying, "wait")
