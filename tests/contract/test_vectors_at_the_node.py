"""This node judges every test vector as the vectors say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import pytest

from federation.api.caller import Tokens
from federation.domain.checkpoint import CHECKPOINT, read_checkpoint
from federation.domain.entry import RejectedEntry, read_entry, unreadable, verify
from federation.domain.errors import (
    AudienceRevoked,
    CursorExpired,
    CursorInFuture,
    EpochChanged,
    Invalid,
    PeerDown,
    Refused,
    Unauthenticated,
    Unreachable,
)
from federation.domain.feed import Cursor, FeedName
from federation.domain.invitation import HOLDS, Invitation, code, fingerprint
from federation.domain.peer import Peer
from federation.domain.visibility import Caller
from federation.node import invitations, receipts, tokens
from federation.node.keys import Keyring, mint_private_key, trusted_keys, verify_jwt
from federation.node.node import Node
from federation.sync.peer_client import peer_source
from tests.api.http_client import NextDoor
from tests.conftest import Databases, emptied
from tests.contract.entry_rules import whole
from tests.contract.test_vectors import CHECKPOINT as CHECKPOINTS
from tests.contract.test_vectors import DOCUMENTS, JOINING, RECEIPT, VECTORS, cases
from tests.nodes import a_node, browsing
from tests.sync.peers import known_as, reply, take, tiny

ASSERTION = VECTORS["assertion"]
MEGALIS = Peer(
    operator="megalis",
    url=JOINING["welcome"]["newcomer"]["url"],
    name="Mégalis Bretagne",
    state="active",
    keys=ASSERTION["peer"]["jwks"],
    thumbprint=ASSERTION["peer"]["jwks"]["keys"][0]["kid"],
    added_at=datetime(2026, 1, 1, tzinfo=UTC),
)
Clock = Callable[[int], None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Sets the time, in seconds since 1970."""
    with monkeypatch.context() as patch:
        yield lambda now: patch.setattr("time.time", lambda: float(now))


@pytest.fixture
async def issuer(databases: Databases) -> AsyncIterator[Node]:
    """The node of ``arnia`` at the URL of the vectors, with the peer ``megalis`` and without a network."""
    async with a_node("arnia", await emptied(await databases("arnia")), url=ASSERTION["issuer"]) as node:
        async with node.store.write() as tx:
            await tx.peers.add(MEGALIS)
        async with browsing(node) as asking:
            node._outside = NextDoor(asking=asking)
            yield node


# Documents and feeds


def judge(line: bytes, feed: FeedName) -> tuple[str, str | None]:
    try:
        try:
            entry = verify(read_entry(line), feed)
        except Invalid as reason:
            entry = unreadable(line, reason)
    except Invalid:
        return "ends-the-stream", None
    if isinstance(entry, RejectedEntry):
        return "rejected", entry.reason
    not_understood = entry.record is not None and entry.record.not_understood
    return ("not-understood" if not_understood else "understood"), None


@cases(DOCUMENTS["entries"])
def test_entries(case: dict[str, Any]) -> None:
    verdict, reason = judge(whole(case["line"]).encode(), FeedName(*case["feed"].split("/", 1)))
    assert verdict == case["verdict"]
    assert reason == (case["reason"] if verdict == "rejected" else None)


async def stored_records(node: Node) -> list[dict[str, Any]]:
    async with node.store.read() as tx:
        rows = await tx.feeds._session.connection.fetch(
            "SELECT 'arnia/' || feeds.audience AS feed, type, key, revision, seq, retracted"
            " FROM records JOIN feeds ON feeds.id = records.feed WHERE records.origin = 'arnia'"
        )
    return [
        {**{n: row[n] for n in ("feed", "type", "key")}, "op": "delete" if row["retracted"] else "upsert",
         "revision": row["revision"], "seq": row["seq"]}
        for row in rows
    ]  # fmt: skip


@cases(VECTORS["moves"]["sequences"])
async def test_moves(megalis: Node, case: dict[str, Any]) -> None:
    for step in case["steps"]:
        entry = read_entry(step["line"].encode())
        result = await take(megalis, entry, name=FeedName(*step["feed"].split("/", 1)))
        assert list(result.rejected) == ([step["reason"]] if "reason" in step else [])
        assert await stored_records(megalis) == step["records"]


ACTIONS: dict[type[Refused], str] = {
    AudienceRevoked: "drop-the-feed",
    CursorExpired: "compare-and-repair",
    EpochChanged: "compare-and-repair",
    CursorInFuture: "stop-with-an-alarm",
    PeerDown: "wait-or-ask-relays",
}


@cases(VECTORS["exchanges"]["exchanges"])
async def test_exchanges(case: dict[str, Any]) -> None:
    said = case["answer"]
    headers = {n.replace("-", "_"): value for n, value in said["headers"].items() if n != "content-type"}
    answer = reply(
        said["body"].encode(), status=said["status"], media_type=said["headers"]["content-type"], **headers
    )
    asked, _, after = case["request"]["path"].partition("?after=")
    answers = {"token" if asked == "/oauth2/token" else "changes": answer}
    async with tiny(**answers) as node:
        peer, keyring = known_as("arnia", node.url), Keyring.of(mint_private_key())
        async with peer_source("megalis", peer, keyring) as source:
            with pytest.raises(Refused) as refused:
                async for _ in source.changes(
                    FeedName("arnia", "federation"), Cursor.parse(after or "0" * 16 + ".1")
                ):
                    pass
            forgotten = asked != "/oauth2/token" and source._client.token is None
    does = ACTIONS.get(type(refused.value), "new-token" if forgotten else "wait")
    # (A relay is asked for entries by number only, and what it refuses is noted in the log.)
    assert case["does"] == ("nothing" if case["from"] == "relay" else does)
    if "at_least_seconds" in case:
        assert isinstance(refused.value, Unreachable)
        assert refused.value.retry_after == case["at_least_seconds"]


