"""Answers of bytes, and the headers and media types that answers share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Any

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from federation.domain.audit import ANONYMOUS
from federation.domain.visibility import Caller
from federation.edge.operations import KEY, Operation

UNKNOWN = "unknown"
"""The act of a request that reached no operation."""
JSON = "application/json"
NDJSON = "application/x-ndjson"
PROBLEM = "application/problem+json"
MERGE_PATCH = "application/merge-patch+json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
# A record changes when its operator says so: caches may keep it, and must ask before they use it.
REVALIDATE = {"cache-control": "private, no-cache", "vary": "authorization"}
NO_STORE = {"cache-control": "no-store"}
ETAG_HEADER = {
    "ETag": {
        "description": "SHA-256 of the record, the same at every node.",
        "required": True,
        "schema": {"type": "string"},
    }
}
"""The header of an answer with a record's validator, as OpenAPI describes it."""


class Bytes(ASGIResponse):
    """An answer of bytes as they are. (Litestar's own makes a mapping of headers, and this makes none.)"""

    __slots__ = ("_message",)

    def __init__(self, body: bytes, status: int, media_type: str, headers: Mapping[str, str]) -> None:
        self.body = body
        self.status_code = status
        named = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        if status not in (204, 304):
            if media_type.startswith("text/"):
                media_type += "; charset=utf-8"
            named.append((b"content-type", media_type.encode("latin-1")))
            named.append((b"content-length", b"%d" % len(body)))
        self._message = {"type": "http.response.start", "status": status, "headers": named}

    @property
    def named_headers(self) -> dict[str, str]:
        """Its headers, less the length."""
        headers: Any = self._message["headers"]
        named = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        return {name: value for name, value in named.items() if name != "content-length"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(self._message)  # type: ignore[arg-type]
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


def answer(
    body: bytes, *, status: int = 200, media_type: str = JSON, headers: Mapping[str, str] | None = None
) -> ASGIResponse:
    """An answer of bytes as they are."""
    return Bytes(body, status, media_type, headers or {})


def json_answer(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> ASGIResponse:
    """An answer of a value as JSON."""
    return answer(msgspec.json.encode(value), status=status, headers=headers)


def etag(hash_: bytes) -> str:
    """The strong validator of a record: its hash, the same at every node."""
    return f'"{hash_.hex()}"'


def tagged_answer(
    request: Request[Any, Any, Any], body: bytes, *, media_type: str = JSON, headers: Mapping[str, str]
) -> ASGIResponse:
    """An answer that is made on request, with a hash of its bytes as its strong validator.

    It is 304 to a caller that has it: ``If-None-Match`` names the validator (RFC 9110, 13.1.2).
    """
    tag = hashlib.sha256(body).hexdigest()[:32]
    headers = {**headers, "etag": f'"{tag}"'}
    known = tags(request.headers.get("if-none-match"))
    if known is not None and (tag in known or "*" in known):
        return answer(b"", status=304, headers=headers)
    return answer(body, media_type=media_type, headers=headers)


def tags(header: str | None, *, strong: bool = False) -> frozenset[str] | None:
    """The hashes that ``If-Match`` or ``If-None-Match`` name; None without the header (RFC 9110, 13.1).

    ``If-Match`` compares strongly: a weak tag matches nothing.
    """
    if header is None:
        return None
    named = [part.strip() for part in header.split(",") if part.strip()]
    return frozenset(
        tag.removeprefix("W/").strip('"') for tag in named if not (strong and tag.startswith("W/"))
    )


@lru_cache(4096)
def http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


def preferences_of(request: Request[Any, Any, Any]) -> frozenset[str]:
    """The preferences of the caller (RFC 7240), in small letters."""
    header = ",".join(request.headers.getall("prefer", ()))
    return frozenset(preference.strip().lower() for preference in header.split(",") if preference.strip())


def act_of(scope: Mapping[str, Any]) -> str:
    """The act of a request, for metrics and the audit trail."""
    operation: Operation | None = scope.get(KEY)
    return operation.act if operation is not None else UNKNOWN


def subject_of(caller: Caller | None) -> str:
    """The caller as far as a token verified it: a client or person of ours, a peer, or nobody."""
    return (
        (caller.client or caller.person or caller.operator or ANONYMOUS) if caller is not None else ANONYMOUS
    )
