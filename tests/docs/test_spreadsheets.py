"""The commands of "From my spreadsheet to the federation in ten minutes", run as they are written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from federation.domain.content.deployment import Deployment
from federation.domain.query import Query
from federation.domain.visibility import itself
from federation.node import records
from federation.node.node import Node
from tests.docs.blocks import DOCS
from tests.docs.commands import environment_of, run

PAGE = (DOCS / "how-to/import-a-spreadsheet.md").read_text()
SCRIPTS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.long  # a dozen commands, each a process
async def test_the_commands_of_the_page_do_what_it_says(arnia: Node, dsn: str, tmp_path: Path) -> None:
    environment = environment_of(dsn, LANG="C.UTF-8")
    printed = [await run(script, environment, tmp_path) for script in SCRIPTS]
    solutions, dry_run, imported, changed, mapped = printed
    assert "dry run: 2 created" in solutions
    assert "default: kind, status" in solutions
    assert "bodies of that name: Chalon-sur-Saône (71076)" in dry_run
    assert "2 created, 0 revised, 0 unchanged, 0 retracted, 1 rejected" in dry_run
    assert "3 created" in imported
    assert "3 unchanged" in imported
    assert "2 revised, 1 unchanged" in changed
    assert "1 created" in mapped
    documents, _, _ = await records.collect(arnia, Query(kind=Deployment), by=itself("arnia"))
    assert len(documents) == 4
