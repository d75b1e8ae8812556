"""Answers of the token endpoint and of the pages that describe it, as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class TokenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An access token (RFC 6749, 5.1; RFC 9449, 5)."""

    access_token: str
    token_type: Literal["Bearer", "DPoP"]
    expires_in: int
    """Seconds."""
    scope: str


class TokenError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A refusal (RFC 6749, 5.2)."""

    error: str
    error_description: str | None = None


class Confirmation(msgspec.Struct, frozen=True):
    """The key that a token is bound to (RFC 7800)."""

    jkt: str
    """Its thumbprint (RFC 7638)."""


class Introspection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The worth of a token (RFC 7662, 2.2); of one that does not hold, `active` alone."""

    active: bool
    client_id: str | None = None
    sub: str | None = None
    scope: str | None = None
    token_type: Literal["Bearer", "DPoP"] | None = None
    iss: str | None = None
    aud: str | None = None
    iat: int | None = None
    exp: int | None = None
    cnf: Confirmation | None = None


class AuthorizationServer(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata of an authorization server (RFC 8414, 2)."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    grant_types_supported: tuple[str, ...]
    response_types_supported: tuple[str, ...]
    token_endpoint_auth_methods_supported: tuple[str, ...]
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...]
    dpop_signing_alg_values_supported: tuple[str, ...]
    revocation_endpoint: str
    revocation_endpoint_auth_methods_supported: tuple[str, ...]
    introspection_endpoint: str
    introspection_endpoint_auth_methods_supported: tuple[str, ...]
    registration_endpoint: str
    scopes_supported: tuple[str, ...]
    service_documentation: str


class KeySet(msgspec.Struct, frozen=True):
    """Public keys (RFC 7517, 5)."""

    keys: tuple[dict[str, Any], ...]
