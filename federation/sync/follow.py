"""Follow one feed of a peer: one round, begun by a head that moved, by a relay or by a simulation.

1. Verify the checkpoint that came with the head, and store the operators that it excludes.
2. A paused copy has its withdrawals carried out, and nothing else.
3. Pull the entries after the cursor; or repair, where the cursor is too old or the epoch another one.
4. Compare the copy with the checkpoint, if it is at its number. Equal: it is verified.
5. Different: repair it, and compare again. Still different: it has diverged, which raises an alarm.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from enum import Enum

import msgspec

from federation.domain.checkpoint import DigestState, SignedCheckpoint, VerifiableSource
from federation.domain.copy import CopyFacts
from federation.domain.errors import CursorExpired, Forged, StaleCursor
from federation.domain.feed import Cursor, FeedName, FeedState, Head
from federation.domain.peer import Peer
from federation.domain.quota import BeyondQuota
from federation.domain.values import as_instant
from federation.domain.visibility import FEDERATION, PUBLIC
from federation.node import copies, exclusions, key_rotation, quotas, repairs
from federation.node.checkpoints import moment
from federation.node.keys import kid_of
from federation.node.node import Node
from federation.sync.apply import PullResult, RemovalsPaused
from federation.sync.pull import carry_out_withdrawals, is_of_group, pull
from federation.sync.repair import EntrySender, Repair, verify_checkpoint

log = logging.getLogger("federation.sync")

OLD_VERIFICATION = timedelta(minutes=10)
"""A copy verified so long ago is pulled to the checkpoint's number only, so that it can be compared."""
REPAIR_AGAIN = timedelta(minutes=10)
"""A repair that left the same roots unequal is tried again after that time."""


class Step(Enum):
    """The step that brings a copy to a head."""

    PULL = "pull"
    REPAIR = "repair"
    NONE = "none"
    """Nothing now: a checkpoint of the new epoch has to come first, or an administrator has to look."""


async def follow(
    node: Node,
    origin: Peer,
    head: Head,
    source: VerifiableSource,
    stored: tuple[FeedState | None, CopyFacts] | None = None,
) -> PullResult:
    """Bring the copy of a feed to what its origin itself shows and signs.

    ``stored``: the copy, where it was just read.
    """
    sender = EntrySender(source, await _with_key(node, origin, head))
    signed = None
    if head.checkpoint is not None:
        checkpoint = verify_checkpoint(node, head.name, head.checkpoint, sender)
        signed = SignedCheckpoint(checkpoint, head.checkpoint)
    result = await _follow(node, head, sender, signed, stored)
    if signed is not None and signed.checkpoint.epoch == head.epoch:
        result.signed = signed.checkpoint.seq
    return result


async def _follow(
    node: Node,
    head: Head,
    sender: EntrySender,
    signed: SignedCheckpoint | None,
    stored: tuple[FeedState | None, CopyFacts] | None,
) -> PullResult:
    name, shown, source = head.name, head, sender.source
    feed, copy = stored or await copies.read_copy(node, name)
    if signed is not None:
        # Before any entry of after the exclusion can be shown to the operators that it names.
        await exclusions.store_exclusions(node, name, signed.checkpoint, copy, relayed=False)
    if feed is None and head.seq == 0 and is_of_group(name):
        return PullResult(verified=True)  # nothing is stored of an empty feed of a group
    if feed is None and (await quotas.read_allowance(node, name.origin)).paused:
        return PullResult(paused=True)
    if feed is not None and copy.is_paused:
        if feed.epoch == head.epoch and feed.head >= head.retained_from:
            # (Else retracted and withdrawn records cannot be distinguished: both wait.)
            await carry_out_withdrawals(node, name, source)
        return PullResult()
    step = await _next_step(node, feed, head, signed)
    if step is Step.NONE:
        return PullResult()
    if step is Step.PULL:
        if signed is not None and feed is not None and feed.head < signed.checkpoint.seq < head.seq:
            # While the origin writes without a pause, its head is seldom signed. The entries that are not
            # signed can wait, once the last verification is of some time ago.
            until = signed.checkpoint.seq if _is_old(copy, node.clock()) else head.seq
            head = msgspec.structs.replace(head, seq=until)
        try:
            result = await pull(node, head, source, (feed, copy))
            if result.paused or (feed is None and is_of_group(name) and not result.entries):
                return result
        except CursorExpired:
            if signed is None:
                raise
            step = Step.REPAIR
    if step is Step.REPAIR:
        result = PullResult(live_before=feed.live if feed else 0, confirmed=copy.confirmed)
    if signed is not None and (step is Step.REPAIR or not _is_beyond(feed, copy, result, signed)):
        await _verify(node, name, signed, sender, result, copy, trusting=step is Step.REPAIR)
        result.verified = result.verified and signed.checkpoint.cursor == Cursor(shown.epoch, shown.seq)
    return result


