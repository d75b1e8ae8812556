"""The catalogue of the operator's solutions for catalogues of others: DCAT-AP 3.0.1 with ADMS 2.0."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from federation.api.handlers import handles
from federation.api.parameters import IF_NONE_MATCH
from federation.domain.errors import Invalid
from federation.edge.answers import REVALIDATE, tagged_answer
from federation.edge.operations import Answer, Operation, Parameter, Right
from federation.edge.query_parameters import parameters_of
from federation.edge.requests import caller_of, node_of
from federation.node import dcat
from federation.node.dcat import Form

PUBLIC_SECONDS = 300
MEDIA_TYPES: dict[Form, str] = {"jsonld": "application/ld+json", "ttl": "text/turtle"}
AFTER = Parameter(
    "after", {"description": "The page key, as the page before gives it.", "schema": {"type": "string"}}
)


def _catalogue(form: Form) -> HTTPRouteHandler:
    media_type = MEDIA_TYPES[form]
    schema = {"type": "object"} if form == "jsonld" else {"type": "string"}

    @handles(
        Operation(
            act=f"catalogue-{form}",
            id="getCatalogueJsonLd" if form == "jsonld" else "getCatalogueTurtle",
            method="GET",
            path=f"/catalog.{form}",
            right=Right("solutions.read", open=True),
            tag="exports",
            description=f"Read this operator's solutions by DCAT-AP 3.0.1 and ADMS 2.0, {dcat.PAGE_SOLUTIONS}"
            " on a page; the next page is named by Hydra in the graph, and by `Link`.",
            parameters=(AFTER, IF_NONE_MATCH),
            answers=(
                Answer(
                    200,
                    "A page",
                    {media_type: schema},
                    {"Link": {"description": "`next`: the next page.", "schema": {"type": "string"}}},
                ),
                Answer(304, "You have it"),
            ),
            errors=(Invalid,),
        )
    )
    async def catalogue(request: Request[Any, Any, Any]) -> ASGIResponse:
        after = parameters_of(request).get(AFTER.name)
        caller = caller_of(request)
        page = await dcat.page(node_of(request), form, after, by=caller)
        headers = dict(REVALIDATE)
        if caller.operator is None:
            headers["cache-control"] = f"public, max-age={PUBLIC_SECONDS}"
        if page.following is not None:
            headers["link"] = f'<{page.following}>; rel="next"'
        return tagged_answer(request, page.body, media_type=media_type, headers=headers)

    return catalogue


HANDLERS = tuple(map(_catalogue, MEDIA_TYPES))
