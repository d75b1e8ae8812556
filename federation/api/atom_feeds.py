"""Feeds for feed readers (Atom, RFC 4287): what is public, in CLEAR."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.handlers import handles
from federation.api.public_answers import LANGUAGE, PUBLIC_ETAG, asked_language, public_answer
from federation.domain.errors import NotFound, Refused, Retracted
from federation.domain.formats.atom import MEDIA_TYPE as ATOM
from federation.edge.operations import ANYONE, Answer, Operation
from federation.edge.requests import node_of
from federation.node import atom_feeds

MAX_AGE_SECONDS = 300
ENDING = ".atom"


def _operation(act: str, id_: str, path: str, errors: tuple[type[Refused], ...] = (NotFound,)) -> Operation:
    return Operation(
        act=act,
        id=id_,
        method="GET",
        path=f"/feeds/{path}",
        right=ANYONE,
        tag="node",
        parameters=(LANGUAGE,),
        answers=(
            Answer(200, "A feed (Atom, RFC 4287)", {ATOM: {"type": "string"}}, PUBLIC_ETAG),
            Answer(304, "You have it", {}, PUBLIC_ETAG),
        ),
        errors=errors,
    )


def _name(file: str) -> str:
    """The name of a feed. Raises NotFound for a file of another form."""
    if not file.endswith(ENDING) or "\0" in file:
        raise atom_feeds.no_such_feed()
    return file.removesuffix(ENDING)


async def _answer(request: Request[Any, Any, Any], feed: Awaitable[bytes]) -> ASGIResponse:
    return public_answer(request, await feed, ATOM, MAX_AGE_SECONDS)


@handles(_operation("type_feed", "getTypeFeed", "{feed_file:str}"))
async def type_feed(request: Request[Any, Any, Any], feed_file: str) -> ASGIResponse:
    """Subscribe to the public records of a type: `incidents.atom`; or to all of them: `all.atom`."""
    feed = atom_feeds.of_type(node_of(request), _name(feed_file), asked_language(request))
    return await _answer(request, feed)


@handles(_operation("operator_feed", "getOperatorFeed", "operators/{feed_file:str}"))
async def operator_feed(request: Request[Any, Any, Any], feed_file: str) -> ASGIResponse:
    """Subscribe to the public records of an operator: `operators/arnia.atom`."""
    feed = atom_feeds.of_operator(node_of(request), _name(feed_file), asked_language(request))
    return await _answer(request, feed)


@handles(_operation("theme_feed", "getThemeFeed", "themes/{feed_file:str}"))
async def theme_feed(request: Request[Any, Any, Any], feed_file: str) -> ASGIResponse:
    """Subscribe to the public records of a theme: `themes/education.atom`."""
    feed = atom_feeds.of_theme(node_of(request), _name(feed_file), asked_language(request))
    return await _answer(request, feed)


@handles(
    _operation(
        "solution_feed", "getSolutionFeed", "solutions/{origin:str}/{feed_file:str}", (NotFound, Retracted)
    )
)
async def solution_feed(request: Request[Any, Any, Any], origin: str, feed_file: str) -> ASGIResponse:
    """Subscribe to a solution and to the public records that name it: `solutions/arnia/glpi.atom`."""
    feed = atom_feeds.of_solution(node_of(request), origin, _name(feed_file), asked_language(request))
    return await _answer(request, feed)


@handles(_operation("body_feed", "getBodyFeed", "bodies/{feed_file:str}"))
async def body_feed(request: Request[Any, Any, Any], feed_file: str) -> ASGIResponse:
    """Subscribe to the offers for a public body and to what serves it: `bodies/cog:71076.atom`."""
    feed = atom_feeds.of_body(node_of(request), _name(feed_file), asked_language(request))
    return await _answer(request, feed)


HANDLERS = (type_feed, operator_feed, theme_feed, solution_feed, body_feed)
