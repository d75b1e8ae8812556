"""The operator's own texts of pages: Markdown files of the directory that the settings name."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

from federation.domain.messages import LANGUAGES, Language
from federation.domain.values import MAX_MARKDOWN_BYTES
from federation.node.node import Node
from federation.web.markdown import Rendered, in_words

TextName = Literal["accessibility", "legal"]
"""Pages with a text that the law leaves to the operator."""


async def own_text(node: Node, name: TextName, language: Language) -> Rendered | None:
    """The operator's text of a page, in another language where there is none in this one; None without any.

    It is read at each request, so that a new one needs no restart. What is beyond 64 KiB is left out.
    """
    if node.texts_dir is None:
        return None
    return await in_words(await asyncio.to_thread(_read, node.texts_dir, name), language)


def _read(directory: Path, name: TextName) -> dict[str, str]:
    """The texts by their language; a file that cannot be read is as one that is not there."""
    texts = {}
    for code in LANGUAGES:
        try:
            with (directory / f"{name}.{code}.md").open("rb") as file:
                raw = file.read(MAX_MARKDOWN_BYTES)
        except OSError:
            continue
        if text := raw.decode("utf-8", "replace").replace("\x00", "").strip()[: MAX_MARKDOWN_BYTES // 4]:
            texts[str(code)] = text
    return texts
