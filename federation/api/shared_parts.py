"""Parts of the OpenAPI document that recur: parameters, headers and refusals become components."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import msgspec

from federation.edge.answers import JSON, PROBLEM
from federation.edge.standing_headers import API_VERSION

Part = dict[str, Any]

RESPONSES = {
    400: ("BadRequest", "The request is not valid; the problem names the members at fault"),
    401: ("Unauthorized", "A valid access token is needed"),
    403: ("Forbidden", "The caller may not do this"),
    404: ("NotFound", "There is nothing here that the caller may see"),
    406: ("NotAcceptable", "The answer cannot be given in the form asked for"),
    408: ("RequestTimeout", "The body did not come in time"),
    409: ("Conflict", "The request does not fit the present state"),
    410: ("Gone", "It was here and has been retracted, or the cursor has expired"),
    412: ("PreconditionFailed", "The record is not at the state named"),
    413: ("ContentTooLarge", "The request is too large"),
    415: ("UnsupportedMediaType", "The body is of a type that is not read here"),
    422: ("UnprocessableContent", "The request cannot be carried out as it is"),
    429: ("TooManyRequests", "Too many requests of the caller, or from its address"),
    500: ("InternalServerError", "Internal error"),
    502: ("BadGateway", "Another node, which this needs, did not answer as it should"),
    503: ("ServiceUnavailable", "The node cannot answer now"),
}
"""Refusals by status: the name of the component, and what it means."""

EVERY_ANSWER = {
    "API-Version": {
        "description": "The version of the API (Semantic Versioning); its major number is that of the paths.",
        "required": True,
        "schema": {"type": "string", "examples": [API_VERSION]},
    }
}
"""Headers of every answer."""
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}


def refusal(status: int, *, oauth: bool = False) -> Part:
    """A reference to the answer that refuses a request with this status.

    ``oauth``: at a token endpoint, where all but a failure of the node have the form of RFC 6749, 5.2.
    """
    prefix = "OAuth" if oauth and status != 500 else ""
    return {"$ref": f"#/components/responses/{prefix}{RESPONSES[status][0]}"}


def refusals() -> dict[str, Part]:
    """The answers that refuse a request, by name."""
    contents = {"": (PROBLEM, "Problem"), "OAuth": (JSON, "TokenError")}
    return {
        f"{prefix}{name}": {
            "description": description,
            "headers": {**EVERY_ANSWER, **(_RETRY_AFTER if status in (429, 503) else {})},
            "content": {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
        }
        for prefix, (media_type, schema) in contents.items()
        for status, (name, description) in RESPONSES.items()
    }


class Shared:
    """Parameters, or headers, of which those that recur are named.

    Of several parts with one name the most frequent is the component; the others stay where they are.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._counts: Counter[tuple[str, bytes]] = Counter()

    def count(self, name: str, part: Part) -> None:
        self._counts[name, _key(part)] += 1

    def components(self) -> dict[str, Part]:
        """The parts that occur more than once, by name."""
        chosen: dict[str, bytes] = {}
        for (name, part), times in sorted(self._counts.items(), key=lambda item: (-item[1], item[0])):
            if times > 1:
                chosen.setdefault(name, part)
        return {name: msgspec.json.decode(part) for name, part in sorted(chosen.items())}

    def use(self, name: str, part: Part, components: dict[str, Part]) -> Part:
        """The part, or a reference to it."""
        return {"$ref": f"#/components/{self._kind}/{name}"} if components.get(name) == part else part


def parameter_name(parameter: Part) -> str:
    """The component of a parameter: ``dry_run`` in the query is ``DryRunQuery``."""
    return f"{_camel(parameter['name'])}{parameter['in'].capitalize()}"


def share(paths: dict[str, dict[str, Part]], responses: dict[str, Part]) -> dict[str, dict[str, Part]]:
    """Put references in the place of parameters and headers that recur; return the components."""
    parameters, headers = Shared("parameters"), Shared("headers")
    operations = [operation for methods in paths.values() for operation in methods.values()]
    answers = [*responses.values(), *(a for o in operations for a in o["responses"].values())]
    for operation in operations:
        for parameter in operation.get("parameters", ()):
            parameters.count(parameter_name(parameter), parameter)
    for answer in answers:
        for name, header in answer.get("headers", {}).items():
            headers.count(_camel(name), header)
    named_parameters, named_headers = parameters.components(), headers.components()
    for operation in operations:
        if "parameters" in operation:
            operation["parameters"] = [
                parameters.use(parameter_name(parameter), parameter, named_parameters)
                for parameter in operation["parameters"]
            ]
    for answer in answers:
        if "headers" in answer:
            answer["headers"] = {
                name: headers.use(_camel(name), header, named_headers)
                for name, header in answer["headers"].items()
            }
    return {"parameters": named_parameters, "headers": named_headers}


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]", name))


def _key(part: Part) -> bytes:
    return msgspec.json.encode(part, order="deterministic")
