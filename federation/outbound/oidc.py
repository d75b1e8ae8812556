"""The operator's identity provider (OpenID Connect Core 1.0), as a relying party sees it.

1. Read the discovery document of the issuer; it must name that very issuer.
2. Send the browser to it with state, nonce and, where discovery lists S256, PKCE (RFC 7636).
3. Of what comes back check ``iss`` (RFC 9207), exchange the code, and verify the ID token: signature by a key
   of the issuer, ``iss``, ``aud``, ``azp``, ``exp``, ``iat``, ``nonce``, ``sub``.
4. Read the userinfo, as JSON or as a JWT (signature, ``iss``, ``aud``); its ``sub`` is that of the ID token.

All calls go through the one safe transport. Nothing that the provider says is believed before it is checked.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx2
import msgspec
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from federation.domain.errors import Unreachable
from federation.domain.identity import Identity, ProviderSettings
from federation.outbound import http
from federation.outbound.answers import error_text
from federation.outbound.oidc_tokens import (
    ALGORITHMS,
    PublicKey,
    check_id_token,
    check_token,
    read_header,
    read_keys,
    refuse_answer,
    unusable_provider,
)
from federation.outbound.urls import check_url

CALL_SECONDS = 15.0
"""Seconds for a call to the provider: a person waits."""
METADATA_SECONDS = 3_600.0
"""Seconds for which the discovery document holds."""
KEYS_SECONDS = 60.0
"""The keys are read anew for an unknown one, so often at most."""


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of the discovery document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    code_challenge_methods_supported: tuple[str, ...] = ()
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class IdentityProvider:
    """The identity provider that the settings name."""

    def __init__(self, settings: ProviderSettings, clock: Callable[[], datetime]) -> None:
        self.name = settings.name
        self.rules = settings.rules
        self._settings = settings
        self._clock = clock
        self._metadata: Metadata | None = None
        self._metadata_until = 0.0
        self._keys: dict[str | None, PublicKey] = {}
        self._keys_at = float("-inf")

    async def has_pkce(self) -> bool:
        """True where the provider knows S256. Raises Unreachable."""
        return "S256" in (await self._discover()).code_challenge_methods_supported

    async def authorization_url(
        self, redirect_uri: str, *, state: str, nonce: str, verifier: str, is_repeated: bool
    ) -> str:
        """The address to send the browser to. Raises Unreachable.

        No parameter that a provider may not know: some refuse what they do not expect.
        """
        metadata = await self._discover()
        extra = {"prompt": "login"} if is_repeated else {}
        async with self._client(metadata, metadata.token_endpoint, redirect_uri) as client:
            url, _ = client.create_authorization_url(
                metadata.authorization_endpoint,
                state=state,
                code_verifier=verifier or None,
                nonce=nonce,
                **extra,
            )
        return str(url)

    async def identity(
        self,
        *,
        code: str,
        iss: str | None,
        redirect_uri: str,
        nonce: str,
        verifier: str,
        authenticated_since: datetime | None,
    ) -> Identity:
        """The person whose code came back. Raises Unreachable, Unauthenticated.

        ``authenticated_since``: the person was to prove again who they are, from then on.
        """
        metadata = await self._discover()
        if iss != metadata.issuer and (
            iss is not None or metadata.authorization_response_iss_parameter_supported
        ):
            refuse_answer("the answer is of another issuer")
        token = await self._exchange(metadata, code, redirect_uri, verifier)
        id_token = token.get("id_token")
        if not isinstance(id_token, str):
            refuse_answer("there is no ID token")
        claims = await self._verified(metadata, id_token)
        check_id_token(
            claims,
            metadata.issuer,
            self._settings.client_id,
            self._clock(),
            nonce=nonce,
            authenticated_since=authenticated_since,
        )
        subject = claims["sub"]
        if metadata.userinfo_endpoint is not None:
            info = await self._userinfo(metadata, metadata.userinfo_endpoint, token)
            if info.get("sub") != subject:
                refuse_answer("the userinfo is about another subject")
            claims = {**info, **claims}
        return Identity(issuer=metadata.issuer, subject=subject, claims=claims, id_token=id_token)

    async def end_session_url(self, id_token: str, redirect_uri: str) -> str | None:
        """The address at which the browser logs out there, too; None where the provider has none."""
        try:
            endpoint = (await self._discover()).end_session_endpoint
        except Unreachable:
            return None
        if endpoint is None:
            return None
        parameters = {
            "id_token_hint": id_token,
            "post_logout_redirect_uri": redirect_uri,
            "state": secrets.token_urlsafe(32),
        }
        return str(httpx2.URL(endpoint).copy_merge_params(parameters))

    # What the provider says of itself

    async def _discover(self) -> Metadata:
        now = asyncio.get_running_loop().time()
        if self._metadata is not None and now < self._metadata_until:
            return self._metadata
        url = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            metadata = msgspec.json.decode(await self._get(url), type=Metadata)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise unusable_provider(f"its discovery document cannot be read: {error}") from None
        if metadata.issuer != self._settings.issuer:
            raise unusable_provider("its discovery document is of another issuer")
        for endpoint in (
            metadata.authorization_endpoint,
            metadata.token_endpoint,
            metadata.jwks_uri,
            metadata.userinfo_endpoint,
            metadata.end_session_endpoint,
        ):
            if endpoint is not None:
                self._check_endpoint(endpoint)
        self._metadata, self._metadata_until = metadata, now + METADATA_SECONDS
        return metadata

    def _check_endpoint(self, endpoint: str) -> None:
        """Raises Unreachable for an address that must not be called, or browsers be sent to."""
        base, _, _ = endpoint.partition("?")
        try:
            check_url(base, private=self._settings.private)
        except Unreachable as error:
            raise unusable_provider(error.detail) from None

    async def _get(self, url: str) -> bytes:
        try:
            async with (
                asyncio.timeout(CALL_SECONDS),
                httpx2.AsyncClient(**http.settings(url, private=self._settings.private)) as client,
            ):
                answer = await client.get(url, headers={"accept": "application/json"})
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            raise unusable_provider(error_text(error)) from None
        if answer.status_code != 200:
            raise unusable_provider(f"{url} answered {answer.status_code}")
        return bytes(answer.content)

    def _client(self, metadata: Metadata, endpoint: str, redirect_uri: str | None = None) -> Any:
        methods = metadata.token_endpoint_auth_methods_supported
        has_pkce = "S256" in metadata.code_challenge_methods_supported
        return AsyncOAuth2Client(
            client_id=self._settings.client_id,
            client_secret=self._settings.read_secret(self._settings.secret_file),
            token_endpoint_auth_method=next(
                (name for name in ("client_secret_basic", "client_secret_post") if name in methods),
                "client_secret_basic",
            ),
            scope=self._settings.scopes,
            redirect_uri=redirect_uri,
            code_challenge_method="S256" if has_pkce else None,
            leeway=0,  # some tokens hold for a minute: with more they would be over when they come
            **http.settings(endpoint, private=self._settings.private),
        )

    async def _exchange(
        self, metadata: Metadata, code: str, redirect_uri: str, verifier: str
    ) -> dict[str, Any]:
        extra = {"code_verifier": verifier} if verifier else {}
        try:
            async with (
                asyncio.timeout(CALL_SECONDS),
                self._client(metadata, metadata.token_endpoint, redirect_uri) as client,
            ):
                token = await client.fetch_token(
                    metadata.token_endpoint, grant_type="authorization_code", code=code, **extra
                )
        except OAuthError as error:
            refuse_answer(f"it refused the code: {error.error}")
        except (httpx2.HTTPError, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise unusable_provider(error_text(error)) from None
        return dict(token)

    async def _userinfo(self, metadata: Metadata, endpoint: str, token: dict[str, Any]) -> dict[str, Any]:
        try:
            async with (
                asyncio.timeout(CALL_SECONDS),
                self._client(metadata, endpoint) as client,
            ):
                client.token = token
                answer = await client.get(endpoint)
        except (OAuthError, httpx2.HTTPError, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise unusable_provider(error_text(error)) from None
        if answer.status_code != 200:
            raise unusable_provider(f"its userinfo answered {answer.status_code}")
        media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type == "application/jwt":
            info = await self._verified(metadata, answer.text.strip())
            check_token(info, metadata.issuer, self._settings.client_id, self._clock())
            return info
        try:
            return msgspec.json.decode(answer.content, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise unusable_provider("its userinfo cannot be read") from None

    # Signatures and claims

    async def _verified(self, metadata: Metadata, token: str) -> dict[str, Any]:
        """The claims of a JWT that a key of the provider has signed. Raises Unauthenticated, Unreachable."""
        header = read_header(token)
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            refuse_answer("it signs with an algorithm that is not accepted")
        key = await self._key(metadata, header.get("kid"))
        try:
            decoded = jwt.decode(token, key, [algorithm], JWSRegistry(algorithms=ALGORITHMS))
        except (JoseError, ValueError, TypeError, KeyError, UnicodeError, RecursionError):
            refuse_answer("a signature does not hold")
        return dict(decoded.claims)

    async def _key(self, metadata: Metadata, kid: Any) -> PublicKey:
        """The key of that name; without a name the only one."""
        now = asyncio.get_running_loop().time()
        found = self._find_key(kid)
        if found is None and now - self._keys_at >= KEYS_SECONDS:
            self._keys = read_keys(await self._get(metadata.jwks_uri))
            self._keys_at = now
            found = self._find_key(kid)
        if found is None:
            refuse_answer("it signs with a key that it does not publish")
        return found

    def _find_key(self, kid: Any) -> PublicKey | None:
        if isinstance(kid, str):
            return self._keys.get(kid)
        return next(iter(self._keys.values())) if kid is None and len(self._keys) == 1 else None
