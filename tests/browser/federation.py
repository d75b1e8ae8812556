"""Four nodes with the records of the demonstration, and people of each role at every node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from federation.demo.exposed import tell_exposure
from federation.demo.loading import load_and_converge
from federation.demo.nodes import Running, administered, introduce, running_nodes
from federation.demo.story import publish_outage
from federation.domain.person import ROLES
from federation.domain.sources.source import SourceSettings
from federation.domain.visibility import itself
from federation.node import imports, logins, people, sessions, sources
from federation.node.imports import FileImport
from tests.nodes import free_port

SCALE = 20
"""Deployments of each operator."""
SHEET = "Commune;Code INSEE;Logiciel\nMâcon;71270;Nulle part\n".encode()
"""A sheet whose only line is rejected: a source with a run, and no record more."""


class Federation:
    """The nodes by operator, and sessions of their people."""

    def __init__(self, nodes: list[Running]) -> None:
        self.nodes = {node.operator: node for node in nodes}
        self.people: dict[tuple[str, str], str] = {}
        """Ids of people by operator and role."""
        self.sessions: dict[tuple[str, str], str] = {}
        """Secrets of a session of each."""

    def url(self, operator: str) -> str:
        """The base URL of a node."""
        return self.nodes[operator].settings.url

    async def login_link(self, operator: str, role: str) -> str:
        """The address by which a person logs in, as the demonstration prints them. It holds once."""
        async with administered(self.nodes[operator]) as host:
            return self.url(operator) + await logins.demo_link(host, self.people[operator, role])


@asynccontextmanager
async def federated(directory: Path) -> AsyncIterator[Federation]:
    """The demonstration up to where it prints addresses."""
    async with running_nodes(directory, free_port()) as nodes:
        await introduce(nodes)
        await load_and_converge(nodes, SCALE)
        await publish_outage(nodes)
        await tell_exposure(nodes)
        made = Federation(nodes)
        for operator, node in made.nodes.items():
            async with administered(node) as host:
                for role in ROLES:
                    name = f"{role} of {operator}"
                    person = await people.add(host, name=name, role=role, by=itself(operator))
                    made.people[operator, role] = person.id
                    made.sessions[operator, role] = await sessions.begin(host, person.id)
                await sources.add(host, SourceSettings(name="parc", kind="csv"), by=itself(operator))
                await imports.import_file(host, SHEET, FileImport(source="parc"), by=itself(operator))
        yield made
