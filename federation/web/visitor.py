"""The visitor of a page: the session that the cookie names, if there is one."""

from __future__ import annotations

from typing import Any

from litestar import Request

from federation.node.node import Node


async def session_of(node: Node, request: Request[Any, Any, Any]) -> Any:
    """The session of a request; None for a visitor who is not logged in."""
    return None
