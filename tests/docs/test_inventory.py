"""The script of the how-to, run as it is written."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.domain.builders import a_deployment
from tests.nodes import a_client, a_node, served

PAGE = (Path(__file__).parents[2] / "docs/how-to/publish-an-inventory.md").read_text()


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (text,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "publish-inventory"
    path.write_text(text)
    return path


async def test_the_script_of_the_page_publishes_an_inventory_and_gives_up_where_it_must(
    dsn: str, script: Path, tmp_path: Path
) -> None:
    async with served("arnia", dsn, sync=False) as url, a_node("arnia", dsn, url=url) as node:
        credentials = ":".join(await a_client(node))

        async def run(*keys: str, records: int | None = None, **members: Any) -> tuple[int, str, str]:
            file = tmp_path / "inventory.ndjson"
            lines: list[dict[str, Any]] = [{"records": len(keys) if records is None else records}]
            lines += [{"key": key, "content": a_deployment(**members)} for key in keys]
            file.write_text("".join(json.dumps(line) + "\n" for line in lines))
            process = await asyncio.create_subprocess_exec(
                "sh", script, file, env={"PATH": "/usr/bin:/bin", "NODE": url, "CLIENT": credentials},
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, errors = await process.communicate()
            return process.returncode or 0, out.decode(), errors.decode()

        async def live() -> int:
            async with httpx2.AsyncClient(trust_env=False) as client:
                token = await client.post(
                    f"{url}/oauth2/token",
                    data={"grant_type": "client_credentials"},
                    auth=tuple(credentials.split(":")),  # type: ignore[arg-type]
                )
                headers = {"authorization": f"Bearer {token.json()['access_token']}"}
                page = await client.get(f"{url}/v1/deployments?total=true", headers=headers)
                return int(page.json()["total"])

        everything = [f"d{n}" for n in range(200)]
        status, out, errors = await run(*everything)
        assert (status, json.loads(out)["created"]) == (0, 200), errors
        status, out, _ = await run(*everything[:150], "new")
        assert (status, json.loads(out)["retracted"], json.loads(out)["created"]) == (0, 50, 1)
        for attempt, reason in (
            (run("d1", records=2), "declares 2 records"),
            (run("d1", status="great"), "a line is refused"),
            (run("d1"), "peers would pause"),
        ):
            status, out, errors = await attempt
            assert (status, out) == (1, ""), errors
            assert reason in errors
            assert await live() == 151
