"""Logs tell what happened, and never a token, an assertion or a secret."""

from __future__ import annotations

import json
import logging

import httpx2
import pytest

from federation.node.node import Node
from federation.telemetry import JsonLines
from tests.api.http_client import ASSERTION, JSON, executed, put
from tests.domain.builders import a_solution
from tests.nodes import a_client, introduce

OURS = ("httpx2", "httpcore2")  # the client of the test, not the node


async def test_no_token_or_secret_is_in_any_line(
    anyone: httpx2.AsyncClient, arnia: Node, megalis: Node, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await introduce(arnia, megalis)
    credentials = await a_client(arnia, name="canary")
    form = {"grant_type": "client_credentials"}
    got = await anyone.post("/oauth2/token", data=form, auth=credentials)
    token = got.json()["access_token"]
    await anyone.post("/oauth2/token", data=form, auth=(credentials[0], "wrong-canary"))
    assertion = megalis.keyring.assertion("megalis", arnia.url)
    signed = {**form, "client_assertion_type": ASSERTION, "client_assertion": assertion}
    for _ in range(2):
        await anyone.post("/oauth2/token", data=signed)
    headers = {"authorization": f"Bearer {token}"}
    anyone.headers.update(headers)
    await put(anyone, "solutions/one", a_solution(name="red-canary"), tlp="RED")
    await anyone.get("/v1/solutions?q=query-canary")
    await anyone.get("/v1/solutions", headers={"authorization": f"Bearer {token}x"})
    await anyone.put("/v1/solutions/arnia/one", content=b'{"canary', headers=JSON)
    await executed(dsn, "ALTER TABLE records RENAME TO elsewhere")
    try:
        broken = await put(anyone, "solutions/one", a_solution(name="red-canary"), tlp="RED")
        await anyone.post("/oauth2/token", data=form, auth=credentials)
    finally:
        await executed(dsn, "ALTER TABLE elsewhere RENAME TO records")
    assert broken.status_code >= 500

    node = [record for record in caplog.records if not record.name.startswith(OURS)]
    text = "\n".join(JsonLines().format(record) for record in node)
    assert "answered" in text
    assert "unhandled exception" in text
    parts = [
        *token.split("."),
        *assertion.split("."),
        credentials[1],
        "wrong-canary",
        "red-canary",
        "canary\\",
    ]
    for secret in parts:
        assert secret not in text
    for private in arnia.keyring._keys.values():
        assert str(private.as_dict(private=True)["d"]) not in text
    assert "query-canary" not in text


def test_a_line_is_one_json_object_of_bounded_fields() -> None:
    record = logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "a\nb", "path": "y" * 9_000})
    line = JsonLines().format(record)
    assert "\n" not in line
    assert len(json.loads(line)["path"]) == 2_000
    assert json.loads(line).keys() >= {"time", "level", "logger", "event"}
