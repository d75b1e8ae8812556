"""The commands of "From the files you have to a node that others can use", run as they are written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx2
import pytest

from federation.domain.content.deployment import Deployment
from federation.domain.query import Query
from federation.domain.visibility import itself
from federation.node import records
from federation.node.node import Node
from tests.docs.blocks import DOCS
from tests.docs.commands import environment_of, run
from tests.domain.test_software_catalogues import PUBLICCODE_YML, SILL, as_json
from tests.formats import made_sheets
from tests.formats.made_sheets import csv_of, deployments_csv
from tests.monitoring.webhooks import uptime_kuma
from tests.nodes import served
from tests.sources.test_catalogues import Files
from tests.waiting import MAX_WAIT_SECONDS

pytestmark = pytest.mark.long

PAGE = (DOCS / "how-to/start-with-your-files.md").read_text()
SCRIPTS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
PROJECTS, DEPLOYMENTS = 20, 500
IN_THE_SILL = (b"Nextcloud", b"Matomo")
"""A solution of the sheets that the SILL of 2022 does not have, and one that it has in its place."""


def a_forge(web: Files) -> None:
    """The list of a GitLab, and the publiccode.yml of each project."""
    projects = [f"{web.url}/demo/p{n}" for n in range(PROJECTS)]
    web.files["/api/v4/groups/demo/projects"] = as_json(
        [{"web_url": url, "default_branch": "main", "archived": False} for url in projects]
    )
    for n in range(PROJECTS):
        web.files[f"/demo/p{n}/-/raw/main/publiccode.yml"] = PUBLICCODE_YML.format(n=n).encode()


@pytest.mark.skipif(not SILL.exists(), reason="the shared catalogues are not beside the project")
async def test_four_files_and_a_list_of_offers_fill_a_new_node(arnia: Node, dsn: str, tmp_path: Path) -> None:
    (tmp_path / "sill.json").write_bytes(SILL.read_bytes())
    (tmp_path / "parc.csv").write_bytes(deployments_csv(DEPLOYMENTS).replace(*IN_THE_SILL))
    offers = csv_of(made_sheets.OFFERS, encoding="cp1252", separator=";").replace(*IN_THE_SILL)
    (tmp_path / "offers.csv").write_bytes(offers)
    environment = environment_of(dsn, LANG="C.UTF-8")
    solutions, deployments, offered, monitored, outage = SCRIPTS
    async with Files().running() as web:
        a_forge(web)
        printed = await run(solutions, {**environment, "FORGE": web.url}, tmp_path)
        assert "240 created" in printed
        assert f"{PROJECTS} created" in printed
        again = await run(solutions.splitlines()[-1], environment, tmp_path)
        assert f"{PROJECTS} unchanged" in again
    printed = await run(deployments, environment, tmp_path)
    assert f"dry run: {DEPLOYMENTS} created" in printed
    again = await run(deployments.splitlines()[-1], environment, tmp_path)
    assert f"{DEPLOYMENTS} unchanged" in again
    assert "3 created" in await run(offered, environment, tmp_path)
    secret = re.search(r"with the secret (\S+)", await run(monitored, environment, tmp_path))
    assert secret is not None
    async with (
        served("arnia", dsn, sync=False) as url,
        httpx2.AsyncClient(base_url=url, timeout=MAX_WAIT_SECONDS, trust_env=False) as anyone,
    ):
        assert (await anyone.get("/v1/deployments")).json()["items"] == [], "those of the source are GREEN"
        documents, _, _ = await records.collect(arnia, Query(kind=Deployment, limit=1), by=itself("arnia"))
        key = json.loads(documents[0])["key"]
        (tmp_path / "delivery.json").write_bytes(uptime_kuma(deployment=key))
        shown = await run(outage, {**environment, "NODE": url, "SECRET": secret[1]}, tmp_path)
        report, end = json.JSONDecoder().raw_decode(shown)
        summary, _ = json.JSONDecoder().raw_decode(shown[end:].lstrip())
        assert report["counts"]["created"] == 1
        assert len(summary["incidents"]) == 1
        for page in ("/fr/solutions", "/fr/status"):
            assert (await anyone.get(page)).status_code == 200
        offers_ = (await anyone.get("/v1/offers?total=true")).json()
        assert offers_["total"] == 3
