"""Requests to one node: a token, bounded repetition, and errors by the problem that the node answers.

Send a request → where no answer came, or the node is busy, wait and repeat it, if it may be repeated →
where the token was refused, renew it once → read the answer up to a bound → raise what is no success.

A request may be repeated when carrying it out twice leaves the same as once: ``GET``, ``PUT``, ``PATCH``,
``DELETE``, and a ``POST`` with an ``Idempotency-Key``, which the node answers from memory the second time.
Others are repeated only where no connection was made. The address in an answer is never called: a token
goes to this node alone.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, TypeVar

import httpx2
import msgspec

from federation.client.errors import (
    ClientError,
    ConnectionFailed,
    RequestRefused,
    TokenRefused,
    UnexpectedAnswer,
    read_problem,
)
from federation.client.tokens import AccessToken, TokenCache, TokenSource, basic_credentials, read_error

log = logging.getLogger("federation.client")

MAX_ATTEMPTS = 5
"""Attempts for a request that may be repeated."""
FIRST_WAIT_SECONDS = 0.5
"""Wait before the second attempt; doubled for each further one, less up to a half by chance."""
MAX_WAIT_SECONDS = 30.0
"""Wait between two attempts, at most, unless the node asks for more."""
MAX_RETRY_AFTER_SECONDS = 60.0
"""``Retry-After`` that is waited for; a longer one is reported to the caller at once."""
MAX_ANSWER_BYTES = 512 * 1_048_576
"""Bytes of an answer that is read whole: a page of 500 records has half a gibibyte at most."""

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_NO_ANSWER = frozenset({502, 503, 504})
"""Statuses of a proxy that got no answer of the node; the node's own ones have a problem as their body."""
_BUSY = frozenset({429, 503})
_IN_PROGRESS = "request-in-progress"
"""The code of a repeated request whose first attempt is still being carried out."""

Parameters = Sequence[tuple[str, str]]
T = TypeVar("T")


class NodeAnswer(NamedTuple):
    """An answer that is no refusal."""

    status: int
    headers: httpx2.Headers
    body: bytes


class Sender:
    """Sends requests to one node."""

    def __init__(
        self, http: httpx2.AsyncClient, token_source: TokenSource | None, *, attempts: int = MAX_ATTEMPTS
    ) -> None:
        self._http = http
        self._tokens = TokenCache(token_source) if token_source is not None else None
        self._attempts = attempts

    async def send(
        self,
        method: str,
        path: str,
        *,
        parameters: Parameters = (),
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool | None = None,
        timeout: httpx2.Timeout | None = None,  # noqa: ASYNC109 - of the HTTP client, between two bytes
    ) -> NodeAnswer:
        """The answer to a request. Raises ClientError.

        ``idempotent``: whether it may be repeated; of a ``POST`` that does not say so, a key makes it so.
        """
        named = dict(headers or {})
        if method == "POST" and idempotent is None:
            named["idempotency-key"] = f'"{uuid.uuid4()}"'
        repeatable = idempotent is not False
        renewed = repeated = False
        attempt = 1
        while True:
            token = await self._tokens.current() if self._tokens is not None else None
            if token is not None:
                named["authorization"] = f"Bearer {token}"
            request = self._http.build_request(
                method,
                path,
                params=list(parameters) or None,
                content=content,
                headers=named,
                timeout=timeout if timeout is not None else httpx2.USE_CLIENT_DEFAULT,
            )
            try:
                answer = await self._exchange(request)
            except _NOT_SENT as error:
                failure: ClientError = _connection_failed(request, error)
                wait = 0.0
            except httpx2.TransportError as error:
                failure, wait, repeated = _connection_failed(request, error), 0.0, True
                if not repeatable:
                    raise failure from error
            else:
                if answer.status == 401 and token is not None and self._tokens is not None and not renewed:
                    self._tokens.discard(token)
                    renewed = True
                    continue
                if answer.status < 300 or answer.status == 304:
                    return answer
                failure, wait = _error_of(answer), retry_after(answer.headers) or 0.0
                if isinstance(failure, RequestRefused):
                    failure.repeated = repeated
                busy = isinstance(failure, ConnectionFailed) or answer.status in _BUSY
                busy = busy or (isinstance(failure, RequestRefused) and failure.code == _IN_PROGRESS)
                if not (repeatable and busy and wait <= MAX_RETRY_AFTER_SECONDS):
                    raise failure
                repeated = repeated or answer.status != 429
            if attempt >= self._attempts:
                raise failure
            wait = max(wait, backoff(attempt))
            log.info("%s %s: %s; attempt %d after %.1f s", method, path, failure, attempt + 1, wait)
            await asyncio.sleep(wait)
            attempt += 1

    async def decoded(self, kind: type[T], method: str, path: str, **options: Any) -> T:
        """The answer to a request, as a value of this type. Raises ClientError."""
        return decode(kind, await self.send(method, path, **options))

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        headers: Mapping[str, str],
        timeout: httpx2.Timeout,  # noqa: ASYNC109 - of the HTTP client, between two bytes
    ) -> AsyncIterator[httpx2.Response]:
        """An answer of 200 that is read as it comes; one attempt. Raises ClientError, and TransportError
        within."""
        named = {"accept-encoding": "identity", **headers}  # an event must not wait for a block to fill
        token = await self._tokens.current() if self._tokens is not None else None
        if token is not None:
            named["authorization"] = f"Bearer {token}"
        request = self._http.build_request("GET", path, headers=named, timeout=timeout)
        response = await self._http.send(request, stream=True)
        try:
            if response.status_code != 200:
                body = await _read(response)
                if response.status_code == 401 and token is not None and self._tokens is not None:
                    self._tokens.discard(token)
                raise _error_of(NodeAnswer(response.status_code, response.headers, body))
            yield response
        finally:
            await response.aclose()

    async def _exchange(self, request: httpx2.Request) -> NodeAnswer:
        """One request and its whole answer. Raises TransportError where none came, and UnexpectedAnswer."""
        response = await self._http.send(request, stream=True)
        try:
            return NodeAnswer(response.status_code, response.headers, await _read(response))
        except httpx2.DecodingError as error:
            raise UnexpectedAnswer(f"the answer cannot be unpacked: {error}") from error
        finally:
            await response.aclose()


