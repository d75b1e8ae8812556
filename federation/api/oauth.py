"""The token endpoint: client credentials (RFC 6749, 4.4), and where others find it (RFC 8414, 7517).

Authlib has no asynchronous server, and used as documented it accepts what it should not (see
``docs/decisions/0011``), so the one grant there is stands on joserfc alone.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.caller import LIFETIME, Tokens
from federation.api.handlers import handles
from federation.api.oauth_answers import (
    AuthorizationServer,
    Introspection,
    KeySet,
    TokenAnswer,
    TokenError,
)
from federation.api.oauth_errors import oauth_error
from federation.domain.errors import Invalid, Unauthenticated, Unavailable
from federation.domain.scopes import PEER_SCOPES, SCOPES
from federation.edge.answers import FORM, JSON, NO_STORE, answer, json_answer
from federation.edge.limits import Limits
from federation.edge.operations import ANYONE, CREDENTIALS, Answer, Body, Operation
from federation.edge.requests import body_of, node_of
from federation.node import tokens as node_tokens
from federation.node.keys import ALGORITHMS
from federation.node.node import Node

MAX_FORM = 16_384
"""Bytes of a token request, at most."""
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class OAuthError(Exception):
    """An answer of RFC 6749, 5.2."""

    def __init__(self, error: str, description: str, status: int = 400, *, client: str = "") -> None:
        super().__init__(description)
        self.error, self.description, self.status = error, description, status
        self.client = client
        """The id that was claimed, by which failures are counted."""


# One answer whoever the client is and whatever was wrong: it must not tell which clients exist.
def _wrong_client(
    client: str | None = "", *, detail: str = "the client could not be authenticated"
) -> OAuthError:
    return OAuthError("invalid_client", detail, 401, client=client or "")


OAUTH_ERRORS = (
    Answer(400, "RFC 6749, 5.2", {JSON: TokenError}),
    Answer(401, "The client could not be authenticated", {JSON: TokenError}),
)
TOKEN_FORM = Body(
    FORM,
    {"type": "object", "required": ["token"], "properties": {"token": {"type": "string", "minLength": 1}}},
    {"token": "eyJhbGciOi….eyJhdWQi….MEUC…"},
)


@handles(
    Operation(
        act="token",
        id="getToken",
        method="POST",
        path="/oauth2/token",
        right=CREDENTIALS,
        credentials=("client", ""),
        tag="node",
        bodies=(
            Body(
                FORM,
                {
                    "type": "object",
                    "required": ["grant_type"],
                    "properties": {
                        "grant_type": {"const": "client_credentials"},
                        "scope": {
                            "type": "string",
                            "description": "Scopes, separated by spaces; all of the client's without.",
                        },
                        "resource": {"type": "string", "format": "uri"},
                        "client_assertion_type": {"const": ASSERTION},
                        "client_assertion": {
                            "type": "string",
                            "description": "RFC 7523; instead of HTTP Basic.",
                        },
                    },
                },
                {"grant_type": "client_credentials", "scope": "solutions.read solutions.write"},
            ),
        ),
        max_bytes=MAX_FORM,
        oauth_errors=True,
        answers=(Answer(200, "An access token", {JSON: TokenAnswer}), *OAUTH_ERRORS),
        errors=(Unavailable,),
    )
)
async def get_token(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Get an access token of five minutes."""
    try:
        return await _token(request)
    except OAuthError as error:
        return _refusal(request, error)


