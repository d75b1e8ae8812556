"""The solutions as a catalogue of software: the read side of the open-catalog-api 1.4, and publiccode.yml.

Catalogues of Italy, Switzerland and the European Union read each other by these paths and shapes. Links are
query strings, as that API answers them. Without a token a caller reads what is CLEAR.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.handlers import handles
from federation.api.parameters import IF_NONE_MATCH
from federation.domain.content.solution import Solution
from federation.domain.errors import Invalid
from federation.domain.fault_search import FaultSearch
from federation.domain.formats.open_catalog_export import (
    CatalogPublisher,
    CatalogSoftware,
    SoftwareCatalog,
)
from federation.domain.formats.publiccode_export import MEDIA_TYPE
from federation.domain.query import PageKey, read_number, read_time
from federation.domain.visibility import Caller
from federation.edge.answers import ETAG_HEADER, JSON, REVALIDATE, tagged_answer
from federation.edge.operations import Answer, Operation, Parameter, Right
from federation.edge.query_parameters import parameters_of
from federation.edge.requests import caller_of, node_of
from federation.node import software_catalog
from federation.node.node import Node
from federation.node.software_catalog import ENDING, MAX_ENTRIES, PAGE, Page, Slot

PATH = "/catalog/v1"
PUBLIC_SECONDS = 300
"""Seconds for which caches may answer what is public."""
READER = Right(f"{Solution.plural}.read", open=True)
_MOMENT = {"type": "string", "format": "date-time"}
PARAMETERS = (
    Parameter(
        "page[size]",
        {
            "description": "Records that are read for the page, at most.",
            "schema": {"type": "integer", "minimum": 1, "maximum": MAX_ENTRIES, "default": PAGE},
        },
    ),
    Parameter(
        "page[after]",
        {
            "description": "The place that `links.next` of the page before names.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 1000},
        },
    ),
    Parameter("from", {"description": "Only entries created after this moment.", "schema": _MOMENT}),
    Parameter("to", {"description": "Only entries created before this moment.", "schema": _MOMENT}),
    Parameter(
        "all",
        {"description": "Has no effect: every entry is active.", "schema": {"type": "boolean"}},
    ),
    IF_NONE_MATCH,
)


class CatalogLinks(msgspec.Struct, frozen=True):
    """Query strings of the pages beside this one."""

    prev: str | None
    """Always null: pages are read forwards only."""
    next: str | None
    """Null on the last page."""


class SoftwarePage(msgspec.Struct, frozen=True):
    """Solutions with their publiccode.yml."""

    data: tuple[CatalogSoftware, ...]
    links: CatalogLinks


class PublisherPage(msgspec.Struct, frozen=True):
    """Operators that publish solutions with a repository."""

    data: tuple[CatalogPublisher, ...]
    links: CatalogLinks


class CatalogPage(msgspec.Struct, frozen=True):
    """Catalogues of operators."""

    data: tuple[SoftwareCatalog, ...]
    links: CatalogLinks


def _operation(name: str, id_: str, page: Any) -> Operation:
    return Operation(
        act=f"catalog_{name}",
        id=id_,
        method="GET",
        path=f"{PATH}/{name}",
        right=READER,
        tag=Solution.plural,
        parameters=PARAMETERS,
        answers=(
            Answer(200, "A page", {JSON: page}, ETAG_HEADER),
            Answer(304, "You have it", {}, ETAG_HEADER),
        ),
        errors=(Invalid,),
    )


@handles(_operation("software", "listCatalogSoftware", SoftwarePage))
async def software(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List solutions with their publiccode.yml, for catalogues of software (open-catalog-api 1.4).

    Solutions without a repository or without a licence of the SPDX list are left out: a page may have fewer
    entries than it could, and still be followed by another one.
    """
    return await _answer(request, software_catalog.software, SoftwarePage)


@handles(_operation("publishers", "listCatalogPublishers", PublisherPage))
async def publishers(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List operators that publish solutions with a repository (open-catalog-api 1.4)."""
    return await _answer(request, software_catalog.publishers, PublisherPage)


@handles(_operation("catalogs", "listCatalogs", CatalogPage))
async def catalogs(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List the catalogues of operators; that of this node is the root (open-catalog-api 1.4)."""
    return await _answer(request, software_catalog.catalogs, CatalogPage)


async def _answer(
    request: Request[Any, Any, Any], read: Callable[..., Coroutine[Any, Any, Page[Any]]], page: Any
) -> ASGIResponse:
    caller = caller_of(request)
    parameters = parameters_of(request)
    found = await read(node_of(request), _slot(parameters), by=caller)
    following = None
    if found.after is not None:
        others = {name: value for name, value in parameters.items() if name != "page[after]"}
        following = f"?{urlencode({**others, 'page[after]': str(found.after)})}"
    body = msgspec.json.encode(page(found.entries, CatalogLinks(None, following)))
    return _for_caller(request, body, JSON, caller)


def _slot(parameters: dict[str, str]) -> Slot:
    """Raises Invalid."""
    search = FaultSearch()
    moments = {
        name: read_time(search, name, parameters[name]) for name in ("from", "to") if name in parameters
    }
    limit = PAGE
    if "page[size]" in parameters:
        limit = read_number(search, "page[size]", parameters["page[size]"], MAX_ENTRIES)
    if search.faults:
        raise Invalid.of(search.faults, search.more)
    after = None
    if "page[after]" in parameters:
        try:
            after = PageKey.parse(parameters["page[after]"], "id")
        except Invalid as error:
            raise Invalid(error.message, pointer="?page[after]") from None
    return Slot(limit=limit, after=after, since=moments.get("from"), before=moments.get("to"))


async def publiccode_answer(
    request: Request[Any, Any, Any], node: Node, origin: str, file: str
) -> ASGIResponse:
    """The publiccode.yml of a solution, by the name of its file."""
    caller = caller_of(request)
    body = await software_catalog.publiccode(node, origin, file.removesuffix(ENDING), by=caller)
    return _for_caller(request, body, MEDIA_TYPE, caller)


def _for_caller(
    request: Request[Any, Any, Any], body: bytes, media_type: str, caller: Caller
) -> ASGIResponse:
    headers = dict(REVALIDATE)
    if caller.operator is None:
        headers["cache-control"] = f"public, max-age={PUBLIC_SECONDS}"
    return tagged_answer(request, body, media_type=media_type, headers=headers)


HANDLERS = (software, publishers, catalogs)
