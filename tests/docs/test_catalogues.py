"""The how-to about catalogues of others: its commands are run as they are written."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from tests.docs.blocks import DOCS
from tests.domain.builders import a_solution
from tests.domain.publiccode_rules import faults
from tests.nodes import a_node, publish, served

PAGE = (DOCS / "how-to/be-in-catalogues.md").read_text()
NODE = "https://node.example.org"


async def test_the_commands_of_the_page_are_answered_as_it_shows(dsn: str, tmp_path: Path) -> None:
    async with served("arnia", dsn, sync=False) as url, a_node("arnia", dsn, url=url) as node:
        content = a_solution(repository="https://github.com/glpi-project/glpi")
        await publish(node, "solution", "glpi", content, tlp="CLEAR")
        lists, file = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
        shown = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])

        async def run(command: str) -> str:
            process = await asyncio.create_subprocess_exec(
                "sh", "-c", command.replace(NODE, url), cwd=tmp_path,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, errors = await process.communicate()
            assert process.returncode == 0, errors
            return out.decode()

        page = json.loads(await run(lists))
        assert page["links"] == shown["links"]
        (entry,), (example,) = page["data"], shown["data"]
        assert entry.keys() == example.keys()
        assert (entry["url"], entry["active"]) == (example["url"], example["active"])
        assert example["publiccodeYml"].removesuffix("…") in entry["publiccodeYml"]
        await run(file)
        text = (tmp_path / "publiccode.yml").read_text()
        assert faults(text) == []
        comments = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0].replace(NODE, url)
        assert text.startswith(comments)
