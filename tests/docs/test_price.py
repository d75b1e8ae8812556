"""The commands of "What may a commune join, and at which price?", run as they are written."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import httpx2
import pytest

from tests.docs.commands import printed_by
from tests.nodes import a_client, a_node, served

PAGE = (Path(__file__).parents[2] / "docs/how-to/price-for-a-commune.md").read_text()
_BLOCK = re.compile(r"```(sh|text)\n(.*?)```", re.DOTALL)


def steps() -> list[tuple[str, str]]:
    """Each script of the page, and the text that follows it."""
    found: list[tuple[str, str]] = []
    for language, text in _BLOCK.findall(PAGE):
        if language == "sh":
            found.append((text, ""))
        else:
            found[-1] = (found[-1][0], text)
    return found


@pytest.mark.skipif(
    not all(map(shutil.which, ("curl", "jq"))), reason="the page needs curl and jq, which are not installed"
)
async def test_the_commands_of_the_page_print_what_it_says(dsn: str) -> None:
    async with served("arnia", dsn, sync=False) as url, a_node("arnia", dsn, url=url) as node:
        credentials = await a_client(node)
        async with httpx2.AsyncClient(trust_env=False) as client:
            form = {"grant_type": "client_credentials"}
            got = await client.post(f"{url}/oauth2/token", data=form, auth=credentials)
        environment = {
            "PATH": "/usr/bin:/bin",
            "NODE": url,
            "TOKEN": got.json()["access_token"],
            "NO_PROXY": "*",
        }
        assert len(steps()) == 5
        for script, promised in steps():
            out = await printed_by(script, environment)
            # (Amounts have spaces that do not break; a page has plain ones.)
            printed = re.sub("[\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]", " ", out)
            assert printed.strip() == promised.strip()
