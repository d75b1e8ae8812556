"""Public bodies over HTTP: find one, and ask what it may join, from whom and at which price."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.handlers import handles
from federation.api.parameters import CONTROL_PARAMETERS, several
from federation.domain.content.tariff import BODY_KINDS
from federation.domain.errors import Invalid
from federation.domain.offers.answers import NUMBERS, BodyOffers
from federation.domain.territories.finder import MAX_BODIES, MAX_QUESTION_CHARACTERS, BodyMatches
from federation.domain.territories.public_bodies import PublicBody
from federation.edge.answers import JSON, NO_STORE, json_answer
from federation.edge.operations import ANYONE, Answer, Operation, Parameter, Right
from federation.edge.query_parameters import pairs_of
from federation.edge.requests import caller_of, node_of
from federation.node import bodies, offers
from federation.node.offers import MAX_NUMBER, PAGE, GivenFacts

BODY = "/v1/bodies/{body_id:str}"
HEADERS = {**NO_STORE, "vary": "authorization"}
REGISTER_HEADERS = {"cache-control": "public, max-age=3600"}
"""The register changes with a version of the program."""
MAX_DEPARTEMENTS = 20
"""Départements of a body that the register does not have, at most."""
_ABOUT_NUMBERS = {
    "population": "Inhabitants, in place of those of the register.",
    "agents": "Agents of the body.",
    "users": "Users of the service.",
    "gigabytes": "Gigabytes that are stored.",
    "member_communes": "Communes that are members, in place of those of the register.",
}
_EXAMPLES = {"population": 2_000, "agents": 12, "users": 8, "gigabytes": 50, "member_communes": 24}
_NUMBERS = tuple(
    Parameter(
        name,
        {
            "description": f"{_ABOUT_NUMBERS[name]} Prices and conditions may depend on it.",
            "schema": {"type": "integer", "minimum": 0, "maximum": MAX_NUMBER},
            "example": _EXAMPLES[name],
        },
    )
    for name in NUMBERS
)
_TO_OFFERS = {
    "operationId": "listBodyOffers",
    "description": "What the body may join, from whom and at which price.",
}


@handles(
    Operation(
        act="find_bodies",
        id="findBodies",
        method="GET",
        path="/v1/bodies",
        right=ANYONE,
        tag="bodies",
        parameters=(
            Parameter(
                "q",
                {
                    "required": True,
                    "description": "A name or its beginning, with or without accents; a postcode, an INSEE"
                    " code, a SIREN or a SIRET. The number of a département narrows a name:"
                    " `saint-denis 93`.",
                    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_QUESTION_CHARACTERS},
                    "example": "saint-denis 93",
                },
            ),
            Parameter(
                "limit",
                {
                    "description": "Bodies in the answer, at most.",
                    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_BODIES, "default": MAX_BODIES},
                },
            ),
        ),
        answers=(
            Answer(
                200,
                "The bodies, the likeliest first",
                {JSON: BodyMatches},
                links={
                    "first": {
                        "operationId": "getBody",
                        "parameters": {"body_id": "$response.body#/bodies/0/body/id"},
                    },
                    "offers": {
                        **_TO_OFFERS,
                        "parameters": {"body_id": "$response.body#/bodies/0/body/id"},
                    },
                },
            ),
        ),
        errors=(Invalid,),
    )
)
async def find_bodies(request: Request[Any, Any, Any]) -> ASGIResponse:
    """Find communes, groupings, départements and régions by name, postcode, INSEE code or SIREN."""
    given = dict(pairs_of(request))
    question = given.get("q", "")
    if not question.strip():
        raise Invalid("q is needed: a name, a postcode or a number", pointer="?q", fault="missing")
    if len(question) > MAX_QUESTION_CHARACTERS:
        raise Invalid(
            "q is longer than {maximum} characters",
            pointer="?q",
            fault="too-long",
            maximum=MAX_QUESTION_CHARACTERS,
        )
    limit = int(given.get("limit", MAX_BODIES))
    return json_answer(await bodies.find_bodies(question, limit), headers=REGISTER_HEADERS)


@handles(
    Operation(
        act="body",
        id="getBody",
        method="GET",
        path=BODY,
        right=ANYONE,
        tag="bodies",
        answers=(
            Answer(
                200,
                "The body",
                {JSON: PublicBody},
                links={"offers": {**_TO_OFFERS, "parameters": {"body_id": "$response.body#/id"}}},
            ),
        ),
        errors=(Invalid,),
    )
)
async def get_body(request: Request[Any, Any, Any], body_id: str) -> ASGIResponse:
    """Show what the register has of a public body. Of others, what the identifier says."""
    return json_answer(await bodies.get_body(body_id), headers=REGISTER_HEADERS)


@handles(
    Operation(
        act="body_offers",
        id="listBodyOffers",
        method="GET",
        path=f"{BODY}/offers",
        right=Right("offers.read", open=True),
        tag="bodies",
        parameters=(
            Parameter(
                "kind",
                {
                    "description": "Kind of a body that the register does not have: needed for its prices.",
                    "schema": {"enum": list(BODY_KINDS)},
                    "example": "syndicat",
                },
            ),
            several(
                "departement",
                {"type": "string", "pattern": "^(FR-)?([0-9]{2,3}|2[AB])$"},
                "The départements that such a body is in. Without them, offers for a territory are unknown.",
                MAX_DEPARTEMENTS,
            ),
            *_NUMBERS,
            Parameter(
                "elsewhere",
                {
                    "description": "With the offers for other territories, at the end of the list.",
                    "schema": {"type": "boolean", "default": True},
                },
            ),
            Parameter(
                "limit",
                {
                    "description": "Offers of a page, at most.",
                    "schema": {"type": "integer", "minimum": 1, "maximum": PAGE, "default": PAGE},
                },
            ),
            CONTROL_PARAMETERS["after"],
        ),
        answers=(Answer(200, "A page of offers, those open to the body first", {JSON: BodyOffers}),),
        errors=(Invalid,),
    )
)
async def body_offers(request: Request[Any, Any, Any], body_id: str) -> ASGIResponse:
    """List what a body may join: open, not open or unknown with reasons, prices, steps and contact."""
    pairs = pairs_of(request)
    given = dict(pairs)
    node = node_of(request)
    view, after = await offers.of_body(
        node,
        body_id,
        facts_of(pairs),
        by=caller_of(request),
        limit=int(given.get("limit", PAGE)),
        after=given.get("after"),
        with_elsewhere=given.get("elsewhere") != "false",
    )
    headers = dict(HEADERS)
    if after is not None:
        kept = [(name, value) for name, value in pairs if name != "after"]
        following = f"{node.url}/v1/bodies/{body_id}/offers?{urlencode([*kept, ('after', after)])}"
        view = msgspec.structs.replace(view, next=following)
        headers["link"] = f'<{following}>; rel="next"'
    return json_answer(view, headers=headers)


def facts_of(pairs: list[tuple[str, str]]) -> GivenFacts:
    """The facts about a body in the parameters, which were checked when they were read."""
    given = dict(pairs)
    departements = tuple(value for name, value in pairs if name == "departement")
    if len(departements) > MAX_DEPARTEMENTS:
        raise Invalid(
            "more than {maximum} départements are named",
            pointer="?departement",
            fault="too-many",
            maximum=MAX_DEPARTEMENTS,
        )
    return GivenFacts(
        kind=next((kind for kind in BODY_KINDS if kind == given.get("kind")), None),
        departements=departements,
        **{name: int(given[name]) for name in NUMBERS if name in given},
    )


HANDLERS = (find_bodies, get_body, body_offers)
