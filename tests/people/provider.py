"""A small OpenID provider, as strict as the strictest: signed userinfo, tokens of a minute, codes of one use.

It refuses parameters that it does not know, as ProConnect does, and a code without its verifier. Each answer
can be changed before it is given.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "node-arnia", "s3cret"
KNOWN = {
    "response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "prompt", "code_challenge",
    "code_challenge_method",
}  # fmt: skip
Change = Callable[[dict[str, Any]], None]


class Provider:
    """The provider, its people and what it says."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": "k1"}, private=True)
        self.signing_key = self.key
        self.kid = "k1"
        self.subject = "subject-1"
        self.claims: dict[str, Any] = {"given_name": "Anne", "usual_name": "Martin"}
        self.in_metadata: dict[str, Any] = {}
        self.in_id_token: dict[str, Any] = {}
        """Claims of the ID token in place of the right ones; None takes a claim away."""
        self.in_userinfo: dict[str, Any] = {}
        self.signs_userinfo = True
        self.algorithm = "RS256"
        self.calls: list[str] = []
        self.failing: set[str] = set()
        """Paths that answer 500."""
        self._codes: dict[str, dict[str, str]] = {}
        self._tokens: set[str] = set()

    def log_in(self, address: str) -> dict[str, str]:
        """Follow the link of a browser, log in, and return the parameters that come back."""
        parts = urlsplit(address)
        pairs = parse_qsl(parts.query, strict_parsing=True)
        asked = dict(pairs)
        assert address.startswith(f"{self.url}/authorize?")
        assert len(pairs) == len(asked)
        assert asked.keys() <= KNOWN, "ProConnect refuses what it does not know"
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert len(asked["state"]) == len(asked["nonce"]) == 43
        assert asked.get("code_challenge_method") == ("S256" if "S256" in self._methods else None)
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return {"code": code, "state": asked["state"], "iss": self.url}

    @property
    def _methods(self) -> list[str]:
        return list(self._metadata()["code_challenge_methods_supported"])

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/jwks",
            "end_session_endpoint": f"{self.url}/end",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        } | self.in_metadata

    def _sign(self, claims: dict[str, Any], changed: dict[str, Any]) -> str:
        claims = {name: value for name, value in (claims | changed).items() if value is not None}
        if self.algorithm == "none":
            raw = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
            return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in raw) + "."
        return str(jwt.encode({"alg": "RS256", "kid": self.kid}, claims, self.signing_key))

    def _token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        asked = self._codes.pop(form.get("code", ""), None)
        verifier = form.get("code_verifier", "")
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        if asked is None or form.get("redirect_uri") != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        if asked.get("code_challenge", digest) != digest:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        token = secrets.token_urlsafe(16)
        self._tokens.add(token)
        claims = {
            "iss": self.url,
            "sub": self.subject,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 60,
            "nonce": asked["nonce"],
        }
        id_token = self._sign(claims, self.in_id_token)
        return 200, {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": 60,
            "id_token": id_token,
        }

    def _userinfo(self) -> tuple[str, str]:
        now = int(time.time())
        claims = {"sub": self.subject, **self.claims}
        if not self.signs_userinfo:
            return "application/json", json.dumps(claims | self.in_userinfo)
        claims |= {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 60}
        return "application/jwt", self._sign(claims, self.in_userinfo)

    def answer(self, method: str, path: str, headers: dict[str, str], body: str) -> tuple[int, str, str]:
        """Status, media type and body."""
        self.calls.append(path)
        if path in self.failing:
            return 500, "text/plain", "out of order"
        match (method, path):
            case ("GET", "/.well-known/openid-configuration"):
                return 200, "application/json", json.dumps(self._metadata())
            case ("GET", "/jwks"):
                return 200, "application/json", json.dumps({"keys": [self.key.as_dict(private=False)]})
            case ("POST", "/token"):
                form = {name: values[0] for name, values in parse_qs(body).items()}
                status, token = self._token(form)
                return status, "application/json", json.dumps(token)
            case ("GET", "/userinfo"):
                if headers.get("authorization", "").removeprefix("Bearer ") not in self._tokens:
                    return 401, "text/plain", ""
                return 200, *self._userinfo()
        return 404, "text/plain", ""


@asynccontextmanager
async def running_provider() -> AsyncIterator[Provider]:
    """A provider that listens on the loopback interface."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (part.partition(":") for part in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        method, path, _ = line.split(" ")
        status, media_type, text = provider.answer(method, path, headers, body.decode())
        raw = text.encode()
        writer.write(
            f"HTTP/1.1 {status} X\r\ncontent-type: {media_type}\r\ncontent-length: {len(raw)}\r\n"
            "connection: close\r\n\r\n".encode()
            + raw
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    provider = Provider(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield provider
    finally:
        server.close()
