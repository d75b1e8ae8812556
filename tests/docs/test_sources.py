"""The commands of "Bring in what you have", run as they are written."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from federation.node import sources
from federation.node.node import Node
from tests.docs.blocks import DOCS
from tests.docs.commands import environment_of, run
from tests.sources.web_server import WebServer

pytestmark = pytest.mark.long

PAGE = (DOCS / "how-to/bring-in-what-you-have.md").read_text()
SCRIPTS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
ADVISORY = {
    "schema_version": "1.7.4",
    "id": "GHSA-0000-0000-0000",
    "modified": "2026-03-01T08:30:00Z",
    "summary": "A demonstration",
    "affected": [{"package": {"ecosystem": "PyPI", "name": "none-of-ours"}, "versions": ["1.0"]}],
}


async def test_the_commands_of_the_page_do_what_it_says(arnia: Node, dsn: str, tmp_path: Path) -> None:
    body = msgspec.json.encode(ADVISORY)
    (tmp_path / "advisories.ndjson").write_bytes(body)
    async with WebServer().running() as web:
        web.body = body
        environment = environment_of(dsn, PORT=web.url.split(":")[2].split("/")[0])
        printed = [await run(script, environment, tmp_path) for script in SCRIPTS]
    assert "1 unchanged" in printed[0]
    assert "the source editor is added" in printed[1]
    assert "dry run: 0 created, 0 revised, 1 unchanged" in printed[1]
    assert "next run" in printed[1]
    assert "editor is removed" in printed[2]
    assert [source.name for source in await sources.all(arnia)] == []
