"""Clients of arnia's node, by way of its application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from federation.client import Client
from federation.node.node import Node
from federation.server.observed import ObservedApplication
from federation.telemetry import Metrics
from tests.nodes import a_client, app_of


@asynccontextmanager
async def client_of(node: Node, *scopes: str, **options: Any) -> AsyncIterator[Client]:
    """A client with these scopes, or all, without a network. (Streams come whole.)"""
    with app_of(node) as app:
        transport = httpx2.ASGITransport(app=ObservedApplication(app, Metrics()), raise_app_exceptions=False)
        client_id, secret = await a_client(node, *scopes)
        options = {"transport": transport, "allow_http": True, "trust_env": False, **options}
        async with Client(node.url, client_id, secret, **options) as client:
            yield client


@pytest.fixture
async def client(arnia: Node) -> AsyncIterator[Client]:
    """A client of arnia's, with every scope."""
    async with client_of(arnia) as made:
        yield made
