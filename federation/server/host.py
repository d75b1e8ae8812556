"""The ``Host`` of a request (RFC 9112, 3.2): exactly one, with a host and perhaps a port; else 400."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.responses import refusal
from federation.domain.errors import Invalid

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~!$&'()*+,;=%-]{1,253})(:[0-9]{0,5})?")
"""RFC 3986, 3.2.2, and a port."""


def names_one_host(scope: Any) -> bool:
    """True for a request that has one ``Host`` with a host in it; HTTP/1.0 may have none."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) == 1 and _is_host(hosts[0]):
        return True
    # granian writes HTTP/1.0 as "1", and adds a header without a value where none came.
    return scope["http_version"] in ("1", "1.0") and hosts in ([], [b""])


@lru_cache(256)
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None


def refuse_host(scope: Any, base: str) -> ASGIResponse:
    """The answer to a request that names no host, or several."""
    error = Invalid("the request must have one Host header, with a host and perhaps a port")
    return refusal(base, error).to_asgi_response(None, Request(scope))
