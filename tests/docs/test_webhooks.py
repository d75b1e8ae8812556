"""The receiver of the how-to, run as it is written: it takes what a node signs, once, and nothing else."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path

import httpx2
import pytest

from federation.domain.alert import mint_webhook_secret, signature
from tests.docs.blocks import DOCS
from tests.nodes import NO_TLS, free_port
from tests.waiting import MAX_WAIT_SECONDS

PAGE = (DOCS / "how-to/be-alerted.md").read_text()


@pytest.fixture
def receiver(tmp_path: Path) -> str:
    """The program of the page."""
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(program)


async def test_the_receiver_of_the_page_verifies_what_a_node_signs(receiver: str, tmp_path: Path) -> None:
    secret, port = mint_webhook_secret(), free_port()
    (tmp_path / "webhook-secret").write_text(f"{secret}\n")
    assert "8099" in receiver
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", receiver.replace("8099", str(port)), cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _, body = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
        raw, now = json.dumps(json.loads(body)).encode(), int(time.time())
        async with httpx2.AsyncClient(verify=NO_TLS, trust_env=False) as client:

            async def post(signed: bytes, *, at: int = now, key: str = secret, id_: str = "a") -> int:
                headers = {
                    "webhook-id": id_, "webhook-timestamp": str(at),
                    "webhook-signature": f"v1,bm9uZQ== {signature(key, id_, at, signed)}",
                }  # fmt: skip
                return (
                    await client.post(f"http://127.0.0.1:{port}/", content=raw, headers=headers)
                ).status_code

            async with asyncio.timeout(MAX_WAIT_SECONDS):
                while True:
                    try:
                        assert await post(raw) == 204
                        break
                    except httpx2.TransportError:
                        await asyncio.sleep(0.05)
            assert await post(raw) == 204, "it has it already"
            assert await post(raw, id_="b") == 204
            assert await post(raw + b" ") == 401
            assert await post(raw, key=mint_webhook_secret()) == 401
            assert await post(raw, at=now - 301) == 400
    finally:
        process.terminate()
        said, _ = await process.communicate()
    assert (
        said.decode().splitlines()
        == [
            "incident.affects-mine arnia/CVE-2025-24799"
            " https://node.example.org/v1/incidents/arnia/CVE-2025-24799/exposure"
        ]
        * 2
    )
