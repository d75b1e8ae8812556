"""The OpenAPI 3.1 document, made of the declarations of all operations.

Bodies are read by the domain and not by the framework (it would convert "1" to 1 and let a member pass that
stands twice), so the document is made here from the table of operations and the schemas of msgspec.
"""

from __future__ import annotations

import re
from typing import Any

from litestar import Litestar

from federation.api.oauth_errors import OAUTH_ERROR
from federation.api.operations import Answer, Operation, table
from federation.api.parameters import PATH_PATTERNS
from federation.api.problem_details import STATUS
from federation.api.responses import JSON, PROBLEM
from federation.api.schemas import Components, json_schema
from federation.api.standing_headers import API_VERSION
from federation.domain.registry import TYPES
from federation.domain.scopes import SCOPES
from federation.domain.values import Content

__all__ = ["document", "json_schema"]

_REASONS = {
    400: "The request is not valid; the problem names the member at fault",
    401: "A valid access token is needed",
    403: "The caller may not do this",
    404: "There is nothing here that the caller may see",
    406: "The answer cannot be given in the form asked for",
    408: "The body did not come in time",
    409: "The request does not fit the present state",
    410: "It was here and has been retracted, or the cursor has expired",
    412: "The record is not at the state named",
    413: "The request is too large",
    415: "The body is of a type that is not read here",
    422: "The Idempotency-Key is that of another request",
    429: "Too many requests of the caller, or from its address",
    502: "Another node, which this needs, did not answer as it should",
    503: "The node cannot answer now",
    500: "Internal error",
}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}


def document(app: Litestar, base: str) -> dict[str, Any]:
    """The OpenAPI document of an application, as served at ``base``."""
    operations = [operation for operation in table(app) if operation.id]
    components = Components(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        described = paths.setdefault(_path(operation), {})
        described[operation.method.lower()] = _operation(operation, components)
    return {
        "openapi": "3.1.1",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Federation node",
            "version": API_VERSION,
            "summary": "What public digital-service operators pool: solutions, deployments and incidents",
            "description": (
                "Each operator runs a node and is the only writer of its records; nodes pull each other's"
                " feeds. Get a token with `POST /oauth2/token` (client credentials); CLEAR records are"
                " answered without one. A peer's token is bound to a key of its own: it is sent as"
                " `Authorization: DPoP` with a proof for each request (RFC 9449)."
            ),
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base}],
        "tags": [
            *({"name": kind.plural, "description": _first_line(kind)} for kind in TYPES.values()),
            {"name": "exposure", "description": "Who is hit by an incident, and who has answered"},
            {"name": "alerts", "description": "Who is told of what, and by when authorities are to be told"},
            {"name": "feeds", "description": "What peers pull, and everything in order of arrival"},
            {"name": "peers", "description": "Other operators' nodes: who they are and how they join"},
            {"name": "node", "description": "The node itself: tokens, keys, health, documentation"},
        ],
        "paths": paths,
        "components": {
            "schemas": components.schemas(),
            "securitySchemes": {
                "oauth2": {
                    "type": "oauth2",
                    "flows": {
                        "clientCredentials": {"tokenUrl": f"{base}/oauth2/token", "scopes": dict(SCOPES)}
                    },
                }
            },
        },
    }


def statuses(operation: Operation) -> set[int]:
    """The statuses of refusals that an operation can answer with."""
    codes = {400, 413, 500} if not operation.bodies else {408, 413, 415, 500}
    if operation.right.scope is not None:
        codes |= {401, 403, 503}
    if operation.right.counted != "not":
        codes |= {429, 503}
    return codes | {STATUS[error] for error in operation.errors}


def _operation(operation: Operation, components: Components) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.description.split(". ")[0].rstrip("."),
        "description": operation.description,
        "tags": [operation.tag],
        **({} if operation.deprecation is None else {"deprecated": True}),
        "security": _security(operation),
        "responses": {
            **{str(answer.status): _answer(answer, components) for answer in operation.answers},
            **_problems(operation),
        },
    }
    if parameters := _parameters(operation):
        described["parameters"] = parameters
    if operation.bodies:
        content: dict[str, Any] = {}
        for body in operation.bodies:
            example = {} if body.example is None else {"example": body.example}
            content[body.media_type] = {"schema": components.body(body.schema), **example}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _path(operation: Operation) -> str:
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", operation.path)


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    right = operation.right
    if right.scope is None:
        return []
    with_token = {"oauth2": [right.scope]}
    return [{}, with_token] if right.open else [with_token]


def _answer(answer: Answer, components: Components) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.headers:
        described["headers"] = answer.headers
    if answer.content:
        described["content"] = {
            media_type: {"schema": components.answer(schema)} for media_type, schema in answer.content.items()
        }
    return described


def _problems(operation: Operation) -> dict[str, Any]:
    described = {str(answer.status) for answer in operation.answers}
    content: dict[str, Any] = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    refused = {JSON: {"schema": OAUTH_ERROR}} if operation.oauth_errors else content
    return {
        str(status): {
            "description": _REASONS[status],
            "content": content if status == 500 else refused,
            **({"headers": _RETRY_AFTER} if status in (429, 503) else {}),
        }
        for status in sorted(statuses(operation))
        if str(status) not in described
    }


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    of_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": pattern}}
        for name in re.findall(r"\{(\w+)\}", _path(operation))
        for pattern in (PATH_PATTERNS[name],)
    ]
    declared = [{"name": item.name, "in": item.place, **item.about} for item in operation.parameters]
    return [*of_path, *declared]


def _first_line(kind: type[Content]) -> str:
    return (kind.__doc__ or "").strip().split("\n")[0]
