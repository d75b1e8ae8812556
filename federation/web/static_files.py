"""The style, the script and the icon of pages: served under a path that changes with their content."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import NamedTuple

TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "txt": "text/plain"}


class StaticFile(NamedTuple):
    """A file as it is sent."""

    name: str
    media_type: str
    body: bytes
    digest: str
    """The first characters of its SHA-256, a part of its path: a copy of it never goes stale."""


@cache
def static_files() -> dict[str, StaticFile]:
    """All files by name."""
    found = {}
    for file in files("federation.web").joinpath("static").iterdir():
        media_type = TYPES.get(file.name.rpartition(".")[2])
        if media_type is not None:
            body = file.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:12]
            found[file.name] = StaticFile(file.name, media_type, body, digest)
    return found


def static_path(name: str) -> str:
    """The path of a file."""
    return f"/static/{static_files()[name].digest}/{name}"
