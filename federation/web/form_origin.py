"""The page that a form was sent from: one of this node's, or the form is refused.

By Fetch Metadata (``Sec-Fetch-Site``), which all browsers of today send and no page can set; by ``Origin``
where it is absent. A request with neither comes from no browser that has our cookie.
"""

from __future__ import annotations

from litestar.datastructures import Headers

from federation.domain.errors import Forbidden

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def check_form_origin(method: str, headers: Headers, url: str) -> None:
    """Raises Forbidden for a request that changes something and was not sent from a page of this node.

    ``url``: the base URL of the node.
    """
    if method in SAFE:
        return
    site = headers.get("sec-fetch-site")
    if site is not None:
        if site == "same-origin":
            return
    elif headers.get("origin") == url:
        return
    raise Forbidden("the form was not sent from a page of this node; open the page again and send it there")
