"""The how-to about catalogues of others: its commands are run as they are written."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from federation.node.node import Node
from tests.docs.blocks import DOCS
from tests.docs.commands import environment_of, run
from tests.domain.builders import a_solution
from tests.domain.publiccode_rules import faults
from tests.domain.test_software_catalogues import PUBLICCODE_YML, V1, V2, as_json
from tests.nodes import a_node, publish, served
from tests.sources.test_catalogues import Files

pytestmark = pytest.mark.long

PAGE = (DOCS / "how-to/be-in-catalogues.md").read_text()
NODE = "https://node.example.org"
LISTS, FILE, FORGE, CATALOGUE = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


async def test_a_node_answers_as_the_page_shows(dsn: str, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"]}
    async with served("arnia", dsn, sync=False) as url, a_node("arnia", dsn, url=url) as node:
        content = a_solution(repository="https://github.com/glpi-project/glpi")
        await publish(node, "solution", "glpi", content, tlp="CLEAR")
        shown = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])
        page = json.loads(await run(LISTS.replace(NODE, url), environment, tmp_path))
        assert page["links"] == shown["links"]
        (entry,), (example,) = page["data"], shown["data"]
        assert entry.keys() == example.keys()
        assert (entry["url"], entry["active"]) == (example["url"], example["active"])
        assert example["publiccodeYml"].removesuffix("…") in entry["publiccodeYml"]
        await run(FILE.replace(NODE, url), environment, tmp_path)
        text = (tmp_path / "publiccode.yml").read_text()
        assert faults(text) == []
        comments = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0].replace(NODE, url)
        assert text.startswith(comments)


async def test_a_forge_and_the_sill_are_read_by_the_commands_of_the_page(
    arnia: Node, dsn: str, tmp_path: Path
) -> None:
    async with Files().running() as web:
        projects = [{"web_url": f"{web.url}/g/p{n}", "default_branch": "main"} for n in range(3)]
        web.files["/api/v4/groups/collectivite/projects?per_page=100"] = as_json(projects)
        for n in range(2):
            web.files[f"/g/p{n}/-/raw/main/publiccode.yml"] = PUBLICCODE_YML.format(n=n).encode()
        web.files["/sill/api/sill.json"] = as_json([V1, V2])
        environment = environment_of(dsn, FORGE=web.url, CATALOGUE=web.url)
        forge = await run(f"{FORGE.strip()} || true", environment, tmp_path)
        catalogue = await run(CATALOGUE.replace("--name", "--private --name"), environment, tmp_path)
    assert "2 created" in forge
    assert "1 rejected" in forge
    assert "2 created" in catalogue