async def _token(request: Request[Any, Any, Any]) -> ASGIResponse:
    node, tokens = node_of(request), _tokens(request)
    form = await _form(request)
    authorization = request.headers.get("authorization")
    asserted = "client_assertion" in form or "client_assertion_type" in form
    if (authorization is not None) + asserted + ("client_secret" in form) > 1:
        raise OAuthError("invalid_request", "authenticate the client in exactly one way")
    if "client_secret" in form:  # RFC 6749, 5.2: an unsupported method of authentication
        raise OAuthError(
            "invalid_client",
            "client_secret_post is not offered; use client_secret_basic",
            401,
            client=form.get("client_id", ""),
        )
    if authorization is None and not asserted:
        raise _wrong_client(form.get("client_id"))
    if authorization is not None:
        client_id, allowed = await _by_secret(request, authorization, form)
        operator = node.operator
    else:
        client_id = operator = await _by_assertion(node, form)
        allowed = PEER_SCOPES
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
    scopes = frozenset(form["scope"].split()) if "scope" in form else allowed
    if not scopes or not scopes <= allowed:
        raise OAuthError("invalid_scope", "the client may not have all of the scopes asked for")
    return json_answer(
        {
            "access_token": tokens.mint(client_id, operator, scopes, jkt=jkt),
            "token_type": "DPoP" if jkt else "Bearer",
            "expires_in": LIFETIME,
            "scope": " ".join(sorted(scopes)),
        },
        headers={**NO_STORE, "pragma": "no-cache"},
    )


async def _by_secret(
    request: Request[Any, Any, Any], authorization: str, form: dict[str, str]
) -> tuple[str, frozenset[str]]:
    """Id and scopes of the operator's own client that HTTP Basic names. Raises OAuthError."""
    scheme, _, encoded_pair = authorization.partition(" ")
    try:
        pair = base64.b64decode(encoded_pair, validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, ValueError):
        pair = ""
    name, colon, secret = pair.partition(":")
    client_id, secret = unquote_plus(name), unquote_plus(secret)
    sound = bool(colon) and "\x00" not in client_id and "\ufffd" not in client_id and len(client_id) <= 128
    scopes = await node_tokens.authenticate_client(node_of(request), client_id if sound else "", secret)
    if scopes is None or form.get("client_id", client_id) != client_id:
        raise _wrong_client(client_id)
    limits: Limits = request.app.state.limits
    limits.remember_login(authorization, request.scope)
    return client_id, scopes


async def _by_assertion(node: Node, form: dict[str, str]) -> str:
    """The peer that an assertion (RFC 7523) is of. Raises OAuthError."""
    if form.get("client_assertion_type") != ASSERTION:
        raise OAuthError("invalid_request", f"client_assertion_type must be {ASSERTION}")
    assertion = form.get("client_assertion", "")
    issuer = node_tokens.claimed_issuer(assertion)
    if form.get("client_id", issuer) != issuer:
        raise _wrong_client(issuer)
    try:
        peer = await node_tokens.authenticate_peer(node, assertion)
    except Unauthenticated as error:
        # Its key signed the assertion: nobody else learns that it is a peer.
        raise _wrong_client(issuer, detail=error.detail) from None
    if peer is None:
        raise _wrong_client(issuer)
    return peer.operator


