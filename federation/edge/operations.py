"""One declaration per operation of the API.

An :class:`Operation` stands on its handler (``api/handlers.py``) and holds everything that others need to
know of it: path, right, bodies, parameters, answers, errors. The guard, the OpenAPI document and the metrics
read it, and nothing about an operation is written down a second time. :func:`table` is the list of all; the
application does not start with a route that has no operation.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, Literal

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from federation.domain.document import MAX_DOCUMENT
from federation.domain.errors import CommandFailed, Refused
from federation.domain.messages import Message

WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
KEY = "operation"
"""The option of a route handler, and the member of an ASGI scope, that its operation is under."""


class Right(msgspec.Struct, frozen=True):
    """The callers that may carry out an operation."""

    scope: str | None = None
    """Scope the token must carry. None: no token is needed, and none is looked at."""
    open: bool = False
    """Whether callers without a token may, too, where there is a scope. They see CLEAR records only."""
    caller: Literal["any", "own", "peer"] = "any"
    """``own``: the operator's own clients only; ``peer``: other operators' nodes only."""
    counted: Literal["caller", "credentials", "not"] = "caller"
    """As whose request it counts (``edge/limits.py``); ``credentials``: the client's that it claims to be."""


ANYONE = Right()
ADMINISTRATOR = Right("node.admin")
CREDENTIALS = Right(counted="credentials")
"""For callers that authenticate in the body or by an invitation: checked in the handler."""
UNCOUNTED = Right(counted="not")


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of the query string, or a header that an operation reads."""

    name: str
    about: dict[str, Any]
    """Its description and schema, as in a Parameter Object of OpenAPI."""
    place: Literal["query", "header"] = "query"

    @property
    def is_list(self) -> bool:
        """True when it may be given several times."""
        return bool(self.about["schema"].get("type") == "array")


class Body(msgspec.Struct, frozen=True):
    """A form in which the body of a request is read."""

    media_type: str
    schema: Any
    """A struct, or a JSON Schema in which structs may stand for their schemas."""
    example: Any = None


class Answer(msgspec.Struct, frozen=True):
    """An answer that is no refusal."""

    status: int
    description: str
    content: dict[str, Any] = {}
    """Media types, and a struct or JSON Schema for each."""
    headers: dict[str, Any] = {}
    links: dict[str, Any] = {}
    """Operations that go on from this answer (``api/answer_links.py``)."""


class Deprecation(msgspec.Struct, frozen=True):
    """The end of an operation, as it is announced (RFC 9745, RFC 8594)."""

    since: date
    sunset: date
    """The first day on which it may be gone."""
    page: str
    """URL of a page that says what to use instead."""


class Named(msgspec.Struct, frozen=True):
    """A schema that is put together from others (``api/documents.py``), by its name."""

    name: str


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """An operation: its right, what comes in and what goes out."""

    act: str
    """Its name in metrics, logs and the audit trail."""
    id: str
    """Its name in the OpenAPI document, from which client generators make method names; empty: not in it."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    path: str
    """Template as the framework reads it: ``/v1/peers/{operator:str}``."""
    aliases: tuple[str, ...] = ()
    """Other paths that lead here, and are not described."""
    right: Right
    credentials: tuple[str, ...] = ()
    """Security schemes of callers that show no access token; an empty one: or without any of them."""
    tag: str
    description: str = ""
    """For readers of the OpenAPI document; the docstring of the handler, unless it is given."""
    bodies: tuple[Body, ...] = ()
    max_bytes: int = MAX_DOCUMENT
    """Length of a body, at most."""
    parameters: tuple[Parameter, ...] = ()
    answers: tuple[Answer, ...] = ()
    reads_groups: bool = False
    """Whether the operation reads the groups of a peer itself, at the moment in which it reads records. The
    guard looks them up for all others."""
    errors: tuple[type[Refused], ...] = ()
    """Refusals of its own, beside those that its right, its bodies and the limits bring."""
    takes_key: bool = False
    """Whether a request can be repeated under an ``Idempotency-Key`` (``api/idempotency.py``)."""
    unstored_advice: Message | None = None
    """Where the answer shows a secret, and is not stored: what a caller can do that has not had it."""
    waits: bool = False
    """Whether a caller with a token can wait for its answer (``Prefer: wait``), or follow events."""
    oauth_errors: bool = False
    """Whether refusals have the form of RFC 6749, 5.2, instead of that of a problem."""
    deprecation: Deprecation | None = None
    """Its end, once that is announced."""

    @property
    def media_types(self) -> tuple[str, ...]:
        """The types of body that are read; none: a body is refused."""
        return tuple(body.media_type for body in self.bodies)

    @property
    def is_public(self) -> bool:
        """True when programs of anybody may read the answer without a token."""
        return bool(self.id) and self.method == "GET" and (self.right.scope is None or self.right.open)

    @property
    def is_page(self) -> bool:
        """True for a page for people, and what belongs to it: no operation that a program calls."""
        return not self.id or any("text/html" in answer.content for answer in self.answers)

    @property
    def dry_run(self) -> bool:
        """True when a caller can ask for a preview (``?dry_run=true``)."""
        return any(parameter.name == "dry_run" for parameter in self.parameters)


def operation_of(handler: Any) -> Operation | None:
    """The operation that stands on a route handler, if one does."""
    return handler.opt.get(KEY) if handler is not None else None


def routes(app: Litestar) -> Iterator[tuple[Operation, HTTPRouteHandler]]:
    """Each operation of an application with its handler. Raises CommandFailed for a route without one."""
    seen: set[int] = set()
    for route in app.routes:
        handlers = getattr(route, "route_handlers", None) or [getattr(route, "route_handler", None)]
        for handler in handlers:
            operation = operation_of(handler)
            if operation is None or not isinstance(handler, HTTPRouteHandler):
                raise CommandFailed(f"the route {route.path} has no operation")
            if id(handler) not in seen:
                seen.add(id(handler))
                yield operation, handler


def table(app: Litestar) -> tuple[Operation, ...]:
    """Every operation of an application, by path and method. Raises CommandFailed for a route without one."""
    return tuple(sorted((op for op, _ in routes(app)), key=lambda op: (op.path, op.method)))


def check(app: Litestar) -> None:
    """Raises CommandFailed when a route has no operation, or when one contradicts itself."""
    seen: dict[str, Operation] = {}
    for operation in table(app):
        label = f"{operation.method} {operation.path}"
        if operation.bodies and operation.method not in WITH_BODY:
            raise CommandFailed(f"{label} reads a body, and requests of that kind have none")
        if operation.right.open and operation.right.scope is None:
            raise CommandFailed(f"{label} is open beside a scope, and names none")
        if operation.id and operation.id in seen:
            raise CommandFailed(f"{label} has the id {operation.id} of {seen[operation.id].path}")
        seen[operation.id] = operation
