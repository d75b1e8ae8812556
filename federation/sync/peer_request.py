"""One request to a peer: a token bound to our key, and a proof of the key for this request."""

from __future__ import annotations

from typing import Any

import httpx2
from authlib.integrations.base_client.errors import OAuthError

from federation.domain.errors import (
    Unreachable,
)
from federation.node.keys import DPoPSigner
from federation.outbound import http
from federation.outbound.answers import error_text, read_problem, retry_after


def refuse_no_token(answer: Any) -> Any:
    """Before Authlib reads it: an answer that is neither a token nor an error of RFC 6749."""
    if answer.status_code not in (200, 400, 401):
        _, detail = read_problem(answer.content)
        raise Unreachable(
            f"asked for a token it answered {answer.status_code}{f': {detail}' if detail else ''}",
            retry_after=retry_after(answer.headers.get("retry-after", "")),
        )
    return answer


class PeerRequest:
    """A request whose answer is read as it comes, with a token of the peer's and a proof for this once."""

    def __init__(
        self,
        client: Any,
        prover: DPoPSigner,
        method: str,
        url: str,
        headers: dict[str, str],
        *,
        silence: float,
        extensions: dict[str, Any],
        content: bytes | None = None,
    ) -> None:
        self._client, self._prover, self._method, self._url = client, prover, method, url
        self._headers, self._silence, self._extensions = headers, silence, extensions
        self._content = content

    async def __aenter__(self) -> Any:
        try:
            if self._client.token is None or self._client.token.is_expired(leeway=60):
                self._client.token = None
                await self._client.fetch_token()
            token = str(self._client.token["access_token"])
            if str(self._client.token.get("token_type")).lower() != "dpop":
                raise Unreachable("it gave a token that is not bound to our key")
            self._context = self._client.stream(
                self._method,
                self._url,
                # Authlib knows bearer tokens only: the header is ours.
                withhold_token=True,
                content=self._content,
                headers={
                    **self._headers,
                    "authorization": f"DPoP {token}",
                    "dpop": self._prover.proof(self._method, self._url.split("?")[0], token),
                },
                timeout=httpx2.Timeout(self._silence, connect=http.CONNECT),
                extensions=self._extensions,
            )
            response = await self._context.__aenter__()
        except OAuthError as error:
            raise Unreachable(f"it gave no token: {error.error}: {error.description}"[:300]) from None
        except httpx2.HTTPError as error:
            raise Unreachable(f"it cannot be reached: {error_text(error)}") from None
        except (ValueError, TypeError, KeyError) as error:
            raise Unreachable(f"its token cannot be read: {error}"[:300]) from None
        if response.status_code == 401:
            self._client.token = None  # it may have been revoked: get a new one next time
        return response

    async def __aexit__(self, *exception: Any) -> None:
        try:
            await self._context.__aexit__(*exception)
        except httpx2.HTTPError as error:
            raise Unreachable(f"the answer broke off: {error_text(error)}") from None
        if isinstance(exception[1], httpx2.HTTPError):
            raise Unreachable(f"the answer broke off: {error_text(exception[1])}") from None
