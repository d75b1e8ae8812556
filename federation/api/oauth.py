"""The token endpoint: client credentials (RFC 6749, 4.4), and what tells others where it is.

Authlib has no asynchronous server, and used as documented it accepts what it should not (see
``docs/decisions/0005``), so the one grant there is stands on joserfc alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from datetime import UTC, datetime
from typing import Any, TypeGuard
from urllib.parse import parse_qsl, unquote_plus

import msgspec
from litestar import Controller, Request, get, post
from litestar.response.base import ASGIResponse

from federation.api.answers import FORM, NO_STORE, encoded
from federation.api.caller import LEEWAY, LIFETIME, Tokens
from federation.api.guard import body_of
from federation.domain.errors import Invalid, Unauthenticated
from federation.domain.scopes import PEER_SCOPES, SCOPES
from federation.keys import ALGORITHMS, verified
from federation.node import Node

MAX_FORM = 16_384
"""Bytes of a token request, at most."""
LONGEST_ASSERTION = 300
"""Seconds that a client's assertion may hold, at most."""
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_NOBODY = hashlib.sha256(b"nobody").digest()


class OAuthError(Exception):
    """An answer of RFC 6749, 5.2."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error, self.description, self.status = error, description, status


# One answer whoever the client is and whatever was wrong: it must not tell which clients exist.
def _wrong_client() -> OAuthError:
    return OAuthError("invalid_client", "the client could not be authenticated", 401)


class OAuth(Controller):
    """The authorisation server of this node's own API."""

    @post("/oauth2/token", opt={"act": "token", "reads": (FORM,), "limit": MAX_FORM}, status_code=200)
    async def token(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Get an access token of five minutes."""
        node: Node = request.app.state.node
        try:
            return await self._token(request, node, request.app.state.tokens)
        except OAuthError as error:
            headers = dict(NO_STORE)
            if error.status == 401:
                headers["www-authenticate"] = f'Basic realm="{node.url}"'
            return encoded(
                {"error": error.error, "error_description": error.description},
                status=error.status,
                headers=headers,
            )

    async def _token(self, request: Request[Any, Any, Any], node: Node, tokens: Tokens) -> ASGIResponse:
        try:
            form = read_form(await body_of(request, MAX_FORM))
        except Invalid as error:
            raise OAuthError("invalid_request", error.detail) from None
        authorization = request.headers.get("authorization")
        asserted = "client_assertion" in form or "client_assertion_type" in form
        if "client_secret" in form:
            raise OAuthError("invalid_request", "client_secret_post is not offered; use client_secret_basic")
        if authorization is not None and asserted:
            raise OAuthError("invalid_request", "authenticate the client in exactly one way")
        if authorization is None and not asserted:
            raise _wrong_client()
        if authorization is not None:
            client_id, operator, allowed = await self._by_secret(node, authorization, form)
        else:
            client_id, operator, allowed = await self._by_assertion(node, form)
        if "grant_type" not in form:
            raise OAuthError("invalid_request", "grant_type is missing; it is client_credentials")
        if form["grant_type"] != "client_credentials":
            raise OAuthError("unsupported_grant_type", "the grant is client_credentials")
        if form.get("resource", node.url) != node.url:
            raise OAuthError("invalid_target", f"tokens are for {node.url}")
        asked = frozenset(form["scope"].split()) if "scope" in form else allowed
        if not asked or not asked <= allowed:
            raise OAuthError("invalid_scope", "the client may not have all of the scopes asked for")
        return encoded(
            {
                "access_token": tokens.mint(client_id, operator, asked),
                "token_type": "Bearer",
                "expires_in": LIFETIME,
                "scope": " ".join(sorted(asked)),
            },
            headers={**NO_STORE, "pragma": "no-cache"},
        )

    async def _by_secret(
        self, node: Node, authorization: str, form: dict[str, str]
    ) -> tuple[str, str, frozenset[str]]:
        scheme, _, encoded_pair = authorization.partition(" ")
        try:
            pair = base64.b64decode(encoded_pair, validate=True).decode() if scheme.lower() == "basic" else ""
        except (binascii.Error, ValueError):
            pair = ""
        name, colon, secret = pair.partition(":")
        client_id, secret = unquote_plus(name), unquote_plus(secret)
        sound = (
            bool(colon) and "\x00" not in client_id and "\ufffd" not in client_id and len(client_id) <= 128
        )
        async with node.store.read() as tx:
            client = await tx.clients.find(client_id if sound else "")
        # The same work for clients that are not there.
        digest = hashlib.sha256(secret.encode("utf-8", "replace")).digest()
        right = hmac.compare_digest(digest, client.secret_hash if client else _NOBODY)
        if client is None or client.revoked_at is not None or not right:
            raise _wrong_client()
        if form.get("client_id", client.id) != client.id:
            raise _wrong_client()
        return client.id, node.operator, frozenset(client.scopes)

    async def _by_assertion(self, node: Node, form: dict[str, str]) -> tuple[str, str, frozenset[str]]:
        assertion = form.get("client_assertion", "")
        if form.get("client_assertion_type") != ASSERTION:
            raise OAuthError("invalid_request", f"client_assertion_type must be {ASSERTION}")
        operator = claimed_issuer(assertion)
        async with node.store.read() as tx:
            peer = await tx.peers.find(operator) if operator else None
        if peer is None or peer.state != "active":
            raise _wrong_client()
        try:
            claims = verified(assertion, peer.keys, frozenset({None, "jwt", "client-authentication+jwt"}))
        except Unauthenticated:
            raise _wrong_client() from None
        now = time.time()
        expires, issued, jti = claims.get("exp"), claims.get("iat", now), claims.get("jti")
        if (
            claims.get("iss") != peer.operator
            or claims.get("sub") != peer.operator
            or claims.get("aud") not in (node.url, [node.url])
            or not _is_time(expires)
            or not _is_time(issued)
            or not now - LEEWAY < expires <= now + LONGEST_ASSERTION
            or issued > now + LEEWAY
            or not _is_time(claims.get("nbf", 0))
            or claims.get("nbf", 0) > now + LEEWAY
            or not isinstance(jti, str)
            or not 8 <= len(jti) <= 255
            or form.get("client_id", peer.operator) != peer.operator
        ):
            raise _wrong_client()
        fingerprint = hashlib.sha256(f"{peer.operator}\n{jti}".encode("utf-8", "replace")).digest()
        async with node.store.write() as tx:
            fresh = await tx.clients.use_assertion(
                fingerprint, datetime.fromtimestamp(expires + 2 * LEEWAY, UTC)
            )
        if not fresh:
            raise _wrong_client()
        return peer.operator, peer.operator, PEER_SCOPES

    @get("/.well-known/oauth-authorization-server", opt={"act": "authorization_server"})
    async def metadata(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Where and how to get a token (RFC 8414)."""
        node: Node = request.app.state.node
        return encoded(
            {
                "issuer": node.url,
                "token_endpoint": f"{node.url}/oauth2/token",
                "jwks_uri": f"{node.url}/.well-known/jwks.json",
                "grant_types_supported": ["client_credentials"],
                "response_types_supported": [],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
                "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
                "scopes_supported": sorted(SCOPES),
                "service_documentation": f"{node.url}/docs",
            }
        )

    @get("/.well-known/jwks.json", opt={"act": "jwks"})
    async def jwks(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """The keys this node signs with (RFC 7517)."""
        return encoded(request.app.state.node.keyring.public())


def read_form(body: bytes) -> dict[str, str]:
    """The parameters of a token request. Raises OAuthError."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=20,
        )
    except (UnicodeDecodeError, ValueError):
        raise OAuthError("invalid_request", "the body is not a form") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request", "a parameter is there twice")
    if any("\x00" in value for value in form.values()):
        raise OAuthError("invalid_request", "NUL is not allowed")
    return form


def claimed_issuer(assertion: str) -> str | None:
    """Whom an assertion says it is from: to find the key that must then have signed it."""
    parts = assertion.split(".")
    if len(parts) != 3 or len(assertion) > MAX_FORM:
        return None
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, msgspec.MsgspecError, RecursionError):
        return None
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    return issuer if isinstance(issuer, str) and len(issuer) <= 63 and "\x00" not in issuer else None


def _is_time(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**40
