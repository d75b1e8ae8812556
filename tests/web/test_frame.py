"""The parts that all pages have: languages, headers, errors, the origin of forms, static files."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import pytest
from litestar import Litestar
from litestar.datastructures import Headers

import federation.web
from federation.domain.errors import Forbidden
from federation.web.form_origin import check_form_origin
from federation.web.rendering import compile_templates, environment
from federation.web.static_files import static_files, static_path
from tests.web.browser import browsing, shown

STATIC = Path(federation.web.__file__).parent / "static"


async def test_the_root_leads_to_the_language_of_the_visitor(app: Litestar) -> None:
    for language, path in (("fr-FR,fr;q=0.9,en;q=0.5", "/fr"), ("en", "/en"), ("de", "/en")):
        async with browsing(app, language) as client:
            answer = await client.get("/")
            assert (answer.status_code, answer.headers["location"]) == (302, path)


async def test_a_page_is_in_both_languages_and_names_the_other(visitor: httpx2.AsyncClient) -> None:
    french, english = await visitor.get("/fr"), await visitor.get("/en")
    assert "Accueil" in shown(french)
    assert "Home" in shown(english)
    assert '<html lang="fr">' in french.text
    assert 'hreflang="en" href="/en"' in french.text
    assert french.headers["content-language"] == "fr"


async def test_a_public_page_may_be_stored_for_a_moment_and_sets_no_cookie(
    visitor: httpx2.AsyncClient,
) -> None:
    answer = await visitor.get("/fr")
    assert answer.headers["cache-control"] == "public, max-age=30"
    assert "cookie" in answer.headers["vary"]
    assert "set-cookie" not in answer.headers
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "access-control-allow-origin" not in answer.headers


async def test_what_is_no_page_is_answered_with_a_way_on(visitor: httpx2.AsyncClient) -> None:
    text = shown(await visitor.get("/fr/nulle-part"), 404)
    assert "Cette page n’existe pas" in text
    assert "Vers la page d’accueil" in text
    assert (await visitor.get("/v1/nowhere")).headers["content-type"].startswith("application/problem+json")


async def test_static_files_have_a_path_of_their_content_and_are_stored_for_ever(
    visitor: httpx2.AsyncClient,
) -> None:
    answer = await visitor.get(static_path("style.css"))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    shown(await visitor.get("/static/000000000000/style.css"), 404)
    shown(await visitor.get(f"/static/{static_files()['style.css'].digest}/nothing.css"), 404)


def test_style_and_scripts_keep_their_budget() -> None:
    sizes = {suffix: sum(f.stat().st_size for f in STATIC.glob(f"*.{suffix}")) for suffix in ("css", "js")}
    assert sizes["css"] <= 8_000
    assert sizes["js"] <= 4_000
    assert not re.search(r"@import|url\(", (STATIC / "style.css").read_text())


@pytest.mark.parametrize(
    ("headers", "is_sent_from_us"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "https://elsewhere.example"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "https://arnia.example"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "https://arnia.example"}, True),
        ({"origin": "https://arnia.example.elsewhere.example"}, False),
        ({"origin": "null"}, False),
        ({}, False),
    ],
)
def test_a_form_is_taken_from_a_page_of_this_node_only(
    headers: dict[str, str], is_sent_from_us: bool
) -> None:
    check_form_origin("GET", Headers(headers), "https://arnia.example")
    if is_sent_from_us:
        check_form_origin("POST", Headers(headers), "https://arnia.example")
    else:
        with pytest.raises(Forbidden):
            check_form_origin("POST", Headers(headers), "https://arnia.example")


def test_every_template_compiles() -> None:
    compile_templates()
    assert environment("fr").get_template("base.html")
