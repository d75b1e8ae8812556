"""The addresses of all pages, by the page that answers: those that links lead to from the first page."""

from __future__ import annotations

import re
from collections import deque
from functools import cache
from html import unescape

import httpx2

from federation.demo.communes import EXAMPLE
from federation.demo.nodes import Running
from federation.domain.messages import LANGUAGES
from federation.edge.operations import Operation, table
from federation.server.app import api
from federation.web.visit import HTML
from federation.web.visitor import COOKIE
from tests.nodes import NO_TLS
from tests.waiting import MAX_WAIT_SECONDS

SEEDS = ("/", "/write", f"/bodies/cog:{EXAMPLE}", "/search?q=glpi")
"""Addresses to begin with; forms lead to some pages, and links to all others."""
MAX_EXAMPLES = {"/write/{type_name:str}": 20}
"""Addresses of one page that are seen; two of every other."""
_LINK = re.compile(r'<a [^>]*?href="(/[^"#]*)')
_PARAMETER = re.compile(r"\{\w+:\w+\}")


@cache
def pages() -> dict[str, Operation]:
    """The pages that people open, by path without the language: not the forms that they send, nor files."""
    return {
        operation.path.removeprefix(f"/{LANGUAGES[0]}") or "/": operation
        for operation in table(api())
        if operation.tag == "pages"
        and operation.method == "GET"
        and operation.path.startswith(f"/{LANGUAGES[0]}")
        and any(HTML in answer.content for answer in operation.answers)
    }


def page_of(address: str) -> str | None:
    """The page that an address without language is of; None for files and addresses of programs."""
    path = address.partition("?")[0]
    found = [template for template in pages() if _pattern(template).fullmatch(path)]
    # The page with more of its path spelled out answers: /write before /{anything}.
    return min(found, key=lambda template: len(_PARAMETER.findall(template)), default=None)


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(re.escape(part) for part in _PARAMETER.split(template)))


def in_language(language: str, path: str) -> str:
    """The address of a page from the root."""
    return f"/{language}{path if path != '/' else ''}"


async def reachable(node: Running, session: str | None, language: str = LANGUAGES[0]) -> dict[str, list[str]]:
    """Addresses without language by their page, as links lead a visitor to them from the first page.

    ``session``: the secret of somebody who is logged in.
    """
    found: dict[str, list[str]] = {}
    queue = deque(SEEDS)
    seen = set(SEEDS)
    headers = {"cookie": f"{COOKIE}={session}"} if session else {}
    async with httpx2.AsyncClient(
        base_url=node.address, headers=headers, verify=NO_TLS, trust_env=False, timeout=MAX_WAIT_SECONDS
    ) as client:
        while queue:
            address = queue.popleft()
            page = page_of(address)
            if page is None or len(found.get(page, ())) >= MAX_EXAMPLES.get(page, 2):
                continue
            answer = await client.get(in_language(language, address))
            if answer.status_code == 303:
                links = [answer.headers["location"]]
            elif answer.status_code == 200:
                found.setdefault(page, []).append(address)
                links = [unescape(link) for link in _LINK.findall(answer.text)]
            else:
                assert address in SEEDS or session is None, f"{address} is answered by {answer.status_code}"
                continue
            for link in links:
                target = link.removeprefix(f"/{language}") or "/"
                # (Pages of lists and filters: one example of each page is enough, and comes by another link.)
                if link.startswith(f"/{language}") and target not in seen:
                    seen.add(target)
                    queue.append(target)
    return found
