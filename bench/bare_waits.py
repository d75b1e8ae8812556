"""To compare with: ASGI that answers callers who wait, and nothing else.

The same server and the same bytes as a node's, headers included. ``GET /v1/feeds`` waits while the caller has
the current state; ``POST /state`` brings a new one, and answers everybody: a line of JSON with the headers of
the answer, and its body. No token is checked, nothing is encoded.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from typing import Any

from bench.servers import serve

_TOKEN = b'{"access_token":"bare","token_type":"DPoP","expires_in":3600}'


class BareWaits:
    """The application."""

    def __init__(self) -> None:
        self._body, self._tag = b'{"feeds":[]}', b'"0"'
        self._headers = [(b"content-type", b"application/x-ndjson"), (b"etag", self._tag)]
        self._waiting: list[asyncio.Future[None]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, headers = b"{}", [(b"content-type", b"application/json")]
        path = scope["path"]
        if path == "/oauth2/token":
            body = _TOKEN
        elif path == "/state":
            await self._bring(receive)
        elif path == "/v1/feeds":
            if (b"if-none-match", self._tag) in scope["headers"]:
                woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.append(woken)
                await woken
            body, headers = self._body, self._headers
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": 200, "headers": [*headers, length]})
        await send({"type": "http.response.body", "body": body})

    async def _bring(self, receive: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        named, _, self._body = body.partition(b"\n")
        self._tag = b'"%s"' % hashlib.sha256(self._body).hexdigest()[:32].encode()
        headers = {**json.loads(named), "etag": self._tag.decode()}
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        waiting, self._waiting = self._waiting, []
        for woken in waiting:
            if not woken.done():
                woken.set_result(None)


if __name__ == "__main__":
    asyncio.run(serve(BareWaits(), int(sys.argv[1])))
