"""The test vectors keep the rules of the protocol, as ``rules.py`` and its neighbours tell them again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jsonschema import Draft202012Validator

from federation.spec.vectors import vectors
from tests.contract import entry_rules, joining_rules
from tests.contract.rules import (
    bucket,
    digest,
    kid,
    leaves,
    receipt_verdict,
    root,
    sha256,
    signed,
    unpadded,
    verdict,
    written,
)

SCHEMAS = Path(__file__).parents[2] / "schemas"
VECTORS = {path.stem: json.loads(path.read_text()) for path in (SCHEMAS / "vectors").iterdir()}
TYPES = {path.name.partition(".")[0]: json.loads(path.read_text()) for path in SCHEMAS.glob("*.schema.json")}
DOCUMENTS, DIGESTS, CHECKPOINT, RECEIPT, JOINING = (
    VECTORS[name] for name in ("documents", "digests", "checkpoint", "receipt", "joining")
)


def cases(several: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", several, ids=lambda case: case.get("name") or str(case)[:40])


def verdicts(several: list[dict[str, Any]]) -> set[str]:
    """The verdicts of some cases; each has a name of its own."""
    assert len({case["name"] for case in several}) == len(several)
    return {case["verdict"] for case in several}


def test_every_file_is_read_here() -> None:
    assert {name for name, _ in vectors()} == {f"{name}.json" for name in VECTORS} == {
        "documents.json", "digests.json", "checkpoint.json", "receipt.json", "succession.json",
        "joining.json", "assertion.json", "dpop.json", "moves.json", "exchanges.json",
    }  # fmt: skip


# Documents


@cases(DOCUMENTS["canonical"])
def test_canonical_bytes_and_their_hash(case: dict[str, Any]) -> None:
    assert written(case["value"]).decode() == case["canonical"]
    assert sha256(case["canonical"].encode()) == case["sha256"]


def test_a_tombstone_is_the_envelope_without_a_content() -> None:
    record, gone = (case["value"] for case in DOCUMENTS["canonical"][-2:])
    assert gone.keys() == record.keys() - {"content", "same_as"}
    assert gone["revision"] == record["revision"] + 1


@cases(DOCUMENTS["entries"])
def test_entries_are_judged_as_the_vectors_say(case: dict[str, Any]) -> None:
    line = entry_rules.whole(case["line"])
    judged = entry_rules.judge(line, case["feed"], set(TYPES))
    if judged == ("understood", None) and '"content"' in line and "later-type" not in line:
        document = json.loads(line)["document"]
        if not Draft202012Validator(TYPES[document["type"]]).is_valid(document):
            judged = ("not-understood", "schema")
    assert judged == (case["verdict"], case.get("reason"))


def test_every_verdict_on_an_entry_is_there() -> None:
    assert verdicts(DOCUMENTS["entries"]) == {"understood", "not-understood", "rejected", "ends-the-stream"}
    assert {case.get("reason") for case in DOCUMENTS["entries"]} == {
        None, "type", "schema", "text", "unreadable", "bad-hash", "bad-document", "wrong-audience",
    }  # fmt: skip


@cases(VECTORS["moves"]["sequences"])
def test_a_reader_has_the_records_of_each_step(case: dict[str, Any]) -> None:
    copies = entry_rules.Copies()
    for step in case["steps"]:
        reason = copies.apply(step["feed"], json.loads(step["line"]))
        assert (reason, "rejected" if reason else "accepted") == (step.get("reason"), step["verdict"])
        stored = [{n: v for n, v in record.items() if n != "hash"} for record in copies.records.values()]
        assert stored == step["records"]


@cases(VECTORS["exchanges"]["exchanges"])
def test_a_reader_does_what_an_answer_asks_for(case: dict[str, Any]) -> None:
    assert entry_rules.reaction(case) == case["does"]


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


@cases(RECEIPT["cases"])
def test_receipts_are_judged_as_the_vectors_say(case: dict[str, Any]) -> None:
    named = RECEIPT["peer"], RECEIPT["origin"]
    assert receipt_verdict(case["jws"], *named, RECEIPT["jwks"], case["now"]) == case["verdict"]


def test_a_receipt_is_no_checkpoint_and_not_by_the_origin() -> None:
    jws = RECEIPT["cases"][0]["jws"]
    assert signed(jws, "federation-receipt+jwt", RECEIPT["jwks"]) == RECEIPT["cases"][0]["claims"]
    assert signed(jws, "federation-checkpoint+jwt", RECEIPT["jwks"]) is None
    assert signed(jws, "federation-receipt+jwt", CHECKPOINT["jwks"]) is None


@pytest.mark.parametrize("file", [CHECKPOINT, RECEIPT], ids=["checkpoint", "receipt"])
def test_the_keys_are_named_by_their_thumbprints_and_said_to_be_known_to_all(file: dict[str, Any]) -> None:
    assert "Never use" in file["warning"]
    (key,) = file["jwks"]["keys"]
    assert key["kid"] == kid(key)
    private = ec.derive_private_key(int.from_bytes(unpadded(file["private_key"]["d"])), ec.SECP256R1())
    assert private.public_key().public_numbers().x == int.from_bytes(unpadded(key["x"]))


# Keys and joining


@cases(VECTORS["succession"]["cases"])
def test_keys_are_followed_as_the_vectors_say(case: dict[str, Any]) -> None:
    jwks = dict(case["jwks"])
    if isinstance(jwks.get("succession"), list) and "repeat" in str(jwks["succession"]):
        jwks["succession"] = entry_rules.whole(jwks["succession"])
    trusted = joining_rules.trusted(jwks, case["known"], VECTORS["succession"]["operator"])
    assert (trusted, "trusted" if trusted else "refused") == (case.get("trusted"), case["verdict"])


@cases(JOINING["invitations"])
def test_invitations_are_read_as_the_vectors_say(case: dict[str, Any]) -> None:
    parts = [case[name] for name in ("url", "thumbprint", "secret")] if case["verdict"] == "read" else None
    assert joining_rules.invitation(case["text"]) == parts


@cases(JOINING["codes"])
def test_both_sides_show_one_code(case: dict[str, Any]) -> None:
    assert (
        joining_rules.code(case["thumbprints"])
        == joining_rules.code(case["thumbprints"][::-1])
        == case["code"]
    )


@cases(JOINING["registration"]["cases"])
def test_registrations_are_answered_as_the_vectors_say(case: dict[str, Any]) -> None:
    part = JOINING["registration"]
    assert (
        joining_rules.registration(case["body"], part["inviter"], part["secret"], part["now"])
        == case["status"]
    )


@cases(JOINING["welcome"]["cases"])
def test_welcomes_are_judged_as_the_vectors_say(case: dict[str, Any]) -> None:
    assert joining_rules.welcome(case["proof"], JOINING["welcome"]) == case["verdict"]


# Tokens


@cases([*VECTORS["assertion"]["cases"], *VECTORS["assertion"]["sequences"]])
def test_assertions_are_judged_as_the_vectors_say(case: dict[str, Any]) -> None:
    file, used = VECTORS["assertion"], set[str]()
    for step in case.get("steps", [case]):
        judged = joining_rules.assertion(step["assertion"], file["issuer"], file["peer"], step["now"], used)
        assert judged == step["verdict"]


@cases([*VECTORS["dpop"]["cases"], *VECTORS["dpop"]["sequences"]])
def test_proofs_are_judged_as_the_vectors_say(case: dict[str, Any]) -> None:
    request = case["method"], case["url"], case.get("token"), VECTORS["dpop"]["jkt"]
    used = set[str]()
    for step in case.get("steps", [case]):
        assert joining_rules.proof(step["headers"], *request, step["now"], used) == step["verdict"]


@pytest.mark.parametrize("file", ["checkpoint", "receipt", "assertion", "dpop", "succession"])
def test_each_kind_of_signature_has_cases_of_both_verdicts(file: str) -> None:
    assert len(verdicts(VECTORS[file]["cases"])) >= 2
    assert {case["status"] for case in JOINING["registration"]["cases"]} == {201, 400, 401}
    assert verdicts(JOINING["welcome"]["cases"]) == {"accepted", "refused"}
