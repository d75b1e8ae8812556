"""The program of rolling restarts, where there is no Caddy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile import __main__ as programs


async def test_without_caddy_the_program_names_it_and_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await programs.main(["rolling"]) == 2
    assert "apt-get install caddy" in capsys.readouterr().err


async def test_a_broken_bound_counts_for_more_than_a_missing_caddy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def broken() -> bool:
        return False

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(programs.PROGRAMS, "peer", broken)
    assert await programs.main(["rolling", "peer"]) == 1
    assert await programs.main(["peer", "rolling"]) == 1
