"""Rules of the settings that give people of an identity provider a role by a claim.

``administrator: groups=/federation/admins; reader: siret=13002526500013``: the first rule that holds gives
the role. A rule names a claim (with dots for a member within it), and a value that the claim is, or has
among its values. E-mail addresses prove nothing: at many providers people choose them, so no rule reads them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from federation.domain.errors import CommandFailed
from federation.domain.feed import printable
from federation.domain.person import MAX_NAME_LENGTH, ROLES, Role

MAX_RULES = 50
"""Rules of a node, at most."""
_RULE = re.compile(r"([a-z]+):\s*([A-Za-z0-9_.:/-]{1,100}?)=(.{1,300})")
_NEVER = frozenset({"email", "email_verified"})


class ClaimRule(msgspec.Struct, frozen=True):
    """A role for people with a value in a claim."""

    role: Role
    claim: str
    value: str


def read_rules(text: str) -> tuple[ClaimRule, ...]:
    """The rules that a setting lists. Raises CommandFailed that names the rule at fault."""
    rules = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        found = _RULE.fullmatch(part)
        role = next((known for known in ROLES if found and known == found[1]), None)
        if found is None or role is None:
            raise CommandFailed(
                f"FEDERATION_OIDC_RULES has {part!r}; a rule is ROLE: CLAIM=VALUE, such as"
                f" reader: groups=federation, and a role is one of {', '.join(ROLES)}"
            )
        if found[2] in _NEVER:
            raise CommandFailed(
                f"FEDERATION_OIDC_RULES has {part!r}; an e-mail address proves nothing: name another claim"
            )
        rules.append(ClaimRule(role, found[2], found[3].strip()))
    if len(rules) > MAX_RULES:
        raise CommandFailed(f"FEDERATION_OIDC_RULES has {len(rules)} rules; there are {MAX_RULES} at most")
    return tuple(rules)


def role_by_claims(rules: Sequence[ClaimRule], claims: Mapping[str, Any]) -> Role | None:
    """The role of the first rule that holds; None where none does."""
    for rule in rules:
        value = _claim(claims, rule.claim)
        if value == rule.value or (isinstance(value, list) and rule.value in value):
            return rule.role
    return None


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its whole name, else by its path."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def name_by_claims(claims: Mapping[str, Any]) -> str:
    """The name of a person, for people: as the identity provider has it."""
    family = claims.get("family_name") or claims.get("usual_name")
    candidates = (
        claims.get("name"),
        " ".join(part for part in (claims.get("given_name"), family) if isinstance(part, str)),
        claims.get("preferred_username"),
        claims.get("sub"),
    )
    for candidate in candidates:
        if isinstance(candidate, str):
            name = printable(candidate[: 2 * MAX_NAME_LENGTH], MAX_NAME_LENGTH).strip()
            if name:
                return name[:MAX_NAME_LENGTH]
    raise ValueError("an identity has a subject")
