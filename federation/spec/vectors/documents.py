"""Canonical texts of values, and their hashes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from federation.domain.canonical import canonical
from federation.spec.vectors.samples import retracted_record, solution_record
from federation.spec.vectors.signing import sha256


def canonical_cases() -> Iterator[dict[str, Any]]:
    """Values, their canonical text, and its SHA-256."""
    values: tuple[tuple[str, Any], ...] = (
        ("members in order", {"b": 1, "a": 2, "B": 3, "a-b": 4, "_": 5, "10": 6, "9": 7}),
        ("no white space", {"list": [1, [2, {"x": []}], {}], "literals": [True, False]}),
        ("texts beyond ASCII as they are", {"fr": "Numérique à Besançon", "signs": "€ 🏛 漢"}),
        ("the shortest escapes", {"text": "a\"b\\c/d\te\nf'g<h>&i\u2028j"}),
        ("escapes of control characters", {"text": "\x00\x01\x08\x0b\x0c\r\x1f\x7f\x80"}),
        ("integers", [0, -1, 9_007_199_254_740_991, -9_007_199_254_740_991]),
        ("a document", json.loads(solution_record().document)),
        ("the tombstone of it", json.loads(retracted_record().document)),
    )
    for name, value in values:
        raw = canonical(value)
        yield {"name": name, "value": value, "canonical": raw.decode(), "sha256": sha256(raw)}
