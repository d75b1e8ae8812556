"""Files that people are about to import, between their upload and the import."""

from __future__ import annotations

from typing import NamedTuple


class UploadedFile(NamedTuple):
    """A file that a person is about to import."""

    id: str
    person: str
    name: str
    kind: str
    options: bytes
    """JSON: how it is read."""
    raw: bytes
