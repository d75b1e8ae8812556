"""Four nodes with the records of the demonstration, and a browser; made once for all tests here."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from federation.demo.nodes import Running
from tests.browser.chromium import chromium, lacking
from tests.browser.federation import Federation, federated


@pytest.fixture(scope="session")
def _possible() -> None:
    if reason := lacking():
        pytest.skip(reason)


@pytest.fixture(scope="session")
async def browser(_possible: None) -> AsyncIterator[Browser]:
    """Chromium."""
    async with chromium() as started:
        yield started


@pytest.fixture(scope="session")
async def federation(_possible: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Federation]:
    """The nodes of the demonstration, with its records."""
    async with federated(tmp_path_factory.mktemp("federation")) as made:
        yield made


@pytest.fixture
def arnia(federation: Federation) -> Running:
    """The node of arnia."""
    return federation.nodes["arnia"]
