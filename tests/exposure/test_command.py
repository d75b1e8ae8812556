"""``federation exposure``: a table that a person can act on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from click.testing import CliRunner

from federation.cli import main
from federation.domain.errors import Refused
from federation.node import exposure_query
from federation.node.node import Node
from tests.domain.builders import a_statement
from tests.exposure.deployments import (
    CHALON,
    GLPI,
    MACON,
    RENNES,
    a_vulnerability,
    bodies,
    copy,
    copy_unread,
    cve,
    running,
)
from tests.exposure.test_same_software import OTHER, REPOSITORY, THERE, two
from tests.nodes import publish


@pytest.fixture
def here(arnia: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command finds the node of the test."""

    @asynccontextmanager
    async def node_here() -> AsyncIterator[Node]:
        yield arnia

    monkeypatch.setattr("federation.cli.exposure.node_here", node_here)


async def _said(*arguments: str) -> tuple[int, str]:
    from federation.cli.exposure import exposure_of

    callback: Any = exposure_of.callback
    runner = CliRunner()
    with runner.isolation() as (out, *_):
        what = arguments[0] if arguments else ""
        try:
            await callback.__wrapped__(what, bodies="--bodies" in arguments, as_json="--json" in arguments)
        except Refused as error:
            return 1, error.detail
        return 0, out.getvalue().decode()


async def test_the_table_tells_who_is_hit_and_who_has_answered(arnia: Node, here: None) -> None:
    await cve(arnia)
    await publish(arnia, "deployment", "one", running("10.0.17", bodies(CHALON, MACON)))
    await publish(arnia, "deployment", "two", running(None, bodies(MACON)))
    await copy(arnia, "deployment", "megalis/a", running("10.0.6", bodies(RENNES)))
    await copy(arnia, "statement", "megalis/s", a_statement(incident="arnia/cve", status="fixed"))
    status, text = await _said("CVE-2025-24799")
    assert status == 0, text
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows["arnia"][1:4] == ["-", "1", "1"]
    assert rows["megalis"][1:3] == ["fixed", "0"]
    assert "arnia/one  10.0.17  affected: the version is in the affected range" in text
    assert "arnia/two  no version  unknown: the deployment names no version" in text
    assert "by affects[0]: vers:" in text
    assert "to settle it: record the exact version of the deployment" in text
    assert "You have not answered: PUT /v1/statements/arnia/cve" in text
    assert "1 of 2 operators answered; 2 communes" in text
    told = json.loads((await _said("arnia/cve", "--json"))[1])
    assert told["total"]["affected"]["communes"] == 2
    listed = (await _said("arnia/cve", "--bodies"))[1]
    assert [line.split("\t")[1] for line in listed.splitlines()] == ["Chalon-sur-Saône", "Mâcon"]
    own = (await _said())[1]
    assert own.startswith("arnia/cve: Panne (high, open); not answered\n    arnia/one")


async def test_the_table_tells_what_is_counted_as_the_same_software_and_who_says_so(
    arnia: Node, here: None
) -> None:
    await two(arnia, here={"repository": REPOSITORY}, there={"repository": REPOSITORY})
    _, text = await _said("arnia/cve")
    names = f"{GLPI} names {REPOSITORY}, {OTHER} names {REPOSITORY}"
    assert f"{OTHER} is counted as {GLPI}: {names}" in text
    assert "not counted" not in text


async def test_the_table_tells_what_is_perhaps_the_same_software(arnia: Node, here: None) -> None:
    await two(arnia, here={"same_as": [f"{THERE}/{OTHER}"]}, there={})
    _, text = await _said("arnia/cve")
    assert f"{OTHER} is perhaps {GLPI}: {GLPI} names {OTHER}" in text


async def test_what_is_not_known_is_said(arnia: Node, here: None) -> None:
    assert await _said("CVE-2099-1") == (1, "no incident that you may see is known as CVE-2099-1")
    assert (await _said())[1].startswith("no open incident affects a deployment of arnia")


async def test_incidents_that_are_not_understood_are_counted(
    arnia: Node, here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "understand" not in (await _said())[1]
    await copy_unread(arnia, "incident", "recia/a", a_vulnerability(severity="worst"))
    await copy_unread(arnia, "incident", "recia/b", a_vulnerability(severity="worst"))
    assert (await _said())[1].endswith("\n2 incidents are not understood by this version: upgrade\n")
    monkeypatch.setattr(exposure_query, "MAX_PARTIAL_INCIDENTS", 1)
    text = (await _said())[1]
    assert text.endswith(": upgrade; they were not all compared with your deployments\n")


def test_the_command_explains_itself() -> None:
    told = CliRunner().invoke(main, ["exposure", "--help"])
    assert told.exit_code == 0
    for word in ("--bodies", "--json", "CVE-2025-24799"):
        assert word in told.output
