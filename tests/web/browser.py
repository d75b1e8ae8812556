"""Pages as a browser asks for them, and what is on them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from html.parser import HTMLParser

import httpx2
from litestar import Litestar

from federation.server.observed import ObservedApplication
from federation.telemetry import Metrics

SAME_ORIGIN = {"sec-fetch-site": "same-origin"}
"""The header of a form that was sent from a page of the node."""
_VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "source", "wbr"})


@asynccontextmanager
async def browsing(app: Litestar, language: str = "fr") -> AsyncIterator[httpx2.AsyncClient]:
    """A browser with a language, and without cookies."""
    transport = httpx2.ASGITransport(app=ObservedApplication(app, Metrics()), raise_app_exceptions=False)
    headers = {"accept-language": language, "accept": "text/html"}
    async with httpx2.AsyncClient(
        transport=transport, base_url=app.state.node.url, headers=headers
    ) as client:
        yield client


class _Checker(HTMLParser):
    """Tags that close in order, and ids that are there once."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.faults: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id" and value is not None:
                if value in self.ids:
                    self.faults.append(f"id {value} is there twice")
                self.ids.add(value)
            if name == "style" or name.startswith("on"):
                self.faults.append(f"{name} on {tag}: the policy blocks it")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text.append(data)


def shown(answer: httpx2.Response, status: int = 200) -> str:
    """The text of a page, white space joined. Checks its status, its form and what every page has."""
    assert answer.status_code == status, (
        answer.status_code,
        answer.headers.get("location"),
        answer.text[:600],
    )
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    html = answer.text
    checker = _Checker()
    checker.feed(html)
    assert not checker.faults, checker.faults
    assert not checker.open, checker.open
    assert re.search(r'<html lang="(fr|en)">', html)
    assert html.count("<h1>") == 1
    for address in re.findall(r'\b(?:src|action)="([^"]*)"|<link[^>]* href="([^"]*)"', html):
        for part in filter(None, address):
            assert re.match("/(?!/)", part), part
    return " ".join("".join(checker.text).split())


def links(answer: httpx2.Response) -> list[str]:
    """The addresses that a page links to."""
    return [unescape(address) for address in re.findall(r'<a [^>]*?href="([^"]*)"', answer.text)]
