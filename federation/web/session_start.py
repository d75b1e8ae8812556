"""Begin a session after a login, and bound the attempts."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from litestar.response.base import ASGIResponse

from federation.domain.errors import Invalid, NotFound, Refused, Unauthenticated
from federation.edge.limits import Limits
from federation.node import sessions
from federation.web.visit import Visit
from federation.web.visitor import secret_of, session_cookie

T = TypeVar("T")


async def begin_session(
    visit: Visit, person_id: str, next_: str, *, logout_hint: str | None = None
) -> ASGIResponse:
    """Begin a session in this browser in place of the one that it had, and go on."""
    former = secret_of(visit.node, visit.request)
    if former is not None:
        await sessions.end(visit.node, former)
    secret = await sessions.begin(visit.node, person_id, logout_hint=logout_hint)
    return visit.to(next_, headers={"set-cookie": session_cookie(visit.node, secret)})


async def attempt(visit: Visit, step: Awaitable[T]) -> T:
    """Carry out a step of a login. Failures count by address. Raises TooManyRequests after too many."""
    limits: Limits = visit.request.app.state.limits
    address = limits.address_of(visit.request.scope)
    try:
        limits.may_try(address)
    except Refused:
        if hasattr(step, "close"):
            step.close()  # (a coroutine that nobody awaits warns)
        raise
    try:
        return await step
    except (Invalid, NotFound, Unauthenticated):
        limits.failed(address)
        raise
