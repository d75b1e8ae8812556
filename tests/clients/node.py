"""A node for the stories: ``federation serve`` with a PostgreSQL of its own, and a client with scopes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2

from federation.domain.registry import TYPES
from tests.nodes import free_port
from tests.waiting import MAX_WAIT_SECONDS

OPERATOR = "arnia"
SCOPES = (
    *(f"{kind.plural}.{right}" for kind in TYPES.values() for right in ("read", "write")),
    "changes.read",
    "exposure.read",
)
"""The rights of the client that the stories use."""
STOP_SECONDS = 30.0
"""For a node to end, with its PostgreSQL, before it is killed."""


class Serving(NamedTuple):
    """A node that serves, and the credentials of a client of its operator."""

    url: str
    client_id: str
    client_secret: str


@contextmanager
def serving(scopes: tuple[str, ...] = SCOPES) -> Iterator[Serving]:
    """A new node as an administrator starts it, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="federation-clients-") as directory:
        port = free_port()
        variables = {name: text for name, text in os.environ.items() if not name.startswith("FEDERATION_")}
        variables |= {
            "FEDERATION_OPERATOR": OPERATOR,
            "FEDERATION_PORT": str(port),
            "FEDERATION_DATA_DIR": str(Path(directory) / "data"),
            "FEDERATION_LOG_LEVEL": "WARNING",
            # The stories together are faster than one person's programs.
            "FEDERATION_RATE": "0",
            "FEDERATION_RATE_ANONYMOUS": "0",
        }
        program = str(Path(sys.executable).parent / "federation")
        node = subprocess.Popen([program, "serve"], env=variables, start_new_session=True)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(node, f"{url}/health/ready")
            added = subprocess.run(
                [program, "client", "add", "stories", "--scope", " ".join(scopes), "--json"],
                env=variables, check=True, capture_output=True, text=True,
            )  # fmt: skip
            credentials = json.loads(added.stdout)
            yield Serving(url, credentials["client_id"], credentials["client_secret"])
        finally:
            node.send_signal(signal.SIGTERM)
            try:
                node.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                node.kill()
                node.wait()


def _wait(node: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    with httpx2.Client(trust_env=False) as client:
        while node.poll() is None and time.monotonic() < deadline:
            try:
                if client.get(url).status_code == 200:
                    return
            except httpx2.HTTPError:
                pass
            time.sleep(0.05)
    raise RuntimeError(f"the node does not answer at {url}")
