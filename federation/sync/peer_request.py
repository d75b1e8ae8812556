"""One request to a peer: a token bound to our key, and a proof of the key for this request.

- No answer, or one of 5xx: an outage (``PeerDown``). Other members are asked for their copies.
- 401, 403, an error of the token endpoint: a decision of the peer (``AccessRefused``). Nobody else is asked.
- No free connection here: our own shortage (``Unavailable``), and no failure of the peer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
from authlib.integrations.base_client.errors import OAuthError

from federation.domain.errors import AccessRefused, PeerDown, Refused, Unavailable, Unreachable
from federation.node.keys import DPoPSigner
from federation.outbound import http
from federation.outbound.answers import error_text, read_problem, retry_after
from federation.sync.peer_clock import PeerClock


def refusal_of(status: int, detail: str, clock: PeerClock, *, after: str = "") -> Unreachable:
    """The error for an answer that is not 200. ``after``: its ``Retry-After``."""
    if status in (401, 403):
        return AccessRefused(clock.explain(detail), retry_after=retry_after(after))
    kind = PeerDown if status >= 500 else Unreachable
    return kind(detail, retry_after=retry_after(after))


def token_answer_hook(clock: PeerClock) -> Callable[[Any], Any]:
    """A hook before Authlib reads the answer to a token request.

    It raises for an answer that is neither a token nor an error of RFC 6749.
    """

    def check(answer: Any) -> Any:
        clock.observe(answer.headers.get("date"))
        if answer.status_code not in (200, 400, 401):
            _, detail = read_problem(answer.content)
            raise refusal_of(
                answer.status_code,
                f"asked for a token it answered {answer.status_code}{f': {detail}' if detail else ''}",
                clock,
                after=answer.headers.get("retry-after", ""),
            )
        return answer

    return check


class PeerRequest:
    """A request whose answer is read as it comes, with a token of the peer's and a proof for this once."""

    def __init__(
        self,
        client: Any,
        prover: DPoPSigner,
        clock: PeerClock,
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
        self._clock = clock
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
            refusal = f"it gave no token: {error.error}: {error.description}"[:300]
            raise AccessRefused(self._clock.explain(refusal)) from None
        except httpx2.HTTPError as error:
            raise _failure("it cannot be reached", error) from None
        except (ValueError, TypeError, KeyError) as error:
            raise Unreachable(f"its token cannot be read: {error}"[:300]) from None
        self._clock.observe(response.headers.get("date"))
        if response.status_code == 401:
            self._client.token = None  # it may have been revoked: get a new one next time
        return response

    async def __aexit__(self, *exception: Any) -> None:
        try:
            await self._context.__aexit__(*exception)
        except httpx2.HTTPError as error:
            raise _failure("the answer broke off", error) from None
        if isinstance(exception[1], httpx2.HTTPError):
            raise _failure("the answer broke off", exception[1]) from None


def _failure(event: str, error: httpx2.HTTPError) -> Refused:
    if isinstance(error, httpx2.PoolTimeout):
        return Unavailable("no connection to the peer was free in time")
    # (An answer that is refused here, since it is too long for example, is no outage.)
    kind = PeerDown if getattr(error, "outage", True) else Unreachable
    return kind(f"{event}: {error_text(error)}")
