"""Whatever is changed before the last checkpoint is found, and where it was changed is named."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from federation.domain.audit import CHECKPOINT, GENESIS, AuditEntry, AuditRow, SignedAuditCheckpoint, link
from federation.domain.audit_chain import ChainFault, Verdict
from federation.domain.canonical import canonical
from federation.domain.errors import CommandFailed
from federation.domain.peer import OwnKey
from federation.node import audit
from federation.node.keys import Keyring, mint_private_key
from federation.node.node import Node
from tests.audit.audit_trail import Trail, noted, trail

ENTRIES = 60
EVERY = 12
CHANGES = 1_000
SEED = 20261126


@pytest.fixture
async def whole(arnia: Node) -> Trail:
    """A trail of 60 entries and 5 checkpoints, the last one over its end."""
    for _ in range(ENTRIES // EVERY):
        await noted(arnia, EVERY)
        await audit.sign_audit_checkpoint(arnia)
    return await trail(arnia)


# Changes. Each gives the altered trail and the number of the first entry that is no longer as it was.

Change = Callable[[random.Random, list[AuditRow], list[SignedAuditCheckpoint]], int]


def rehashed(rows: list[AuditRow], begin: int) -> None:
    """Hash anew from a place on: what somebody does who can write and cannot sign."""
    previous = rows[begin - 1].hash if begin else GENESIS
    for place in range(begin, len(rows)):
        rows[place] = rows[place]._replace(hash=(previous := link(previous, rows[place].entry)))


def another_byte(dice: random.Random, raw: bytes) -> bytes:
    place = dice.randrange(len(raw))
    return raw[:place] + bytes([raw[place] ^ dice.randrange(1, 256)]) + raw[place + 1 :]


def a_byte_of_an_entry(dice: random.Random, rows: list[AuditRow], _: list[SignedAuditCheckpoint]) -> int:
    place = dice.randrange(len(rows))
    rows[place] = rows[place]._replace(entry=another_byte(dice, rows[place].entry))
    return place + 1


def a_byte_of_a_hash(dice: random.Random, rows: list[AuditRow], _: list[SignedAuditCheckpoint]) -> int:
    place = dice.randrange(len(rows))
    rows[place] = rows[place]._replace(hash=another_byte(dice, rows[place].hash))
    return place + 1


def a_row_taken_out(dice: random.Random, rows: list[AuditRow], _: list[SignedAuditCheckpoint]) -> int:
    return rows.pop(dice.randrange(len(rows))).n


def two_swapped(dice: random.Random, rows: list[AuditRow], _: list[SignedAuditCheckpoint]) -> int:
    one, other = sorted(dice.sample(range(len(rows)), 2))
    rows[one], rows[other] = (
        AuditRow(rows[one].n, rows[other].entry, rows[other].hash),
        AuditRow(rows[other].n, rows[one].entry, rows[one].hash),
    )
    return one + 1


def one_put_in(dice: random.Random, rows: list[AuditRow], _: list[SignedAuditCheckpoint]) -> int:
    """With a hash that fits; those after it are numbered anew, in the table alone.

    It follows from what was before, so the first at fault is the next one, or the checkpoint over it.
    """
    place = dice.randrange(len(rows))
    previous = rows[place - 1].hash if place else GENESIS
    entry = canonical(msgspec.structs.replace(decoded(rows[place]), subject="put in"))
    rows[place:] = [
        AuditRow(place + 1, entry, link(previous, entry)),
        *(row._replace(n=row.n + 1) for row in rows[place:]),
    ]
    return place + 1 if (place + 1) % EVERY == 0 else place + 2


def numbered_anew(dice: random.Random, rows: list[AuditRow], _: list[SignedAuditCheckpoint]) -> int:
    """A row taken out and the gap closed, in the table alone."""
    place = dice.randrange(len(rows) - 1)
    rows[place:] = [row._replace(n=row.n - 1) for row in rows[place + 1 :]]
    return place + 1


def the_end_cut_off(dice: random.Random, rows: list[AuditRow], _: list[SignedAuditCheckpoint]) -> int:
    place = dice.randrange(len(rows))
    del rows[place:]
    return place + 1


def a_byte_of_a_checkpoint(
    dice: random.Random, _: list[AuditRow], checkpoints: list[SignedAuditCheckpoint]
) -> int:
    place = dice.randrange(len(checkpoints))
    n, jws = checkpoints[place]
    # The last characters of a part may have bits that mean nothing: any other place has none.
    at = dice.choice([i for i in range(len(jws) - 1) if "." not in jws[i : i + 2]])
    letter = dice.choice([c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c != jws[at]])
    checkpoints[place] = SignedAuditCheckpoint(n, jws[:at] + letter + jws[at + 1 :])
    return n


def a_checkpoint_of_another_entry(
    dice: random.Random, _: list[AuditRow], checkpoints: list[SignedAuditCheckpoint]
) -> int:
    one, other = sorted(dice.sample(range(len(checkpoints)), 2))
    checkpoints[one], checkpoints[other] = (
        SignedAuditCheckpoint(checkpoints[one].n, checkpoints[other].jws),
        SignedAuditCheckpoint(checkpoints[other].n, checkpoints[one].jws),
    )
    return checkpoints[one].n


def a_checkpoint_of_another_key(
    dice: random.Random, rows: list[AuditRow], checkpoints: list[SignedAuditCheckpoint]
) -> int:
    """An entry is told otherwise, all is hashed anew, and signed with a key that is not the node's."""
    place = dice.randrange(len(rows))
    told_otherwise(rows, place)
    rehashed(rows, place)
    for i, (n, _) in enumerate(checkpoints):
        if n > place:
            claims = {"iss": "arnia", "n": n, "hash": rows[n - 1].hash.hex(), "iat": 1}
            checkpoints[i] = SignedAuditCheckpoint(n, FORGER.sign(claims, typ=CHECKPOINT))
    return first_checkpoint(place)


