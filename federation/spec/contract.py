"""The published contract, as files: what ``schemas/`` of the project holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

import federation
from federation.api import openapi
from federation.api.examples import DRAFTS, KEYS
from federation.api.themes import all_themes
from federation.domain.draft import Draft, check_draft
from federation.domain.record import to_record
from federation.domain.registry import TYPES
from federation.server.app import api
from federation.spec.vectors import WRITTEN_AT, vectors

BASE = "https://node.example.org"


def contract() -> Iterator[tuple[str, bytes]]:
    """Names below the directory, and contents."""
    yield "openapi.json", pretty(openapi.document(api(), BASE))
    for kind in TYPES.values():
        yield f"{kind.type}.schema.json", pretty(openapi.json_schema(kind))
        yield f"examples/{federation.__version__}/{kind.type}.json", example(kind.type)
    yield "themes.json", pretty(all_themes())
    for name, cases in vectors():
        yield f"vectors/{name}", pretty(cases)


def example(type_name: str) -> bytes:
    """The example of a type as it is written down: canonical bytes."""
    shape: Any = Draft
    kind = TYPES[type_name]
    draft = check_draft(DRAFTS[type_name], shape[kind])
    record = to_record(
        draft, kind, "arnia", KEYS[type_name], revision=1, created_at=WRITTEN_AT, updated_at=WRITTEN_AT
    )
    return record.document


def publish(directory: Path) -> Iterator[Path]:
    """Write the contract; examples of earlier versions are left as they are."""
    for name, content in contract():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        yield path


def pretty(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
