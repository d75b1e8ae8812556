"""A web site with advisories, on the loopback interface."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.cases.csaf_documents import document, leaf, product, vulnerability


def a_csaf(id_: str, *, label: str | None = "WHITE", name: str = "glpi") -> bytes:
    """A CSAF document of one vulnerability in a product."""
    tree = product(leaf("product_version", "10.0.1", "P"), name=name)
    members: dict[str, Any] = {"distribution": {"tlp": {"label": label}}} if label else {}
    return document(tree, vulnerability(known_affected=["P"]), id_=id_, **members)


class Site:
    """A web site on the loopback interface: files by path, and the paths that were asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.statuses: dict[str, int] = {}
        self.asked: list[str] = []
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                path = head.split(" ")[1]
                self.asked.append(path)
                body = self.files.get(path, b"")
                etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
                status = self.statuses.get(path, 200 if path in self.files else 404)
                if status == 200 and etag in head:
                    status, body = 304, b""
                writer.write(
                    f"HTTP/1.1 {status} x\r\netag: {etag}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Site]:
        server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        async with server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self

    def put(self, path: str, document: Any) -> bytes:
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.files[path] = raw
        return raw

    def put_hashed(self, path: str, document: Any) -> None:
        digest = hashlib.sha512(self.put(path, document)).hexdigest()
        self.put(f"{path}.sha512", f"{digest}  {path}\n".encode())


def rolie(site: Site, *names: str, hashed: bool = True, at: str = "2026-03-01T12:00:00Z") -> dict[str, Any]:
    entries = []
    for name in names:
        url = f"{site.url}/{name}.json"
        links = [{"rel": "self", "href": url}]
        if hashed:
            links.append({"rel": "hash", "href": f"{url}.sha512"})
        entries.append({"id": name, "updated": at, "link": links, "content": {"src": url}})
    return {"feed": {"id": "x", "entry": entries}}


def provider(site: Site, **labels_: str) -> dict[str, Any]:
    feeds = [{"tlp_label": label, "url": f"{site.url}/{name}.json"} for name, label in labels_.items()]
    return {
        "publisher": {"name": "x"},
        "role": "csaf_provider",
        "distributions": [{"rolie": {"feeds": feeds}}],
    }