async def follow_relay(
    node: Node, origin: Peer, relay: Peer, head: Head, source: VerifiableSource
) -> PullResult:
    """Bring the copy of a feed to what another member shows of it, as far as the origin's signature reaches.

    Nothing is stored that the origin did not sign, that is older than the copy, or from which the origin
    excludes us. Raises Forged, which names the relay, when it shows something else.
    """
    name, sender, result = head.name, EntrySender(source, origin, via=relay.operator), PullResult()
    if name.origin != origin.operator or name.audience not in (PUBLIC, FEDERATION):
        raise Forged(f"{relay.operator} relays {name}, which is not for it to relay")
    if head.checkpoint is None:
        return result
    checkpoint = verify_checkpoint(node, name, head.checkpoint, sender)
    feed, copy = await copies.read_copy(node, name)
    if node.operator in checkpoint.excludes:
        return result  # the relay does not know exclusions: what it shows is not for us
    await exclusions.store_exclusions(node, name, checkpoint, copy, relayed=True)
    if copy.is_paused:
        return result
    if copy.newest_signed_at is not None and checkpoint.iat < copy.newest_signed_at.timestamp():
        if node.clock().timestamp() < checkpoint.exp:
            return result  # the relay is a little behind us
        raise Forged(
            f"{relay.operator} relays an old state of {name}, of {as_instant(moment(checkpoint.iat))},"
            f" and we have seen one of {as_instant(copy.newest_signed_at)}"
        )
    if feed is not None and feed.epoch == checkpoint.epoch and feed.head > checkpoint.seq:
        return result
    if feed is None:
        try:
            feed = await copies.open_copy(node, name, checkpoint.seq)
        except BeyondQuota as error:
            await quotas.pause(node, name.origin, error)
            return result
    result.live_before, result.confirmed = feed.live, copy.confirmed
    trusting = feed.epoch != checkpoint.epoch or feed.head < checkpoint.retained_from
    signed = SignedCheckpoint(checkpoint, head.checkpoint)
    await _verify(node, name, signed, sender, result, copy, trusting=trusting)
    return result


async def _with_key(node: Node, origin: Peer, head: Head) -> Peer:
    """The peer with the key that signed the checkpoint, where it has changed keys since they were read."""
    kid = kid_of(head.checkpoint) if head.checkpoint else None
    if kid is None or kid in origin.kids:
        return origin
    return await key_rotation.reread_keys(node, origin.operator, kid=kid) or origin


async def _next_step(node: Node, feed: FeedState | None, head: Head, signed: SignedCheckpoint | None) -> Step:
    """The step from our copy to that head.

    In a new epoch nothing is stored that is not signed: revisions may have gone back, and only the signature
    tells what is right. A copy that is ahead of its origin in one epoch is an alarm, not for us to reset.
    """
    if feed is None or feed.epoch is None:
        return Step.PULL
    if feed.epoch != head.epoch:
        same_epoch = signed is not None and signed.checkpoint.epoch == head.epoch
        return Step.REPAIR if same_epoch else Step.NONE
    if feed.head > head.seq:
        reason = f"cursor-in-future: its feed ends at {head.seq} and was taken to {feed.head}, in one epoch"
        log.error("origin sequence went backwards", extra={"feed": str(head.name), "reason": reason})
        await copies.mark_diverged(node, head.name, reason)
        return Step.NONE
    expired = 0 < feed.head < head.retained_from
    return Step.REPAIR if expired and signed is not None else Step.PULL


