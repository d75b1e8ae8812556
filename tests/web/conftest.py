"""Visitors of arnia's pages: somebody in particular comes with a login, nobody in particular without."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from litestar import Litestar

from tests.api.conftest import app, own, unattached
from tests.web.browser import browsing

__all__ = ["app", "own", "unattached", "visitor"]


@pytest.fixture
async def visitor(app: Litestar) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who is not logged in."""
    async with browsing(app) as client:
        yield client
