"""Samples that several files of vectors share: names, times, and records of the feed ``arnia/public``."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from federation.api.examples import DRAFTS
from federation.domain.content.solution import Solution
from federation.domain.draft import Draft, check_draft
from federation.domain.feed import FeedName
from federation.domain.record import Record, to_record, tombstone

WRITTEN_AT = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
SIGNED_AT = int(WRITTEN_AT.timestamp()) + 3_600
EPOCH = "00f1e2d3c4b5a697"
FEED = FeedName("arnia", "public")
ARNIA = "https://federation.arnia.example.org"
MEGALIS = "https://federation.megalis.example.org"
SECRET = "dGVzdCB2ZWN0b3I6IGEgc2VjcmV0IG9mIDI1NiBiaXQ"  # noqa: S105 - of an invitation of nobody
"""The secret of an invitation."""


def solution_record() -> Record:
    """The record ``solution/glpi`` of the operator ``arnia``, CLEAR, at its first revision."""
    draft = check_draft(DRAFTS["solution"], Draft[Solution])
    return to_record(
        draft, Solution, FEED.origin, "glpi", revision=1, created_at=WRITTEN_AT, updated_at=WRITTEN_AT
    )


def retracted_record() -> Record:
    """The tombstone of that record."""
    return tombstone(solution_record().document, updated_at=WRITTEN_AT + timedelta(hours=1))


def solution_document(**changes: Any) -> dict[str, Any]:
    """The document of that record with other members in its envelope; ``content`` is replaced as a whole."""
    return {**json.loads(solution_record().document), **changes}


def with_content(**changes: Any) -> dict[str, Any]:
    """The document of that record with other members in its content."""
    document = solution_document()
    return {**document, "content": {**document["content"], **changes}}
