"""Logs tell what happened, and never a token, an assertion or a secret."""

from __future__ import annotations

import json
import logging

import httpx2
import pytest

from federation.node.node import Node
from federation.telemetry import (
    MAX_LINES,
    MAX_REMEMBERED_LINES,
    REPEAT_SECONDS,
    JsonLines,
    RepeatedLines,
    log_as_json,
)
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


def a_warning(event: str, **members: object) -> logging.LogRecord:
    record = logging.makeLogRecord({"name": "federation.sync", "levelno": logging.WARNING, "msg": event})
    vars(record).update(members)
    return record


def test_a_line_that_is_repeated_is_logged_once_and_then_with_its_number() -> None:
    now = 0.0
    lines = RepeatedLines(lambda: now)
    passed = []
    for failures in range(1, 2_000):
        record = a_warning("it failed", peer="megalis", reason=f"answered in {failures} s", failures=failures)
        if lines.filter(record):
            passed.append((failures, vars(record).get("repeated")))
        now += 1.0
    assert passed == [(1, None), (601, 599), (1_201, 599), (1_801, 599)]
    assert lines.filter(a_warning("it failed", peer="recia", reason="answered in 1 s", failures=1))
    assert lines.filter(a_warning("it failed", peer="megalis", reason="another reason", failures=1))
    assert lines.filter(a_warning("another event", peer="megalis", reason="answered in 1 s"))


def test_a_peer_fills_no_log_with_lines_that_are_all_different() -> None:
    now = 0.0
    lines = RepeatedLines(lambda: now)

    def entries(number: int) -> list[logging.LogRecord]:
        records = [a_warning("rejected", feed="megalis/public", record=f"k{n}") for n in range(number)]
        return [record for record in records if lines.filter(record)]

    assert len(entries(60_000)) == MAX_LINES
    assert len(lines._passed_at) <= MAX_REMEMBERED_LINES
    now += REPEAT_SECONDS + 1
    (again, *_) = entries(30)
    assert vars(again)["repeated"] == 60_000 - MAX_LINES


def test_lines_that_are_no_warnings_and_traces_always_pass() -> None:
    lines = RepeatedLines()
    for _ in range(100):
        information = a_warning("serving")
        information.levelno = logging.INFO
        trace = a_warning("unhandled exception")
        trace.exc_info = (ValueError, ValueError(), None)
        foreign = a_warning("x")
        foreign.name = "granian"
        assert all(map(lines.filter, (information, trace, foreign)))


def test_libraries_that_log_each_step_are_quiet() -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        log_as_json("DEBUG")
        for name in ("alembic.runtime.migration", "asyncpg.pool", "httpx2"):
            assert not logging.getLogger(name).isEnabledFor(logging.INFO)
        assert logging.getLogger("federation.sync").isEnabledFor(logging.DEBUG)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
