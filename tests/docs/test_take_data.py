"""The commands of "Take lists, feeds and the state of services elsewhere", run as they are written."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.docs.commands import printed_by
from tests.domain.builders import a_solution, an_incident
from tests.nodes import a_node, publish, served

PAGE = (Path(__file__).parents[2] / "docs/how-to/take-data-with-you.md").read_text()
_BLOCK = re.compile(r"```sh\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)


@pytest.mark.skipif(
    not all(map(shutil.which, ("curl", "jq"))), reason="the page needs curl and jq, which are not installed"
)
async def test_the_commands_of_the_page_print_what_it_says(dsn: str) -> None:
    async with served("arnia", dsn, sync=False) as url, a_node("arnia", dsn, url=url) as node:
        await publish(node, "solution", "glpi", a_solution(), tlp="CLEAR")
        down = an_incident(title={"en": "ENT is down"})
        await publish(node, "incident", "down", down, tlp="CLEAR")
        window = {"scheduled_for": "2099-03-01T10:00:00Z", "title": {"en": "Update of the ENT"}}
        planned = an_incident(kind="maintenance", affects=[{"solution": "arnia/ent"}], **window)
        await publish(node, "incident", "window", planned, tlp="CLEAR")
        environment = {"PATH": "/usr/bin:/bin", "NODE": url, "NO_PROXY": "*"}
        steps = _BLOCK.findall(PAGE)
        assert len(steps) == PAGE.count("```sh\n") == 5
        for script, promised in steps:
            out = await printed_by(script, environment)
            assert out.replace("\r", "").strip() == promised.strip()
