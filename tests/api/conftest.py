"""Clients of arnia's application: somebody without a token, the operator's own IT system, a peer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from litestar import Litestar

from federation.api.caller import Tokens
from federation.node.node import Node
from federation.server.app import api
from federation.server.observed import ObservedApplication
from federation.telemetry import Metrics
from tests.api.http_client import ASSERTION
from tests.nodes import Proving, a_token, introduce


@pytest.fixture(scope="session")
def unattached() -> Litestar:
    """The application, made once: the tests give it their node, as a process does at its start."""
    return api()


@pytest.fixture
def app(unattached: Litestar, arnia: Node) -> Litestar:
    """Arnia's application."""
    unattached.state.node = arnia
    unattached.state.tokens = Tokens(arnia)
    return unattached


@asynccontextmanager
async def clicking(app: Litestar) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=ObservedApplication(app, Metrics()), raise_app_exceptions=False)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://arnia.test", auth=Proving()
    ) as client:
        yield client


@pytest.fixture
async def anyone(app: Litestar) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody without a token."""
    async with clicking(app) as client:
        yield client


@pytest.fixture
async def own(app: Litestar, arnia: Node) -> AsyncIterator[httpx2.AsyncClient]:
    """The operator's own IT system, with every scope."""
    async with clicking(app) as client:
        client.headers.update(await a_token(arnia, client, name="own"))
        yield client


@pytest.fixture
async def peer(app: Litestar, arnia: Node, megalis: Node) -> AsyncIterator[httpx2.AsyncClient]:
    """Megalis, a peer of arnia's, with a token it got by its key."""
    await introduce(arnia, megalis)
    async with clicking(app) as client:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION,
            "client_assertion": megalis.keyring.assertion("megalis", arnia.url),
        }
        got = await client.post("/oauth2/token", data=form)
        assert got.status_code == 200, got.text
        client.headers["authorization"] = f"DPoP {got.json()['access_token']}"
        yield client
