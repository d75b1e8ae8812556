"""The themes of solutions as data, so that nobody copies them out of the documentation."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse

from federation.api.handlers import handles
from federation.domain.content.solution import OWN_THEMES, PUBLICCODE_THEMES
from federation.edge.answers import JSON, answer
from federation.edge.operations import ANYONE, Answer, Operation


class ThemeView(msgspec.Struct, frozen=True):
    """A theme, and the list that it comes from."""

    theme: str
    source: Literal["federation", "publiccode"]
    """Added by this project, or a category of publiccode.yml."""


class ThemeList(msgspec.Struct, frozen=True):
    """The themes that a solution can have, in alphabetical order."""

    themes: tuple[ThemeView, ...]


def all_themes() -> ThemeList:
    """Every theme, as published in ``schemas/themes.json``."""
    views = [ThemeView(theme, "federation") for theme in OWN_THEMES]
    views += [ThemeView(theme, "publiccode") for theme in PUBLICCODE_THEMES]
    return ThemeList(tuple(sorted(views, key=lambda view: view.theme)))


@handles(
    Operation(
        act="themes",
        id="listThemes",
        method="GET",
        path="/v1/themes",
        right=ANYONE,
        tag="solutions",
        answers=(Answer(200, "The themes", {JSON: ThemeList}),),
    )
)
async def list_themes(request: Request[Any, Any, Any]) -> ASGIResponse:
    """List the themes that a solution can have. A later version may add some."""
    return answer(_BODY, headers={"cache-control": "public, max-age=3600"})


_BODY = msgspec.json.encode(all_themes())
HANDLERS = (list_themes,)
