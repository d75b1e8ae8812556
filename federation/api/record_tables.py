"""Lists of records as CSV, XLSX or ODS: the whole filtered list in one file, for spreadsheets and scripts.

By the ending of the address (``/v1/solutions.csv``), since spreadsheets that read an address send no header.
A file ends after ``MAX_ROWS`` records, or once ``MAX_BYTES`` of documents are read; ``Link`` then leads to
the file with the rest.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from federation.api.handlers import handles
from federation.api.parameters import list_parameters
from federation.domain.formats.record_rows import record_head, record_rows
from federation.domain.formats.tables import (
    BY_ENDING,
    CSV,
    FORMS,
    MAX_ROWS,
    TableForm,
)
from federation.domain.query import MAX_PAGE, read_query
from federation.domain.record_content import Content
from federation.edge.answers import REVALIDATE, answer
from federation.edge.operations import Answer, Operation, Right
from federation.edge.query_parameters import pairs_of
from federation.edge.requests import caller_of, node_of
from federation.edge.table_files import run_in_table_thread, write_table
from federation.node import search

MAX_BYTES = 16 * 1_048_576
"""Bytes of documents of one file, at most; the page that passes it is its last one."""
NOT_UNDERSTOOD = "federation-not-understood"
"""The header with the number of records that the file leaves out, since this version does not understand
them."""
_HEADERS = {
    "Link": {
        "description": "`next`: the file with the rest (RFC 8288).",
        "required": False,
        "schema": {"type": "string"},
    },
    "Federation-Not-Understood": {
        "description": "Records that are left out, since this version does not understand them.",
        "required": False,
        "schema": {"type": "integer"},
    },
}


def table_handler(kind: type[Content]) -> HTTPRouteHandler:
    """The files of the list of one type; the OpenAPI document describes the first, CSV."""
    paths = [f"/v1/{kind.plural}.{form.ending}" for form in FORMS]

    @handles(
        Operation(
            act="list_file",
            id=f"export{kind.plural.capitalize()}",
            method="GET",
            path=paths[0],
            aliases=tuple(paths[1:]),
            right=Right(f"{kind.plural}.read", open=True),
            tag=kind.plural,
            description=(
                f"List {kind.plural} as a file with a column for each member: CSV, or `.xlsx`, or `.ods`."
                f" At most {MAX_ROWS} records, and {MAX_BYTES >> 20} MiB of them."
            ),
            parameters=tuple(
                parameter for parameter in list_parameters(kind) if parameter.name not in ("total", "limit")
            ),
            answers=(Answer(200, "A table (RFC 4180)", {CSV: {"type": "string"}}, _HEADERS),),
        )
    )
    async def list_file(request: Request[Any, Any, Any]) -> ASGIResponse:
        ending = request.scope["path"].rpartition(".")[2]
        return await table_answer(request, kind, BY_ENDING[ending])

    return list_file


async def table_answer(request: Request[Any, Any, Any], kind: type[Content], form: TableForm) -> ASGIResponse:
    """The file of a list, as far as the caller may see it. Raises Invalid."""
    node, pairs = node_of(request), pairs_of(request)
    query = read_query(kind, pairs)
    rows: list[list[object]] = []
    size, not_understood, after = 0, 0, query.after
    while len(rows) < MAX_ROWS and size < MAX_BYTES:
        page = msgspec.structs.replace(query, after=after, limit=min(MAX_PAGE, MAX_ROWS - len(rows)))
        listed = (await search.search(node, page, by=caller_of(request))).listed
        rows += await run_in_table_thread(record_rows, kind, listed.documents)
        size += sum(map(len, listed.documents))
        after, not_understood = listed.page_key, not_understood or listed.not_understood
        if after is None:
            break
    headers = {
        **REVALIDATE,
        "content-disposition": f'attachment; filename="{kind.plural}.{form.ending}"',
    }
    if after is not None:
        repeated = [pair for pair in pairs if pair[0] != "after"]
        following = urlencode([*repeated, ("after", str(after))])
        headers["link"] = f'<{node.url}/v1/{kind.plural}.{form.ending}?{following}>; rel="next"'
    if not_understood:
        headers[NOT_UNDERSTOOD] = str(not_understood)
    body = await write_table(form, kind.plural, record_head(kind), rows)
    return answer(body, media_type=form.media_type, headers=headers)
