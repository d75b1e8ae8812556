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
import base64
import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import httpx2
import msgspec
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from federation.domain.claim_rule import ClaimRule
from federation.domain.errors import Unauthenticated, Unreachable
from federation.domain.feed import printable
from federation.outbound import http
from federation.outbound.answers import error_text
from federation.outbound.urls import check_url

ALGORITHMS = ["RS256", "PS256", "ES256", "ES384"]
"""Algorithms of signatures that are accepted, whatever a token says of itself."""
CALL_SECONDS = 15.0
"""Seconds for a call to the provider: a person waits."""
METADATA_SECONDS = 3_600.0
"""Seconds for which the discovery document holds."""
KEYS_SECONDS = 60.0
"""The keys are read anew for an unknown one, so often at most."""
CLOCK_SECONDS = 30
"""Seconds that the clocks may differ."""
MAX_LOGIN_SECONDS = 600
"""Age of an ID token, at most."""
MAX_TOKEN_LENGTH = 32_768
"""Characters of a JWT, at most."""
MAX_SUBJECT_LENGTH = 255
"""Characters of a subject (OpenID Connect Core, 2)."""
MAX_KEYS = 100
_KEYS = {"RSA": RSAKey, "EC": ECKey}


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


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A person as the provider knows them, verified."""

    issuer: str
    subject: str
    claims: dict[str, Any]
    """Of the ID token and, where there is one, of the userinfo."""
    id_token: str


class IdentityProvider:
    """The identity provider that the settings name."""

    def __init__(self, settings: ProviderSettings, clock: Callable[[], datetime]) -> None:
        self.name = settings.name
        self.rules = settings.rules
        self._settings = settings
        self._clock = clock
        self._metadata: Metadata | None = None
        self._metadata_until = 0.0
        self._keys: dict[str | None, RSAKey | ECKey] = {}
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
            _refuse("the answer is of another issuer")
        token = await self._exchange(metadata, code, redirect_uri, verifier)
        id_token = token.get("id_token")
        if not isinstance(id_token, str):
            _refuse("there is no ID token")
        claims = await self._verified(metadata, id_token)
        self._check_id_token(metadata, claims, nonce, authenticated_since)
        subject = claims["sub"]
        if metadata.userinfo_endpoint is not None:
            info = await self._userinfo(metadata, metadata.userinfo_endpoint, token)
            if info.get("sub") != subject:
                _refuse("the userinfo is about another subject")
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
            raise _unusable(f"its discovery document cannot be read: {error}") from None
        if metadata.issuer != self._settings.issuer:
            raise _unusable("its discovery document is of another issuer")
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
            raise _unusable(error.detail) from None

    async def _get(self, url: str) -> bytes:
        try:
            async with (
                asyncio.timeout(CALL_SECONDS),
                httpx2.AsyncClient(**http.settings(url, private=self._settings.private)) as client,
            ):
                answer = await client.get(url, headers={"accept": "application/json"})
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            raise _unusable(error_text(error)) from None
        if answer.status_code != 200:
            raise _unusable(f"{url} answered {answer.status_code}")
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
            _refuse(f"it refused the code: {error.error}")
        except (httpx2.HTTPError, TimeoutError, ValueError, KeyError, TypeError) as error:
            raise _unusable(error_text(error)) from None
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
            raise _unusable(error_text(error)) from None
        if answer.status_code != 200:
            raise _unusable(f"its userinfo answered {answer.status_code}")
        media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type == "application/jwt":
            info = await self._verified(metadata, answer.text.strip())
            self._check_issuer(metadata, info)
            return info
        try:
            info = msgspec.json.decode(answer.content)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            info = None
        if not isinstance(info, dict):
            raise _unusable("its userinfo cannot be read")
        return info

    # Signatures and claims

    async def _verified(self, metadata: Metadata, token: str) -> dict[str, Any]:
        """The claims of a JWT that a key of the provider has signed. Raises Unauthenticated, Unreachable."""
        header = _header(token)
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            _refuse("it signs with an algorithm that is not accepted")
        key = await self._key(metadata, header.get("kid"))
        try:
            decoded = jwt.decode(token, key, [algorithm], JWSRegistry(algorithms=ALGORITHMS))
        except (JoseError, ValueError, TypeError, KeyError, UnicodeError, RecursionError):
            _refuse("a signature does not hold")
        return dict(decoded.claims)

    async def _key(self, metadata: Metadata, kid: Any) -> RSAKey | ECKey:
        """The key of that name; without a name the only one."""
        now = asyncio.get_running_loop().time()
        found = self._find_key(kid)
        if found is None and now - self._keys_at >= KEYS_SECONDS:
            self._keys = _read_keys(await self._get(metadata.jwks_uri))
            self._keys_at = now
            found = self._find_key(kid)
        if found is None:
            _refuse("it signs with a key that it does not publish")
        return found

    def _find_key(self, kid: Any) -> RSAKey | ECKey | None:
        if isinstance(kid, str):
            return self._keys.get(kid)
        return next(iter(self._keys.values())) if kid is None and len(self._keys) == 1 else None

    def _check_issuer(self, metadata: Metadata, claims: dict[str, Any]) -> None:
        """Raises Unauthenticated unless a token is of this issuer, for this client and not over."""
        audience = claims.get("aud")
        audiences = [audience] if isinstance(audience, str) else audience
        if claims.get("iss") != metadata.issuer:
            _refuse("a token is of another issuer")
        if not isinstance(audiences, list) or self._settings.client_id not in audiences:
            _refuse("a token is for another client")
        now = self._clock().timestamp()
        if "exp" in claims and not now - CLOCK_SECONDS < _seconds(claims["exp"]):
            _refuse("a token is over")

    def _check_id_token(
        self, metadata: Metadata, claims: dict[str, Any], nonce: str, authenticated_since: datetime | None
    ) -> None:
        """OpenID Connect Core 1.0, 3.1.3.7. Raises Unauthenticated."""
        self._check_issuer(metadata, claims)
        now = self._clock().timestamp()
        _seconds(claims.get("exp"))
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims:
            _refuse("the ID token is for several clients, and does not say for which")
        if claims.get("azp", self._settings.client_id) != self._settings.client_id:
            _refuse("the ID token is for another client")
        if not now - MAX_LOGIN_SECONDS - CLOCK_SECONDS <= _seconds(claims.get("iat")) <= now + CLOCK_SECONDS:
            _refuse("the ID token was not made now")
        if claims.get("nonce") != nonce:
            _refuse("the ID token is of another login")
        subject = claims.get("sub")
        if (
            not isinstance(subject, str)
            or not 1 <= len(subject) <= MAX_SUBJECT_LENGTH
            or printable(subject, MAX_SUBJECT_LENGTH) != subject
        ):
            _refuse("the ID token has no subject")
        if authenticated_since is not None and "auth_time" in claims:
            earliest = authenticated_since.timestamp() - CLOCK_SECONDS
            if _seconds(claims["auth_time"]) < earliest:
                _refuse("it did not ask the person to log in again")


def _header(token: str) -> dict[str, Any]:
    if len(token) > MAX_TOKEN_LENGTH:
        _refuse("a token is too long")
    try:
        header = msgspec.json.decode(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
    except (ValueError, msgspec.MsgspecError, RecursionError):
        header = None
    if not isinstance(header, dict):
        _refuse("a token cannot be read")
    return header


def _read_keys(body: bytes) -> dict[str | None, RSAKey | ECKey]:
    """The keys for signatures by name; what cannot be read is left out. Raises Unreachable."""
    try:
        listed = msgspec.json.decode(body)["keys"]
        entries = [entry for entry in listed[:MAX_KEYS] if isinstance(entry, dict)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        raise _unusable("its keys cannot be read") from None
    keys: dict[str | None, RSAKey | ECKey] = {}
    for entry in entries:
        kind = _KEYS.get(str(entry.get("kty")))
        kid = entry.get("kid")
        if kind is None or entry.get("use", "sig") != "sig" or not isinstance(kid, str | None):
            continue
        try:
            keys[kid] = kind.import_key(entry)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return keys


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**40:
        _refuse("a time of a token cannot be read")
    return float(value)


def _refuse(reason: str) -> NoReturn:
    raise Unauthenticated(
        "the answer of the identity provider does not hold: {reason}", reason=printable(reason, 200)
    )


def _unusable(reason: str) -> Unreachable:
    return Unreachable(
        "the identity provider does not answer as it should: {reason}", reason=printable(reason, 300)
    )
