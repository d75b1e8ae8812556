"""To compare with: ASGI and asyncpg and nothing else, answering what a node answers.

The same server, the same statements, the same bytes. No token is checked, nothing is limited, counted or
validated; headers are the few that a reader needs. Less than this cannot be done over HTTP in Python.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from urllib.parse import parse_qsl

import asyncpg
from sqlalchemy import select

from bench.servers import serve
from federation.api.entries import change_line
from federation.domain.feed import PAGE_BYTES
from federation.domain.query import read_query
from federation.domain.registry import TYPES
from federation.store.list_filters import (
    Shape,
    after_page,
    filter_values,
    index_filters,
    of_type,
    page_values,
    sort_order,
    time_range,
)
from federation.store.pages import bounded
from federation.store.records import LIST_CHANGES, find_statement
from federation.store.statements import Statement, param
from federation.store.tables import records

_PLURALS = {kind.plural: kind for kind in TYPES.values()}
_JSON = (b"content-type", b"application/json")
_PUT = """
INSERT INTO bare (key, revision, document) VALUES ($1, 1, $2)
ON CONFLICT (key) DO UPDATE SET revision = bare.revision + 1, document = excluded.document
"""


class Bare:
    """The application."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._record = find_statement("own").text
        self._lists: dict[bytes, tuple[str, list[Any]]] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        parts = scope["path"].split("/")
        query = scope["query_string"]
        extra: list[tuple[bytes, bytes]] = []
        if scope["method"] == "PUT":
            body = b""
            more = True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            async with self._pool.acquire() as connection:
                await connection.execute(_PUT, parts[-1], body)
        elif len(parts) == 5:
            async with self._pool.acquire() as connection:
                row = await connection.fetchrow(self._record, *self._named(parts))
            body = row[0]
            extra = [(b"etag", b'"%s"' % row[1].hex().encode())]
        elif parts[-1] == "changes":
            asked = dict(parse_qsl(query.decode()))
            epoch, _, after = asked["after"].partition(".")
            limit = int(asked["limit"])
            values = {"after": int(after), "until": 2**62, "limit": limit, "one_more": limit + 1}
            async with self._pool.acquire() as connection:
                rows = await connection.fetch(LIST_CHANGES.text, *LIST_CHANGES.arguments(values | _MAX_BYTES))
            body = b'{"entries":[%s]}' % b",".join(change_line(row[:-1], epoch) for row in rows)
        elif parts[-1] in _PLURALS:
            text, arguments = self._lists.get(query) or self._list(parts[-1], query)
            async with self._pool.acquire() as connection:
                rows = await connection.fetch(text, *arguments)
            body = b'{"items":[%s]}' % b",".join([row[0] for row in rows])
        else:
            body = b"{}"
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [_JSON, length, *extra]})
        await send({"type": "http.response.body", "body": body})

    @staticmethod
    def _named(parts: list[str]) -> list[Any]:
        return find_statement("own").arguments(
            {"type": _PLURALS[parts[2]].type, "origin": parts[3], "key": parts[4]}
        )

    def _list(self, plural: str, asked: bytes) -> tuple[str, list[Any]]:
        """Statement and arguments of a list, made once for each question."""
        query = read_query(_PLURALS[plural], parse_qsl(asked.decode()))
        statement = _page(Shape.of(query, "own"))
        values = filter_values(query) | page_values(query)
        found = self._lists[asked] = (statement.text, statement.arguments(values))
        return found


def _page(shape: Shape) -> Statement:
    """A page as one writes it first: all conditions in one statement, and the planner finds the way."""
    c = records.c
    rows = (
        select(c.document, c.updated_at, c.origin, c.key)
        .where(of_type(records), ~c.retracted, *index_filters(records, shape))
        .where(*time_range(records, shape), *after_page(records, shape))
        .order_by(*sort_order(records, shape))
        .limit(param("one_more"))
    )
    return Statement(bounded(rows, *shape.order, backwards=shape.descending))


_MAX_BYTES = {"max_bytes": PAGE_BYTES}


async def _main(dsn: str, port: int) -> None:
    settings = {"jit": "off", "plan_cache_mode": "force_custom_plan"}
    async with asyncpg.create_pool(dsn, min_size=10, max_size=10, server_settings=settings) as pool:
        await pool.execute(
            "CREATE TABLE IF NOT EXISTS bare"
            " (key text PRIMARY KEY, revision int NOT NULL, document bytea NOT NULL)"
        )
        await serve(Bare(pool), port)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
