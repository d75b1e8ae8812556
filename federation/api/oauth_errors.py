"""Refusals of the token endpoints, in the form that libraries of OAuth2 read (RFC 6749, 5.2)."""

from __future__ import annotations

import re

_NOT_IN_DESCRIPTIONS = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
"""Characters that an ``error_description`` must not have."""


def oauth_error(code: str, description: str) -> dict[str, str]:
    """The body of a refusal."""
    return {"error": code, "error_description": _NOT_IN_DESCRIPTIONS.sub("'", description)}


def oauth_code(status: int) -> str:
    """The code of a refusal that is not one of the client's credentials or scopes."""
    return "temporarily_unavailable" if status in (429, 503) else "invalid_request"