def told_otherwise_and_hashed_anew(
    dice: random.Random, rows: list[AuditRow], _: list[SignedAuditCheckpoint]
) -> int:
    place = dice.randrange(len(rows))
    told_otherwise(rows, place)
    rehashed(rows, place)
    return first_checkpoint(place)


def taken_out_and_hashed_anew(
    dice: random.Random, rows: list[AuditRow], _: list[SignedAuditCheckpoint]
) -> int:
    """A row taken out, its followers numbered anew within and without, and hashed anew."""
    place = dice.randrange(len(rows))
    del rows[place]
    for i in range(place, len(rows)):
        entry = canonical(msgspec.structs.replace(decoded(rows[i]), n=i + 1))
        rows[i] = AuditRow(i + 1, entry, b"")
    rehashed(rows, place)
    return first_checkpoint(place)


CHANGED: tuple[Change, ...] = (
    a_byte_of_an_entry,
    a_byte_of_a_hash,
    a_row_taken_out,
    two_swapped,
    one_put_in,
    numbered_anew,
    the_end_cut_off,
    a_byte_of_a_checkpoint,
    a_checkpoint_of_another_entry,
    a_checkpoint_of_another_key,
    told_otherwise_and_hashed_anew,
    taken_out_and_hashed_anew,
)
FORGER = Keyring.of(mint_private_key())


def decoded(row: AuditRow) -> AuditEntry:
    return msgspec.json.decode(row.entry, type=AuditEntry)


def told_otherwise(rows: list[AuditRow], place: int) -> None:
    entry = canonical(msgspec.structs.replace(decoded(rows[place]), actor="somebody else"))
    rows[place] = rows[place]._replace(entry=entry)