async def _verify(
    node: Node,
    name: FeedName,
    signed: SignedCheckpoint,
    sender: EntrySender,
    result: PullResult,
    before: CopyFacts,
    *,
    trusting: bool,
) -> None:
    """Compare the copy with a checkpoint, and repair it where they differ. ``before``: its facts till now."""
    ours: DigestState | None = None
    try:
        ours = await repairs.compare(node, name, signed, adopting=trusting)
        if ours is None:
            result.verified = True
            if before.via != sender.via:
                await _note_relay(node, name, sender, result)
            return
        await copies.note_signed(node, name, moment(signed.checkpoint.iat))
    except StaleCursor:
        await copies.note_signed(node, name, moment(signed.checkpoint.iat))
        if not trusting and sender.via is None and not await _ends_short(node, name, signed):
            return  # it has moved since: there is nothing to compare, and the next head comes soon
    # With the epoch: a new one is a new try, though the roots be the same.
    roots = f"{signed.checkpoint.epoch} {signed.checkpoint.root} {ours.root if ours else ''}"
    if before.tried_roots == roots and before.tried_at and node.clock() - before.tried_at < REPAIR_AGAIN:
        return
    log.warning(
        "the copy is not what its origin has signed, and is repaired",
        extra={"feed": str(name), "seq": signed.checkpoint.seq},
    )
    try:
        newer = await Repair(node, name, sender, trusting=trusting, result=result).run()
        remaining = await repairs.compare(node, name, newer)
    except StaleCursor:
        return
    except RemovalsPaused as error:
        await copies.pause_removals(node, name, str(error))
        return
    except BeyondQuota as error:
        await quotas.pause(node, name.origin, error)
        return
    except Forged as error:
        if sender.via is None:
            await copies.mark_diverged(node, name, error.detail, tried_roots=roots)
        raise
    if remaining is None:
        await _note_relay(node, name, sender, result)
        log.info("a copy was repaired", extra={"feed": str(name), "records": result.repaired})
        return
    reasons = ", ".join(sorted(result.rejected)) or "of what was set aside"
    await copies.mark_diverged(
        node,
        name,
        f"it differs from what was signed at {newer.checkpoint.seq}: {reasons}",
        tried_roots=f"{newer.checkpoint.epoch} {newer.checkpoint.root} {remaining.root}",
    )


def _is_beyond(feed: FeedState | None, copy: CopyFacts, result: PullResult, signed: SignedCheckpoint) -> bool:
    """Whether a copy has gone beyond a checkpoint that was seen before: there is nothing to compare.

    ``feed`` and ``copy``: before the last entries were stored.
    """
    checkpoint = signed.checkpoint
    return (
        feed is not None
        and feed.epoch == checkpoint.epoch
        and (feed.head > checkpoint.seq or (feed.head == checkpoint.seq and result.entries > 0))
        and copy.newest_signed_at is not None
        and copy.newest_signed_at >= moment(checkpoint.iat)
    )


async def _ends_short(node: Node, name: FeedName, signed: SignedCheckpoint) -> bool:
    """True if the entries end before the checkpoint's number: the last ones were lost."""
    feed, copy = await copies.read_copy(node, name)
    return (
        feed is not None
        and feed.epoch == signed.checkpoint.epoch
        and feed.head < signed.checkpoint.seq
        and not copy.is_paused
    )


def _is_old(copy: CopyFacts, time: datetime) -> bool:
    return copy.verified_at is not None and time - copy.verified_at > OLD_VERIFICATION


async def _note_relay(node: Node, name: FeedName, sender: EntrySender, result: PullResult) -> None:
    if sender.via is None or result.repaired:
        await copies.set_relay(node, name, sender.via)
