"""The page to go on to after a login: one of this node, whatever a link says."""

from __future__ import annotations

import re
from urllib.parse import quote

MAX_NEXT_LENGTH = 2_000
"""Characters of the page to go on to, at most."""
_NEXT = re.compile(r"/(?:[!-.0-\[\]-~][!-\[\]-~]*)?")
"""A path of this node in printable ASCII: not ``//``, and no backslash, which browsers take for a slash."""
_NOT_NEXT = ("/login", "/logout", "/invitation")


def safe_next(text: str) -> str:
    """The page to go on to after a login: a path without its language, of this node; else the first page."""
    if len(text) > MAX_NEXT_LENGTH:
        return "/"
    path = quote(text, safe="/?#&=%+,;:@!$'()*~-._[]\\\r\n\t ")
    if not _NEXT.fullmatch(path) or path.startswith(_NOT_NEXT):
        return "/"
    return path
