"""The forms of pages, as a browser would send them."""

from __future__ import annotations

import re
from html import unescape

import httpx2


def hidden(answer: httpx2.Response) -> dict[str, str]:
    """The hidden fields of the form on a page."""
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', answer.text)
    return {name: unescape(value) for name, value in found}


def shown_fields(answer: httpx2.Response) -> dict[str, str]:
    """The fields of the form on a page, boxes aside."""
    fields = hidden(answer)
    main = answer.text[answer.text.index("<main") :]
    texts = r'<input id="[^"]*" name="([^"]*)" type="(?!checkbox)[^"]*" value="([^"]*)"'
    areas = r'<textarea id="[^"]*" name="([^"]*)"[^>]*>\n?([^<]*)</textarea>'
    for pattern in (texts, areas):
        fields |= {name: unescape(value) for name, value in re.findall(pattern, main)}
    for name, options in re.findall(
        r'<select id="[^"]*" name="([^"]*)"[^>]*>(.*?)</select>', main, re.DOTALL
    ):
        chosen = re.search(r'value="([^"]*)" selected', options)
        fields[unescape(name)] = chosen[1] if chosen else ""
    return fields
