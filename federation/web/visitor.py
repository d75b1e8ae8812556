"""The visitor of a page: the session that the cookie names, if there is one.

The cookie is sent to this host alone, over TLS, never to scripts, and not with requests that other sites make
but for links (``SameSite=Lax``). Its name begins with ``__Host-``, so that no other host of the domain sets
it. A node at a plain ``http`` address, which is one of the loopback, has a cookie without ``Secure``, which
takes a name without the prefix.
"""

from __future__ import annotations

from typing import Any

from litestar import Request

from federation.domain.person import SESSION_DURATION
from federation.node import sessions
from federation.node.node import Node
from federation.node.sessions import Session

COOKIE = "federation_session"


def cookie_name(node: Node) -> str:
    """The name of the cookie with the secret of a session."""
    return f"__Host-{COOKIE}" if node.url.startswith("https://") else COOKIE


def secret_of(node: Node, request: Request[Any, Any, Any]) -> str | None:
    """The secret that the cookie of a request has."""
    return request.cookies.get(cookie_name(node))


async def session_of(node: Node, request: Request[Any, Any, Any]) -> Session | None:
    """The session of a request; None for a visitor who is not logged in."""
    secret = secret_of(node, request)
    return await sessions.session(node, secret) if secret is not None else None


def session_cookie(node: Node, secret: str) -> str:
    """The ``Set-Cookie`` that gives a browser its session."""
    return _cookie(node, secret, int(SESSION_DURATION.total_seconds()))


def no_session_cookie(node: Node) -> str:
    """The ``Set-Cookie`` that takes it away."""
    return _cookie(node, "", 0)


def _cookie(node: Node, value: str, seconds: int) -> str:
    name = cookie_name(node)
    secure = "; Secure" if name != COOKIE else ""
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
