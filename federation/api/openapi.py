"""The OpenAPI 3.1 document, made of the declarations of all operations.

Bodies are read by the domain and not by the framework (it would convert "1" to 1 and let a member pass that
stands twice), so the document is made here from the table of operations and the schemas of msgspec.
"""

from __future__ import annotations

import re
from typing import Any

from litestar import Litestar

from federation.api.components import reachable, references_in
from federation.api.parameters import PATH_PARAMETERS
from federation.api.schemas import DIALECT, REFERENCE, Components, json_schema
from federation.api.shared_parts import EVERY_ANSWER, refusal, refusals, share
from federation.api.webhooks import webhooks
from federation.domain.record_content import Content
from federation.domain.registry import TYPES
from federation.domain.scopes import SCOPES
from federation.edge.operations import Answer, Operation, table
from federation.edge.standing_headers import API_VERSION
from federation.edge.statuses import STATUS

__all__ = ["document", "json_schema"]


def document(app: Litestar, base: str) -> dict[str, Any]:
    """The OpenAPI document of an application, as served at ``base``."""
    operations = [operation for operation in table(app) if operation.id]
    components = Components(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        described = paths.setdefault(_path(operation), {})
        described[operation.method.lower()] = _operation(operation, components)
    responses = refusals()
    shared = share(paths, responses)
    referred = set(references_in(paths))
    responses = {
        name: answer for name, answer in responses.items() if f"#/components/responses/{name}" in referred
    }
    hooks = webhooks()
    schemas = reachable([paths, hooks, responses, shared], REFERENCE, components.schemas())
    return {
        "openapi": "3.1.1",
        "jsonSchemaDialect": DIALECT,
        "info": {
            "title": "Federation node",
            "version": API_VERSION,
            "summary": "What public digital-service operators pool: solutions, deployments and incidents",
            "description": (
                "Each operator runs a node and is the only writer of its records; nodes pull each other's"
                " feeds. Get a token with `POST /oauth2/token` (client credentials); CLEAR records are"
                " answered without one. A peer's token is bound to a key of its own: it is sent as"
                " `Authorization: DPoP` with a proof for each request (RFC 9449).\n\n"
                "A later version of v1 adds members, types and values of enumerations: ignore the members"
                " that you do not know, and keep the values. Enumerations of answers are therefore open"
                " (`x-extensible-enum`)."
            ),
            "contact": {"name": "The operator of this node", "url": f"{base}/.well-known/federation"},
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base}],
        "tags": [
            *({"name": kind.plural, "description": _first_line(kind)} for kind in TYPES.values()),
            {"name": "bodies", "description": "Public bodies: what they may join, and at which price"},
            {"name": "exposure", "description": "Who is hit by an incident, and who has answered"},
            {"name": "alerts", "description": "Who is told of what, and by when authorities are to be told"},
            {"name": "sources", "description": "Where records come from: files, catalogues, feeds of others"},
            {"name": "feeds", "description": "What peers pull, and everything in order of arrival"},
            {"name": "peers", "description": "Other operators' nodes: who they are and how they join"},
            {"name": "exports", "description": "Records in the forms that others read"},
            {"name": "webhooks", "description": "Requests that the node sends to a subscriber"},
            {"name": "node", "description": "The node itself: tokens, keys, health, documentation"},
        ],
        "paths": paths,
        "webhooks": hooks,
        "components": {
            "schemas": schemas,
            "responses": responses,
            **shared,
            "securitySchemes": _security_schemes(base),
        },
    }


def _security_schemes(base: str) -> dict[str, Any]:
    return {
        "oauth2": {
            "type": "oauth2",
            "description": "An access token of one of the operator's own clients, or of a peer.",
            "flows": {"clientCredentials": {"tokenUrl": f"{base}/oauth2/token", "scopes": dict(SCOPES)}},
        },
        "client": {
            "type": "http",
            "scheme": "basic",
            "description": "Id and secret of one of the operator's own clients (RFC 6749, 2.3.1).",
        },
        "invitation": {
            "type": "http",
            "scheme": "bearer",
            "description": "The secret of an invitation, which one operator has sent to another.",
        },
        "source": {
            "type": "http",
            "scheme": "bearer",
            "description": "The secret of a source of events, shown when the source is added.",
        },
        "sourceByPassword": {
            "type": "http",
            "scheme": "basic",
            "description": "The same secret as the password of a user of any name.",
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
    own = {answer.status for answer in operation.answers}
    refused = {
        str(status): refusal(status, oauth=operation.oauth_errors)
        for status in sorted(statuses(operation) - own)
    }
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.description.split(". ")[0].rstrip("."),
        "description": operation.description,
        "tags": [operation.tag],
        **({} if operation.deprecation is None else {"deprecated": True}),
        "security": _security(operation),
        "responses": {
            **{str(answer.status): _answer(answer, components) for answer in operation.answers},
            **refused,
        },
    }
    if parameters := _parameters(operation, components):
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
        return [{name: []} if name else {} for name in operation.credentials]
    with_token = {"oauth2": [right.scope]}
    return [{}, with_token] if right.open else [with_token]


def _answer(answer: Answer, components: Components) -> dict[str, Any]:
    headers = {**EVERY_ANSWER, **answer.headers}
    described: dict[str, Any] = {"description": answer.description, "headers": headers}
    if answer.content:
        described["content"] = {
            media_type: {"schema": components.answer(schema)} for media_type, schema in answer.content.items()
        }
    if answer.links:
        described["links"] = answer.links
    return described


def _parameters(operation: Operation, components: Components) -> list[dict[str, Any]]:
    of_path = [PATH_PARAMETERS[name] for name in re.findall(r"\{(\w+)\}", _path(operation))]
    declared = [{"name": item.name, "in": item.place, **item.about} for item in operation.parameters]
    return [
        {**parameter, "schema": components.body(parameter["schema"])} for parameter in (*of_path, *declared)
    ]


def _first_line(kind: type[Content]) -> str:
    return (kind.__doc__ or "").strip().split("\n")[0]
