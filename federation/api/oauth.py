"""The token endpoint: client credentials (RFC 6749, 4.4), and what tells others where it is.

Authlib has no asynchronous server, and used as documented it accepts what it should not (see
``docs/decisions/0011``), so the one grant there is stands on joserfc alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeGuard
from urllib.parse import parse_qsl, unquote_plus

import msgspec
from litestar import Controller, Request, get, post
from litestar.response.base import ASGIResponse

from federation.api.caller import LIFETIME, Tokens, fingerprint_of
from federation.api.guard import body_of
from federation.api.limits import Limits
from federation.api.responses import FORM, NO_STORE, answer, encoded
from federation.domain.errors import Invalid, Unauthenticated
from federation.domain.scopes import PEER_SCOPES, SCOPES
from federation.node import key_rotation
from federation.node.keys import ALGORITHMS, LEEWAY, kid_of, verify_jwt
from federation.node.node import Node

MAX_FORM = 16_384
"""Bytes of a token request, at most."""
LONGEST_ASSERTION = 300
"""Seconds that a client's assertion may hold, at most."""
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_NOBODY = secrets.token_bytes(32)
"""The digest of no secret: what is compared where there is none, for the same work."""


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
            return _refusal(request, error)

    async def _token(self, request: Request[Any, Any, Any], node: Node, tokens: Tokens) -> ASGIResponse:
        form = await _form(request)
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
        jkt = None
        proofs = tuple(request.headers.getall("dpop", ()))
        if operator != node.operator:
            # RFC 9449, 5. A peer's token is bound to a key; the operator's own clients have bearer tokens.
            try:
                jkt = await tokens.prove(proofs, "POST", f"{node.url}/oauth2/token")
            except Unauthenticated as error:
                raise OAuthError("invalid_dpop_proof", error.detail) from None
        elif proofs:
            raise OAuthError("invalid_request", "tokens of the operator's own clients are bearer tokens")
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
                "access_token": tokens.mint(client_id, operator, asked, jkt=jkt),
                "token_type": "DPoP" if jkt else "Bearer",
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
        right |= hmac.compare_digest(digest, (client and client.former_secret_hash) or _NOBODY)
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
        if peer is not None and (kid := kid_of(assertion)) is not None and kid not in peer.kids:
            # It may have another key by now: its key set says so, endorsed by the one we know.
            peer = await key_rotation.reread_keys(node, peer.operator, kid=kid)
        if peer is None or peer.state != "active":
            raise _wrong_client()
        try:
            claims = verify_jwt(assertion, peer.keys, frozenset({None, "jwt", "client-authentication+jwt"}))
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
            fresh = await tx.tokens.use_assertion(
                fingerprint, datetime.fromtimestamp(expires + 2 * LEEWAY, UTC)
            )
        if not fresh:
            raise _wrong_client()
        return peer.operator, peer.operator, PEER_SCOPES

    @post("/oauth2/revoke", opt={"act": "revoke", "reads": (FORM,), "limit": MAX_FORM}, status_code=200)
    async def revoke(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Revoke an access token of your own (RFC 7009). What is no token of yours changes nothing."""

        async def do(node: Node, tokens: Tokens, client_id: str, token: str) -> ASGIResponse:
            with suppress(Unauthenticated):
                holder = await tokens.holder(token)
                if holder.client_id == client_id and holder.caller.own:
                    until = datetime.fromtimestamp(holder.expires_at + 2 * LEEWAY, UTC)
                    async with node.store.write() as tx:
                        await tx.audit.note("token.revoked", actor=client_id, subject=client_id)
                        await tx.tokens.revoke(fingerprint_of(token), until)
                    await node.notifier.refresh()
            return answer(b"", headers=NO_STORE)

        return await self._for_own(request, do)

    @post(
        "/oauth2/introspect", opt={"act": "introspect", "reads": (FORM,), "limit": MAX_FORM}, status_code=200
    )
    async def introspect(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """Ask what an access token of yours is worth (RFC 7662); of any client, with node.admin."""

        async def do(node: Node, tokens: Tokens, client_id: str, token: str) -> ASGIResponse:
            async with node.store.read() as tx:
                client = await tx.clients.find(client_id)
            try:
                holder = await tokens.holder(token)
            except Unauthenticated:
                return encoded({"active": False}, headers=NO_STORE)
            mine = holder.client_id == client_id and holder.caller.own
            if not mine and (client is None or "node.admin" not in client.scopes):
                return encoded({"active": False}, headers=NO_STORE)
            return encoded(
                {
                    "active": True,
                    "client_id": holder.client_id,
                    "sub": holder.client_id,
                    "scope": " ".join(sorted(holder.scopes)),
                    "token_type": "DPoP" if holder.jkt else "Bearer",
                    "iss": node.url,
                    "aud": node.url,
                    "iat": int(holder.issued_at),
                    "exp": int(holder.expires_at),
                    **({"cnf": {"jkt": holder.jkt}} if holder.jkt else {}),
                },
                headers=NO_STORE,
            )

        return await self._for_own(request, do)

    async def _for_own(self, request: Request[Any, Any, Any], do: About) -> ASGIResponse:
        """Carry out what one of the operator's own clients asks about a token."""
        node: Node = request.app.state.node
        try:
            form = await _form(request)
            authorization = request.headers.get("authorization")
            if authorization is None or "client_assertion" in form or "client_secret" in form:
                raise _wrong_client()
            client_id, _, _ = await self._by_secret(node, authorization, form)
            if not form.get("token"):
                raise OAuthError("invalid_request", "token is missing")
            return await do(node, request.app.state.tokens, client_id, form["token"])
        except OAuthError as error:
            return _refusal(request, error)

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
                "dpop_signing_alg_values_supported": ALGORITHMS,
                "revocation_endpoint": f"{node.url}/oauth2/revoke",
                "revocation_endpoint_auth_methods_supported": ["client_secret_basic"],
                "introspection_endpoint": f"{node.url}/oauth2/introspect",
                "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
                "registration_endpoint": f"{node.url}/v1/join",
                "scopes_supported": sorted(SCOPES),
                "service_documentation": f"{node.url}/docs",
            }
        )

    @get("/.well-known/jwks.json", opt={"act": "jwks"})
    async def jwks(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        """The keys this node signs with (RFC 7517)."""
        return encoded(request.app.state.node.keyring.public())


About = Callable[[Node, Tokens, str, str], Awaitable[ASGIResponse]]
"""What is done for a client (its id) about a token."""


def _refusal(request: Request[Any, Any, Any], error: OAuthError) -> ASGIResponse:
    node: Node = request.app.state.node
    headers = dict(NO_STORE)
    if error.status == 401:
        headers["www-authenticate"] = f'Basic realm="{node.url}"'
        limits: Limits = request.app.state.limits
        limits.failed(limits.address_of(request.scope))
        node.refusals.count("token", error.error, "somebody")
    return encoded(
        {"error": error.error, "error_description": error.description}, status=error.status, headers=headers
    )


async def _form(request: Request[Any, Any, Any]) -> dict[str, str]:
    limits: Limits = request.app.state.limits
    limits.may_try(limits.address_of(request.scope))
    try:
        return read_form(await body_of(request, MAX_FORM))
    except Invalid as error:
        raise OAuthError("invalid_request", error.detail) from None


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
