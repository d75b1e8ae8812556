"""Access tokens: renewed before they expire, once for all callers that wait."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote_plus

import msgspec

RENEW_SECONDS = 30.0
"""Time before its end at which a token is renewed; half of its life, where that is less than a minute."""
USUAL_SECONDS = 300.0
"""Life of a token of a node, where an answer does not say it."""


class AccessToken(msgspec.Struct, frozen=True):
    """An access token, as a token endpoint answers it (RFC 6749, 5.1)."""

    access_token: str
    expires_in: float = USUAL_SECONDS
    """Seconds that it is valid for, from now on."""


TokenSource = Callable[[], Awaitable[AccessToken]]
"""Obtains a new token: at the token endpoint of the node, or from a broker of your own."""


class TokenCache:
    """The token that requests are sent with.

    Callers that need a new one at the same moment wait for a single request to its source.
    """

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._token: str | None = None
        self._renew_at = 0.0
        self._lock = asyncio.Lock()

    async def current(self) -> str:
        """The present token, renewed where it ends soon. Raises what its source raises."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if self._token is None or now >= self._renew_at:
                token = await self._source()
                life = max(token.expires_in, 0.0)
                # (The life counts from before the request: never too long.)
                self._token, self._renew_at = token.access_token, now + life - min(RENEW_SECONDS, life / 2)
            return self._token

    def discard(self, token: str) -> None:
        """Forget a token that was refused, unless another caller has replaced it meanwhile."""
        if token == self._token:
            self._token = None


def basic_credentials(client_id: str, secret: str) -> str:
    """The ``Authorization`` header of a client; both parts are form-encoded first (RFC 6749, 2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def read_error(body: bytes) -> tuple[str, str] | None:
    """``error`` and ``error_description`` of an answer of RFC 6749, 5.2; None for another body."""
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("error"), str):
        return None
    description = value.get("error_description")
    return value["error"], description if isinstance(description, str) else ""
