"""Visitors of arnia's pages: somebody in particular comes with a login, nobody in particular without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from litestar import Litestar

from federation.node.node import Node
from tests.api.conftest import app, own, unattached
from tests.people.people import a_person, log_in
from tests.web.browser import SAME_ORIGIN, browsing

__all__ = ["app", "own", "unattached", "visitor"]


@pytest.fixture
async def visitor(app: Litestar) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who is not logged in."""
    async with browsing(app) as client:
        yield client


@asynccontextmanager
async def logged_in(
    app: Litestar, node: Node, role: str, *groups: str, label: str | None = None
) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser of a person with a role, whose forms come from pages of the node."""
    async with browsing(app) as client:
        await log_in(node, client, await a_person(node, f"{role} of arnia", role, *groups, label=label))
        client.headers.update(SAME_ORIGIN)
        yield client


@pytest.fixture
async def member(app: Litestar, arnia: Node) -> AsyncIterator[httpx2.AsyncClient]:
    """A reader, who sees what is for the federation."""
    async with logged_in(app, arnia, "reader") as client:
        yield client


@pytest.fixture
async def editor(app: Litestar, arnia: Node) -> AsyncIterator[httpx2.AsyncClient]:
    """An editor, who sees what is for the federation."""
    async with logged_in(app, arnia, "editor") as client:
        yield client


@pytest.fixture
async def administrator(app: Litestar, arnia: Node) -> AsyncIterator[httpx2.AsyncClient]:
    """An administrator, who sees everything."""
    async with logged_in(app, arnia, "administrator") as client:
        yield client
