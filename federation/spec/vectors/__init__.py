"""Test vectors of the protocol, for authors of another node: the files of ``schemas/vectors/``.

Each file is a JSON object of cases with the verdict of a right implementation. Verdicts are written down here
by hand, and not computed by the code that serves: ``tests/contract`` holds both this node and a second
implementation of the rules against them. Keys and signatures are always the same (RFC 6979), so that a file
changes when a rule does and at no other time.

``{"repeat": X, "times": N}`` stands for X so many times: for a part of a text, or for members of an array.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from federation.spec.vectors import (
    assertions,
    checkpoints,
    digests,
    documents,
    entries,
    exchanges,
    invitations,
    moves,
    proofs,
    receipts,
    registrations,
    successions,
    texts,
)
from federation.spec.vectors.samples import WRITTEN_AT

__all__ = ["WRITTEN_AT", "vectors"]


def vectors() -> Iterator[tuple[str, dict[str, Any]]]:
    """Names of the files, and contents."""
    yield (
        "documents.json",
        {
            "canonical": list(documents.canonical_cases()),
            "entries": [*entries.entry_cases(), *texts.text_cases(), *entries.size_cases()],
        },
    )
    yield "digests.json", {"buckets": list(digests.bucket_cases()), "feeds": list(digests.feed_cases())}
    yield "checkpoint.json", checkpoints.checkpoint_file()
    yield "receipt.json", receipts.receipt_file()
    yield "succession.json", successions.succession_file()
    yield (
        "joining.json",
        {
            "invitations": list(invitations.invitation_cases()),
            "codes": list(invitations.code_cases()),
            "registration": registrations.registration_part(),
            "welcome": registrations.welcome_part(),
        },
    )
    yield "assertion.json", assertions.assertion_file()
    yield "dpop.json", proofs.proof_file()
    yield "moves.json", {"sequences": list(moves.sequences())}
    yield "exchanges.json", {"exchanges": list(exchanges.exchanges())}
