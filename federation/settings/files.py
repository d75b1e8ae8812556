"""Files that settings name: certificates and passwords."""

from __future__ import annotations

import ssl
from pathlib import Path

from federation.domain.errors import CommandFailed

MAX_PASSWORD_BYTES = 1_024
"""Bytes of a password file, at most."""


def check_authorities(name: str, file: Path) -> None:
    """Raises CommandFailed, which names the variable, unless the file holds certificates (PEM)."""
    try:
        ssl.create_default_context(cafile=file)
    except ssl.SSLError:
        raise CommandFailed(f"{name} holds no certificate that can be read (PEM)") from None
    except OSError as error:
        raise CommandFailed(f"{name} cannot be read: {error.strerror}") from None


def read_password(file: Path, variable: str = "FEDERATION_SMTP_PASSWORD_FILE") -> str:
    """The password that a file holds: one line. Raises Broken that tells nothing of it."""
    try:
        with file.open("rb") as opened:
            reason = opened.read(MAX_PASSWORD_BYTES + 1).decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise CommandFailed(f"{variable} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        reason = ""
    if not reason or len(reason) > MAX_PASSWORD_BYTES or not reason.isprintable():
        raise CommandFailed(f"{variable} must hold a password, in one line")
    return reason
