"""Webhooks: one POST to a URL that an administrator or a client has named."""

from __future__ import annotations

import httpx2

from federation.domain.errors import Unreachable
from federation.outbound import http
from federation.outbound.answers import error_text, retry_after
from federation.outbound.urls import check_webhook


async def post_webhook(url: str, body: bytes, headers: dict[str, str], *, private: bool) -> int:
    """Call a webhook and return the status of its answer.

    Raises Unreachable, with the waiting time where the answer is 429 or 503 and names one.
    """
    check_webhook(url, private=private)
    try:
        async with httpx2.AsyncClient(**http.settings(url, private=private)) as client:
            answer = await client.post(url, content=body, headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise Unreachable("the webhook cannot be called: {reason}", reason=error_text(error)) from None
    if answer.status_code in (429, 503) and (after := retry_after(answer.headers.get("retry-after", ""))):
        raise Unreachable(
            "the webhook answered {status_code}", retry_after=after, status_code=answer.status_code
        )
    return int(answer.status_code)
