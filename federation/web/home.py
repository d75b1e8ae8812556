"""The first page, the way to it, and the files that all pages load."""

from __future__ import annotations

from litestar.response.base import ASGIResponse

from federation.domain.errors import NotFound
from federation.edge.answers import answer
from federation.edge.weights import language_of
from federation.web.pages import page
from federation.web.static_files import static_files
from federation.web.visit import Visit, redirect


@page("/", act="page_home")
async def home(visit: Visit) -> ASGIResponse:
    """Show what the node is, and the way to its pages."""
    return visit.page("home.html")


@page("/", act="page_root", has_language=False)
async def root(visit: Visit) -> ASGIResponse:
    """Lead to the first page in the language of the visitor."""
    language = language_of(visit.request.headers.get("accept-language"))
    return redirect(f"/{language}", 302)


@page("/static/{digest:str}/{name:str}", act="page_file", has_language=False, media_type="text/css")
async def static_file(visit: Visit, digest: str, name: str) -> ASGIResponse:
    """Send a style, script or icon."""
    file = static_files().get(name)
    if file is None or file.digest != digest:
        raise NotFound("there is no such page here")
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return answer(file.body, media_type=file.media_type, headers=headers)


HANDLERS = (home, root, static_file)
