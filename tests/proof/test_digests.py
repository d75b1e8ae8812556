"""Digests and checkpoints: what a node signs of its feeds, and what a copy is held against."""

from __future__ import annotations

import asyncio
import hashlib
import time
from datetime import timedelta
from typing import Any

import pytest

from federation.domain.checkpoint import (
    CHECKPOINT,
    EMPTY,
    HALF_LIFE,
    LIFETIME,
    RENEWED,
    Checkpoint,
    Leaf,
    bucket_of,
    read_leaf,
)
from federation.domain.errors import Invalid, Unauthenticated, Unavailable
from federation.domain.feed import FeedName
from federation.domain.visibility import itself
from federation.node import checkpoints, copy_views, feeds, records
from federation.node.key_rotation import rotate
from federation.node.keys import verify_jwt
from federation.node.node import Node
from federation.server import maintenance
from federation.store.checkpoints import CheckpointsWriter
from tests.domain.builders import a_solution
from tests.nodes import publish
from tests.proof.in_process_peer import Near, acquainted, round_of, sql, state_of
from tests.waiting import MAX_WAIT_SECONDS

PUBLIC = FeedName("arnia", "public")


async def retract(node: Node, key: str) -> None:
    from federation.domain.registry import TYPES

    await records.retract(node, TYPES["solution"], node.operator, key, by=itself(node.operator))


async def signed(node: Node, audience: str = "public") -> Checkpoint:
    """What a node signs of a feed now."""
    await checkpoints.sign_checkpoints(node)
    for head in await feeds.heads(node, by=itself(node.operator)):
        if head.audience == audience:
            assert head.checkpoint
            return checkpoints.read_signed_checkpoint(
                head.checkpoint, node.keyring.public(), head.name, node.clock()
            )
    raise AssertionError(f"there is no feed {audience}")


async def by_hand(node: Node, audience: str = "public") -> str:
    """The root of a feed, from its records by the words of the specification alone."""
    rows = await sql(
        node,
        "SELECT r.type, r.key, r.revision, r.retracted, encode(r.hash, 'hex') AS hash, r.seq, f.retained_from"
        " FROM records r JOIN feeds f ON f.id = r.feed WHERE f.origin = $1 AND f.audience = $2",
        node.operator,
        audience,
    )
    buckets: list[list[bytes]] = [[] for _ in range(256)]
    for row in rows:
        if row["retracted"] and row["seq"] <= row["retained_from"]:
            continue
        op = "delete" if row["retracted"] else "upsert"
        line = f"{row['type']}/{row['key']} {row['revision']} {op} {row['hash']} {row['seq']}\n"
        name = f"{row['type']}/{row['key']}".encode()
        buckets[hashlib.sha256(name).digest()[0]].append(line.encode())
    digests = b"".join(hashlib.sha256(b"".join(sorted(lines))).digest() for lines in buckets)
    return hashlib.sha256(digests).hexdigest()


async def test_a_checkpoint_says_what_the_feed_holds(arnia: Node) -> None:
    empty = await signed(arnia)
    assert (empty.seq, empty.count) == (0, 0)
    assert empty.root == hashlib.sha256(EMPTY * 256).hexdigest()
    for n in range(300):
        await publish(arnia, "solution", f"k{n}", a_solution(name=f"Été n° {n}"))
    some = await signed(arnia)
    assert (some.seq, some.count, some.root) == (300, 300, await by_hand(arnia))
    assert (some.iss, some.feed, some.exp - some.iat) == ("arnia", "arnia/public", LIFETIME)


async def test_every_kind_of_change_moves_the_root_to_what_it_should_be(arnia: Node) -> None:
    await publish(arnia, "group", "g", {"name": "g", "members": []})
    roots = set()
    for change in (
        lambda: publish(arnia, "solution", "a", a_solution()),
        lambda: publish(arnia, "solution", "b", a_solution()),
        lambda: publish(arnia, "solution", "a", a_solution(name="Other")),
        lambda: publish(arnia, "solution", "b", a_solution(), tlp="GREEN"),
        lambda: publish(arnia, "solution", "a", a_solution(name="Other"), tlp="AMBER", audience="g"),
        lambda: publish(arnia, "solution", "b", a_solution(), tlp="CLEAR"),
        lambda: retract(arnia, "b"),
        lambda: publish(arnia, "solution", "b", a_solution(), tlp="RED"),
    ):
        await change()
        for audience in ("public", "federation", "g"):
            assert (await signed_or_none(arnia, audience)) == await by_hand(arnia, audience), audience
        roots.add(await by_hand(arnia))
    assert len(roots) == 7  # the AMBER record left nothing to see, and so did the RED one


