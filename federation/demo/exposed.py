"""The demonstration's vulnerability: imported at one node, answered at another, seen by all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import click
import msgspec

from federation.client import Client
from federation.demo.catalogue import INCIDENTS
from federation.demo.data import IMPORTED
from federation.domain.alert import NewSubscription
from federation.domain.content.statement import Statement
from federation.domain.errors import CommandFailed
from federation.domain.exposure.answers import OperatorExposure

SECONDS = 30.0
"""What does not happen within this does not happen."""
SETTLED = 1.0
"""Seconds in which a second call of a webhook would come."""


class ExposureQuestion(Protocol):
    """A node of the demonstration, as its operator's IT system sees it."""

    client: Client

    @property
    def operator(self) -> str: ...


def cve_record() -> bytes:
    """CVE-2025-24799 as a CVE record, from the facts of the catalogue."""
    content = next(entry.content for entry in INCIDENTS if entry.id == IMPORTED)
    affected = {
        "vendor": "glpi-project",
        "product": "glpi",
        "versions": [{"version": ">= 10.0.0, < 10.0.18", "status": "affected"}],
    }
    return msgspec.json.encode(
        {
            "dataType": "CVE_RECORD",
            "cveMetadata": {
                "cveId": "CVE-2025-24799",
                "state": "PUBLISHED",
                "datePublished": content["detected_at"],
            },
            "containers": {
                "cna": {
                    "title": content["title"]["en"],
                    "descriptions": [{"lang": "en", "value": content["summary"]["en"]}],
                    "affected": [affected],
                    "metrics": [
                        {"cvssV3_1": {"vectorString": content["cvss"], "baseSeverity": "HIGH"}},
                    ],
                    "references": [{"url": content["remediations"][0]["url"]}],
                }
            },
        }
    )


@asynccontextmanager
async def listening(request: list[dict[str, str]]) -> AsyncIterator[str]:
    """Stands for an operator's ticket system: stores the alerts about the vulnerability."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
        body = msgspec.json.decode(await reader.readexactly(int(headers.get("content-length", "0"))))
        if body["data"]["id"] == IMPORTED:
            request.append(headers)
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/tickets"


async def tell_exposure(nodes: Sequence[ExposureQuestion]) -> None:
    """Import a vulnerability at arnia, and follow what it does. Raises Broken when something is not so."""
    by_name = {node.operator: node for node in nodes}
    arnia, megalis, recia = by_name["arnia"], by_name["megalis"], by_name["recia"]
    calls: list[dict[str, str]] = []
    async with listening(calls) as url:
        subscription = NewSubscription(events=("incident.affects-mine",), webhook=url, private=True)
        await recia.client.alerts.subscribe(subscription)
        began = time.perf_counter()
        report = await arnia.client.import_advisory("cve", cve_record())
        _must(report.summary.published == 1, "arnia publishes CVE-2025-24799")
        click.echo("\nCVE-2025-24799 was imported at arnia. Listed among its own, after the import began:")
        delays = await asyncio.gather(*(_wait_until_listed(node, began) for node in nodes))
        for node, (milliseconds, own) in zip(nodes, delays, strict=True):
            click.echo(
                f"  at {node.operator:<11} {milliseconds:7.1f} ms:"
                f" {own.affected.deployments} deployments, {own.affected.communes} communes"
            )
        await _until(lambda: bool(calls), "recia's webhook is called")
        await asyncio.sleep(SETTLED)
        _must(len(calls) == 1, "recia's webhook is called once")
        click.echo(f"  recia's webhook was called once, signed: {calls[-1]['webhook-signature'][:20]}…")
    await _give_answers(megalis)
    await _show(arnia)


async def _wait_until_listed(node: ExposureQuestion, began: float) -> tuple[float, OperatorExposure]:
    while time.perf_counter() - began < SECONDS:
        async for line in node.client.exposure.own():
            if line.incident.id == IMPORTED:
                return (time.perf_counter() - began) * 1000, line.exposure
        await asyncio.sleep(0.02)
    raise CommandFailed(f"{node.operator} does not list {IMPORTED} among the incidents that affect it")


async def _give_answers(megalis: ExposureQuestion) -> None:
    """Its probes tell the new versions, and it answers."""
    _, exposure = await _wait_until_listed(megalis, time.perf_counter())
    for entry in exposure.deployments:
        if entry.verdict == "affected":
            await megalis.client.deployments.set_version(entry.id, "10.0.18")
    statement = Statement(incident=IMPORTED, status="fixed", action={"fr": "Passage en 10.0.18"})
    await megalis.client.statements.publish("CVE-2025-24799", statement)


async def _show(arnia: ExposureQuestion) -> None:
    began = time.perf_counter()
    exposure = await arnia.client.exposure.of_incident(IMPORTED)
    while exposure.total.answers.get("fixed") != 1:
        _must(time.perf_counter() - began < SECONDS, "arnia sees that megalis has answered")
        await asyncio.sleep(0.02)
        exposure = await arnia.client.exposure.of_incident(IMPORTED)
    click.echo(f"\nWhat arnia sees: {exposure.summary['en']}")
    for line in exposure.operators:
        age = f", {line.copy.age_seconds} s" if line.copy.age_seconds else ""
        click.echo(
            f"  {line.operator:<11} {line.answer or 'no answer':<12}"
            f" {line.affected.deployments:>4} affected, {line.affected.communes:>5} communes,"
            f" {line.affected.inhabitants:>9} inhabitants; copy: {line.copy.state}{age}"
        )


async def _until(so: Callable[[], bool], condition: str) -> None:
    began = time.perf_counter()
    while not so():
        _must(time.perf_counter() - began < SECONDS, condition)
        await asyncio.sleep(0.02)


def _must(so: bool, condition: str) -> None:
    if not so:
        raise CommandFailed(f"this should be so and is not: {condition}")