# Signatures


@cases(CHECKPOINTS["cases"])
def test_checkpoints(case: dict[str, Any]) -> None:
    feed = FeedName(*case["feed"].split("/", 1))
    try:
        claims = verify_jwt(case["jws"], CHECKPOINTS["jwks"], frozenset({CHECKPOINT}))
        expires = read_checkpoint(claims, feed, float(case["now"])).exp
        verdict = "valid" if case["now"] < expires else "expired"
    except (Unauthenticated, Invalid):
        verdict = "refused"
    assert verdict == case["verdict"]


async def test_receipts(issuer: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = Caller(node="arnia", operator=RECEIPT["peer"])
    verdicts = {}
    for case in RECEIPT["cases"]:
        now = datetime.fromtimestamp(case["now"], UTC)
        monkeypatch.setattr(issuer, "clock", partial(datetime.replace, now))
        try:
            await receipts.accept_receipt(issuer, case["jws"], by=peer)
            verdicts[case["name"]] = "accepted"
        except Invalid:
            verdicts[case["name"]] = "refused"
    assert verdicts == {case["name"]: case["verdict"] for case in RECEIPT["cases"]}


@cases(VECTORS["succession"]["cases"])
def test_successions(case: dict[str, Any]) -> None:
    jwks = dict(case["jwks"])
    if "repeat" in str(jwks.get("succession")):
        jwks["succession"] = whole(jwks["succession"])
    try:
        keys = trusted_keys(case["known"], jwks, VECTORS["succession"]["operator"])
    except Unauthenticated:
        assert case["verdict"] == "refused"
    else:
        assert [key["kid"] for key in keys["keys"]] == case["trusted"]


# Joining


@cases(JOINING["invitations"])
def test_invitations(case: dict[str, Any]) -> None:
    if case["verdict"] == "read":
        assert Invitation.parse(case["text"]) == Invitation(case["url"], case["thumbprint"], case["secret"])
    else:
        with pytest.raises(Invalid):
            Invitation.parse(case["text"])


@cases(JOINING["codes"])
def test_codes(case: dict[str, Any]) -> None:
    assert code(*case["thumbprints"]) == case["code"]


async def test_registrations(databases: Databases, at: Clock) -> None:
    part = JOINING["registration"]
    headers = {"authorization": f"Bearer {part['secret']}"}
    answers = {}
    dsn = await emptied(await databases("arnia"))
    async with a_node("arnia", dsn, url=part["inviter"]["url"]) as node, browsing(node) as client:
        at(part["now"])
        for case in part["cases"]:
            async with node.store.write() as tx:
                await tx.peers._session.connection.execute("DELETE FROM invitations")
                await tx.peers._session.connection.execute("DELETE FROM peers")
                await tx.peers.invite(fingerprint(part["secret"]), "", node.clock() + HOLDS, private=False)
            answer = await client.post("/v1/join", json=case["body"], headers=headers)
            kind = (
                None
                if answer.status_code == 201
                else answer.json()["type"].replace(":", "/").rpartition("/")[2]
            )
            answers[case["name"]] = answer.status_code, kind
    assert answers == {case["name"]: (case["status"], case.get("code")) for case in part["cases"]}


@cases(JOINING["welcome"]["cases"])
def test_welcomes(case: dict[str, Any], at: Clock) -> None:
    part = JOINING["welcome"]
    inviter = msgspec.structs.replace(
        known_as(part["inviter"]["operator"], "https://federation.arnia.example.org"),
        keys=part["inviter"]["jwks"],
    )
    newcomer = {"url": part["newcomer"]["url"], "newcomer": part["newcomer"]["thumbprint"]}
    at(part["now"])
    try:
        invitations.verify_welcome(
            case["proof"], inviter, invitation=fingerprint(part["secret"]).hex(), **newcomer
        )
        verdict = "accepted"
    except Unreachable:
        verdict = "refused"
    assert verdict == case["verdict"]


# Tokens


async def test_assertions(issuer: Node, at: Clock) -> None:
    judged: dict[str, list[str]] = {}
    expected: dict[str, list[str]] = {}
    for case in [*ASSERTION["cases"], *ASSERTION["sequences"]]:
        async with issuer.store.write() as tx:
            await tx.peers._session.connection.execute("DELETE FROM assertions")
        for step in case.get("steps", [case]):
            at(step["now"])
            try:
                peer = await tokens.authenticate_peer(issuer, step["assertion"])
            except Unauthenticated:  # (the clocks differ)
                peer = None
            judged.setdefault(case["name"], []).append("refused" if peer is None else "accepted")
            expected.setdefault(case["name"], []).append(step["verdict"])
    assert judged == expected


async def test_proofs(issuer: Node, at: Clock) -> None:
    file, verifier = VECTORS["dpop"], Tokens(issuer)
    judged: dict[str, list[str]] = {}
    expected: dict[str, list[str]] = {}
    for case in [*file["cases"], *file["sequences"]]:
        async with issuer.store.write() as tx:
            await tx.peers._session.connection.execute("DELETE FROM proofs")
        for step in case.get("steps", [case]):
            at(step["now"])
            request = tuple(step["headers"]), case["method"], case["url"], case.get("token")
            try:
                bound = "token" not in case or await verifier.prove(*request) == file["jkt"]
                accepted = bound if "token" in case else bool(await verifier.prove(*request))
            except Unauthenticated:
                accepted = False
            judged.setdefault(case["name"], []).append("accepted" if accepted else "refused")
            expected.setdefault(case["name"], []).append(step["verdict"])
    assert judged == expected
