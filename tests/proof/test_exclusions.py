"""What an origin withholds from an operator is withheld by every member that has read its signature."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import httpx2
import msgspec
import pytest

from federation.domain.checkpoint import BUCKETS, EMPTY, MAX_EXCLUSIONS, DigestState, checkpoint_of
from federation.domain.entry import EntryPage
from federation.domain.errors import AudienceRevoked, Invalid
from federation.domain.feed import Cursor, FeedName, Head
from federation.node import checkpoints, copies, copy_views, exclusions, peer_views, peers
from federation.node.keys import Keyring, mint_private_key
from federation.node.node import Node
from federation.sync.follow import follow, follow_relay
from tests.domain.builders import a_deployment, an_incident
from tests.matrix.callers_and_records import add_peer, token_of
from tests.nodes import browsing, peer_of, publish
from tests.proof.in_process_peer import Near, acquainted, relayed_round, round_of, rows_of, sql

FEDERATION = FeedName("arnia", "federation")
CANARY = "qxcanaryz"


async def publish_green(node: Node, key: str) -> None:
    """A deployment, an incident, and a solution that it names, each with the word that is looked for."""
    await publish(
        node, "deployment", key, a_deployment(hosting={"model": "operator", "provider": CANARY}), tlp="GREEN"
    )
    await publish(node, "incident", key, an_incident(title={"fr": CANARY}), tlp="GREEN")
    await checkpoints.sign_checkpoints(node)


def keys_of(rows: set[Any]) -> set[str]:
    return {row[1] for row in rows if row[4] == "federation"}


async def claims_of(node: Node, name: FeedName = FEDERATION) -> dict[str, Any]:
    """The claims of the checkpoint that a node stores of a feed."""
    async with node.store.read() as tx:
        feed = await tx.feeds.find(name)
        digest = await tx.checkpoints.find(feed.id) if feed else None
    assert digest is not None
    assert digest.checkpoint is not None
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(digest.checkpoint.split(".")[1] + "=="))
    return claims


async def excluded_at(node: Node) -> tuple[str, ...]:
    """The operators that a member knows to be excluded by arnia."""
    _, copy = await copies.read_copy(node, FEDERATION)
    return tuple(copy.excludes)


@pytest.fixture
async def relay(arnia: Node, megalis: Node, recia: Node) -> Node:
    """Megalis, a member that relays what arnia signed to recia, which is a peer of both."""
    await publish_green(arnia, "before")
    await publish(arnia, "deployment", "clear", a_deployment(), tlp="CLEAR")
    await acquainted(arnia, megalis, recia)
    for reader in (megalis, recia):
        await round_of(reader, arnia)
    return megalis


# An honest reader, and a hostile one


@pytest.mark.parametrize("local", [False, True], ids=["excluded", "suspended at the origin alone"])
async def test_nothing_published_after_a_suspension_comes_by_a_relay(
    arnia: Node, relay: Node, recia: Node, local: bool
) -> None:
    await peers.suspend(arnia, "recia", local=local)
    await publish_green(arnia, "after")
    await publish(arnia, "deployment", "clear-after", a_deployment(), tlp="CLEAR")
    await checkpoints.sign_checkpoints(arnia)
    await round_of(relay, arnia)
    assert keys_of(await rows_of(relay, "arnia")) == {"before", "after"}
    await relayed_round(recia, arnia, relay)
    assert keys_of(await rows_of(recia, "arnia")) == ({"before", "after"} if local else {"before"})
    assert "clear-after" in {row[1] for row in await rows_of(recia, "arnia")}, "public is public"


async def test_a_relay_refuses_an_excluded_reader_whatever_it_asks(
    arnia: Node, relay: Node, recia: Node
) -> None:
    near = Near(relay, "recia")
    (head,) = [head for head in await near.heads("arnia") if head.audience == "federation"]
    await peers.suspend(arnia, "recia")
    await publish_green(arnia, "after")
    await round_of(relay, arnia)
    assert [head.audience for head in await near.heads("arnia")] == ["public"]
    for act in (near.digests, lambda feed: near.leaves(feed, 0), lambda feed: near.entries_at(feed, [1])):
        with pytest.raises(AudienceRevoked):
            await act(FEDERATION)
    with pytest.raises(AudienceRevoked):
        [page async for page in near.changes(FEDERATION, Cursor(head.epoch, head.seq))]
    # (Nobody but the origin takes copies away: what a relay answers is not signed.)
    assert keys_of(await rows_of(recia, "arnia")) == {"before"}
    await peers.resume(arnia, "recia")
    await round_of(relay, arnia)
    await relayed_round(recia, arnia, relay)
    assert keys_of(await rows_of(recia, "arnia")) == {"before", "after"}


class Readers:
    """HTTP clients of a member, each with the token of a peer."""

    def __init__(self) -> None:
        self.clients: dict[str, httpx2.AsyncClient] = {}
        self.rings: dict[str, Keyring] = {}


@pytest.fixture
async def readers(relay: Node, recia: Node) -> AsyncIterator[Readers]:
    readers = Readers()
    readers.rings = {"recia": recia.keyring, "nivernais": Keyring.of(mint_private_key())}
    await add_peer(relay, "nivernais", readers.rings["nivernais"])
    async with AsyncExitStack() as stack:
        for operator, ring in readers.rings.items():
            client = await stack.enter_async_context(browsing(relay))
            client.headers["authorization"] = await token_of(operator, ring, client, relay)
            readers.clients[operator] = client
        yield readers


ASKS = (
    "/v1/feeds?origin=arnia",
    "/v1/feeds/arnia/federation/changes",
    "/v1/feeds/arnia/federation/changes?numbers=1,2,3,4,5,6",
    "/v1/feeds/arnia/federation/digest",
    *(f"/v1/feeds/arnia/federation/digest?bucket={bucket}" for bucket in ("00", "7f", "ff")),
    "/v1/deployments?total=true",
    "/v1/deployments?origin=arnia&total=true&sort=id",
    f"/v1/deployments?q={CANARY}&total=true",
    f"/v1/incidents?q={CANARY}&total=true",
    "/v1/deployments/arnia/after",
    "/v1/incidents/arnia/after",
    "/v1/incidents/arnia/after/exposure",
    "/v1/incidents/arnia/after/exposure/bodies",
    "/v1/solutions/arnia/glpi/exposure",
    "/v1/changes",
    "/v1/peers",
)


async def test_a_hostile_reader_gets_nothing_of_it_from_a_relay_with_its_own_token(
    arnia: Node, relay: Node, readers: Readers
) -> None:
    recia, nivernais = readers.clients["recia"], readers.clients["nivernais"]
    await peers.suspend(arnia, "recia")
    await publish_green(arnia, "after")
    await round_of(relay, arnia)
    shown = 0
    for ask in ASKS:
        for headers in ({}, {"accept": "application/x-ndjson"}, {"prefer": "provenance"}):
            answer = await recia.get(ask, headers=headers)
            assert CANARY not in answer.text, ask
            assert "except" not in answer.text, ask
            assert "/federation" not in answer.text.replace(FEDERATION.__str__(), "", 1), ask
            if ask.startswith("/v1/feeds/arnia/federation"):
                assert (answer.status_code, answer.json()["code"]) == (403, "audience-revoked")
            if "/after" in ask:
                assert answer.status_code == 404
            if "provenance" in headers.values() and answer.status_code == 200:
                sources = answer.json().get("provenance", [])
                assert ("arnia", "federation") not in {(s["operator"], s["audience"]) for s in sources}
            shown += CANARY in (await nivernais.get(ask, headers=headers)).text
    assert shown > 10, "the other peer sees it"
    # The exclusion ends, and both are answered alike.
    await peers.resume(arnia, "recia")
    await round_of(relay, arnia)
    for ask in ASKS:
        answers = [await client.get(ask) for client in (recia, nivernais)]
        # (Exposure says when it was asked.)
        said = [a.status_code if "exposure" in ask else (a.status_code, a.content) for a in answers]
        assert said[0] == said[1], ask


async def test_members_learn_exclusions_and_others_do_not(arnia: Node, relay: Node, readers: Readers) -> None:
    await peers.suspend(arnia, "recia")
    await round_of(relay, arnia)
    view = await peer_views.peers(relay)
    (feed,) = [f for p in view.peers if p.operator == "arnia" for f in p.feeds if f.audience == "federation"]
    assert feed.excludes == ("recia",)
    assert (await peer_views.peers(arnia)).excluded == ("recia",)
    head = (await readers.clients["nivernais"].get("/v1/feeds?origin=arnia")).json()["feeds"][0]
    assert head["audience"] == "federation"
    assert _payload(head["checkpoint"])["except"] == ["recia"]
    for node in (arnia, relay):
        async with browsing(node) as anybody:
            for ask in (*ASKS, "/v1/feeds", "/.well-known/federation"):
                answer = await anybody.get(ask, headers={"prefer": "provenance"})
                for jws in _jws_in(answer.text):
                    assert _payload(jws)["feed"] != str(FEDERATION), ask
                    assert "except" not in _payload(jws), ask
    assert "except" not in await claims_of(arnia, FeedName("arnia", "public"))


def _payload(jws: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(jws.split(".")[1] + "=="))
    return claims


def _jws_in(text: str) -> list[str]:
    return [part for part in text.split('"') if part.startswith("eyJ") and part.count(".") == 2]


async def test_an_honest_reader_takes_nothing_more_from_a_relay_that_does_not_know_exclusions(
    arnia: Node, relay: Node, recia: Node, readers: Readers
) -> None:
    """The relay answers recia as anybody else."""
    heedless = Near(relay, "nivernais")
    before = {head.audience: head for head in await heedless.heads("arnia")}
    await peers.suspend(arnia, "recia")
    await publish_green(arnia, "after")
    await round_of(relay, arnia)
    taken = await relayed_round(recia, arnia, relay, heedless)
    assert taken.repaired == 0
    # A head of before the exclusion leads to digests of after it.
    await sql(recia, "DELETE FROM records WHERE type = 'incident'")
    async with recia.store.write() as tx:
        feed = await tx.feeds.find(FEDERATION)
        assert feed
        await tx.checkpoints.reset(feed.id)
    with pytest.raises(AudienceRevoked, match="arnia excludes this node from arnia/federation"):
        await follow_relay(recia, peer_of(arnia), peer_of(relay), before["federation"], heedless)
    assert keys_of(await rows_of(recia, "arnia")) == {"before"}
    await peers.resume(arnia, "recia")
    await round_of(relay, arnia)
    await relayed_round(recia, arnia, relay, heedless)
    assert keys_of(await rows_of(recia, "arnia")) == {"before", "after"}


# Signing


async def test_a_change_of_exclusions_is_signed_at_once_and_wakes_readers(arnia: Node, relay: Node) -> None:
    assert "except" not in await claims_of(arnia)
    async with arnia.notifier.running():
        await arnia.notifier.refresh()
        waiting = asyncio.ensure_future(
            arnia.notifier.wait_for(arnia.notifier.state.heads, 60, of="heads", patient=True)
        )
        await asyncio.sleep(0)
        await peers.suspend(arnia, "recia")
        assert (await claims_of(arnia))["except"] == ["recia"]
        await waiting
    heads = await Near(arnia, "megalis").heads()
    assert await round_of(relay, arnia)
    assert await excluded_at(relay) == ("recia",)
    await peers.resume(arnia, "recia")
    assert "except" not in await claims_of(arnia)
    assert await Near(arnia, "megalis").heads() != heads
    await round_of(relay, arnia)
    assert await excluded_at(relay) == ()


async def test_exclusions_that_another_process_left_unsigned_are_due(arnia: Node, relay: Node) -> None:
    assert await checkpoints.sign_checkpoints(arnia) == 0
    async with arnia.store.write() as tx:
        for operator in ("recia", "maximilien"):
            await tx.exclusions.add(operator)
    assert await checkpoints.sign_checkpoints(arnia) == 1
    assert (await claims_of(arnia))["except"] == ["maximilien", "recia"]
    assert await checkpoints.sign_checkpoints(arnia) == 0


async def test_a_signature_that_another_process_makes_is_waited_for(arnia: Node, relay: Node) -> None:
    """It may have been begun before the exclusion."""
    async with arnia.store.write() as tx:
        feed = await tx.feeds.find(FEDERATION)
        assert feed
        await tx.checkpoints.lock(feed.id)
        suspending = asyncio.ensure_future(peers.suspend(arnia, "recia"))
        while await exclusions.own(arnia) == ():
            await asyncio.sleep(0.01)
        assert not suspending.done()
    await suspending
    assert (await claims_of(arnia))["except"] == ["recia"]


def test_a_checkpoint_with_all_exclusions_there_may_be_fits_into_a_head() -> None:
    arnia = Keyring.of(mint_private_key())
    longest = "a" * 63
    state = DigestState(seq=2**53 - 1, retained_from=2**53 - 1, count=2**53 - 1, buckets=EMPTY * BUCKETS)
    name = FeedName(longest, "federation")
    excludes = tuple(f"{'b' * 60}{n:03}" for n in range(MAX_EXCLUSIONS))
    checkpoint = checkpoint_of(name, "0" * 16, state, 2**34, excludes=excludes)
    jws = arnia.sign(checkpoint.claims, typ="federation-checkpoint+jwt")
    head = Head(
        origin=longest, audience="federation", epoch="0" * 16, seq=1, retained_from=0, count=1, checkpoint=jws
    )
    assert msgspec.json.decode(msgspec.json.encode(head), type=Head) == head
    assert (
        checkpoints.read_signed_checkpoint(jws, arnia.public(), name, checkpoints.moment(2**34)).excludes
        == excludes
    )
    more = msgspec.structs.replace(checkpoint, excludes=(*excludes, "one-more"))
    with pytest.raises(Invalid):
        checkpoints.read_signed_checkpoint(
            arnia.sign(more.claims, typ="federation-checkpoint+jwt"), arnia.public(), name,
            checkpoints.moment(2**34),
        )  # fmt: skip


def test_a_reader_of_the_version_before_exclusions_reads_the_other_claims() -> None:
    class Former(msgspec.Struct, frozen=True, kw_only=True):
        iss: str
        feed: str
        epoch: str
        seq: int
        retained_from: int
        count: int
        root: str
        iat: int
        exp: int

    state = DigestState(seq=4, retained_from=0, count=4, buckets=EMPTY * BUCKETS)
    plain = checkpoint_of(FEDERATION, "0" * 16, state, 5)
    excluding = msgspec.structs.replace(plain, excludes=("recia",))
    assert plain.claims.keys() == set(Former.__struct_fields__)
    assert excluding.claims == {**plain.claims, "except": ["recia"]}
    assert msgspec.convert(excluding.claims, Former) == msgspec.convert(plain.claims, Former)


# Reading


async def test_an_exclusion_is_stored_before_any_entry_that_was_published_after_it(
    arnia: Node, relay: Node
) -> None:
    await peers.suspend(arnia, "recia")
    await publish_green(arnia, "after")
    seen: list[tuple[str, ...]] = []

    class Looks(Near):
        async def changes(self, feed: FeedName, after: Cursor | None) -> AsyncIterator[EntryPage]:
            seen.append(await excluded_at(relay))
            async for page in super().changes(feed, after):
                yield page

    await round_of(relay, arnia, Looks(arnia, "megalis"))
    assert seen == [("recia",)]


async def test_an_exclusion_that_comes_during_a_repair_is_stored_before_the_records(
    arnia: Node, relay: Node
) -> None:
    """The head is of before the exclusion, the digests are of after it."""
    (head,) = [head for head in await Near(arnia, "megalis").heads() if head.audience == "federation"]
    await sql(relay, "DELETE FROM records WHERE key = 'before'")
    async with relay.store.write() as tx:
        feed = await tx.feeds.find(FEDERATION)
        assert feed
        await tx.checkpoints.reset(feed.id)
    await peers.suspend(arnia, "recia")
    await publish_green(arnia, "after")
    seen: list[tuple[str, ...]] = []

    class Looks(Near):
        async def leaves(self, feed: FeedName, bucket: int, max_leaves: int = 0) -> Any:
            seen.append(await excluded_at(relay))
            return await super().leaves(feed, bucket)

    await follow(relay, peer_of(arnia), head, Looks(arnia, "megalis"))
    assert set(seen) == {("recia",)}
    assert keys_of(await rows_of(relay, "arnia")) == {"before", "after"}


async def test_a_replayed_checkpoint_lifts_no_exclusion_and_the_origin_does(
    arnia: Node, relay: Node, recia: Node
) -> None:
    """Recia shows megalis what arnia signed before it excluded nivernais: in the same second, or earlier."""
    now = arnia.clock()
    arnia.clock = lambda: now
    await publish_green(arnia, "later")
    await round_of(recia, arnia)
    await add_peer(arnia, "nivernais", Keyring.of(mint_private_key()))
    for seconds in (0, 10):
        arnia.clock = lambda seconds=seconds: now + timedelta(seconds=seconds)  # type: ignore[misc]
        await peers.suspend(arnia, "nivernais")
        await round_of(relay, arnia)
        assert await excluded_at(relay) == ("nivernais",)
        await relayed_round(relay, arnia, recia)
        assert await excluded_at(relay) == ("nivernais",)
        await peers.resume(arnia, "nivernais")
        await round_of(relay, arnia)
        assert await excluded_at(relay) == ()


async def test_an_exclusion_reaches_a_member_by_a_relay_while_the_origin_is_down(
    arnia: Node, relay: Node, recia: Node
) -> None:
    ring = Keyring.of(mint_private_key())
    await add_peer(recia, "nivernais", ring)
    await add_peer(arnia, "nivernais", ring)
    assert "federation" in {head.audience for head in await Near(recia, "nivernais").heads("arnia")}
    now = arnia.clock()
    arnia.clock = lambda: now + timedelta(seconds=10)
    await peers.suspend(arnia, "nivernais")
    await round_of(relay, arnia)
    await relayed_round(recia, arnia, relay)
    assert await excluded_at(recia) == ("nivernais",)
    assert [head.audience for head in await Near(recia, "nivernais").heads("arnia")] == ["public"]


async def test_an_exclusion_of_a_feed_that_is_paused_counts_and_ends_with_the_copy(
    arnia: Node, relay: Node
) -> None:
    await copies.pause_removals(relay, FEDERATION, "603 of 812")
    await peers.suspend(arnia, "recia")
    await round_of(relay, arnia)
    assert await excluded_at(relay) == ("recia",)
    await copies.purge(relay, FEDERATION)
    assert await excluded_at(relay) == ()


async def test_an_exclusion_in_another_feed_of_the_origin_counts_nothing(arnia: Node, relay: Node) -> None:
    name = FeedName("arnia", "public")
    async with arnia.store.read() as tx:
        feed = await tx.feeds.find(name)
        digest = await tx.checkpoints.find(feed.id) if feed else None
    assert feed
    assert digest
    checkpoint = checkpoint_of(
        name, feed.epoch or "", digest.state, int(arnia.clock().timestamp()), excludes=("recia",)
    )
    (head,) = [head for head in await Near(arnia, "megalis").heads() if head.audience == "public"]
    jws = arnia.keyring.sign(checkpoint.claims, typ="federation-checkpoint+jwt")
    await follow(relay, peer_of(arnia), msgspec.structs.replace(head, checkpoint=jws), Near(arnia, "megalis"))
    _, copy = await copies.read_copy(relay, name)
    assert tuple(copy.excludes) == ()
    assert {head.audience for head in await Near(relay, "recia").heads("arnia")} == {"public", "federation"}


async def test_the_copies_of_a_member_itself_stay_when_it_is_excluded(
    arnia: Node, relay: Node, recia: Node
) -> None:
    await peers.suspend(arnia, "recia")
    await round_of(relay, arnia)
    assert {feed.audience for feed in await copy_views.copies(recia)} == {"public", "federation"}
