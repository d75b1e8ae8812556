"""Markdown of others is shown as text and a few tags, and runs nothing."""

from __future__ import annotations

import re

import pytest
from markupsafe import Markup

from federation.domain.values import MAX_MARKDOWN_BYTES
from federation.web import markdown
from federation.web.markdown import MAX_INLINE_BYTES, MAX_STORED_BYTES, in_words, render, to_html
from federation.web.rendered import RenderedParts


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# Titre\n\n## Suite", "<h3>Titre</h3>\n<h4>Suite</h4>\n"),
        ("### a\n\n# b\n\n### c", "<h3>a</h3>\n<h3>b</h3>\n<h4>c</h4>\n"),
        (
            "# a\n\n## b\n\n### c\n\n#### d\n\n##### e",
            "<h3>a</h3>\n<h4>b</h4>\n<h5>c</h5>\n<h6>d</h6>\n<h6>e</h6>\n",
        ),
        ("**a** _b_ `c` ~~d~~", "<p><strong>a</strong> <em>b</em> <code>c</code> <s>d</s></p>\n"),
        ("3. a", '<ol start="3">\n<li>a</li>\n</ol>\n'),
        (
            "[site](https://a.example/x)",
            '<p><a href="https://a.example/x" rel="nofollow noopener">site</a></p>\n',
        ),
        (
            "<https://a.example>",
            '<p><a href="https://a.example" rel="nofollow noopener">https://a.example</a></p>\n',
        ),
        ("<b>a</b> & b", "<p>&lt;b&gt;a&lt;/b&gt; &amp; b</p>\n"),
    ],
)
def test_markdown_is_html(text: str, html: str) -> None:
    assert render(text) == html


def test_cells_are_aligned_by_class() -> None:
    html = render("|a|b|c|\n|:-|:-:|-:|\n|1|2|3|")
    assert '<th class="left">a</th>' in html
    assert '<td class="center">2</td>' in html
    assert '<td class="right">3</td>' in html
    assert "style" not in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "[a](data:text/html,x)",
        "[a](http://a.example)",
        "[a](//a.example)",
        "[a](/logout)",
        "[a](mailto:a@a.example)",
        "![Schéma](https://a.example/pixel.png)",
        "[![x](https://a.example/p.png)](http://a.example)",
        '<div style="position:fixed">a</div>',
        "[a]: http://a.example\n\n[a]",
    ],
)
def test_nothing_else_is_let_through(text: str) -> None:
    tags = set(re.findall("<[^>]*>", render(text)))
    assert tags <= {"<p>", "</p>", '<a rel="nofollow noopener">', "</a>"}


def test_an_image_is_shown_as_its_description() -> None:
    assert render('![Schéma <b>](https://a.example/p.png "t")') == "<p>Schéma &lt;b&gt;</p>\n"


def test_a_text_beyond_the_bounds_is_shown_as_it_was_written() -> None:
    assert render("# a" + " " * MAX_MARKDOWN_BYTES).startswith('<p class="typed"># a')
    assert render("<" * MAX_MARKDOWN_BYTES).startswith("<p>&lt;")


async def test_a_text_is_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []

    def note(text: str) -> Markup:
        runs.append(text)
        return render(text)

    monkeypatch.setattr(markdown, "render", note)
    monkeypatch.setattr(markdown, "_stored", RenderedParts(MAX_STORED_BYTES))
    long = "mot " * MAX_INLINE_BYTES
    for _ in range(2):
        assert await to_html("# a") == "<h3>a</h3>\n"
        assert (await to_html(long)).startswith("<p>mot")
    assert len(runs) == 2
    monkeypatch.setattr(markdown, "_stored", RenderedParts(10))
    await to_html("another")
    await to_html("# a")
    assert len(runs) == 4, "the oldest texts have made room"


async def test_a_text_of_another_language_names_it() -> None:
    rendered = await in_words({"nl": "hulp"}, "fr")
    assert rendered is not None
    assert (rendered.html, rendered.language) == ("<p>hulp</p>\n", "nl")
    assert await in_words(None, "fr") is None