async def test_a_digest_that_is_made_as_a_whole_is_the_one_that_is_made_bucket_by_bucket(arnia: Node) -> None:
    """With tombstones that are due to be dropped, and others that are not."""
    for key in "abcdef":
        await publish(arnia, "solution", key, a_solution())
    for key in "abc":
        await retract(arnia, key)
    assert (await signed(arnia)).root == await by_hand(arnia)
    await sql(arnia, "UPDATE feeds SET retained_from = 8 WHERE audience = 'public' RETURNING id")
    await sql(arnia, "UPDATE digests SET marked = ARRAY(SELECT generate_series(0, 255)) RETURNING feed")
    by_buckets = await signed(arnia)
    await sql(arnia, "DELETE FROM digests RETURNING feed")
    as_a_whole = await signed(arnia)
    assert by_buckets.root == as_a_whole.root == await by_hand(arnia)
    assert (as_a_whole.count, as_a_whole.retained_from) == (3, 8)


async def signed_or_none(node: Node, audience: str) -> str:
    try:
        return (await signed(node, audience)).root
    except AssertionError:
        return hashlib.sha256(EMPTY * 256).hexdigest()


async def test_what_has_not_changed_is_neither_computed_nor_signed_again(arnia: Node) -> None:
    await publish(arnia, "solution", "a", a_solution())
    assert await checkpoints.sign_checkpoints(arnia) == 2
    assert await checkpoints.sign_checkpoints(arnia) == 0
    await publish(arnia, "solution", "a", a_solution(name="Other"))
    assert await checkpoints.sign_checkpoints(arnia) == 1


