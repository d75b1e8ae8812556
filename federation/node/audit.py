"""The audit trail: note refused access and processes, sign its end, verify it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial

import msgspec

import federation
from federation.domain.audit import (
    CHECKPOINT,
    GENESIS,
    ITSELF,
    AuditCheckpointClaims,
    AuditEntry,
    Event,
    Reader,
    SignedAuditCheckpoint,
    read_claims,
)
from federation.domain.audit_chain import ChainWalk, Verdict
from federation.domain.errors import CommandFailed
from federation.domain.peer import OwnKey
from federation.node.keys import Keyring, verify_jwt
from federation.node.node import Node


async def note_refusals(node: Node, *, last: bool = False) -> None:
    """Note the refused access that is due to be noted; with ``last``, all of it."""
    due = node.refusals.take(time.monotonic(), last=last)
    if not due:
        return
    try:
        async with node.store.write() as tx:
            for sort, count in due.items():
                await tx.audit.note(
                    "access.refused",
                    actor=sort.who,
                    subject=sort.act,
                    detail={"reason": sort.reason, "count": count},
                )
    except BaseException:  # also when we are told to stop meanwhile
        node.refusals.put_back(due)
        raise


async def sign_audit_checkpoint(node: Node) -> SignedAuditCheckpoint | None:
    """Sign the end of the audit trail, if something was added since; returns the last checkpoint there is.

    Only what follows from the checkpoint before is signed: otherwise a change would be made good by the
    next one. Raises Broken when it does not follow.
    """
    async with node.store.read() as tx:
        covered = await tx.audit.last_checkpoint()
        read = checkpoint_reader(await tx.keys.all())
        begin = (0, GENESIS)
        if covered is not None:
            claims = read_claims(covered.jws, read)
            if claims is None or claims.n != covered.n:
                raise CommandFailed(_ALTERED)
            begin = (covered.n, bytes.fromhex(claims.hash))
            rows_before = await tx.audit.page(covered.n - 1, 1)
            if not rows_before or (rows_before[0].n, rows_before[0].hash) != begin:
                raise CommandFailed(_ALTERED)
        walk = ChainWalk(node.operator, (), read, begin=begin)
        while rows := await tx.audit.page(walk.n):
            if not all(walk.take(row) for row in rows):
                raise CommandFailed(_ALTERED)
    if (walk.n, walk.hash) == begin:
        return covered
    claims_now = AuditCheckpointClaims(
        iss=node.operator, n=walk.n, hash=walk.hash.hex(), iat=int(time.time())
    )
    signed = SignedAuditCheckpoint(
        walk.n, node.keyring.sign(msgspec.structs.asdict(claims_now), typ=CHECKPOINT)
    )
    async with node.store.write() as writing:
        await writing.audit.store_checkpoint(signed)
    return signed


async def verify_audit_trail(node: Node, *, elsewhere: Iterable[str] = ()) -> Verdict:
    """Hold the whole audit trail against its hashes, its checkpoints and those kept elsewhere."""
    async with node.store.read() as tx:
        return await tx.audit.verify(
            node.operator, checkpoint_reader(await tx.keys.all()), elsewhere=tuple(elsewhere)
        )


async def last_entries(node: Node, count: int, *, before: int | None = None) -> tuple[AuditEntry, ...]:
    """The newest entries of the audit trail, newest first; those before a number.

    An entry that cannot be read is left out: ``verify_audit_trail`` names it.
    """
    async with node.store.read() as tx:
        last, _ = await tx.audit.last()
        end = last if before is None else min(last, before - 1)
        rows = await tx.audit.page(max(end - count, 0), count)
    entries = []
    for row in reversed([row for row in rows if row.n <= end]):
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            entries.append(msgspec.json.decode(row.entry, type=AuditEntry))
    return tuple(entries)


def checkpoint_reader(keys: Sequence[OwnKey]) -> Reader:
    """Verifies checkpoints with every key the node ever had."""
    jwks = Keyring(keys).history()
    return partial(verify_jwt, jwks=jwks, types=frozenset({CHECKPOINT}))


_ALTERED = "the audit trail does not follow from its last checkpoint; federation audit verify says where"


async def note_process(node: Node, event: Event) -> None:
    async with node.store.write() as tx:
        await tx.audit.note(
            event,
            actor=ITSELF,
            subject=node.operator,
            detail={"url": node.url, "version": federation.__version__, "key": node.keyring.kid},
        )
