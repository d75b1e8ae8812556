"""A request: its node, its caller, and its body within bounds of size and time.

A body where none is read is refused: what we ignore, a proxy in front may not.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

from litestar import Request
from litestar.datastructures import Headers

from federation.domain.document import MAX_DOCUMENT
from federation.domain.errors import (
    Invalid,
    TooLarge,
    TooSlow,
    UnsupportedMediaType,
)
from federation.domain.visibility import Caller
from federation.edge.operations import Operation
from federation.edge.shares import SLOT, Slot
from federation.node.node import Node

MAX_QUERY_BYTES = 8_192
"""Length of a query string, at most."""
MAX_SILENT_SECONDS = 10.0
"""Time after which a body of which nothing more comes is given up."""
MAX_BODY_SECONDS = 30.0
"""Time within which a body must have come that is no bulk upload."""
BODY = "whole body"
"""The member of an ASGI scope that a body is under which was read before the handler."""


def check_size(operation: Operation, scope: Any, headers: Headers) -> None:
    """Refuse by its headers what must not be read: too long, of another form, a body where none belongs.

    Raises TooLarge, UnsupportedMediaType, Invalid.
    """
    if len(scope["query_string"]) > MAX_QUERY_BYTES:
        raise TooLarge("the query string is longer than {maximum} bytes", maximum=MAX_QUERY_BYTES)
    if len(headers.getall("authorization", ())) > 1:
        raise Invalid("there is more than one Authorization header")  # a proxy may have read the other
    length = headers.get("content-length", "0")
    if operation.bodies:
        check_form(headers.get("content-type"), headers.get("content-encoding"), operation.media_types)
        limit = operation.max_bytes
        if not re.fullmatch("[0-9]{1,19}", length) or int(length) > limit:
            raise TooLarge("the body is longer than {maximum} bytes", maximum=limit)
    elif length.strip("0") or "transfer-encoding" in headers:
        raise Invalid("no body is read here; send the request without one")


def check_form(content_type: str | None, encoding: str | None, reads: tuple[str, ...]) -> None:
    """Raises UnsupportedMediaType unless the body is of a type that is read, and not compressed."""
    media_type, _, parameters = (content_type or "").partition(";")
    if media_type.strip().lower() not in reads:
        raise UnsupportedMediaType(
            "the body must be sent with Content-Type: {types}", types=" or ".join(reads)
        )
    for parameter in parameters.lower().split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') != "utf-8":
            raise UnsupportedMediaType("the body must be UTF-8")
    if encoding not in (None, "identity"):
        raise UnsupportedMediaType("the body must not be compressed")


def node_of(request: Request[Any, Any, Any]) -> Node:
    """The node that the request is made to."""
    node: Node = request.app.state.node
    return node


def caller_of(request: Request[Any, Any, Any]) -> Caller:
    """The caller of a request, as the guard found it."""
    caller: Caller = request.scope["caller"]  # type: ignore[typeddict-item]
    return caller


async def body_of(request: Request[Any, Any, Any], limit: int = MAX_DOCUMENT) -> bytes:
    """The whole body. Raises TooLarge as soon as it is, whatever Content-Length said; TooSlow."""
    members: Any = request.scope
    read: bytes | None = members.get(BODY)
    if read is not None:
        return read
    parts: list[bytes] = []
    size = 0
    length = request.headers.get("content-length")  # a number, see ``check_size``
    async for part in pieces(request, within=MAX_BODY_SECONDS):
        size += len(part)
        if size > limit:
            raise TooLarge("the body is longer than {maximum} bytes", maximum=limit)
        parts.append(part)
        if length is not None and size == int(length):
            break  # the end of the body would be reported by itself, a tenth of a millisecond later
    if not size:
        raise Invalid("the request has no body")
    return b"".join(parts)


async def pieces(request: Request[Any, Any, Any], *, within: float | None = None) -> AsyncIterator[bytes]:
    """The body as it comes. Raises TooSlow when it falls silent, or has not come within so many seconds.

    A request under way holds a connection and a slot of its caller's share, so nobody may hold them by
    sending nothing; and when the share is used up, the oldest request whose body is awaited gives way.
    """
    now = asyncio.get_running_loop().time
    stream = request.stream()
    end = now() + within if within is not None else None
    members: Any = request.scope
    slot: Slot | None = members.get(SLOT)
    while True:
        silent_until = now() + MAX_SILENT_SECONDS
        try:
            async with asyncio.timeout_at(silent_until if end is None else min(silent_until, end)) as timer:
                if slot is not None:
                    slot.body = timer
                piece = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            if slot is not None and slot.released:
                raise TooSlow("newer requests of the same caller came while the body was awaited") from None
            if end is not None and now() >= end:
                raise TooSlow("the body did not come within {seconds:g} seconds", seconds=within) from None
            raise TooSlow(
                "nothing more of the body came for {seconds:g} seconds", seconds=MAX_SILENT_SECONDS
            ) from None
        finally:
            if slot is not None:
                slot.body = None
        yield piece
