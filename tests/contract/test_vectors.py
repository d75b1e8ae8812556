"""The test vectors keep the rules of the protocol, as ``rules.py`` tells them a second time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from federation.spec.vectors import vectors
from tests.contract.rules import (
    bucket,
    digest,
    kid,
    leaves,
    root,
    sha256,
    signed,
    unpadded,
    verdict,
    written,
)

VECTORS = Path(__file__).parents[2] / "schemas" / "vectors"
DOCUMENTS, DIGESTS, CHECKPOINT, RECEIPT = (
    json.loads((VECTORS / f"{name}.json").read_text())
    for name in ("documents", "digests", "checkpoint", "receipt")
)


def cases(several: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", several, ids=lambda case: case.get("name") or case["bucket"])


def test_every_file_is_read_here() -> None:
    named = {name for name, _ in vectors()}
    assert named == {path.name for path in VECTORS.iterdir()}
    assert named == {"documents.json", "digests.json", "checkpoint.json", "receipt.json"}


# Documents


@cases(DOCUMENTS["canonical"])
def test_canonical_bytes_and_their_hash(case: dict[str, Any]) -> None:
    assert written(case["value"]).decode() == case["canonical"]
    assert sha256(case["canonical"].encode()) == case["sha256"]


def test_a_tombstone_is_the_envelope_without_a_content() -> None:
    record, gone = (case["value"] for case in DOCUMENTS["canonical"][-2:])
    assert gone.keys() == record.keys() - {"content", "same_as"}
    assert gone["revision"] == record["revision"] + 1


def judged(line: str, feed: str) -> str:
    """What can be told of an entry without the schemas of the types."""
    entry = json.loads(line)
    if type(entry["revision"]) is not int:
        return "unreadable"
    if entry["op"] == "withdraw":
        return "taken"
    raw = line[line.index('"document":') + len('"document":') : -1].encode()
    if sha256(raw) != entry["hash"]:
        return "bad-hash"
    document = json.loads(raw)
    named = (document["type"], document["origin"], document["key"], document["revision"])
    if written(document) != raw or named != (
        entry["type"],
        feed.partition("/")[0],
        entry["key"],
        entry["revision"],
    ):
        return "bad-document"
    if {"CLEAR": "public", "GREEN": "federation"}.get(document["tlp"]) != feed.partition("/")[2]:
        return "wrong-audience"
    if document.get("content", ...) is None or (entry["op"] == "upsert") != ("content" in document):
        return "bad-document"
    return "taken"


BY_SCHEMA = {
    "a content that does not keep the schema of its type",
    "a text that is not in normal form C",
    "a text with a character nobody sees",
    "a text with a code point that Unicode 14.0 does not assign",
}


@cases(DOCUMENTS["entries"])
def test_entries_are_judged_as_the_vectors_say(case: dict[str, Any]) -> None:
    if case["name"] in BY_SCHEMA:
        # These rules take the bytes, and know no schema by which to understand them.
        assert (judged(case["line"], case["feed"]), case["verdict"]) == ("taken", "not-understood")
    elif case["name"] == "a number that is no integer":
        assert case["verdict"] == "bad-document"
    else:
        assert judged(case["line"], case["feed"]) == case["verdict"]


def test_every_verdict_on_an_entry_is_there() -> None:
    verdicts = {case["verdict"] for case in DOCUMENTS["entries"]}
    assert verdicts == {
        "taken", "not-understood", "bad-hash", "bad-document", "wrong-audience", "unreadable",
    }  # fmt: skip


# Digests


@cases(DIGESTS["buckets"])
def test_the_bucket_of_a_record(case: dict[str, Any]) -> None:
    assert sha256(f"{case['type']}/{case['key']}".encode()) == case["sha256"]
    assert bucket(case["type"], case["key"]) == case["bucket"]


@cases(DIGESTS["feeds"])
def test_leaves_digests_and_the_root_of_a_feed(case: dict[str, Any]) -> None:
    lines = leaves(case["records"], case["retained_from"])
    assert {number: some for number, some in lines.items() if some} == case["leaves"]
    digests = {number: digest(some) for number, some in lines.items()}
    assert {number: digests[number] for number in case["buckets"]} == case["buckets"]
    assert {digests[number] for number in digests.keys() - case["buckets"].keys()} == {
        case["every_other_bucket"]
    }
    assert root(digests.values()) == case["root"]
    assert case["count"] == sum(record["op"] == "upsert" for record in case["records"])


def test_what_the_digest_tells_apart() -> None:
    roots = {case["name"]: case["root"] for case in DIGESTS["feeds"]}
    assert roots["a few records"] != roots["the same records at other numbers"]
    assert roots["a tombstone that is kept"] == roots["a tombstone just after what is retained from"]
    assert roots["a tombstone that is kept"] != roots["a tombstone that retained_from has passed"]
    withdrawn = roots["a record has been withdrawn at number 10"]
    assert roots["a tombstone that retained_from has passed"] == withdrawn
    crowded = next(case for case in DIGESTS["feeds"] if case["name"] == "several records in one bucket")
    assert [len(lines) for lines in crowded["leaves"].values()] == [4]


# Signatures


@cases(CHECKPOINT["cases"])
def test_checkpoints_are_judged_as_the_vectors_say(case: dict[str, Any]) -> None:
    judged = verdict(case["jws"], case["feed"], CHECKPOINT["jwks"], case["now"])
    assert judged == case["verdict"]


def test_a_checkpoint_names_the_operators_that_it_excludes_or_has_no_such_claim() -> None:
    excluding = {case["name"]: case["claims"].get("except") for case in CHECKPOINT["cases"]}
    assert excluding["that excludes two operators"] == ["megalis", "recia"]
    assert [
        name for name, excludes in excluding.items() if excludes is not None and "excludes" not in name
    ] == []


def test_every_verdict_on_a_checkpoint_is_there() -> None:
    assert {case["verdict"] for case in CHECKPOINT["cases"]} == {"valid", "expired", "refused"}
    assert len({case["name"] for case in CHECKPOINT["cases"]}) == len(CHECKPOINT["cases"])


@cases(RECEIPT["cases"])
def test_receipts_are_signed_by_the_peer(case: dict[str, Any]) -> None:
    assert signed(case["jws"], "federation-receipt+jwt", RECEIPT["jwks"]) == case["claims"]
    assert signed(case["jws"], "federation-checkpoint+jwt", RECEIPT["jwks"]) is None
    assert signed(case["jws"], "federation-receipt+jwt", CHECKPOINT["jwks"]) is None


@pytest.mark.parametrize("told", [CHECKPOINT, RECEIPT], ids=["checkpoint", "receipt"])
def test_the_keys_are_named_by_their_thumbprints_and_said_to_be_known_to_all(told: dict[str, Any]) -> None:
    assert "Never use" in told["warning"]
    (key,) = told["jwks"]["keys"]
    assert key["kid"] == kid(key)
    private = ec.derive_private_key(int.from_bytes(unpadded(told["private_key"]["d"])), ec.SECP256R1())
    assert private.public_key().public_numbers().x == int.from_bytes(unpadded(key["x"]))
