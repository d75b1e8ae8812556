"""The commands: entries are listed, the trail is verified, a checkpoint is given away to be kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from federation.node import audit
from federation.node.node import Node
from tests.audit.audit_trail import holds, noted
from tests.exposure.commands import invoke


async def ran(dsn: str, *words: str) -> tuple[int, str, str]:
    """Run a command as an administrator does: exit status, standard output, standard error."""
    result = await invoke(dsn, "audit", *words)
    return result.exit_code, result.stdout, result.stderr


async def test_entries_are_listed_oldest_first(arnia: Node, dsn: str) -> None:
    await noted(arnia, 5, subject="erp\x1b[2J")
    status, out, _ = await ran(dsn, "list", "--after", "1", "--limit", "2")
    assert status == 0
    lines = out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["2", "3"]
    assert lines[0].split("  ")[2:] == ["client.added", "erp\ufffd[2J", "by operator", "i=1"]
    status, out, _ = await ran(dsn, "list", "--json")
    assert [entry["n"] for entry in json.loads(out)] == [1, 2, 3, 4, 5]


async def test_a_trail_that_holds_is_told_with_what_could_still_be_altered(arnia: Node, dsn: str) -> None:
    await noted(arnia, 3)
    await audit.sign_audit_checkpoint(arnia)
    await noted(arnia, 2)
    status, out, err = await ran(dsn, "verify")
    assert (status, err) == (0, "")
    assert out.startswith("5 entries hold, the last one of 2")
    assert out.splitlines()[0].endswith("; 1 checkpoints hold")
    assert out.splitlines()[1] == "2 entries came after the last checkpoint"
    status, out, _ = await ran(dsn, "verify", "--json")
    told: dict[str, Any] = json.loads(out)
    assert status == 0
    assert (told["entries"], told["checkpoints"], told["after_checkpoint"], told["fault"]) == (5, 1, 2, None)


async def test_a_trail_that_was_altered_exits_1_and_names_the_first_entry_at_fault(
    arnia: Node, dsn: str, look: Any
) -> None:
    await noted(arnia, 5)
    await look.execute("DELETE FROM audit WHERE n = 3")
    status, out, err = await ran(dsn, "verify")
    assert status == 1
    assert out.startswith("2 entries hold")
    assert "at fault: entry 3: missing" in err
    status, out, _ = await ran(dsn, "verify", "--json")
    assert status == 1
    assert json.loads(out)["fault"]["n"] == 3
    status, _, err = await ran(dsn, "checkpoint")
    assert status == 1
    assert "federation audit verify" in err


async def test_a_checkpoint_kept_elsewhere_shows_that_the_end_was_cut_off(
    arnia: Node, dsn: str, look: Any, tmp_path: Path
) -> None:
    kept = tmp_path / "checkpoints"
    status, _, err = await ran(dsn, "checkpoint")
    assert (status, "nothing has been noted yet" in err) == (1, True)
    for _ in range(2):
        await noted(arnia, 3)
        status, out, _ = await ran(dsn, "checkpoint")
        assert status == 0
        assert len(out.splitlines()) == 1
        with kept.open("a") as file:
            file.write(out)
    await noted(arnia)
    status, out, _ = await ran(dsn, "verify", "--checkpoint", str(kept))
    assert status == 0
    assert "4 checkpoints hold" in out
    await look.execute("DELETE FROM audit WHERE n > 2; DELETE FROM audit_checkpoints")
    await holds(arnia, 2)
    status, _, err = await ran(dsn, "verify", "--checkpoint", str(kept))
    assert status == 1
    assert "at fault: entry 3: truncated" in err


async def test_a_file_without_a_checkpoint_is_refused(dsn: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    status, _, err = await ran(dsn, "verify", "--checkpoint", str(empty))
    assert status == 1
    assert "there is no checkpoint in" in err
