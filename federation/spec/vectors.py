"""Test vectors of the sync protocol, for who writes another node: what ``schemas/vectors/`` holds.

Each file is a JSON object of cases with what a right implementation makes of them. They are made by the code
that serves; ``tests/contract/test_vectors.py`` holds them against the rules told a second time. Keys and
signatures are always the same (RFC 6979), so that a file changes when a rule does and at no other time.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

from federation.api.entries import entry_line
from federation.api.examples import DRAFTS
from federation.domain.canonical import canonical
from federation.domain.checkpoint import (
    BUCKETS,
    CHECKPOINT,
    CLOCKS_DIFFER,
    EMPTY,
    LIFETIME,
    MAX_EXCLUSIONS,
    RECEIPT,
    DigestState,
    Leaf,
    Receipt,
    bucket_digest,
    bucket_of,
    checkpoint_of,
    read_checkpoint,
)
from federation.domain.content.solution import Solution
from federation.domain.draft import Draft, check_draft
from federation.domain.entry import RejectedEntry, read_entry, unreadable, verify
from federation.domain.errors import Invalid, Unauthenticated
from federation.domain.feed import FeedName
from federation.domain.record import Record, to_record, tombstone
from federation.domain.record_reading import UNKNOWN_TYPE
from federation.node.keys import thumbprint, verify_jwt

WRITTEN_AT = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
SIGNED_AT = int(WRITTEN_AT.timestamp()) + 3_600
EPOCH = "00f1e2d3c4b5a697"
FEED = FeedName("arnia", "public")

ORIGIN = {
    "kty": "EC",
    "crv": "P-256",
    "x": "YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y",
    "y": "eQP-EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpk",
    "d": "ya-p2EW6dRZrXCFXZ7HWk05Qw9s26JsSe4piKxIPZyE",
}
"""A key that everybody knows (RFC 6979, A.2.5): for tests, never for a node."""
OTHER = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
}
"""Another one (RFC 7515, A.3): that of a peer, or of who is not the origin."""
WARNING = "Test keys: their private parts are published (RFC 6979, A.2.5; RFC 7515, A.3). Never use them."


def vectors() -> Iterator[tuple[str, dict[str, Any]]]:
    """Names below the directory, and contents."""
    yield "documents.json", {"canonical": list(_canonical()), "entries": list(_entries())}
    yield "digests.json", {"buckets": list(_buckets()), "feeds": list(_feeds())}
    yield (
        "checkpoint.json",
        {
            "warning": WARNING,
            "private_key": ORIGIN,
            "jwks": {"keys": [_public(ORIGIN)]},
            "not_the_origins_private_key": OTHER,
            "cases": list(_checkpoints()),
        },
    )
    yield "receipt.json", _receipt()


# Documents


def _canonical() -> Iterator[dict[str, Any]]:
    values: tuple[tuple[str, Any], ...] = (
        ("members in order", {"b": 1, "a": 2, "B": 3, "a-b": 4, "_": 5, "10": 6, "9": 7}),
        ("no white space", {"list": [1, [2, {"x": []}], {}], "literals": [True, False]}),
        ("texts beyond ASCII as they are", {"fr": "Numérique à Besançon", "signs": "€ 🏛 漢"}),
        ("the shortest escapes", {"text": "a\"b\\c/d\te\nf'g<h>&i\u2028j"}),
        ("integers", [0, -1, 9_007_199_254_740_991, -9_007_199_254_740_991]),
        ("a document", json.loads(_solution().document)),
        ("the tombstone of it", json.loads(_gone().document)),
    )
    for name, value in values:
        raw = canonical(value)
        yield {"name": name, "value": value, "canonical": raw.decode(), "sha256": _sha256(raw)}


def _solution() -> Record:
    draft = check_draft(DRAFTS["solution"], Draft[Solution])
    return to_record(
        draft, Solution, FEED.origin, "glpi", revision=1, created_at=WRITTEN_AT, updated_at=WRITTEN_AT
    )


def _gone() -> Record:
    return tombstone(_solution().document, updated_at=WRITTEN_AT + timedelta(hours=1))


def _entries() -> Iterator[dict[str, Any]]:
    """Lines of the feed ``arnia/public``, and what becomes of them at a node that holds nothing.

    ``taken`` and ``not-understood`` are stored and served alike; the other verdicts reject the entry.
    """
    claims: dict[str, Any] = json.loads(_solution().document)
    content = claims["content"]
    unknown = {**{name: claims[name] for name in claims if name != "content"}, "type": "later-type"}
    documents: tuple[tuple[str, dict[str, Any]], ...] = (
        ("a record", claims),
        ("a type that the reader does not know", {**unknown, "content": {"anything": [1, "two"]}}),
        ("a member that the reader does not know", {**claims, "content": {**content, "later": True}}),
        ("a document of another origin", {**claims, "origin": "megalis"}),
        ("a document of another key", {**claims, "key": "other"}),
        ("a document of another revision", {**claims, "revision": 2}),
        ("a label of another feed", {**claims, "tlp": "GREEN"}),
        ("a label that is in no feed", {**claims, "tlp": "RED"}),
        (
            "a content that does not keep the schema of its type",
            {**claims, "content": {**content, "kind": 1}},
        ),
        ("a number that is no integer", {**claims, "content": {**content, "later": 1.5}}),
        ("a text that is not in normal form C", {**claims, "content": {**content, "name": "Cafe\u0301"}}),
        ("a text with a character nobody sees", {**claims, "content": {**content, "name": "GL\u200bPI"}}),
        (
            "a text with a code point that Unicode 14.0 does not assign",
            {**claims, "content": {**content, "name": "GLPI \U0001fae8"}},
        ),
        ("a content that is null", {**claims, "content": None}),
    )
    for name, document in documents:
        yield _verdicts(name, canonical(document), type_name=document["type"])
    indented = json.dumps(claims, ensure_ascii=False, sort_keys=True, indent=1).encode()
    yield _verdicts("a document that is not written canonically", indented.replace(b"\n", b""))
    raw = _solution().document
    yield _verdicts("bytes that were altered", raw.replace(b"GLPI", b"GLPJ", 1), hash_=_solution().hash)
    removed = _gone().document
    yield _verdicts("a tombstone", removed, op="delete", revision=2)
    yield _verdicts("a tombstone that is said to be a record", removed, revision=2)
    yield _verdicts("a record that is said to be a tombstone", raw, op="delete")
    yield _verdict("a withdrawal", entry_line((7, None, "solution", "glpi", 3, None, None)))
    yield _verdict(
        "an entry that cannot be read but for its number",
        b'{"seq":7,"op":"upsert","type":"solution","key":"glpi","revision":"one"}',
    )


def _verdicts(
    name: str,
    raw: bytes,
    *,
    type_name: str = "solution",
    op: str = "upsert",
    revision: int = 1,
    hash_: bytes | None = None,
) -> dict[str, Any]:
    row = (7, op == "delete", type_name, "glpi", revision, hash_ or hashlib.sha256(raw).digest(), raw)
    return _verdict(name, entry_line(row))


def _verdict(name: str, line: bytes) -> dict[str, Any]:
    try:
        result = verify(read_entry(line), FEED)
    except Invalid as why:
        result = unreadable(line, why)
    if isinstance(result, RejectedEntry):
        verdict = result.reason
    else:
        # A type that this version does not know, another reader may know.
        reason = result.record.not_understood if result.record else None
        verdict = "taken" if reason in (None, UNKNOWN_TYPE) else "not-understood"
    return {"name": name, "feed": str(FEED), "line": line.decode(), "verdict": verdict}


# Digests


def _buckets() -> Iterator[dict[str, Any]]:
    for type_name, key in (("solution", "glpi"), ("incident", "2026-0042"), ("later-type", "A.b_c~d-e")):
        name = f"{type_name}/{key}"
        yield {
            "type": type_name,
            "key": key,
            "sha256": _sha256(name.encode()),
            "bucket": f"{bucket_of(type_name, key):02x}",
        }


def _feeds() -> Iterator[dict[str, Any]]:
    glpi = Leaf("solution", "glpi", 1, "upsert", _solution().hash.hex(), 2)
    xwiki = _leaf("solution", "xwiki", 3, 4)
    outage = _leaf("incident", "2026-0042", 12, 9)
    # The order of bytes is not that of numbers, nor of other alphabets.
    neighbours = [_leaf("solution", key, 1, 10 + n) for n, key in enumerate(_neighbours("glpi"))]
    removed = Leaf("solution", "glpi", 2, "delete", _gone().hash.hex(), 10)
    yield _feed_vectors("an empty feed", 0, 0, [])
    yield _feed_vectors("a few records", 9, 0, [glpi, xwiki, outage])
    yield _feed_vectors("the same records at other numbers", 9, 0, [glpi._replace(seq=3), xwiki, outage])
    yield _feed_vectors("several records in one bucket", 20, 0, [glpi, *neighbours])
    yield _feed_vectors("a tombstone that is kept", 10, 0, [removed, xwiki, outage])
    yield _feed_vectors("a tombstone just after what is retained from", 10, 9, [removed, xwiki, outage])
    yield _feed_vectors("a tombstone that retained_from has passed", 10, 10, [removed, xwiki, outage])
    yield _feed_vectors("a record has been withdrawn at number 10", 10, 0, [xwiki, outage])


def _leaf(type_name: str, key: str, revision: int, seq: int) -> Leaf:
    """A record that nobody has to know: its hash is that of its name and revision."""
    hash_ = _sha256(f"{type_name}/{key} {revision}".encode())
    return Leaf(type_name, key, revision, "upsert", hash_, seq)


def _neighbours(key: str, count: int = 3) -> list[str]:
    """The first other keys whose solutions are in the same bucket."""
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
    state = _state(seq, retained_from, records)
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


def _state(seq: int, retained_from: int, records: list[Leaf]) -> DigestState:
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


# Signatures


def _checkpoints() -> Iterator[dict[str, Any]]:
    record = checkpoint_of(FEED, EPOCH, _state(4, 0, [_leaf("solution", "xwiki", 3, 4)]), SIGNED_AT)
    claims = record.claims
    good = _sign(claims, CHECKPOINT)
    yield _record_rows("as it was signed", good, SIGNED_AT)
    yield _record_rows("in its last second", good, record.exp - 1)
    yield _record_rows("when it has expired", good, record.exp)
    yield _record_rows("by a clock that is five minutes behind", good, SIGNED_AT - CLOCKS_DIFFER)
    yield _record_rows("of the future", good, SIGNED_AT - CLOCKS_DIFFER - 1)
    yield _record_rows("of another feed", good, SIGNED_AT, FeedName("arnia", "federation"))
    yield _record_rows("of another origin", good, SIGNED_AT, FeedName("megalis", "public"))
    yield _record_rows(
        "with a claim that the reader does not know", _sign({**claims, "later": 1}, CHECKPOINT), SIGNED_AT
    )
    federation = FeedName("arnia", "federation")
    excluding = checkpoint_of(
        federation,
        EPOCH,
        _state(4, 0, [_leaf("solution", "xwiki", 3, 4)]),
        SIGNED_AT,
        excludes=("megalis", "recia"),
    ).claims
    yield _record_rows("that excludes two operators", _sign(excluding, CHECKPOINT), SIGNED_AT, federation)
    without = {name: value for name, value in excluding.items() if name != "except"}
    yield _record_rows("of that feed that excludes nobody", _sign(without, CHECKPOINT), SIGNED_AT, federation)
    many = {**excluding, "except": [f"operator-{n}" for n in range(MAX_EXCLUSIONS + 1)]}
    yield _record_rows("that excludes too many", _sign(many, CHECKPOINT), SIGNED_AT, federation)
    unnamed = {**excluding, "except": ["No operator's id"]}
    yield _record_rows("that excludes what is no operator", _sign(unnamed, CHECKPOINT), SIGNED_AT, federation)
    long = {**claims, "exp": SIGNED_AT + LIFETIME + 1}
    yield _record_rows("that holds for longer than an hour", _sign(long, CHECKPOINT), SIGNED_AT)
    yield _record_rows(
        "that ends before it begins", _sign({**claims, "exp": SIGNED_AT - 1}, CHECKPOINT), SIGNED_AT
    )
    short = {name: claims[name] for name in claims if name != "retained_from"}
    yield _record_rows("without one of its claims", _sign(short, CHECKPOINT), SIGNED_AT)
    yield _record_rows(
        "signed with a key that is not the origin's", _sign(claims, CHECKPOINT, OTHER), SIGNED_AT
    )
    named = _sign(claims, CHECKPOINT, OTHER, kid=thumbprint(ORIGIN))
    yield _record_rows("signed with another key in the name of the origin's", named, SIGNED_AT)
    head, _, signature = good.split(".")
    altered = _b64(canonical({**claims, "root": _sha256(b"another root")}))
    yield _record_rows("with an altered root", f"{head}.{altered}.{signature}", SIGNED_AT)
    yield _record_rows("of another type", _sign(claims, RECEIPT), SIGNED_AT)
    unsigned = f"{_b64(canonical({'alg': 'none', 'typ': CHECKPOINT}))}.{_b64(canonical(claims))}."
    yield _record_rows("not signed at all", unsigned, SIGNED_AT)


def _record_rows(name: str, jws: str, seconds: int, feed: FeedName = FEED) -> dict[str, Any]:
    """A checkpoint as a reader who asked the origin itself for ``feed`` judges it at ``now``."""
    try:
        claims = read_checkpoint(
            verify_jwt(jws, {"keys": [_public(ORIGIN)]}, frozenset({CHECKPOINT})), feed, float(seconds)
        )
        verdict = "valid" if seconds < claims.exp else "expired"
    except (Unauthenticated, Invalid):
        verdict = "refused"
    return {
        "name": name,
        "feed": str(feed),
        "jws": jws,
        "claims": json.loads(_unb64(jws.split(".")[1])),
        "now": seconds,
        "verdict": verdict,
    }


def _receipt() -> dict[str, Any]:
    receipts = {
        "everything withdrawn up to number 10 is dropped": Receipt(
            iss="megalis", aud=FEED.origin, feed=str(FEED), epoch=EPOCH, seq=10, iat=SIGNED_AT
        ),
        "all of a feed is dropped, which may not be read any more": Receipt(
            iss="megalis", aud=FEED.origin, feed="arnia/security", epoch=EPOCH, seq=31, iat=SIGNED_AT,
            purged=True,
        ),
    }  # fmt: skip
    cases = []
    for name, receipt in receipts.items():
        claims = msgspec.structs.asdict(receipt)
        cases.append({"name": name, "claims": claims, "jws": _sign(claims, RECEIPT, OTHER)})
    return {"warning": WARNING, "private_key": OTHER, "jwks": {"keys": [_public(OTHER)]}, "cases": cases}


def _public(key: dict[str, str]) -> dict[str, str]:
    return {
        **{name: key[name] for name in ("kty", "crv", "x", "y")},
        "kid": thumbprint(key),
        "use": "sig",
        "alg": "ES256",
    }


def _sign(claims: dict[str, Any], typ: str, key: dict[str, str] = ORIGIN, *, kid: str = "") -> str:
    """A JWS whose signature is always the same (RFC 6979)."""
    head = canonical({"alg": "ES256", "kid": kid or thumbprint(key), "typ": typ})
    signed = f"{_b64(head)}.{_b64(canonical(claims))}"
    private = ec.derive_private_key(int.from_bytes(_unb64(key["d"])), ec.SECP256R1())
    r, s = utils.decode_dss_signature(
        private.sign(signed.encode(), ec.ECDSA(SHA256(), deterministic_signing=True))
    )
    return f"{signed}.{_b64(r.to_bytes(32) + s.to_bytes(32))}"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
