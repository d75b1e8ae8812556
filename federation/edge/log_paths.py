"""Paths as they stand in the log: without the secrets that some contain."""

from __future__ import annotations

SECRET_PATHS = ("/calendar/",)
"""Beginnings of paths whose rest is a secret. (Calendar programs cannot log in: the address is the key.)"""


def logged_path(path: str) -> str:
    """A path for the log."""
    for beginning in SECRET_PATHS:
        if path.startswith(beginning):
            return f"{beginning}…"
    return path
