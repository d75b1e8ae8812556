"""Markdown of records as HTML for pages.

What operators write is text of others, and shown on our pages: HTML in it is shown as text, and of what the
reader of Markdown makes a list of tags and attributes is let through and no other (nh3). Headings begin below
those of the page. Links are absolute and https; images are shown as their description, since one from
elsewhere would tell there who reads this page.

A text is rendered once: the result is stored under the digest of the text, which changes with each revision.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from federation.domain.messages import Language
from federation.domain.values import MAX_MARKDOWN_BYTES
from federation.web.rendered import RenderedParts
from federation.web.rendering import in_language

MAX_STORED_BYTES = 8 * 1_048_576
"""Bytes of rendered texts that a process stores, at most."""
MAX_INLINE_BYTES = 2_000
"""Bytes of a text that is rendered on the event loop, in a millisecond or two; longer ones in a thread."""
MAX_RENDERED_BYTES = 8 * MAX_MARKDOWN_BYTES
"""Bytes of one rendered text, at most; a longer one is shown as it was written."""
HEADING_SHIFT = 2
"""Levels by which headings are lowered: the page has the first, its parts the second."""
TAGS = frozenset(
    "a blockquote br code em h3 h4 h5 h6 hr li ol p pre s strong table tbody td th thead tr ul".split()
)
ALIGNMENTS = {"text-align:left": "left", "text-align:center": "center", "text-align:right": "right"}
"""Classes in place of ``style``, which the policy of pages blocks."""
_ATTRIBUTES = {"a": {"href"}, "ol": {"start"}, "td": {"class"}, "th": {"class"}}


class Rendered(NamedTuple):
    """A text as a page shows it."""

    html: Markup
    language: str
    """The tag of its language: ``<div lang="…">``."""


async def to_html(text: str) -> Markup:
    """A text in Markdown as HTML."""
    raw = text.encode()
    digest = hashlib.sha256(raw).digest()
    if (stored := _stored.get(digest)) is not None:
        return stored
    if len(raw) <= MAX_INLINE_BYTES:
        html = render(text)
    else:
        html = await asyncio.get_running_loop().run_in_executor(_thread, render, text)
    _stored.add(digest, html, len(html))
    return html


async def in_words(texts: Mapping[str, str] | None, language: Language) -> Rendered | None:
    """The text of a language map that suits a reader; None without one."""
    text, tag = in_language(language, texts)
    return Rendered(await to_html(text), tag) if text else None


def render(text: str) -> Markup:
    """A text in Markdown as HTML; one beyond the bounds as it was written."""
    if len(text.encode()) > MAX_MARKDOWN_BYTES:
        return _as_written(text)
    made: str = _markdown.render(text)
    if len(made) > MAX_RENDERED_BYTES:
        return _as_written(text)
    clean = nh3.clean(
        made,
        tags=set(TAGS),
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        url_schemes={"https"},
        link_rel="nofollow noopener",
    )
    return Markup(clean)  # noqa: S704 - of the tags and attributes above alone


def _as_written(text: str) -> Markup:
    return Markup('<p class="typed">{}</p>').format(text[:MAX_MARKDOWN_BYTES])


def _attribute(tag: str, name: str, value: str) -> str | None:
    """An attribute as it is let through; None where it is not."""
    match name:
        case "href":
            try:
                parts = urlsplit(value)
            except ValueError:
                return None
            return value if parts.scheme.lower() == "https" and parts.netloc else None
        case "class":
            return value if value in ALIGNMENTS.values() else None
    return value


def _to_page(tokens: Sequence[Token]) -> None:
    """Lower the headings, and align the cells of tables by class."""
    levels: list[int] = []
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            level = int(token.tag[1:])
            if token.type == "heading_open":
                # No level is left out, whatever the writer begins with: readers aloud go by levels.
                while levels and levels[-1] >= level:
                    levels.pop()
                levels.append(level)
            token.tag = f"h{min(6, len(levels) + HEADING_SHIFT)}"
        elif token.type in ("td_open", "th_open"):
            style = token.attrs.pop("style", None)
            if style in ALIGNMENTS:
                token.attrs["class"] = ALIGNMENTS[str(style)]


def _description(
    _renderer: Any, tokens: Sequence[Token], index: int, _options: Any, _env: MutableMapping[str, Any]
) -> str:
    """The description of an image in place of it."""
    return str(escape(tokens[index].content))


def _reader() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    made.core.ruler.push("to_page", lambda state: _to_page(state.tokens))
    made.add_render_rule("image", _description)
    return made


_markdown = _reader()
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="markdown")
"""One text at a time: the worst of 64 KiB takes a second, and others are to have their turn meanwhile."""
_stored: RenderedParts[Markup] = RenderedParts(MAX_STORED_BYTES)
