"""A source of solutions that is polled from a server of this machine, and a site with advisories."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from federation.domain.sources.source import SourceSettings
from federation.domain.visibility import itself
from federation.node import sources
from federation.node.node import Node
from tests.sources.advisory_site import Site
from tests.sources.web_server import WebServer


@pytest.fixture(autouse=True)
def _list_kind(list_kind: None) -> None:
    """Every test here may read the kind ``list``."""


@pytest.fixture
async def source(arnia: Node, web: WebServer) -> str:
    """The name of a source that is due."""
    new = SourceSettings(name="shelf", kind="list", url=web.url, every=600, private=True)
    return (await sources.add(arnia, new, by=itself("arnia"))).name


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with Site().running() as site:
        yield site
