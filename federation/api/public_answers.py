"""Answers that are the same for everybody: what is public, in a language, with a validator."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.response.base import ASGIResponse

from federation.domain.messages import LANGUAGES, Language
from federation.edge.answers import tagged_answer
from federation.edge.operations import Parameter
from federation.edge.query_parameters import parameters_of
from federation.edge.weights import language_of

LANGUAGE = Parameter(
    "language",
    {
        "description": "The language of its texts; else the one that `Accept-Language` ranks first.",
        "schema": {"type": "string", "enum": list(LANGUAGES)},
    },
)
PUBLIC_ETAG = {
    "ETag": {
        "description": "Changes with the answer.",
        "required": True,
        "schema": {"type": "string"},
    }
}


def asked_language(request: Request[Any, Any, Any]) -> Language:
    """The language that a request asks for: by its parameter, else by its header."""
    tag = parameters_of(request).get(LANGUAGE.name)
    for language in LANGUAGES:
        if tag == language:
            return language
    return language_of(request.headers.get("accept-language"))


def public_answer(
    request: Request[Any, Any, Any], body: bytes, media_type: str, max_age_seconds: int
) -> ASGIResponse:
    """The answer, or 304 to a caller that has it. Caches may give it to anybody for some seconds."""
    headers = {"cache-control": f"public, max-age={max_age_seconds}", "vary": "accept-language"}
    return tagged_answer(request, body, media_type=media_type, headers=headers)
