"""Answers that go on: lines sent as they are read, for the caller as the token stands at each page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from litestar import Request
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse

from federation.api.caller import Tokens
from federation.domain.visibility import Caller
from federation.edge.requests import caller_of

CurrentCaller = Callable[[], Awaitable[Caller]]
"""The caller in the groups it is in by now. Raises Unauthenticated once the token no longer holds."""


def current_caller(request: Request[Any, Any, Any]) -> CurrentCaller:
    """The caller of a request, checked anew for each page of a stream."""
    tokens: Tokens = request.app.state.tokens
    authorization = request.headers.get("authorization")
    first = caller_of(request)

    async def caller() -> Caller:
        return first if authorization is None else await tokens.caller_again(authorization)

    return caller


def stream_answer(lines: AsyncIterator[bytes], media_type: str, headers: Mapping[str, str]) -> ASGIResponse:
    """An answer of lines, each sent when it is there."""
    return ASGIStreamingResponse(iterator=lines, media_type=media_type, headers=dict(headers))
