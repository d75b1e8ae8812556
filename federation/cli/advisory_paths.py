"""The files that an import of advisories reads: those that are named, and those in directories."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from federation.domain.errors import CommandFailed

MAX_FILES = 400_000
"""Files of one import, at most."""
STANDARD_INPUT = "-"
LINES = (".jsonl", ".ndjson")
UNREAD = (".gz", ".tgz", ".bz2", ".tbz", ".xz", ".txz", ".zst", ".tar", ".7z", ".rar")
"""Formats of archives that are not read: advisories in them must not be missed without a word."""
SUFFIXES = (".json", *LINES, ".zip", *UNREAD)


def find_paths(files: Iterable[Path]) -> list[str]:
    """The files, and those in directories. Raises CommandFailed beyond ``MAX_FILES``."""
    paths: list[str] = []
    for file in files:
        if not file.is_dir():
            paths.append(str(file))
            continue
        unreadable: list[OSError] = []
        before = len(paths)
        for directory, inner, names in os.walk(file, onerror=unreadable.append):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            found = (os.path.join(directory, name) for name in sorted(names) if is_advisory(name))
            paths += [path for path in found if os.path.isfile(path)]
            if len(paths) > MAX_FILES:
                break
        paths += [str(error.filename) for error in unreadable]  # read again, for the reason
        if len(paths) == before:
            paths.append(str(file))
    if len(paths) > MAX_FILES:
        raise CommandFailed(f"more than {MAX_FILES} files are named")
    return paths


def total_size(paths: Iterable[str]) -> int:
    """The bytes of the files, as far as they are known."""
    size = 0
    for path in paths:
        with suppress(OSError):
            size += os.path.getsize(path) if path != STANDARD_INPUT else 0
    return size


def is_advisory(name: str) -> bool:
    """True for the name of a file that counts: hidden ones do not."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")
