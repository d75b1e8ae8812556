"""The commands of the how-tos about exports, run as they are written."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import httpx2
import pytest

from tests.conftest import Databases
from tests.docs.blocks import DOCS
from tests.docs.commands import printed_by
from tests.domain.builders import a_deployment, a_solution
from tests.exposure.commands import ran
from tests.nodes import a_client, a_node, publish, served

_BLOCK = re.compile(r"```(sh|text)\n(.*?)```", re.DOTALL)
_CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
needs_tools = pytest.mark.skipif(
    not all(map(shutil.which, ("curl", "jq", "sha512sum"))),
    reason="the pages need curl, jq and sha512sum, which are not installed",
)


def steps(page: str) -> list[tuple[str, str]]:
    """Each script of a page, and the text that follows it."""
    found: list[tuple[str, str]] = []
    for language, text in _BLOCK.findall((DOCS / "how-to" / page).read_text()):
        if language == "sh":
            found.append((text, ""))
        else:
            found[-1] = (found[-1][0], text)
    return found


@needs_tools
@pytest.mark.parametrize(
    ("page", "number"), [("publish-our-advisories.md", 4), ("be-in-the-european-catalogue.md", 2)]
)
async def test_the_commands_of_a_page_print_what_it_says(dsn: str, page: str, number: int) -> None:
    async with served("arnia", dsn, sync=False) as url, a_node("arnia", dsn, url=url) as node:
        credentials = await a_client(node)
        async with httpx2.AsyncClient(trust_env=False) as client:
            form = {"grant_type": "client_credentials"}
            got = await client.post(f"{url}/oauth2/token", data=form, auth=credentials)
        token = got.json()["access_token"]
        environment = {"PATH": "/usr/bin:/bin", "NODE": url, "TOKEN": token, "NO_PROXY": "*"}
        assert len(steps(page)) == number
        for script, promised in steps(page):
            out = await printed_by(script, environment)
            assert out.strip() == promised.strip()


async def test_the_commands_about_files_print_what_their_page_says(
    dsn: str, databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with a_node("arnia", dsn) as node:
        await publish(node, "solution", "glpi", a_solution())
        await publish(node, "deployment", "dijon", a_deployment())
    page = (DOCS / "how-to/take-your-records-elsewhere.md").read_text()
    for block in _CONSOLE.findall(page):
        for command, promised in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            setting, _, words = command.rpartition("federation ")
            operator = setting.strip().partition("=")[2] or "arnia"
            database = await databases("megalis") if operator == "megalis" else dsn
            _, printed = await ran(database, *words.split(), OPERATOR=operator)
            assert matches(printed, promised), (command, printed)


def matches(printed: str, promised: str) -> bool:
    """True where a text is the one of the page: with other numbers of bytes, and lines where it has dots."""
    pattern = re.escape(promised.strip()).replace("…", ".*")
    pattern = re.sub(r"\d+\\ bytes", r"\\d+\\ bytes", pattern)
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None
