"""The nodes of the demonstration: for each operator a process with its own host name and PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from federation.client import Client
from federation.demo.catalogue import OPERATORS
from federation.demo.data import NAMES
from federation.domain.errors import CommandFailed
from federation.domain.registry import TYPES
from federation.domain.scopes import SCOPES
from federation.node import clients, invitations, peers
from federation.node.node import Node
from federation.server.local_node import database, node_of
from federation.settings.settings import Settings
from federation.store.database import open_store

READY_SECONDS = 180.0
"""Seconds for nodes to start, and then to reach each other, on a machine with much other work."""


class Running:
    """One node of the demonstration, as its operator's IT system sees it."""

    def __init__(self, settings: Settings, process: asyncio.subprocess.Process, log: Path) -> None:
        self.settings = settings
        self.process = process
        self.log = log
        self.credentials = ("", "")
        self.client = Client(self.address, trust_env=False)
        """Without a token, until the administrator has made a client."""

    @property
    def operator(self) -> str:
        return self.settings.operator

    @property
    def address(self) -> str:
        """The node without its name: not every resolver knows names under ``localhost``, as browsers do."""
        return f"http://127.0.0.1:{self.settings.port}"

    async def use(self, client_id: str, secret: str) -> None:
        """Call the node as this client from now on."""
        await self.client.aclose()
        self.credentials = (client_id, secret)
        self.client = Client(self.address, client_id, secret, trust_env=False)


@asynccontextmanager
async def running_nodes(directory: Path, port: int) -> AsyncIterator[list[Running]]:
    """The four nodes, ready for requests, with their data and logs in a directory. Raises CommandFailed."""
    async with AsyncExitStack() as stack:
        nodes = [
            await stack.enter_async_context(_running(name, number, directory))
            for number, name in enumerate(NAMES, port)
        ]
        await asyncio.gather(*(_ready(node) for node in nodes))
        yield nodes


@asynccontextmanager
async def _running(name: str, port: int, directory: Path) -> AsyncIterator[Running]:
    full_name = next(e.content["name"] for e in OPERATORS if e.origin == name)
    settings = Settings(
        operator=name,
        # A host of its own: cookies ignore ports, and passkeys refuse addresses.
        url=f"http://{name}.localhost:{port}",
        name=f"{full_name} (demonstration)",
        data_dir=directory / name,
        port=port,
        demo_links=True,
    )
    log = directory / f"{name}.log"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FEDERATION_")}
    environment |= {
        "FEDERATION_OPERATOR": name,
        "FEDERATION_NAME": settings.name,
        "FEDERATION_URL": settings.url,
        "FEDERATION_PORT": str(port),
        "FEDERATION_DATA_DIR": str(settings.data_dir),
        "FEDERATION_DEMO_LINKS": "yes",
    }
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "federation.cli", "serve",
            env=environment, stdout=output, stderr=output, stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us: we stop the nodes in order
        )  # fmt: skip
    node = Running(settings, process, log)
    try:
        yield node
    finally:
        await node.client.aclose()
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 30)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _ready(node: Running) -> None:
    deadline = time.perf_counter() + READY_SECONDS
    while time.perf_counter() < deadline:
        if node.process.returncode is not None:
            break
        if await node.client.is_ready():
            return
        await asyncio.sleep(0.05)
    tail = node.log.read_text(errors="replace")[-2_000:]
    raise CommandFailed(f"the node of {node.operator} did not start; its log ends with:\n{tail}")


def _scopes() -> tuple[str, ...]:
    """The rights of the IT systems. (node.admin: the webhook of the story is on this machine.)"""
    records = {f"{kind.plural}.{verb}" for kind in TYPES.values() for verb in ("read", "write")}
    wanted = records | {"subscriptions.read", "subscriptions.write", "exposure.read", "feeds.read"}
    wanted |= {"changes.read", "peers.read", "node.admin", "sources.read", "sources.write", "imports.write"}
    return tuple(scope for scope in SCOPES if scope in wanted)


@asynccontextmanager
async def administered(node: Running) -> AsyncIterator[Node]:
    """A running node as its administrator has it on the command line: over the same database."""
    async with (
        database(node.settings, exclusive=False) as dsn,
        open_store(dsn, connections=2) as store,
        node_of(node.settings, store) as administered_node,
    ):
        yield administered_node


async def introduce(nodes: Sequence[Running]) -> None:
    """Add a client for the IT system of each operator, and its three peers. Raises CommandFailed."""
    async with AsyncExitStack() as stack:
        host = {node.operator: await stack.enter_async_context(administered(node)) for node in nodes}
        for node in nodes:
            client_id, secret, _ = await clients.add_client(host[node.operator], "demonstration", _scopes())
            await node.use(client_id, secret)
        # Each pair joins as the tutorial says; who would phone in life compares the codes here.
        for number, node in enumerate(nodes):
            for neighbour in nodes[:number]:
                guest, two = host[node.operator], host[neighbour.operator]
                invitation = await invitations.invite(two, f"demonstration: {node.operator}", private=True)
                result = await invitations.join(guest, invitation, private=True)
                code = peers.code_of(guest, result)
                await peers.activate(guest, neighbour.operator, code=code)
                await peers.activate(two, node.operator, code=code)
    deadline = time.perf_counter() + READY_SECONDS
    while time.perf_counter() < deadline:
        views = [await node.client.peers() for node in nodes]
        if all(peer.contacted_at and not peer.failures for view in views for peer in view.peers):
            return
        await asyncio.sleep(0.1)
    raise CommandFailed("the nodes did not reach each other")


def refuse_taken_ports(port: int) -> None:
    """Raises CommandFailed that names a port of the demonstration that another program listens on."""
    for number in range(port, port + len(NAMES)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except OSError:
                raise CommandFailed(f"port {number} is taken; choose others: make demo PORT=...") from None
