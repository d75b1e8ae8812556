"""The commands of "Connect Uptime Kuma" and "Follow the advisories of a publisher", as they are written."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from federation.node import sources
from federation.node.node import Node
from tests.docs.blocks import DOCS
from tests.docs.commands import environment_of, run
from tests.domain.builders import a_deployment, a_solution
from tests.exposure.test_importing import GLPI
from tests.monitoring.webhooks import uptime_kuma
from tests.nodes import publish, served
from tests.sources.advisory_site import Site, a_csaf, rolie

pytestmark = pytest.mark.long

CONNECT, FOLLOW = (
    (DOCS / f"how-to/{name}.md").read_text() for name in ("connect-monitoring", "follow-advisories")
)


def scripts(page: str) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", page, re.DOTALL)


@pytest.fixture
def environment(dsn: str) -> dict[str, str]:
    return environment_of(dsn)


async def test_monitoring_is_connected_as_the_page_says(
    arnia: Node, dsn: str, environment: dict[str, str], tmp_path: Path
) -> None:
    await publish(arnia, "solution", "glpi", a_solution())
    await publish(arnia, "deployment", "glpi-dijon", a_deployment())
    (tmp_path / "delivery.json").write_bytes(uptime_kuma())
    add, deliver, heartbeat = scripts(CONNECT)
    printed = await run(add, environment, tmp_path)
    found = re.search(r"/v1/sources/uptime-kuma/events with the secret (\S+)", printed)
    assert found is not None
    async with served("arnia", dsn, sync=False) as url:
        shown = await run(deliver, {**environment, "NODE": url, "SECRET": found[1]}, tmp_path)
    report, _ = json.JSONDecoder().raw_decode(shown)
    assert report["counts"]["created"] == 1
    await run(heartbeat, environment, tmp_path)
    assert [source.name for source in await sources.all(arnia)] == ["alertmanager", "uptime-kuma"]


async def test_a_feed_is_followed_as_the_page_says(
    arnia: Node, environment: dict[str, str], tmp_path: Path
) -> None:
    await publish(arnia, "solution", "glpi", a_solution(**GLPI))
    today = datetime.now(UTC).isoformat()
    (script,) = scripts(FOLLOW)
    async with Site().running() as site:
        site.put("/feed.json", rolie(site, "a", hashed=False, at=today))
        site.put("/a.json", a_csaf("A-1"))
        printed = await run(script, {**environment, "PORT": site.url.rpartition(":")[2]}, tmp_path)
    assert "the source psirt is added" in printed
    assert "1 created" in printed