def client_credentials(sender: Sender, client_id: str, secret: str, scope: str | None) -> TokenSource:
    """Obtain tokens at the node itself (RFC 6749, 4.4), with HTTP Basic."""
    form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
    headers = {
        "authorization": basic_credentials(client_id, secret),
        "content-type": FORM,
        "accept": JSON,
    }

    async def obtain() -> AccessToken:
        content = str(httpx2.QueryParams(form)).encode()
        answer = await sender.send("POST", "/oauth2/token", content=content, headers=headers, idempotent=True)
        return decode(AccessToken, answer)

    return obtain


def decode(kind: type[T], answer: NodeAnswer) -> T:
    """The body of an answer as a value of a type; members that are not known here are left out.

    Raises UnexpectedAnswer.
    """
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UnexpectedAnswer(f"the answer cannot be read: {error}", status=answer.status) from error


def backoff(attempt: int) -> float:
    """Seconds to wait after so many attempts: doubled, bounded, less up to a half by chance."""
    wait = min(MAX_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(attempt - 1, 20))
    return wait * random.uniform(0.5, 1.0)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that ``Retry-After`` asks for (RFC 9110, 10.2.3); None without one that can be read."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    try:
        moment = parsedate_to_datetime(text) if text else None
    except (ValueError, OverflowError):
        return None
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)


async def _read(response: httpx2.Response) -> bytes:
    """The body of an answer. Raises UnexpectedAnswer for one that is too long."""
    parts, size = [], 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise UnexpectedAnswer(
                f"the answer is longer than {MAX_ANSWER_BYTES} bytes: ask for fewer records",
                status=response.status_code,
            )
        parts.append(part)
    return b"".join(parts)


def _error_of(answer: NodeAnswer) -> ClientError:
    """The error that an answer of 3xx, 4xx or 5xx becomes."""
    if 300 <= answer.status < 400:
        return UnexpectedAnswer(
            f"the node redirects to {answer.headers.get('location', 'nowhere')[:200]}; give its own address",
            status=answer.status,
        )
    problem = read_problem(answer.status, answer.body, retry_after=retry_after(answer.headers))
    if problem is not None:
        return problem
    refusal = read_error(answer.body)
    if refusal is not None:
        return TokenRefused(*refusal, status=answer.status)
    if answer.status in _NO_ANSWER:
        return ConnectionFailed(f"a proxy answers {answer.status}: it got no answer of the node")
    start = answer.body[:200].decode(errors="replace")
    return UnexpectedAnswer(
        f"status {answer.status} with a body that is no problem of a node: {start!r}", status=answer.status
    )


def _connection_failed(request: httpx2.Request, error: Exception) -> ConnectionFailed:
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ConnectionFailed(f"{request.url.host} did not answer: {reason}")
