"""The commands of sources, and the alert of one that fails."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from federation.domain.alert import NewSubscription
from federation.domain.visibility import itself
from federation.node import alert_scan, alerts, source_runs
from federation.node.node import Node
from tests.api.http_client import NextDoor
from tests.domain.builders import a_solution
from tests.exposure.commands import ran, said, told
from tests.sources.web_server import WebServer, a_file, an_item


async def test_a_source_is_added_run_and_shown_by_commands(arnia: Node, dsn: str, web: WebServer) -> None:
    web.serve(an_item("glpi", a_solution()))
    status, text = await ran(dsn, "source", "add", "csaf", web.url, "--every", "6h")
    assert (status, "private allows it" in text) == (1, True)
    assert (await told(dsn, "source", "add", "csaf", web.url, "--every", "6h", "--private"))["name"] == "csaf"
    (listed,) = await told(dsn, "source", "list")
    assert (listed["every"], listed["state"]) == (21_600, "active")
    assert "0 unchanged, 0 retracted, 1 rejected" in await said(dsn, "source", "run", "csaf")
    shown = await told(dsn, "source", "show", "csaf")
    assert shown["run"]["counts"]["rejected"] == 1
    assert (await told(dsn, "source", "pause", "csaf"))["state"] == "paused"
    assert (await told(dsn, "source", "resume", "csaf", "--every", "30m"))["every"] == 1_800
    assert await told(dsn, "source", "remove", "csaf") == {"name": "csaf", "removed": True}
    assert await said(dsn, "source", "list") == "there are no sources\n"
    assert (await ran(dsn, "source", "show", "csaf")) == (1, "federation: there is no source csaf\n")


async def test_a_file_is_imported_by_a_command_and_a_dry_run_changes_nothing(
    arnia: Node, dsn: str, tmp_path: Path
) -> None:
    file = tmp_path / "advisory.json"
    file.write_text("no JSON")
    status, _ = await ran(dsn, "import", str(file), "--as", "osv", "--dry-run")
    assert status == 1
    assert await told(dsn, "source", "list") == []
    _, text = await ran(dsn, "import", str(file))
    assert "name the kind of the file" in text
    assert (await ran(dsn, "import", str(file), "--as", "osv"))[0] == 1
    (source,) = await told(dsn, "source", "list")
    assert (source["name"], source["last_success_at"] is not None) == ("uploads-osv", True)


async def test_three_failures_in_a_row_are_an_alert_and_one_of_each_row(
    arnia: Node, web: WebServer, source: str
) -> None:
    arnia._outside = NextDoor(asking=None)  # type: ignore[arg-type]  # nobody is asked
    hook = NewSubscription(events=("source.failing",), webhook="https://itsm.example.org/hook")
    await alerts.subscribe(arnia, hook, by=itself("arnia"))
    web.status = 500
    start = arnia.clock()
    for number in range(1, 5):
        arnia.clock = lambda number=number: start + timedelta(hours=number)  # type: ignore[misc]
        await source_runs.run_now(arnia, source, by=itself("arnia"))
        await alert_scan.add_alerts(arnia)
        listed = await alerts.list_alerts(arnia, by=itself("arnia"), parked=False)
        assert len(listed) == (number >= 3)
    web.status = 200
    web.body = a_file()
    await source_runs.run_now(arnia, source, by=itself("arnia"))
    web.status = 500
    for number in range(5, 8):
        arnia.clock = lambda number=number: start + timedelta(hours=number)  # type: ignore[misc]
        await source_runs.run_now(arnia, source, by=itself("arnia"))
    await alert_scan.add_alerts(arnia)
    assert len(await alerts.list_alerts(arnia, by=itself("arnia"), parked=False)) == 2
