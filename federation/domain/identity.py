"""The operator's identity provider as the settings name it, and a person as it knows them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from federation.domain.claim_rule import ClaimRule


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The identity provider of the settings."""

    issuer: str
    client_id: str
    secret_file: Path
    """Read at each login: a secret that is changed there needs no restart."""
    read_secret: Callable[[Path], str]
    scopes: str
    name: str
    """As the button of the login page names it."""
    rules: tuple[ClaimRule, ...]
    private: bool
    """True where it may be at an address that is not public."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A person as the provider knows them, verified."""

    issuer: str
    subject: str
    claims: dict[str, Any]
    """Of the ID token and, where there is one, of the userinfo."""
    id_token: str
