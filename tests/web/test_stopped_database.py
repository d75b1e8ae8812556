"""A page while the database is stopped: it says so, and the way on."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from federation.postgres import server
from federation.store import schema
from federation.web.visitor import cookie_name
from tests.nodes import a_node, app_of
from tests.stores import close_spare
from tests.web.browser import browsing, shown


@pytest.mark.long
async def test_a_stopped_database_has_its_page(tmp_path: Path) -> None:
    async with AsyncExitStack() as running:
        dsn = await running.enter_async_context(server.running(tmp_path / "node", exclusive=True))
        await schema.migrate(dsn, "arnia")
        async with a_node("arnia", dsn) as node:
            with app_of(node) as app:
                async with browsing(app) as client:
                    shown(await client.get("/fr/solutions"))
                    await close_spare(dsn)
                    await running.aclose()
                    for cookies in ({}, {cookie_name(node): "A" * 43}):
                        client.cookies.update(cookies)
                        for path in ("/fr/solutions", "/fr", "/fr/solutions/arnia/glpi", "/fr/solutions.csv"):
                            answer = await client.get(path)
                            assert "ne peut pas répondre" in shown(answer, 503)
                            assert answer.headers["retry-after"]
                            assert answer.headers["cache-control"] == "no-store"
                    client.cookies.clear()
                    shown(await client.get("/fr/site"))
