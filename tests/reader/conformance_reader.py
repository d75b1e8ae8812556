"""The reader in JavaScript as a test runs it: commands in processes of their own, and its directory."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from federation.node import invitations, peers
from federation.node.node import Node
from tests.nodejs import lacking
from tests.nodes import answers, free_port
from tests.waiting import until

ROOT = Path(__file__).parents[2]
CONFORMANCE = ROOT / "federation" / "spec" / "conformance"
OLDEST_NODE = (20, 0)


def node_program() -> str:
    """The path of Node.js; the test is skipped where none is there that is new enough."""
    if (reason := lacking(OLDEST_NODE)) is not None:
        pytest.skip(reason)
    return shutil.which("node") or ""


class Reader:
    """A reader with a directory of its own, operator ``reader``."""

    operator = "reader"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = f"http://127.0.0.1:{free_port()}"

    def command(self, *arguments: str) -> tuple[str, ...]:
        schemas = str(ROOT / "schemas")
        program = (node_program(), str(CONFORMANCE / "reader.mjs"), *arguments)
        return (*program, "--state", str(self.directory), "--schemas", schemas, "--json")

    async def run(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        """What a command prints, a JSON object a line."""
        process = await asyncio.create_subprocess_exec(
            *self.command(*arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        assert process.returncode == code, (arguments, process.returncode, out, err)
        return [json.loads(line) for line in out.splitlines()]

    async def fails(self, *arguments: str) -> str:
        """What a command that fails writes to standard error."""
        process = await asyncio.create_subprocess_exec(
            *self.command(*arguments), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        _, err = await process.communicate()
        assert process.returncode in (1, 2)
        return err.decode()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Answer peers meanwhile."""
        port = self.url.rpartition(":")[2]
        process = await asyncio.create_subprocess_exec(*self.command("serve", "--port", port))
        try:
            await answers(f"{self.url}/.well-known/federation")
            yield
        finally:
            process.terminate()
            await process.wait()

    async def join(self, *nodes: Node) -> None:
        """Join these nodes; both sides activate."""
        if not (self.directory / "reader.json").exists():
            await self.run("init", "--operator", self.operator, "--name", "A reader", "--url", self.url)
        async with self.serving():
            for node in nodes:
                invitation = str(await invitations.invite(node, "a reader", private=True))
                (found,) = await self.run("join", invitation, "--private")
                assert found["operator"] == node.operator
                await peers.activate(node, self.operator, code=found["code"])
                await self.run("activate", node.operator, "--code", found["code"])

    async def feeds(self, origin: str) -> dict[str, dict[str, Any]]:
        (peer,) = [peer for peer in await self.run("list") if peer["operator"] == origin]
        return {feed["audience"]: feed for feed in peer["feeds"]}

    async def round(self) -> list[dict[str, Any]]:
        """One round with every peer; it may fail."""
        process = await asyncio.create_subprocess_exec(
            *self.command("follow", "--once"), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        return [json.loads(line) for line in out.splitlines()]

    async def until_verified(self, node: Node, *audiences: str, state: str = "verified") -> None:
        """Follow until the copies are in this state, at the last number of their feeds."""

        async def verified() -> bool:
            await self.round()
            copies = await self.feeds(node.operator)
            if any(audience not in copies for audience in audiences):
                return False
            async with node.store.read() as tx:
                heads = {
                    feed.audience: feed.head for feed in await tx.feeds.all() if feed.origin == node.operator
                }
            feeds = [copies[audience] for audience in audiences]
            return all(feed["state"] == state and feed["seq"] == heads[feed["audience"]] for feed in feeds)

        await until(verified)

    async def rows(self, origin: str) -> set[Any]:
        """Every stored record as ``in_process_peer.rows_of`` has those of a node."""
        return {
            (
                *(record[name] for name in ("type", "key", "revision", "seq", "audience")),
                record["op"] == "delete",
                bytes.fromhex(record["hash"]),
                record["document"].encode(),
            )
            for record in await self.run("records", origin)
        }

    def write(self, origin: str, *operations: list[Any]) -> None:
        """Add a transaction to the journal of an origin, as if the reader had written it."""
        text = json.dumps(operations, ensure_ascii=False, separators=(",", ":"))
        line = f"{hashlib.sha256(text.encode()).hexdigest()[:16]} {text}\n"
        with (self.directory / "copies" / f"{origin}.jsonl").open("a") as journal:
            journal.write(line)

    def record(self, origin: str, key: str) -> dict[str, Any]:
        """The last state of a record in the journal."""
        found: dict[str, Any] = {}
        for line in (self.directory / "copies" / f"{origin}.jsonl").read_text().splitlines():
            for kind, id, value in json.loads(line[17:]):
                if kind == "records" and id.endswith(f"/{key}"):
                    found = value
        return found
