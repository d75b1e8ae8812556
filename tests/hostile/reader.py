"""Another client of an attacked node, with a probe of a load balancer: do they go on, and how fast?

python -m tests.hostile.reader URL AUTHORIZATION NUMBER     prints the readings as JSON
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Coroutine
from typing import Any

import httpx2
import msgspec

from tests.nodes import NO_TLS

PAUSE_SECONDS = 0.02
EACH_PROBE = 10
"""Requests between two probes."""


class Readings(msgspec.Struct):
    """The requests of the client, in seconds each, and those of either that failed."""

    seconds: list[float] = []
    failures: list[str] = []

    @property
    def p99(self) -> float:
        return sorted(self.seconds)[len(self.seconds) * 99 // 100]


async def read(url: str, authorization: str, number: int) -> Readings:
    """Read a list so many times, from an address of its own."""
    readings = Readings()
    transport = httpx2.AsyncHTTPTransport(
        verify=NO_TLS, local_address="127.0.0.2" if sys.platform == "linux" else None
    )
    headers = {"authorization": authorization}
    async with httpx2.AsyncClient(base_url=url, headers=headers, transport=transport, timeout=30) as client:
        for n in range(number):
            began = time.perf_counter()
            await _expect_success(client.get("/v1/solutions"), readings)
            readings.seconds.append(time.perf_counter() - began)
            if n % EACH_PROBE == 0:
                # A probe opens a connection each time.
                await _expect_success(client.get("/health/ready", headers={"connection": "close"}), readings)
            await asyncio.sleep(PAUSE_SECONDS)
    return readings


async def _expect_success(request: Coroutine[Any, Any, httpx2.Response], readings: Readings) -> None:
    try:
        answer = await request
    except httpx2.HTTPError as error:
        readings.failures.append(f"{type(error).__name__}: {error}")
    else:
        if answer.status_code != 200:
            readings.failures.append(f"{answer.status_code}: {answer.text[:200]}")


async def read_in_process(url: str, authorization: str, number: int) -> Readings:
    """The same in a process of its own: its times are not those of the attacker's work."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.hostile.reader", url, authorization, str(number),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    return msgspec.json.decode(output, type=Readings)


if __name__ == "__main__":
    result = asyncio.run(read(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    sys.stdout.write(msgspec.json.encode(result).decode())