def first_checkpoint(place: int) -> int:
    """The number of the first checkpoint over the entry at a place."""
    return (place // EVERY + 1) * EVERY


def test_the_trail_as_it_is_holds(whole: Trail) -> None:
    found = whole.verify()
    assert found == Verdict(
        entries=ENTRIES,
        checkpoints=ENTRIES // EVERY,
        after_checkpoint=0,
        last_at=decoded(whole.rows[-1]).at,
        fault=None,
    )


def test_a_thousand_random_changes_are_all_found_where_they_were_made(whole: Trail) -> None:
    dice = random.Random(SEED)
    missed: list[tuple[str, int, ChainFault | None]] = []
    kinds: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for n in range(CHANGES):
        change = CHANGED[n % len(CHANGED)]
        rows, checkpoints = list(whole.rows), list(whole.checkpoints)
        first = change(dice, rows, checkpoints)
        fault = whole._replace(rows=rows, checkpoints=checkpoints).verify().fault
        kinds[change.__name__] += 1
        if fault is None or fault.n != first:
            missed.append((change.__name__, first, fault))
        else:
            found[fault.what] += 1
    assert missed == []
    assert sum(kinds.values()) == CHANGES
    assert min(kinds.values()) >= CHANGES // len(CHANGED)
    # Each fault that there is a word for has been met, so none of the checks is idle.
    assert set(found) == {"missing", "changed", "out-of-chain", "rewritten", "truncated", "bad-checkpoint"}


def test_the_trail_after_the_last_checkpoint_can_be_altered_and_the_count_says_so(whole: Trail) -> None:
    """What is not promised: whoever can write and hash finds no signature in the way there."""
    altered = whole._replace(rows=list(whole.rows), checkpoints=whole.checkpoints[:-1])
    told_otherwise(altered.rows, ENTRIES - 1)
    rehashed(altered.rows, ENTRIES - 1)
    found = altered.verify()
    assert found.fault is None
    assert found.after_checkpoint == EVERY


def test_a_checkpoint_kept_elsewhere_finds_what_those_in_the_database_cannot(whole: Trail) -> None:
    kept = whole.checkpoints[-1].jws
    assert whole.verify(elsewhere=(kept,)).checkpoints == len(whole.checkpoints) + 1

    truncated = whole._replace(rows=whole.rows[:EVERY], checkpoints=whole.checkpoints[:1])
    assert truncated.verify().fault is None
    fault = truncated.verify(elsewhere=(kept,)).fault
    assert fault is not None
    assert (fault.n, fault.what) == (EVERY + 1, "truncated")

    emptied = whole._replace(rows=[], checkpoints=[])
    assert emptied.verify().fault is None
    fault = emptied.verify(elsewhere=(whole.checkpoints[0].jws, kept)).fault
    assert fault is not None
    assert (fault.n, fault.what) == (1, "truncated")

    rewritten = whole._replace(rows=list(whole.rows), checkpoints=[])
    told_otherwise(rewritten.rows, 3)
    rehashed(rewritten.rows, 3)
    fault = rewritten.verify(elsewhere=(kept,)).fault
    assert fault is not None
    assert (fault.n, fault.what) == (ENTRIES, "rewritten")


@pytest.mark.parametrize("kept", ["", "x", "a.b.c", "é" * 10])
def test_what_is_kept_elsewhere_and_is_no_checkpoint_of_the_node_is_a_fault(whole: Trail, kept: str) -> None:
    fault = whole.verify(elsewhere=(whole.checkpoints[0].jws, kept)).fault
    assert fault is not None
    assert fault.what == "bad-checkpoint"
    assert "checkpoint 2 of those kept elsewhere" in fault.detail


async def test_a_checkpoint_that_the_node_signed_for_something_else_is_none(
    arnia: Node, whole: Trail
) -> None:
    """The right key is not enough: another type, another operator, another entry, no entry."""
    hash_ = whole.rows[9].hash.hex()
    good = {"iss": "arnia", "n": 10, "hash": hash_, "iat": 1}
    for claims, typ in (
        (good, "at+jwt"),
        ({**good, "iss": "megalis"}, CHECKPOINT),
        ({**good, "n": 11}, CHECKPOINT),
        ({**good, "n": "10"}, CHECKPOINT),
        ({"iss": "arnia", "n": 10}, CHECKPOINT),
    ):
        jws = arnia.keyring.sign(claims, typ=typ)
        fault = whole._replace(checkpoints=[SignedAuditCheckpoint(10, jws)]).verify().fault
        assert fault is not None, claims
        assert (fault.n, fault.what) == (10, "bad-checkpoint")
    for n in (0, -5):
        jws = arnia.keyring.sign({**good, "n": n}, typ=CHECKPOINT)
        fault = whole._replace(checkpoints=[SignedAuditCheckpoint(n, jws)]).verify().fault
        assert fault is not None
        assert fault.what == "bad-checkpoint"
    assert (
        whole._replace(checkpoints=[SignedAuditCheckpoint(10, arnia.keyring.sign(good, typ=CHECKPOINT))])
        .verify()
        .fault
        is None
    )


# In the database


IN_SQL = {
    "changed": "UPDATE audit SET entry = set_byte(entry, 20, get_byte(entry, 20) # 1) WHERE n = 7",
    "missing": "DELETE FROM audit WHERE n = 7",
    "out-of-chain": "UPDATE audit SET entry = (SELECT entry FROM audit WHERE n = 8) WHERE n = 7",
    "truncated": "DELETE FROM audit WHERE n >= 7; DELETE FROM audit_checkpoints WHERE n < 20",
    "bad-checkpoint": "UPDATE audit_checkpoints SET jws = replace(jws, '.', 'A.') WHERE n = 12",
}


@pytest.mark.parametrize("what", sorted(IN_SQL))
async def test_what_is_altered_in_the_database_is_found_and_not_signed(
    arnia: Node, whole: Trail, look: Any, what: str
) -> None:
    assert (await audit.verify_audit_trail(arnia)).fault is None
    await look.execute(IN_SQL[what])
    fault = (await audit.verify_audit_trail(arnia)).fault
    assert fault is not None
    assert fault.what == what
    assert fault.n == (12 if what == "bad-checkpoint" else 7)
    assert len(whole.rows) == ENTRIES


ALTERED_SINCE = {
    "an entry since the last checkpoint": "UPDATE audit SET entry = 'x' WHERE n = 62",
    "an entry since it is missing": "DELETE FROM audit WHERE n = 61",
    "the entry it covers": "UPDATE audit SET hash = 'x' WHERE n = 60",
    "the end was cut off before it": "DELETE FROM audit WHERE n > 50",
    "everything was cut off": "DELETE FROM audit",
    "the checkpoint": "UPDATE audit_checkpoints SET jws = 'x' WHERE n = 60",
    "the checkpoint's number": "UPDATE audit_checkpoints SET n = 61 WHERE n = 60",
}


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("change", ALTERED_SINCE.values(), ids=ALTERED_SINCE.keys())
async def test_what_does_not_follow_from_the_last_checkpoint_is_not_signed(
    arnia: Node, look: Any, change: str
) -> None:
    await noted(arnia, 3)
    await look.execute(change)
    before = await look.fetch("SELECT * FROM audit_checkpoints ORDER BY n")
    with pytest.raises(CommandFailed, match="does not follow from its last checkpoint"):
        await audit.sign_audit_checkpoint(arnia)
    assert await look.fetch("SELECT * FROM audit_checkpoints ORDER BY n") == before


@pytest.mark.usefixtures("whole")
async def test_checkpoints_hold_when_the_node_has_another_key_and_the_former_one_is_retired(
    arnia: Node,
) -> None:
    former = arnia.keyring.kid
    async with arnia.store.write() as tx:
        await tx.keys.add(OwnKey(jwk=mint_private_key(), use_from=arnia.clock() - timedelta(seconds=1)))
        await tx.keys.retire(former)
        arnia.keyring.reload(await tx.keys.all())
    assert arnia.keyring.kid != former
    await noted(arnia)
    await audit.sign_audit_checkpoint(arnia)
    found = await audit.verify_audit_trail(arnia)
    assert found.fault is None
    assert found.checkpoints == ENTRIES // EVERY + 1


async def test_two_rows_of_one_number_cannot_be(arnia: Node, whole: Trail, look: Any) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        await look.execute("INSERT INTO audit SELECT * FROM audit WHERE n = 7")
    rows = [*whole.rows[:7], *whole.rows[6:]]
    fault = whole._replace(rows=rows).verify().fault
    assert fault == ChainFault(7, "out-of-chain", "there are two entries 7")