@handles(
    Operation(
        act="revoke",
        id="revokeToken",
        method="POST",
        path="/oauth2/revoke",
        right=CREDENTIALS,
        credentials=("client",),
        tag="node",
        bodies=(TOKEN_FORM,),
        max_bytes=MAX_FORM,
        oauth_errors=True,
        answers=(Answer(200, "It does not hold, whatever it was"), *OAUTH_ERRORS),
        errors=(Unavailable,),
    )
)
async def revoke_token(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Revoke an access token of your own (RFC 7009). What is no token of yours changes nothing."""

    async def revoke(node: Node, tokens: Tokens, client_id: str, token: str) -> ASGIResponse:
        with suppress(Unauthenticated):
            holder = await tokens.holder(token)
            if holder.client_id == client_id and holder.caller.own:
                await node_tokens.revoke(node, token, expires_at=holder.expires_at, by=client_id)
        return answer(b"", headers=NO_STORE)

    return await _for_own_client(request, revoke)


@handles(
    Operation(
        act="introspect",
        id="introspectToken",
        method="POST",
        path="/oauth2/introspect",
        right=CREDENTIALS,
        credentials=("client",),
        tag="node",
        bodies=(TOKEN_FORM,),
        max_bytes=MAX_FORM,
        oauth_errors=True,
        answers=(Answer(200, "What the token is worth", {JSON: Introspection}), *OAUTH_ERRORS),
        errors=(Unavailable,),
    )
)
async def introspect_token(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Ask what an access token of yours is worth (RFC 7662); of any client, with node.admin."""

    async def introspect(node: Node, tokens: Tokens, client_id: str, token: str) -> ASGIResponse:
        scopes = await node_tokens.client_scopes(node, client_id)
        try:
            holder = await tokens.holder(token)
        except Unauthenticated:
            return json_answer({"active": False}, headers=NO_STORE)
        mine = holder.client_id == client_id and holder.caller.own
        if not mine and "node.admin" not in scopes:
            return json_answer({"active": False}, headers=NO_STORE)
        return json_answer(
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

    return await _for_own_client(request, introspect)


@handles(
    Operation(
        act="authorization_server",
        id="getAuthorizationServer",
        method="GET",
        path="/.well-known/oauth-authorization-server",
        right=ANYONE,
        tag="node",
        answers=(Answer(200, "The endpoints", {JSON: AuthorizationServer}),),
    )
)
async def get_metadata(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Where and how to get a token (RFC 8414)."""
    url = node_of(request).url
    return json_answer(
        {
            "issuer": url,
            "token_endpoint": f"{url}/oauth2/token",
            "jwks_uri": f"{url}/.well-known/jwks.json",
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "dpop_signing_alg_values_supported": ALGORITHMS,
            "revocation_endpoint": f"{url}/oauth2/revoke",
            "revocation_endpoint_auth_methods_supported": ["client_secret_basic"],
            "introspection_endpoint": f"{url}/oauth2/introspect",
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
            "registration_endpoint": f"{url}/v1/join",
            "scopes_supported": sorted(SCOPES),
            "service_documentation": f"{url}/docs",
        }
    )


@handles(
    Operation(
        act="jwks",
        id="getKeys",
        method="GET",
        path="/.well-known/jwks.json",
        right=ANYONE,
        tag="node",
        answers=(Answer(200, "The public keys", {JSON: KeySet}),),
    )
)
async def get_keys(request: Request[Any, Any, Any]) -> ASGIResponse:
    """The keys this node signs with (RFC 7517)."""
    return json_answer(node_of(request).keyring.public())


HANDLERS = (get_token, revoke_token, introspect_token, get_metadata, get_keys)

AboutToken = Callable[[Node, Tokens, str, str], Awaitable[ASGIResponse]]
"""Answers a client (its id) about a token."""


async def _for_own_client(request: Request[Any, Any, Any], reply: AboutToken) -> ASGIResponse:
    """Answer one of the operator's own clients, which authenticates by its secret, about a token."""
    node = node_of(request)
    try:
        form = await _form(request)
        authorization = request.headers.get("authorization")
        if authorization is None or "client_assertion" in form or "client_secret" in form:
            raise _wrong_client(form.get("client_id"))
        client_id, _ = await _by_secret(request, authorization, form)
        if not form.get("token"):
            raise OAuthError("invalid_request", "token is missing")
        return await reply(node, _tokens(request), client_id, form["token"])
    except OAuthError as error:
        return _refusal(request, error)


def _tokens(request: Request[Any, Any, Any]) -> Tokens:
    tokens: Tokens = request.app.state.tokens
    return tokens


def _refusal(request: Request[Any, Any, Any], error: OAuthError) -> ASGIResponse:
    node = node_of(request)
    headers = dict(NO_STORE)
    if error.status == 401:
        # RFC 6749, 5.2 asks for it where the header was used, RFC 9110, 15.5.2 in every 401.
        headers["www-authenticate"] = f'Basic realm="{node.url}"'
        node.refusals.count("token", error.error, "somebody")
        limits: Limits = request.app.state.limits
        limits.count_failure(request.headers.get("authorization"), error.client, request.scope)
    return json_answer(oauth_error(error.error, error.description), status=error.status, headers=headers)


async def _form(request: Request[Any, Any, Any]) -> dict[str, str]:
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
