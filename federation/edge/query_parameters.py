"""The parameters of the query string, read once for each request and by the declaration of its operation.

A parameter that an operation does not declare is refused, since a caller who gives one expects it to be
honoured; so is a second value of a parameter that has one. Pages for people take whatever links carry.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request

from federation.domain.errors import Invalid
from federation.domain.expected import expected_form
from federation.domain.fault_search import FaultSearch, listed
from federation.domain.faults import Fault
from federation.domain.query import BOOLEANS, read_number, read_time
from federation.edge.operations import Operation, Parameter

MAX_PARAMETERS = 100
"""Parameters of one query string, at most."""
MAX_QUOTED_CHARACTERS = 80
PAIRS = "query_pairs"
"""The member of an ASGI scope that has the parameters."""


def read_parameters(operation: Operation, scope: Any) -> None:
    """Read the query string of a request, for :func:`pairs_of`. Raises Invalid with all that is wrong."""
    if not scope["query_string"]:
        scope[PAIRS] = []
        return
    scope[PAIRS] = pairs = _pairs(scope["query_string"])
    if operation.is_page:
        return
    declared = {parameter.name: parameter for parameter in operation.parameters if parameter.place == "query"}
    search, seen = FaultSearch(), set()
    for name, value in pairs:
        parameter = declared.get(name)
        if parameter is None:
            _refuse_unknown(search, name, tuple(declared))
            continue
        if name in seen and not parameter.is_list:
            search.refuse(f"?{name}", "duplicate-parameter", "{name} is there twice", name=name)
        seen.add(name)
        _check(search, parameter, value)
    if search.faults:
        raise Invalid.of(search.faults, search.more)


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS
        )
    except (UnicodeDecodeError, ValueError):
        raise Invalid(
            "the query string cannot be read: UTF-8, percent-encoded, at most {maximum} members",
            maximum=MAX_PARAMETERS,
        ) from None


def _refuse_unknown(search: FaultSearch, name: str, declared: tuple[str, ...]) -> None:
    quoted = name[:MAX_QUOTED_CHARACTERS]
    if not declared:
        template = "{name!r} cannot be asked here; this operation has no parameters"
        search.refuse(f"?{quoted}", "unknown-parameter", template, name=quoted)
        return
    template = "{name!r} cannot be asked here; {names} can"
    values = {"name": quoted, "names": ", ".join(declared)}
    search.refuse(f"?{quoted}", "unknown-parameter", template, allowed=declared, **values)


def _check(search: FaultSearch, parameter: Parameter, value: str) -> None:
    """Note a value that the schema of its parameter does not have, as far as there are words for it."""
    name, schema = parameter.name, parameter.about["schema"]
    if parameter.is_list:
        schema = schema["items"]
    if "\x00" in value:
        search.refuse(f"?{name}", "text", "NUL is not allowed")
    elif allowed := _closed_values(schema):
        if value not in allowed:
            values = {"name": name, "values": listed(allowed)}
            search.refuse(f"?{name}", "not-allowed", "{name} is one of {values}", allowed=allowed, **values)
    elif schema.get("type") == "integer":
        read_number(search, name, value, schema["maximum"], schema.get("minimum", 1))
    elif schema.get("format") == "date-time":
        read_time(search, name, value)
    elif (words := expected_form(schema.get("pattern", ""), value)) and not re.search(
        schema["pattern"], value
    ):
        search.add(Fault(pointer=f"?{name}", code="pattern", message=words))


def _closed_values(schema: dict[str, Any]) -> tuple[str, ...]:
    """The values that a parameter can have; none where they are not a list."""
    if schema.get("type") == "boolean":
        return BOOLEANS
    return tuple(schema.get("enum", ()) or ([schema["const"]] if "const" in schema else ()))


def pairs_of(request: Request[Any, Any, Any]) -> list[tuple[str, str]]:
    """The parameters of a request, in their order."""
    scope: Any = request.scope
    pairs: list[tuple[str, str]] = scope[PAIRS]
    return pairs


def parameters_of(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The parameters of a request whose operation has none that may be given twice."""
    return dict(pairs_of(request))


def is_true(request: Request[Any, Any, Any], name: str) -> bool:
    """True when a parameter of two values, which is false where it is not given, is ``true``."""
    return (name, "true") in pairs_of(request)
