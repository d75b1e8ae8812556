"""People for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx2

from federation.domain.person import Person
from federation.domain.visibility import Ceiling, itself
from federation.node import people, sessions
from federation.node.node import Node
from federation.web.visitor import cookie_name


async def a_person(
    node: Node, name: str = "Anne Martin", role: str = "reader", *groups: str, label: str | None = None
) -> Person:
    """A person; with groups their ceiling is AMBER."""
    ceiling = None
    if groups:
        ceiling = Ceiling("AMBER", frozenset(groups))
    elif label == "RED":
        ceiling = Ceiling("RED")
    return await people.add(node, name=name, role=role, ceiling=ceiling, by=itself(node.operator))


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **span: float) -> None:
        self.now += timedelta(**span)


async def log_in(node: Node, client: httpx2.AsyncClient, person: Person) -> None:
    """Give a client the session of a person, as a login does."""
    secret = await sessions.begin(node, person.id)
    client.cookies.set(cookie_name(node), secret, domain=urlsplit(node.url).hostname or "")
