"""Caddy in front of a node, with the project's ``Caddyfile`` and a certificate of an authority of its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from tests.waiting import MAX_WAIT_SECONDS

CADDYFILE = Path(__file__).parents[2] / "Caddyfile"
MISSING = (
    "Caddy is missing: this program runs it in front of two processes of a node. Install it and call again;"
    " on Debian and Ubuntu: apt-get install caddy && systemctl disable --now caddy"
)


class CaddyMissing(Exception):
    """There is no ``caddy`` on the PATH."""

    def __init__(self) -> None:
        super().__init__(MISSING)


class Proxy(NamedTuple):
    """A Caddy that runs."""

    url: str
    authority: Path
    """The certificate that its own was signed with."""
    log: Path

    def trust(self) -> ssl.SSLContext:
        """Trusts this proxy, and nobody else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.authority)
        return context


def program() -> str:
    """The path of Caddy. Raises CaddyMissing."""
    path = shutil.which("caddy")
    if path is None:
        raise CaddyMissing
    return path


def configuration(environment: Mapping[str, str]) -> Any:
    """The project's Caddyfile as Caddy reads it with these variables. Raises CaddyMissing."""
    adapted = subprocess.run(
        [program(), "adapt", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
        env={**os.environ, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(adapted.stdout)


def on_loopback(port: int, nodes: list[str]) -> Any:
    """The same for a site on one port of the loopback interface; nothing of the machine is changed for it."""
    site = f"https://127.0.0.1:{port}"
    configured = configuration({"FEDERATION_HOSTNAME": site, "FEDERATION_NODES": " ".join(nodes)})
    configured["admin"] = {"disabled": True}
    apps = configured["apps"]
    apps["pki"] = {"certificate_authorities": {"local": {"install_trust": False}}}
    for server in apps["http"]["servers"].values():
        server["listen"] = [f"127.0.0.1:{port}"]
        server["automatic_https"] = {"disable_redirects": True}
    return configured


@asynccontextmanager
async def proxy(port: int, nodes: list[str], directory: Path) -> AsyncIterator[Proxy]:
    """Caddy in front of these processes, once it answers. Raises CaddyMissing."""
    file, log = directory / "caddy.json", directory / "caddy.log"
    file.write_text(json.dumps(on_loopback(port, nodes)))
    places = {name: str(directory) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            program(), "run", "--config", str(file),
            env={**os.environ, **places}, stdout=output, stderr=output,
        )  # fmt: skip
    authority = directory / "caddy/pki/authorities/local/root.crt"
    running = Proxy(f"https://127.0.0.1:{port}", authority, log)
    try:
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            while not await _answers(running):
                if process.returncode is not None:
                    raise RuntimeError(f"Caddy has ended: {log.read_text()[-2000:]}")
                await asyncio.sleep(0.1)
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(running: Proxy) -> bool:
    if not running.authority.exists():
        return False
    async with httpx2.AsyncClient(verify=running.trust(), trust_env=False) as client:
        try:
            return (await client.get(f"{running.url}/health/ready")).status_code == 200
        except httpx2.HTTPError:
            return False