async def test_only_the_buckets_that_changed_are_read(arnia: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(200):
        await publish(arnia, "solution", f"k{n}", a_solution())
    await checkpoints.sign_checkpoints(arnia)
    # A leaf that was altered in another bucket stays unseen: nobody has looked at it.
    other = next(f"k{n}" for n in range(200) if bucket_of("solution", f"k{n}") != bucket_of("solution", "k0"))
    before = (await signed(arnia)).root
    await sql(arnia, "UPDATE records SET revision = 77 WHERE key = $1", other)
    await publish(arnia, "solution", "k0", a_solution(name="Other"))
    now = await signed(arnia)
    assert now.root != before
    assert now.root != await by_hand(arnia)
    await sql(arnia, "UPDATE records SET revision = 1 WHERE key = $1", other)
    assert now.root == await by_hand(arnia)


async def test_a_checkpoint_is_renewed_before_it_grows_old_and_when_the_key_changes(arnia: Node) -> None:
    now = arnia.clock()
    arnia.clock = lambda: now
    first = await signed(arnia)
    arnia.clock = lambda: now + timedelta(seconds=RENEWED - 5)
    assert await signed(arnia) == first
    arnia.clock = lambda: now + timedelta(seconds=RENEWED + 5)
    second = await signed(arnia)
    assert (second.root, second.seq) == (first.root, first.seq)
    assert second.iat == first.iat + RENEWED + 5
    arnia.clock = lambda: now
    assert (await signed(arnia)).iat == first.iat, (
        "a clock that was set back: what was signed is of the future"
    )
    kid = arnia.keyring.kid
    await rotate(arnia, after=timedelta(0))
    assert arnia.keyring.kid != kid
    await signed(arnia)
    (head, *_) = await feeds.heads(arnia, by=itself("arnia"))
    assert head.checkpoint
    assert verify_jwt(
        head.checkpoint, {"keys": [arnia.keyring.public_jwk(arnia.keyring.kid)]}, frozenset({CHECKPOINT})
    )


async def test_a_checkpoint_of_another_feed_key_or_time_is_not_believed(arnia: Node, megalis: Node) -> None:
    await publish(arnia, "solution", "a", a_solution())
    await checkpoints.sign_checkpoints(arnia)
    heads = {head.audience: head for head in await feeds.heads(arnia, by=itself("arnia"))}
    jws, keys, now = heads["public"].checkpoint or "", arnia.keyring.public(), arnia.clock()
    assert checkpoints.read_signed_checkpoint(jws, keys, PUBLIC, now).seq == 1
    with pytest.raises(Invalid, match="another feed"):
        checkpoints.read_signed_checkpoint(heads["federation"].checkpoint or "", keys, PUBLIC, now)
    with pytest.raises(Unauthenticated):
        checkpoints.read_signed_checkpoint(jws, megalis.keyring.public(), PUBLIC, now)
    with pytest.raises(Invalid, match="clocks differ"):
        checkpoints.read_signed_checkpoint(jws, keys, PUBLIC, now - timedelta(seconds=400))
    assert checkpoints.read_signed_checkpoint(jws, keys, PUBLIC, now - timedelta(seconds=200)).seq == 1
    said: dict[str, Any] = {
        "iss": "arnia", "feed": "arnia/public", "epoch": "0" * 16, "seq": 1, "retained_from": 0, "count": 1,
        "root": "0" * 64, "iat": int(now.timestamp()), "exp": int(now.timestamp()) + LIFETIME,
    }  # fmt: skip
    assert (
        checkpoints.read_signed_checkpoint(arnia.keyring.sign(said, typ=CHECKPOINT), keys, PUBLIC, now).count
        == 1
    )
    for wrong in ({"exp": said["exp"] + 1}, {"iss": "megalis"}, {"root": "x"}, {"seq": -1}, {"exp": 0}):
        with pytest.raises(Invalid):
            checkpoints.read_signed_checkpoint(
                arnia.keyring.sign({**said, **wrong}, typ=CHECKPOINT), keys, PUBLIC, now
            )
    for typ in ("at+jwt", "JWT", "federation-receipt+jwt"):
        with pytest.raises(Unauthenticated):
            checkpoints.read_signed_checkpoint(arnia.keyring.sign(said, typ=typ), keys, PUBLIC, now)


async def test_a_copy_is_verified_then_stale_and_raises_an_alarm_at_half_time(
    arnia: Node, megalis: Node
) -> None:
    await publish(arnia, "solution", "a", a_solution())
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    assert await state_of(megalis, arnia) == "verified"
    copy = (await copy_views.copies(megalis))[PUBLIC]
    assert (copy.verified_seq, copy.alarm, copy.via) == (1, None, None)
    now = megalis.clock()
    megalis.clock = lambda: now + timedelta(seconds=HALF_LIFE + 60)
    copy = (await copy_views.copies(megalis))[PUBLIC]
    assert copy.state == "verified"
    assert "31 minutes ago" in (copy.alarm or "")
    megalis.clock = lambda: now + timedelta(seconds=LIFETIME + 1)
    assert await state_of(megalis, arnia) == "stale"
    arnia.clock = megalis.clock
    await checkpoints.sign_checkpoints(arnia)
    source = Near(arnia, "megalis")
    await round_of(megalis, arnia, source)
    assert await state_of(megalis, arnia) == "verified"
    assert source.asked == [], "a renewed signature is enough: nothing of the feed is asked for"


async def test_a_copy_that_has_taken_more_than_was_signed_is_not_held_against_it(
    arnia: Node, megalis: Node
) -> None:
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    await publish(arnia, "solution", "a", a_solution())
    await round_of(megalis, arnia)  # the head has moved, the signature comes later
    copy = (await copy_views.copies(megalis))[PUBLIC]
    assert (copy.state, copy.pulled, copy.verified_seq) == ("verified", 1, 0)
    await checkpoints.sign_checkpoints(arnia)
    await round_of(megalis, arnia)
    assert (await copy_views.copies(megalis))[PUBLIC].verified_seq == 1


async def test_a_signature_that_a_copy_has_gone_beyond_is_noted_so_that_none_older_is_believed(
    arnia: Node, megalis: Node
) -> None:
    await publish(arnia, "solution", "a", a_solution())
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    later = arnia.clock() + timedelta(seconds=10)
    arnia.clock = megalis.clock = lambda: later
    await publish(arnia, "solution", "b", a_solution())
    await round_of(megalis, arnia)
    await checkpoints.sign_checkpoints(arnia)
    await publish(arnia, "solution", "c", a_solution())
    await round_of(megalis, arnia)
    copy = (await copy_views.copies(megalis))[PUBLIC]
    assert (copy.state, copy.pulled, copy.verified_seq) == ("verified", 3, 1)
    newest = "SELECT newest FROM copies JOIN feeds ON feeds.id = feed WHERE origin = $1 AND audience = $2"
    ((noted,),) = await sql(megalis, newest, "arnia", "public")
    assert noted == later.replace(microsecond=0)


async def test_a_copy_of_a_feed_that_never_rests_is_proved_all_the_same(arnia: Node, megalis: Node) -> None:
    await publish(arnia, "solution", "a", a_solution())
    await acquainted(arnia, megalis)
    await round_of(megalis, arnia)
    now = arnia.clock()
    for node in (arnia, megalis):
        node.clock = lambda: now + timedelta(minutes=15)

    class Writes(Near):
        """Goes on writing and signing while its entries are read."""

        async def changes(self, feed, after):  # type: ignore[no-untyped-def]
            if feed.audience == "public":
                await publish(arnia, "solution", "b", a_solution())
                await checkpoints.sign_checkpoints(arnia)
            async for page in super().changes(feed, after):
                yield page

    await publish(arnia, "solution", "c", a_solution())
    await checkpoints.sign_checkpoints(arnia)
    await publish(arnia, "solution", "d", a_solution())  # it is not signed yet when the heads are told
    source = Writes(arnia, "megalis")
    await round_of(megalis, arnia, source)
    copy = (await copy_views.copies(megalis))[PUBLIC]
    assert (copy.state, copy.verified_seq, copy.pulled) == ("verified", 2, 2)
    assert source.asked == ["changes"]


def test_a_leaf_is_read_as_it_is_written() -> None:
    leaf = Leaf("solution", "a.b_c~d-e", 12, "delete", "ab" * 32, 99)
    assert read_leaf(str(leaf)) == leaf
    said = str(leaf)
    for wrong in (f"{said} ", f" {said}", said.replace("delete", "withdraw"), said.replace(" 12 ", " 0 "),
                  said.upper(), f"{said}\n", "", "solution/a 1 upsert"):  # fmt: skip
        with pytest.raises(Invalid):
            read_leaf(wrong)


async def test_a_signature_is_not_put_off_for_ever_while_more_arrives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[float] = []

    class Watch:
        """Of a node that somebody writes to without a pause."""

        @property
        def published_at(self) -> float:
            asked.append(time.monotonic())
            return asked[-1]

    class Busy:
        notifier = Watch()

    monkeypatch.setattr(maintenance, "SIGN_AT_LATEST_SECONDS", 0.05)
    began = time.monotonic()
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        await maintenance._quiet(Busy())  # type: ignore[arg-type]
    assert time.monotonic() - began >= 0.05, "it was put off as long as it may be"
    assert len(asked) > 1, "it was looked again, since somebody writes"


async def test_what_could_not_be_signed_is_tried_again_before_anything_else_is_published(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = asyncio.Event()
    failures: list[Exception] = [Unavailable("the database went away"), RuntimeError("a bug")]

    attempts = 0

    async def prove(_: Node) -> int:
        nonlocal attempts
        attempts += 1
        if failures:
            raise failures.pop()
        tried.set()
        return 0

    monkeypatch.setattr(checkpoints, "sign_checkpoints", prove)
    monkeypatch.setattr(maintenance, "SIGN_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(maintenance, "RENEW_CHECK_SECONDS", 3_600.0)
    published = arnia.notifier.state.published
    proving = asyncio.create_task(maintenance.sign_checkpoints_forever(arnia))
    async with asyncio.timeout(MAX_WAIT_SECONDS):
        await tried.wait()
    assert arnia.notifier.state.published == published, "nothing else was published"
    assert attempts == 3, "two that failed, and one that did not"
    proving.cancel()
    await asyncio.gather(proving, return_exceptions=True)


async def test_a_feed_that_cannot_be_signed_does_not_keep_the_others_from_it(
    arnia: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, tlp in (("one", "CLEAR"), ("two", "GREEN")):
        await publish(arnia, "solution", key, a_solution(), tlp=tlp)
    async with arnia.store.read() as tx:
        first, *others = await tx.checkpoints.due(arnia.operator)
    reckon = CheckpointsWriter.compute

    async def failing(self: CheckpointsWriter, was: Any) -> Any:
        epoch, state = await reckon(self, was)
        if was.feed == first.feed:
            raise Unavailable("it took too long")
        return epoch, state

    monkeypatch.setattr(CheckpointsWriter, "compute", failing)
    with pytest.raises(Unavailable, match="too long"):
        await checkpoints.sign_checkpoints(arnia)
    async with arnia.store.read() as tx:
        signed = {
            one.feed
            for one in await tx.checkpoints.due(arnia.operator)
            if one.digest and one.digest.checkpoint
        }
    assert signed == {one.feed for one in others} != set()
