"""The sources of the demonstration, both invented: a spreadsheet, and monitoring."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import click
import httpx2
import msgspec

from federation.demo.checks import must
from federation.demo.communes import REGIONS, beneficiaries
from federation.demo.nodes import Running
from federation.domain.sources.source import SourceSettings

SHEET = "invented-spreadsheet"
MONITORING = "invented-monitoring"
SOLUTION = "arnia/glpi"
COLUMNS = "Logiciel;Commune;Code INSEE;Version;Statut"
ROWS = 4
"""Lines of the spreadsheet that are deployments; one line more names no public body."""
DOWN, UP = 0, 1
"""Statuses of a heartbeat of Uptime Kuma."""


def spreadsheet() -> bytes:
    """Deployments at real communes, which are invented, as a spreadsheet program of Windows writes them."""
    communes = beneficiaries(REGIONS["FR-BFC"])[:ROWS]
    lines = [f"{SOLUTION};{body.name};{body.cog};10.0.18;en service" for body in communes]
    lines.append(f"{SOLUTION};Commune inventée;;10.0.18;en service")
    return "\r\n".join([COLUMNS, *lines, ""]).encode("cp1252", errors="replace")


def heartbeat(status: int, at: datetime, deployment: str) -> bytes:
    """A message of Uptime Kuma about the deployment that its tag names."""
    monitor = {
        "id": 1,
        "name": "Invented for the demonstration",
        "tags": [{"name": "deployment", "value": deployment}],
    }
    beat = {"monitorID": 1, "status": status, "time": f"{at:%Y-%m-%d %H:%M:%S}", "msg": "invented"}
    return msgspec.json.encode({"heartbeat": beat, "monitor": monitor, "msg": "invented"})


async def tell_sources(nodes: Sequence[Running]) -> None:
    """Import a spreadsheet at arnia and an outage at recia. Raises CommandFailed for what is not so."""
    by_name = {node.operator: node for node in nodes}
    began = time.perf_counter()
    await _import_spreadsheet(by_name["arnia"])
    await _deliver_outage(by_name["recia"])
    milliseconds = (time.perf_counter() - began) * 1000
    click.echo(f"\nTwo sources, both invented, {milliseconds:.0f} ms:")
    click.echo(f"  {SHEET} at arnia: {ROWS} deployments, and a line that is rejected with the reason")
    click.echo(f"  {MONITORING} at recia: an outage that began, and ended")


async def _import_spreadsheet(arnia: Running) -> None:
    sources = arnia.client.sources
    await sources.add(SourceSettings(name=SHEET, kind="csv", options={"type": "deployments"}))
    report = await sources.import_file(spreadsheet(), source=SHEET)
    must((report.counts.created, report.counts.rejected) == (ROWS, 1), f"arnia imports {SHEET}: {report}")
    again = await sources.import_file(spreadsheet(), source=SHEET)
    must(again.counts.unchanged == ROWS and not again.counts.changed, f"{SHEET} changes nothing again")
    stored = await sources.get(SHEET)
    must((stored.records, stored.failures) == (ROWS, 0), f"{SHEET} gives {ROWS} records")


async def _deliver_outage(recia: Running) -> None:
    deployment = "recia/demo-000000"
    added = await recia.client.sources.add(SourceSettings(name=MONITORING, kind="uptime-kuma"))
    url, now = f"{recia.address}/v1/sources/{MONITORING}/events", datetime.now(UTC)
    headers = {"authorization": f"Bearer {added.secret}", "content-type": "application/json"}
    async with httpx2.AsyncClient(trust_env=False, headers=headers) as monitoring:
        for status, at in ((DOWN, now - timedelta(minutes=2)), (UP, now)):
            answer = await monitoring.post(url, content=heartbeat(status, at, deployment))
            must(answer.status_code == 200, f"recia takes the event of {MONITORING}: {answer.text}")
    runs = await recia.client.sources.runs(MONITORING)
    must([run.counts.changed for run in runs] == [1, 1], f"{MONITORING} opened and ended an outage: {runs}")
