"""Buckets, leaves, digests and roots."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from federation.domain.checkpoint import (
    BUCKETS,
    EMPTY,
    DigestState,
    Leaf,
    bucket_digest,
    bucket_of,
)
from federation.spec.vectors.samples import retracted_record, solution_record
from federation.spec.vectors.signing import sha256


def bucket_cases() -> Iterator[dict[str, Any]]:
    """Names of records, and the buckets that they are in."""
    for type_name, key in (("solution", "glpi"), ("incident", "2026-0042"), ("later-type", "A.b_c~d-e")):
        name = f"{type_name}/{key}"
        yield {
            "type": type_name,
            "key": key,
            "sha256": sha256(name.encode()),
            "bucket": f"{bucket_of(type_name, key):02x}",
        }


def feed_cases() -> Iterator[dict[str, Any]]:
    """Records of feeds, with their leaves, digests and roots."""
    glpi = Leaf("solution", "glpi", 1, "upsert", solution_record().hash.hex(), 2)
    xwiki = sample_leaf("solution", "xwiki", 3, 4)
    outage = sample_leaf("incident", "2026-0042", 12, 9)
    # The order of bytes is not that of numbers, nor of other alphabets.
    neighbours = [sample_leaf("solution", key, 1, 10 + n) for n, key in enumerate(_neighbours("glpi"))]
    removed = Leaf("solution", "glpi", 2, "delete", retracted_record().hash.hex(), 10)
    yield _feed_vectors("an empty feed", 0, 0, [])
    yield _feed_vectors("a few records", 9, 0, [glpi, xwiki, outage])
    yield _feed_vectors("the same records at other numbers", 9, 0, [glpi._replace(seq=3), xwiki, outage])
    yield _feed_vectors("several records in one bucket", 20, 0, [glpi, *neighbours])
    yield _feed_vectors("a tombstone that is kept", 10, 0, [removed, xwiki, outage])
    yield _feed_vectors("a tombstone just after what is retained from", 10, 9, [removed, xwiki, outage])
    yield _feed_vectors("a tombstone that retained_from has passed", 10, 10, [removed, xwiki, outage])
    yield _feed_vectors("a record has been withdrawn at number 10", 10, 0, [xwiki, outage])


def sample_leaf(type_name: str, key: str, revision: int, seq: int) -> Leaf:
    """The leaf of a record whose hash is that of its name and revision."""
    hash_ = sha256(f"{type_name}/{key} {revision}".encode())
    return Leaf(type_name, key, revision, "upsert", hash_, seq)


def _neighbours(key: str, count: int = 3) -> list[str]:
    """Keys whose solutions are in the bucket of this one."""
    bucket = bucket_of("solution", key)
    result: list[str] = []
    n = 0
    while len(result) < count:
        n += 1
        for candidate in (f"{key}-{n}", f"{key.upper()}_{n}"):
            if bucket_of("solution", candidate) == bucket:
                result.append(candidate)
    return result[:count]


def _feed_vectors(name: str, seq: int, retained_from: int, records: list[Leaf]) -> dict[str, Any]:
    leaves: dict[int, list[str]] = {}
    for leaf in records:
        if leaf.op == "upsert" or leaf.seq > retained_from:
            leaves.setdefault(bucket_of(leaf.type, leaf.key), []).append(str(leaf))
    state = digest_state(seq, retained_from, records)
    return {
        "name": name,
        "seq": seq,
        "retained_from": retained_from,
        "records": [leaf._asdict() for leaf in records],
        "count": state.count,
        "leaves": {f"{bucket:02x}": sorted(lines) for bucket, lines in sorted(leaves.items())},
        "buckets": {f"{bucket:02x}": bucket_digest(lines).hex() for bucket, lines in sorted(leaves.items())},
        "every_other_bucket": EMPTY.hex(),
        "root": state.root,
    }


def digest_state(seq: int, retained_from: int, records: list[Leaf]) -> DigestState:
    """The state of a feed with these records."""
    lines: list[list[str]] = [[] for _ in range(BUCKETS)]
    for leaf in records:
        if leaf.op == "upsert" or leaf.seq > retained_from:
            lines[bucket_of(leaf.type, leaf.key)].append(str(leaf))
    return DigestState(
        seq=seq,
        retained_from=retained_from,
        count=sum(leaf.op == "upsert" for leaf in records),
        buckets=b"".join(bucket_digest(entries) for entries in lines),
    )
