"""Run the commands of a page as they are written."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path


def environment_of(dsn: str, **more: str) -> dict[str, str]:
    """The environment in which ``federation`` runs as arnia's on a database, with more variables."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "FEDERATION_OPERATOR": "arnia", "FEDERATION_DATABASE_URL": dsn, **more}


async def run(script: str, environment: dict[str, str], directory: Path) -> str:
    """The output of a script, with that of its errors. Fails where the script does."""
    process = await asyncio.create_subprocess_exec(
        "sh", "-ec", script, env=environment, cwd=directory,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def printed_by(script: str, environment: dict[str, str]) -> str:
    """The output of a script. Fails where the script does, and for any message of an error."""
    process = await asyncio.create_subprocess_exec(
        "sh", "-ec", script, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (0, ""), script
    return out.decode()
