"""People of the operator: their roles, what each role may do, and the bounds of their sessions."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Literal, get_args

import msgspec

from federation.domain.errors import Invalid
from federation.domain.feed import printable
from federation.domain.registry import TYPES
from federation.domain.values import Instant
from federation.domain.visibility import Caller, Ceiling

Role = Literal["reader", "editor", "administrator"]
ROLES: tuple[Role, ...] = get_args(Role)

_READER = frozenset(
    {
        *(f"{kind.plural}.read" for kind in TYPES.values()),
        "exposure.read",
        "subscriptions.read",
        "subscriptions.write",
    }
)
_EDITOR = _READER | {
    *(f"{kind.plural}.write" for kind in TYPES.values()),
    "deadlines.read",
    "deadlines.write",
    "imports.write",
}
_ADMINISTRATOR = _EDITOR | {"node.admin", "peers.read", "sources.read", "sources.write"}
ROLE_SCOPES: dict[Role, frozenset[str]] = {
    "reader": _READER,
    "editor": _EDITOR,
    "administrator": _ADMINISTRATOR,
}
"""The scopes of each role. Feeds and the change log are for programs: no role has them."""

MAX_NAME_LENGTH = 100
"""Characters of a name."""
MAX_PEOPLE = 1_000
"""People of a node, at most."""
MAX_SESSIONS_OF_PERSON = 20
"""Sessions that a person has at a time; the one that was used longest ago gives way to a new one."""
SESSION_DURATION = timedelta(hours=12)
"""A session ends so long after the login."""
ADMINISTRATOR_IDLE = timedelta(hours=1)
"""A session of an administrator ends after so long without a request."""
SEEN_INTERVAL = timedelta(minutes=1)
"""The last request of a session is noted so often at most."""
FRESH = timedelta(minutes=5)
"""An authentication is fresh for so long."""
MAX_CALENDAR_ADDRESSES = 10
"""Calendar addresses of a person, at most."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A person of the operator."""

    id: str
    name: str
    role: Role
    ceiling: Ceiling
    created_at: Instant
    logged_in_at: Instant | None = None
    """The last login."""
    bound: bool = False
    """True for a person that logs in by the identity provider."""
    passkeys: int = 0
    """Number of their passkeys."""

    @property
    def actor(self) -> str:
        """The name under which the audit trail has this person."""
        return f"{self.name} ({self.id})"

    def caller(self, node: str) -> Caller:
        """The caller that this person is at the operator's node."""
        return Caller(
            node=node,
            operator=node,
            scopes=ROLE_SCOPES[self.role],
            person=self.id,
            person_name=self.name,
            ceiling=self.ceiling,
        )


def mint_person_id() -> str:
    return f"person-{secrets.token_hex(8)}"


def check_name(name: str) -> str:
    """The name without spaces around it. Raises Invalid."""
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_LENGTH or printable(name, MAX_NAME_LENGTH) != name:
        raise Invalid(
            "a person's name has 1 to {maximum} printable characters",
            pointer="/name",
            fault="rule",
            maximum=MAX_NAME_LENGTH,
        )
    return name


def check_role(role: str) -> Role:
    """Raises Invalid."""
    for known in ROLES:
        if role == known:
            return known
    raise Invalid(
        "a role is one of {roles}",
        pointer="/role",
        fault="not-allowed",
        allowed=ROLES,
        roles=", ".join(ROLES),
    )


def ceiling_of(role: Role, ceiling: Ceiling | None) -> Ceiling:
    """The ceiling of a person of that role, GREEN unless one is given; an administrator's is RED.

    An administrator reads the audit trail, rejected entries and groups, which name hidden records: a lower
    ceiling would promise what does not hold. Raises Invalid.
    """
    if role != "administrator":
        return ceiling or Ceiling()
    if ceiling is not None and ceiling.label != "RED":
        raise Invalid(
            "an administrator sees everything: the ceiling is RED, or another role is needed",
            pointer="/ceiling",
            fault="rule",
        )
    return Ceiling("RED")
