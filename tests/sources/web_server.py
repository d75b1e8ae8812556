"""A web server of this machine, and a kind of source that reads what it serves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec

from federation.domain.errors import Invalid
from federation.domain.sources.kinds import Kind
from federation.domain.sources.reading import Item, Reading, ReadingFault


class WebServer:
    """Answers every GET with ``body``, or 304 where the request names its ETag."""

    def __init__(self) -> None:
        self.body = b""
        self.etag = '"1"'
        self.status = 200
        self.headers = ""
        self.requests: list[str] = []
        self.url = ""

    def serve(self, *items: Any, **members: Any) -> None:
        """Serve these items from now on, under another ETag."""
        self.body = a_file(*items, **members)
        self.etag = f'"{len(self.requests)}-{len(self.body)}"'

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.requests.append(request)
        same = f"if-none-match: {self.etag}" in request.lower()
        status, body = (304, b"") if same and self.status == 200 else (self.status, self.body)
        length = "" if status == 304 else f"content-length: {len(body)}\r\n"
        head = f"HTTP/1.1 {status} X\r\netag: {self.etag}\r\nconnection: close\r\n{self.headers}{length}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[WebServer]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/list"
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()


class _File(msgspec.Struct):
    items: list[dict[str, Any]]
    is_complete: bool = True
    label: Any = None


def read(raw: bytes, options: Any) -> Reading:
    """The reader of the kind ``list``: JSON with items of type, key and members."""
    try:
        file = msgspec.json.decode(raw, type=_File)
    except msgspec.MsgspecError as error:
        raise Invalid(f"it cannot be read: {error}") from None
    items, faults = [], []
    for number, value in enumerate(file.items):
        if "fault" in value:
            faults.append(ReadingFault(f"items[{number}]", value["fault"]))
            continue
        changed = datetime.fromisoformat(value["changed_at"]) if "changed_at" in value else None
        key = value["key"]
        identity = value.get("identity", key)
        items.append(Item(value["type"], key, value["members"], f"items[{number}]", identity, changed))
    return Reading(tuple(items), tuple(faults), file.is_complete, file.label)


LIST = Kind("file", "a list of items", read=read)


def an_item(key: str, content: Any, **members: Any) -> dict[str, Any]:
    envelope = {name: members.pop(name) for name in ("tlp", "audience", "same_as") if name in members}
    return {"type": "solutions", "key": key, "members": {"content": content, **envelope}, **members}


def a_file(*items: Any, **members: Any) -> bytes:
    return msgspec.json.encode({"items": list(items), **members})
